//! `-- lint: allow(DE220) reason`: findings that somebody has looked at and accepts.
//!
//! Behind a line of SQL or on a line above it, it speaks of that line; among the header's lines, of the whole file. A
//! reason is needed (DE011), and one that allows nothing is reported (DE012), so that none outlives its cause. What does
//! not compile cannot be allowed.

use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::find;
use crate::ast::Positions;
use crate::diagnostic::{Diagnostic, Safety, Severity, Source, Span};
use crate::dialect::Sqlite;
use crate::header;

/// One comment that allows something.
struct Allowance {
    /// Its place, from `--` to the end of the line.
    span: Span,
    /// Each code as written, and where.
    codes: Vec<(String, Span)>,
    has_reason: bool,
    /// The bytes that it speaks of.
    reach: Span,
}

/// Leaves out what the source allows.
pub(crate) fn in_compile(source: &Source, diagnostics: &mut Vec<Diagnostic>) {
    for allowance in allowances(source).iter().filter(|it| it.has_reason) {
        diagnostics.retain(|it| !allowance.codes.iter().any(|(code, _)| allowance.allows(code, it)));
    }
}

/// Leaves out what the source allows, and reports what is wrong with the allowing.
pub(crate) fn in_lint(source: &Source, diagnostics: &mut Vec<Diagnostic>) {
    let mut about = Vec::new();
    for allowance in allowances(source) {
        if !allowance.has_reason {
            let message = "findings are allowed without a reason";
            about.push(
                Diagnostic::warning("DE011", allowance.span.clone(), message)
                    .help("say behind the parenthesis why it is right here; until then it allows nothing"),
            );
            continue;
        }
        for (code, span) in &allowance.codes {
            let before = diagnostics.len();
            diagnostics.retain(|it| !allowance.allows(code, it));
            if diagnostics.len() == before {
                about.push(allowance.unused(code, span));
            }
        }
    }
    diagnostics.extend(about);
}

impl Allowance {
    fn allows(&self, code: &str, finding: &Diagnostic) -> bool {
        let compiles = finding.severity < Severity::Error || matches!(find(code), Some(lint) if lint.judges());
        let at = finding.span().start;
        finding.code == code && compiles && (self.reach.start..=self.reach.end).contains(&at)
    }

    fn unused(&self, code: &str, span: &Span) -> Diagnostic {
        let unused = |message: String| Diagnostic::warning("DE012", span.clone(), message);
        match find(code) {
            None => unused(format!("`{code}` is no code")).help("`daemoneye-cli lint --explain all` lists the codes"),
            Some(lint) if lint.severity == Severity::Error && !lint.judges() => {
                unused(format!("`{code}` cannot be allowed")).help("what does not compile has to be mended")
            }
            Some(_) if self.codes.len() == 1 => unused(format!("`{code}` is allowed, and does not occur")).fix(
                "remove the comment",
                vec![(self.span.clone(), String::new())],
                Safety::Safe,
            ),
            Some(_) => unused(format!("`{code}` is allowed, and does not occur")).help("remove the code"),
        }
    }
}

fn allowances(source: &Source) -> Vec<Allowance> {
    if !source.text.contains("lint:") {
        return vec![];
    }
    let (_, sql_start) = header::read(source, &mut Vec::new());
    let whole = 0..source.text.len();
    let in_header = source.text[..sql_start].split_inclusive('\n').scan(0, |start, line| {
        let at = *start;
        *start += line.len();
        Some((at, line))
    });
    let mut found: Vec<_> =
        in_header.filter_map(|(at, line)| allowance(line.strip_prefix("--")?, at, whole.clone())).collect();
    found.extend(
        comments(source, sql_start).into_iter().filter_map(|(at, text)| allowance(&text, at, reach(&source.text, at))),
    );
    found
}

/// The `--` comments of the SQL, each with its place and what follows the dashes.
fn comments(source: &Source, sql_start: usize) -> Vec<(usize, String)> {
    let sql = &source.text[sql_start..];
    let positions = Positions::new(sql, sql_start);
    let tokens = Tokenizer::new(&Sqlite, sql).tokenize_with_location().unwrap_or_default();
    let comment = |token: &sqlparser::tokenizer::TokenWithSpan| match &token.token {
        Token::Whitespace(Whitespace::SingleLineComment { comment, prefix }) if prefix == "--" => {
            Some((positions.offset(token.span.start)?, comment.clone()))
        }
        _ => None,
    };
    tokens.iter().filter_map(comment).collect()
}

/// The line of a comment that stands behind SQL; else the next line that has some.
fn reach(text: &str, at: usize) -> Span {
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let line_end = |start: usize| text[start..].find('\n').map_or(text.len(), |len| start + len);
    if !text[line_start..at].trim().is_empty() {
        return line_start..at;
    }
    let mut start = line_end(line_start);
    while start < text.len() {
        let line = start + 1..line_end(start + 1);
        let content = text.get(line.clone()).unwrap_or_default().trim();
        if !content.is_empty() && !content.starts_with("--") {
            return line;
        }
        start = line.end;
    }
    text.len()..text.len()
}

/// What follows the dashes at `at`, if it allows something.
fn allowance(comment: &str, at: usize, reach: Span) -> Option<Allowance> {
    let comment = comment.trim_end();
    let rest = comment.trim_start().strip_prefix("lint:")?.trim_start().strip_prefix("allow(")?;
    let (list, reason) = rest.split_once(')')?;
    let mut start = at + 2 + (comment.len() - rest.len());
    let codes = list.split(',').map(|part| {
        let lead = part.len() - part.trim_start().len();
        let code = part.trim();
        let span = start + lead..start + lead + code.len();
        start += part.len() + 1;
        (code.to_owned(), span)
    });
    let codes = codes.collect();
    Some(Allowance { span: at..at + 2 + comment.len(), codes, has_reason: !reason.trim().is_empty(), reach })
}
