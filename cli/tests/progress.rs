//! What is shown while work takes long: on a terminal, on one that cannot draw, and in a pipe.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{err, out, path, program};

/// A file whose records come late: a pipe with a name.
fn late_file(dir: &Path) -> String {
    let file = dir.join("late.jsonl");
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let written = file.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(1_200));
        fs::write(written, "{\"a\":1}\n")
    });
    file.to_str().unwrap().to_owned()
}

/// What a terminal receives from the program; nothing where there is no way to have a terminal.
fn on_a_terminal(term: &str, flags: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = late_file(dir.path());
    let program = env!("CARGO_BIN_EXE_daemoneye-cli");
    let line = format!("'{program}' {flags} query -o ndjson --table 't={file}' 'SELECT a FROM t'");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env("TERM", term).env("LANG", "C.UTF-8").env_remove("CI");
    let output = command.env_remove("LC_ALL").stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_terminal_shows_a_line_that_is_gone_before_the_answer() {
    let Some(seen) = on_a_terminal("xterm", "") else { return };
    let (drawn, answer) = seen.split_once("{\"a\":1}").expect("an answer");
    assert!(drawn.contains("⠋ reading files"), "{seen:?}");
    assert!(drawn.ends_with("\x1b[2K") || drawn.ends_with("\x1b[0m\x1b[K"), "the line is cleared: {seen:?}");
    assert!(!answer.contains("reading"), "{seen:?}");
}

#[test]
fn a_terminal_that_cannot_draw_gets_a_line_for_each_step() {
    let Some(seen) = on_a_terminal("dumb", "") else { return };
    assert!(seen.starts_with("reading files\r\n") && seen.contains("{\"a\":1}\r\n"), "{seen:?}");
    assert!(!seen.contains('\x1b'), "{seen:?}");
}

#[test]
fn quiet_is_quiet() {
    let Some(seen) = on_a_terminal("xterm", "-q") else { return };
    assert_eq!(seen, "{\"a\":1}\r\n");
}

#[test]
fn a_pipe_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let table = format!("t={}", late_file(dir.path()));
    let output = program().args(["query", "--table", &table, "SELECT a FROM t"]).env_remove("CI").output().unwrap();
    assert_eq!(out(&output), "{\"a\":1}\n");
    assert!(err(&output).starts_with("1 row of 1 record of t"), "{} in {}", err(&output), path(&dir));
}
