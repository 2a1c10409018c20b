//! What `--table` takes: `NAME=FILE`, or `NAME(column type, …)=FILE` where types are declared.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use daemoneye_dsl::tables::lineage::Lineage;
use daemoneye_dsl::types::Type;

/// The types that a column of a file may have.
const TYPES: [Type; 6] = [Type::Integer, Type::Real, Type::Text, Type::Blob, Type::Boolean, Type::Timestamp];

/// A file and the table that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The table's name.
    pub(super) name: String,
    /// The columns whose types are not inferred.
    pub(super) declared: Vec<(String, Type)>,
    /// The file; `-` is standard input.
    pub(super) path: PathBuf,
}

impl FromStr for Spec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let form = "write NAME=FILE, or NAME(column type, …)=FILE";
        let name_len = text.find(['(', '=']).with_context(|| format!("no `=`: {form}"))?;
        let (name, mut rest) = text.split_at(name_len);
        let mut declared = Vec::new();
        if let Some(columns) = rest.strip_prefix('(') {
            (declared, rest) = declarations(columns)?;
        }
        let path = rest.strip_prefix('=').with_context(|| format!("no `=` after the table: {form}"))?;
        if path.is_empty() {
            bail!("no file after `=`: {form}");
        }
        Self::new(name.trim(), declared, path.into())
    }
}

impl Spec {
    /// A table of that name, if it can be one.
    pub(super) fn new(name: &str, declared: Vec<(String, Type)>, path: PathBuf) -> anyhow::Result<Self> {
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(char::is_numeric);
        if name.is_empty() || !is_name {
            bail!("`{name}` cannot name a table: take letters, digits and `_`, no digit first");
        }
        if Lineage::named(name).is_some() {
            bail!("`{name}` is a table function; take another name");
        }
        Ok(Self { name: name.to_owned(), declared, path })
    }
}

/// The columns up to the closing parenthesis, and what follows it.
fn declarations(text: &str) -> anyhow::Result<(Vec<(String, Type)>, &str)> {
    let mut declared: Vec<(String, Type)> = Vec::new();
    let mut rest = text;
    loop {
        let (column, after) = column_name(rest.trim_start())?;
        let end = after.find([',', ')']).context("no `)` after the columns")?;
        let ty = after[..end].trim();
        let known = TYPES.iter().find(|known| known.name().eq_ignore_ascii_case(ty));
        let names = || TYPES.map(Type::name).join(", ");
        let ty = known.with_context(|| format!("`{ty}` is no type for column `{column}`: take one of {}", names()))?;
        if declared.iter().any(|(other, _)| other.eq_ignore_ascii_case(&column)) {
            bail!("column `{column}` is declared twice");
        }
        declared.push((column, *ty));
        rest = &after[end + 1..];
        if after[end..].starts_with(')') {
            return Ok((declared, rest));
        }
    }
}

/// A bare or double-quoted name, and what follows it.
fn column_name(text: &str) -> anyhow::Result<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ',', ')', '\t']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            bail!("a column's name is missing before its type");
        }
        return Ok((name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"').context("no closing `\"` after a column's name")?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Ok((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_and_columns_declared() {
        let spec = |text: &str| text.parse::<Spec>().unwrap();
        let plain = spec("events=/tmp/a=b(c).jsonl");
        assert_eq!((plain.name.as_str(), plain.path.to_str().unwrap()), ("events", "/tmp/a=b(c).jsonl"));
        let declared = spec(r#"e(pid integer, "a ""b"", =)" TEXT)=-"#);
        assert_eq!(declared.declared, [("pid".to_owned(), Type::Integer), (r#"a "b", =)"#.to_owned(), Type::Text)]);
        assert_eq!(declared.path.to_str().unwrap(), "-");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("events", "no `=`"),
            ("events=", "no file"),
            ("=x", "cannot name a table"),
            ("my table=x", "cannot name a table"),
            ("1a=x", "cannot name a table"),
            ("ancestors=x", "table function"),
            ("Descendants=x", "table function"),
            ("e(a)=x", "no type for column `a`"),
            ("e(a interval)=x", "INTEGER, REAL, TEXT"),
            ("e(a text, A text)=x", "declared twice"),
            ("e(a text=x", "no `)`"),
            ("e(\"a text)=x", "no closing"),
            ("e(a text)", "no `=` after"),
            ("e( text)=x", "no type"),
        ] {
            let error = format!("{:#}", text.parse::<Spec>().unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
