//! `FOR SYSTEM_TIME`: which versions a moment has, at the edges of snapshots, over reused pids, beside other tables.

use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value};
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

use super::world::rows_of;
use crate::batch::batch;

/// The record: for each version its pid, name, and from and to which second it was seen.
struct Record(Vec<(i64, &'static str, i64, Option<i64>)>);

impl Reader for Record {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        assert_eq!(scan.table.name, "processes_history", "a past moment is asked of the record alone");
        let second = |second: i64| Value::Timestamp(second * MICROS_PER_SEC);
        let columns = scan.columns.iter().map(|at| {
            let column = &scan.table.columns[*at];
            column.ty.array(self.0.iter().map(|(pid, name, from, to)| match &*column.name {
                "pid" => Value::Integer(*pid),
                "name" => Value::Text((*name).to_owned()),
                "seen_from" => second(*from),
                "seen_to" => to.map_or(Value::Null, second),
                "threads" => scan.as_of.map_or(Value::Null, |moment| Value::Integer(moment.0 / MICROS_PER_SEC)),
                _ => Value::Null,
            }))
        });
        let rows: RecordBatch = batch(columns.collect(), self.0.len());
        let _only_one = each(rows);
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, Error> {
        Ok(None)
    }
}

fn names(sql: &str) -> Vec<String> {
    let record =
        Record(vec![(1, "init", 10, None), (7, "sh", 10, Some(20)), (7, "sshd", 20, Some(30)), (8, "late", 30, None)]);
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    let rule = checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics));
    let rows = crate::execute(&crate::plan(&rule.query), &record, Timestamp(40 * MICROS_PER_SEC)).unwrap().rows;
    let text = |value: &Value| value.as_text().map_or_else(|| value.to_json().to_string(), str::to_owned);
    rows_of(&rows).iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_moment_has_the_versions_that_were_seen_then() {
    let at = |second: i64| {
        let moment = format!("TIMESTAMP '1970-01-01 00:00:{second:02}'");
        names(&format!("SELECT name FROM processes FOR SYSTEM_TIME AS OF {moment} AS p ORDER BY p.name"))
    };
    assert_eq!(at(9), Vec::<String>::new());
    assert_eq!(at(10), ["init", "sh"]);
    assert_eq!(at(19), ["init", "sh"]);
    assert_eq!(at(20), ["init", "sshd"], "a version ends with the snapshot that no longer had it");
    assert_eq!(at(30), ["init", "late"]);
    assert_eq!(
        names("SELECT name FROM processes p FOR SYSTEM_TIME AS OF now() - INTERVAL '15 seconds' ORDER BY name"),
        ["init", "sshd"]
    );
}

#[test]
fn a_range_has_every_version_of_it() {
    let sql = "SELECT name, cpu_usage FROM processes FOR SYSTEM_TIME BETWEEN '1970-01-01 00:00:15' AND \
               '1970-01-01 00:00:20' ORDER BY name";
    assert_eq!(names(sql), ["init null", "sh null", "sshd null"]);
}

#[test]
fn moments_join_each_other() {
    let sql = "SELECT a.name, b.name FROM processes FOR SYSTEM_TIME AS OF '1970-01-01 00:00:12' AS a \
               JOIN processes FOR SYSTEM_TIME AS OF '1970-01-01 00:00:22' AS b ON a.pid = b.pid AND a.name <> b.name";
    assert_eq!(names(sql), ["sh sshd"]);
}

#[test]
fn a_moment_has_the_samples_that_held_then_and_a_range_has_none() {
    let of = |moment: &str| format!("SELECT name, threads FROM processes FOR SYSTEM_TIME {moment} WHERE pid = 1");
    assert_eq!(names(&of("AS OF '1970-01-01 00:00:12'")), ["init 12"]);
    assert_eq!(names(&of("AS OF now() - INTERVAL '10 seconds'")), ["init 30"]);
    assert_eq!(names(&of("BETWEEN '1970-01-01 00:00:12' AND '1970-01-01 00:00:13'")), ["init null"]);
    // What nobody asks for is not read.
    let sql = "SELECT name FROM processes FOR SYSTEM_TIME AS OF '1970-01-01 00:00:12'";
    let plan = crate::plan(&check_query(&Source::query(sql), &Catalog::builtin()).rule.unwrap().query).to_string();
    assert!(plan.contains("[name, seen_from, seen_to] as of ") && !plan.contains("threads"), "{plan}");
}
