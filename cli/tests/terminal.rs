//! How the program looks on a terminal, in a pipe, and under the variables that say so; its pager; watching in place.
//!
//! The terminal is a real one: the other end of it is read here.

#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::{code, err, out, path, program, rule, run};
use daemoneye_storage::Store;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const COLUMNS: u16 = 90;
const LINES: u16 = 30;
/// No such test takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was written, and how it ended.
struct Shown {
    out: String,
    err: String,
    code: Option<i32>,
}

/// Which streams are terminals.
#[derive(Clone, Copy, Debug)]
struct Terminals {
    out: bool,
    err: bool,
}

const BOTH: Terminals = Terminals { out: true, err: true };
const NEITHER: Terminals = Terminals { out: false, err: false };

/// One end of a stream, and a thread that reads the other.
fn stream(is_terminal: bool) -> (Stdio, JoinHandle<String>) {
    let (write, mut read): (Stdio, Box<dyn Read + Send>) = if is_terminal {
        let size = Winsize { ws_row: LINES, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        (slave.into(), Box::new(File::from(master)))
    } else {
        let (read, write) = std::io::pipe().unwrap();
        (write.into(), Box::new(read))
    };
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A terminal whose program has gone is an error at the end of what it wrote.
        let _end = read.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    });
    (write, reader)
}

fn spawn(mut command: Command, terminals: Terminals) -> (Child, JoinHandle<String>, JoinHandle<String>) {
    let (out, read_out) = stream(terminals.out);
    let (err, read_err) = stream(terminals.err);
    let child = command.stdout(out).stderr(err).spawn().unwrap();
    (child, read_out, read_err)
}

fn shown(command: Command, terminals: Terminals) -> Shown {
    let (mut child, out, err) = spawn(command, terminals);
    let code = child.wait().unwrap().code();
    Shown { out: out.join().unwrap(), err: err.join().unwrap(), code }
}

/// Without anything that decides how it looks but a terminal that can do all.
fn plain() -> Command {
    let mut command = program();
    for name in ["COLUMNS", "CLICOLOR", "GITHUB_ACTIONS"] {
        command.env_remove(name);
    }
    command.env("DAEMONEYE_PAGER", "cat");
    command
}

/// The text without colours.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut parts = text.split("\u{1b}[");
    bare.push_str(parts.next().unwrap_or_default());
    for part in parts {
        bare.push_str(part.split_once('m').expect("an escape of ours is a colour").1);
    }
    assert!(!bare.contains('\u{1b}'), "{bare:?}");
    bare
}

fn widest(text: &str) -> usize {
    bare(text).lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Rules, one of them broken, and a store.
fn stage() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let own = format!(
        "SELECT proc_id, pid, '{}' AS filler FROM processes WHERE pid = {}",
        "long ".repeat(60).trim(),
        std::process::id()
    );
    fs::create_dir(dir.path().join("rules")).unwrap();
    fs::write(dir.path().join("rules/own.sql"), rule(1, "found {pid}: {filler}", "high", &own)).unwrap();
    fs::write(dir.path().join("rules/broken.sql"), rule(2, "x", "low", "SELECT pidd FROM processes")).unwrap();
    drop(Store::open(dir.path().join("events.redb")).unwrap());
    dir
}

/// Every command that is for people, with what makes it show paint and glyphs.
fn commands(dir: &Path) -> Vec<(&'static str, Vec<String>)> {
    let data = dir.display().to_string();
    let rules = dir.join("rules").display().to_string();
    let own = std::process::id().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let long = format!("SELECT 1 AS i, '{}' AS text", "a".repeat(300));
    vec![
        ("lint", words(&["lint", &rules])),
        ("query", words(&["query", "-o", "box", &long])),
        ("hunt", words(&["hunt", "-o", "table", "--rules", &rules])),
        ("alerts", words(&["alerts", "list", "-o", "box", "--data", &data])),
        ("rules", words(&["rules", "list", "-o", "box", &rules])),
        ("tree", words(&["tree", "-o", "table", "--rules", &rules, &own])),
        ("status", words(&["status", "--data", &data])),
        ("explain", words(&["explain", "SELECT a.pid FROM processes a JOIN processes b ON b.proc_id = a.parent_id"])),
    ]
}

