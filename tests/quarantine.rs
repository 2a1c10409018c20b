//! Why: a rule that is stopped finds nothing, and an attacker may have brought that about. Whoever looks anywhere must
//! see that it stands still and why, and must be able to let it run again without stopping the rest.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Output};

use daemoneye_tests::{Program, Stage, header, program};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const JOINED_ID: &str = "9a1b2c3d-4e5f-4a6b-8c7d-0e1f2a3b4c5d";
const QUICK: &str = "rules.paths = ['rules']\ncollector.interval = '100ms'\nlog.level = 'debug'\nrules.watch = '0s'\n";

/// An agent with these settings, and a rule beside the stage's own that holds a row for each process.
fn agent(stage: &Stage, settings: &str) -> Program {
    let joined = format!(
        "SELECT a.proc_id, a.pid FROM processes a JOIN processes b ON b.proc_id = a.parent_id \
         WHERE a.command_line GLOB '{}/*'",
        stage.bin().display()
    );
    stage.rule("joined", &(header(JOINED_ID, "pid {pid}") + &joined));
    set(stage, settings);
    let mut command = Command::new(program("daemoneye-agent"));
    let file = stage.path().join("daemoneye.toml");
    command.arg("--config").arg(file).arg("--data").arg(stage.data()).current_dir(stage.path());
    Program::start(command)
}

fn set(stage: &Stage, settings: &str) {
    fs::write(stage.path().join("daemoneye.toml"), QUICK.to_owned() + settings).unwrap();
}

fn cli(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program("daemoneye-cli"));
    command.args(arguments).arg("--data").arg(stage.data());
    command.env("LANG", "C.UTF-8").env("TERM", "dumb").env("COLUMNS", "200").env_remove("LC_ALL");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn is_about_a_quarantine(alert: &Value) -> bool {
    alert["rule"]["name"] == "daemoneye.rule_quarantined"
}

fn state(stage: &Stage) -> Value {
    stage.query("SELECT state FROM rules WHERE name = 'joined'")[0]["state"].clone()
}

