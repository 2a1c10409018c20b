//! One value against what its setting may be: the value, or what is wrong with it and what is allowed.

use daemoneye_dsl::diagnostic::{Span, nearest};
use daemoneye_dsl::types::{MICROS_PER_SEC, display_interval, parse_interval};
use figment::value::Value;

use crate::choices::Choice;
use crate::list::{Kind, NAMES_LEN_MAX, PATHS_LEN_MAX};
use crate::tree::{Node, Tree};

/// Bytes of one path or name.
const TEXT_LEN_MAX: usize = 4096;

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A stable code.
    pub(crate) code: &'static str,
    /// Where, if not the whole value is wrong.
    pub(crate) span: Option<Span>,
    /// What is wrong.
    pub(crate) message: String,
    /// What is allowed.
    pub(crate) help: String,
    /// What was probably meant, to be put in its place.
    pub(crate) meant: Option<String>,
}

/// DE903: a value of another type.
pub(crate) const TYPE: &str = "DE903";
/// DE904: a value that is not among those allowed.
const NOT_ALLOWED: &str = "DE904";

impl Fault {
    fn new(code: &'static str, message: String, help: impl Into<String>) -> Self {
        Self { code, span: None, message, help: help.into(), meant: None }
    }
}

impl Kind {
    /// What may stand there, in words.
    pub fn allowed(self) -> String {
        match self {
            Self::Path => "a path".to_owned(),
            Self::Command => "a program and its arguments".to_owned(),
            Self::Group => "the name of a group".to_owned(),
            Self::Url => "an http or https URL".to_owned(),
            Self::Paths => format!("a list of up to {PATHS_LEN_MAX} paths"),
            Self::Duration { min, max } => {
                format!("a number and a unit, from {} to {}", display_interval(min), display_interval(max))
            }
            Self::Choice(choices) => one_of(choices),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Names => format!("a list of up to {NAMES_LEN_MAX} names"),
        }
    }

