//! What is fuzzed: whatever comes in, an answer or an error comes out; no panic, no overflow of the stack, no hang.
//!
//! The programs of `fuzz/` call these functions with what libFuzzer makes up; a test calls them with `tests/corpus/`,
//! where what was once found is kept, and with the golden scripts.

use std::time::Duration;

use bytes::BytesMut;
use daemoneye_broker::core::Core;
use daemoneye_broker::frame::{self, FRAME_LEN_MAX};
use daemoneye_broker::message::Message;
use daemoneye_broker::tree::OPEN;
use daemoneye_broker::{Gate, Key, Limits, Peer};
use daemoneye_dsl::check::{Checked, check_query};
use daemoneye_dsl::diagnostic::{Safety, Source, Style};
use daemoneye_dsl::format::format;
use daemoneye_dsl::ipc::decode;
use daemoneye_dsl::lints::{fix, lint};
use daemoneye_dsl::tables::{Catalog, Process, schema_of};
use daemoneye_planner::plan;
use daemoneye_settings::{Form, check_text};
use daemoneye_storage::lies;

/// One thing that is fuzzed, by the name of its folder and program.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("query", query),
    ("header", header),
    ("format", formatted),
    ("settings", settings),
    ("frame", frames),
    ("rows", rows),
    ("block", block),
    ("segment", segment),
    ("samples", samples),
];

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn drawn(source: &Source, checked: &Checked) {
    for diagnostic in &checked.diagnostics {
        let _drawn = diagnostic.render(source, Style::default());
    }
}

/// Any text is a statement with a plan, or has diagnostics that can be drawn.
pub fn query(bytes: &[u8]) {
    let source = Source::query(&text(bytes));
    let checked = check_query(&source, &Catalog::builtin());
    drawn(&source, &checked);
    if let Some(rule) = &checked.rule {
        let _shown = plan(&rule.query).to_string();
    }
}

fn file(text: String) -> Source {
    Source { path: "rule.sql".to_owned(), text }
}

/// Any text is a rule file, or has findings; what follows the header is a statement that compiles.
pub fn header(bytes: &[u8]) {
    let catalog = Catalog::builtin();
    let below = format!("{}\nSELECT proc_id, pid, name FROM processes", text(bytes));
    for source in [file(text(bytes).into_owned()), file(below)] {
        drawn(&source, &lint(&source, &catalog, &daemoneye_planner::lint));
    }
}

/// A rule file that is formatted parses as before and is formatted for good; its fixes come to an end.
pub fn formatted(bytes: &[u8]) {
    let catalog = Catalog::builtin();
    let source = file(text(bytes).into_owned());
    if let Ok(text) = format(&source, &catalog) {
        let again = format(&file(text.clone()), &catalog).expect("what was formatted parses");
        assert_eq!(again, text, "formatting is not final");
    }
    let fixed = fix(&source, &catalog, &daemoneye_planner::lint, Safety::ChangesMeaning);
    let left = file(fixed.text);
    drawn(&left, &lint(&left, &catalog, &daemoneye_planner::lint));
}

/// Any text is a file of settings in each form, or has findings that can be drawn.
pub fn settings(bytes: &[u8]) {
    let source = Source { path: "daemoneye".to_owned(), text: text(bytes).into_owned() };
    for form in [Form::Toml, Form::Yaml, Form::Json] {
        for diagnostic in check_text(form, &source.text) {
            let _drawn = diagnostic.render(&source, Style::default());
        }
    }
}

/// Whatever a peer sends: frames are cut, messages decoded and given to the broker's core.
pub fn frames(bytes: &[u8]) {
    let now = Duration::ZERO;
    let mut core = Core::new(Gate::new(Key::generate().expect("random bytes"), None), OPEN, Limits::default());
    let peer = core.connect(Peer::default(), now);
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(frame)) = frame::decode(&mut buffer, FRAME_LEN_MAX) {
        let Ok(message) = Message::decode(frame) else { break };
        if core.receive(peer, message, now).is_err() {
            break;
        }
        while core.take(peer, now).is_some() {}
    }
}

/// Bytes from a peer or the disk are rows of the layout asked for, or an error.
pub fn rows(bytes: &[u8]) {
    let _rows_or_error = decode(bytes, &schema_of(&Process::columns()));
}

/// What is stored in a block is rows, or damage.
pub fn block(bytes: &[u8]) {
    lies::block(bytes);
}

/// What is stored in a segment has values, or is damage, whatever it says of itself.
pub fn segment(bytes: &[u8]) {
    lies::segment(bytes);
}

/// What is stored in a stretch is samples, or damage, whatever it says of itself.
pub fn samples(bytes: &[u8]) {
    lies::samples(bytes);
}
