//! What a text is made of, roughly: tells of most patterns at once that the text does not match.
//!
//! A place stands for all runs of three folded bytes with one hash. A text that lacks a run of what a pattern requires
//! does not match it; so the pattern, which lies somewhere else in memory and has to search, need not be asked. What a
//! whole condition requires lies in one piece ([`Needs`]), so that most conditions need not be run either.

use daemoneye_dsl::pattern::{Literal, Required};

use super::atoms::{Atom, Atoms, Question, Rows};
use super::estimate;
use super::program::{Tree, Truths};
use crate::cell::Cell;

const WIDTH: usize = 3;
const PLACES_LOG: u32 = 12;
const PLACES: usize = 1 << PLACES_LOG;
/// In longer texts nearly every place would be taken.
const TEXT_LEN_MAX: usize = 4_096;
/// Questions about a text before it is worth a sketch.
const ASKED_MIN: u8 = 2;
/// Alternatives of one clause, and clauses of one condition.
const ANY_MAX: usize = 64;
const CLAUSES_MAX: usize = 8;

/// The rarest two runs of a literal.
pub(super) type Pair = [u16; 2];

/// Pairs of runs of which a column's text has at least one.
struct Clause {
    column: u16,
    any: Vec<Pair>,
}

/// The pair of what is required, if that is one literal at least, and a long one.
pub(super) fn pair(required: &Required) -> Option<Pair> {
    let mut runs: Vec<&[u8]> = literals(required).flat_map(|literal| literal.bytes.windows(WIDTH)).collect();
    runs.sort_by_cached_key(|run| std::cmp::Reverse(estimate::bits_of_run(run)));
    let first = runs.first()?;
    let second = runs.get(1).unwrap_or(first);
    Some([first, second].map(|run| place(run.iter().fold(0, |rolling, byte| followed_by(rolling, *byte)))))
}

/// The literals that are all required.
fn literals(required: &Required) -> Box<dyn Iterator<Item = &Literal> + '_> {
    match required {
        Required::Literal(literal) => Box::new(std::iter::once(literal)),
        Required::All(parts) => Box::new(parts.iter().flat_map(literals)),
        Required::Any(_) | Required::Anything => Box::new(std::iter::empty()),
    }
}

impl Clause {
    /// What must be so where all of the tree is true.
    fn all(tree: &Tree, atoms: &Atoms) -> Vec<Self> {
        match tree {
            Tree::All(parts) => parts.iter().flat_map(|part| Self::all(part, atoms)).collect(),
            Tree::Any(parts) => Self::either(parts.iter().map(|part| Self::all(part, atoms))).into_iter().collect(),
            Tree::Test(atom, Truths::TRUE) => match atoms.get(*atom) {
                Atom::Column(column, Question::Match(pattern)) => {
                    u16::try_from(*column).map_or(vec![], |column| Self::required(column, &pattern.required()))
                }
                _ => vec![],
            },
            Tree::Test(..) => vec![],
        }
    }

    fn required(column: u16, required: &Required) -> Vec<Self> {
        match required {
            Required::Anything => vec![],
            Required::Literal(_) => pair(required).map(|pair| Self { column, any: vec![pair] }).into_iter().collect(),
            Required::All(parts) => parts.iter().flat_map(|part| Self::required(column, part)).collect(),
            Required::Any(parts) => {
                Self::either(parts.iter().map(|part| Self::required(column, part))).into_iter().collect()
            }
        }
    }

    /// One clause of each, which must be about one column.
    fn either(each: impl Iterator<Item = Vec<Self>>) -> Option<Self> {
        let one = each.map(|clauses| clauses.into_iter().min_by_key(|clause| clause.any.len()));
        let clauses: Vec<Self> = one.collect::<Option<_>>()?;
        let column = clauses.first()?.column;
        let any: Vec<Pair> = clauses.iter().flat_map(|clause| &clause.any).copied().collect();
        (clauses.iter().all(|clause| clause.column == column) && any.len() <= ANY_MAX).then_some(Self { column, any })
    }
}

/// What texts must have for a condition to be true: some clauses, all of them.
pub(super) struct Needs {
    pairs: Box<[Pair]>,
    /// The column of each clause, and where its pairs end.
    clauses: Box<[(u16, u16)]>,
}

impl Needs {
    pub(super) fn of(tree: &Tree, atoms: &Atoms) -> Self {
        let mut all = Clause::all(tree, atoms);
        all.sort_by_key(|clause| clause.any.len());
        all.truncate(CLAUSES_MAX);
        let mut pairs = Vec::new();
        let clause = |clause: Clause| {
            pairs.extend(clause.any);
            (clause.column, u16::try_from(pairs.len()).expect("few clauses of few alternatives"))
        };
        let clauses = all.into_iter().map(clause).collect();
        Self { clauses, pairs: pairs.into() }
    }

    /// Whether the row may be one for which the condition is true.
    pub(super) fn may_be_met(&self, sketches: &mut Sketches, rows: &Rows<'_>, row: u32) -> bool {
        let mut start = 0;
        self.clauses.iter().all(|(column, end)| {
            let pairs = &self.pairs[start..usize::from(*end)];
            start = usize::from(*end);
            sketches.may_have(*column, pairs, rows, row)
        })
    }
}

