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
    assert!(drawn.contains("JOIN, ORDER BY/LIMIT taken anew"), "{drawn}");
    assert!(drawn.contains("└─ Table: processes as p") && !drawn.contains("Initial"), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    let steps = run(&["explain", "--steps", PAIR]);
    assert!(out(&steps).contains("Initial") && out(&steps).contains("PushFilters"), "{}", out(&steps));
    let json = &lines(&run(&["explain", "-o", "ndjson", PAIR]))[0];
    assert_eq!(json["tables"], serde_json::json!(["processes"]));
    assert_eq!((&json["incremental"], &json["rule"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(json["recomputed"], serde_json::json!(["JOIN", "ORDER BY/LIMIT"]));
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
    let key = |name: &str| {
        let answer = run(&["explain", "-o", "ndjson", "--rules", path(&dir), name]);
        assert_eq!(code(&answer), 0, "{}", err(&answer));
        lines(&answer).remove(0)
    };
    let deduped = key("deduped");
    assert_eq!((&deduped["key"]["columns"][0], &deduped["window_seconds"]), (&"name".into(), &7200.into()));
    assert_eq!(key("grouped")["key"]["chosen_as"], "the GROUP BY keys");
    assert_eq!(key("grouped")["recomputed"], serde_json::json!(["GROUP BY"]));
    let identified = key("identified");
    assert_eq!(identified["key"]["columns"], serde_json::json!(["proc_id"]));
    assert_eq!((&identified["incremental"], &identified["reads_samples"]), (&true.into(), &true.into()));
    assert_eq!(key("others")["key"]["columns"], serde_json::json!(["name"]));
    assert_eq!(key("started")["recomputed"], serde_json::json!(["now()"]));
    assert_eq!(key("plain_events")["matches_are_events"], true);
    let all = run(&["explain", "-o", "ndjson", "--rules", path(&dir), "T1059.004"]);
    assert_eq!(lines(&all).len(), 6, "a technique means every rule that has it");
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