    /// What it is called in the reference.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Command => "command",
            Self::Group => "group",
            Self::Url => "URL",
            Self::Paths => "paths",
            Self::Duration { .. } => "duration",
            Self::Choice(_) => "word",
            Self::Number { .. } => "number",
            Self::Switch => "switch",
            Self::Names => "names",
        }
    }

    /// The value that a file gives.
    pub(crate) fn of_file(self, node: &Node) -> Result<Value, Fault> {
        match (self, &node.value) {
            (Self::Paths | Self::Names, Tree::List(items)) => self.of_items(items),
            (Self::Switch, Tree::Switch(on)) => Ok(Value::from(*on)),
            (Self::Number { .. }, Tree::Number(number)) => self.of_number(number),
            (
                Self::Path | Self::Command | Self::Group | Self::Url | Self::Duration { .. } | Self::Choice(_),
                Tree::Text(text),
            ) => self.of_word(text),
            (Self::Duration { .. }, Tree::Number(number)) => {
                let with_unit = ["s", "ms", "m"].map(|unit| format!("{number}{unit}"));
                let meant = with_unit.into_iter().find(|text| self.of_word(text).is_ok());
                let such_as = meant.as_ref().map(|text| format!(", such as \"{text}\"")).unwrap_or_default();
                let help = format!("write {}{such_as}", self.allowed());
                let fault = Fault::new(TYPE, format!("`{number}` has no unit"), help);
                Err(Fault { meant: meant.map(|text| format!("\"{text}\"")), ..fault })
            }
            (Self::Paths | Self::Names, Tree::Text(_)) => {
                let mut fault = self.another(&node.value);
                fault.help = format!("write {}, in brackets", self.allowed());
                Err(fault)
            }
            (_, other) => Err(self.another(other)),
        }
    }

    /// The value that an environment variable or a flag gives; items of a list are parted by commas.
    pub(crate) fn of_text(self, text: &str) -> Result<Value, Fault> {
        match self {
            Self::Path | Self::Command | Self::Group | Self::Url | Self::Duration { .. } | Self::Choice(_) => {
                self.of_word(text)
            }
            Self::Number { .. } => self.of_number(text),
            Self::Switch => match text {
                "true" | "1" => Ok(Value::from(true)),
                "false" | "0" => Ok(Value::from(false)),
                _ => Err(Fault::new(NOT_ALLOWED, format!("`{text}` is no switch"), "write true or false")),
            },
            Self::Paths | Self::Names => {
                let items: Vec<_> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
                self.of_list(&items)
            }
        }
    }

    /// The value that a flag given several times makes.
    pub(crate) fn of_list<T: AsRef<str>>(self, items: &[T]) -> Result<Value, Fault> {
        self.not_too_many(items.len())?;
        for item in items {
            self.check_item(item.as_ref())?;
        }
        Ok(Value::from(items.iter().map(|item| item.as_ref().to_owned()).collect::<Vec<_>>()))
    }

    fn of_items(self, items: &[Node]) -> Result<Value, Fault> {
        self.not_too_many(items.len())?;
        let mut texts = Vec::new();
        for item in items {
            let at_item = |fault: Fault| Fault { span: Some(item.span.clone()), ..fault };
            match &item.value {
                Tree::Text(text) => {
                    self.check_item(text).map_err(at_item)?;
                    texts.push(text.clone());
                }
                other => {
                    let message = format!("an item is {}, not text", other.name());
                    return Err(at_item(Fault::new(TYPE, message, format!("write {}", self.allowed()))));
                }
            }
        }
        Ok(Value::from(texts))
    }

    fn of_number(self, text: &str) -> Result<Value, Fault> {
        let Self::Number { min, max } = self else { unreachable!("only numbers are read as numbers") };
        match text.replace('_', "").parse::<usize>() {
            Ok(number) if (min..=max).contains(&number) => Ok(Value::from(number)),
            _ => Err(Fault::new(
                NOT_ALLOWED,
                format!("`{}` is no number that is allowed", cut(text)),
                format!("write {}", self.allowed()),
            )),
        }
    }

    fn of_word(self, text: &str) -> Result<Value, Fault> {
        match self {
            Self::Duration { min, max } => {
                let micros = parse_interval(text).ok_or_else(|| {
                    let help = format!("write {}, such as {}", self.allowed(), example(min, max));
                    Fault::new(NOT_ALLOWED, format!("`{}` is not a duration", cut(text)), help)
                })?;
                if !(min..=max).contains(&micros) {
                    let message = format!("{} is out of range", display_interval(micros));
                    let (min, max) = (display_interval(min), display_interval(max));
                    let help = format!("{min} is the shortest and {max} the longest time");
                    return Err(Fault::new(NOT_ALLOWED, message, help));
                }
            }
            Self::Choice(choices) if !choices.iter().any(|choice| choice.word == text) => {
                let message = format!("`{}` is not among the words allowed", cut(text));
                let mut fault = Fault::new(NOT_ALLOWED, message, format!("write {}", one_of(choices)));
                fault.meant = nearest(text, choices.iter().map(|choice| choice.word)).map(str::to_owned);
                return Err(fault);
            }
            Self::Path | Self::Command | Self::Group | Self::Url => self.check_item(text)?,
            _ => {}
        }
        Ok(Value::from(text))
    }

    /// A path or a name.
    fn check_item(self, text: &str) -> Result<(), Fault> {
        let wrong = |message: String, help: &str| Err(Fault::new(NOT_ALLOWED, message, help));
        if text.is_empty() {
            return wrong("it is empty".to_owned(), "leave the setting out, or give it a value");
        }
        if text.len() > TEXT_LEN_MAX {
            return wrong(format!("it has {} bytes", text.len()), "4096 bytes are the most");
        }
        if text.contains('\0') {
            return wrong("it holds a NUL character".to_owned(), "take the character out");
        }
        let is_name = |text: &str| {
            let bare = text.trim_start_matches('-');
            !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if self == Self::Names && !is_name(text) {
            let help = "write letters, digits, `-`, `_` and `.`, such as door-code";
            return wrong(format!("`{}` is no name of a flag or a variable", cut(text)), help);
        }
        if self == Self::Url {
            return url_fault(text).map_or(Ok(()), |(why, help)| wrong(why, help));
        }
        Ok(())
    }

    fn not_too_many(self, items: usize) -> Result<(), Fault> {
        let most = if self == Self::Paths { PATHS_LEN_MAX } else { NAMES_LEN_MAX };
        if items > most {
            return Err(Fault::new(NOT_ALLOWED, format!("{items} are too many"), format!("{most} are the most")));
        }
        Ok(())
    }

    fn another(self, found: &Tree) -> Fault {
        Fault::new(TYPE, format!("this is {}", found.name()), format!("write {}", self.allowed()))
    }
}

