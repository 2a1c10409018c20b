//! LIKE, GLOB and REGEXP with a constant pattern, compiled once when a rule is loaded.
//!
//! LIKE ignores the case of ASCII letters and only of those; GLOB and REGEXP are exact; REGEXP finds a match anywhere
//! and runs in linear time. All are as in SQLite (REGEXP as its extension of that name).

use std::fmt;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_syntax::Parser;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::limits::REGEX;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Like {
        tokens: Vec<LikeToken>,
        escape: Option<char>,
    },
    Glob {
        tokens: Vec<GlobToken>,
    },
    /// Compiled when it is first asked: that takes longer than everything else about a rule, and a linter never asks.
    Regex(OnceLock<Regex>),
}

/// The operator of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// LIKE.
    Like,
    /// GLOB.
    Glob,
    /// REGEXP.
    Regexp,
}

#[derive(Clone, Debug, PartialEq)]
enum LikeToken {
    Char(char),
    One,
    Any,
}

#[derive(Clone, Debug, PartialEq)]
enum GlobToken {
    Char(char),
    One,
    Any,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `[` without `]`: matches nothing, as in SQLite.
    Never,
}

/// Two patterns are the same when their text and kind are.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Pattern {
    /// `LIKE source [ESCAPE escape]`.
    pub fn like(source: &str, escape: Option<char>) -> Self {
        let mut tokens = Vec::with_capacity(source.len());
        let mut chars = source.chars();
        while let Some(c) = chars.next() {
            tokens.push(if Some(c) == escape {
                // An escape at the end escapes nothing and can match nothing.
                let Some(escaped) = chars.next() else {
                    tokens.push(LikeToken::Char('\0'));
                    break;
                };
                LikeToken::Char(escaped.to_ascii_lowercase())
            } else {
                match c {
                    '%' => LikeToken::Any,
                    '_' => LikeToken::One,
                    c => LikeToken::Char(c.to_ascii_lowercase()),
                }
            });
        }
        Self { source: source.to_owned(), form: Form::Like { tokens, escape } }
    }

    /// `GLOB source`: `*`, `?`, `[a-z]`, `[^a-z]`.
    pub fn glob(source: &str) -> Self {
        let chars: Vec<char> = source.chars().collect();
        let mut tokens = Vec::with_capacity(chars.len());
        let mut at = 0;
        while at < chars.len() {
            let (token, len) = glob_token(&chars[at..]);
            tokens.push(token);
            at += len;
        }
        Self { source: source.to_owned(), form: Form::Glob { tokens } }
    }

    /// `REGEXP source`, or why it is not a regular expression or too large.
    pub fn regexp(source: &str, len_max: usize) -> Result<Self, String> {
        let regex = match Parser::new().parse(source) {
            Ok(parsed) if program_len(&parsed) <= len_max => OnceLock::new(),
            // Too large by a guess, or wrong: the library has the word.
            _ => OnceLock::from(Self::compile(source, len_max)?),
        };
        Ok(Self { source: source.to_owned(), form: Form::Regex(regex) })
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Which operator it belongs to.
    pub fn kind(&self) -> PatternKind {
        match self.form {
            Form::Like { .. } => PatternKind::Like,
            Form::Glob { .. } => PatternKind::Glob,
            Form::Regex(_) => PatternKind::Regexp,
        }
    }

    /// The regular expression alone, within the language's bounds, or why it is none.
    pub(crate) fn compile(source: &str, len_max: usize) -> Result<Regex, String> {
        let regex = RegexBuilder::new(source).size_limit(len_max).dfa_size_limit(REGEX.default).build();
        regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => format!(
                "needs more than {limit} bytes when compiled; the setting `{}` allows up to {}",
                REGEX.setting, REGEX.max
            ),
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })
    }

    /// Whether `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.form {
            Form::Like { tokens, .. } => wildcard(tokens, text, |token| *token == LikeToken::Any, like_matches),
            Form::Glob { tokens } => wildcard(tokens, text, |token| *token == GlobToken::Any, glob_matches),
            Form::Regex(regex) => regex.get_or_init(|| small(&self.source)).is_match(text),
        }
    }
}

/// A regular expression that [`Pattern::regexp`] found to be one, and small.
fn small(source: &str) -> Regex {
    let regex = RegexBuilder::new(source).size_limit(usize::MAX).dfa_size_limit(REGEX.default).build();
    regex.expect("it was read before")
}

/// About how many bytes the program of an expression takes: each step with its transitions, a class of characters as the
/// automaton of its UTF-8 (`\w` has 700 ranges and takes 40 kB), what is repeated as often as it may be counted.
fn program_len(expression: &Hir) -> usize {
    const STEP: usize = 32;
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => STEP,
        HirKind::Literal(literal) => STEP * literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => 32 * STEP + 2 * STEP * class.ranges().len(),
        HirKind::Class(Class::Bytes(class)) => STEP * (1 + class.ranges().len()),
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min).max(1) as usize;
            program_len(&repeated.sub).saturating_add(2 * STEP).saturating_mul(times)
        }
        HirKind::Capture(group) => program_len(&group.sub).saturating_add(2 * STEP),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(program_len).fold(STEP, usize::saturating_add)
        }
    }
}

