//! SQLite's SELECT for sqlparser, with the operators binding as they do in SQLite.
//!
//! sqlparser's own dialect of that name has PostgreSQL's precedence: it would read `a LIKE b = c` as `a LIKE (b = c)`
//! and `a | b & c` as `a | (b & c)`, silently. It also lacks shifts, `NOT GLOB`, `IS` with any operand, `ISNULL` and
//! `a IN table`.
//!
//! ```text
//! ~ + - (sign)   || -> ->>   * / %   + -   & | << >>   < <= > >=   = <> IS IN LIKE GLOB REGEXP BETWEEN ISNULL   NOT   AND   OR
//! ```

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr, Query, UnaryOperator, Value};
use sqlparser::dialect::{Dialect, Precedence, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::limits::DEPTH_MAX;

/// SQLite's grammar of expressions.
#[derive(Debug)]
pub(crate) struct Sqlite;

const SIGN: u8 = 47;
const CONCAT: u8 = 45;
const TIMES: u8 = 40;
const PLUS: u8 = 30;
const BITS: u8 = 23;
const ORDER: u8 = 21;
pub(crate) const EQUAL: u8 = 20;

impl Dialect for Sqlite {
    /// What sqlparser allows SQLite, it allows here.
    fn dialect(&self) -> TypeId {
        TypeId::of::<SQLiteDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        SQLiteDialect {}.is_delimited_identifier_start(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        SQLiteDialect {}.identifier_quote_style(identifier)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        SQLiteDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        SQLiteDialect {}.is_identifier_part(ch)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_in_empty_list(&self) -> bool {
        true
    }

    fn supports_limit_comma(&self) -> bool {
        true
    }

    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::MulDivModOp => TIMES,
            Precedence::PlusMinus => PLUS,
            Precedence::Ampersand | Precedence::Caret | Precedence::Pipe => BITS,
            Precedence::Eq | Precedence::Like | Precedence::Is | Precedence::Between => EQUAL,
            other => SQLiteDialect {}.prec_value(other),
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        Some(Ok(match &parser.peek_token_ref().token {
            Token::StringConcat | Token::Arrow | Token::LongArrow => CONCAT,
            Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => ORDER,
            token if is_isnull(token) => EQUAL,
            _ => return None,
        }))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if parser.peek_token_ref().token == Token::LParen && is_values(&parser.peek_nth_token_ref(1).token) {
            return Some(values(parser));
        }
        if let Some(operand) = plain_operand(parser) {
            return Some(Ok(operand));
        }
        let op = match &parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            Token::Tilde => UnaryOperator::BitwiseNot,
            _ => return None,
        };
        parser.advance_token();
        Some(parser.parse_subexpr(SIGN).map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if is_isnull(&parser.peek_token_ref().token) {
            parser.advance_token();
            if chain_len(expr) > DEPTH_MAX {
                return Some(Err(ParserError::RecursionLimitExceeded));
            }
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        if let Some(negated) = before_table(parser) {
            let table = [parser.peek_token_ref().clone()];
            parser.advance_token();
            if chain_len(expr) > DEPTH_MAX {
                return Some(Err(ParserError::RecursionLimitExceeded));
            }
            return Some(rows_of(table).map(|subquery| {
                let expr = Box::new(expr.clone());
                Expr::InSubquery { expr, subquery, negated }
            }));
        }
        if parser.parse_keyword(Keyword::IN) {
            return Some(among(parser, expr, false));
        }
        if parser.parse_keywords(&[Keyword::NOT, Keyword::IN]) {
            return Some(among(parser, expr, true));
        }
        let mut operator = || {
            Some(if parser.parse_keyword(Keyword::GLOB) {
                Infix::Match(BinaryOperator::Glob, false)
            } else if parser.parse_keyword(Keyword::REGEXP) {
                Infix::Match(BinaryOperator::Regexp, false)
            } else if parser.parse_keywords(&[Keyword::NOT, Keyword::GLOB]) {
                Infix::Match(BinaryOperator::Glob, true)
            } else if parser.parse_keywords(&[Keyword::NOT, Keyword::REGEXP]) {
                Infix::Match(BinaryOperator::Regexp, true)
            } else {
                Infix::Is(is_without_distinct(parser)?)
            })
        };
        let operator = operator()?;
        if chain_len(expr) > DEPTH_MAX {
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        let left = Box::new(expr.clone());
        Some(parser.parse_subexpr(precedence).map(|right| {
            let right = Box::new(right);
            match operator {
                Infix::Match(op, false) => Expr::BinaryOp { left, op, right },
                Infix::Match(op, true) => {
                    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::BinaryOp { left, op, right }) }
                }
                Infix::Is(negated) => is(left, negated, right),
            }
        }))
    }
}

/// Operations in a row, the left operand of each being the one before. That operand has to be cloned here, so the time
/// for a chain is its square.
fn chain_len(expr: &Expr) -> usize {
    std::iter::successors(Some(expr), |expr| match expr {
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => None,
        Expr::BinaryOp { left, .. } | Expr::IsDistinctFrom(left, _) | Expr::IsNotDistinctFrom(left, _) => Some(left),
        Expr::IsNull(of)
        | Expr::IsNotNull(of)
        | Expr::IsTrue(of)
        | Expr::IsNotTrue(of)
        | Expr::IsFalse(of)
        | Expr::IsNotFalse(of)
        | Expr::InList { expr: of, .. }
        | Expr::InSubquery { expr: of, .. }
        | Expr::Between { expr: of, .. }
        | Expr::Like { expr: of, .. } => Some(of),
        _ => None,
    })
    .take(DEPTH_MAX + 1)
    .count()
}

enum Infix {
    Match(BinaryOperator, bool),
    Is(bool),
}

/// What follows IN: a query whose rows are looked through, or a list of values. A query among others in a list is a value;
/// sqlparser would take whatever begins with one for the whole.
fn among(parser: &mut Parser, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    if chain_len(expr) > DEPTH_MAX {
        return Err(ParserError::RecursionLimitExceeded);
    }
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(expr.clone());
    let made = if begins_query(&parser.peek_token_ref().token) {
        Expr::InSubquery { expr, subquery: parser.parse_query()?, negated }
    } else {
        let mut list = parser.parse_comma_separated0(Parser::parse_expr, Token::RParen)?;
        match only_query(&mut list) {
            Some(subquery) => Expr::InSubquery { expr, subquery, negated },
            None => Expr::InList { expr, list, negated },
        }
    };
    parser.expect_token(&Token::RParen)?;
    Ok(made)
}

/// `((SELECT …))`, as SQLite reads it.
fn only_query(list: &mut Vec<Expr>) -> Option<Box<Query>> {
    let [only] = list.as_slice() else { return None };
    let mut inner = only;
    while let Expr::Nested(of) = inner {
        inner = of;
    }
    if !matches!(inner, Expr::Subquery(_)) {
        return None;
    }
    let mut only = list.pop();
    loop {
        match only? {
            Expr::Nested(of) => only = Some(*of),
            Expr::Subquery(query) => return Some(query),
            _ => return None,
        }
    }
}

fn begins_query(token: &Token) -> bool {
    let keyword = match token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    matches!(keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES)
}

/// `(VALUES …)`, which the parser would take for a call.
fn values(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Subquery(query))
}

fn is_values(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.keyword == Keyword::VALUES)
}