/// What is wrong with a URL, and what to do. It is not shown where it may hold a password.
fn url_fault(text: &str) -> Option<(String, &'static str)> {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return Some((format!("`{}` is no URL", cut(text)), "write one such as https://vault.example/checkpoints"));
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Some(("it names a user or a password".to_owned(), "take it out; settings are not kept secret"));
    }
    let is_http = uri.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
    if !is_http || uri.host().is_none_or(str::is_empty) {
        let why = format!("`{}` does not begin with http:// or https:// and a host", cut(text));
        return Some((why, "write one such as https://vault.example/checkpoints"));
    }
    text.contains('#')
        .then(|| (format!("`{}` has a fragment, which is never sent", cut(text)), "leave out what follows #"))
}

fn one_of(choices: &[Choice]) -> String {
    let words: Vec<_> = choices.iter().map(|choice| format!("`{}`", choice.word)).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        words => words.concat(),
    }
}

/// A duration that is allowed.
fn example(min: i64, max: i64) -> String {
    let usual = [30 * MICROS_PER_SEC, MICROS_PER_SEC / 10];
    display_interval(usual.into_iter().find(|micros| (min..=max).contains(micros)).unwrap_or(min))
}

/// As much of a wrong value as a message needs.
fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::find;

    fn refused(name: &str, text: &str) -> String {
        let fault = find(name).unwrap().kind.of_text(text).unwrap_err();
        format!("{}: {}; {}", fault.code, fault.message, fault.help)
    }

    #[test]
    fn what_is_wrong_says_what_is_allowed() {
        for (name, text, expected) in [
            (
                "collector.interval",
                "soon",
                "DE904: `soon` is not a duration; write a number and a unit, from 10ms to 1d, such as 30s",
            ),
            ("collector.interval", "25h", "DE904: 1d 1h is out of range; 10ms is the shortest and 1d the longest time"),
            (
                "collector.interval",
                "5",
                "DE904: `5` is not a duration; write a number and a unit, from 10ms to 1d, such as 30s",
            ),
            ("collector.mode", "span", "DE904: `span` is not among the words allowed; write `spawn` or `wait`"),
            ("cli.utc", "yes", "DE904: `yes` is no switch; write true or false"),
            (
                "collector.redact_names",
                "a b",
                "DE904: `a b` is no name of a flag or a variable; write letters, digits, `-`, `_` and `.`, such as door-code",
            ),
            ("data", "", "DE904: it is empty; leave the setting out, or give it a value"),
            (
                "ledger.webhook",
                "http://a b/",
                "DE904: `http://a b/` is no URL; write one such as https://vault.example/checkpoints",
            ),
            (
                "ledger.webhook",
                "https://me:secret@vault.example/",
                "DE904: it names a user or a password; take it out; settings are not kept secret",
            ),
            (
                "ledger.webhook",
                "vault.example",
                "DE904: `vault.example` does not begin with http:// or https:// and a host; write one such as https://vault.example/checkpoints",
            ),
            (
                "ledger.webhook",
                "ftp://vault.example",
                "DE904: `ftp://vault.example` does not begin with http:// or https:// and a host; write one such as https://vault.example/checkpoints",
            ),
            (
                "ledger.webhook",
                "https://vault.example/a#b",
                "DE904: `https://vault.example/a#b` has a fragment, which is never sent; leave out what follows #",
            ),
        ] {
            assert_eq!(refused(name, text), expected);
        }
        let many = vec!["a"; PATHS_LEN_MAX + 1].join(",");
        assert_eq!(refused("rules.paths", &many), "DE904: 65 are too many; 64 are the most");
    }

    #[test]
    fn what_is_right_is_taken() {
        for (name, text) in [
            ("collector.interval", "1m 30s"),
            ("collector.mode", "wait"),
            ("cli.utc", "true"),
            ("collector.redact_names", "door-code, --x.y,"),
            ("rules.paths", "/a,b"),
            ("ledger.webhook", "https://vault.example:8443/checkpoints?host=7"),
            ("ledger.webhook", "http://[::1]:80"),
        ] {
            let value = find(name).unwrap().kind.of_text(text);
            assert!(value.is_ok(), "{name} {text}: {value:?}");
        }
    }
}
