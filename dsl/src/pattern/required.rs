//! What a text must contain for a pattern to match it: what an index of literals looks for before the pattern is tried.
//!
//! Necessary, not sufficient: leaving a requirement out is always right. Literals are in lower case where they are ASCII
//! letters and meant for texts that are folded the same way, so one serves LIKE, GLOB and REGEXP.

use regex_syntax::Parser;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::wildcard::Token;

/// A condition on the folded text that every match fulfils.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    /// Nothing is known.
    Anything,
    /// The text contains it.
    Literal(Literal),
    /// Each of them.
    All(Vec<Required>),
    /// One of them at least.
    Any(Vec<Required>),
}

/// A piece of text, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    /// Folded: ASCII letters are in lower case.
    pub bytes: Vec<u8>,
    /// Whether the text begins with it.
    pub at_start: bool,
    /// Whether the text ends with it.
    pub at_end: bool,
}

impl Literal {
    /// Anywhere in the text.
    fn within(text: &str) -> Self {
        Self { bytes: text.to_ascii_lowercase().into_bytes(), at_start: false, at_end: false }
    }
}

/// Strings that one part of an expression can be: more are not told apart.
const STRINGS_MAX: usize = 16;
/// Bytes of one of them: a longer one is cut in two.
const STRING_LEN_MAX: usize = 64;
/// Characters that one place can have: more are not told apart.
const CHARS_MAX: usize = 4;

/// Of LIKE and GLOB.
pub(super) fn of_tokens(tokens: &[impl Token]) -> Required {
    let mut all = Vec::new();
    let mut run = String::new();
    let mut at_start = true;
    for token in tokens {
        if let Some(c) = token.literal() {
            run.push(c);
            continue;
        }
        if !run.is_empty() {
            all.push(Required::Literal(Literal { at_start, ..Literal::within(&run) }));
        }
        run.clear();
        at_start = false;
    }
    if !run.is_empty() {
        all.push(Required::Literal(Literal { at_start, at_end: true, ..Literal::within(&run) }));
    }
    combined(all)
}

/// Of REGEXP.
pub(super) fn of_expression(source: &str) -> Required {
    Parser::new().parse(source).map_or(Required::Anything, |expression| Found::of(&expression).into_required())
}

fn combined(mut all: Vec<Required>) -> Required {
    all.retain(|part| *part != Required::Anything);
    match all.len() {
        0 => Required::Anything,
        1 => all.remove(0),
        _ => Required::All(all),
    }
}

/// What is known of the text that a part of an expression takes.
enum Found {
    /// Folded, it is one of these.
    Strings(Vec<String>),
    /// It contains what is required.
    Some(Required),
}

impl Found {
    fn of(expression: &Hir) -> Self {
        match expression.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::Strings(vec![String::new()]),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Self::Strings(vec![text.to_ascii_lowercase()]),
                Err(_) => Self::Some(Required::Anything),
            },
            HirKind::Class(class) => chars(class).map_or(Self::Some(Required::Anything), Self::Strings),
            HirKind::Capture(group) => Self::of(&group.sub),
            HirKind::Repetition(repeated) => {
                let once = |found: Self| Self::Some(found.into_required());
                match (repeated.min, repeated.max, Self::of(&repeated.sub)) {
                    (1, Some(1), found) => found,
                    (0, Some(1), Self::Strings(mut strings)) => {
                        strings.push(String::new());
                        Self::Strings(strings)
                    }
                    (0, ..) => Self::Some(Required::Anything),
                    (.., found) => once(found),
                }
            }
            HirKind::Concat(parts) => Self::in_order(parts),
            HirKind::Alternation(parts) => Self::either(parts),
        }
    }

    fn in_order(parts: &[Hir]) -> Self {
        let is_edge = |part: Option<&Hir>, look| part.is_some_and(|part| *part.kind() == HirKind::Look(look));
        let at_end = is_edge(parts.last(), Look::End);
        let mut at_start = is_edge(parts.first(), Look::Start);
        let is_whole = !at_start && !at_end;
        let mut all = Vec::new();
        let mut open = vec![String::new()];
        for part in parts {
            let next = match Self::of(part) {
                Self::Strings(strings)
                    if open.len() * strings.len() <= STRINGS_MAX
                        && open.iter().all(|string| string.len() < STRING_LEN_MAX) =>
                {
                    open = followed(&open, &strings);
                    continue;
                }
                Self::Strings(strings) => (strings, None),
                Self::Some(required) => (vec![String::new()], Some(required)),
            };
            all.push(one_of(std::mem::replace(&mut open, next.0), at_start, false));
            all.extend(next.1);
            at_start = false;
        }
        if all.is_empty() && is_whole {
            return Self::Strings(open);
        }
        all.push(one_of(open, at_start, at_end));
        Self::Some(combined(all))
    }

    fn either(parts: &[Hir]) -> Self {
        let found: Vec<_> = parts.iter().map(Self::of).collect();
        let strings: Option<Vec<_>> = found.iter().map(Self::strings).collect();
        if let Some(strings) = strings.map(|each| each.concat()).filter(|all| all.len() <= STRINGS_MAX) {
            return Self::Strings(strings);
        }
        let any: Vec<_> = found.into_iter().map(Self::into_required).collect();
        let known = any.iter().all(|part| *part != Required::Anything);
        Self::Some(if known { Required::Any(any) } else { Required::Anything })
    }

    fn strings(&self) -> Option<&[String]> {
        if let Self::Strings(strings) = self { Some(strings) } else { None }
    }

    fn into_required(self) -> Required {
        match self {
            Self::Strings(strings) => one_of(strings, false, false),
            Self::Some(required) => required,
        }
    }
}

