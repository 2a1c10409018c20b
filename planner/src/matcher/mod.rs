//! The conditions of all rules over one table, matched together.
//!
//! ```text
//! condition ─► Tree of tests of Atoms ─┬─► Program   run for a row, tests stopping at the first answer
//!              (each atom kept once)   └─► Guard     probes of which one must be met ─► Columns
//!
//! rows ─► Columns::find ─► (row, condition) pairs ─► Program over Atoms, each answered once per row ─► matches
//!                                                       └─► PutOff, where a regular expression has the word
//! ```
//!
//! So a row costs one pass over each of its texts and a few look-ups, and after that only conditions of which something
//! rare was met. A condition without a guard is evaluated over all rows. Conditions run row by row, except that regular
//! expressions wait until many rows are together: what one learned about the last row is then at hand for the next.
//!
//! What must hold: the answer is [`Evaluator::matching`]'s for every condition. The look-ups only leave out, the tests are
//! answered by what the evaluator itself uses ([`crate::cell`], `Pattern::is_match`, for the rest the evaluator).

mod atoms;
mod choice;
mod columns;
mod estimate;
mod guard;
mod indexed;
mod literals;
mod program;
mod put_off;
mod scan;
mod sketch;
mod values;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::pattern::Literal;
use daemoneye_dsl::types::Timestamp;

use crate::eval::Evaluator;
pub(crate) use indexed::probes;
pub use scan::LiteralScan;

use atoms::{Atom, Atoms, Rows};
use choice::Choice;
use columns::Columns;
use guard::{Guard, Probe};
use program::{Program, Ran, Tree};
use put_off::{PUT_OFF_MAX, PutOff};
use sketch::Needs;

/// The conditions over one table.
#[derive(Default)]
pub(crate) struct Matcher {
    /// By number; a removed one leaves a hole.
    conditions: Vec<Option<Condition>>,
    atoms: Atoms,
    columns: Columns,
    /// Those without a guard.
    unguarded: BTreeSet<usize>,
    /// Pairs of row and condition to be looked at.
    candidates: Candidates,
    /// Runs that wait for a regular expression.
    put_off: Vec<PutOff>,
    /// Rows of all times.
    rows_seen: u64,
    /// Conditions whose guard lets too much through.
    wasteful: BTreeSet<usize>,
}

struct Condition {
    expr: Arc<Expr>,
    program: Program,
    needs: Needs,
    guard: Choice,
    /// The atoms that it uses, as often as it does.
    atoms: Vec<u32>,
    /// The last turn in which it was run.
    run_in: u64,
    /// The rows that match, while they are collected.
    found: Vec<u32>,
}

/// Rows that are looked at together, so that what is kept of them is bounded whatever is met.
const ROWS_MAX: usize = 2_048;
const PAIRS_MAX: usize = 1 << 23;
/// Pairs for which room is kept in any case, and eight times that.
const SPARE_MIN: usize = 1 << 10;

/// Beside conditions, atoms are looked up: where their literal is found, they are true.
const FOUND: u32 = 1 << 31;

impl Condition {
    /// Atoms that what is looked up answers, each once, with the probe that does.
    fn answered(&self, atoms: &Atoms) -> Vec<(u32, Probe)> {
        let looked_up: HashSet<(usize, &Literal)> = self.guard.probes().iter().filter_map(Probe::literal).collect();
        let mut all = self.atoms.clone();
        all.sort_unstable();
        all.dedup();
        let probe = |atom: u32| Some((atom, atoms.get(atom).probe()?));
        let answered = |(_, probe): &(u32, Probe)| probe.literal().is_some_and(|it| looked_up.contains(&it));
        all.into_iter().filter_map(probe).filter(answered).collect()
    }
}

impl Matcher {
    /// A matcher of these conditions: BOOLEAN expressions whose columns are positions in the table's declared columns;
    /// none contains `now()`, parameters or subqueries. Its number is its position.
    #[cfg(test)]
    pub(crate) fn of(conditions: Vec<Arc<Expr>>) -> Self {
        let mut matcher = Self::default();
        for condition in conditions {
            matcher.add(condition);
        }
        matcher
    }

    /// The same condition, in as little room as those that are here leave it: equal patterns are one.
    pub(crate) fn tightened(&self, mut condition: Expr) -> Expr {
        self.atoms.share(&mut condition);
        condition
    }

