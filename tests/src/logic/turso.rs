//! turso's test files.
//!
//! ```text
//! @database :memory:
//! setup NAME { SQL }
//! @setup NAME            before the test whose statements come first; @skip-if ENGINE "why", @backend …
//! test NAME { SQL; SQL }
//! expect { rows, columns apart by | }      or: expect error { … }, expect raw { … }, expect unordered { … }
//! ```
//!
//! A block ends with a line that is `}` alone, or on the line on which it began.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, bail};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::Extent;
use super::database::Database;
use super::format::plain;
use super::report::{Report, Verdict};
use super::script::is_query;

/// One test.
#[derive(Debug, Default)]
struct Case {
    name: String,
    sql: String,
    setups: Vec<String>,
    /// Why it is not for this engine.
    skipped: Option<String>,
    expected: Option<Expected>,
}

#[derive(Debug)]
enum Expected {
    Rows(String),
    Raw(String),
    Unordered(String),
    Error,
    Pattern,
}

pub(super) fn run(text: &str, extent: Extent) -> anyhow::Result<Report> {
    let File { setups, cases, own_tables } = read(text)?;
    let mut report = Report::default();
    for (number, case) in cases.iter().enumerate().filter(|(number, _)| extent.has(number + 1)) {
        let begin = Instant::now();
        let verdict = judge(case, &setups, own_tables);
        report.took(begin.elapsed(), &case.name);
        report.add(&format!("test {} ({})", number + 1, case.name), case.sql.trim(), verdict);
    }
    Ok(report)
}

struct File {
    setups: BTreeMap<String, String>,
    cases: Vec<Case>,
    /// It does not start from a database that somebody else filled.
    own_tables: bool,
}

fn read(text: &str) -> anyhow::Result<File> {
    let mut file = File { setups: BTreeMap::new(), cases: vec![], own_tables: false };
    let mut lines = text.lines();
    let (mut setups, mut skipped) = (Vec::new(), None);
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["@database", which, ..] => file.own_tables |= which.starts_with(":memory:"),
            ["@setup", name] => setups.push((*name).to_owned()),
            ["@skip-if", engine, why @ ..] if *engine == "sqlite" => {
                skipped = Some(format!("not for SQLite: {}", why.join(" ").trim_matches('"')));
            }
            ["@backend", backend] if *backend == "cli" => skipped = Some("for a command line shell".to_owned()),
            [first, ..] if first.starts_with('@') => {}
            ["setup", name, ..] => drop(file.setups.insert((*name).to_owned(), block(line, &mut lines)?)),
            ["test", name, ..] => {
                let sql = block(line, &mut lines)?;
                let (setups, skipped) = (std::mem::take(&mut setups), skipped.take());
                file.cases.push(Case { name: (*name).to_owned(), sql, setups, skipped, expected: None });
            }
            // A plan, printed: not ours to compare.
            ["snapshot", ..] => {
                block(line, &mut lines)?;
                setups.clear();
            }
            ["expect", kind, ..] => {
                let text = block(line, &mut lines)?;
                let case = file.cases.last_mut().context("an `expect` before the first test")?;
                let expected = match *kind {
                    "{" => Expected::Rows(text),
                    "raw" => Expected::Raw(text),
                    "unordered" => Expected::Unordered(text),
                    "error" => Expected::Error,
                    "pattern" => Expected::Pattern,
                    // Of another backend.
                    other if other.starts_with('@') => continue,
                    other => bail!("unknown expectation `{other}`"),
                };
                case.expected = Some(expected);
            }
            _ => bail!("cannot read the line `{line}`"),
        }
    }
    Ok(file)
}

/// What stands in the braces that open on `line`.
fn block<'t>(line: &str, lines: &mut impl Iterator<Item = &'t str>) -> anyhow::Result<String> {
    let (_, rest) = line.split_once('{').with_context(|| format!("no `{{` in the line `{line}`"))?;
    if let Some(inner) = rest.trim_end().strip_suffix('}') {
        return Ok(inner.trim().to_owned());
    }
    let mut inner = Vec::new();
    if !rest.trim().is_empty() {
        inner.push(rest);
    }
    for line in lines {
        if line.trim_end() == "}" {
            return Ok(inner.join("\n"));
        }
        inner.push(line);
    }
    bail!("the block that begins with `{line}` has no end")
}

