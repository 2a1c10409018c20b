//! `lint --fix`: the fixes of a file applied, the file written, and what was done said.

use std::path::Path;

use daemoneye_dsl::diagnostic::{Safety, Source};
use daemoneye_dsl::lints;
use daemoneye_dsl::tables::Catalog;

use crate::replace;
use crate::screen::{Mark, Screen};

/// Mends the file of `source`, and `source` with it; false where the file cannot be written, as is said.
pub(super) fn file(source: &mut Source, catalog: &Catalog, safety: Safety, screen: &Screen) -> bool {
    let fixed = lints::fix(source, catalog, &daemoneye_planner::lint, safety);
    let path = &source.path;
    for code in &fixed.refused {
        let text =
            format!("{path}: the fix of {code} would change more than it says, so it is left out; mend it by hand");
        screen.say(Mark::Warning, &text);
    }
    if fixed.text == source.text {
        return true;
    }
    if let Err(error) = replace::rewrite(Path::new(path), &source.text, &fixed.text) {
        screen.say(Mark::Error, &format!("{error:#}"));
        return false;
    }
    let times =
        |(code, times): (&&str, &usize)| if *times == 1 { (*code).to_owned() } else { format!("{code} ({times})") };
    let codes: Vec<_> = fixed.applied.iter().map(times).collect();
    screen.say(Mark::Note, &format!("fixed {path}: {}", codes.join(", ")));
    source.text = fixed.text;
    true
}
