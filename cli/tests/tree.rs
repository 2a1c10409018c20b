//! `tree`: the live processes, below what started them.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{Running, code, err, lines, out, run};
use serde_json::Value;

#[cfg(unix)]
#[test]
fn a_process_comes_with_its_ancestors_and_children() {
    // `wait` keeps the shell from becoming its last command.
    let shell = Running::start(Command::new("sh").args(["-c", "sleep 61 & wait"]));
    let pid = shell.0.id();
    let mut rows = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !rows.iter().any(|row: &Value| row["name"] == "sleep") {
        assert!(Instant::now() < deadline, "the shell started nothing: {rows:?}");
        rows = lines(&run(&["tree", "-o", "ndjson", &pid.to_string()]));
    }
    let at = |pid: u32| rows.iter().position(|row| row["pid"] == pid).unwrap();
    let (me, child) = (&rows[at(pid)], rows.iter().find(|row| row["ppid"] == pid).unwrap());
    assert_eq!(child["depth"], me["depth"].as_u64().unwrap() + 1);
    assert!(at(std::process::id()) < at(pid), "the test stands above the shell it started");
    let drawn = run(&["tree", "-o", "table", &pid.to_string()]);
    assert_eq!(code(&drawn), 0, "{}", err(&drawn));
    let text = out(&drawn);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let marked: Vec<_> = text.lines().filter(|line| line.ends_with('◄')).collect();
    assert!(marked.len() == 1 && marked[0].contains(&format!("sh[{pid}]")), "{text}");
    assert!(text.contains("└─ sleep["), "{text}");
    assert!(err(&drawn).contains(" of ") && err(&drawn).contains("live snapshot"), "{}", err(&drawn));
    let ascii = run(&["tree", "-o", "table", "--ascii", &pid.to_string()]);
    assert!(out(&ascii).is_ascii() && out(&ascii).contains("`- sleep["), "{}", out(&ascii));
    Command::new("kill").arg(child["pid"].to_string()).status().unwrap();
}

#[test]
fn the_whole_tree_has_every_process() {
    let rows = lines(&run(&["tree"]));
    assert!(rows.iter().any(|row| row["pid"] == std::process::id()));
    assert_eq!(rows[0]["depth"], 0);
    let drawn = run(&["tree", "-o", "table"]);
    let kernel = rows.iter().filter(|row| row["kernel_thread"] == true).count();
    assert_eq!(out(&drawn).contains("(--all shows them)"), kernel > 0, "{}", out(&drawn));
    assert!(!out(&run(&["tree", "-o", "table", "--all"])).contains("(--all shows them)"));
}

#[test]
fn a_name_that_nobody_has_is_said() {
    let none = run(&["tree", "no-such-process-name"]);
    assert_eq!((code(&none), out(&none)), (2, ""));
    assert!(err(&none).contains("no process has the name or pid `no-such-process-name`; "), "{}", err(&none));
}
