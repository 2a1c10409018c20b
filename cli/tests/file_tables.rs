//! Files as tables, through the program.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use common::{code, err, lines, out, path, program, rule, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with one file, and what `--table` takes to read it as `t`.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    let table = format!("t={}/{name}", path(&dir));
    (dir, table)
}

fn ask(name: &str, content: impl AsRef<[u8]>, sql: &str) -> Output {
    let (_dir, table) = file(name, content);
    run(&["query", "-o", "ndjson", "--table", &table, sql])
}

fn ask_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = program();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn types_come_from_all_records() {
    let records = concat!(
        r#"{"i":1,"r":1,"b":true,"m":1,"x":true,"o":{"k": [1, "a b"]},"big":1,"n":null}"#,
        "\n\n",
        r#"{"i":-2,"r":2.50,"b":false,"m":"a","x":1.50,"o":[1],"big":18446744073709551615,"n":null,"late":"é"}"#,
        "\r\n",
    );
    let all = ask("t.jsonl", records, "SELECT * FROM t");
    assert_eq!(code(&all), 0, "{}", err(&all));
    let expected = [
        r#"{"i":1,"r":1.0,"b":true,"m":"1","x":"true","o":"{\"k\":[1,\"a b\"]}","big":1.0,"n":null,"late":null}"#,
        r#"{"i":-2,"r":2.5,"b":false,"m":"a","x":"1.50","o":"[1]","big":1.8446744073709552e+19,"n":null,"late":"é"}"#,
    ];
    assert_eq!(out(&all), expected.map(|line| format!("{line}\n")).concat());
    assert!(err(&all).starts_with("2 rows of 2 records of t · file /"), "{}", err(&all));
}

#[test]
fn csv_fields_are_what_their_spelling_is() {
    let text = "\u{feff}id,zip,ratio,flag,\"text, with a\r\nbreak\",empty\r\n1,007,0.5,true,\"a \"\"b\"\"\nc\",\r\n2,12,3,false,x,\r\n";
    let all = ask("t.csv", text, "SELECT * FROM t");
    let first = json!({"id": 1, "zip": "007", "ratio": 0.5, "flag": true, "text, with a\r\nbreak": "a \"b\"\nc", "empty": null});
    assert_eq!(lines(&all)[0], first, "{}", err(&all));
    assert_eq!(lines(&all)[1]["zip"], "12");
    assert_eq!(lines(&all)[1]["ratio"], 3.0);
}

#[test]
fn names_that_sql_cannot_tell_apart_are_changed_and_said() {
    let csv = ask("t.csv", "User,user,,User_2\n1,2,3,4\n", "SELECT * FROM t");
    assert_eq!(out(&csv), "{\"User\":1,\"user_3\":2,\"column_3\":3,\"User_2\":4}\n");
    assert!(err(&csv).contains("further column `user` is called `user_3`"), "{}", err(&csv));
    let json = ask(
        "t.jsonl",
        r#"{"process.name":"a","Process Id":7}"#,
        r#"SELECT "process.name", t."Process Id" + 1 AS next FROM t"#,
    );
    assert_eq!(out(&json), "{\"process.name\":\"a\",\"next\":8}\n");
}

#[test]
fn a_column_that_no_record_has_is_null_and_said_once() {
    let sql = "SELECT a, cmd, b.nothing FROM t AS b WHERE cmd IS NULL OR cmd = 7 ORDER BY aa";
    let answer = ask("t.jsonl", "{\"a\":1,\"cmdd\":2}\n", sql);
    assert_eq!((out(&answer), code(&answer)), ("{\"a\":1,\"cmd\":null,\"nothing\":null}\n", 3));
    assert_eq!(err(&answer).matches("no record of `t` has a column `cmd`").count(), 1, "{}", err(&answer));
    assert_eq!(err(&answer).matches("warning[DE212]").count(), 3, "{}", err(&answer));
    assert!(err(&answer).contains("did you mean `cmdd`?"));
    assert!(err(&answer).contains("incomplete: a column is absent in the data"));
    let (_dir, table) = file("t.jsonl", "{\"a\":1}\n");
    assert_eq!(code(&run(&["query", "--allow-degraded", "--table", &table, "SELECT c FROM t"])), 0);
    let other = run(&["query", "--table", &table, "SELECT p.c FROM t JOIN processes AS p ON p.pid = t.a"]);
    assert!(code(&other) == 2 && err(&other).contains("error[DE201]"), "{}", err(&other));
}

