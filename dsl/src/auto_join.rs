//! `AUTO JOIN table ON … [WHEN condition]` on tokens: AUTO and WHEN are taken out, and the parser reads a plain join.
//!
//! The parser would take AUTO for the alias of the table before it. So it is the clause wherever a table or an alias could
//! have ended before it, and an alias only where AS or quotes say so.

use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::ast::{Auto, Positions};
use crate::diagnostic::{Diagnostic, Source};
use crate::dialect::Sqlite;
use crate::limits::{JOINS, NESTING};
use crate::parse::{is_word, nothing_is_called, syntax_error};

const HELP: &str =
    "write it as: FROM processes AS p AUTO JOIN process_starts AS s ON s.proc_id = p.proc_id WHEN p.pid > 1";

/// The tokens without the clauses, and the clauses.
pub(crate) fn take(
    tokens: &[TokenWithSpan],
    positions: &Positions,
    source: &Source,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Vec<TokenWithSpan>, Vec<Auto>)> {
    let mut left: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // With the place of the table among the tokens that are left.
    let mut autos: Vec<(usize, Auto)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let join = tokens.get(at + 1).filter(|_| is_word(token, "AUTO") && ends_table(left.last()));
        let Some(join) = join.filter(|join| is_join(join)) else {
            left.push(token.clone());
            continue;
        };
        let span = positions.span(token.span)?.start..positions.span(join.span)?.end;
        let table = tokens.get(at + 2).filter(|table| matches!(table.token, Token::Word(_)));
        let kind = left.last().filter(|before| joins(before));
        let Some(table) = table.filter(|_| keyword(join) == Some(Keyword::JOIN) && kind.is_none()) else {
            let message = "AUTO JOIN is a kind of join of its own, and a table follows it";
            diagnostics.push(Diagnostic::error("DE001", span, message).help(HELP));
            return None;
        };
        if autos.len() == JOINS.max {
            diagnostics.push(JOINS.exceeded(JOINS.max, span, "split the statement"));
            return None;
        }
        let table = positions.span(table.span)?.start;
        autos.push((left.len() + 1, Auto { table, span, when: None }));
    }
    // The last first: a WHEN within another is taken out before it.
    for (at, auto) in autos.iter_mut().rev() {
        let Some(when) = when(&left[*at..]).map(|when| *at + when) else { continue };
        let span = positions.span(left[when].span)?;
        let mut parser = Parser::new(&Sqlite)
            .with_recursion_limit(NESTING.max * 12)
            .with_tokens_with_locations(left[when + 1..].to_vec());
        match parser.parse_expr() {
            Ok(condition) => auto.when = Some(Box::new(condition)),
            Err(error) => {
                diagnostics.push(syntax_error(&error, positions, source, span.end));
                return None;
            }
        }
        left.drain(when..=when + parser.index());
        nothing_is_called(left.get(when), positions, diagnostics)?;
    }
    Some((left, autos.into_iter().map(|(_, auto)| auto).collect()))
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// What may stand between AUTO and a table where somebody means the clause.
fn is_join(token: &TokenWithSpan) -> bool {
    keyword(token) == Some(Keyword::JOIN) || joins(token)
}

/// The words that make a join one of another kind.
fn joins(token: &TokenWithSpan) -> bool {
    use Keyword::{CROSS, FULL, INNER, LEFT, NATURAL, OUTER, RIGHT};
    keyword(token).is_some_and(|word| [CROSS, FULL, INNER, LEFT, NATURAL, OUTER, RIGHT].contains(&word))
}

/// Whether a table, its alias or a condition can end with this token: then AUTO is no name.
fn ends_table(token: Option<&TokenWithSpan>) -> bool {
    use Keyword::{AS, FROM, JOIN, NoKeyword, SELECT};
    match token.map(|token| (&token.token, keyword(token))) {
        None | Some((Token::Comma | Token::LParen | Token::Period, _)) => false,
        Some((_, Some(word))) => word == NoKeyword || ![AS, FROM, JOIN, SELECT].contains(&word),
        Some(_) => true,
    }
}

/// The place of a WHEN that ends the join whose table begins here; one of a CASE is none.
fn when(tokens: &[TokenWithSpan]) -> Option<usize> {
    use Keyword::{EXCEPT, GROUP, HAVING, INTERSECT, JOIN, LIMIT, ORDER, UNION, WHERE, WINDOW};
    let (mut depth, mut cases) = (0usize, 0usize);
    for (at, token) in tokens.iter().enumerate() {
        match (&token.token, keyword(token)) {
            (Token::LParen, _) => depth += 1,
            (Token::RParen, _) => depth = depth.checked_sub(1)?,
            _ if depth > 0 => {}
            (Token::Comma | Token::SemiColon, _) => return None,
            (_, Some(Keyword::CASE)) => cases += 1,
            (_, Some(Keyword::END)) => cases = cases.saturating_sub(1),
            (_, Some(Keyword::WHEN)) if cases == 0 => return Some(at),
            (_, Some(EXCEPT | GROUP | HAVING | INTERSECT | JOIN | LIMIT | ORDER | UNION | WHERE | WINDOW)) => {
                return None;
            }
            _ => {}
        }
    }
    None
}
