//! The law for rules that run together: whatever else is installed, loaded later or removed, each rule's sum is its
//! meaning. What rules share (legs, arrangements, whole operators) must not show.

use std::collections::BTreeMap;

use super::case::checked;
use super::generator::Mode;
use super::random::Random;
use super::setting;
use super::statement::statement;
use super::steps::{Change, Relation, add, batches, whole};
use super::world::{EPOCH, World};
use crate::dataflow::{Dataflow, Outcome, RuleId, matches_are_events};
use crate::plan::Plan;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};

const STEPS: usize = 8;

struct Rule {
    sql: String,
    plan: Plan,
    sum: Relation,
    loaded: bool,
}

/// Rules over one world, and what they found so far.
struct Together {
    dataflow: Dataflow,
    rules: BTreeMap<RuleId, Rule>,
    now: Timestamp,
}

impl Together {
    fn install(&mut self, sql: String, plan: Plan, world: &World) {
        let id = self.dataflow.install(&plan);
        // Events from before are not matched again: the sum starts with what they gave.
        let events = matches_are_events(&plan);
        let sum = if events { whole(&plan, world, self.now).expect("it was evaluated") } else { Relation::new() };
        self.rules.insert(id, Rule { sql, plan, sum, loaded: events });
    }

    fn load(&mut self, world: &World) {
        let outcomes = self.dataflow.load(world, self.now).expect("the world can be read");
        self.take(outcomes);
        self.rules.values_mut().for_each(|rule| rule.loaded = true);
    }

    fn take(&mut self, outcomes: Vec<(RuleId, Outcome)>) {
        for (id, outcome) in outcomes {
            let rule = self.rules.get_mut(&id).expect("only rules that are installed answer");
            add(&mut rule.sum, &outcome.expect("nothing here reaches a bound").rows);
        }
    }

    fn compare(&self, world: &World, when: &str) {
        for rule in self.rules.values().filter(|rule| rule.loaded) {
            let expected = whole(&rule.plan, world, self.now).expect("it was evaluated");
            assert!(
                rule.sum == expected,
                "{when}\n{}\n{}\n     sum: {:?}\nexpected: {:?}\nbeside: {:#?}",
                world.script(&rule.sql),
                rule.sql,
                rule.sum.values(),
                expected.values(),
                self.rules.values().map(|rule| &rule.sql).collect::<Vec<_>>()
            );
        }
    }
}

/// A statement that does not fail, as a plan; one that was there before now and then, so that it is shared whole.
fn random_rule(world: &World, known: &mut Vec<String>, random: &mut Random) -> Option<(String, Plan)> {
    let sql = if !known.is_empty() && random.percent(30) {
        random.pick(known).clone()
    } else {
        statement(world, random, Mode::Free).ours
    };
    let plan = crate::plan(&checked(world, &sql)?);
    whole(&plan, world, Timestamp(EPOCH)).ok()?;
    known.push(sql.clone());
    Some((sql, plan))
}

#[test]
fn rules_do_not_show_in_each_other() {
    let (cases, seed) = (setting("CASES", 300) / 4, setting("SEED", 1));
    for case in 0..cases.max(1) {
        let random = &mut Random::new(seed.wrapping_mul(1 << 35).wrapping_add(case));
        let mut world = World::random(random);
        let now = Timestamp(EPOCH + 30 * MICROS_PER_SEC);
        let mut together = Together { dataflow: Dataflow::default(), rules: BTreeMap::new(), now };
        let mut known = Vec::new();
        for step in 0..STEPS {
            for _ in 0..random.below(3) {
                if let Some((sql, plan)) = random_rule(&world, &mut known, random) {
                    together.install(sql, plan, &world);
                }
            }
            if random.percent(70) {
                together.load(&world);
            }
            let mut changes = Vec::new();
            for _ in 0..random.below(6) {
                let Some(change) = Change::random(&world, random) else { continue };
                change.apply(&mut world);
                changes.push(change);
            }
            together.now.0 += i64::try_from(random.below(40)).expect("small") * MICROS_PER_SEC;
            let stepped = together.dataflow.step(&world, &batches(&changes, &world), together.now);
            together.take(stepped);
            together.compare(&world, &format!("seed {seed}, case {case}, step {step}"));
            if random.percent(30)
                && let Some(id) = together.rules.keys().nth(random.below(together.rules.len().max(1))).copied()
            {
                together.dataflow.remove(id);
                together.rules.remove(&id);
            }
        }
        let all: Vec<RuleId> = together.rules.keys().copied().collect();
        for id in all {
            together.dataflow.remove(id);
        }
        assert_eq!(together.dataflow.rows_held().rows, 0, "seed {seed}, case {case}: rows are left that nobody needs");
        assert_eq!(together.dataflow.keys_held(), 0, "seed {seed}, case {case}: keys are left that nobody needs");
    }
}

