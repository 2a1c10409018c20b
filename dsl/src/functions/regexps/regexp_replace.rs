//! `regexp_replace`.

use regex::{Captures, Regex};

use super::{Patterns, load};
use crate::functions::call::Growing;
use crate::functions::{Function, TEXT};

pub(super) static REGEXP_REPLACE: Function = Function {
    name: "regexp_replace",
    args: &[("text", TEXT), ("pattern", TEXT), ("replacement", TEXT)],
    doc: "The text with every match replaced (PostgreSQL and DuckDB replace the first). In the replacement `\\1` to \
          `\\9` are what the groups took, `\\0` is the match, `\\\\` a backslash.",
    examples: &[
        ("regexp_replace('a1b22', '\\d+', '#')", "'a#b#'"),
        ("regexp_replace('bob@host', '(\\w+)@(\\w+)', '\\2:\\1')", "'host:bob'"),
        ("regexp_replace('abc', 'x', 'y')", "'abc'"),
    ],
    load,
    eval: |call| {
        let mut patterns = Patterns::new(call);
        call.text(|row| replaced(patterns.of(row)?, row.text(0), row.text(2)))
    },
    ..Function::BASE
};

fn replaced(regex: &Regex, text: &str, replacement: &str) -> Option<String> {
    let mut out = Growing::default();
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let whole = found.get(0).expect("group 0 is the match");
        out.push(&text[end..whole.start()])?;
        expand(&found, replacement, &mut out)?;
        end = whole.end();
    }
    out.push(&text[end..])?;
    Some(out.finish())
}

fn expand(found: &Captures<'_>, replacement: &str, out: &mut Growing) -> Option<()> {
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        out.push(&rest[..at])?;
        let after = &rest[at + 1..];
        let Some(c) = after.chars().next() else { return out.push("\\") };
        match c.to_digit(10) {
            Some(group) => out.push(found.get(group as usize).map_or("", |group| group.as_str()))?,
            // A backslash before anything else stands for itself; two stand for one.
            None if c == '\\' => out.push("\\")?,
            None => {
                out.push("\\")?;
                out.fill(c, 1)?;
            }
        }
        rest = &after[c.len_utf8()..];
    }
    out.push(rest)
}