#[test]
fn a_rule_that_holds_too_much_is_stopped_loudly_and_returns_by_command() {
    let stage = Stage::new();
    let agent = agent(&stage, "rules.state_rows = 4\n");
    let said = agent.says("rule quarantined");
    for part in ["rule=joined", "it held ", " rows in ", "rules.state_rows allows 4 rows", "rules release joined"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let alert = agent.alert("about it", is_about_a_quarantine);
    assert_eq!((&alert["level"], &alert["initial"]), (&json!("high"), &json!(false)), "{alert}");
    assert_eq!(alert["title"], "rule joined was quarantined and detects nothing");
    assert_eq!(alert["row"]["rule"], "joined");
    assert!(alert["row"]["reason"].as_str().unwrap().contains("rules.state_rows"), "{alert}");
    assert!(alert["completeness"].to_string().contains("rule_quarantined"), "{alert}");
    let suspect = stage.suspect("beside");
    let other = agent.alert("of the rule that goes on", |alert| alert["row"]["pid"] == suspect.pid());
    assert!(other["completeness"].to_string().contains("rule_quarantined"), "{other}");
    let before = agent.said("snapshot committed");
    agent.says_times("snapshot committed", before + 3);
    assert_eq!(agent.alerts().iter().filter(|alert| is_about_a_quarantine(alert)).count(), 1, "once\n{}", agent.log());

    let (code, out, _) = cli(&stage, &["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &status["rules"]["quarantined"]), (3, &json!(1)), "{status}");
    let (code, out, _) = cli(&stage, &["status"]);
    assert!(code == 3 && out.contains("quarantined: joined: it held") && out.contains("release joined"), "{out}");
    let (_, out, err) = cli(&stage, &["alerts", "list"]);
    assert!(out.contains("daemoneye.rule_quarantined"), "{out}{err}");
    let stats = stage.query("SELECT quarantined, quarantined_since, raised FROM rule_stats WHERE rule = 'joined'");
    assert!(stats[0]["quarantined"].as_str().unwrap().contains("rules.state_rows"), "{stats:?}");
    assert!(stats[0]["quarantined_since"].is_string(), "{stats:?}");

    // Nothing is released where one name is wrong.
    for (names, why) in
        [(&["joined", "suspect"][..], "rule `suspect` is not quarantined"), (&["joined", "a\u{1b}[2Jb"], "no rule `a")]
    {
        let (code, out, err) = cli(&stage, &[&["rules", "release"], names].concat());
        assert!(code == 2 && out.is_empty(), "{code} {out}{err}");
        assert!(err.contains("nothing was released: ") && err.contains(why) && !err.contains('\u{1b}'), "{err}");
    }
    assert_eq!(state(&stage), "quarantined");

    // As it is, it reaches the bound again, and that is another quarantine.
    let (code, _, err) = cli(&stage, &["rules", "release", "joined"]);
    assert!(code == 0 && err.contains("1 rule released, from the next snapshot on: joined"), "{code} {err}");
    agent.says_times("rule quarantined", 2);
    agent.shows("a second alert", || {
        (agent.alerts().iter().filter(|it| is_about_a_quarantine(it)).count() == 2).then_some(())
    });
    let ended: Vec<_> =
        stage.stored().iter().filter(|it| it.rule.name.starts_with("daemoneye.")).map(|it| it.status).collect();
    assert_eq!(format!("{ended:?}"), "[Resolved, Open]");

    set(&stage, "");
    agent.signal(Signal::SIGHUP);
    agent.says("setting=rules.state_rows old=4 new=500000");
    let before = agent.said("snapshot committed");
    agent.says_times("snapshot committed", before + 2);
    assert_eq!(state(&stage), "quarantined", "a bound that is raised releases nothing");
    let (code, _, err) = cli(&stage, &["rules", "release", "--all"]);
    assert!(code == 0 && err.contains("1 rule released"), "{code} {err}");
    let alert = agent.alert("of the rule that is back", |alert| alert["rule"]["name"] == "joined");
    assert_eq!(alert["row"]["pid"], suspect.pid(), "filled from what is stored: it started while the rule stood still");
    assert_eq!(alert["completeness"]["reasons"], json!([]), "{alert}");
    assert_eq!(state(&stage), "running");
    assert!(
        stage
            .stored()
            .iter()
            .filter(|it| it.rule.name.starts_with("daemoneye."))
            .all(|it| it.status.name() == "resolved")
    );
    let (code, _, err) = cli(&stage, &["rules", "release", "--all"]);
    assert!(code == 0 && err.contains("no rule is quarantined"), "{code} {err}");
    assert_eq!(cli(&stage, &["status"]).0, 0);

    agent.stop();
    for names in ["joined", "--all"] {
        let (code, _, err) = cli(&stage, &["rules", "release", names]);
        assert!(code == 4 && err.contains("nothing was released: no agent runs: there is no socket"), "{code} {err}");
    }
}

#[test]
fn a_rule_that_changes_returns_and_so_does_each_when_the_agent_is_restarted() {
    let stage = Stage::new();
    let before = agent(&stage, "rules.state_rows = 4\n");
    before.alert("about it", is_about_a_quarantine);
    let ended = || stage.stored().iter().filter(|it| it.status.name() == "resolved").count();
    let text = fs::read_to_string(stage.rules().join("joined.sql")).unwrap();
    let narrow = format!("SELECT proc_id, pid FROM processes WHERE command_line GLOB '{}/*'", stage.bin().display());
    stage.rule("joined", &(header(JOINED_ID, "pid {pid}") + &narrow));
    before.signal(Signal::SIGHUP);
    before.shows("that the alert has ended", || (ended() == 1).then_some(()));
    assert_eq!(state(&stage), "running");

    stage.rule("joined", &text);
    before.signal(Signal::SIGHUP);
    before.says_times("rule quarantined", 2);
    before.shows("a second alert", || (stage.stored().len() == 2).then_some(()));
    // A reload that changes nothing about it releases nothing.
    before.signal(Signal::SIGHUP);
    before.says_times("rules reloaded", 3);
    assert_eq!(state(&stage), "quarantined");
    before.kill();
    let after = agent(&stage, "");
    after.says("snapshot committed");
    after.shows("that the second has ended", || (ended() == 2).then_some(()));
    assert_eq!((state(&stage), stage.stored().len()), ("running".into(), 2));
    after.stop();
}

#[test]
fn what_rules_cost_can_be_asked() {
    let stage = Stage::new();
    // So many that their record is not written beside each snapshot.
    for number in 0..200 {
        let id = format!("9a1b2c3d-4e5f-4a6b-8c7d-0e1f2a3b5{number:03}");
        let sql = format!("SELECT proc_id FROM processes WHERE pid = -{number}");
        stage.rule(&format!("other{number}"), &(header(&id, "x") + &sql));
    }
    let agent = agent(&stage, "");
    let suspect = stage.suspect("costly");
    agent.alert("of both", |alert| alert["rule"]["name"] == "joined" && alert["row"]["pid"] == suspect.pid());
    let before = agent.said("snapshot committed");
    agent.says_times("snapshot committed", before + 2);
    let sql = "SELECT rule, total_micros FROM rule_stats ORDER BY 2 DESC";
    let (code, out, err) = cli(&stage, &["query", sql]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("{\"rule\":\"joined\","), "the join is dearer than a filter: {out}");
    let (_, out, _) = cli(&stage, &["status", "-v"]);
    assert!(out.contains("cost: joined: ") && out.contains(" held"), "{out}");
    suspect.end();
    agent.shows("that it ended", || stage.stored().iter().all(|it| it.status.name() == "resolved").then_some(()));
    agent.stop();
    let rows = stage.query("SELECT * FROM rule_stats WHERE rule IN ('joined', 'suspect') ORDER BY rule");
    let [joined, own] = rows.as_slice() else { panic!("{rows:?}") };
    let number = |row: &serde_json::Map<String, Value>, name: &str| row[name].as_u64().unwrap();
    for row in [joined, own] {
        assert_eq!((number(row, "appeared"), number(row, "raised")), (1, 1), "{row:?}");
        assert_eq!(row["snapshots"], agent.said("snapshot committed"), "{row:?}");
        assert!(number(row, "total_micros") >= number(row, "slowest_micros"), "{row:?}");
        assert!(row["quarantined"].is_null() && row["since"].as_str() < row["as_of"].as_str(), "{row:?}");
    }
    assert!(number(joined, "slowest_micros") > 0 && number(joined, "last_micros") < number(joined, "total_micros"));
    assert!(number(joined, "state_rows") > 4 && number(joined, "state_bytes") > 100, "{joined:?}");
    assert_eq!((number(own, "state_rows"), number(own, "over_time_limit")), (0, 0), "a filter holds nothing");
}
