//! Text to [`ast::Rule`]: header and SQL are split, bounds are checked on tokens, and sqlparser reads the one SELECT.
//!
//! sqlparser recurses, and its trees drop recursively: long chains overflow a small stack. So the bounds are checked on
//! the tokens first, and everything that touches its tree runs on a thread with a large stack ([`on_stack_for`]).

use sqlparser::ast::Statement;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};

use crate::ast::{Moment, Positions, Rule, Version};
use crate::auto_join;
use crate::diagnostic::{Diagnostic, Source, Span, nearest};
use crate::dialect::Sqlite;
use crate::header;
use crate::limits::{Limits, NESTING, TERMS, TEXT, TOKENS};

/// Enough for the longest chain that the bounds let through; reserved, not used, until it is needed.
const STACK_LEN: usize = 256 << 20;
/// A statement of no more tokens has no chain that is too long for an ordinary stack.
const SMALL_TOKENS: usize = 600;
/// One with no more tokens that open something does not nest too deep for it.
const SMALL_OPENERS: usize = 24;

/// Whether the parser's recursion on these tokens, and that of what becomes of them, is safe on an ordinary stack.
pub(crate) fn is_small(tokens: &[TokenWithSpan]) -> bool {
    let (mut depth, mut deepest, mut openers) = (0usize, 0, 0);
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            other => openers += usize::from(opens(other)),
        }
        deepest = deepest.max(depth);
    }
    tokens.len() <= SMALL_TOKENS && deepest + openers <= SMALL_OPENERS
}

/// Runs `work` here if what it is about is small, else on a thread with a large stack; DE023 where the system gives none.
pub(crate) fn on_stack_for<T: Send>(small: bool, work: impl FnOnce() -> T + Send) -> Result<T, Box<Diagnostic>> {
    if small {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("compile".to_owned()).stack_size(STACK_LEN);
        match thread.spawn_scoped(scope, work) {
            Ok(handle) => Ok(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            Err(error) => {
                let message =
                    format!("the system gives no stack of {STACK_LEN} bytes for so large a statement: {error}");
                let help = "split the statement, or raise the limits of address space and threads";
                Err(Box::new(Diagnostic::error("DE023", 0..0, message).help(help)))
            }
        }
    })
}

/// Whether the parser calls itself for what follows the token, which no parenthesis ends.
fn opens(token: &Token) -> bool {
    match token {
        Token::Plus | Token::Minus | Token::Tilde => true,
        Token::Word(word) => matches!(word.keyword, Keyword::NOT | Keyword::CASE | Keyword::INTERVAL | Keyword::SELECT),
        _ => false,
    }
}

/// What the text scan found: enough to decide where to parse.
pub(crate) struct Scanned {
    pub(crate) annotations: Vec<header::Annotation>,
    pub(crate) tokens: Vec<TokenWithSpan>,
    pub(crate) positions: Positions,
    canonical_sql: String,
}

/// Splits the header off, cuts the SQL into tokens and checks every bound.
pub(crate) fn scan(source: &Source, limits: &Limits, diagnostics: &mut Vec<Diagnostic>) -> Option<Scanned> {
    if source.text.len() > limits.text {
        diagnostics.push(TEXT.exceeded(limits.text, 0..0, "split the rule, or put long lists in a file"));
        return None;
    }
    let (annotations, sql_start) = header::read(source, diagnostics);
    let sql = &source.text[sql_start..];
    let positions = Positions::new(sql, sql_start);
    let mut tokens = match Tokenizer::new(&Sqlite, sql).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(error) => {
            diagnostics.push(token_error(&error, &positions, source));
            return None;
        }
    };
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    check_bounds(&tokens, limits, &positions, diagnostics)?;
    let mut canonical_sql = String::with_capacity(sql.len());
    for span in tokens.iter().filter_map(|token| positions.span(token.span)) {
        canonical_sql.push_str(&source.text[span]);
        canonical_sql.push(' ');
    }
    Some(Scanned { annotations, tokens, positions, canonical_sql })
}

