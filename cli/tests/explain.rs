//! `explain`: how rules and statements are run.

mod common;

use std::fs;

use common::{code, err, lines, out, path, rule, run};

const PAIR: &str = "SELECT c.proc_id, c.pid FROM processes c JOIN processes p ON p.proc_id = c.parent_id \
                    WHERE p.name = 'nginx' ORDER BY c.pid LIMIT 3";

#[test]
fn a_statement_is_explained_for_people_and_programs() {
    let text = run(&["explain", PAIR]);
    assert_eq!(code(&text), 0, "{}", err(&text));
    let drawn = out(&text);
    assert!(drawn.contains("runs     on changes only"), "{drawn}");
    assert!(drawn.contains("└─ Table: processes as p") && !drawn.contains("Initial"), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    let steps = run(&["explain", "--steps", PAIR]);
    assert!(out(&steps).contains("Initial") && out(&steps).contains("PushFilters"), "{}", out(&steps));
    let json = &lines(&run(&["explain", "-o", "ndjson", PAIR]))[0];
    assert_eq!(json["tables"], serde_json::json!(["processes"]));
    assert_eq!((&json["incremental"], &json["rule"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(json["recomputed"], serde_json::json!([]));
    assert_eq!(json["steps"].as_array().unwrap().last().unwrap()["plan"], json["plan"]);
    let ascii = run(&["explain", "--ascii", PAIR]);
    assert!(out(&ascii).is_ascii() && out(&ascii).contains("`- Table"), "{}", out(&ascii));
}

#[test]
fn the_key_is_chosen_as_the_agent_does() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, id: u32, extra: &str, sql: &str| {
        let text = format!("{extra}{}", rule(id, "t", "high", sql));
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    write("deduped.sql", 1, "-- @dedup: name for 2h\n", "SELECT proc_id, name FROM processes");
    write("grouped.sql", 2, "", "SELECT name, count(*) AS n FROM processes GROUP BY name");
    write("identified.sql", 3, "", "SELECT proc_id, name, cpu_usage FROM processes");
    write("others.sql", 4, "", "SELECT name, cpu_usage FROM processes");
    write("started.sql", 5, "", "SELECT name FROM process_starts WHERE start_time > now() - INTERVAL '1 hour'");
    write("plain_events.sql", 6, "", "SELECT name FROM process_starts");
    write("numbered.sql", 7, "", "SELECT pid, row_number() OVER (ORDER BY pid) AS nth FROM processes");
    write("aged.sql", 8, "", "SELECT proc_id, now() - start_time AS age FROM processes");
    let key = |name: &str| {
        let answer = run(&["explain", "-o", "ndjson", "--rules", path(&dir), name]);
        assert_eq!(code(&answer), 0, "{}", err(&answer));
        lines(&answer).remove(0)
    };
    let deduped = key("deduped");
    assert_eq!((&deduped["key"]["columns"][0], &deduped["window_seconds"]), (&"name".into(), &7200.into()));
    assert_eq!(key("grouped")["key"]["chosen_as"], "the GROUP BY keys");
    assert_eq!(key("grouped")["recomputed"], serde_json::json!([]));
    let identified = key("identified");
    assert_eq!(identified["key"]["columns"], serde_json::json!(["proc_id"]));
    assert_eq!((&identified["incremental"], &identified["reads_samples"]), (&true.into(), &true.into()));
    assert_eq!(key("others")["key"]["columns"], serde_json::json!(["name"]));
    assert_eq!(key("started")["recomputed"], serde_json::json!([]));
    assert_eq!(key("numbered")["recomputed"], serde_json::json!(["OVER"]));
    assert_eq!(key("aged")["recomputed"], serde_json::json!(["now()"]));
    assert_eq!(key("plain_events")["matches_are_events"], true);
    let all = run(&["explain", "-o", "ndjson", "--rules", path(&dir), "T1059.004"]);
    assert_eq!(lines(&all).len(), 8, "a technique means every rule that has it");
}

/// Five processes: a server that started a shell and a tool, and a shell from elsewhere.
const PROCESSES: &str = r#"{"proc_id":"a","pid":1,"name":"init","parent_id":null}
{"proc_id":"b","pid":10,"name":"nginx","parent_id":"a"}
{"proc_id":"c","pid":20,"name":"sh","parent_id":"b"}
{"proc_id":"d","pid":21,"name":"busybox","parent_id":"b"}
{"proc_id":"e","pid":30,"name":"sh","parent_id":"a"}
"#;

/// `explain` over [`PROCESSES`].
fn over(arguments: &[&str]) -> std::process::Output {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("p.jsonl"), PROCESSES).unwrap();
    let table = format!("processes={}/p.jsonl", path(&dir));
    run(&[&["explain", "--table", &table, "--now", "2026-11-22T10:30:00Z"], arguments].concat())
}

#[test]
fn what_a_rule_holds_is_shown_by_operator() {
    let shown = over(&["--state", PAIR]);
    assert_eq!(code(&shown), 0, "{}", err(&shown));
    let text = out(&shown);
    assert!(text.contains("2 matches of 5 records of processes"), "{text}");
    assert!(text.contains("Rows by: parent_id") && text.contains("found by: name = 'nginx'"), "{text}");
    assert!(!text.contains("anew") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let json = lines(&over(&["--state", "-o", "ndjson", PAIR])).remove(0);
    let operators = json["state"]["operators"].as_array().unwrap();
    let rows = |start: &str| {
        let found = operators.iter().find(|it| it["operator"].as_str().unwrap().starts_with(start));
        found.unwrap_or_else(|| panic!("{start}: {operators:?}"))["rows"].as_u64().unwrap()
    };
    // The server alone waits for children; every process waits for its parent.
    assert_eq!((rows("Rows by: proc_id"), rows("Rows by: parent_id")), (1, 5));
    let sum = |key: &str| operators.iter().map(|it| it[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(json["state"]["held"]["rows"], sum("rows"));
    assert_eq!(json["state"]["held"]["bytes"], sum("bytes"));
    assert_eq!(json["state"]["matches"], 2);
    assert_eq!(json["state"]["tables"].as_array().unwrap().len(), 2);

    let anew = "SELECT pid, row_number() OVER (ORDER BY pid) AS nth FROM processes";
    let shown = over(&["--state", "--ascii", anew]);
    assert!(out(&shown).is_ascii() && out(&shown).contains("  anew   `- Window: row_number()"), "{}", out(&shown));
    let json = lines(&over(&["--state", "-o", "ndjson", anew])).remove(0);
    let named: Vec<_> =
        json["state"]["operators"].as_array().unwrap().iter().filter(|it| !it["recomputed"].is_null()).collect();
    assert_eq!((named.len(), &named[0]["recomputed"], &named[0]["rows"]), (1, &"OVER".into(), &10.into()));
}

#[test]
fn a_rule_over_events_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("e.csv"), "user,image\nroot,sh\nroot,ls\n").unwrap();
    let table = format!("events={}/e.csv", path(&dir));
    let shown = run(&["explain", "--table", &table, "--state", "SELECT image FROM events WHERE image = 'sh'"]);
    assert!(out(&shown).contains("holds    nothing from one snapshot to the next"), "{}", out(&shown));
}

#[test]
fn every_operation_is_measured() {
    let asks = "SELECT c.pid, (SELECT count(*) FROM processes s WHERE s.parent_id = c.proc_id) AS children \
                FROM processes c WHERE c.name <> 'sh' ORDER BY c.pid";
    let json = lines(&over(&["--analyze", "-o", "ndjson", asks])).remove(0);
    let operations = json["analysis"]["operations"].as_array().unwrap();
    let of = |start: &str| {
        let found = operations.iter().find(|it| it["operation"].as_str().unwrap().starts_with(start));
        let it = found.unwrap_or_else(|| panic!("{start}: {operations:?}"));
        ["times", "rows_in", "rows_out"].map(|key| it[key].as_u64().unwrap())
    };
    assert_eq!(of("Table: processes as c"), [1, 5, 3]);
    // The subquery is evaluated for each of three processes, and what it looks through is read once.
    assert_eq!(of("Aggregate")[0], 3);
    assert_eq!(of("Table: processes as s"), [1, 5, 5]);
    assert_eq!(of("Sort"), [1, 3, 3]);
    assert_eq!(json["analysis"]["rows"], 3);
    let text = over(&["--analyze", asks]);
    let drawn = out(&text);
    assert!(drawn.contains("rows in  rows out  times  operation"), "{drawn}");
    assert!(drawn.contains("3 rows of 5 records of processes in "), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    // Where it fails, what was done so far is shown with the error.
    let many = "SELECT count(*) AS n FROM processes a, processes b, processes c, processes d, processes e, \
                processes f, processes g, processes h, processes i, processes j, processes k, processes l";
    let failed = over(&["--analyze", many]);
    assert_eq!(code(&failed), 2, "{}", out(&failed));
    assert!(out(&failed).contains("no result of") && out(&failed).contains("never"), "{}", out(&failed));
    assert!(err(&failed).contains("would take more than"), "{}", err(&failed));
}

/// What `--why-not` says of a row, as a program reads it.
fn why_not(row: &str, sql: &str) -> serde_json::Value {
    let answer = over(&["-o", "ndjson", sql, "--why-not", row]);
    assert_eq!(code(&answer), 0, "{}", err(&answer));
    lines(&answer).remove(0)["why_not"].clone()
}

#[test]
fn the_first_condition_that_fails_is_told_with_its_values() {
    let sql = "SELECT c.pid FROM processes c JOIN processes p ON p.proc_id = c.parent_id\n\
               WHERE p.name IN ('nginx', 'apache2')\n  AND c.name IN ('sh', 'bash') AND c.pid > 25";
    let shown = over(&[sql, "--why-not", "21"]);
    let text = out(&shown);
    assert!(text.contains("busybox (pid 21) does not match: WHERE turns it away (2 of 4 conditions hold)"), "{text}");
    assert!(text.contains("yes      p.name IN ('apache2', 'nginx')\n           p.name is 'nginx'"), "{text}");
    assert!(text.contains("NO       c.name IN ('bash', 'sh')\n           c.name is 'busybox'"), "{text}");
    assert!(text.contains("<query>:3:7") && text.contains("AND c.name IN ('sh', 'bash')"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let why = why_not("21", sql);
    let stop = &why["stopped"][0];
    assert_eq!((&why["matches"], &stop["clause"], &stop["failed"]), (&false.into(), &"WHERE".into(), &2.into()));
    let failed = &stop["conditions"][2];
    assert_eq!((&failed["holds"], &failed["line"], &failed["column"]), (&false.into(), &3.into(), &7.into()));
    assert_eq!(failed["values"], serde_json::json!({"c.name": "busybox"}));
    assert_eq!(stop["conditions"][3]["holds"], false);
    // Of alternatives the one that comes nearest.
    let either =
        "SELECT pid FROM processes WHERE name = 'zsh' OR name = 'sh' AND pid > 25 AND parent_id = 'a' OR pid = 3";
    let alternative = &why_not("20", either)["stopped"][0]["conditions"][0]["alternative"];
    assert_eq!((&alternative["number"], &alternative["of"]), (&1.into(), &3.into()));
    let nearer = either.replace("pid > 25", "pid > 15");
    let alternative = &why_not("20", &nearer)["stopped"][0]["conditions"][0]["alternative"];
    let held: Vec<_> = alternative["conditions"].as_array().unwrap().iter().map(|it| it["holds"].clone()).collect();
    assert_eq!((&alternative["number"], held), (&2.into(), vec![true.into(), true.into(), false.into()]));
    let drawn = over(&[&nearer, "--why-not", "20"]);
    assert!(out(&drawn).contains("alternative 2 of 3 comes nearest (2 of 3 hold)"), "{}", out(&drawn));
    assert!(out(&drawn).contains("note: the nearest alternative fails here"), "{}", out(&drawn));
    // NULL is neither.
    let unknown = why_not("1", "SELECT pid FROM processes WHERE parent_id <> 'a'");
    assert_eq!(unknown["stopped"][0]["conditions"][0]["holds"], serde_json::Value::Null);
    let matching = over(&["SELECT pid FROM processes WHERE name = 'sh'", "--why-not", r#"{"name": "sh"}"#]);
    assert!(out(&matching).contains("2 rows of processes match: 2 rows"), "{}", out(&matching));
}

#[test]
fn a_join_without_a_partner_tells_who_came_nearest() {
    let sql = "SELECT c.pid FROM processes c JOIN processes p ON p.proc_id = c.parent_id AND p.name = 'nginx'";
    // An equality of two tables is a join wherever it is written; the rest of WHERE stays there.
    let comma = sql.replace("JOIN processes p ON", ", processes p WHERE");
    for (pid, sql, satisfied) in [("30", sql, 1), ("1", sql, 0), ("1", comma.as_str(), 0)] {
        let stop = &why_not(pid, sql)["stopped"][0];
        assert_eq!(stop["because"], "the join finds no row of p", "{sql}");
        let told = (&stop["conditions"][0]["satisfied_by"], &stop["conditions"][0]["looked_at"]);
        assert_eq!(told, (&satisfied.into(), &5.into()), "{sql}");
    }
    assert_eq!(why_not("30", &comma)["stopped"][0]["clause"], "WHERE");
    let near = &why_not("30", sql)["stopped"][0]["nearest"];
    assert_eq!(near[0]["row"], serde_json::json!({"p.pid": 1, "p.name": "init", "p.proc_id": "a"}));
    assert_eq!((&near[0]["fails"], &near[1]["fails"], &near[2]), (&1.into(), &0.into(), &serde_json::Value::Null));
    let relatives = "SELECT c.pid FROM processes c JOIN ancestors(c.proc_id) a ON a.depth > 0 AND a.name = 'apache2'";
    let stop = &why_not("20", relatives)["stopped"][0];
    assert_eq!(stop["because"], "the process has no relative a that qualifies");
    assert_eq!(stop["nearest"][0]["row"]["a.name"], "nginx");
}

#[test]
fn what_a_subquery_found_is_told() {
    let exists = "SELECT pid FROM processes c WHERE EXISTS (SELECT 1 FROM processes k \
                  WHERE k.parent_id = c.proc_id AND k.name = 'busybox')";
    let found = &why_not("1", exists)["stopped"][0]["conditions"][0]["subqueries"][0];
    assert_eq!((&found["rows"], &found["given"]["proc_id"]), (&0.into(), &"a".into()));
    assert_eq!(found["conditions"][1]["satisfied_by"], 1);
    // Children of another name, and the one of that name who is another's child.
    let near: Vec<_> = found["nearest"].as_array().unwrap().iter().map(|it| &it["row"]["k.name"]).collect();
    assert_eq!(near, ["nginx", "busybox", "sh"]);
    let anti = exists.replace("EXISTS", "NOT EXISTS");
    let found = &why_not("10", &anti)["stopped"][0]["conditions"][0]["subqueries"][0];
    assert_eq!(found["first"][0]["k.pid"], 21);
    let text = over(&[&anti, "--why-not", "10"]);
    assert!(out(&text).contains("NO       NOT EXISTS (SELECT …)"), "{}", out(&text));
    assert!(out(&text).contains("the subquery gives 1 row where proc_id is 'b'"), "{}", out(&text));
    let among = "SELECT pid FROM processes WHERE name IN (SELECT name FROM processes WHERE pid < 15)";
    let found = &why_not("20", among)["stopped"][0]["conditions"][0]["subqueries"][0];
    assert_eq!((&found["rows"], &found["given"]["name"]), (&2.into(), &"sh".into()));
}

#[test]
fn groups_limits_and_sets_turn_rows_away_too() {
    let grouped = "SELECT name, count(*) AS n FROM processes WHERE pid > 5 GROUP BY name HAVING count(*) > 1";
    let stop = &why_not("21", grouped)["stopped"][0];
    assert_eq!((&stop["clause"], &stop["conditions"][1]["values"]["count(*)"]), (&"HAVING".into(), &1.into()));
    // The other rows of the group count.
    assert_eq!(why_not("30", grouped)["rows"], serde_json::json!([{"name": "sh", "n": 2}]));
    let limited = "SELECT name FROM processes ORDER BY pid DESC LIMIT 1 OFFSET 1";
    let places = ["30", "20"].map(|pid| why_not(pid, limited)["stopped"][0]["limit"]["position"].clone());
    assert_eq!(places, [serde_json::json!(1), serde_json::json!(3)]);
    assert_eq!(why_not("21", limited)["matches"], true);
    let either = "SELECT name FROM processes WHERE pid < 5 UNION SELECT name FROM processes WHERE pid > 25";
    assert_eq!(why_not("20", either)["stopped"].as_array().unwrap().len(), 1 + 1);
    assert_eq!(why_not("30", either)["matches"], true);
    let except = "SELECT name FROM processes EXCEPT SELECT name FROM processes WHERE name = 'sh'";
    assert_eq!(why_not("30", except)["stopped"][0]["clause"], "EXCEPT");
    let windowed = "SELECT pid, n FROM (SELECT pid, row_number() OVER (ORDER BY pid) AS n FROM processes) WHERE n < 3";
    assert_eq!(why_not("21", windowed)["stopped"][0]["conditions"][0]["values"], serde_json::json!({"n": 4}));
}

#[test]
fn names_of_processes_do_not_reach_the_terminal_raw() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(4000);
    let row = serde_json::json!({"proc_id": "a", "pid": 7, "name": "ev\u{1b}[31mil\n", "command_line": long});
    fs::write(dir.path().join("p.jsonl"), row.to_string()).unwrap();
    let table = format!("processes={}/p.jsonl", path(&dir));
    let sql = "SELECT pid FROM processes WHERE name = 'x' AND command_line = 'y'";
    let shown = run(&["explain", "--table", &table, sql, "--why-not", "7"]);
    let text = out(&shown);
    assert!(text.contains("does not match") && !text.contains('\u{1b}') && text.len() < 2000, "{text}");
    assert!(out(&run(&["explain", "--table", &table, sql, "--why-not", "7", "--full"])).matches('x').count() > 4000);
}

#[test]
fn what_cannot_be_explained_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.sql"), rule(1, "x", "low", "SELECT pidd FROM processes")).unwrap();
    for (arguments, expected) in [
        (&["explain", "SELECT nope FROM processes"][..], "DE201"),
        (&["explain", "broken", "--rules", path(&dir)], "DE201"),
        (&["explain", "brokem", "--rules", path(&dir)], "no rule has the name, id or tag `brokem`"),
        (&["explain", "SELECT", "pid", "FROM", "processes"], "put it in quotes"),
        (&["explain", "SELECT 1 AS x", "broken"], "one statement at a time"),
        (&["explain", "--state", "--analyze", "SELECT 1 AS x"], "cannot be used with"),
        (&["explain", "--data", "/nowhere", "SELECT 1 AS x"], "required"),
        (&["explain", "--why-not", "4x", "SELECT pid FROM processes"], "neither a pid nor a JSON object"),
        (&["explain", "--why-not", "{}", "SELECT pid FROM processes"], "it names no column"),
        (&["explain", "--why-not", "{\"pidd\": 1}", "SELECT pid FROM processes"], "did you mean `pid`?"),
        (&["explain", "--why-not", "{\"pid\": \"1\"}", "SELECT pid FROM processes"], "\"1\" is no INTEGER"),
        (&["explain", "--why-not", "-5", "SELECT pid FROM processes"], "`processes` has no row with pid -5"),
        (&["explain", "--why-not", "5", "SELECT 1 AS x"], "reads no table"),
        (&["explain", "--state", "--data", "/nowhere", "SELECT pid FROM process_starts"], "process_starts"),
    ] {
        let answer = run(arguments);
        assert_eq!(code(&answer), 2, "{arguments:?}");
        assert!(err(&answer).contains(expected), "{arguments:?}: {}", err(&answer));
        assert_eq!(out(&answer), "", "{arguments:?}");
    }
}

#[test]
fn a_rule_with_auto_join_is_shown_and_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let sql = "SELECT p.proc_id, s.pid FROM processes AS p AUTO JOIN process_starts AS s ON s.proc_id = p.proc_id \
               WHEN p.name = 'sh'";
    fs::write(dir.path().join("asks.sql"), rule(1, "{pid}", "low", sql)).unwrap();
    for shown in [run(&["explain", "--rules", path(&dir), "asks"]), run(&["explain", sql])] {
        assert_eq!(code(&shown), 0, "{}", err(&shown));
        assert!(
            out(&shown).contains("AutoJoin: s.proc_id = p.proc_id, when name = 'sh', asks procmond"),
            "{}",
            out(&shown)
        );
        assert!(err(&shown).contains("error[DE312]"), "{}", err(&shown));
    }
    for refused in [run(&["hunt", "--rules", path(&dir)]), run(&["query", sql])] {
        assert_eq!((code(&refused), out(&refused)), (2, ""));
        assert!(err(&refused).contains("error[DE312]: AUTO JOIN is not available yet"), "{}", err(&refused));
    }
    assert_eq!(code(&run(&["lint", path(&dir)])), 1);
}
