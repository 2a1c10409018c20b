//! The usual patterns of LIKE and GLOB, which are literals with "any" between them: searched by bytes.
//!
//! Literals are whole characters of UTF-8, so where one is found is where a character starts. The first place of each is
//! the right one: what follows it has the most room there.

use memchr::memmem;
use memchr::{memchr, memchr2};

use super::rarity::rarity;
use super::wildcard::Token;

/// Literals in order.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Whether the case of ASCII letters does not count.
    folded: bool,
    /// Whether the head is all there is: then it is the whole text.
    whole: bool,
    head: Box<[u8]>,
    middle: Box<[Literal]>,
    tail: Box<[u8]>,
}

impl Pieces {
    /// The tokens as literals that are equal exactly or, where `folded`, without regard to the case of ASCII letters.
    /// Nothing for what else there is in a pattern.
    pub(super) fn of(tokens: &[impl Token], folded: bool) -> Option<Self> {
        let mut literals = vec![String::new()];
        for token in tokens {
            match token.literal() {
                Some(c) => literals.last_mut().expect("one at least").push(c),
                None if token.is_any() => literals.push(String::new()),
                None => return None,
            }
        }
        let whole = literals.len() == 1;
        let head = literals.remove(0).into_bytes().into();
        let tail = literals.pop().unwrap_or_default().into_bytes().into();
        let middle = literals.iter().filter(|literal| !literal.is_empty());
        let middle = middle.map(|literal| Literal::new(literal, folded)).collect();
        Some(Self { folded, whole, head, middle, tail })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        if self.whole {
            return text.len() == self.head.len() && self.are_equal(&self.head, text);
        }
        if text.len() < self.head.len() + self.tail.len() {
            return false;
        }
        let (head, rest) = text.split_at(self.head.len());
        let (mut rest, tail) = rest.split_at(rest.len() - self.tail.len());
        if !self.are_equal(&self.head, head) || !self.are_equal(&self.tail, tail) {
            return false;
        }
        for literal in &self.middle {
            let Some(at) = literal.find(rest) else { return false };
            rest = &rest[at + literal.len()..];
        }
        true
    }

    /// Whether a literal is these bytes, which are as many. Nothing is compared with nothing: of an empty slice that lies
    /// nowhere that can take hundreds of cycles.
    fn are_equal(&self, literal: &[u8], bytes: &[u8]) -> bool {
        bytes.is_empty() || if self.folded { literal.eq_ignore_ascii_case(bytes) } else { literal == bytes }
    }
}

/// What is searched for.
#[derive(Clone, Debug)]
enum Literal {
    Exact(Box<memmem::Finder<'static>>),
    Folded(Folded),
}

impl Literal {
    fn new(literal: &str, folded: bool) -> Self {
        let has_letters = literal.bytes().any(|byte| byte.is_ascii_alphabetic());
        if folded && has_letters {
            return Self::Folded(Folded::new(literal.as_bytes()));
        }
        Self::Exact(Box::new(memmem::Finder::new(literal.as_bytes()).into_owned()))
    }

    fn len(&self) -> usize {
        match self {
            Self::Exact(finder) => finder.needle().len(),
            Self::Folded(folded) => folded.bytes.len(),
        }
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(finder) => finder.find(text),
            Self::Folded(folded) => folded.find(text),
        }
    }
}

/// A literal that is found in any case: by its rarest byte, then by comparing what is around that.
#[derive(Clone, Debug)]
struct Folded {
    bytes: Box<[u8]>,
    rarest: usize,
}

impl Folded {
    fn new(bytes: &[u8]) -> Self {
        let rarest = (0..bytes.len()).max_by_key(|at| rarity(bytes[*at])).expect("it has letters");
        Self { bytes: bytes.to_ascii_lowercase().into(), rarest }
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        let lower = self.bytes[self.rarest];
        let upper = lower.to_ascii_uppercase();
        // Where the rarest byte can be for the literal to fit.
        let mut at = self.rarest;
        let end = (text.len() + self.rarest + 1).checked_sub(self.bytes.len())?;
        while at < end {
            let rest = &text[at..end];
            at += if lower == upper { memchr(lower, rest)? } else { memchr2(lower, upper, rest)? };
            let start = at - self.rarest;
            if text[start..start + self.bytes.len()].eq_ignore_ascii_case(&self.bytes) {
                return Some(start);
            }
            at += 1;
        }
        None
    }
}
