//! Paths into JSON, as SQLite writes them.

use serde_json::Value as Json;

/// `$.key[0]`, step by step.
pub(super) struct Path<'a>(Vec<Step<'a>>);

enum Step<'a> {
    Key(&'a str),
    /// From the start.
    Index(usize),
    /// From the end; 0 is the place behind the last element, where there is nothing.
    FromEnd(usize),
}

impl<'a> Path<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(after) = rest.strip_prefix('.') { key(after)? } else { index(rest)? };
            steps.push(step);
            rest = after;
        }
        Some(Self(steps))
    }

    pub(super) fn find<'j>(&self, json: &'j Json) -> Option<&'j Json> {
        self.0.iter().try_fold(json, |json, step| match (step, json) {
            (Step::Key(key), Json::Object(members)) => members.get(*key),
            (Step::Index(at), Json::Array(items)) => items.get(*at),
            (Step::FromEnd(back), Json::Array(items)) => items.get(items.len().checked_sub(*back)?),
            _ => None,
        })
    }
}

fn key(text: &str) -> Option<(Step<'_>, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, after) = quoted.split_once('"')?;
        return Some((Step::Key(key), after));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    (end > 0).then(|| (Step::Key(&text[..end]), &text[end..]))
}

fn index(text: &str) -> Option<(Step<'_>, &str)> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().unwrap_or(usize::MAX))
    };
    let step = match inside.strip_prefix('#') {
        None => Step::Index(number(inside)?),
        Some("") => Step::FromEnd(0),
        Some(back) => Step::FromEnd(number(back.strip_prefix('-')?)?),
    };
    Some((step, after))
}
