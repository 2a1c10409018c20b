//! Any text is a rule, or has diagnostics that can be drawn: no panic, no overflow of the stack, no hang.
#![no_main]

use daemoneye_dsl::check::{check_query, check_rule};
use daemoneye_dsl::diagnostic::{Source, Style};
use daemoneye_dsl::tables::Catalog;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let source = Source::query(text);
    let catalog = Catalog::builtin();
    for checked in [check_query(&source, &catalog), check_rule(&source, &catalog)] {
        for diagnostic in &checked.diagnostics {
            diagnostic.render(&source, Style::default());
        }
    }
});
