//! `ancestors()` over a snapshot: order, bounds, loops, unknown parents, and that its steps follow the present.

use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::{Catalog, Process, ancestors};
use daemoneye_dsl::types::{Timestamp, Value};

use crate::batch::Batch;
use crate::dataflow::{Answer, Changes, Installed};
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
    assert_eq!(shown(&answer.rows), [ancestors::DEPTH_MAX.to_string()]);
    assert_eq!(answer.completeness.reasons, [Reason::ResultTruncated]);
}

#[test]
fn steps_follow_the_present() {
    let mut installed = Installed::new(&plan(&format!("{INNER} WHERE p.name = 'ls'")));
    let before = snapshot(&[(1, "init", None), (3, "sh", Some(1)), (4, "ls", Some(3))]);
    let loaded = installed.load(&View::new(Some(&before), None), Timestamp(0)).unwrap();
    assert_eq!(shown(&loaded.rows.rows), ["ls 1 sh", "ls 2 init"]);

    // The shell becomes another program: the row of `ls` is the same, what is above it is not.
    let after = snapshot(&[(1, "init", None), (3, "python", Some(1)), (4, "ls", Some(3))]);
    let mut changes = Changes::default();
    changes.add("processes", Batch::replacing(&before.slice(1, 1), &after.slice(1, 1)));
    let step = installed.step(&View::new(Some(&after), None), &changes, Timestamp(1)).unwrap();
    assert_eq!(shown(&step.rows.rows), ["ls 1 sh", "ls 1 python"]);
    assert_eq!(step.rows.weights, [-1, 1]);
}
