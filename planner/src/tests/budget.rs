//! A rule that is slow inside one operator is stopped there, and nobody else's answer is late or wrong for it.

use std::cell::Cell;
use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::{Catalog, Process};
use daemoneye_dsl::types::Timestamp;

use super::steps::{Relation, add, relation};
use crate::Plan;
use crate::batch::Batch;
use crate::dataflow::{Changes, Dataflow, Outcome, RuleId};
use crate::view::View;

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

/// A clock by which every look takes a millisecond.
fn ticking() -> Duration {
    TICKS.set(TICKS.get() + 1);
    Duration::from_millis(TICKS.get())
}

const STEP: Duration = Duration::from_millis(60);
const LOAD: Duration = Duration::from_millis(120);

/// Far more work than any of them may do for so many processes.
const MANY: u32 = 1_500;
const SLOW: &[(&str, &str)] = &[
    ("a join", "SELECT a.pid FROM processes a JOIN processes b ON a.pid < b.pid"),
    ("a join", "SELECT a.pid FROM processes a JOIN processes b ON a.ppid = b.ppid AND a.pid * b.pid % 7 = 3"),
    ("a join", "SELECT count(*) FROM processes a JOIN processes b ON a.pid < b.pid"),
    (
        "a join",
        "SELECT a.pid FROM processes a JOIN processes b ON a.pid < b.pid AND (a.start_time > now() OR a.pid + b.pid > 0)",
    ),
    ("OVER", "SELECT pid, sum(pid) OVER (ORDER BY pid) FROM processes"),
    ("a subquery", "SELECT pid, (SELECT sum(b.pid) FROM processes b WHERE b.pid < a.pid) FROM processes a"),
    (
        "a join",
        "WITH RECURSIVE w(n, k) AS (SELECT pid, 0 FROM processes \
         UNION ALL SELECT n, k + 1 FROM w JOIN processes p ON p.pid >= 0 WHERE k < 2) SELECT n FROM w",
    ),
    (
        "a recursion",
        "WITH RECURSIVE w(n, k) AS (SELECT pid, 0 FROM processes \
         UNION SELECT n, k + 1 FROM w JOIN processes p ON p.pid >= 0 WHERE k < 2) SELECT n FROM w",
    ),
];
const QUICK: &[&str] = &[
    "SELECT count(*) FROM processes",
    "SELECT a.pid FROM processes a JOIN processes b ON a.pid = b.pid + 1",
    "SELECT pid FROM processes WHERE pid % 2 = 0 ORDER BY pid LIMIT 5",
];

fn processes(number: u32) -> RecordBatch {
    let process = |number: u32| Process {
        proc_id: format!("{number:016x}"),
        pid: number.into(),
        ppid: Some(1),
        ..Process::default()
    };
    Process::batch(&(0..number).map(process).collect::<Vec<_>>())
}

fn compiled(sql: &str) -> Plan {
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    crate::plan(&checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics)).query)
}

fn dataflow() -> Dataflow {
    let mut dataflow = Dataflow::timed(ticking);
    dataflow.set_limits(STEP, LOAD);
    dataflow
}

fn step(dataflow: &mut Dataflow, before: &RecordBatch, after: &RecordBatch) -> Vec<(RuleId, Outcome)> {
    let mut changes = Changes::default();
    changes.add("processes", Batch::replacing(before, after));
    dataflow.step(&View::new(Some(after), None), &changes, Timestamp(1))
}

/// The error of a rule that was stopped, and how long it and what it is made of took.
fn stopped(outcomes: &mut Vec<(RuleId, Outcome)>, rule: RuleId) -> Option<String> {
    let at = outcomes.iter().position(|(id, _)| *id == rule)?;
    let error = outcomes.remove(at).1.err()?;
    assert!(error.is_slow(), "{error}");
    Some(error.to_string())
}

fn sums(quick: &[RuleId], sums: &mut [Relation], outcomes: Vec<(RuleId, Outcome)>) {
    for (id, outcome) in outcomes {
        let at = quick.iter().position(|other| *other == id).expect("the others are quick");
        add(&mut sums[at], &outcome.expect("it is quick").rows);
    }
}

