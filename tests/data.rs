//! Why: whoever keeps the store is told the truth about it by the real programs, gets its rows out of it exactly, and
//! loses nothing when its disk is full for a while.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use daemoneye_tests::{Program, Stage, header, program};
use serde_json::{Value, json};

fn cli(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program("daemoneye-cli"));
    command.args(arguments).current_dir(stage.path()).env("XDG_CONFIG_HOME", stage.path());
    command.env("LANG", "C.UTF-8").env("TERM", "xterm").env("COLUMNS", "80").env_remove("LC_ALL");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn counted(stage: &Stage, arguments: &[&str]) -> Value {
    let (code, out, err) = cli(stage, arguments);
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn the_store_is_looked_after() {
    let stage = Stage::new();
    let (code, _, err) = cli(&stage, &["data", "stats", "--data", "data"]);
    assert!(code == 2 && err.contains("nothing is stored at"), "{err}");
    let agent = Program::start(stage.agent());
    let _suspect = stage.suspect("s\u{1b}[31mly");
    agent.alert("the suspect", |_| true);
    // Beside the agent.
    let (code, _, err) = cli(&stage, &["data", "check", "--data", "data"]);
    assert!(code == 0 && err.contains("all is whole"), "{err}");
    let (code, _, err) = cli(&stage, &["data", "compact", "--data", "data"]);
    assert!(code == 2 && err.contains("stop the agent"), "{err}");
    let (_, out, _) = cli(&stage, &["data", "stats", "--data", "data"]);
    assert!(out.contains("versions") && out.lines().all(|line| line.chars().count() <= 80), "{out}");
    agent.stop();

    let stats = counted(&stage, &["data", "stats", "--data", "data", "-o", "json"]);
    let rows = stats["history"]["versions"].as_u64().unwrap();
    assert!(rows > 0 && stats["alerts"]["count"].as_u64().unwrap() > 0 && stats["drops"] == json!([]), "{stats}");
    let sum = "SELECT count(*) AS n, sum(pid) AS pids, min(seen_from) AS first, max(command_line) AS last FROM ";
    let stored = counted(&stage, &["query", "--data", "data", "-o", "ndjson", &format!("{sum} processes_history")]);
    assert_eq!(stored["n"], rows);
    for form in ["parquet", "ndjson"] {
        let (file, table) = (format!("h.{form}"), format!("t=h.{form}"));
        let (code, _, err) = cli(&stage, &["data", "export", "processes_history", &file, "--data", "data"]);
        assert!(code == 0 && err.contains(&format!("{rows} rows in {file}")), "{err}");
        let read = counted(&stage, &["query", "--table", &table, "-o", "ndjson", &format!("{sum} t")]);
        assert_eq!(read, stored, "{form}");
    }
    let (code, _, err) = cli(&stage, &["data", "export", "processes_history", "h.parquet", "--data", "data"]);
    assert!(code == 2 && err.contains("h.parquet exists; --force replaces it"), "{err}");
    let (code, ..) = cli(&stage, &["data", "export", "process_starts", "h.parquet", "--data", "data", "--force"]);
    assert_eq!(code, 0);
    let (code, _, err) = cli(&stage, &["data", "export", "alerts", "a.csv", "--data", "data"]);
    let csv = fs::read_to_string(stage.path().join("a.csv")).unwrap();
    assert!(code == 0 && csv.contains("⟦\\e⟧") && !csv.contains('\u{1b}'), "{csv}{err}");
    let none = ["data", "export", "process_starts", "n.csv", "--data", "data", "--to", "2020-01-01T00:00:00Z"];
    cli(&stage, &none);
    assert_eq!(fs::read_to_string(stage.path().join("n.csv")).unwrap().lines().count(), 1, "only the names");
    let left: Vec<_> = fs::read_dir(stage.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".daemoneye-")), "{left:?}");

    let (code, _, err) = cli(&stage, &["data", "compact", "--data", "data"]);
    assert!(code == 0 && err.contains(" freed, "), "{err}");
    assert_eq!(
        counted(&stage, &["query", "--data", "data", "-o", "ndjson", &format!("{sum} processes_history")]),
        stored
    );
    stage.damage_a_block();
    let (code, out, err) = cli(&stage, &["data", "check", "--data", "data", "-o", "ndjson"]);
    assert!(code == 1 && out.contains("of processes_history") && err.contains("damaged"), "{code} {out}{err}");
}

#[test]
fn what_happens_while_the_disk_is_full_is_found_when_it_has_room() {
    let stage = Stage::new();
    // An event: it is in no snapshot any more when there is room.
    let sql = format!("SELECT proc_id, pid FROM process_starts WHERE command_line GLOB '{}/*'", stage.bin().display());
    stage.rule("brief", &(header("5d0e8a7c-4a55-4f0b-9b0a-2c8f0b6d7e11", "{pid} was there") + &sql));
    let agent = Program::start(stage.agent_on_a_small_disk());
    agent.says_times("snapshot committed", 3);
    agent.limit_files("4096");
    agent.says("snapshot not stored yet");
    let suspect = stage.suspect("brief");
    let pid = suspect.pid();
    agent.says_times("snapshot not stored yet", agent.said("snapshot not stored yet") + 5);
    suspect.end();
    agent.says_times("snapshot not stored yet", agent.said("snapshot not stored yet") + 5);
    agent.limit_files("unlimited");
    agent.says("the disk can be written to again");
    let alert = agent.alert("the one that came and went", |alert| alert["rule"]["name"] == "brief");
    assert_eq!(alert["row"]["pid"], pid);
    let well = stage.query("SELECT missed FROM collectors");
    assert_eq!(well.iter().map(|row| row["missed"].clone()).collect::<Vec<_>>(), [0]);
    std::thread::sleep(Duration::from_millis(300));
    agent.stop();
    let (code, _, err) = cli(&stage, &["data", "check", "--data", "data"]);
    assert!(code == 0, "{err}");
}
