//! What programs may rely on: the lines of `hunt` and the rows of `query`.

mod common;

use std::fs;

use common::{code, err, lines, out, path, rule, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Records of processes, and rules with and without a header.
fn folder() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rules")).unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("p.jsonl", "{\"pid\":1,\"name\":\"sh\"}\n{\"pid\":2,\"name\":\"nc\"}\n");
    write("rules/with.sql", &rule(1, "{name}", "high", "SELECT proc_id, pid, name FROM processes WHERE name = 'nc'"));
    write(
        "rules/bare_one.sql",
        "-- anything\nSELECT pid, name, pid * 1.5 AS r, name = 'sh' AS b, NULL AS n FROM processes",
    );
    write("rules/bare_two.sql", "SELECT pid FROM processes WHERE pid > 1");
    let table = format!("processes={}/p.jsonl", path(&dir));
    (dir, table)
}

#[test]
fn a_hunt_gives_a_line_for_each_match_and_runs_what_has_no_header() {
    let (dir, table) = folder();
    let rules = format!("{}/rules", path(&dir));
    let hunt = run(&["hunt", "-o", "ndjson", "--rules", &rules, "--table", &table]);
    assert_eq!(code(&hunt), 0, "{}", err(&hunt));
    let found: Vec<_> = lines(&hunt).iter().map(|it| json!([it["rule"], it["level"], it["row"]["pid"]])).collect();
    let expected = [
        json!(["with", "high", 2]),
        json!(["bare_one", null, 1]),
        json!(["bare_one", null, 2]),
        json!(["bare_two", null, 2]),
    ];
    assert_eq!(found, expected);
    assert_eq!(lines(&hunt)[1]["row"], json!({"pid": 1, "name": "sh", "r": 1.5, "b": true, "n": null}));
    let warnings: Vec<_> = err(&hunt).lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("2 files have no rule header") && warnings[0].contains("(bare_one, bare_two)"),
        "{warnings:?}"
    );
    assert!(err(&hunt).contains("compiled 3, refused 0 · 2 rows, 4 matches · processor: "), "{}", err(&hunt));
    assert!(err(&hunt).contains("4 findings (1 high, 3 without level) · complete"), "{}", err(&hunt));

    // Single files, and several.
    let one = format!("{rules}/bare_two.sql");
    let hunt =
        run(&["hunt", "-o", "ndjson", "--rules", &one, "--rules", &format!("{rules}/with.sql"), "--table", &table]);
    assert_eq!(lines(&hunt).len(), 2, "{}", err(&hunt));
    let table_shown = run(&["hunt", "-o", "table", "--rules", &one, "--table", &table]);
    assert!(out(&table_shown).contains("bare_two") && out(&table_shown).contains("pid=2"), "{}", out(&table_shown));
    assert_eq!(code(&run(&["lint", &one])), 1, "a rule needs a header");

    fs::write(dir.path().join("rules/broken.sql"), "SELECT pid FROM processs").unwrap();
    let hunt = run(&["hunt", "-o", "ndjson", "--rules", &rules, "--table", &table]);
    assert_eq!((code(&hunt), lines(&hunt).len()), (3, 4), "{}", err(&hunt));
    assert!(err(&hunt).contains("compiled 3, refused 1 · "), "{}", err(&hunt));
}

#[test]
fn a_query_gives_rows_alone_and_keeps_their_types() {
    let (_dir, table) = folder();
    let ask = |form: &str, sql: &str| run(&["query", "-o", form, "--table", &table, sql]);
    let json =
        ask("json", "SELECT pid, pid * 1.5 AS r, name, NULL AS n, pid = 1 AS b, name AS pid FROM processes ORDER BY 1");
    let rows: Value = serde_json::from_str(out(&json)).unwrap();
    let first = json!({"pid": 1, "r": 1.5, "name": "sh", "n": null, "b": true, "pid_1": "sh"});
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]), (2, &first), "{}", out(&json));
    let names = ask("ndjson", "SELECT 1 AS a, 2 AS a, 3 AS a");
    assert_eq!(out(&names), "{\"a\":1,\"a_1\":2,\"a_2\":3}\n", "{}", err(&names));
    let absent = ask("ndjson", "SELECT cwd FROM processes WHERE pid = 1");
    assert_eq!((code(&absent), out(&absent)), (3, "{\"cwd\":null}\n"));
    assert!(err(&absent).contains("the answer is incomplete"), "{}", err(&absent));
}

#[test]
fn how_large_statements_may_be_is_a_setting() {
    let ask = |limit: &str| {
        common::program()
            .env("DAEMONEYE_LIMITS__JOINS", limit)
            .args(["query", "SELECT 1 FROM processes a, processes b LIMIT 1"])
            .output()
            .unwrap()
    };
    let refused =
        common::program().env("DAEMONEYE_LIMITS__COLUMNS", "2").args(["query", "SELECT 1, 2, 3"]).output().unwrap();
    assert!(code(&refused) == 2 && err(&refused).contains("more than 2 columns"), "{}", err(&refused));
    assert!(err(&refused).contains("`limits.columns` allows up to 1024"), "{}", err(&refused));
    assert_eq!(code(&ask("64")), 0);
    let beyond = ask("65");
    assert!(code(&beyond) == 2 && err(&beyond).contains("a whole number from 1 to 64"), "{}", err(&beyond));
}