/// A row of the table: what is set, and what has to come of it.
struct Row {
    name: &'static str,
    terminals: Terminals,
    variables: &'static [(&'static str, &'static str)],
    flags: &'static [&'static str],
    /// On standard output, and on standard error.
    colour: (bool, bool),
    ascii: bool,
    /// The widest line that may be; none where nothing is cut.
    width: Option<usize>,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "terminal", terminals: BOTH, variables: &[], flags: &[], colour: (true, true), ascii: false, width: Some(90) },
    Row { name: "output piped", terminals: Terminals { out: false, err: true }, variables: &[], flags: &[], colour: (false, true), ascii: false, width: None },
    Row { name: "messages piped", terminals: Terminals { out: true, err: false }, variables: &[], flags: &[], colour: (true, false), ascii: false, width: Some(90) },
    Row { name: "piped", terminals: NEITHER, variables: &[], flags: &[], colour: (false, false), ascii: false, width: None },
    Row { name: "NO_COLOR", terminals: BOTH, variables: &[("NO_COLOR", "1")], flags: &[], colour: (false, false), ascii: false, width: Some(90) },
    Row { name: "NO_COLOR empty", terminals: BOTH, variables: &[("NO_COLOR", "")], flags: &[], colour: (true, true), ascii: false, width: Some(90) },
    Row { name: "CLICOLOR_FORCE", terminals: NEITHER, variables: &[("CLICOLOR_FORCE", "1")], flags: &[], colour: (true, true), ascii: false, width: None },
    Row { name: "NO_COLOR before force", terminals: BOTH, variables: &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], flags: &[], colour: (false, false), ascii: false, width: Some(90) },
    Row { name: "ours before NO_COLOR", terminals: NEITHER, variables: &[("DAEMONEYE_COLOR", "always"), ("NO_COLOR", "1")], flags: &[], colour: (true, true), ascii: false, width: None },
    Row { name: "ours never", terminals: BOTH, variables: &[("DAEMONEYE_COLOR", "never"), ("CLICOLOR_FORCE", "1")], flags: &[], colour: (false, false), ascii: false, width: Some(90) },
    Row { name: "flag before ours", terminals: NEITHER, variables: &[("DAEMONEYE_COLOR", "never")], flags: &["--color", "always"], colour: (true, true), ascii: false, width: None },
    Row { name: "flag never", terminals: BOTH, variables: &[("CLICOLOR_FORCE", "1")], flags: &["--color=never"], colour: (false, false), ascii: false, width: Some(90) },
    Row { name: "TERM=dumb", terminals: BOTH, variables: &[("TERM", "dumb")], flags: &[], colour: (false, false), ascii: true, width: Some(80) },
    Row { name: "no TERM", terminals: BOTH, variables: &[("TERM", "")], flags: &[], colour: (false, false), ascii: true, width: Some(80) },
    Row { name: "dumb and forced", terminals: BOTH, variables: &[("TERM", "dumb")], flags: &["--color", "always"], colour: (true, true), ascii: true, width: Some(80) },
    Row { name: "CI", terminals: NEITHER, variables: &[("CI", "true")], flags: &[], colour: (false, false), ascii: false, width: Some(100) },
    Row { name: "CI that renders", terminals: NEITHER, variables: &[("CI", "true"), ("GITHUB_ACTIONS", "true")], flags: &[], colour: (true, true), ascii: false, width: Some(100) },
    Row { name: "--ascii", terminals: BOTH, variables: &[], flags: &["--ascii"], colour: (true, true), ascii: true, width: Some(90) },
    Row { name: "LANG=C", terminals: BOTH, variables: &[("LANG", "C")], flags: &[], colour: (true, true), ascii: true, width: Some(90) },
];