    /// One more; gives its number. Numbers are never used again.
    pub(crate) fn add(&mut self, condition: Arc<Expr>) -> usize {
        let number = self.conditions.len();
        assert!(number < FOUND as usize, "fewer than 2^31 conditions");
        let mut atoms = Vec::new();
        let tree = tree(&condition, &mut self.atoms, &mut atoms);
        let guard = Choice::of(Guard::all(&tree, &self.atoms), self.rows_seen);
        if guard.is_empty() {
            self.unguarded.insert(number);
        }
        let (program, needs) = (Program::of(&tree), Needs::of(&tree, &self.atoms));
        self.conditions.push(Some(Condition {
            expr: condition,
            program,
            needs,
            guard,
            atoms,
            run_in: 0,
            found: vec![],
        }));
        self.look_up(number);
        number
    }

    /// Has the guard of a condition looked up, and with it what its literals answer.
    fn look_up(&mut self, number: usize) {
        let Self { conditions, atoms, columns, .. } = self;
        let Some(condition) = &conditions[number] else { return };
        let id = u32::try_from(number).expect("it was given");
        condition.guard.probes().iter().for_each(|probe| columns.add(probe, id));
        condition.answered(atoms).into_iter().for_each(|(atom, probe)| {
            if atoms.look_for(atom) {
                columns.add(&probe, atom | FOUND);
            }
        });
    }

    /// Has it looked up no more.
    fn look_away(&mut self, number: usize) {
        let Self { conditions, atoms, columns, .. } = self;
        let Some(condition) = &conditions[number] else { return };
        let id = u32::try_from(number).expect("it was given");
        condition.guard.probes().iter().for_each(|probe| columns.remove(probe, id));
        condition.answered(atoms).into_iter().for_each(|(atom, probe)| {
            if atoms.look_no_more(atom) {
                columns.remove(&probe, atom | FOUND);
            }
        });
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, number: usize) {
        if number >= self.conditions.len() {
            return;
        }
        self.look_away(number);
        let Some(condition) = self.conditions[number].take() else { return };
        self.unguarded.remove(&number);
        condition.atoms.into_iter().for_each(|atom| self.atoms.give_back(atom));
    }

    /// For each condition that some row matches: its number and its rows, ascending. `rows` has the table's declared
    /// columns.
    pub(crate) fn matching(&mut self, rows: &RecordBatch) -> Vec<(usize, Vec<u32>)> {
        let mut matched = BTreeSet::new();
        let all = Rows::of(rows);
        let at_once = (PAIRS_MAX / (self.conditions.len() + self.atoms.len()).max(1)).clamp(16, ROWS_MAX);
        for start in (0..rows.num_rows()).step_by(at_once) {
            let slice = rows.slice(start, at_once.min(rows.num_rows() - start));
            self.match_guarded(&slice, start, &mut matched);
            if self.put_off.len() > PUT_OFF_MAX {
                self.take_up(&all, &mut matched);
            }
        }
        self.take_up(&all, &mut matched);
        for number in &self.unguarded {
            let found = self.matching_one(*number, rows);
            if !found.is_empty() {
                matched.insert(*number);
                if let Some(condition) = &mut self.conditions[*number] {
                    condition.found = found;
                }
            }
        }
        let take = |number: usize| {
            let condition = self.conditions[number].as_mut().expect("it just matched");
            let mut found = std::mem::take(&mut condition.found);
            // What was put off came later.
            found.sort_unstable();
            (number, found)
        };
        let matches = matched.into_iter().map(take).collect();
        self.candidates.end();
        matches
    }