fn is_isnull(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull"))
}

/// Passes over `IN` or `NOT IN` where a table's name follows, and tells whether there was a NOT.
fn before_table(parser: &mut Parser) -> Option<bool> {
    let is = |at, keyword| matches!(&parser.peek_nth_token_ref(at).token, Token::Word(word) if word.keyword == keyword);
    let negated = is(0, Keyword::NOT);
    let name = 1 + usize::from(negated);
    let named = matches!(&parser.peek_nth_token_ref(name).token, Token::Word(word) if word.keyword != Keyword::UNNEST);
    let called = parser.peek_nth_token_ref(name + 1).token == Token::LParen;
    if !is(usize::from(negated), Keyword::IN) || !named || called {
        return None;
    }
    (0..name).for_each(|_| parser.advance_token());
    Some(negated)
}

/// `SELECT * FROM table`, with the place of the name.
fn rows_of(table: [TokenWithSpan; 1]) -> Result<Box<Query>, ParserError> {
    let keyword = |name| TokenWithSpan::wrap(Token::make_keyword(name));
    let select = [keyword("SELECT"), TokenWithSpan::wrap(Token::Mul), keyword("FROM")];
    Parser::new(&Sqlite).with_tokens_with_locations(select.into_iter().chain(table).collect()).parse_query()
}

