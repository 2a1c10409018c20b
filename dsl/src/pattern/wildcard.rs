//! LIKE and GLOB in general: tokens, tried one after the other.

/// One step of a pattern of LIKE.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LikeToken {
    /// In lower case.
    Char(char),
    One,
    Any,
}

/// One step of a pattern of GLOB.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GlobToken {
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

/// What literals are made of.
pub(super) trait Token {
    /// Whether it takes any text, also none.
    fn is_any(&self) -> bool;
    /// The character that it takes, if that is one.
    fn literal(&self) -> Option<char>;
    /// Whether it takes this character.
    fn takes(&self, c: char) -> bool;
}

impl Token for LikeToken {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }

    fn literal(&self) -> Option<char> {
        if let Self::Char(c) = self { Some(*c) } else { None }
    }

    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => c.to_ascii_lowercase() == *wanted,
            Self::One => true,
            Self::Any => false,
        }
    }
}

impl Token for GlobToken {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }

    fn literal(&self) -> Option<char> {
        if let Self::Char(c) = self { Some(*c) } else { None }
    }

    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => c == *wanted,
            Self::One => true,
            Self::Set { negated, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
            Self::Any | Self::Never => false,
        }
    }
}

/// The tokens of `LIKE source [ESCAPE escape]`.
pub(super) fn like_tokens(source: &str, escape: Option<char>) -> Vec<LikeToken> {
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
    tokens
}

/// The tokens of `GLOB source`.
pub(super) fn glob_tokens(source: &str) -> Vec<GlobToken> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let (token, len) = glob_token(&chars[at..]);
        tokens.push(token);
        at += len;
    }
    tokens
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

/// Whether the tokens match the whole text. On a mismatch only the last "any" is extended by one character: earlier
/// ones need no second try, so the time is at most tokens × characters (Krauss, "Matching Wildcards", 2008).
pub(super) fn matches(tokens: &[impl Token], text: &str) -> bool {
    let (mut token, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let next = rest.chars().next();
        match (tokens.get(token), next) {
            (Some(it), _) if it.is_any() => {
                token += 1;
                if token == tokens.len() {
                    return true;
                }
                retry = Some((token, rest));
                continue;
            }
            (Some(it), Some(c)) if it.takes(c) => {
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
