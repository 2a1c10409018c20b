//! SQLite's SELECT for sqlparser, with the operators binding as they do in SQLite.
//!
//! sqlparser's own dialect of that name has PostgreSQL's precedence: it would read `a LIKE b = c` as `a LIKE (b = c)`
//! and `a | b & c` as `a | (b & c)`, silently. It also lacks shifts, `NOT GLOB`, `IS` with any operand and `ISNULL`.
//!
//! ```text
//! ~ + - (sign)   ||   * / %   + -   & | << >>   < <= > >=   = <> IS IN LIKE GLOB REGEXP BETWEEN ISNULL   NOT   AND   OR
//! ```

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, Precedence, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// SQLite's grammar of expressions.
#[derive(Debug)]
pub(crate) struct Sqlite;

const SIGN: u8 = 47;
const CONCAT: u8 = 45;
const TIMES: u8 = 40;
const PLUS: u8 = 30;
const BITS: u8 = 23;
const ORDER: u8 = 21;
const EQUAL: u8 = 20;

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
            Token::StringConcat => CONCAT,
            Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => ORDER,
            token if is_isnull(token) => EQUAL,
            _ => return None,
        }))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
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
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
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
                let negated = is_with_operand(parser)?;
                parser.advance_token();
                if negated {
                    parser.advance_token();
                }
                Infix::Is(negated)
            })
        };
        let operator = operator()?;
        let left = Box::new(expr.clone());
        Some(parser.parse_subexpr(precedence).map(|right| {
            let right = Box::new(right);
            match operator {
                Infix::Match(op, false) => Expr::BinaryOp { left, op, right },
                Infix::Match(op, true) => {
                    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::BinaryOp { left, op, right }) }
                }
                Infix::Is(false) => Expr::IsNotDistinctFrom(left, right),
                Infix::Is(true) => Expr::IsDistinctFrom(left, right),
            }
        }))
    }
}

enum Infix {
    Match(BinaryOperator, bool),
    Is(bool),
}

fn is_isnull(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull"))
}

/// Whether `IS` or `IS NOT` follows with an operand that sqlparser does not know there, and whether it has the NOT.
fn is_with_operand(parser: &Parser) -> Option<bool> {
    let keyword = |at| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let known = |keyword| matches!(keyword, Keyword::NULL | Keyword::TRUE | Keyword::FALSE | Keyword::DISTINCT);
    match (keyword(0), keyword(1)) {
        (Keyword::IS, Keyword::NOT) => (!known(keyword(2))).then_some(true),
        (Keyword::IS, operand) => (!known(operand)).then_some(false),
        _ => None,
    }
}