fn assert_right(sums: &[Relation], now: &RecordBatch, when: &str) {
    for (sql, sum) in QUICK.iter().zip(sums) {
        let whole =
            crate::whole_result(&compiled(sql), &View::new(Some(now), None), Timestamp(1)).expect("it is small");
        assert!(*sum == relation(&Batch::appearing(whole.rows)), "{when}: {sql}");
    }
}

#[test]
fn who_takes_too_long_is_stopped_and_the_others_answers_are_right() {
    let (few, many) = (processes(10), processes(MANY));
    for (operation, sql) in SLOW {
        let mut dataflow = dataflow();
        let quick: Vec<RuleId> = QUICK.iter().map(|sql| dataflow.install(&compiled(sql))).collect();
        let slow = dataflow.install(&compiled(sql));
        let mut sum = vec![Relation::new(); QUICK.len()];
        let mut loaded = dataflow.load(&View::new(Some(&few), None), Timestamp(0)).expect("it can be read");
        loaded.retain(|(id, outcome)| *id != slow || outcome.is_err());
        sums(&quick, &mut sum, loaded);

        let before = TICKS.get();
        let mut outcomes = step(&mut dataflow, &few, &many);
        let why = stopped(&mut outcomes, slow).unwrap_or_else(|| panic!("it was not stopped: {sql}"));
        assert_eq!(why, format!("{operation} was stopped after {STEP:?}: make its conditions narrower"), "{sql}");
        let took = Duration::from_millis(TICKS.get() - before);
        assert!(took < 2 * STEP, "all took {took:?}: {sql}");
        sums(&quick, &mut sum, outcomes);
        assert_right(&sum, &many, sql);

        let outcomes = step(&mut dataflow, &many, &few);
        sums(&quick, &mut sum, outcomes);
        assert_right(&sum, &few, sql);
        for rule in quick {
            dataflow.remove(rule);
        }
        assert_eq!(dataflow.rows_held().rows, 0, "{sql}: what was stopped left something behind");
    }
}

#[test]
fn to_be_loaded_may_take_longer_and_has_an_end_as_well() {
    let (few, many) = (processes(10), processes(MANY));
    for (operation, sql) in SLOW {
        let mut dataflow = dataflow();
        let quick: Vec<RuleId> = QUICK.iter().map(|sql| dataflow.install(&compiled(sql))).collect();
        let mut sum = vec![Relation::new(); QUICK.len()];
        let loaded = dataflow.load(&View::new(Some(&few), None), Timestamp(0)).expect("it can be read");
        sums(&quick, &mut sum, loaded);
        sums(&quick, &mut sum, step(&mut dataflow, &few, &many));
        // It shares what the others have of the table.
        let slow = dataflow.install(&compiled(sql));
        let mut loaded = dataflow.load(&View::new(Some(&many), None), Timestamp(1)).expect("it can be read");
        let why = stopped(&mut loaded, slow).unwrap_or_else(|| panic!("it was not stopped: {sql}"));
        assert_eq!(why, format!("{operation} was stopped after {LOAD:?}: make its conditions narrower"), "{sql}");
        assert!(loaded.is_empty(), "nobody else was loaded");
        sums(&quick, &mut sum, step(&mut dataflow, &many, &few));
        assert_right(&sum, &few, sql);
    }
}

#[test]
fn an_operation_that_rules_share_is_charged_to_all_of_them() {
    let (few, many) = (processes(10), processes(MANY));
    let mut dataflow = dataflow();
    let join = "FROM processes a JOIN processes b ON a.pid < b.pid";
    let rules = [format!("SELECT a.pid {join}"), format!("SELECT b.pid {join}"), QUICK[0].to_owned()]
        .map(|sql| dataflow.install(&compiled(&sql)));
    dataflow.load(&View::new(Some(&few), None), Timestamp(0)).expect("it can be read");
    let mut outcomes = step(&mut dataflow, &few, &many);
    assert!(stopped(&mut outcomes, rules[0]).is_some() && stopped(&mut outcomes, rules[1]).is_some());
    assert!(outcomes.iter().all(|(id, outcome)| *id == rules[2] && outcome.is_ok()));
}