/// Passes over `IS` or `IS NOT` unless `DISTINCT` follows, and tells whether there was a NOT.
fn is_without_distinct(parser: &mut Parser) -> Option<bool> {
    let keyword = |at| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let negated = match (keyword(0), keyword(1), keyword(2)) {
        (Keyword::IS, Keyword::DISTINCT, _) | (Keyword::IS, Keyword::NOT, Keyword::DISTINCT) => return None,
        (Keyword::IS, Keyword::NOT, _) => true,
        (Keyword::IS, ..) => false,
        _ => return None,
    };
    parser.advance_token();
    if negated {
        parser.advance_token();
    }
    Some(negated)
}

/// A column or a constant between operators. The parser would first try to read each as a type and fail, which takes
/// longer than everything else it does; where what follows could make it something else, that is still its task.
fn plain_operand(parser: &mut Parser) -> Option<Expr> {
    let plain = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.keyword == Keyword::NoKeyword => Some(word.clone().into_ident(token.span)),
        _ => None,
    };
    let first = parser.peek_token_ref();
    let (operand, len) = match &first.token {
        Token::SingleQuotedString(text) => {
            (Expr::Value(Value::SingleQuotedString(text.clone()).with_span(first.span)), 1)
        }
        Token::Number(digits, false) => (Expr::Value(Value::Number(digits.clone(), false).with_span(first.span)), 1),
        Token::Word(_) => {
            let name = plain(first)?;
            if parser.peek_nth_token_ref(1).token == Token::Period {
                (Expr::CompoundIdentifier(vec![name, plain(parser.peek_nth_token_ref(2))?]), 3)
            } else {
                (Expr::Identifier(name), 1)
            }
        }
        _ => return None,
    };
    if !ends_operand(&parser.peek_nth_token_ref(len).token) {
        return None;
    }
    (0..len).for_each(|_| parser.advance_token());
    Some(operand)
}

/// Whether an operand before this token is whole.
fn ends_operand(token: &Token) -> bool {
    use Keyword::{
        AND, AS, ASC, BETWEEN, DESC, ELSE, END, FROM, GLOB, GROUP, IN, IS, LIKE, NOT, OR, ORDER, THEN, WHEN, WHERE,
    };
    match token {
        Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::LtEq
        | Token::Gt
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Comma
        | Token::RParen
        | Token::EOF => true,
        Token::Word(word) => matches!(
            word.keyword,
            AND | AS
                | ASC
                | BETWEEN
                | DESC
                | ELSE
                | END
                | FROM
                | GLOB
                | GROUP
                | IN
                | IS
                | LIKE
                | NOT
                | OR
                | ORDER
                | THEN
                | WHEN
                | WHERE
                | Keyword::REGEXP
        ),
        _ => false,
    }
}

/// `left IS right` takes any operand; NULL, TRUE and FALSE have nodes of their own.
fn is(left: Box<Expr>, negated: bool, right: Box<Expr>) -> Expr {
    let constant = match &*right {
        Expr::Value(value) => Some(&value.value),
        _ => None,
    };
    match (constant, negated) {
        (Some(Value::Null), false) => Expr::IsNull(left),
        (Some(Value::Null), true) => Expr::IsNotNull(left),
        (Some(Value::Boolean(true)), false) => Expr::IsTrue(left),
        (Some(Value::Boolean(true)), true) => Expr::IsNotTrue(left),
        (Some(Value::Boolean(false)), false) => Expr::IsFalse(left),
        (Some(Value::Boolean(false)), true) => Expr::IsNotFalse(left),
        (_, false) => Expr::IsNotDistinctFrom(left, right),
        (_, true) => Expr::IsDistinctFrom(left, right),
    }
}
