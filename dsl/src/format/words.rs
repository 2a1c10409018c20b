//! SQL as words: tokens as they are written, with the comments around them and whether a space stands between two.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::ast::Positions;
use crate::dialect::Sqlite;

/// One token as it is written.
#[derive(Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) kind: Kind,
    /// Comments on lines of their own before it.
    pub(super) above: Vec<&'a str>,
    /// Comments behind it, to the end of its line.
    pub(super) behind: Vec<&'a str>,
    /// Whether white space stands before it.
    spaced: bool,
}

/// What a token is to the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    Comma,
    Semicolon,
    Dot,
    /// An operator of two operands, or the sign of one.
    Operator,
    /// A word that is no name here.
    Keyword(Keyword),
    /// A name, a literal, everything else.
    Other,
    /// Not there: what carries the comments behind everything.
    End,
}

impl Word<'_> {
    pub(super) fn is(&self, keyword: Keyword) -> bool {
        self.kind == Kind::Keyword(keyword)
    }
}

/// The words of `sql`, the last one of kind [`Kind::End`].
pub(super) fn read(sql: &str) -> Vec<Word<'_>> {
    let positions = Positions::new(sql, 0);
    let tokens = Tokenizer::new(&Sqlite, sql).tokenize_with_location().unwrap_or_default();
    let start = |at: usize| tokens.get(at).and_then(|token| positions.offset(token.span.start)).unwrap_or(sql.len());
    let mut words: Vec<Word<'_>> = Vec::new();
    let (mut above, mut spaced, mut line_has_code) = (Vec::new(), false, false);
    for (at, token) in tokens.iter().enumerate() {
        let text = sql.get(start(at)..start(at + 1)).unwrap_or_default();
        let comment = match &token.token {
            Token::EOF => continue,
            Token::Whitespace(Whitespace::SingleLineComment { .. }) => true,
            Token::Whitespace(Whitespace::MultiLineComment(_)) => {
                let rest = sql[start(at + 1)..].lines().next().unwrap_or_default().trim();
                !line_has_code || text.contains('\n') || rest.is_empty()
            }
            Token::Whitespace(_) => {
                spaced = true;
                line_has_code &= !text.contains('\n');
                continue;
            }
            _ => false,
        };
        if comment {
            match words.last_mut() {
                Some(word) if line_has_code && above.is_empty() => word.behind.push(text.trim_end()),
                _ => above.push(text.trim_end()),
            }
            line_has_code &= !text.contains('\n');
            spaced = true;
            continue;
        }
        let kind = kind(&token.token);
        words.push(Word { text, kind, above: std::mem::take(&mut above), behind: vec![], spaced });
        (spaced, line_has_code) = (false, true);
    }
    words.push(Word { text: "", kind: Kind::End, above, behind: vec![], spaced });
    words
}

fn kind(token: &Token) -> Kind {
    match token {
        Token::LParen => Kind::Open,
        Token::RParen => Kind::Close,
        Token::Comma => Kind::Comma,
        Token::SemiColon => Kind::Semicolon,
        Token::Period => Kind::Dot,
        Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Arrow
        | Token::LongArrow
        | Token::Tilde
        | Token::Ampersand
        | Token::Pipe
        | Token::ShiftLeft
        | Token::ShiftRight => Kind::Operator,
        Token::Word(word) if word.quote_style.is_none() && RESERVED.contains(&word.keyword) => {
            Kind::Keyword(word.keyword)
        }
        _ => Kind::Other,
    }
}

/// Words that SQLite does not take for names, so far as they matter to the layout.
const RESERVED: [Keyword; 48] = [
    Keyword::ALL,
    Keyword::AND,
    Keyword::AS,
    Keyword::BETWEEN,
    Keyword::BY,
    Keyword::CASE,
    Keyword::COLLATE,
    Keyword::CROSS,
    Keyword::DISTINCT,
    Keyword::ELSE,
    Keyword::END,
    Keyword::ESCAPE,
    Keyword::EXCEPT,
    Keyword::EXISTS,
    Keyword::FILTER,
    Keyword::FROM,
    Keyword::FULL,
    Keyword::GLOB,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::INNER,
    Keyword::INTERSECT,
    Keyword::IS,
    Keyword::JOIN,
    Keyword::LEFT,
    Keyword::LIKE,
    Keyword::LIMIT,
    Keyword::NATURAL,
    Keyword::NOT,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::OUTER,
    Keyword::OVER,
    Keyword::REGEXP,
    Keyword::RIGHT,
    Keyword::SELECT,
    Keyword::THEN,
    Keyword::UNION,
    Keyword::USING,
    Keyword::VALUES,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::WINDOW,
    Keyword::WITH,
];

/// Whether a space stands between the words `at - 1` and `at`.
pub(super) fn gap(words: &[Word<'_>], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|at| &words[at]) else { return false };
    let here = &words[at];
    if is_sign(words, at - 1) {
        // Two signs would make a comment, or another operator.
        return here.kind == Kind::Operator;
    }
    match (before.kind, here.kind) {
        (Kind::Open | Kind::Dot, _)
        | (_, Kind::Close | Kind::Comma | Kind::Semicolon | Kind::Dot | Kind::End)
        | (Kind::Keyword(Keyword::LEFT | Keyword::RIGHT), Kind::Open) => false,
        (Kind::Other, Kind::Open) if before.text.eq_ignore_ascii_case("materialized") => true,
        (Kind::Other, Kind::Open) => here.spaced && !is_name(before.text),
        // `glob('a*', x)` is a call, `x GLOB ('a*')` is not.
        (Kind::Other, Kind::Other) | (Kind::Keyword(Keyword::GLOB | Keyword::LIKE), Kind::Open) => here.spaced,
        _ => true,
    }
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '"' || c == '`')
}

/// Whether the word is the sign of one operand.
fn is_sign(words: &[Word<'_>], at: usize) -> bool {
    let signs = ["-", "+", "~"];
    words[at].kind == Kind::Operator
        && signs.contains(&words[at].text)
        && at.checked_sub(1).is_none_or(|before| match words[before].kind {
            Kind::Open | Kind::Comma | Kind::Operator => true,
            Kind::Keyword(keyword) => keyword != Keyword::END,
            _ => false,
        })
}
