//! The predicates of all conditions, each kept once, and what they are for the row at hand.
//!
//! An atom is what is left of a condition without AND, OR and NOT. Most are a question about one column's value; what
//! else there is goes to the one evaluator of expressions, for one row. Either way it is asked at most once per row.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};
use daemoneye_dsl::pattern::{Pattern, PatternKind};
use daemoneye_dsl::types::{Timestamp, Type, Value};
use hashbrown::HashTable;

use super::guard::Probe;
use super::program::Truths;
use super::sketch::{self, Pair, Sketches};
use crate::cell::{Cell, Cells};
use crate::eval::Evaluator;

/// What a test of a condition asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Atom {
    /// One value.
    Column(usize, Question),
    /// The row.
    Row(Box<Expr>),
}

/// What is asked about a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    IsTrue,
    IsNull,
    Compare { op: Comparison, with: Value, collation: Collation },
    In { list: Arc<[Value]>, has_null: bool, collation: Collation, marks: Marks },
    Match(Arc<Pattern>),
}

/// A few bits of every text of a list, which tell of most texts that they are not in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Marks(u64);

impl Marks {
    fn of(list: &[Value]) -> Self {
        let texts = list.iter().filter_map(Value::as_text);
        Self(texts.fold(0, |marks, text| marks | Self::mark(text)))
    }

    fn may_have(self, text: &str) -> bool {
        self.0 & Self::mark(text) != 0
    }

    /// The same for texts that some collation holds for equal.
    fn mark(text: &str) -> u64 {
        let letter = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(byte.to_ascii_lowercase()));
        let (first, last) = (letter(text.as_bytes().first()), letter(text.as_bytes().last()));
        1 << ((first * 7 + last * 3 + text.len()) % 64)
    }
}

impl Question {
    fn answer(&self, cell: Cell<'_>) -> Option<bool> {
        match (self, cell) {
            (Self::IsNull, cell) => Some(cell.is_null()),
            (Self::Compare { op, with, collation }, cell) => cell.compare(*op, Cell::of(with), *collation),
            (Self::In { has_null: false, marks, .. }, Cell::Text(text)) if !marks.may_have(text) => Some(false),
            (Self::In { list, has_null, collation, .. }, cell) => cell.is_in(list, *has_null, *collation),
            (Self::Match(pattern), Cell::Text(text)) => Some(pattern.is_match(text)),
            (Self::IsTrue, Cell::Boolean(truth)) => Some(truth),
            (Self::Match(_) | Self::IsTrue, _) => None,
        }
    }
}

impl Atom {
    pub(super) fn of(expr: &Expr) -> Self {
        Self::about_column(expr).unwrap_or_else(|| Self::Row(Box::new(expr.clone())))
    }

    fn about_column(expr: &Expr) -> Option<Self> {
        let column = |expr: &Expr| if let ExprKind::Column { index, .. } = expr.kind { Some(index) } else { None };
        let constant = |expr: &Expr| if let ExprKind::Literal(value) = &expr.kind { Some(value.clone()) } else { None };
        Some(match &expr.kind {
            ExprKind::Column { index, .. } if expr.ty == Type::Boolean => Self::Column(*index, Question::IsTrue),
            ExprKind::IsNull(of) => Self::Column(column(of)?, Question::IsNull),
            ExprKind::Compare { op, left, right, collation } => {
                let collation = *collation;
                if let Some(at) = column(left) {
                    Self::Column(at, Question::Compare { op: *op, with: constant(right)?, collation })
                } else {
                    let (op, with) = (op.flipped(), constant(left)?);
                    Self::Column(column(right)?, Question::Compare { op, with, collation })
                }
            }
            ExprKind::In { value, list, has_null, collation } => {
                let (has_null, collation) = (*has_null, *collation);
                let marks = Marks::of(list);
                Self::Column(column(value)?, Question::In { list: list.clone(), has_null, collation, marks })
            }
            ExprKind::Match { value, pattern } => Self::Column(column(value)?, Question::Match(pattern.clone())),
            _ => return None,
        })
    }

    /// The probe that is met exactly where the atom is true, if there is one.
    pub(super) fn probe(&self) -> Option<Probe> {
        let Self::Column(column, Question::Match(pattern)) = self else { return None };
        Some(Probe::Literal(*column, pattern.only_literal()?))
    }

