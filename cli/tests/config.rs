//! `config`: what is set and where, what is wrong, and that the other commands do what is set.

mod common;

use std::fs;
use std::process::{Command, Output};

use common::{code, err, lines, out, program};
use serde_json::Value;
use tempfile::TempDir;

/// A place whose user's files are in `home`, to be worked in.
fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("home/daemoneye")).unwrap();
    dir
}

fn command(dir: &TempDir) -> Command {
    let mut command = program();
    command.env("XDG_CONFIG_HOME", dir.path().join("home")).current_dir(dir.path());
    command
}

fn run(dir: &TempDir, arguments: &[&str]) -> Output {
    command(dir).args(arguments).output().unwrap()
}

fn setting(output: &Output, name: &str) -> (Value, String) {
    let line = lines(output).into_iter().find(|line| line["setting"] == name).unwrap();
    (line["value"].clone(), line["origin"].as_str().unwrap().to_owned())
}

#[test]
fn what_is_in_force_is_shown_with_its_origin() {
    let dir = place();
    let user = dir.path().join("home/daemoneye/daemoneye.yaml");
    fs::write(&user, "cli:\n  utc: true\n  ascii: true\ncollector:\n  interval: 9s\n").unwrap();
    fs::write(dir.path().join("daemoneye.toml"), "[collector]\ninterval = '5s'\n").unwrap();
    let shown =
        command(&dir).args(["config", "show", "--color", "never"]).env("DAEMONEYE_DATA", "/d").output().unwrap();
    assert_eq!(code(&shown), 0, "{}", err(&shown));
    assert_eq!(setting(&shown, "collector.interval"), ("5s".into(), "./daemoneye.toml:2".to_owned()));
    assert_eq!(setting(&shown, "cli.utc"), (true.into(), format!("{}:2", user.display())));
    assert_eq!(setting(&shown, "data"), ("/d".into(), "environment variable DAEMONEYE_DATA".to_owned()));
    assert_eq!(setting(&shown, "socket"), ("/d/agent.sock".into(), "default".to_owned()));
    assert_eq!(setting(&shown, "cli.color"), ("never".into(), "flag --color".to_owned()));
    assert_eq!(setting(&shown, "collector.redact"), ("all".into(), "default".to_owned()));
    let table = run(&dir, &["config", "show", "-o", "table"]);
    assert!(out(&table).starts_with("setting ") && !out(&table).contains("origin"), "{}", out(&table));
    assert!(err(&table).contains("daemoneye.yaml, ./daemoneye.toml"), "{}", err(&table));
    let csv = run(&dir, &["config", "show", "--origin", "-o", "csv"]);
    assert!(out(&csv).contains("collector.interval,5s,./daemoneye.toml:2"), "{}", out(&csv));
}

#[test]
fn a_named_file_takes_the_place_of_the_others() {
    let dir = place();
    fs::write(dir.path().join("daemoneye.toml"), "nonsense").unwrap();
    fs::write(dir.path().join("own.json"), "{\"cli\": {\"utc\": true}}").unwrap();
    let named = run(&dir, &["config", "show", "--config", "own.json"]);
    assert_eq!(setting(&named, "cli.utc"), (true.into(), "own.json:1".to_owned()));
    let absent = run(&dir, &["config", "show", "--config", "absent.json"]);
    assert_eq!(code(&absent), 2);
    assert!(err(&absent).contains("cannot read absent.json"), "{}", err(&absent));
}

#[test]
fn commands_do_what_is_set_and_flags_go_before() {
    let dir = place();
    fs::write(dir.path().join("daemoneye.toml"), "data = 'mine'\n[cli]\nutc = true\ncolor = 'always'\n").unwrap();
    let history = run(&dir, &["query", "SELECT pid FROM processes_history"]);
    assert_eq!(code(&history), 2);
    assert!(err(&history).contains("mine/events.redb"), "{}", err(&history));
    let flag = run(&dir, &["query", "--data", "other", "--color", "never", "SELECT pid FROM processes_history"]);
    assert!(err(&flag).contains("other/events.redb") && !err(&flag).contains('\u{1b}'), "{}", err(&flag));
    assert!(err(&history).contains('\u{1b}'), "{}", err(&history));
    let times = run(&dir, &["query", "-o", "table", "SELECT start_time FROM processes LIMIT 1"]);
    assert!(out(&times).contains("+00:00"), "{}", out(&times));
}

