//! What must be so in a row for a condition to be true there: the few things that are looked up for every row.
//!
//! A guard is a list of probes of which one must be met. Where all of several things are required, the guard of the one
//! that is met most rarely does. A guard may let through too much, never too little.

use daemoneye_dsl::expr::{Comparison, Expr};
use daemoneye_dsl::pattern::{Literal, Required};
use daemoneye_dsl::types::{Type, Value};

use super::atoms::{Atom, Atoms, Question};
use super::estimate;
use super::program::{Tree, Truths};
use crate::cell::Cell;

/// Something that can be looked up about a column's values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Probe {
    /// The folded text contains it.
    Literal(usize, Literal),
    /// The value is, ASCII letters folded, equal.
    Equal(usize, Value),
    /// The number is not less than this, both rounded.
    AtLeast(usize, f64),
    /// The number is not greater than this, both rounded.
    AtMost(usize, f64),
    /// There is no value.
    Null(usize),
}

/// One of the probes must be met; none at all never is.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    pub(super) any: Vec<Probe>,
    /// Of how many rows it is met, about.
    pub(super) met: f64,
}

/// Bytes of a literal that are looked for; of a longer one, its first.
const LITERAL_LEN_MAX: usize = 64;
/// The shortest literal that is looked for.
pub(super) const LITERAL_LEN_MIN: usize = 2;

impl Guard {
    /// Every guard that a condition could have: one for each thing that is required.
    pub(super) fn all(tree: &Tree, atoms: &Atoms) -> Vec<Self> {
        match tree {
            Tree::All(parts) => parts.iter().flat_map(|part| Self::all(part, atoms)).collect(),
            Tree::Test(atom, Truths::TRUE) => match atoms.get(*atom) {
                Atom::Column(column, Question::Match(pattern)) => match pattern.required() {
                    Required::All(parts) => parts.iter().filter_map(|part| Self::required(*column, part)).collect(),
                    other => Self::required(*column, &other).into_iter().collect(),
                },
                _ => Self::of(tree, atoms).into_iter().collect(),
            },
            other => Self::of(other, atoms).into_iter().collect(),
        }
    }

    /// The guard of a condition that is met most rarely, if it has one.
    fn of(tree: &Tree, atoms: &Atoms) -> Option<Self> {
        match tree {
            Tree::All(parts) => Self::best(parts.iter().filter_map(|part| Self::of(part, atoms))),
            Tree::Any(parts) => Self::either(parts.iter().map(|part| Self::of(part, atoms))),
            Tree::Test(atom, accepts) => match atoms.get(*atom) {
                Atom::Column(column, question) => Self::of_question(*column, question, *accepts),
                Atom::Row(_) => None,
            },
        }
    }

    fn best(guards: impl Iterator<Item = Self>) -> Option<Self> {
        guards.min_by(|one, other| one.met.total_cmp(&other.met))
    }

    fn either(guards: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        let mut all = Self::default();
        for guard in guards {
            let guard = guard?;
            all.any.extend(guard.any);
            all.met += guard.met;
        }
        Some(all)
    }

    fn one(probe: Probe, met: f64) -> Self {
        Self { any: vec![probe], met }
    }

    fn of_question(column: usize, question: &Question, accepts: Truths) -> Option<Self> {
        match (question, accepts) {
            (Question::IsNull, Truths::TRUE) => Some(Self::one(Probe::Null(column), estimate::OF_NULL)),
            (Question::IsTrue, Truths::TRUE) => Self::equal(column, &Value::Boolean(true)),
            (Question::IsTrue, Truths::FALSE) => Self::equal(column, &Value::Boolean(false)),
            (Question::Compare { op, with, .. }, Truths::TRUE) => Self::compared(column, *op, with),
            (Question::Compare { op, with, .. }, Truths::FALSE) => Self::compared(column, negated(*op), with),
            (Question::In { list, .. }, Truths::TRUE) => {
                Self::either(list.iter().map(|value| Self::equal(column, value)))
            }
            (Question::Match(pattern), Truths::TRUE) => Self::required(column, &pattern.required()),
            _ => None,
        }
    }

    fn compared(column: usize, op: Comparison, with: &Value) -> Option<Self> {
        let bound = |probe: fn(usize, f64) -> Probe| {
            Some(Self::one(probe(column, rounded(Cell::of(with))?), estimate::OF_BOUND))
        };
        match op {
            // A comparison with NULL is never true.
            _ if with.is_null() && !matches!(op, Comparison::Is | Comparison::IsNot) => Some(Self::default()),
            Comparison::Is if with.is_null() => Some(Self::one(Probe::Null(column), estimate::OF_NULL)),
            Comparison::Equal | Comparison::Is => Self::equal(column, with),
            Comparison::Less | Comparison::LessEqual => bound(Probe::AtMost),
            Comparison::Greater | Comparison::GreaterEqual => bound(Probe::AtLeast),
            Comparison::NotEqual | Comparison::IsNot => None,
        }
    }