/// Each of the first with each of the second behind it.
fn followed(first: &[String], second: &[String]) -> Vec<String> {
    first.iter().flat_map(|start| second.iter().map(move |end| format!("{start}{end}"))).collect()
}

fn one_of(mut strings: Vec<String>, at_start: bool, at_end: bool) -> Required {
    strings.sort_unstable();
    strings.dedup();
    if strings.iter().any(String::is_empty) {
        return Required::Anything;
    }
    let literal = |text: &String| Required::Literal(Literal { at_start, at_end, ..Literal::within(text) });
    let mut literals: Vec<_> = strings.iter().map(literal).collect();
    if literals.len() == 1 { literals.remove(0) } else { Required::Any(literals) }
}

/// The characters of a small class, folded. `(?i)k` has KELVIN SIGN among its own: that is not ASCII and stays.
fn chars(class: &Class) -> Option<Vec<String>> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
        Class::Bytes(class) => {
            let bytes = class.ranges().iter().map(|range| (range.start(), range.end()));
            // Bytes beyond ASCII are parts of characters.
            bytes.map(|(from, to)| to.is_ascii().then(|| (char::from(from), char::from(to)))).collect::<Option<_>>()?
        }
    };
    let mut chars = Vec::new();
    for c in ranges.into_iter().flat_map(|(from, to)| from..=to).take(2 * CHARS_MAX + 1) {
        chars.push(c.to_ascii_lowercase());
    }
    let few = chars.len() <= 2 * CHARS_MAX;
    chars.sort_unstable();
    chars.dedup();
    (few && chars.len() <= CHARS_MAX).then(|| chars.into_iter().map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::REGEX;
    use crate::pattern::Pattern;

    fn holds(required: &Required, folded: &str) -> bool {
        match required {
            Required::Anything => true,
            Required::Literal(literal) => {
                let text = std::str::from_utf8(&literal.bytes).expect("whole characters");
                folded.contains(text)
                    && (!literal.at_start || folded.starts_with(text))
                    && (!literal.at_end || folded.ends_with(text))
            }
            Required::All(parts) => parts.iter().all(|part| holds(part, folded)),
            Required::Any(parts) => parts.iter().any(|part| holds(part, folded)),
        }
    }

    fn literals(required: &Required) -> Vec<String> {
        match required {
            Required::Anything => vec![],
            Required::Literal(literal) => vec![String::from_utf8(literal.bytes.clone()).unwrap()],
            Required::All(parts) | Required::Any(parts) => parts.iter().flat_map(literals).collect(),
        }
    }

    #[test]
    fn expressions_say_what_they_require() {
        for (source, wanted) in [
            (
                r"https?://a\.(com|org)/x",
                &["http://a.com/x", "http://a.org/x", "https://a.com/x", "https://a.org/x"][..],
            ),
            (r"(?i)Curl\s+-[oO] ", &["curl", "-o "]),
            ("(?i)mask", &["mask", "mas\u{212a}", "ma\u{17f}k", "ma\u{17f}\u{212a}"]),
            ("nc(at)? .*-e", &["nc ", "ncat ", "-e"]),
            ("(wget|curl).*[0-9]+|dd", &["curl", "wget", "dd"]),
            ("(wget|curl).*[0-9]+|d*", &[]),
            ("(abc)*x{2,}y*", &["x"]),
            ("^/usr/(bin|sbin)/.*$", &["/usr/bin/", "/usr/sbin/"]),
            ("[a-z]+", &[]),
            ("", &[]),
        ] {
            let found = literals(&Pattern::regexp(source, REGEX.default).unwrap().required());
            assert_eq!(found, wanted, "{source}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_an_expression_matches_has_what_it_requires(
            source in concat!(
                r"(\(\?i\))?\^?(((ab|sk|[aA]|[b-d]|é|K|\.|s|\(ab\|c\)|\(a\|kb\|\)|\(\?i:sa\)|\[\^a\]|\[ab\]|\[kK\]|\\b)",
                r"[*+?]?(\{2\})?)|\.\*){0,6}(\|[a-c])?\$?",
            ),
            texts in proptest::collection::vec("[aAbBcdsSkKéÉ\u{17f}\u{212a}. ]{0,8}", 40)
        ) {
            if let Ok(pattern) = Pattern::regexp(&source, REGEX.default) {
                let required = pattern.required();
                for text in texts.iter().filter(|text| pattern.is_match(text)) {
                    proptest::prop_assert!(holds(&required, &text.to_ascii_lowercase()), "{text} {required:?}");
                }
            }
        }

        #[test]
        fn what_a_wildcard_matches_has_what_it_requires(
            source in r"([aAbBé_%?*\\]|\[\^?[ab]\]){0,7}",
            texts in proptest::collection::vec("[aAbBéÉ%_\\\\]{0,8}", 40)
        ) {
            for pattern in [Pattern::like(&source, None), Pattern::like(&source, Some('\\')), Pattern::glob(&source)] {
                let required = pattern.required();
                for text in texts.iter().filter(|text| pattern.is_match(text)) {
                    proptest::prop_assert!(holds(&required, &text.to_ascii_lowercase()), "{pattern} {text} {required:?}");
                }
            }
        }
    }
}