/// Rules of every kind that keeps state.
const KEEPING: &[&str] = &[
    "SELECT a.i, b.k FROM t0 a JOIN t1 b ON a.s = b.s",
    "SELECT a.i, b.k FROM t0 a LEFT JOIN t1 b ON a.s = b.s AND b.k > a.i",
    "SELECT i FROM t0 WHERE NOT EXISTS (SELECT 1 FROM t1 WHERE t1.s = t0.s)",
    "SELECT i FROM t0 WHERE i NOT IN (SELECT k FROM t2)",
    "SELECT s, count(*), min(i), max(t), count(DISTINCT u), sum(r), group_concat(u) FROM t0 GROUP BY s",
    "SELECT DISTINCT s, u FROM t0",
    "SELECT s FROM t0 EXCEPT SELECT s FROM t1",
    "SELECT i, s FROM t0 ORDER BY i, s LIMIT 3",
    "SELECT i FROM t0 WHERE t >= now() - INTERVAL '1 minute'",
    "SELECT i, (SELECT count(*) FROM t1 WHERE t1.s = t0.s) FROM t0",
    "WITH RECURSIVE w(n) AS (SELECT i FROM t0 WHERE i = 0 UNION ALL SELECT t2.k FROM w JOIN t2 ON t2.k = w.n + 1) SELECT n FROM w",
    "SELECT i, row_number() OVER (ORDER BY i) FROM t0",
];

/// An hour of snapshots every few seconds, in which every row is exchanged many times over.
#[test]
fn churn_leaves_nothing_behind() {
    let random = &mut Random::new(setting("SEED", 1));
    let mut world = World::random(random);
    world.tables.iter_mut().for_each(|(_, rows)| rows.clear());
    let mut now = Timestamp(EPOCH);
    let mut dataflow = Dataflow::default();
    let rules: Vec<RuleId> = KEEPING
        .iter()
        .map(|sql| dataflow.install(&crate::plan(&checked(&world, sql).unwrap_or_else(|| panic!("{sql}")))))
        .collect();
    dataflow.load(&world, now).expect("the world can be read");
    let mut step = |world: &mut World, changes: &[Change], dataflow: &mut Dataflow| {
        for change in changes {
            change.apply(world);
        }
        now.0 += 3 * MICROS_PER_SEC;
        for (_, outcome) in dataflow.step(world, &batches(changes, world), now) {
            outcome.expect("nothing here reaches a bound");
        }
    };
    let mut most = [(0, 0); 2];
    for number in 0..1_200 {
        let mut changes: Vec<Change> =
            (0..3).map(|table| Change::appearing(world_row(&world, table, random), table)).collect();
        // Twenty rows of each table live at a time.
        changes.extend(
            (0..3).filter(|table| world.tables[*table].1.len() >= 20).map(|table| Change::leaving(&world, table, 0)),
        );
        step(&mut world, &changes, &mut dataflow);
        let held: usize = rules.iter().map(|rule| dataflow.size(*rule).bytes).sum();
        let half = &mut most[usize::from(number >= 600)];
        *half = (half.0.max(dataflow.rows_held().rows), half.1.max(held));
    }
    let [(rows, bytes), (rows_later, bytes_later)] = most;
    assert!(rows_later <= rows + rows / 4, "{rows} rows were held at most, then {rows_later}");
    assert!(bytes_later <= 2 * bytes, "{bytes} bytes were held at most, then {bytes_later}");
    for table in 0..3 {
        while !world.tables[table].1.is_empty() {
            let gone = [Change::leaving(&world, table, 0)];
            step(&mut world, &gone, &mut dataflow);
        }
    }
    assert_eq!(dataflow.rows_held().rows, 0);
}

fn world_row(world: &World, table: usize, random: &mut Random) -> super::world::Row {
    super::world::row(&world.tables[table].0, random)
}