#[test]
fn colours_glyphs_and_width_are_those_of_the_table() {
    let dir = stage();
    for row in ROWS {
        for (name, arguments) in commands(dir.path()) {
            let mut command = plain();
            command.args(arguments).args(row.flags).envs(row.variables.iter().copied());
            let Shown { out, err, code } = shown(command, row.terminals);
            let at = format!("{}, {name}\n{out}\n{err}", row.name);
            assert!([Some(0), Some(1), Some(3), Some(4)].contains(&code), "{code:?} {at}");
            assert_eq!(out.contains('\u{1b}'), row.colour.0, "colour: {at}");
            if name == "hunt" {
                assert_eq!(err.contains('\u{1b}'), row.colour.1, "colour of messages: {at}");
            } else if !row.colour.1 {
                assert!(!err.contains('\u{1b}'), "{at}");
            }
            assert!(!row.ascii || out.is_ascii() && err.is_ascii(), "{at}");
            if !row.ascii && ["lint", "query", "tree"].contains(&name) {
                assert!(!out.is_ascii(), "{at}");
            }
            // Findings of lint quote the source as it is, however long its lines are.
            if let Some(width) = row.width.filter(|_| name != "lint") {
                assert!(widest(&out) <= width, "{} columns: {at}", widest(&out));
            }
            let has_long = ["query", "hunt"].contains(&name);
            assert!(row.width.is_some() || !has_long || widest(&out) > 300, "{at}");
            if name == "hunt" {
                assert!(bare(&out).contains("high") && bare(&err).contains("warning: "), "words, not colours: {at}");
            }
        }
    }
}

#[test]
fn a_colour_that_is_none_is_said_and_help_obeys_too() {
    let mut wrong = plain();
    wrong.args(["explain", "SELECT 1 AS x"]).env("DAEMONEYE_COLOR", "blue");
    let said = shown(wrong, NEITHER).err;
    assert!(said.contains("`blue` is not among the words allowed"), "{said}");
    for (flags, coloured) in [(&["--help"][..], true), (&["--help", "--color", "never"], false)] {
        let mut help = plain();
        help.args(flags);
        assert_eq!(shown(help, BOTH).out.contains('\u{1b}'), coloured, "{flags:?}");
    }
    let mut forced = plain();
    forced.args(["--color=always", "--help"]);
    assert!(shown(forced, NEITHER).out.contains('\u{1b}'));
}

fn numbers(pager: &str, more: &[&str], terminals: Terminals) -> Shown {
    let mut command = plain();
    let statement = "SELECT a.pid, b.name FROM processes a JOIN processes b ON b.pid > 0 LIMIT 100";
    command.args(["query", "-o", "table"]).args(more).arg(statement).env("DAEMONEYE_PAGER", pager);
    shown(command, terminals)
}

#[test]
fn what_is_longer_than_the_terminal_is_paged() {
    let dir = tempfile::tempdir().unwrap();
    let paged = numbers("head -n 3", &[], BOTH);
    assert_eq!((paged.out.lines().count(), paged.code), (3, Some(0)), "left early: {}{}", paged.out, paged.err);
    assert!(paged.err.contains("100 of ") && !paged.err.contains("error"), "{}", paged.err);
    for (more, terminals) in [(&["--no-pager"][..], BOTH), (&[], Terminals { out: false, err: true })] {
        assert_eq!(numbers("head -n 3", more, terminals).out.lines().count(), 101);
    }
    let missing = numbers("/none/such", &[], BOTH);
    assert_eq!(missing.out.lines().count(), 101);
    assert!(missing.err.contains("cannot start the pager `/none/such`"), "{}", missing.err);
    assert!(missing.err.replace("\n  ", " ").contains("use --no-pager"), "{}", missing.err);
    for variable in [("TERM", "dumb"), ("CI", "1")] {
        let mut command = plain();
        command.args(["rules", "list", path(&stage())]).envs([variable, ("DAEMONEYE_PAGER", "head -n 0")]);
        let mark = dir.path().join("started");
        command.env("DAEMONEYE_PAGER", format!("touch {}", mark.display()));
        shown(command, BOTH);
        assert!(!mark.exists(), "{variable:?}");
    }
    let mut short = plain();
    short.args(["explain", "SELECT 1 AS x"]).env("DAEMONEYE_PAGER", "head -n 0");
    assert!(shown(short, BOTH).out.contains("statement"), "it fits, so no pager is asked");
}

