//! `ancestors()` and `descendants()` over a snapshot: order, bounds, loops, unknown parents, that their steps follow the
//! present, and that both are WITH RECURSIVE over the same rows.

use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::lineage::{DEPTH_MAX, Lineage};
use daemoneye_dsl::tables::{Catalog, Process};
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

use crate::batch::Batch;
use crate::dataflow::{Answer, Changes, Dataflow, Outcome, RuleId};
use crate::plan::Plan;
use crate::view::View;

const INNER: &str = "SELECT p.name, a.depth, a.name FROM processes p JOIN ancestors(p.proc_id) a";

/// Processes by number and name, with the number of the parent.
fn snapshot(processes: &[(u64, &str, Option<u64>)]) -> RecordBatch {
    let id = |number: u64| format!("{number:016x}");
    let rows: Vec<_> = processes
        .iter()
        .map(|(number, name, parent)| Process {
            proc_id: id(*number),
            parent_id: parent.map(id),
            name: (*name).to_owned(),
            ..Process::default()
        })
        .collect();
    Process::batch(&rows)
}

fn plan(sql: &str) -> Plan {
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    crate::plan(&checked.rule.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)).query)
}

fn whole(sql: &str, present: &RecordBatch) -> Answer<RecordBatch> {
    crate::execute(&plan(sql), &View::new(Some(present), None), Timestamp(0)).unwrap()
}

