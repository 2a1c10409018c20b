//! Topics, the patterns that match them, and the product's names.
//!
//! The grammar is that of NATS: tokens joined by `.`; in a pattern the token `*` stands for one token and a final `>`
//! for one or more. Inside a token both are ordinary characters. Tokens are not empty and hold neither white space nor
//! control characters.

use std::fmt::{self, Display};

use crate::error::Error;

/// Bytes of a topic or pattern.
pub const TOPIC_LEN_MAX: usize = 512;
/// Every snapshot and event of every table.
pub const ALL_EVENTS: &str = "events.>";
/// Every alert.
pub const ALL_ALERTS: &str = "alerts.>";
/// The health of every component.
pub const ALL_HEALTH: &str = "health.>";
/// Everything that bears on security.
pub const ALL_AUDIT: &str = "audit.>";
/// Answers in parts.
pub const ALL_REPLIES: &str = "reply.>";

/// Where collectors publish what they see of a table.
pub fn events(table: &str) -> String {
    format!("events.{}", token(table))
}

/// Where the agent publishes what a rule raised.
pub fn alerts(level: &str, rule: &str) -> String {
    format!("alerts.{}.{}", token(level), token(rule))
}

/// Where a component listens for orders: the agent as `agent`.
pub fn control(component: &str) -> String {
    format!("control.{}", token(component))
}

/// Where a component says how it is.
pub fn health(component: &str) -> String {
    format!("health.{}", token(component))
}

/// Where what an actor did is put on record.
pub fn audit(actor: &str, action: &str) -> String {
    format!("audit.{}.{}", token(actor), token(action))
}

/// Where a connection that asked gets an answer in parts.
pub fn reply(connection: u64, number: u64) -> String {
    format!("reply.{connection}.{number}")
}

/// `text` as one token: what a token cannot hold becomes `_`, and what is too long is cut. A topic only routes; what
/// must be exact stands in the payload.
fn token(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(128)];
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    if text.is_empty() { "_".to_owned() } else { text.chars().map(plain).collect() }
}

/// A valid topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(String);

impl Topic {
    /// Takes what one can publish under.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        Self::check(&text)?;
        Ok(Self(text))
    }

    /// Whether [`Topic::parse`] would take it.
    pub(crate) fn check(text: &str) -> Result<(), Error> {
        check(text, "topic")?;
        if text.split('.').any(|token| token == "*" || token == ">") {
            return Err(invalid(text, "topic", "`*` and `>` are for patterns"));
        }
        Ok(())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0
    }
}

/// A valid pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes what one can subscribe to.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        check(&text, "pattern")?;
        let mut before_last = text.split('.').rev().skip(1);
        if before_last.any(|token| token == ">") {
            return Err(invalid(&text, "pattern", "`>` comes last"));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this matches every topic that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        let mut others = other.0.split('.');
        for wanted in self.0.split('.') {
            match (wanted, others.next()) {
                (">", Some(_)) => return true,
                (_, Some(">") | None) => return false,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        others.next().is_none()
    }

    /// Whether some topic is matched by both.
    pub fn meets(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether a subscriber to this gets what is published under `topic`.
    pub fn matches(&self, topic: &Topic) -> bool {
        let mut tokens = topic.0.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What topics and patterns have in common.
fn check(text: &str, what: &str) -> Result<(), Error> {
    if text.len() > TOPIC_LEN_MAX {
        return Err(Error::Invalid(format!("{what} of {} bytes, at most {TOPIC_LEN_MAX} are allowed", text.len())));
    }
    if text.split('.').any(str::is_empty) {
        return Err(invalid(text, what, "no part between dots is empty"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(invalid(text, what, "white space and control characters are not allowed"));
    }
    Ok(())
}

fn invalid(text: &str, what: &str, why: &str) -> Error {
    Error::Invalid(format!("invalid {what} {text:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn matches(pattern: &str, topic: &str) -> bool {
        Topic::parse(topic).is_ok_and(|topic| Pattern::parse(pattern).unwrap().matches(&topic))
    }

    #[test]
    fn wildcards() {
        assert!(matches("events.>", "events.processes"));
        assert!(matches("alerts.*.shell", "alerts.high.shell"));
        assert!(!matches("events.>", "events"));
        assert!(!matches("events.*", "events.a.b"));
        assert!(!matches("events.a.b", "events.a"));
    }

    #[test]
    fn names_are_valid_whatever_they_are_made_of() {
        let long = "漢".repeat(1_000);
        for part in ["processes", "", "a.b", "*", ">", "sh ell\n", "\u{202e}", &long] {
            for topic in [events(part), alerts(part, part), control(part), health(part)] {
                Topic::parse(topic).unwrap();
            }
        }
        assert_eq!(alerts("high", "web shell.v2"), "alerts.high.web_shell_v2");
    }

    #[test]
    fn errors_name_the_thing() {
        let text = |result: Result<Pattern, Error>| result.unwrap_err().to_string();
        assert_eq!(text(Pattern::parse("a.>.b")), "invalid pattern \"a.>.b\": `>` comes last");
        assert_eq!(text(Pattern::parse("x".repeat(600))), "pattern of 600 bytes, at most 512 are allowed");
        assert!(text(Pattern::parse("a\u{1b}[2J")).contains(r"\u{1b}"));
    }

    /// Facts about NATS, collected by running it.
    #[test]
    fn shared_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/subjects.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            writeln!(std::io::stderr(), "skipped: shared/vectors/subjects.json is not here").unwrap();
            return;
        };
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        let section = |name: &str| vectors[name].as_array().unwrap().clone();
        for fact in section("nats") {
            let (pattern, topic) = (fact["pattern"].as_str().unwrap(), fact["subject"].as_str().unwrap());
            assert_eq!(matches(pattern, topic), fact["match"], "{fact}");
        }
        for fact in section("nats_validity") {
            let subject = fact["subject"].as_str().unwrap();
            let valid = match fact["kind"].as_str().unwrap() {
                "publish" => Topic::parse(subject).is_ok(),
                _ => Pattern::parse(subject).is_ok(),
            };
            assert_eq!(valid, fact["valid"], "{fact}");
        }
    }
}
