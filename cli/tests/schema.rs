//! `schema`: tables, columns and functions, for people and programs; what is misspelt; what is a file.

mod common;

use std::fs;

use common::{code, err, lines, out, run};

#[test]
fn tables_are_listed_and_the_list_is_whole() {
    let list = run(&["schema"]);
    assert_eq!(code(&list), 0, "{}", err(&list));
    let names: Vec<_> = lines(&list).iter().map(|line| line["table"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names[..3], ["processes", "process_starts", "process_exits"]);
    assert!(
        names.ends_with(&["ancestors(proc_id)", "descendants(proc_id)", "list('name')"].map(str::to_owned)),
        "{names:?}"
    );
    assert!(err(&list).contains("`daemoneye-cli schema TABLE` shows its columns"), "{}", err(&list));
    let table = run(&["schema", "-o", "table"]);
    assert!(out(&table).lines().all(|line| line.chars().count() <= 80), "{}", out(&table));
    assert!(!out(&table).contains('…') && out(&table).contains("each; threads are not rows."), "{}", out(&table));
}

#[test]
fn a_table_has_its_columns_in_every_form() {
    let columns = lines(&run(&["schema", "PROCESSES", "-o", "ndjson"]));
    let memory = columns.iter().find(|line| line["column"] == "memory_usage").unwrap();
    assert_eq!((&memory["type"], &memory["unit"]), (&"INTEGER".into(), &"bytes".into()));
    assert_eq!(memory["notes"], serde_json::json!(["sample", "may be NULL"]));
    let json: Vec<serde_json::Value> = serde_json::from_str(out(&run(&["schema", "processes", "-o", "json"]))).unwrap();
    assert_eq!(json, columns);
    let csv = run(&["schema", "processes", "-o", "csv"]);
    assert!(
        out(&csv).starts_with("column,type,unit,notes,doc\r\nproc_id,TEXT,,\"identity, indexed\","),
        "{}",
        out(&csv)
    );
    let page = run(&["schema", "processes", "-o", "table"]);
    assert!(out(&page).starts_with("processes\nThe processes alive in the latest snapshot"), "{}", out(&page));
    assert!(out(&page).contains("  memory_usage      INTEGER, bytes, sample, may be NULL: Resident memory.\n"));
    assert!(out(&page).lines().all(|line| line.chars().count() <= 80), "{}", out(&page));
    assert_eq!(lines(&run(&["schema", "ancestors"]))[0]["column"], "depth");
}

#[test]
fn functions_are_shown_with_examples() {
    let calls = lines(&run(&["schema", "substr"]));
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["signature"], "substr(text TEXT, start INTEGER [, length INTEGER])");
    assert_eq!(calls[0]["examples"][0], serde_json::json!({"call": "substr('abcdef', 2, 3)", "result": "'bcd'"}));
    let page = run(&["schema", "basename", "-o", "table"]);
    assert!(out(&page).starts_with("basename(path TEXT)\n  gives TEXT. "), "{}", out(&page));
    assert!(out(&page).contains("  -- 'curl'\n"), "{}", out(&page));
    let names = |found: &std::process::Output| {
        lines(found).iter().map(|line| line["function"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = names(&run(&["schema", "functions"]));
    for name in ["basename", "coalesce", "max_by", "row_number"] {
        assert!(all.iter().any(|own| own == name), "{name}");
    }
    assert_eq!(names(&run(&["schema", "max"])), ["max", "max"]);
}

#[test]
fn a_file_is_described_as_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.jsonl");
    fs::write(&file, "{\"user\":\"root\",\"n\":1}\n").unwrap();
    let spec = format!("log={}", file.display());
    let found = lines(&run(&["schema", "--table", &spec, "log"]));
    let types: Vec<_> = found.iter().map(|line| (line["column"].clone(), line["type"].clone())).collect();
    assert_eq!(types, [("user".into(), "TEXT".into()), ("n".into(), "INTEGER".into())]);
    assert_eq!(lines(&run(&["schema", "--table", &spec]))[0]["table"], "log");
}

#[test]
fn what_is_misspelt_or_called_otherwise_is_said() {
    let cases = [
        ("proceses", "did you mean `processes`?"),
        ("process_events", "`process_starts` here"),
        ("cmdline", "`command_line` is a column of `processes`"),
        ("startswith", "`starts_with` here"),
        ("readfile", "rules read no files"),
        ("zzz", "`daemoneye-cli schema functions` the functions"),
        ("a\u{1b}[31m", "no table or function is called"),
    ];
    for (name, expected) in cases {
        let found = run(&["schema", name]);
        assert_eq!((code(&found), out(&found)), (2, ""), "{name}");
        assert!(err(&found).contains(expected) && !err(&found).contains('\u{1b}'), "{name}: {}", err(&found));
    }
}