    /// About how long an answer takes, against others.
    fn cost(&self) -> u32 {
        match self {
            Self::Column(_, Question::IsTrue | Question::IsNull) => 1,
            Self::Column(_, Question::Compare { with, .. }) => 2 + u32::from(with.ty() == Some(Type::Text)),
            Self::Column(_, Question::In { .. }) => 8,
            Self::Column(_, Question::Match(pattern)) => match pattern.kind() {
                PatternKind::Like | PatternKind::Glob => 12,
                PatternKind::Regexp => 100,
            },
            Self::Row(_) => 400,
        }
    }

    /// Regular expressions learn while they run, so they are asked about one row after the other; and what takes long
    /// had better not be asked at all.
    fn is_put_off(&self) -> bool {
        match self {
            Self::Column(_, Question::Match(pattern)) => pattern.kind() == PatternKind::Regexp,
            Self::Column(..) => false,
            Self::Row(_) => true,
        }
    }

    fn truth(&self, rows: &Rows<'_>, row: u32) -> Option<bool> {
        match self {
            Self::Column(column, question) => question.answer(rows.cells[*column].at(row as usize)),
            Self::Row(expr) => Evaluator::new(rows.batch, Timestamp(0), &[]).truth_at(expr, row),
        }
    }

    /// Equal for atoms that are.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut key = Vec::new();
        match self {
            Self::Column(column, question) => {
                column.hash(&mut hasher);
                match question {
                    Question::IsTrue | Question::IsNull => {}
                    Question::Compare { with, .. } => with.encode_key(&mut key),
                    Question::In { list, .. } => list.iter().for_each(|value| value.encode_key(&mut key)),
                    Question::Match(pattern) => pattern.source().hash(&mut hasher),
                }
            }
            Self::Row(expr) => expr.to_string().hash(&mut hasher),
        }
        key.hash(&mut hasher);
        hasher.finish()
    }
}

/// The rows at hand.
pub(super) struct Rows<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) cells: Vec<Cells<'a>>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        Self { batch, cells: batch.columns().iter().map(|column| Cells::of(column.as_ref())).collect() }
    }
}

/// Every atom once.
#[derive(Default)]
pub(super) struct Atoms {
    places: Vec<Place>,
    /// Places that nothing uses.
    free: Vec<u32>,
    by_fingerprint: HashTable<u32>,
    /// For each place, which row it was last answered for, and the answer in the lowest three bits.
    answers: Vec<u64>,
    hints: Vec<Option<Hint>>,
    pub(super) sketches: Sketches,
    /// A number for the row at hand.
    turn: u64,
}

/// What is known of the answer without asking.
#[derive(Clone, Copy)]
struct Hint {
    column: u16,
    /// What the column's text must have for the answer to be true.
    pair: Pair,
    /// How many conditions have the pattern's literal looked for in every text. Where it is found, the answer is true; so
    /// where it was not, it is not.
    looked_for: u32,
}

struct Place {
    atom: Atom,
    fingerprint: u64,
    uses: u32,
}

impl Atoms {
    /// The place of an atom, used once more.
    pub(super) fn take(&mut self, atom: Atom) -> u32 {
        let fingerprint = atom.fingerprint();
        if let Some(at) = self.known(&atom, fingerprint) {
            self.places[at as usize].uses += 1;
            return at;
        }
        let hint = Hint::of(&atom);
        let place = Place { atom, fingerprint, uses: 1 };
        let at = if let Some(at) = self.free.pop() {
            self.places[at as usize] = place;
            self.hints[at as usize] = hint;
            at
        } else {
            self.places.push(place);
            self.answers.push(0);
            self.hints.push(hint);
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 predicates")
        };
        let places = &self.places;
        self.by_fingerprint.insert_unique(fingerprint, at, |at| places[*at as usize].fingerprint);
        at
    }

    /// Has a condition use the patterns of atoms that are there, and no more room than it needs.
    pub(super) fn share(&self, expr: &mut Expr) {
        if let ExprKind::Match { .. } = expr.kind {
            let atom = Atom::of(expr);
            let known = self.known(&atom, atom.fingerprint()).map(|at| self.get(at));
            if let (ExprKind::Match { pattern, .. }, Some(Atom::Column(_, Question::Match(known)))) =
                (&mut expr.kind, known)
            {
                *pattern = known.clone();
            }
        }
        if let ExprKind::And(parts) | ExprKind::Or(parts) = &mut expr.kind {
            parts.shrink_to_fit();
        }
        for operand in expr.operands_mut() {
            self.share(operand);
        }
    }