fn watching(more: &[&str]) -> Command {
    let mut command = plain();
    command
        .args(["query", "--watch=100ms"])
        .args(more)
        .arg(format!("SELECT pid, cpu_usage IS NOT NULL AS sampled FROM processes WHERE pid = {}", std::process::id()));
    command
}

#[test]
fn watching_in_place_gives_the_terminal_back() {
    for (signal, expected) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let (mut child, out, err) = spawn(watching(&[]), BOTH);
        std::thread::sleep(Duration::from_millis(900));
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, Signal::SIGWINCH).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        kill(pid, signal).unwrap();
        let code = child.wait().unwrap().code();
        let (out, err) = (out.join().unwrap(), err.join().unwrap());
        assert_eq!((code, err.as_str()), (Some(expected), ""), "{out:?}");
        assert!(out.starts_with("\u{1b}[?1049h") && out.ends_with("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"), "{out:?}");
        assert!(out.matches("\u{1b}[H").count() >= 3 && out.contains("every 100ms, Ctrl-C ends it: SELECT"), "{out:?}");
        assert!(out.contains("true"), "the second round knows what the first measured: {out:?}");
    }
}

#[test]
fn watching_into_a_pipe_appends_until_nobody_reads() {
    let mut child = watching(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut times = Vec::new();
    for _ in 0..3 {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let row: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(row["pid"], std::process::id());
        times.push(row["watch_time"].as_str().unwrap().to_owned());
    }
    assert!(times.is_sorted() && times[0] != times[2], "{times:?}");
    drop(reader);
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(began.elapsed() < PATIENCE, "it goes on for nobody"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn what_cannot_be_watched_is_said() {
    for (arguments, expected) in [
        (&["query", "--watch=50ms", "SELECT 1 AS x"][..], "between 100ms and 1d"),
        (&["query", "--watch", "5s", "SELECT 1 AS x"], "write --watch=5s"),
        (&["query", "--watch", "-o", "csv", "SELECT 1 AS x"], "ask for `-o table` or `-o ndjson`"),
        (&["query", "--watch", "SELECT name FROM process_starts", "--data", "/none/such"], "nothing is stored at"),
        (&["query", "--csv-safe", "SELECT 1 AS x"], "add `-o csv`"),
    ] {
        let output = run(arguments);
        assert_eq!((code(&output), out(&output)), (2, ""), "{arguments:?}");
        assert!(err(&output).contains(expected), "{arguments:?}: {}", err(&output));
    }
}

/// Answers what a command asks on its terminal; what that shows, and how it ended.
fn answered(mut command: Command, answer: &str) -> (String, Option<i32>) {
    let size = Winsize { ws_row: LINES, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
    let mut terminal = File::from(master);
    terminal.write_all(answer.as_bytes()).unwrap();
    let mut child = command.stdin(slave.try_clone().unwrap()).stdout(Stdio::null()).stderr(slave).spawn().unwrap();
    // It holds the terminal open.
    drop(command);
    let mut shown = Vec::new();
    let _end = terminal.read_to_end(&mut shown);
    (bare(&String::from_utf8(shown).unwrap()), child.wait().unwrap().code())
}

#[test]
fn a_key_is_rotated_only_by_who_says_yes() {
    let dir = stage();
    // Nobody runs whom it could tell, which it finds out after it has asked.
    for (answer, goes_on) in [
        ("y\n", true),
        ("yes\n", true),
        (" Y \n", true),
        ("\n", false),
        ("n\n", false),
        ("yess\n", false),
        ("\u{4}", false),
    ] {
        let mut command = plain();
        command.args(["audit", "rotate", "--data"]).arg(dir.path());
        let (shown, code) = answered(command, answer);
        let at = format!("{answer:?}: {code:?} {shown}");
        assert!(shown.contains("go on? [y/N]"), "{at}");
        assert_eq!(shown.contains("no agent runs"), goes_on, "{at}");
        assert_eq!(shown.contains("the answer was not yes"), !goes_on, "{at}");
        assert_eq!(code, Some(if goes_on { 4 } else { 2 }), "{at}");
    }
}