/// `LIKE 'x%'`, as it stands in SQL.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.source.replace('\'', "''");
        match &self.form {
            Form::Like { escape: Some(escape), .. } => write!(f, "LIKE '{quoted}' ESCAPE '{escape}'"),
            Form::Like { escape: None, .. } => write!(f, "LIKE '{quoted}'"),
            Form::Glob { .. } => write!(f, "GLOB '{quoted}'"),
            Form::Regex(_) => write!(f, "REGEXP '{quoted}'"),
        }
    }
}

/// Whether the tokens match the whole text. On a mismatch only the last "any" is extended by one character: earlier
/// ones need no second try, so the time is at most tokens × characters (Krauss, "Matching Wildcards", 2008).
fn wildcard<T>(tokens: &[T], text: &str, is_any: impl Fn(&T) -> bool, matches: impl Fn(&T, char) -> bool) -> bool {
    let (mut token, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let next = rest.chars().next();
        match (tokens.get(token), next) {
            (Some(it), _) if is_any(it) => {
                token += 1;
                if token == tokens.len() {
                    return true;
                }
                retry = Some((token, rest));
                continue;
            }
            (Some(it), Some(c)) if matches(it, c) => {
                token += 1;
                rest = &rest[c.len_utf8()..];
                continue;
            }
            (None, None) => return true,
            (_, None) => return false,
            _ => {}
        }
        let Some((after_any, from)) = retry else { return false };
        let Some(skipped) = from.chars().next() else { return false };
        rest = &from[skipped.len_utf8()..];
        token = after_any;
        retry = Some((after_any, rest));
    }
}

fn like_matches(token: &LikeToken, c: char) -> bool {
    match token {
        LikeToken::Char(wanted) => c.to_ascii_lowercase() == *wanted,
        LikeToken::One => true,
        LikeToken::Any => false,
    }
}

fn glob_matches(token: &GlobToken, c: char) -> bool {
    match token {
        GlobToken::Char(wanted) => c == *wanted,
        GlobToken::One => true,
        GlobToken::Set { negated, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        GlobToken::Any | GlobToken::Never => false,
    }
}

/// The token at the start of `chars` (not empty) and how many characters it takes.
fn glob_token(chars: &[char]) -> (GlobToken, usize) {
    match chars[0] {
        '*' => (GlobToken::Any, 1),
        '?' => (GlobToken::One, 1),
        '[' => glob_set(chars).unwrap_or((GlobToken::Never, chars.len())),
        c => (GlobToken::Char(c), 1),
    }
}

fn glob_set(chars: &[char]) -> Option<(GlobToken, usize)> {
    let negated = chars.get(1) == Some(&'^');
    let mut at = 1 + usize::from(negated);
    let mut ranges = Vec::new();
    // A `]` right after the opening is a member.
    if chars.get(at) == Some(&']') {
        ranges.push((']', ']'));
        at += 1;
    }
    loop {
        let c = *chars.get(at)?;
        if c == ']' {
            return Some((GlobToken::Set { negated, ranges }, at + 1));
        }
        let end = chars.get(at + 2).filter(|end| chars[at + 1] == '-' && **end != ']');
        ranges.push((c, *end.unwrap_or(&c)));
        at += if end.is_some() { 3 } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_ignores_ascii_case_only() {
        for (pattern, text, expected) in [
            ("a%", "Abc", true),
            ("%é", "É", false),
            ("_", "é", true),
            ("a%b%c", "aXbYbZc", true),
            ("a%b%c", "aXbYbZ", false),
            ("%", "", true),
            ("", "", true),
            ("", "a", false),
            ("%a_", "banana!", true),
        ] {
            assert_eq!(Pattern::like(pattern, None).is_match(text), expected, "{text} LIKE {pattern}");
        }
        assert!(Pattern::like("100\\%", Some('\\')).is_match("100%"));
        assert!(!Pattern::like("100\\%", Some('\\')).is_match("1000"));
    }

    #[test]
    fn glob_is_exact() {
        for (pattern, text, expected) in [
            ("/usr/*/[a-c]?", "/usr/bin/ax", true),
            ("/usr/*/[a-c]?", "/usr/bin/Ax", false),
            ("[^x]", "y", true),
            ("[^x]", "x", false),
            ("[]]", "]", true),
            ("[a", "a", false),
            ("[a-]", "-", true),
        ] {
            assert_eq!(Pattern::glob(pattern).is_match(text), expected, "{text} GLOB {pattern}");
        }
    }

    #[test]
    fn a_bad_regex_says_why() {
        assert!(Pattern::regexp("a(b", REGEX.default).unwrap_err().contains("unclosed group"));
        assert!(Pattern::regexp("\\w{500}{50}", REGEX.default).unwrap_err().contains("bytes when compiled"));
        assert!(Pattern::regexp("b+c", REGEX.default).unwrap().is_match("abbc"));
    }

    proptest::proptest! {
        /// What is compiled when it is first asked must compile then.
        #[test]
        fn what_is_taken_for_an_expression_is_one(
            source in "(\\(\\?i\\))?([a-z.é]|\\[\\^?[a-z]-?\\]|\\\\[wdsbBWpPx]|\\(|\\)|[|*+?^$]|\\{[0-9]{1,3},?\\}){0,12}"
        ) {
            if let Ok(pattern) = Pattern::regexp(&source, REGEX.default) {
                pattern.is_match("a text, é");
            }
        }
    }
}