    /// The place of an atom, if it is there.
    fn known(&self, atom: &Atom, fingerprint: u64) -> Option<u32> {
        let same = |at: &u32| {
            let place = &self.places[*at as usize];
            place.fingerprint == fingerprint && place.atom == *atom
        };
        self.by_fingerprint.find(fingerprint, same).copied()
    }

    /// One use less.
    pub(super) fn give_back(&mut self, at: u32) {
        let place = &mut self.places[at as usize];
        place.uses -= 1;
        if place.uses > 0 {
            return;
        }
        place.atom = Atom::Column(0, Question::IsNull);
        self.answers[at as usize] = 0;
        self.free.push(at);
        let fingerprint = place.fingerprint;
        if let Ok(entry) = self.by_fingerprint.find_entry(fingerprint, |other| *other == at) {
            entry.remove();
        }
    }

    pub(super) fn get(&self, at: u32) -> &Atom {
        &self.places[at as usize].atom
    }

    pub(super) fn cost(&self, at: u32) -> u32 {
        self.get(at).cost()
    }

    /// Forgets the answers: another row follows, of which so many conditions will be asked. Gives a number that no row
    /// had.
    pub(super) fn next_row(&mut self, conditions: usize) -> u64 {
        self.turn += 1;
        self.sketches.next_row(conditions);
        self.turn
    }

    /// What the atom is for a row, the same one until [`Atoms::next_row`]; none if telling it is better put off.
    pub(super) fn truth(&mut self, at: u32, rows: &Rows<'_>, row: u32) -> Option<Truths> {
        let known = self.answers[at as usize];
        if known >> 3 == self.turn {
            return Some(Truths::from_bits((known & 7) as u8));
        }
        if let Some(Hint { column, pair, looked_for }) = self.hints[at as usize]
            && (looked_for > 0 || !self.sketches.may_have(column, &[pair], rows, row))
        {
            let is_null = rows.cells[usize::from(column)].at(row as usize).is_null();
            return Some(self.answer(at, if is_null { None } else { Some(false) }));
        }
        let atom = &self.places[at as usize].atom;
        if atom.is_put_off() {
            return None;
        }
        let truth = atom.truth(rows, row);
        Some(self.answer(at, truth))
    }

    /// What the atom is for any row.
    pub(super) fn ask(&self, at: u32, rows: &Rows<'_>, row: u32) -> Truths {
        Truths::of(self.get(at).truth(rows, row))
    }

    /// The same; none if telling it is better put off.
    pub(super) fn ask_now(&self, at: u32, rows: &Rows<'_>, row: u32) -> Option<Truths> {
        (!self.get(at).is_put_off()).then(|| self.ask(at, rows, row))
    }

    fn answer(&mut self, at: u32, truth: Option<bool>) -> Truths {
        let truth = Truths::of(truth);
        self.answers[at as usize] = self.turn << 3 | u64::from(truth.bits());
        truth
    }

    /// The literal of its pattern was found in the row at hand.
    pub(super) fn is_found(&mut self, at: u32) {
        self.answer(at, Some(true));
    }

    /// One condition more has the pattern's literal looked for. Whether it is the first.
    pub(super) fn look_for(&mut self, at: u32) -> bool {
        let hint = self.hints[at as usize].as_mut();
        hint.is_some_and(|hint| {
            hint.looked_for += 1;
            hint.looked_for == 1
        })
    }

    /// One less. Whether it was the last.
    pub(super) fn look_no_more(&mut self, at: u32) -> bool {
        let hint = self.hints[at as usize].as_mut();
        hint.is_some_and(|hint| {
            hint.looked_for -= 1;
            hint.looked_for == 0
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

impl Hint {
    fn of(atom: &Atom) -> Option<Self> {
        let Atom::Column(column, Question::Match(pattern)) = atom else { return None };
        let pair = sketch::pair(&pattern.required())?;
        Some(Self { column: u16::try_from(*column).ok()?, pair, looked_for: 0 })
    }
}