#[test]
fn declared_types_are_taken_and_checked() {
    let (_dir, table) = file("t.csv", "pid,at,zip,raw\n7,2026-11-22T10:30:00Z,007,00ff\n8,1795343400,12,\n");
    let declared = table.replace('=', "(pid text, AT timestamp, zip INTEGER, raw blob)=");
    let sql = "SELECT *, at + INTERVAL '1 hour' AS later FROM t";
    let answer = run(&["query", "-o", "ndjson", "--table", &declared, sql]);
    assert_eq!(
        lines(&answer),
        [
            json!({"pid": "7", "at": "2026-11-22T10:30:00Z", "zip": 7, "raw": "00ff", "later": "2026-11-22T11:30:00Z"}),
            json!({"pid": "8", "at": "2026-11-22T10:30:00Z", "zip": 12, "raw": null, "later": "2026-11-22T11:30:00Z"}),
        ],
        "{}",
        err(&answer)
    );
    let wrong = run(&["query", "--table", &table.replace('=', "(raw integer)="), "SELECT 1"]);
    assert_eq!(code(&wrong), 2);
    assert!(err(&wrong).contains("t.csv: line 2: column `raw`: `00ff` is not an INTEGER"), "{}", err(&wrong));
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    for (name, content, expected) in [
        ("t.jsonl", &b"{\"a\":1}\n{\"a\":\n"[..], "t.jsonl: line 2: EOF while parsing"),
        ("t.jsonl", b"{\"a\":1}\n7\n", "t.jsonl: line 2: invalid type"),
        ("t.jsonl", b"{\"a\":1,\"a\":2}\n", "t.jsonl: line 1: the key `a` stands twice"),
        ("t.jsonl", b"{\"a\":1}\n{\"a\":\"\xff\"}\n", "t.jsonl: line 2 is not UTF-8"),
        ("t.json", b"[{\"a\":1},\n{\"a\":1},\n[]]", "t.json: line 3: invalid type"),
        ("t.csv", b"a,b\r\n1,2\r\n\r\n1,2,3\r\n", "t.csv: line 4 has 3 fields and the header has 2"),
        ("t.csv", b"a,b\n1,\"x\ny\"\n1\n", "t.csv: line 4 has 1 field and"),
        ("t.csv", b"a\nx\n\xff\n", "t.csv: line 3 is not UTF-8"),
        ("t.parquet", b"PAR1 is not enough", "t.parquet: "),
        ("t.jsonl.gz", b"\x1f\x8b\x08\0", "zcat FILE | "),
        ("t.log", b"\xff\xfea\0", "iconv"),
    ] {
        let answer = ask(name, content, "SELECT 1 FROM t");
        assert_eq!((code(&answer), out(&answer)), (2, ""), "{name}: {}", err(&answer));
        assert!(err(&answer).contains(expected), "{expected}: {}", err(&answer));
    }
    for (arguments, expected) in [
        (&["--table", "t", "SELECT 1"][..], "write NAME=FILE"),
        (&["--table", "t=/none/such", "SELECT 1"], "/none/such: cannot open it: No such file"),
        (&["--table", "t=/", "SELECT 1"], "it is a folder"),
        (&["--table", "t=a", "--table", "T=b", "SELECT 1"], "there is a table `T` already"),
        (&["--table", "t=-", "--table", "u=-", "SELECT 1"], "standard input is one table's already"),
        (&["--table", "t=-", "-"], "cannot be both"),
        (&["--now", "2026-11-22", "SELECT 1"], "--table"),
        (&["--table", "t=/dev/null", "--now", "noon", "SELECT 1"], "`noon` is no time"),
    ] {
        let answer = run(&[&["query"], arguments].concat());
        assert_eq!(code(&answer), 2, "{arguments:?}: {}", err(&answer));
        assert!(err(&answer).contains(expected), "{arguments:?}: {}", err(&answer));
    }
}

#[test]
fn nothing_is_a_table_without_records() {
    for name in ["t.jsonl", "t.csv", "t.unknown"] {
        let answer = ask(name, "", "SELECT count(*) AS n FROM t");
        assert_eq!((out(&answer), code(&answer)), ("{\"n\":0}\n", 0), "{}", err(&answer));
    }
    let header = ask("t.csv", "a,b\n", "SELECT a, b FROM t");
    assert_eq!((out(&header), code(&header)), ("", 0), "{}", err(&header));
}

#[test]
fn standard_input_is_a_file_too() {
    let count = ["query", "-o", "ndjson", "--table", "t=-", "SELECT count(*) AS n, sum(a) AS sum FROM t"];
    for input in ["{\"a\":1}\n{\"a\":2}\n", "[{\"a\":1},{\"a\":2}]", "a\n1\n2\n"] {
        let answer = ask_with_input(&count, input.as_bytes());
        assert_eq!(out(&answer), "{\"n\":2,\"sum\":3}\n", "{}", err(&answer));
        assert!(err(&answer).contains("1 row of 2 records of t · standard input"), "{}", err(&answer));
    }
}

#[test]
fn now_is_what_was_named() {
    let (_dir, table) = file("t.jsonl", "{\"a\":1}\n");
    let sql = "SELECT now() AS now FROM t";
    let answer = run(&["query", "-o", "ndjson", "--table", &table, "--now", "2026-11-22T10:30:00+01:00", sql]);
    assert_eq!(out(&answer), "{\"now\":\"2026-11-22T09:30:00Z\"}\n", "{}", err(&answer));
}