fn check_bounds(
    tokens: &[TokenWithSpan],
    limits: &Limits,
    positions: &Positions,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<()> {
    let (mut depth, mut terms) = (0usize, 0usize);
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if matches!(word.keyword, Keyword::AND | Keyword::OR) => terms += 1,
            _ => {}
        }
        let broken = match () {
            () if at >= limits.tokens => Some((TOKENS, limits.tokens)),
            () if terms >= limits.terms => Some((TERMS, limits.terms)),
            () if depth > limits.nesting => Some((NESTING, limits.nesting)),
            () => None,
        };
        if let Some((limit, allowed)) = broken {
            let span = positions.span(token.span).unwrap_or_default();
            diagnostics.push(limit.exceeded(allowed, span, "split the statement into several rules"));
            return None;
        }
    }
    Some(())
}

/// Reads the one SELECT. To be called on a large stack, as is everything that holds the result.
pub(crate) fn parse(source: &Source, scanned: Scanned, diagnostics: &mut Vec<Diagnostic>) -> Option<Rule> {
    let Scanned { annotations: _, tokens, positions, canonical_sql } = scanned;
    let Some(first) = tokens.first() else {
        let message = "there is no SQL here";
        let end = source.text.len();
        diagnostics.push(Diagnostic::error("DE003", end..end, message).help("write one SELECT below the header"));
        return None;
    };
    let begin = positions.span(first.span).unwrap_or_default();
    refuse_other_statements(first, &begin, diagnostics)?;
    let keywords = keywords(&tokens, &positions);
    let placeholders = placeholders(&tokens, &positions);
    let (mut body, versions, autos) = if tokens.iter().any(may_be_ours) {
        let (body, versions) = take_versions(&tokens, &positions, diagnostics)?;
        let (body, autos) = auto_join::take(&without_hints(&body), &positions, source, diagnostics)?;
        (body, versions, autos)
    } else {
        (tokens, vec![], vec![])
    };
    while body.last().is_some_and(|token| token.token == Token::SemiColon) {
        body.pop();
    }
    if let Some(at) = body.iter().position(|token| token.token == Token::SemiColon) {
        let span = positions.span(body[at].span).unwrap_or_default();
        let message = "more than one statement";
        diagnostics.push(Diagnostic::error("DE003", span, message).help("a rule is exactly one SELECT"));
        return None;
    }
    let end = positions.span(body.last().expect("not only semicolons").span).unwrap_or_default().end;
    let mut parser = Parser::new(&Sqlite).with_recursion_limit(NESTING.max * 12).with_tokens_with_locations(body);
    let parsed = parser.parse_statement().and_then(|statement| {
        let next = parser.peek_token();
        if next.token == Token::EOF { Ok(statement) } else { Err(unexpected(&next)) }
    });
    match parsed {
        Ok(Statement::Query(query)) => {
            let source = source.clone();
            Some(Rule { source, query, positions, keywords, placeholders, versions, autos, canonical_sql })
        }
        Ok(_) => {
            let message = "only SELECT is possible";
            diagnostics.push(Diagnostic::error("DE003", begin, message));
            None
        }
        Err(error) => {
            diagnostics.push(syntax_error(&error, &positions, source, end));
            None
        }
    }
}

/// Whether a clause that the parser does not know may begin here.
fn may_be_ours(token: &TokenWithSpan) -> bool {
    ["FOR", "AUTO", "INDEXED", "MATERIALIZED"].into_iter().any(|word| is_word(token, word))
}