    fn match_guarded(&mut self, slice: &RecordBatch, start: usize, matched: &mut BTreeSet<usize>) {
        let rows = Rows::of(slice);
        self.rows_seen += slice.num_rows() as u64;
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear(slice.num_rows());
        self.columns.find(&rows, |row, condition| candidates.add(row, condition));
        let start = u32::try_from(start).expect("a batch has fewer than 2^32 rows");
        for (row, conditions) in candidates.by_row() {
            let turn = self.atoms.next_row(conditions.len());
            conditions.iter().filter(|it| **it & FOUND != 0).for_each(|atom| self.atoms.is_found(atom & !FOUND));
            for id in conditions.iter().filter(|it| **it & FOUND == 0) {
                let number = *id as usize;
                let Some(condition) = &mut self.conditions[number] else { continue };
                if std::mem::replace(&mut condition.run_in, turn) == turn {
                    continue;
                }
                let ran = if condition.needs.may_be_met(&mut self.atoms.sketches, &rows, row) {
                    condition.program.run(condition.program.start(), |atom| self.atoms.truth(atom, &rows, row))
                } else {
                    Ran::Ends(false)
                };
                self.note(*id, start + row, ran, matched);
            }
        }
        self.candidates = candidates;
        self.choose_again();
    }

    /// Gives the wasteful other guards.
    fn choose_again(&mut self) {
        for number in std::mem::take(&mut self.wasteful) {
            self.look_away(number);
            let Self { conditions, atoms, .. } = self;
            if let Some(condition) = &mut conditions[number] {
                let guards = || {
                    let mut taken = Vec::new();
                    let tree = tree(&condition.expr, atoms, &mut taken);
                    let guards = Guard::all(&tree, atoms);
                    for atom in taken {
                        atoms.give_back(atom);
                    }
                    guards
                };
                condition.guard.reconsider(self.rows_seen, guards);
            }
            self.look_up(number);
        }
    }

    /// The rows that match one condition alone.
    pub(crate) fn matching_one(&self, number: usize, rows: &RecordBatch) -> Vec<u32> {
        let condition = self.conditions.get(number).and_then(Option::as_ref);
        condition.map_or_else(Vec::new, |it| Evaluator::new(rows, Timestamp(0), &[]).matching(&it.expr))
    }

    /// How a condition is found, for people; `name` tells what a column is called.
    pub(crate) fn guard(&self, number: usize, name: impl Fn(usize) -> String) -> String {
        let Some(condition) = self.conditions.get(number).and_then(Option::as_ref) else { return String::new() };
        if condition.guard.is_empty() {
            return "looked at for every row".to_owned();
        }
        guard::describe(condition.guard.probes(), name)
    }
}

/// The tree of a condition, what costs less first. The atoms that it uses are in `taken`, as often as it does.
fn tree(condition: &Expr, atoms: &mut Atoms, taken: &mut Vec<u32>) -> Tree {
    let mut tree = Tree::of(condition, &mut |expr| {
        let atom = atoms.take(Atom::of(expr));
        taken.push(atom);
        atom
    });
    tree.sort_by_cost(&|atom| atoms.cost(atom));
    tree
}

/// Pairs of row and condition, or atom, told in any order, wanted by row.
#[derive(Default)]
struct Candidates {
    pairs: Vec<(u32, u32)>,
    /// How many of each row; then where each row's end.
    ends: Vec<u32>,
    /// The conditions, by row.
    conditions: Vec<u32>,
}

impl Candidates {
    fn clear(&mut self, rows: usize) {
        self.pairs.clear();
        self.ends.clear();
        self.ends.resize(rows, 0);
    }

    fn add(&mut self, row: u32, condition: u32) {
        self.pairs.push((row, condition));
        self.ends[row as usize] += 1;
    }

    /// Room for much more than the last rows needed goes: after a whole table mostly changes come.
    fn end(&mut self) {
        let spare = 8 * self.pairs.len().max(SPARE_MIN);
        if self.pairs.capacity() > spare {
            self.pairs.shrink_to(spare);
            self.conditions.shrink_to(spare);
            self.ends.shrink_to(spare);
        }
    }

    /// The conditions of each row.
    fn by_row(&mut self) -> impl Iterator<Item = (u32, &[u32])> {
        let mut start = 0;
        for count in &mut self.ends {
            start += std::mem::replace(count, start);
        }
        self.conditions.clear();
        self.conditions.resize(self.pairs.len(), 0);
        for (row, condition) in &self.pairs {
            let place = &mut self.ends[*row as usize];
            self.conditions[*place as usize] = *condition;
            *place += 1;
        }
        let (ends, conditions) = (&self.ends, &self.conditions);
        let start = |row: usize| if row == 0 { 0 } else { ends[row - 1] as usize };
        (0u32..).zip(ends).map(move |(row, end)| (row, &conditions[start(row as usize)..*end as usize]))
    }
}