/// Events as Sysmon has them: the second began the first's child.
const SYSMON: &str = r#"{"eid":1,"ProcessGuid":"g1","ProcessId":"10","Image":"C:\\Windows\\cmd.exe","CommandLine":"cmd /c x","User":"A\\b","UtcTime":"2021-12-04 21:19:16.741"}
{"eid":2,"ProcessGuid":"g2","ParentProcessGuid":"g1","ProcessId":11,"Image":"/usr/bin/curl","CommandLine":"curl http://x"}
{"eid":3,"ProcessId":12}
"#;

#[test]
fn records_stand_in_for_processes() {
    let (dir, table) = file("e.jsonl", SYSMON);
    let table = table.replacen('t', "Processes", 1);
    let sql = "SELECT eid, proc_id, parent_id, pid, name, executable_path, start_time, user_name FROM processes";
    let answer = run(&["query", "-o", "ndjson", "--table", &table, sql]);
    assert_eq!(code(&answer), 0, "{}", err(&answer));
    let rows = lines(&answer);
    assert_eq!(rows[0]["name"], "cmd.exe");
    assert_eq!(rows[0]["pid"], 10);
    assert_eq!(rows[0]["start_time"], "2021-12-04T21:19:16.741Z");
    assert_eq!((&rows[1]["name"], &rows[1]["parent_id"]), (&json!("curl"), &json!("g1")));
    assert_eq!((&rows[2]["name"], &rows[2]["proc_id"]), (&Value::Null, &json!("0000000000000003")));

    let child = "SELECT c.proc_id, c.name, p.name AS parent FROM processes AS c JOIN processes AS p \
                 ON p.proc_id = c.parent_id WHERE c.cwd IS NULL AND p.pid > 5 AND c.foo IS NULL";
    fs::write(dir.path().join("child.sql"), rule(1, "{name} by {parent}", "high", child)).unwrap();
    let hunt = run(&["hunt", "-o", "ndjson", "--rules", path(&dir), "--table", &table]);
    assert_eq!(code(&hunt), 3, "{}", err(&hunt));
    assert_eq!(lines(&hunt)[0]["title"], "curl by cmd.exe");
    assert_eq!(lines(&hunt)[0]["completeness"]["reasons"], json!(["column_absent_in_data"]));
    assert!(err(&hunt).starts_with("1 rule from "), "{}", err(&hunt));
    assert!(err(&hunt).contains("× 3 records of processes · file "), "{}", err(&hunt));
    for column in ["cwd", "foo"] {
        let text = format!("no record of processes has a column {column}, which is NULL (child)");
        assert_eq!(err(&hunt).matches(&text).count(), 1, "{}", err(&hunt));
    }
    let ancestors = "SELECT a.name FROM processes AS p JOIN ancestors(p.proc_id) AS a ON TRUE WHERE p.pid = 11";
    let ancestors = run(&["query", "-o", "ndjson", "--table", &table, ancestors]);
    assert_eq!(out(&ancestors), "{\"name\":\"cmd.exe\"}\n", "{}", err(&ancestors));

    let wrong = run(&["query", "--table", &table.replacen('=', "(pid TEXT)=", 1), "SELECT 1"]);
    assert!(code(&wrong) == 2 && err(&wrong).contains("`pid` of `processes` is INTEGER"), "{}", err(&wrong));
    let (_dir, wrong) = file("e.jsonl", "{\"pid\":1}\n{\"pid\":\"0x1f\"}\n");
    let wrong = run(&["query", "--table", &wrong.replacen('t', "processes", 1), "SELECT 1"]);
    assert!(err(&wrong).contains("line 2: column `pid`: `0x1f` is not an INTEGER"), "{}", err(&wrong));
}

#[test]
fn rules_run_over_files_of_other_systems() {
    let (dir, table) = file("e.jsonl", "{\"Image\":\"C:\\\\x.exe\"}\n");
    let sql = "SELECT * FROM t WHERE Image LIKE '%\\x.exe'";
    let text = rule(1, "{Image}", "low", sql).replace("linux, macos, windows", "windows");
    fs::write(dir.path().join("r.sql"), text).unwrap();
    let hunt = run(&["hunt", "-o", "ndjson", "--rules", path(&dir), "--table", &table]);
    assert_eq!((lines(&hunt).len(), code(&hunt)), (1, 0), "{}", err(&hunt));
    let lint = run(&["lint", path(&dir), "--fail-on", "warning", "--table", &table]);
    assert_eq!(code(&lint), 0, "{}{}", out(&lint), err(&lint));
    assert_eq!(code(&run(&["lint", path(&dir)])), 1);
    let explain = run(&["explain", "-o", "ndjson", "--rules", path(&dir), "--table", &table, "r"]);
    assert_eq!(lines(&explain)[0]["tables"], json!(["t"]), "{}", err(&explain));
}
