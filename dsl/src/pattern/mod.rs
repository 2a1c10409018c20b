//! LIKE, GLOB and REGEXP with a constant pattern, compiled once when a rule is loaded.
//!
//! LIKE ignores the case of ASCII letters and only of those; GLOB and REGEXP are exact; REGEXP finds a match anywhere
//! and runs in linear time. All are as in SQLite (REGEXP as its extension of that name).
//!
//! LIKE and GLOB are tokens ([`wildcard`]); where these are literals with "any" between them, as in nearly every rule,
//! they are searched by bytes instead ([`pieces`]), with the same answers. [`required`] says what a match contains.

mod pieces;
mod rarity;
mod required;
mod wildcard;

use std::fmt;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_syntax::Parser;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::limits::REGEX;
use pieces::Pieces;
pub use rarity::rarity;
pub use required::{Literal, Required};
use wildcard::{GlobToken, LikeToken, Token, glob_tokens, like_tokens};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Box<str>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Like {
        escape: Option<char>,
        wildcard: Wildcard<LikeToken>,
    },
    Glob(Wildcard<GlobToken>),
    /// Compiled when it is first asked: that takes longer than everything else about a rule, and a linter never asks.
    Regex(OnceLock<Regex>),
}

/// How LIKE and GLOB are tried. Rules hold tens of thousands of them, so only what that needs is kept.
#[derive(Clone, Debug)]
enum Wildcard<T> {
    Pieces(Pieces),
    Tokens(Box<[T]>),
}

impl<T: Token> Wildcard<T> {
    fn of(tokens: Vec<T>, folded: bool) -> Self {
        Pieces::of(&tokens, folded).map_or_else(|| Self::Tokens(tokens.into()), Self::Pieces)
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.matches(text),
            Self::Tokens(tokens) => wildcard::matches(tokens, text),
        }
    }
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

/// Two patterns are the same when their text and kind are.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.kind() == other.kind() && self.escape() == other.escape()
    }
}

impl Pattern {
    /// `LIKE source [ESCAPE escape]`.
    pub fn like(source: &str, escape: Option<char>) -> Self {
        let wildcard = Wildcard::of(like_tokens(source, escape), true);
        Self { source: source.into(), form: Form::Like { escape, wildcard } }
    }

    /// `GLOB source`: `*`, `?`, `[a-z]`, `[^a-z]`.
    pub fn glob(source: &str) -> Self {
        Self { source: source.into(), form: Form::Glob(Wildcard::of(glob_tokens(source), false)) }
    }

    /// `text LIKE source [ESCAPE escape]`, once: nothing is made ready.
    pub fn is_like(text: &str, source: &str, escape: Option<char>) -> bool {
        wildcard::matches(&like_tokens(source, escape), text)
    }

    /// `text GLOB source`, once.
    pub fn is_glob(text: &str, source: &str) -> bool {
        wildcard::matches(&glob_tokens(source), text)
    }

    /// `REGEXP source`, or why it is not a regular expression or too large.
    pub fn regexp(source: &str, len_max: usize) -> Result<Self, String> {
        let regex = match Parser::new().parse(source) {
            Ok(parsed) if program_len(&parsed) <= len_max => OnceLock::new(),
            // Too large by a guess, or wrong: the library has the word.
            _ => OnceLock::from(Self::compile(source, len_max)?),
        };
        Ok(Self { source: source.into(), form: Form::Regex(regex) })
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Which operator it belongs to.
    pub fn kind(&self) -> PatternKind {
        match self.form {
            Form::Like { .. } => PatternKind::Like,
            Form::Glob(_) => PatternKind::Glob,
            Form::Regex(_) => PatternKind::Regexp,
        }
    }

    /// LIKE's ESCAPE.
    pub fn escape(&self) -> Option<char> {
        if let Form::Like { escape, .. } = self.form { escape } else { None }
    }

    /// What every text that matches contains.
    pub fn required(&self) -> Required {
        match &self.form {
            Form::Like { escape, .. } => required::of_tokens(&like_tokens(&self.source, *escape)),
            Form::Glob(_) => required::of_tokens(&glob_tokens(&self.source)),
            Form::Regex(_) => required::of_expression(&self.source),
        }
    }

    /// The literal that texts have exactly where they match, folded, if that is all there is to the pattern.
    pub fn only_literal(&self) -> Option<Literal> {
        let Form::Like { escape, .. } = &self.form else { return None };
        let tokens = like_tokens(&self.source, *escape);
        let Required::Literal(literal) = required::of_tokens(&tokens) else { return None };
        tokens.iter().all(|token| token.is_any() || token.literal().is_some()).then_some(literal)
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
            Form::Like { wildcard, .. } => wildcard.is_match(text),
            Form::Glob(wildcard) => wildcard.is_match(text),
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
            Form::Glob(_) => write!(f, "GLOB '{quoted}'"),
            Form::Regex(_) => write!(f, "REGEXP '{quoted}'"),
        }
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
    fn one_literal_is_all_there_is() {
        let only = |pattern: Pattern| pattern.only_literal().map(|it| (it.bytes, it.at_start, it.at_end));
        let like = |source| only(Pattern::like(source, None));
        assert_eq!(like("%%Abé%"), Some(("abé".into(), false, false)));
        assert_eq!(like("ab%"), Some((b"ab".into(), true, false)));
        assert_eq!(like("%ab"), Some((b"ab".into(), false, true)));
        assert_eq!(like("ab"), Some((b"ab".into(), true, true)));
        for source in ["", "%", "_ab%", "%ab_", "%a%b%", "a%b"] {
            assert_eq!(like(source), None, "{source}");
        }
        assert_eq!(only(Pattern::glob("*ab*")), None, "case matters there");
        assert_eq!(only(Pattern::regexp("ab", REGEX.default).unwrap()), None);
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
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]

        /// The search by bytes against the general form.
        #[test]
        fn literals_are_found_as_tokens_are(
            source in "([aAbBé1%*_\\\\]|%%|ab|aab){0,6}",
            texts in proptest::collection::vec("([aAbBéÉ1%\\\\]|aab|AB){0,9}", 30)
        ) {
            for text in &texts {
                for escape in [None, Some('\\'), Some('a')] {
                    let expected = Pattern::is_like(text, &source, escape);
                    proptest::prop_assert_eq!(Pattern::like(&source, escape).is_match(text), expected, "{}", text);
                }
                let expected = Pattern::is_glob(text, &source);
                proptest::prop_assert_eq!(Pattern::glob(&source).is_match(text), expected, "{}", text);
            }
        }
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