#[test]
fn what_is_wrong_stops_commands_and_fails_the_check() {
    let dir = place();
    fs::write(dir.path().join("daemoneye.toml"), "[cli]\nutcc = true\ncolor = 'red'\n").unwrap();
    let query = run(&dir, &["query", "SELECT 1 AS x"]);
    assert_eq!((code(&query), out(&query)), (2, ""));
    assert!(err(&query).contains("./daemoneye.toml:2:1") && err(&query).contains("did you mean `cli.utc`?"));
    let check = run(&dir, &["config", "check", "-o", "ndjson"]);
    assert_eq!(code(&check), 1, "{}", err(&check));
    let found: Vec<_> = lines(&check).iter().map(|it| (it["code"].clone(), it["line"].clone())).collect();
    assert_eq!(found, [("DE902".into(), 2.into()), ("DE904".into(), 3.into())]);
    let drawn = run(&dir, &["config", "check"]);
    assert!(out(&drawn).contains("color = 'red'") && err(&drawn).starts_with("2 errors"), "{}", out(&drawn));
    for arguments in [&["config", "path"][..], &["config", "schema"], &["completions", "bash"], &["man"]] {
        assert_eq!(code(&run(&dir, arguments)), 0, "{arguments:?} works all the same");
    }
    fs::write(dir.path().join("good.yaml"), "cli: {utc: true}\n").unwrap();
    let good = run(&dir, &["config", "check", "good.yaml"]);
    assert_eq!((code(&good), err(&good)), (0, "checked good.yaml: no error\n"));
    for (file, said) in [("absent.yaml", "cannot read absent.yaml"), ("good.ini", "has to end in .toml")] {
        let unreadable = run(&dir, &["config", "check", file]);
        assert_eq!(code(&unreadable), 2);
        assert!(out(&unreadable).contains(said), "{}", out(&unreadable));
    }
}

#[test]
fn two_files_in_one_place_are_an_error_that_names_both() {
    let dir = place();
    fs::write(dir.path().join("daemoneye.toml"), "").unwrap();
    fs::write(dir.path().join("home/daemoneye/daemoneye.json"), "{}").unwrap();
    assert_eq!(code(&run(&dir, &["config", "check"])), 0, "one of each layer is fine");
    fs::write(dir.path().join("daemoneye.yml"), "").unwrap();
    let check = run(&dir, &["config", "check"]);
    assert_eq!(code(&check), 1);
    assert!(out(&check).contains("both ./daemoneye.toml and ./daemoneye.yml are there"), "{}", out(&check));
    let places = run(&dir, &["config", "path"]);
    let there: Vec<_> = lines(&places).into_iter().filter(|place| place["state"] == "there").collect();
    let layers: Vec<_> = there.iter().map(|place| place["layer"].as_str().unwrap()).collect();
    assert_eq!(layers, ["user", "project", "project"]);
}

#[test]
fn the_schema_is_json() {
    let schema = run(&place(), &["config", "schema"]);
    let schema: Value = serde_json::from_str(out(&schema)).unwrap();
    assert_eq!(schema["properties"]["cli"]["properties"]["utc"]["type"], "boolean");
}

#[cfg(unix)]
#[test]
fn root_does_not_follow_what_others_may_write() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let dir = place();
    if dir.path().metadata().unwrap().uid() != 0 {
        return;
    }
    let file = dir.path().join("daemoneye.toml");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let query = run(&dir, &["query", "SELECT 1 AS x"]);
    assert_eq!(code(&query), 2);
    assert!(err(&query).contains("is not used as root: others may write to it"), "{}", err(&query));
}