fn refuse_other_statements(first: &TokenWithSpan, span: &Span, diagnostics: &mut Vec<Diagnostic>) -> Option<()> {
    let starts_query = match &first.token {
        Token::Word(word) => matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES),
        Token::LParen => true,
        _ => false,
    };
    if starts_query {
        return Some(());
    }
    let message = format!("a statement begins with SELECT, not with `{}`", first.token);
    let diagnostic = Diagnostic::error("DE003", span.clone(), message);
    diagnostics.push(match nearest(&first.token.to_string(), ["SELECT"]) {
        Some(select) => diagnostic.patch("did you mean `SELECT`?", select),
        None => diagnostic.help("nothing can be written, attached or configured from SQL"),
    });
    None
}

pub(crate) fn is_word(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name))
}

/// Takes every `FOR SYSTEM_TIME …` out of the tokens; each is remembered with the word that it follows.
fn take_versions(
    tokens: &[TokenWithSpan],
    positions: &Positions,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Vec<TokenWithSpan>, Vec<Version>)> {
    let mut left = Vec::with_capacity(tokens.len());
    let mut versions = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = is_word(&tokens[at], "FOR") && tokens.get(at + 1).is_some_and(|next| is_word(next, "SYSTEM_TIME"));
        if !begins {
            left.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let start = positions.span(tokens[at].span)?.start;
        let (moment, taken) = match moment(&tokens[at + 2..]) {
            Ok(found) => found,
            Err(expected) => {
                let end = positions.span(tokens[at + 1].span)?.end;
                let diagnostic = Diagnostic::error("DE001", start..end, format!("FOR SYSTEM_TIME needs {expected}"));
                let help = "write FOR SYSTEM_TIME AS OF '2026-11-22 10:30:00', or BETWEEN one moment AND another";
                diagnostics.push(diagnostic.help(help));
                return None;
            }
        };
        let end = positions.span(tokens[at + 1 + taken].span)?.end;
        let after = left.last().and_then(|token: &TokenWithSpan| positions.span(token.span)).map_or(0, |span| span.end);
        versions.push(Version { after, span: start..end, moment });
        at += 2 + taken;
        nothing_is_called(tokens.get(at), positions, diagnostics)?;
    }
    Some((left, versions))
}

/// What stands behind a clause that is taken out would be read with what stands before it: a parenthesis as a call.
pub(crate) fn nothing_is_called(
    next: Option<&TokenWithSpan>,
    positions: &Positions,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<()> {
    let Some(next) = next.filter(|next| matches!(next.token, Token::LParen | Token::LBracket)) else { return Some(()) };
    let span = positions.span(next.span)?;
    diagnostics.push(Diagnostic::error("DE001", span, format!("`{}` cannot stand here", next.token)));
    None
}

/// What follows `FOR SYSTEM_TIME`, and of how many tokens it is made.
fn moment(tokens: &[TokenWithSpan]) -> Result<(Moment, usize), String> {
    let mut parser = Parser::new(&Sqlite).with_recursion_limit(NESTING.max).with_tokens_with_locations(tokens.to_vec());
    // AND separates the bounds of BETWEEN: what binds less is not part of them.
    let bound = |parser: &mut Parser<'_>| parser.parse_subexpr(crate::dialect::EQUAL).map(Box::new);
    let parsed = if parser.parse_keywords(&[Keyword::AS, Keyword::OF]) {
        bound(&mut parser).map(Moment::At)
    } else if parser.parse_keyword(Keyword::BETWEEN) {
        bound(&mut parser).and_then(|first| {
            parser.expect_keyword(Keyword::AND)?;
            Ok(Moment::Between(first, bound(&mut parser)?))
        })
    } else {
        return Err("AS OF or BETWEEN".to_owned());
    };
    let moment = parsed.map_err(|_| "a moment".to_owned())?;
    Ok((moment, parser.index()))
}

/// SQLite's `INDEXED BY name` and `NOT INDEXED` behind a table and `MATERIALIZED` before a common table expression say how
/// it is read, not what is read: they are left out.
fn without_hints(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let word = |at: usize| match tokens.get(at).map(|token| &token.token) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    };
    let is = |at, text: &str| {
        word(at).is_some_and(|word| word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
    };
    let named = |at: usize| at.checked_sub(1).and_then(word).is_some_and(|word| word.keyword == Keyword::NoKeyword);
    let after_as = |at: usize| at.checked_sub(1).is_some_and(|before| is(before, "AS"));
    let opens_query = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::LParen);
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += match () {
            () if named(at) && is(at, "NOT") && is(at + 1, "INDEXED") => 2,
            () if named(at) && is(at, "INDEXED") && is(at + 1, "BY") => 3,
            () if after_as(at) && is(at, "MATERIALIZED") && opens_query(at + 1) => 1,
            () if after_as(at) && is(at, "NOT") && is(at + 1, "MATERIALIZED") && opens_query(at + 2) => 2,
            () => {
                kept.push(token.clone());
                1
            }
        };
    }
    kept
}

