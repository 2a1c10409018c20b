//! A rule file in the usual form: `daemoneye-cli fmt`.
//!
//! Formatting moves and never rewrites. Annotations go into the order of [`crate::header::KEYS`]; of the SQL nothing
//! changes but the white space between tokens. So a rule keeps its revision. That is proved for each text: the same
//! tokens and comments in the same order, the same header, the same query, the same findings, and nothing to do when it
//! is formatted again. What cannot be proved is refused with DE009, and the text stays as it is.
//!
//! The layout is our own, over the tokens, rather than that of the crate sqlformat: that one takes a backslash in a
//! string for an escape, tears `0x1F` and `BETWEEN … AND` apart, and puts each word of a list on a line.

mod header;
mod layout;
mod tree;
mod words;

use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::check::Checked;
use crate::diagnostic::{Diagnostic, Source};
use crate::dialect::Sqlite;
use crate::header::{canonical, read};
use crate::lints::{NOTHING_FURTHER, lint};
use crate::parse;
use crate::tables::Catalog;

/// The text of `source` in the usual form, or why there is none: what does not parse, or DE009.
pub fn format(source: &Source, catalog: &Catalog) -> Result<String, Vec<Diagnostic>> {
    must_parse(source, catalog)?;
    let with = |text: String| Source { path: source.path.clone(), text };
    let formatted = with(laid_out(source));
    if formatted.text == source.text {
        return Ok(formatted.text);
    }
    let reason = difference(source, &formatted, catalog);
    let reason = reason.or_else(|| (laid_out(&formatted) != formatted.text).then_some("its form would not be final"));
    match reason {
        None => Ok(formatted.text),
        Some(reason) => {
            let (_, sql_start) = read(source, &mut Vec::new());
            let message = format!("the file cannot be formatted: {reason}");
            let help = "format it by hand, or report it: this is a mistake of the formatter";
            Err(vec![Diagnostic::error("DE009", sql_start..sql_start, message).help(help)])
        }
    }
}

fn must_parse(source: &Source, catalog: &Catalog) -> Result<(), Vec<Diagnostic>> {
    let mut found = Vec::new();
    let Some(scanned) = parse::scan(source, catalog.limits(), &mut found) else { return Err(found) };
    let small = parse::is_small(&scanned.tokens);
    let parsed = parse::on_stack_for(small, || parse::parse(source, scanned, &mut found).map(drop));
    parsed.map_err(|unable| vec![*unable])?.ok_or(found)
}

fn laid_out(source: &Source) -> String {
    let (annotations, sql_start) = read(source, &mut Vec::new());
    let newline = if source.text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut text = header::laid_out(&source.text[..sql_start], &annotations, newline);
    let sql = layout::laid_out(&words::read(&source.text[sql_start..]), newline);
    // A comment that touched the header would become a part of it.
    if sql.starts_with("--") && !text.is_empty() {
        text.push_str(newline);
    }
    text + &sql
}

/// What is not as it was before.
fn difference(before: &Source, after: &Source, catalog: &Catalog) -> Option<&'static str> {
    let annotations = |source| canonical(&read(source, &mut Vec::new()).0);
    if annotations(before) != annotations(after) {
        return Some("its header would not be the same");
    }
    let (was, is) = (tokens(before), tokens(after));
    if was.is_none() || was != is {
        return Some("its SQL would not be the same");
    }
    let (was, is) = (lint(before, catalog, NOTHING_FURTHER), lint(after, catalog, NOTHING_FURTHER));
    match (&was.rule, &is.rule) {
        (Some(was), Some(is)) if was.query != is.query || was.revision != is.revision => {
            return Some("its query would not be the same");
        }
        _ => {}
    }
    let findings = |checked: &Checked| {
        let mut findings: Vec<_> = checked.diagnostics.iter().map(|it| (it.code, it.message.clone())).collect();
        findings.sort();
        findings
    };
    (findings(&was) != findings(&is)).then_some("its findings would not be the same")
}

/// The tokens of the SQL and its comments, as they are written.
fn tokens(source: &Source) -> Option<Vec<String>> {
    let (_, sql_start) = read(source, &mut Vec::new());
    let tokens = Tokenizer::new(&Sqlite, &source.text[sql_start..]).tokenize().ok()?;
    let written = tokens.iter().filter_map(|token| match token {
        Token::Whitespace(Whitespace::SingleLineComment { comment, prefix }) => {
            Some(format!("{prefix}{}", comment.trim_end()))
        }
        Token::Whitespace(Whitespace::MultiLineComment(text)) => Some(format!("/*{text}*/")),
        Token::Whitespace(_) => None,
        other => Some(other.to_string()),
    });
    Some(written.collect())
}

#[cfg(test)]
mod tests;