fn judge(case: &Case, setups: &BTreeMap<String, String>, own_tables: bool) -> Verdict {
    let not_applicable = |why: &str| Verdict::NotApplicable(why.to_owned());
    if let Some(why) = &case.skipped {
        return not_applicable(why);
    }
    let Some(expected) = &case.expected else { return not_applicable("nothing is expected") };
    let mut database = Database::default();
    for setup in &case.setups {
        for sql in statements(setups.get(setup).map(String::as_str).unwrap_or_default()) {
            if let Err(reason) = database.write(&sql) {
                return Verdict::NotApplicable(format!("the harness could not do: {reason}"));
            }
        }
    }
    let statements = statements(&case.sql);
    let (mut shown, mut asked, mut refused) = (Vec::new(), false, None);
    for sql in &statements {
        if is_query(sql) {
            asked = true;
            match database.rows(sql) {
                Ok(rows) => shown.extend(rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join("|"))),
                Err(verdict) => refused = refused.or(Some(verdict)),
            }
        } else if sql.starts_with('.') || sql.to_ascii_uppercase().starts_with("EXPLAIN") {
            return not_applicable("no SQL, or EXPLAIN");
        } else if let Err(reason) = database.write(sql) {
            return Verdict::NotApplicable(format!("the harness could not do: {reason}"));
        }
    }
    if !asked {
        return not_applicable("no SELECT");
    }
    match (expected, refused) {
        (Expected::Pattern, _) => not_applicable("a pattern is expected"),
        (Expected::Error, Some(Verdict::Refused(_))) => Verdict::Passed,
        (Expected::Error, Some(Verdict::NotApplicable(_))) if own_tables => Verdict::Passed,
        (Expected::Error, None) => Verdict::Failed(format!("an error was expected, got {shown:?}")),
        (_, Some(verdict)) => verdict,
        (Expected::Rows(text), None) => compare(&trimmed(text), &trimmed(&shown.join("\n"))),
        (Expected::Raw(text), None) => {
            let lines = |text: &str| text.trim_end_matches('\n').lines().map(str::to_owned).collect::<Vec<_>>();
            compare(&lines(text), &lines(&shown.join("\n")))
        }
        (Expected::Unordered(text), None) => {
            let (mut expected, mut got) = (trimmed(text), trimmed(&shown.join("\n")));
            expected.sort();
            got.sort();
            compare(&expected, &got)
        }
    }
}

fn trimmed(text: &str) -> Vec<String> {
    text.trim().lines().map(|line| line.trim().to_owned()).collect()
}

fn compare(expected: &[String], got: &[String]) -> Verdict {
    if expected == got {
        return Verdict::Passed;
    }
    Verdict::Failed(format!("expected {expected:?}, got {got:?}"))
}

/// The statements of a text, split where a semicolon ends one.
fn statements(text: &str) -> Vec<String> {
    let Ok(tokens) = Tokenizer::new(&SQLiteDialect {}, text).tokenize_with_location() else {
        return vec![text.trim().to_owned()];
    };
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let offset = |line: u64, column: u64| {
        let start = usize::try_from(line).ok().and_then(|line| starts.get(line.checked_sub(1)?)).copied()?;
        let skipped = usize::try_from(column).ok()?.checked_sub(1)?;
        Some(start + text[start..].chars().take(skipped).map(char::len_utf8).sum::<usize>())
    };
    let mut statements = Vec::new();
    let mut from = 0;
    for token in tokens.iter().filter(|token| token.token == Token::SemiColon) {
        if let Some(at) = offset(token.span.start.line, token.span.start.column) {
            statements.push(text[from..at].trim().to_owned());
            from = at + 1;
        }
    }
    statements.push(text[from..].trim().to_owned());
    for statement in &mut statements {
        while statement.starts_with("--") {
            *statement = statement.split_once('\n').map_or("", |(_, rest)| rest).trim_start().to_owned();
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
}