/// The texts of the row at hand, by column.
#[derive(Default)]
pub(super) struct Sketches {
    columns: Vec<Sketch>,
    /// A number for the row at hand.
    turn: u64,
    /// As often its texts were asked about before it began.
    asked: u8,
}

/// The runs of one text, once they are asked for often enough.
#[derive(Default)]
struct Sketch {
    /// A place is taken where the stamp is the text's.
    places: Vec<u8>,
    stamp: u8,
    /// Nothing is known of the text.
    vague: bool,
    /// For which row.
    turn: u64,
    asked: u8,
}

impl Sketches {
    /// Another row follows, of which so many conditions will be asked.
    pub(super) fn next_row(&mut self, conditions: usize) {
        self.turn += 1;
        self.asked = if conditions > usize::from(ASKED_MIN) { ASKED_MIN } else { 0 };
    }

    /// Whether the text in that column may have both runs of one of the pairs; NULL has none.
    pub(super) fn may_have(&mut self, column: u16, any: &[Pair], rows: &Rows<'_>, row: u32) -> bool {
        let column = usize::from(column);
        if self.columns.len() <= column {
            self.columns.resize_with(column + 1, Sketch::default);
        }
        let sketch = &mut self.columns[column];
        if sketch.turn != self.turn {
            (sketch.turn, sketch.asked) = (self.turn, self.asked);
        }
        if sketch.asked < ASKED_MIN {
            sketch.asked += 1;
            return true;
        }
        if sketch.asked == ASKED_MIN {
            sketch.asked += 1;
            sketch.draw(rows.cells[column].at(row as usize));
        }
        sketch.vague || any.iter().any(|pair| sketch.has(*pair))
    }
}

impl Sketch {
    fn has(&self, pair: Pair) -> bool {
        pair.iter().all(|place| self.places[usize::from(*place)] == self.stamp)
    }

    fn draw(&mut self, text: Cell<'_>) {
        let text = if let Cell::Text(text) = text { text.as_bytes() } else { &[] };
        self.vague = text.len() > TEXT_LEN_MAX;
        if self.vague {
            return;
        }
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 || self.places.is_empty() {
            self.places.clear();
            self.places.resize(PLACES, 0);
            self.stamp = 1;
        }
        let mut rolling = 0;
        for byte in text {
            rolling = followed_by(rolling, byte.to_ascii_lowercase());
            self.places[usize::from(place(rolling))] = self.stamp;
        }
    }
}

/// The last three bytes, in the upper part.
fn followed_by(rolling: u32, byte: u8) -> u32 {
    (rolling << 8 | u32::from(byte) << 8) & 0xFFFF_FF00
}

fn place(run: u32) -> u16 {
    (run.wrapping_mul(0x9E37_79B1) >> (32 - PLACES_LOG)) as u16
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringArray;
    use daemoneye_dsl::expr::{Expr, ExprKind};
    use daemoneye_dsl::pattern::Pattern;
    use daemoneye_dsl::types::Type;

    use super::*;
    use crate::batch::batch;

    fn matches(pattern: Pattern) -> Expr {
        let value = Box::new(Expr::column(0, Type::Text, "c"));
        Expr::boolean(ExprKind::Match { value, pattern: Arc::new(pattern) })
    }

    #[test]
    fn a_text_that_lacks_a_run_is_told_apart() {
        let like = |source| matches(Pattern::like(source, None));
        let regexp = |source| matches(Pattern::regexp(source, 1 << 20).unwrap());
        let any = |parts: Vec<Expr>| Expr::boolean(ExprKind::Or(parts));
        let long = format!("{}MIMIKATZ", "a".repeat(5_000));
        let both = Expr::all([like("%curl%"), any(vec![like("%http:%"), like("%ftp:%")])]).unwrap();
        for (condition, cases) in [
            (
                like("%Mimikatz%x%"),
                vec![("c:\\MimiKatz.exe x", true), ("ls /tmp", false), ("mimik", false), ("", false)],
            ),
            (like("%Mimikatz%x%"), vec![(&*long, true)]),
            (regexp("(curl|wget).*x"), vec![("a CURL", true), ("wget", true), ("x", false)]),
            (regexp("(curl|wget).*[0-9]{2}|dd"), vec![("x", true)]),
            (both, vec![("curl FTP:", true), ("curl http", false), ("http:", false), ("http: curl", true)]),
            (any(vec![like("%curl%"), like("%x%")]), vec![("nothing", true)]),
        ] {
            let mut atoms = Atoms::default();
            let tree = Tree::of(&condition, &mut |expr| atoms.take(Atom::of(expr)));
            let needs = Needs::of(&tree, &atoms);
            let texts: StringArray = cases.iter().map(|(text, _)| Some(*text)).collect();
            let rows = batch(vec![Arc::new(texts)], cases.len());
            let rows = Rows::of(&rows);
            let mut sketches = Sketches::default();
            // More rows than there are stamps.
            for _ in 0..300 {
                for (row, (text, expected)) in (0..).zip(&cases) {
                    sketches.next_row(1);
                    let answers = [(); 4].map(|()| needs.may_be_met(&mut sketches, &rows, row));
                    assert_eq!((answers[0], answers[3]), (true, *expected), "{condition} {text}");
                    sketches.next_row(3);
                    assert_eq!(needs.may_be_met(&mut sketches, &rows, row), *expected, "{condition} {text}");
                }
            }
        }
    }
}
