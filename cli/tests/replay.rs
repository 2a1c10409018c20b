//! `replay` and `record`, through the program.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use common::{Running, code, err, lines, out, path, program, rule, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A line of a file of changes.
fn change(at: &Value, table: &str, op: &str, row: &Value) -> String {
    format!("{}\n", json!({"at": at, "table": table, "op": op, "row": row}))
}

/// Lines of one table, each `(at, op, row)`.
fn changes(table: &str, all: &[(f64, &str, Value)]) -> String {
    all.iter().map(|(at, op, row)| change(&json!(at), table, op, row)).collect()
}

/// Replays text through rules without a header, each `(name, sql)`.
fn replay_with(text: &str, rules: &[(&str, &str)], more: &[&str]) -> (TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    let (file, folder) = (dir.path().join("c.ndjson"), dir.path().join("rules"));
    fs::write(&file, text).unwrap();
    fs::create_dir(&folder).unwrap();
    for (name, sql) in rules {
        let file = folder.join(format!("{name}.sql"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, sql).unwrap();
    }
    let arguments = ["replay", file.to_str().unwrap(), "--rules", folder.to_str().unwrap()];
    let output = run(&[&arguments, more].concat());
    (dir, output)
}

/// What a rule gives, each `at op row`, checked.
fn replay(text: &str, sql: &str) -> Vec<String> {
    let (_dir, output) = replay_with(text, &[("r", sql)], &["-o", "ndjson", "--check"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains("checked: after each of "), "{}", err(&output));
    given(&output)
}

fn given(output: &Output) -> Vec<String> {
    let values = |row: &Value| row.as_object().unwrap().values().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    lines(output)
        .iter()
        .map(|it| format!("{} {} {}", it["at"], it["op"].as_str().unwrap(), values(&it["row"])))
        .collect()
}

#[test]
fn the_first_step_gives_all_there_is_and_the_others_what_changes() {
    let text = changes(
        "t",
        &[
            (1.0, "+", json!({"a": 1})),
            (1.0, "+", json!({"a": 2})),
            (2.0, "+", json!({"a": 3})),
            // Leaves and comes: nothing happened.
            (3.0, "-", json!({"a": 3})),
            (3.0, "+", json!({"a": 3})),
            (4.5, "-", json!({"a": 1})),
            (4.5, "+", json!({"a": 4})),
        ],
    );
    assert_eq!(
        replay(&text, "SELECT count(*) AS n, sum(a) AS s FROM t"),
        ["1.0 + 2 3", "2.0 - 2 3", "2.0 + 3 6", "4.5 - 3 6", "4.5 + 3 9"]
    );
    assert_eq!(replay(&text, "SELECT a FROM t WHERE a <> 2"), ["1.0 + 1", "2.0 + 3", "4.5 - 1", "4.5 + 4"]);
    // What reads no table is there from the first step.
    assert_eq!(replay(&text, "SELECT 7 AS a"), ["1.0 + 7"]);
}

#[test]
fn at_keeps_its_form_and_may_go_backwards() {
    let row = |a: i64| json!({"a": a});
    let ats = [json!(10), json!("1970-01-01T00:00:10Z"), json!("1970-01-01T00:00:20+00:00"), json!(5), json!(20.5)];
    let text: String = (1..).zip(&ats).map(|(a, at)| change(at, "t", "+", &row(a))).collect();
    let sql = "SELECT count(*) AS n, unixepoch(now()) AS now FROM t";
    assert_eq!(
        replay(&text, sql),
        [
            "10 + 2 10",
            "\"1970-01-01T00:00:20+00:00\" - 2 10",
            "\"1970-01-01T00:00:20+00:00\" + 3 20",
            "5 - 3 20",
            "5 + 4 5",
            "20.5 - 4 5",
            "20.5 + 5 20"
        ]
    );
}

#[test]
fn rows_are_counted() {
    let text = changes(
        "t",
        &[
            (1.0, "+", json!({"a": 1, "r": 0.0})),
            (1.0, "+", json!({"r": -0.0, "a": 1})),
            (1.0, "+", json!({"a": 1, "r": null})),
            (2.0, "-", json!({"a": 1, "r": -0.0})),
            (3.0, "-", json!({"a": 1})),
            (3.0, "-", json!({"a": 1.0, "r": 0})),
        ],
    );
    assert_eq!(
        replay(&text, "SELECT a, r FROM t"),
        ["1.0 + 1.0 null", "1.0 + 1.0 0.0", "1.0 + 1.0 0.0", "2.0 - 1.0 0.0", "3.0 - 1.0 null", "3.0 - 1.0 0.0"]
    );
    assert_eq!(replay(&text, "SELECT DISTINCT a FROM t"), ["1.0 + 1.0", "3.0 - 1.0"]);
    let (_dir, table) = replay_with(&text, &[("r", "SELECT r FROM t")], &["-o", "table"]);
    assert_eq!(out(&table).lines().filter(|line| line.ends_with("r=0.0")).count(), 4, "{}", out(&table));
}

/// Processes and connections that come and go.
fn world() -> String {
    let process = |pid: i64, ppid: i64, name: &str| json!({"pid": pid, "ppid": ppid, "name": name});
    let connection = |pid: i64, port: i64| json!({"pid": pid, "port": port});
    [
        changes(
            "p",
            &[
                (1.0, "+", process(1, 0, "init")),
                (1.0, "+", process(2, 1, "nginx")),
                (2.0, "+", process(3, 2, "sh")),
                (2.0, "+", process(4, 9, "lost")),
            ],
        ),
        changes("c", &[(3.0, "+", connection(3, 4444)), (3.0, "+", connection(3, 80))]),
        changes("p", &[(4.0, "-", process(2, 1, "nginx"))]),
        changes("c", &[(5.0, "-", connection(3, 80))]),
        changes("p", &[(6.0, "-", process(3, 2, "sh")), (6.0, "-", process(4, 9, "lost"))]),
    ]
    .concat()
}

#[test]
fn joins_groups_and_subqueries_follow() {
    let world = world();
    assert_eq!(
        replay(&world, "SELECT k.name, p.name FROM p AS k JOIN p ON p.pid = k.ppid"),
        ["1.0 + \"nginx\" \"init\"", "2.0 + \"sh\" \"nginx\"", "4.0 - \"nginx\" \"init\"", "4.0 - \"sh\" \"nginx\""]
    );
    assert_eq!(
        replay(&world, "SELECT p.name, c.port FROM p JOIN c ON c.pid = p.pid WHERE c.port > 100"),
        ["3.0 + \"sh\" 4444", "6.0 - \"sh\" 4444"]
    );
    assert_eq!(
        replay(&world, "SELECT p.name, c.port FROM p LEFT JOIN c ON c.pid = p.pid WHERE p.pid > 2"),
        [
            "2.0 + \"lost\" null",
            "2.0 + \"sh\" null",
            "3.0 - \"sh\" null",
            "3.0 + \"sh\" 80",
            "3.0 + \"sh\" 4444",
            "5.0 - \"sh\" 80",
            "6.0 - \"lost\" null",
            "6.0 - \"sh\" 4444"
        ]
    );
    assert_eq!(
        replay(&world, "SELECT pid, count(*) AS n FROM c GROUP BY pid HAVING count(*) > 1"),
        ["3.0 + 3 2", "5.0 - 3 2"]
    );
    assert_eq!(
        replay(&world, "SELECT name FROM p AS k WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.pid = k.ppid)"),
        ["1.0 + \"init\"", "2.0 + \"lost\"", "4.0 + \"sh\"", "6.0 - \"lost\"", "6.0 - \"sh\""]
    );
    let below = "WITH RECURSIVE b(pid, name) AS (SELECT pid, name FROM p WHERE pid = 1 UNION ALL \
                 SELECT p.pid, p.name FROM p JOIN b ON b.pid = p.ppid) SELECT name FROM b WHERE pid > 1";
    assert_eq!(replay(&world, below), ["1.0 + \"nginx\"", "2.0 + \"sh\"", "4.0 - \"nginx\"", "4.0 - \"sh\""]);
}

#[test]
fn windows_expire_with_the_steps() {
    let at = |second: i64| format!("2026-11-22T10:00:{second:02}Z");
    let tick = |second: i64, table: &str| change(&json!(at(second)), table, "+", &json!({"seen": at(second)}));
    let text = [tick(0, "t"), tick(3, "t"), tick(9, "tick"), tick(12, "tick"), tick(20, "tick")].concat();
    let sql = "SELECT seen FROM t WHERE CAST(seen AS TIMESTAMP) >= now() - INTERVAL '10 seconds'";
    let expected = [
        format!("\"{}\" + \"{}\"", at(0), at(0)),
        format!("\"{}\" + \"{}\"", at(3), at(3)),
        format!("\"{}\" - \"{}\"", at(12), at(0)),
        format!("\"{}\" - \"{}\"", at(20), at(3)),
    ];
    assert_eq!(replay(&text, sql), expected);
}

#[test]
fn what_disappears_stands_first_then_rules_and_rows_in_their_order() {
    let text = changes(
        "t",
        &[
            (1.0, "+", json!({"a": 10})),
            (1.0, "+", json!({"a": 9})),
            (2.0, "-", json!({"a": 9})),
            (2.0, "+", json!({"a": 11})),
        ],
    );
    let rules = [
        ("below/b", "SELECT a FROM t"),
        ("deep/a", "SELECT a, max(a) OVER () AS m FROM t"),
        ("C", "SELECT 1 AS a FROM t"),
    ];
    let (_dir, output) = replay_with(&text, &rules, &["-o", "ndjson", "--check"]);
    let shown: Vec<_> = lines(&output)
        .iter()
        .map(|it| {
            format!("{}{}{} {}", it["at"], it["op"].as_str().unwrap(), it["rule"].as_str().unwrap(), it["row"]["a"])
        })
        .collect();
    let first = ["1.0+C 1", "1.0+C 1", "1.0+a 9", "1.0+a 10", "1.0+b 9", "1.0+b 10"];
    let second = ["2.0-a 9", "2.0-a 10", "2.0-b 9", "2.0+a 10", "2.0+a 11", "2.0+b 11"];
    assert_eq!(shown, [&first[..], &second].concat(), "{}", err(&output));
    // Of the same file the same bytes, whatever the form.
    let (_dir, again) = replay_with(&text, &rules, &["-o", "ndjson"]);
    assert_eq!(out(&again), out(&output));
    let (_dir, array) = replay_with(&text, &rules, &["-o", "json"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(out(&array)).unwrap(), lines(&output));
    let (_dir, csv) = replay_with(&text, &rules[..1], &["-o", "csv"]);
    assert_eq!(out(&csv).lines().next(), Some("at,op,rule,row"), "{}", out(&csv));
    assert_eq!(out(&csv).lines().last(), Some("2.0,+,b,\"{\"\"a\"\":11}\""));
}

#[test]
fn records_stand_in_for_tables_of_the_catalog() {
    let process = |id: &str, parent: &str, pid: &str, path: &str| json!({"ProcessGuid": id, "ParentProcessGuid": parent, "ProcessId": pid, "Image": path});
    let text = changes(
        "Processes",
        &[
            (1.0, "+", process("g1", "", "10", "C:\\cmd.exe")),
            (1.0, "+", process("g2", "g1", "11", "/usr/bin/curl")),
            (2.0, "-", process("g1", "", "10", "C:\\cmd.exe")),
            (3.0, "+", process("g3", "g2", "12", "/bin/sh")),
            (4.0, "-", process("g2", "g1", "11", "/usr/bin/curl")),
        ],
    );
    let by =
        "SELECT c.pid, c.name, p.name AS parent FROM processes AS c JOIN processes AS p ON p.proc_id = c.parent_id";
    let rules = [
        ("by", rule(1, "{name} by {parent}", "high", &by.replace("c.pid", "c.proc_id, c.pid"))),
        (
            "above",
            "SELECT p.name, a.name AS above, depth FROM processes AS p JOIN ancestors(p.proc_id) AS a".to_owned(),
        ),
        ("starts", "SELECT pid FROM process_starts".to_owned()),
    ];
    let rules: Vec<_> = rules.iter().map(|(name, sql)| (*name, sql.as_str())).collect();
    let (dir, output) = replay_with(&text, &rules, &["-o", "ndjson", "--check"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    // A parent that has gone is an ancestor still, as where an agent remembers it.
    assert_eq!(
        given(&output),
        [
            "1.0 + \"curl\" \"cmd.exe\" 1",
            "1.0 + \"g2\" 11 \"curl\" \"cmd.exe\"",
            "2.0 - \"g2\" 11 \"curl\" \"cmd.exe\"",
            "3.0 + \"sh\" \"cmd.exe\" 2",
            "3.0 + \"sh\" \"curl\" 1",
            "3.0 + \"g3\" 12 \"sh\" \"curl\"",
            "4.0 - \"curl\" \"cmd.exe\" 1",
            "4.0 - \"g3\" 12 \"sh\" \"curl\""
        ]
    );
    assert!(err(&output).contains("1 rule reads process_starts, which is empty: the file does not name it (starts)"));
    let file = format!("{}/c.ndjson", path(&dir));
    let table = run(&["replay", &file, "--rules", &format!("{}/rules/by.sql", path(&dir)), "-o", "table"]);
    assert!(out(&table).contains("1.0  +   by    curl by cmd.exe"), "{}", out(&table));

    // A process is as it is now, however it was meanwhile.
    let named = |name: &str| process("g1", "", "10", name);
    let child = process("g2", "g1", "11", "/bin/sh");
    let text = changes(
        "processes",
        &[
            (1.0, "+", named("a")),
            (2.0, "+", named("b")),
            (2.0, "-", named("a")),
            (3.0, "+", named("a")),
            (3.0, "-", named("b")),
            (4.0, "+", child),
        ],
    );
    let above = "SELECT a.name FROM processes AS p JOIN ancestors(p.proc_id) AS a";
    assert_eq!(replay(&text, above), ["4.0 + \"a\""]);

    // Without an id, equal rows are one process.
    let bare = changes("processes", &[(1.0, "+", json!({"pid": 1})), (2.0, "-", json!({"pid": 1}))]);
    assert_eq!(replay(&bare, "SELECT pid FROM processes"), ["1.0 + 1", "2.0 - 1"]);
}

#[test]
fn a_broken_rule_is_drawn_and_the_others_run() {
    let text = changes("t", &[(1.0, "+", json!({"a": 1}))]);
    let rules = [("broken", "SELECT a FROM tt"), ("good", "SELECT a FROM t")];
    let (_dir, output) = replay_with(&text, &rules, &["-o", "ndjson"]);
    assert_eq!((code(&output), given(&output)), (3, vec!["1.0 + 1".to_owned()]), "{}", err(&output));
    assert!(err(&output).contains("error[DE202]: unknown table `tt`"), "{}", err(&output));
    assert!(err(&output).contains("rule broken was refused and did not run"), "{}", err(&output));
    let (_dir, none) = replay_with(&text, &rules[..1], &[]);
    assert_eq!((code(&none), out(&none)), (2, ""));
    let (_dir, absent) = replay_with(&text, &[("r", "SELECT a, b FROM t")], &["-o", "ndjson"]);
    assert_eq!((code(&absent), given(&absent)), (3, vec!["1.0 + 1 null".to_owned()]));
    assert!(err(&absent).contains("no record of t has a column b, which is NULL (r)"), "{}", err(&absent));
}

#[test]
fn a_rule_that_the_engine_gives_up_is_named_and_the_others_go_on() {
    let text = changes("t", &[(1.0, "+", json!({"a": 1})), (2.0, "+", json!({"a": 7}))]);
    let endless = "WITH RECURSIVE n(a) AS (SELECT a FROM t UNION ALL SELECT a + 1 FROM n) SELECT a FROM n";
    let rules = [("endless", endless), ("good", "SELECT count(*) AS n FROM t")];
    let (_dir, output) = replay_with(&text, &rules, &["-o", "ndjson", "--check"]);
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert_eq!(given(&output), ["1.0 + 1", "2.0 - 1", "2.0 + 2"]);
    assert!(err(&output).contains("rule endless was stopped: "), "{}", err(&output));
}

#[test]
fn malformed_lines_are_named() {
    let good = change(&json!(1), "t", "+", &json!({"a": 1}));
    for (bad, expected) in [
        ("{\"at\":1,\"table\":\"t\",\"op\":\"+\"}", "line 2: missing field `row`"),
        (
            "{\"at\":1,\"table\":\"t\",\"op\":\"+\",\"row\":{},\"when\":1}",
            "line 2: unknown field `when`, expected one of",
        ),
        ("{\"at\":1,\"table\":\"t\",\"op\":\"~\",\"row\":{}}", "line 2: `op` is `~`; it is `+` or `-`"),
        ("{\"at\":1,\"table\":\"t\",\"op\":\"-\",\"row\":{\"a\":2}}", "line 2: `t` has no such row"),
        ("{\"at\":true,\"table\":\"t\",\"op\":\"+\",\"row\":{}}", "line 2: `at` is true; it is seconds since 1970"),
        ("nonsense", "line 2 is no object; a line is {\"at\""),
    ] {
        let (_dir, output) = replay_with(&format!("{good}{bad}\n"), &[("r", "SELECT 1")], &[]);
        assert_eq!((code(&output), out(&output)), (2, ""), "{bad}: {}", err(&output));
        let place = format!("c.ndjson: {expected}");
        assert!(err(&output).contains(&place), "{bad}: {}", err(&output));
    }
    let (_dir, empty) = replay_with("", &[("r", "SELECT 1")], &["-o", "ndjson", "--check"]);
    assert_eq!((code(&empty), out(&empty)), (0, ""), "{}", err(&empty));
    let missing = run(&["replay", "/none/such"]);
    assert!(code(&missing) == 2 && err(&missing).contains("/none/such: cannot open it"), "{}", err(&missing));
}

#[test]
fn standard_input_is_a_file_too_and_a_reader_may_leave() {
    let dir = tempfile::tempdir().unwrap();
    let sql = dir.path().join("r.sql");
    fs::write(&sql, "SELECT a FROM t").unwrap();
    let mut command = program();
    command.args(["replay", "-", "--rules", sql.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text: String = (0..50_000).map(|a| change(&json!(1), "t", "+", &json!({"a": a}))).collect();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), &first), (0, b"{\"at\":1,\"rule\":\""), "{}", err(&output));
    assert!(!err(&output).contains("panic") && !err(&output).contains("error"), "{}", err(&output));
}

#[test]
#[cfg(target_os = "linux")]
fn a_recording_replays_with_the_rules_of_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rec.ndjson");
    let mut command = program();
    command.args(["record", file.to_str().unwrap(), "--interval", "100ms", "--for", "1m"]);
    let recorder = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let odd = "86399.0625";
    let lines_of = |table: &str, op: &str| {
        let (table, op) = (format!("\"table\":\"{table}\""), format!("\"op\":\"{op}\""));
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().filter(|line| [odd, &table, &op].iter().all(|part| line.contains(part))).count()
    };
    let wait_for = |is_there: &dyn Fn() -> bool| {
        let began = std::time::Instant::now();
        while !is_there() {
            assert!(began.elapsed().as_secs() < 30);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    wait_for(&|| fs::read_to_string(&file).is_ok_and(|text| !text.is_empty()));
    let sleeper = Running::start(Command::new("sleep").arg(odd));
    let pid = sleeper.0.id();
    wait_for(&|| lines_of("processes", "+") > 0);
    drop(sleeper);
    wait_for(&|| lines_of("processes", "-") > 0);
    let recorder_pid = nix::unistd::Pid::from_raw(recorder.id().try_into().unwrap());
    nix::sys::signal::kill(recorder_pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let recorded = recorder.wait_with_output().unwrap();
    assert_eq!(code(&recorded), 130, "{}", err(&recorded));
    assert!(err(&recorded).contains(" lines of "), "{}", err(&recorded));
    assert!(fs::read_to_string(&file).unwrap().ends_with("}\n"));

    let bare = |name: &str, table: &str| {
        let sql = format!("SELECT pid, name FROM {table} WHERE command_line LIKE '%sleep {odd}' AND pid = {pid}");
        fs::write(dir.path().join(format!("{name}.sql")), sql).unwrap();
        format!("{}/{name}.sql", path(&dir))
    };
    let (now, starts, exits) = (bare("a", "processes"), bare("b", "process_starts"), bare("c", "process_exits"));
    // A snapshot between fork and exec, or of a zombie, sees the start or the end without the arguments.
    let started = if lines_of("process_starts", "+") > 0 { vec!["+b \"sleep\""] } else { vec![] };
    let exited = if lines_of("process_exits", "+") > 0 { vec!["+c \"sleep\""] } else { vec![] };
    let file = file.to_str().unwrap();
    let all =
        [&["replay", file, "--check", "-o", "ndjson"][..], &["--rules", &now, "--rules", &starts, "--rules", &exits]];
    let output = run(&all.concat());
    assert!(code(&output) == 0, "{}", err(&output));
    let seen: Vec<_> = lines(&output)
        .iter()
        .map(|it| format!("{}{} {}", it["op"].as_str().unwrap(), it["rule"].as_str().unwrap(), it["row"]["name"]))
        .collect();
    let (appeared, disappeared) = (vec!["+a \"sleep\""], vec!["-a \"sleep\""]);
    assert_eq!(seen, [appeared, started, disappeared, exited].concat());

    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules");
    let output = run(&["replay", file, "--rules", rules, "--check", "-o", "ndjson"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains("add up to the whole answers"), "{}", err(&output));
}

#[test]
#[cfg(target_os = "linux")]
fn a_recording_is_whole_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rec.ndjson");
    fs::write(&file, "mine").unwrap();
    let refused = run(&["record", file.to_str().unwrap(), "--snapshots", "1"]);
    assert_eq!(code(&refused), 2, "{}", err(&refused));
    assert!(err(&refused).contains("exists; --force replaces it"), "{}", err(&refused));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let forced = run(&["record", file.to_str().unwrap(), "--snapshots", "1", "--force"]);
    assert_eq!((code(&forced), out(&forced)), (0, ""), "{}", err(&forced));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().all(|line| line.contains("\"op\":\"+\"") && !line.contains("memory_usage")), "{text}");
    let piped = run(&["record", "--snapshots", "2", "--interval", "100ms", "--samples", "--table", "processes"]);
    assert_eq!(code(&piped), 0, "{}", err(&piped));
    let rows = lines(&piped);
    assert!(rows.iter().all(|line| line["table"] == "processes" && line["row"].get("memory_usage").is_some()));
    assert!(rows.iter().any(|line| line["op"] == "-"), "this very process had the processor meanwhile");
    for wrong in [
        &["record", "--for", "0s"][..],
        &["record", "--for", "1s", "--snapshots", "1"],
        &["record", "--force"],
        &["record", "-o", "table"],
    ] {
        assert_eq!(code(&run(wrong)), 2, "{wrong:?}");
    }
}
