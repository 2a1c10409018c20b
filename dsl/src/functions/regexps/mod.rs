//! Functions with regular expressions.
//!
//! A constant pattern is compiled when the rule is loaded. One that comes from a row is compiled when it is met, within
//! tighter bounds, and kept for the rest of the evaluation.

mod regex_match;
mod regexp_count;
mod regexp_extract;
mod regexp_replace;

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

use super::call::{Call, Row};
use super::{Group, Prepared, Refusal};
use crate::limits::{DYNAMIC_PATTERN_LEN_MAX, DYNAMIC_REGEX_SIZE_MAX, DYNAMIC_REGEXES_MAX, Limits};
use crate::pattern::Pattern;
use crate::types::Value;

pub(super) static REGEXPS: Group = Group {
    title: "Regular expressions",
    doc: "The syntax is that of the operator REGEXP (Rust's `regex`): linear time, no look-around, no back-references; \
          `(?i)` ignores case. A constant pattern that is none is an error (DE209); one from a row gives NULL, as does \
          one that is longer than 1,024 bytes or needs more than 64 KiB.",
    functions: &[
        &regex_match::REGEX_MATCH,
        &regexp_count::REGEXP_COUNT,
        &regexp_extract::REGEXP_EXTRACT,
        &regexp_replace::REGEXP_REPLACE,
    ],
};

/// Compiles the pattern, the second argument of every function here, if it is constant.
fn load(constants: &[Option<&Value>], limits: &Limits) -> Result<Prepared, Refusal> {
    let Some(source) = constants[1].and_then(Value::as_text) else { return Ok(Prepared::default()) };
    match Pattern::compile(source, limits.regex) {
        Ok(regex) => Ok(Prepared { regex: Some(regex) }),
        Err(reason) => Err(Refusal {
            code: "DE209",
            argument: 1,
            message: format!("not a regular expression: {reason}"),
            help: "look-around and back-references are not part of it: matching takes linear time",
        }),
    }
}

/// The patterns of one evaluation.
struct Patterns<'a> {
    constant: Option<&'a Regex>,
    met: HashMap<&'a str, Option<Regex>>,
}

impl<'a> Patterns<'a> {
    fn new(call: Call<'a>) -> Self {
        Self { constant: call.regex(), met: HashMap::new() }
    }

    /// The pattern of a row; nothing where it is none.
    fn of(&mut self, row: Row<'a>) -> Option<&Regex> {
        if let Some(constant) = self.constant {
            return Some(constant);
        }
        let source = row.text(1);
        if self.met.len() == DYNAMIC_REGEXES_MAX && !self.met.contains_key(source) {
            self.met.clear();
        }
        self.met.entry(source).or_insert_with(|| compile_dynamic(source)).as_ref()
    }
}

fn compile_dynamic(source: &str) -> Option<Regex> {
    if source.len() > DYNAMIC_PATTERN_LEN_MAX {
        return None;
    }
    let mut builder = RegexBuilder::new(source);
    builder.size_limit(DYNAMIC_REGEX_SIZE_MAX).dfa_size_limit(DYNAMIC_REGEX_SIZE_MAX).build().ok()
}

/// What a group of the first match took; nothing without a match, without the group, or where it took no part.
fn group<'t>(regex: &Regex, text: &'t str, number: i64) -> Option<&'t str> {
    let number = usize::try_from(number).ok()?;
    if number == 0 {
        return regex.find(text).map(|found| found.as_str());
    }
    regex.captures(text)?.get(number).map(|found| found.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_from_rows_are_bounded() {
        assert!(compile_dynamic("a+").is_some());
        assert!(compile_dynamic(&"a".repeat(DYNAMIC_PATTERN_LEN_MAX + 1)).is_none());
        assert!(compile_dynamic("\\w{100}{10}").is_none());
        assert!(compile_dynamic("(").is_none());
    }
}
