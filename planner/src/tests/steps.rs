//! The law: the sum of the steps is the meaning of the tables as they are.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use daemoneye_dsl::query::Query;
use daemoneye_dsl::tables::{Kind, Table};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type};

use super::case::{Case, checked};
use super::differential::report;
use super::generator::Mode;
use super::random::{Coverage, Random};
use super::statement::statement;
use super::world::{EPOCH, Row, World, columns, row, rows_of, value};
use super::{generator, setting, statement as statements};
use crate::batch::Batch;
use crate::dataflow::{Changes, Dataflow, Outcome, RuleId, matches_are_events};
use crate::plan::Plan;

/// Rows with how often each is there, by the bytes of its key.
pub(super) type Relation = BTreeMap<Vec<u8>, (Row, i64)>;

const PER_WORLD: u64 = 5;
const STEPS: usize = 6;
/// So many statements have every form of the grammar among them.
const COVERING: u64 = 5_000;

#[test]
fn steps_sum_to_the_whole() {
    let (cases, seed) = (setting("CASES", 1_200), setting("SEED", 1));
    let mut coverage = Coverage::default();
    for number in 0..cases.div_ceil(PER_WORLD) {
        let world = World::random(&mut Random::new(seed.wrapping_mul(1 << 34).wrapping_add(number)));
        for at in 0..PER_WORLD {
            let own = seed.wrapping_mul(1 << 33).wrapping_add(number * PER_WORLD + at);
            let mut random = Random::new(own);
            let statement = statement(&world, &mut random, Mode::Free);
            let Some(query) = checked(&world, &statement.ours) else { continue };
            coverage.add(&statement.forms);
            let mut changes = Random::new(!own);
            if holds(&query, &world, &mut changes).is_err() {
                let tapes = (random.into_tape(), changes.into_tape());
                let case = Case { world, mode: Mode::Free, statement: tapes.0, changes: tapes.1 };
                panic!("seed {seed}, world {number}\n{}", case.reproducer(&holds));
            }
        }
    }
    report(&format!("{cases} statements, {STEPS} steps each\n{coverage}"));
    if cases >= COVERING {
        coverage.assert_all(&[generator::forms(), statements::forms()].concat());
    }
}

/// What the plan means over whole tables, their rows in another order, as a rule: its result depends on the rows alone.
pub(super) fn whole(plan: &Plan, world: &World, now: Timestamp) -> Result<Relation, String> {
    let mut world = world.clone();
    world.tables.iter_mut().for_each(|(_, rows)| rows.reverse());
    let whole = crate::whole_result(plan, &world, now).map_err(|error| error.to_string())?;
    Ok(relation(&Batch::appearing(whole.rows)))
}

pub(super) fn relation(rows: &Batch) -> Relation {
    let mut relation = Relation::new();
    add(&mut relation, rows);
    relation
}

pub(super) fn add(relation: &mut Relation, change: &Batch) {
    for (row, weight) in rows_of(&change.rows).into_iter().zip(&change.weights) {
        let mut key = Vec::new();
        for value in &row {
            value.encode_key(&mut key);
        }
        let entry = relation.entry(key.clone()).or_insert((row, 0));
        entry.1 += weight;
        if entry.1 == 0 {
            relation.remove(&key);
        }
    }
}

fn holds(query: &Query, world: &World, random: &mut Random) -> Result<(), String> {
    let law = AssertUnwindSafe(|| law(query, world.clone(), random));
    std::panic::catch_unwind(law).unwrap_or_else(|_| Err("panic".to_owned()))
}

/// Steps the plan through random changes, all at once and one row at a time, beside the meaning of the whole tables.
fn law(query: &Query, mut world: World, random: &mut Random) -> Result<(), String> {
    let plan = crate::plan(query);
    let mut now = Timestamp(EPOCH + 30 * MICROS_PER_SEC);
    let mut together = Running::start(&plan, &world, now)?;
    let mut one_by_one = Running::start(&plan, &world, now)?;
    together.compare(&plan, &world, now, "after loading")?;
    for step in 0..STEPS {
        if random.percent(70) {
            now.0 += i64::try_from(random.below(40)).expect("small") * MICROS_PER_SEC;
        }
        let count = if random.percent(15) { 0 } else { 1 + random.below(5) };
        let mut changes = Vec::new();
        for _ in 0..count {
            let Some(change) = Change::random(&world, random) else { continue };
            change.apply(&mut world);
            one_by_one.step(std::slice::from_ref(&change), &world, now)?;
            changes.push(change);
        }
        // A step in which only the time went on.
        if changes.is_empty() {
            one_by_one.step(&[], &world, now)?;
        }
        together.step(&changes, &world, now)?;
        // The agent ends and starts again: what it held is made of what is stored.
        if random.percent(15) {
            together = Running::start(&plan, &world, now)?;
            one_by_one = Running::start(&plan, &world, now)?;
        }
        together.compare(&plan, &world, now, &format!("after step {step}, {changes:?}"))?;
        one_by_one.compare(&plan, &world, now, &format!("row by row, after step {step}, {changes:?}"))?;
    }
    empty(&mut world, &mut together, now)?;
    together.compare(&plan, &world, now, "after everything left")
}

/// Everything leaves: groups empty, matches end.
fn empty(world: &mut World, running: &mut Running, now: Timestamp) -> Result<(), String> {
    let mut changes = Vec::new();
    let tables = world.tables.iter_mut().enumerate().filter(|(_, (table, _))| table.kind != Kind::Events);
    for (at, (_, rows)) in tables {
        changes.extend(rows.drain(..).map(|row| Change { table: at, leaves: Some(row), appears: None, sample: false }));
    }
    running.step(&changes, world, now)
}