fn keywords(tokens: &[TokenWithSpan], positions: &Positions) -> Vec<(Keyword, Span)> {
    let keyword = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.keyword != Keyword::NoKeyword => Some((word.keyword, positions.span(token.span)?)),
        _ => None,
    };
    tokens.iter().filter_map(keyword).collect()
}

fn placeholders(tokens: &[TokenWithSpan], positions: &Positions) -> Vec<(String, usize)> {
    let placeholder = |token: &TokenWithSpan| match &token.token {
        Token::Placeholder(name) => Some((name.clone(), positions.span(token.span)?.start)),
        _ => None,
    };
    tokens.iter().filter_map(placeholder).collect()
}

fn unexpected(token: &TokenWithSpan) -> ParserError {
    ParserError::ParserError(format!("Expected: end of statement, found: {}{}", token.token, token.span.start))
}

/// sqlparser puts the place at the end of the message: ` at Line: 1, Column: 8`.
pub(crate) fn syntax_error(error: &ParserError, positions: &Positions, source: &Source, end: usize) -> Diagnostic {
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return Diagnostic::error("DE023", end..end, "expressions are nested too deep")
                .help("split the statement into several rules");
        }
    };
    let (message, location) = split_location(text);
    let at = location.and_then(|location| positions.offset(location)).unwrap_or(end);
    if message.starts_with("No infix parser") {
        let place = word_at(source, at);
        let message = format!("`{}` cannot stand here", &source.text[place.clone()]);
        return Diagnostic::error("DE001", place, message);
    }
    let Some((expected, found)) = message.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: "))
    else {
        return Diagnostic::error("DE001", word_at(source, at), lower_first(message));
    };
    if found == "EOF" {
        return Diagnostic::error("DE001", end..end, format!("expected {expected}, found the end of the statement"));
    }
    // The location may be that of the token after the one that was found.
    let there = source.text.get(at..).is_some_and(|rest| rest.starts_with(found));
    let at = if there { at } else { source.text.get(..at).and_then(|before| before.rfind(found)).unwrap_or(at) };
    Diagnostic::error("DE001", word_at(source, at), format!("expected {expected}, found `{found}`"))
}

fn token_error(error: &TokenizerError, positions: &Positions, source: &Source) -> Diagnostic {
    let at = positions.offset(error.location).unwrap_or(source.text.len());
    Diagnostic::error("DE001", word_at(source, at), lower_first(&error.message))
}

fn split_location(text: &str) -> (&str, Option<sqlparser::tokenizer::Location>) {
    let Some(at) = text.rfind(" at Line: ") else { return (text, None) };
    let mut numbers = text[at..].split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next()?.parse().ok();
    let location = next().zip(next()).map(|(line, column)| sqlparser::tokenizer::Location { line, column });
    (&text[..at], location)
}

fn word_at(source: &Source, at: usize) -> Span {
    let at = at.min(source.text.len());
    let rest = source.text.get(at..).unwrap_or_default();
    let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let len = if len == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { len };
    at..at + len
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