/// `ls 1 sh` for each row, in order.
fn shown(rows: &RecordBatch) -> Vec<String> {
    let row = |at| {
        let cells = rows.columns().iter().map(|column| match Value::at(column, at) {
            Value::Text(text) => text,
            Value::Null => "-".to_owned(),
            other => other.to_json().to_string(),
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    (0..rows.num_rows()).map(row).collect()
}

#[test]
fn the_nearest_comes_first_and_conditions_see_both_rows() {
    let present = snapshot(&[(1, "init", None), (2, "sshd", Some(1)), (3, "sh", Some(2)), (4, "ls", Some(3))]);
    let all = whole(&format!("{INNER} WHERE p.name = 'ls'"), &present);
    assert_eq!(shown(&all.rows), ["ls 1 sh", "ls 2 sshd", "ls 3 init"]);
    let near = whole(&format!("{INNER} ON a.depth <= 2 AND a.name <> p.name AND a.name GLOB 's*'"), &present);
    assert_eq!(shown(&near.rows), ["sh 1 sshd", "ls 1 sh", "ls 2 sshd"]);
    let left = "SELECT p.name, a.depth, a.name FROM processes p LEFT JOIN ancestors(p.proc_id) a ON a.depth = 2";
    assert_eq!(shown(&whole(left, &present).rows), ["sh 2 init", "ls 2 sshd", "init - -", "sshd - -"]);
    assert!(all.completeness.is_complete());
}

#[test]
fn a_chain_ends_at_what_is_unknown_at_a_loop_and_at_the_bound() {
    let present = snapshot(&[(1, "a", Some(3)), (2, "b", Some(1)), (3, "c", Some(2)), (4, "orphan", Some(99))]);
    assert_eq!(shown(&whole(INNER, &present).rows), ["a 1 c", "a 2 b", "b 1 a", "b 2 c", "c 1 b", "c 2 a"]);

    let long: Vec<_> = (0..100).map(|number| (number, "x", (number > 0).then(|| number - 1))).collect();
    let answer = whole("SELECT max(a.depth) FROM processes p JOIN ancestors(p.proc_id) a", &snapshot(&long));
    assert_eq!(shown(&answer.rows), [DEPTH_MAX.to_string()]);
    assert_eq!(answer.completeness.reasons, [Reason::ResultTruncated]);
}

/// What the only rule's result changed by.
/// A store in which whoever is asked for may lie in a damaged part.
struct Damaged;

impl Reader for Damaged {
    fn visit(&self, _: &Scan<'_>, _: Each<'_>) -> Result<Completeness, Error> {
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, Error> {
        Err(Error::Damaged("segment 1 of processes_history: a checksum does not match".to_owned()))
    }
}

#[test]
fn an_ancestor_that_is_damaged_is_missing_and_said() {
    let present = snapshot(&[(2, "sshd", Some(1)), (3, "sh", Some(2)), (4, "ls", Some(3))]);
    let reader = View::new(Some(&present), Some(&Damaged));
    let answer = crate::execute(&plan(&format!("{INNER} WHERE p.name = 'ls'")), &reader, Timestamp(0)).unwrap();
    assert_eq!(shown(&answer.rows), ["ls 1 sh", "ls 2 sshd"]);
    assert_eq!(answer.completeness.reasons, [Reason::SegmentQuarantined]);
}

fn only(outcomes: Vec<(RuleId, Outcome)>) -> Batch {
    assert_eq!(outcomes.len(), 1);
    outcomes.into_iter().next().unwrap().1.unwrap().rows
}

#[test]
fn steps_follow_the_present() {
    let mut dataflow = Dataflow::default();
    dataflow.install(&plan(&format!("{INNER} WHERE p.name = 'ls'")));
    let before = snapshot(&[(1, "init", None), (3, "sh", Some(1)), (4, "ls", Some(3))]);
    let loaded = only(dataflow.load(&View::new(Some(&before), None), Timestamp(0)).unwrap());
    assert_eq!(shown(&loaded.rows), ["ls 1 sh", "ls 2 init"]);

    // The shell becomes another program: the row of `ls` is the same, what is above it is not.
    let after = snapshot(&[(1, "init", None), (3, "python", Some(1)), (4, "ls", Some(3))]);
    let mut changes = Changes::default();
    changes.add("processes", Batch::replacing(&before.slice(1, 1), &after.slice(1, 1)));
    let step = only(dataflow.step(&View::new(Some(&after), None), &changes, Timestamp(1)));
    assert_eq!(shown(&step.rows), ["ls 1 sh", "ls 1 python"]);
    assert_eq!(step.weights, [-1, 1]);
}

#[test]
fn children_come_before_theirs_and_the_dead_lead_on_to_the_living() {
    let present = snapshot(&[(1, "init", None), (2, "sshd", Some(1)), (3, "sh", Some(2)), (4, "cron", Some(1))]);
    let below = |id: u64| format!("SELECT d.depth, d.name FROM descendants('{id:016x}') AS d");
    assert_eq!(shown(&whole(&below(1), &present).rows), ["1 sshd", "1 cron", "2 sh"]);
    assert_eq!(shown(&whole(&below(3), &present).rows), [""; 0]);
    assert_eq!(shown(&whole(&below(9), &present).rows), [""; 0]);
    let left = "SELECT p.name, d.name FROM processes p LEFT JOIN descendants(p.proc_id) d ON d.depth = 2";
    assert_eq!(shown(&whole(left, &present).rows), ["init sh", "sshd -", "sh -", "cron -"]);

    let dead = Record(snapshot(&[(7, "gone", Some(1)), (8, "gone too", Some(7))]));
    let present = snapshot(&[(1, "init", None), (9, "orphan", Some(8))]);
    let view = View::new(Some(&present), Some(&dead));
    let answer = crate::execute(&plan(&below(1)), &view, Timestamp(0)).unwrap();
    assert_eq!(shown(&answer.rows), ["3 orphan"]);
}

#[test]
fn the_way_down_ends_at_a_loop_and_at_the_bound() {
    let present = snapshot(&[(1, "a", Some(3)), (2, "b", Some(1)), (3, "c", Some(2))]);
    let below = "SELECT p.name, d.depth, d.name FROM processes p JOIN descendants(p.proc_id) d";
    assert_eq!(shown(&whole(below, &present).rows), ["a 1 b", "a 2 c", "b 1 c", "b 2 a", "c 1 a", "c 2 b"]);

    let long: Vec<_> = (0..100).map(|number| (number, "x", (number > 0).then(|| number - 1))).collect();
    let answer = whole("SELECT max(depth) FROM descendants('0000000000000000')", &snapshot(&long));
    assert_eq!(shown(&answer.rows), [DEPTH_MAX.to_string()]);
    assert_eq!(answer.completeness.reasons, [Reason::ResultTruncated]);
    let near = whole("SELECT max(depth) FROM descendants('0000000000000040')", &snapshot(&long));
    assert_eq!(shown(&near.rows), ["35"]);
    assert!(near.completeness.is_complete(), "what is too far away was not asked for");
}

/// What a store remembers.
struct Record(RecordBatch);

impl Reader for Record {
    fn visit(&self, scan: &Scan<'_>, _: Each<'_>) -> Result<Completeness, Error> {
        panic!("{} is not asked for", scan.table.name)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        View::new(Some(&self.0), None).process(proc_id)
    }
}

#[test]
fn both_are_with_recursive_over_the_same_rows() {
    let mut seed = 7u64;
    let mut below = |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % limit
    };
    for _ in 0..20 {
        // A parent has a smaller number, is unknown, or there is none.
        let processes: Vec<_> = (1..30)
            .map(|number| match below(8) {
                0 => (number, "x", None),
                1 => (number, "x", Some(1000)),
                _ => (number, "x", Some(below(number) + 1).filter(|parent| *parent < number)),
            })
            .collect();
        let present = snapshot(&processes);
        for lineage in Lineage::ALL {
            let function = format!(
                "SELECT p.proc_id, r.depth, r.proc_id AS other FROM processes p JOIN {lineage}(p.proc_id) r ORDER BY 1, 2, 3"
            );
            let (from, to) = match lineage {
                Lineage::Ancestors => ("proc_id", "parent_id"),
                Lineage::Descendants => ("parent_id", "proc_id"),
            };
            let recursive = format!(
                "WITH RECURSIVE
                   edges AS (SELECT {from} AS one, {to} AS other FROM processes
                             WHERE parent_id IN (SELECT proc_id FROM processes)),
                   way AS (SELECT one, 1 AS depth, other FROM edges
                           UNION ALL SELECT way.one, depth + 1, edges.other FROM way JOIN edges ON edges.one = way.other)
                 SELECT one, depth, other FROM way ORDER BY 1, 2, 3"
            );
            assert_eq!(shown(&whole(&function, &present).rows), shown(&whole(&recursive, &present).rows), "{lineage}");
        }
    }
}

#[test]
fn a_subquery_about_descendants_reads_the_present_once_and_steps_follow_it() {
    let sql =
        "SELECT p.name FROM processes p WHERE EXISTS (SELECT 1 FROM descendants(p.proc_id) d WHERE d.name = 'nc')";
    let mut dataflow = Dataflow::default();
    dataflow.install(&plan(sql));
    let before = snapshot(&[(1, "init", None), (3, "sh", Some(1))]);
    assert_eq!(shown(&only(dataflow.load(&View::new(Some(&before), None), Timestamp(0)).unwrap()).rows), [""; 0]);
    let after = snapshot(&[(1, "init", None), (3, "sh", Some(1)), (4, "nc", Some(3))]);
    let mut changes = Changes::default();
    changes.add("processes", Batch::appearing(after.slice(2, 1)));
    let step = only(dataflow.step(&View::new(Some(&after), None), &changes, Timestamp(1)));
    assert_eq!(shown(&step.rows), ["init", "sh"]);
}

/// The queries whose steps follow processes that start, change their name, exit, and were there before their parents.
const KEPT_UP: &[&str] = &[
    INNER,
    "SELECT p.name, a.depth, a.name FROM processes p JOIN ancestors(p.proc_id) a ON a.name = 'b' WHERE p.name <> 'c'",
    "SELECT p.name, d.depth, d.name FROM processes p JOIN descendants(p.proc_id) d",
    "SELECT p.proc_id, d.name FROM processes p LEFT JOIN descendants(p.proc_id) d ON d.name = 'a' WHERE p.name = 'b'",
    "SELECT p.proc_id FROM processes p WHERE EXISTS (SELECT 1 FROM descendants(p.proc_id) d WHERE d.name = 'c')",
    "SELECT a.name, count(*) FROM processes p JOIN ancestors(p.proc_id) a GROUP BY a.name",
];

#[test]
fn steps_are_the_whole_while_processes_come_and_go() {
    use super::random::Random;
    use super::steps::{add, relation};

    for seed in 0..super::setting("CASES", 40) {
        let random = &mut Random::new(seed);
        let mut alive: Vec<(u64, &str, Option<u64>)> = Vec::new();
        let mut dead: Vec<(u64, &str, Option<u64>)> = Vec::new();
        let mut next = 1;
        let plans: Vec<Plan> = KEPT_UP.iter().map(|sql| plan(sql)).collect();
        let mut dataflow = Dataflow::default();
        let ids: Vec<RuleId> = plans.iter().map(|plan| dataflow.install(plan)).collect();
        let mut sums = vec![relation(&Batch::appearing(snapshot(&[]))); plans.len()];
        let empty = snapshot(&[]);
        dataflow.load(&View::new(Some(&empty), None), Timestamp(0)).unwrap();
        for step in 0..12 {
            let before = alive.clone();
            for _ in 0..random.below(4) {
                let parents: Vec<u64> = alive.iter().chain(&dead).map(|it| it.0).chain([next + 1, 99]).collect();
                match random.below(4) {
                    0 | 1 => {
                        alive.push((next, *random.pick(&["a", "b", "c"]), Some(*random.pick(&parents))));
                        next += 1;
                    }
                    // One that comes and goes between two snapshots is never seen.
                    2 if !before.is_empty() => {
                        let id = random.pick(&before).0;
                        dead.extend(alive.extract_if(.., |it| it.0 == id));
                    }
                    _ if !alive.is_empty() => {
                        let at = random.below(alive.len());
                        alive[at].1 = *random.pick(&["a", "b", "c"]);
                    }
                    _ => {}
                }
            }
            let gone: Vec<_> = before.iter().filter(|it| !alive.contains(it)).copied().collect();
            let new: Vec<_> = alive.iter().filter(|it| !before.contains(it)).copied().collect();
            let mut changes = Changes::default();
            changes.add("processes", Batch::replacing(&snapshot(&gone), &snapshot(&new)));
            let (present, record) = (snapshot(&alive), Record(snapshot(&dead)));
            let view = View::new(Some(&present), Some(&record));
            for (id, outcome) in dataflow.step(&view, &changes, Timestamp(step)) {
                let at = ids.iter().position(|other| *other == id).unwrap();
                add(&mut sums[at], &outcome.unwrap().rows);
            }
            for (at, plan) in plans.iter().enumerate() {
                let whole = crate::whole_result(plan, &view, Timestamp(step)).unwrap();
                let whole = relation(&Batch::appearing(whole.rows));
                assert_eq!(sums[at], whole, "seed {seed}, step {step}: {}\n{alive:?}\ndead {dead:?}", KEPT_UP[at]);
            }
        }
    }
}
