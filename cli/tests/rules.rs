//! `rules`: the list with its states, and one rule whole.

mod common;

use std::fs;

use common::{code, err, lines, out, path, rule, run};
use tempfile::TempDir;

fn rules() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |tactic: &str, name: &str, text: String| {
        fs::create_dir_all(dir.path().join(tactic)).unwrap();
        fs::write(dir.path().join(tactic).join(name), text).unwrap();
    };
    write("execution", "a.sql", rule(1, "{name} runs", "high", "SELECT name FROM processes"));
    write("impact", "history.sql", rule(2, "t", "low", "SELECT proc_id FROM process_starts"));
    write("impact", "hashed.sql", rule(3, "t", "low", "SELECT proc_id, executable_hash FROM processes"));
    write("execution", "broken.sql", rule(4, "t", "low", "SELECT pidd FROM processes"));
    let other = if cfg!(windows) { "linux" } else { "windows" };
    let elsewhere = rule(5, "t", "low", "SELECT proc_id FROM processes").replace("linux, macos, windows", other);
    write("defense-evasion", "z.sql", elsewhere);
    dir
}

#[test]
fn the_list_goes_by_tactic_and_says_what_can_work() {
    let dir = rules();
    let list = run(&["rules", "list", path(&dir)]);
    assert_eq!(code(&list), 0, "{}", err(&list));
    let listed = lines(&list);
    let text = |at: usize, key: &str| listed[at][key].as_str().unwrap_or_default().to_owned();
    let states: Vec<_> =
        (0..listed.len()).map(|at| (text(at, "tactic"), text(at, "rule"), text(at, "state"))).collect();
    let expected = [
        ("defense-evasion", "z", "other platform"),
        ("execution", "a", "ok"),
        ("execution", "broken", "refused: DE201"),
        ("impact", "hashed", "limited: executable_hash"),
        ("impact", "history", "needs history"),
    ];
    assert_eq!(states, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    assert_eq!(listed[1]["techniques"], serde_json::json!(["T1059.004"]));
    assert!(err(&list).starts_with("5 rules from ") && err(&list).contains("1 ok"), "{}", err(&list));
    assert!(err(&list).contains("1 rule was refused: `daemoneye-cli lint` says why"), "{}", err(&list));
    let table = run(&["rules", "list", "-o", "table", path(&dir)]);
    assert!(out(&table).lines().all(|line| line.chars().count() <= 80), "{}", out(&table));
    assert!(out(&table).contains("a        high   test    T1059.004"), "{}", out(&table));
}

#[test]
fn a_rule_is_shown_whole() {
    let dir = rules();
    let shown = run(&["rules", "show", "A", "--rules", path(&dir)]);
    assert_eq!(code(&shown), 0, "{}", err(&shown));
    for expected in
        ["a  high  test", "{name} runs", "For a test.", "execution/a.sql", "\n  SELECT name FROM processes\n"]
    {
        assert!(out(&shown).contains(expected), "{expected}: {}", out(&shown));
    }
    let json = &lines(&run(&["rules", "show", "a", "-o", "ndjson", "--rules", path(&dir)]))[0];
    assert_eq!((&json["sql"], &json["level"]), (&"SELECT name FROM processes".into(), &"high".into()));
    assert_eq!(json["revision"].as_str().unwrap().len(), 12);
    let broken = run(&["rules", "show", "broken", "--rules", path(&dir)]);
    assert_eq!((code(&broken), out(&broken)), (2, ""));
    assert!(err(&broken).contains("DE201"), "{}", err(&broken));
    let unknown = run(&["rules", "show", "histori", "--rules", path(&dir)]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("did you mean `history`?"), "{}", err(&unknown));
}

#[test]
fn a_file_that_cannot_be_read_makes_the_list_incomplete() {
    let dir = rules();
    fs::write(dir.path().join("binary.sql"), b"\xff").unwrap();
    let list = run(&["rules", "list", path(&dir)]);
    assert_eq!((code(&list), lines(&list).len()), (3, 5), "{}", err(&list));
    assert!(err(&list).contains("binary.sql"), "{}", err(&list));
}
