//! `tree`: the live processes, below what started them.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{Running, code, err, lines, out, path, rule, run};
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

#[test]
fn what_rules_find_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let me = std::process::id();
    let of_me = |id, level, select: &str| rule(id, "found {pid}", level, &format!("{select} WHERE pid = {me}"));
    std::fs::write(dir.path().join("grave.sql"), of_me(1, "high", "SELECT proc_id, pid FROM processes")).unwrap();
    // A row without `proc_id` names its process by the pid.
    std::fs::write(dir.path().join("mild.sql"), of_me(2, "low", "SELECT pid, name FROM processes")).unwrap();
    let counted = rule(3, "{n} processes", "low", "SELECT count(*) AS n FROM processes");
    std::fs::write(dir.path().join("counted.sql"), counted).unwrap();
    let tree = |more: &[&str]| run(&[&["tree", "--rules", path(&dir)], more].concat());
    let all = tree(&["-o", "ndjson"]);
    let rows = lines(&all);
    let mine = rows.iter().find(|row| row["pid"] == me).unwrap();
    let hits: Vec<_> = mine["hits"].as_array().unwrap().iter().map(|hit| (&hit["level"], &hit["rule"])).collect();
    assert_eq!(hits, [(&"high".into(), &"grave".into()), (&"low".into(), &"mild".into())], "the gravest first");
    assert_eq!(mine["hits"][0]["title"], format!("found {me}"));
    assert!(rows.iter().all(|row| row["pid"] == me || row["hits"] == serde_json::json!([])));
    assert!(
        err(&all).contains("2 hits of 3 rules from ") && err(&all).contains("1 match names no process"),
        "{}",
        err(&all)
    );

    let drawn = tree(&["--hits", "-o", "table"]);
    let marked: Vec<_> = out(&drawn).lines().filter(|line| line.contains('◄')).collect();
    assert!(marked.len() == 1 && marked[0].contains(&format!("[{me}]")), "{}", out(&drawn));
    assert!(marked[0].ends_with("◄ high grave +1"), "{}", marked[0]);
    assert!(out(&drawn).lines().all(|line| line.chars().count() <= 80), "{}", out(&drawn));
    assert!(out(&drawn).lines().count() < rows.len(), "only what is above and below");
    let coloured = tree(&["--hits", "-o", "table", "--color", "always"]);
    let context = out(&coloured).lines().next().unwrap();
    assert!(context.contains("\u{1b}[2m"), "what is around is dim: {context:?}");

    let none = run(&["tree", "--no-hits", "-o", "ndjson", &me.to_string()]);
    assert!(lines(&none).iter().all(|row| row["hits"] == serde_json::json!([])) && !err(&none).contains("hits"));
    std::fs::write(dir.path().join("broken.sql"), "SELECT").unwrap();
    let broken = tree(&[]);
    assert_eq!(code(&broken), 3);
    assert!(err(&broken).contains("1 rule was refused: `daemoneye-cli lint`"), "{}", err(&broken));
    assert_eq!(code(&run(&["tree", "--rules", "/none/such"])), 2, "what is named has to be there");
}