/// An installed plan and the sum of what it gave.
struct Running {
    dataflow: Dataflow,
    rule: RuleId,
    sum: Relation,
}

impl Running {
    fn start(plan: &Plan, world: &World, now: Timestamp) -> Result<Self, String> {
        let mut dataflow = Dataflow::default();
        let rule = dataflow.install(plan);
        // Events from before are not matched again: the sum starts with what they gave.
        let sum = if matches_are_events(plan) { whole(plan, world, now)? } else { Relation::new() };
        let loaded = dataflow.load(world, now).map_err(|error| error.to_string())?;
        let mut running = Self { dataflow, rule, sum };
        running.take(loaded)?;
        Ok(running)
    }

    fn step(&mut self, changes: &[Change], world: &World, now: Timestamp) -> Result<(), String> {
        let changed = batches(changes, world);
        let outcomes = self.dataflow.step(world, &changed, now);
        self.take(outcomes)
    }

    fn take(&mut self, outcomes: Vec<(RuleId, Outcome)>) -> Result<(), String> {
        for (rule, outcome) in outcomes {
            assert_eq!(rule, self.rule);
            add(&mut self.sum, &outcome.map_err(|error| error.to_string())?.rows);
        }
        Ok(())
    }

    fn compare(&self, plan: &Plan, world: &World, now: Timestamp, when: &str) -> Result<(), String> {
        let expected = whole(plan, world, now)?;
        if self.sum == expected {
            return Ok(());
        }
        Err(format!("{when}\nsum of steps: {:?}\n    expected: {:?}\n{plan}", self.sum.values(), expected.values()))
    }
}

/// One row of one table leaves, appears or both.
#[derive(Debug)]
pub(super) struct Change {
    table: usize,
    leaves: Option<Row>,
    appears: Option<Row>,
    /// Only volatile columns differ.
    sample: bool,
}

impl Change {
    /// A row comes.
    pub(super) fn appearing(row: Row, table: usize) -> Self {
        Self { table, leaves: None, appears: Some(row), sample: false }
    }

    /// A row goes.
    pub(super) fn disappearing(row: Row, table: usize) -> Self {
        Self { table, leaves: Some(row), appears: None, sample: false }
    }

    /// A row goes, by its place.
    pub(super) fn leaving(world: &World, table: usize, at: usize) -> Self {
        Self { table, leaves: Some(world.tables[table].1[at].clone()), appears: None, sample: false }
    }

    /// What comes, and to which table.
    pub(super) fn appears(&self) -> Option<(usize, &Row)> {
        self.appears.as_ref().map(|row| (self.table, row))
    }

    pub(super) fn random(world: &World, random: &mut Random) -> Option<Self> {
        let table = random.below(world.tables.len());
        let (declared, rows) = &world.tables[table];
        let existing = (!rows.is_empty()).then(|| random.pick(rows).clone());
        Some(match random.below(10) {
            // Events come, and never leave.
            4.. if declared.kind == Kind::Events => {
                Self { table, leaves: None, appears: Some(row(declared, random)), sample: false }
            }
            0..=2 => Self { table, leaves: None, appears: Some(row(declared, random)), sample: false },
            3 => Self { table, leaves: None, appears: Some(existing?), sample: false },
            4..=6 => Self { table, leaves: Some(existing?), appears: None, sample: false },
            7 => {
                let volatile = declared.columns.iter().position(|column| column.volatile)?;
                let mut new = existing.clone()?;
                new[volatile] = value(Type::Integer, random);
                Self { table, leaves: existing, appears: Some(new), sample: true }
            }
            _ => {
                let mut new = existing.clone()?;
                let column = random.below(new.len());
                new[column] = value(declared.columns[column].ty, random);
                let sample = declared.columns[column].volatile;
                Self { table, leaves: existing, appears: Some(new), sample }
            }
        })
    }

    pub(super) fn apply(&self, world: &mut World) {
        let rows = &mut world.tables[self.table].1;
        if let Some(leaves) = &self.leaves {
            // Two zeros are one value: the row may be there with the other.
            let at = rows.iter().position(|row| row == leaves).expect("only rows that are there leave");
            rows.remove(at);
        }
        rows.extend(self.appears.clone());
    }

    fn rows(&self) -> impl Iterator<Item = (Row, i64)> {
        self.leaves.iter().map(|row| (row.clone(), -1)).chain(self.appears.iter().map(|row| (row.clone(), 1)))
    }
}

pub(super) fn batches(changes: &[Change], world: &World) -> Changes {
    let mut all = Changes::default();
    for (at, (table, _)) in world.tables.iter().enumerate() {
        let own: Vec<_> = changes.iter().filter(|change| change.table == at).collect();
        let versions = batch(table, own.iter().filter(|change| !change.sample).flat_map(|change| change.rows()));
        let samples = batch(table, own.iter().flat_map(|change| change.rows()));
        if table.columns.iter().any(|column| column.volatile) {
            all.add_with_samples(table.name.clone(), versions, samples);
        } else {
            all.add(table.name.clone(), versions);
        }
    }
    all
}

fn batch(table: &Arc<Table>, rows: impl Iterator<Item = (Row, i64)>) -> Batch {
    let (rows, weights): (Vec<Row>, Vec<i64>) = rows.unzip();
    let positions: Vec<_> = (0..table.columns.len()).collect();
    Batch { rows: columns(table, &rows, &positions), weights }
}