    fn equal(column: usize, value: &Value) -> Option<Self> {
        (!matches!(value, Value::Null | Value::Blob(_)))
            .then(|| Self::one(Probe::Equal(column, value.clone()), estimate::of_equality(value)))
    }

    fn required(column: usize, required: &Required) -> Option<Self> {
        match required {
            Required::Anything => None,
            Required::All(parts) => Self::best(parts.iter().filter_map(|part| Self::required(column, part))),
            Required::Any(parts) => Self::either(parts.iter().map(|part| Self::required(column, part))),
            Required::Literal(literal) if literal.bytes.len() < LITERAL_LEN_MIN => None,
            Required::Literal(literal) => {
                let mut literal = literal.clone();
                if literal.bytes.len() > LITERAL_LEN_MAX {
                    literal.bytes.truncate(LITERAL_LEN_MAX);
                    literal.at_end = false;
                }
                let met = estimate::of_literal(&literal);
                Some(Self::one(Probe::Literal(column, literal), met))
            }
        }
    }
}

/// The comparison that is true where this one is false.
fn negated(op: Comparison) -> Comparison {
    match op {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterEqual,
        Comparison::GreaterEqual => Comparison::Less,
        Comparison::Greater => Comparison::LessEqual,
        Comparison::LessEqual => Comparison::Greater,
        Comparison::Is => Comparison::IsNot,
        Comparison::IsNot => Comparison::Is,
    }
}

/// A number as the double next to it: what is not less stays so.
#[expect(clippy::cast_precision_loss, reason = "rounding keeps the order of what it does not make equal")]
pub(super) fn rounded(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Integer(value) | Cell::Timestamp(value) | Cell::Interval(value) => Some(value as f64),
        Cell::Real(value) => Some(value),
        _ => None,
    }
}

/// Probes that are shown.
const SHOWN_MAX: usize = 8;

impl Guard {
    /// Whether it has a literal that is short and may be anywhere: these need another pass over all texts, and are found often.
    pub(super) fn is_dear(&self) -> bool {
        let is_short = |literal: &Literal| literal.bytes.len() < 4 && !literal.at_start && !literal.at_end;
        self.any.iter().filter_map(Probe::literal).any(|(_, literal)| is_short(literal))
    }
}

/// What is looked up, for people: `command_line has 'dev/tcp' or 'mkfifo'`.
pub(super) fn describe(probes: &[Probe], name: impl Fn(usize) -> String) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for probe in probes.iter().take(SHOWN_MAX) {
        let (column, verb, object) = probe.words();
        let subject = if last == Some((column, verb)) { String::new() } else { format!("{} {verb} ", name(column)) };
        words.push(format!("{subject}{object}").trim_end().to_owned());
        last = Some((column, verb));
    }
    match probes.len().saturating_sub(SHOWN_MAX) {
        0 if words.is_empty() => return "true for no row".to_owned(),
        0 => {}
        more => words.push(format!("{more} more")),
    }
    words.join(" or ")
}

impl Probe {
    pub(super) fn column(&self) -> usize {
        match self {
            Self::Literal(column, _)
            | Self::Equal(column, _)
            | Self::AtLeast(column, _)
            | Self::AtMost(column, _)
            | Self::Null(column) => *column,
        }
    }

    /// The column and what its text must contain, if it is that.
    pub(super) fn literal(&self) -> Option<(usize, &Literal)> {
        if let Self::Literal(column, literal) = self { Some((*column, literal)) } else { None }
    }

    fn words(&self) -> (usize, &'static str, String) {
        match self {
            Self::Literal(column, literal) => {
                let verb = match (literal.at_start, literal.at_end) {
                    (false, false) => "has",
                    (true, false) => "starts with",
                    (false, true) => "ends with",
                    (true, true) => "is",
                };
                let text = String::from_utf8_lossy(&literal.bytes).replace('\'', "''");
                (*column, verb, format!("'{text}'"))
            }
            Self::Equal(column, value) => {
                let ty = value.ty().unwrap_or(Type::Text);
                (*column, "=", Expr::literal(value.clone(), ty).to_string())
            }
            Self::AtLeast(column, bound) => (*column, ">=", bound.to_string()),
            Self::AtMost(column, bound) => (*column, "<=", bound.to_string()),
            Self::Null(column) => (*column, "IS NULL", String::new()),
        }
    }
}
