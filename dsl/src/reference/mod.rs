//! The pages of the reference in `docs/`, made from the declarations; a test compares them.

mod dialect;
mod lints;
mod tables;

use crate::functions;

/// A page and what makes it.
#[derive(Debug)]
pub struct Page {
    /// Its file's name in `docs/`.
    pub file: &'static str,
    /// The whole text.
    pub text: fn() -> String,
}

/// Every page of the language.
pub static PAGES: &[Page] = &[
    Page { file: "dialect.md", text: dialect::page },
    Page { file: "functions.md", text: functions::reference },
    Page { file: "lints.md", text: lints::page },
    Page { file: "tables.md", text: tables::page },
];

/// A cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
