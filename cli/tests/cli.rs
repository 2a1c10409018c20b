//! The program as its users meet it: what goes to which stream, in what form, and with which exit code.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{Running, code, err, lines, out, path, program, rule, run};
use tempfile::TempDir;

/// The program itself is a process that every rule set can find.
const ITSELF: &str =
    "SELECT proc_id, pid, name FROM processes WHERE name LIKE 'daemoneye%' AND command_line LIKE '%hunt%'";

fn rules() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    write("good.sql", rule(1, "{name} hunts (pid {pid})", "high", ITSELF));
    write("broken.sql", rule(2, "x", "low", "SELECT pidd FROM processes"));
    write("history.sql", rule(3, "{name}", "low", "SELECT proc_id, name FROM process_starts"));
    dir
}

fn hunt(dir: &TempDir, more: &[&str]) -> Output {
    // A home of its own, so that no store of the machine's is found; root has a fixed one.
    let mut command = program();
    command.args(["hunt", "--rules", path(dir)]).args(more);
    command.env("HOME", path(dir)).env_remove("XDG_STATE_HOME").output().unwrap()
}

#[test]
fn types_survive_into_json() {
    let sql = "SELECT 1 AS i, 1.5 AS r, 2.0 AS whole, 'a\"b' AS t, NULL AS n, TRUE AS b, FALSE AS f";
    let expected = r#"{"i":1,"r":1.5,"whole":2.0,"t":"a\"b","n":null,"b":true,"f":false}"#;
    let ndjson = run(&["query", sql]);
    assert_eq!((out(&ndjson), code(&ndjson)), (&*format!("{expected}\n"), 0));
    let json = run(&["query", "-o", "json", sql]);
    assert_eq!(out(&json), format!("[{expected}]\n"));
    let none = run(&["query", "-o", "json", "SELECT 1 AS x WHERE FALSE"]);
    assert_eq!(out(&none), "[]\n");
    assert!(err(&none).starts_with("0 rows"), "{}", err(&none));
}

#[test]
fn a_live_query_says_of_how_many() {
    let sql = format!("SELECT pid, name, start_time, kernel_thread FROM processes WHERE pid = {}", std::process::id());
    let answer = run(&["query", &sql]);
    let rows = lines(&answer);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["pid"], std::process::id());
    assert_eq!(rows[0]["kernel_thread"], false);
    assert!(rows[0]["start_time"].as_str().unwrap().ends_with('Z'));
    let footer = err(&answer);
    assert!(footer.starts_with("1 row of ") && footer.contains(" processes · live snapshot"), "{footer}");
    assert_eq!(code(&answer), 0);
}

#[test]
fn a_limit_is_said_to_cut() {
    let cut = run(&["query", "SELECT pid FROM processes ORDER BY pid LIMIT 1"]);
    assert_eq!(lines(&cut).len(), 1);
    assert!(err(&cut).contains("rows (cut by LIMIT) of"), "{}", err(&cut));
    let whole = run(&["query", "SELECT 1 AS x LIMIT 1"]);
    assert!(err(&whole).starts_with("1 row ·"), "{}", err(&whole));
}

#[test]
fn rows_are_all_there_is_on_standard_output() {
    let quiet = run(&["-q", "query", "-o", "table", "SELECT 7 AS seven"]);
    assert_eq!((out(&quiet), err(&quiet)), ("seven\n    7\n", ""));
}

#[test]
fn exit_codes_of_query() {
    let rows = "SELECT 1 AS x";
    assert_eq!(code(&run(&["query", rows])), 0);
    assert_eq!(code(&run(&["query", "--exit-code", rows])), 1);
    assert_eq!(code(&run(&["query", "--exit-code", "SELECT 1 AS x WHERE FALSE"])), 0);
    let wrong = run(&["query", "SELECT pidd FROM processes"]);
    assert_eq!((code(&wrong), out(&wrong)), (2, ""));
    assert!(err(&wrong).contains("error[DE201]") && err(&wrong).contains("did you mean `pid`?"), "{}", err(&wrong));
    let write = run(&["query", "DELETE FROM processes"]);
    assert_eq!(code(&write), 2);
}

#[test]
fn wrong_usage_names_the_next_step() {
    for (arguments, expected) in [
        (&["quary"][..], "query"),
        (&["query"], "SQL"),
        (&["query", "SELECT", "pid"], "in quotes"),
        (&["query", "-f", "/none/such.sql"], "cannot open /none/such.sql"),
        (&["query", "-o", "xml", "SELECT 1"], "ndjson"),
        (&["alerts", "list", "--level", "grave"], "critical"),
        (&["lint", "/none/such"], "cannot open /none/such"),
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(err(&output).contains(expected), "{arguments:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_statement_may_come_from_a_file_or_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.sql");
    fs::write(&file, "SELECT 'file' AS source -- a comment\n").unwrap();
    assert_eq!(lines(&run(&["query", "-f", file.to_str().unwrap()]))[0]["source"], "file");
    let mut child = program()
        .args(["query", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 'pipe' AS source").unwrap();
    assert_eq!(lines(&child.wait_with_output().unwrap())[0]["source"], "pipe");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = program()
        .args(["query", "SELECT a.pid, b.command_line, b.argv FROM processes a JOIN processes b ON b.pid > 0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'), "{first}");
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("error") && !said.contains("panic"), "{said}");
}

#[test]
fn a_hunt_runs_the_good_names_the_broken_and_those_that_need_history() {
    let dir = rules();
    let hunt = hunt(&dir, &["-o", "ndjson"]);
    assert_eq!(code(&hunt), 3, "{}", err(&hunt));
    let findings = lines(&hunt);
    assert!(!findings.is_empty(), "{}", err(&hunt));
    let finding = &findings[0];
    let keys: Vec<_> = finding.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["rule", "level", "title", "row", "completeness"]);
    assert_eq!((&finding["rule"], &finding["level"]), (&"good".into(), &"high".into()));
    let title = format!("{} hunts (pid {})", finding["row"]["name"].as_str().unwrap(), finding["row"]["pid"]);
    assert_eq!(finding["title"], title);
    assert_eq!(finding["completeness"]["complete"], true);
    let said = err(&hunt);
    assert!(said.contains("error[DE201]") && said.contains("broken.sql:"), "{said}");
    assert!(said.contains("rule broken was refused") && said.contains("a rule was refused"), "{said}");
    assert!(said.contains("1 rule needs history: start the agent (history)"), "{said}");
    assert!(said.contains("finding") && said.contains(" high)"), "{said}");
}

#[test]
fn exit_codes_of_hunt() {
    let dir = rules();
    assert_eq!(code(&hunt(&dir, &["--allow-degraded"])), 0);
    assert_eq!(code(&hunt(&dir, &["--allow-degraded", "--exit-code"])), 1);
    assert_eq!(code(&hunt(&dir, &["good"])), 0);
    assert_eq!(code(&hunt(&dir, &["good", "--exit-code"])), 1);
    assert_eq!(code(&hunt(&dir, &["history", "--exit-code"])), 0);
    assert_eq!(code(&hunt(&dir, &["T1059.004"])), 3, "the broken rule may have the tag");
    let only_broken = hunt(&dir, &["broken"]);
    assert_eq!((code(&only_broken), out(&only_broken)), (2, ""));
    let unknown = hunt(&dir, &["goood"]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("did you mean `good`?"), "{}", err(&unknown));
    assert_eq!(code(&hunt(&dir, &["good", "--data", "/none/such"])), 0, "no history is asked for");
    assert_eq!(code(&hunt(&dir, &["history", "--data", "/none/such"])), 2);
    let empty = tempfile::tempdir().unwrap();
    let none = hunt(&empty, &[]);
    assert_eq!(code(&none), 2);
    assert!(err(&none).contains("no rule in"), "{}", err(&none));
}

#[test]
fn lint_shows_every_finding_and_counts() {
    let dir = rules();
    let lint = run(&["lint", path(&dir)]);
    assert_eq!(code(&lint), 1);
    assert!(out(&lint).contains("error[DE201]"), "{}", out(&lint));
    assert!(
        err(&lint).starts_with("checked 3 rules in ") && err(&lint).contains(": 1 error, 0 warnings"),
        "{}",
        err(&lint)
    );
    let json = run(&["lint", "-o", "ndjson", path(&dir)]);
    assert_eq!((&lines(&json)[0]["code"], &lines(&json)[0]["line"]), (&"DE201".into(), &8.into()));
    let good = dir.path().join("good.sql");
    assert_eq!(code(&run(&["lint", good.to_str().unwrap()])), 0);
    fs::write(&good, rule(1, "x", "low", "SELECT pid FROM processes")).unwrap();
    assert_eq!(code(&run(&["lint", good.to_str().unwrap()])), 0);
    assert_eq!(code(&run(&["lint", "--fail-on", "warning", good.to_str().unwrap()])), 1);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(code(&run(&["lint", path(&empty)])), 2);
}

#[test]
fn a_file_that_is_no_text_is_named_and_does_not_stop_the_others() {
    let dir = rules();
    fs::write(dir.path().join("binary.sql"), b"SELECT \xff").unwrap();
    let hunt = hunt(&dir, &["-o", "ndjson"]);
    assert!(err(&hunt).contains("binary.sql"), "{}", err(&hunt));
    assert_eq!((code(&hunt), lines(&hunt).is_empty()), (3, false));
    let lint = run(&["lint", path(&dir)]);
    assert_eq!(code(&lint), 2);
    assert!(err(&lint).contains("binary.sql") && out(&lint).contains("DE201"), "{}", err(&lint));
}

#[cfg(target_os = "linux")]
fn hostile(dir: &Path) -> Running {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let file = dir.join(OsStr::from_bytes(b"\x1b[2Jx\n\xe6\xbc\xa2\xff"));
    fs::copy("/bin/sleep", &file).unwrap();
    Running::start(Command::new(file).arg("60"))
}

#[cfg(target_os = "linux")]
#[test]
fn a_hostile_name_does_nothing_to_the_terminal_and_stays_exact_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let running = hostile(dir.path());
    let sql = format!("SELECT pid, name, command_line FROM processes WHERE pid = {}", running.0.id());
    let json = run(&["query", &sql]);
    assert_eq!(lines(&json)[0]["name"], "\u{1b}[2Jx\n漢\\xff");
    let table = run(&["query", "-o", "table", &sql]);
    let drawn = out(&table);
    assert_eq!(drawn.lines().count(), 2, "{drawn}");
    assert!(drawn.contains("⟦\\e⟧[2Jx⟦\\n⟧漢\\xff"), "{drawn}");
    let forced = run(&["query", "-o", "table", "--color", "always", "--ascii", &sql]);
    let plain = out(&forced).replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
    assert!(plain.is_ascii() && !plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.contains("[[\\e]][2Jx[[\\n\\u{6f22}]]\\xff"), "{plain}");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let dir = rules();
    let coloured = |set: &[(&str, &str)], more: &[&str]| {
        let mut command = program();
        command.args(["hunt", "good", "-o", "table", "--rules", path(&dir)]).args(more).envs(set.iter().copied());
        out(&command.output().unwrap()).contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]));
    assert!(coloured(&[], &["--color", "always"]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(coloured(&[("DAEMONEYE_COLOR", "always"), ("NO_COLOR", "1")], &[]));
    assert!(!coloured(&[("DAEMONEYE_COLOR", "always")], &["--color", "never"]));
}

#[test]
fn help_has_the_exit_codes_and_short_help_is_short() {
    let long = run(&["--help"]);
    assert_eq!(code(&long), 0);
    assert!(out(&long).contains("Exit codes:") && out(&long).contains("Examples:"), "{}", out(&long));
    for command in [
        &["hunt"][..],
        &["query"],
        &["tree"],
        &["lint"],
        &["fmt"],
        &["explain"],
        &["rules", "list"],
        &["rules", "show"],
        &["alerts", "list"],
        &["alerts", "show"],
        &["alerts", "watch"],
        &["status"],
        &["completions"],
        &["man"],
    ] {
        let help = run(&[command, &["--help"]].concat());
        assert!(out(&help).contains("Exit codes:") && out(&help).contains("Examples:"), "{}", out(&help));
    }
    let short = run(&["-h"]);
    assert!(out(&short).lines().count() < out(&long).lines().count());
    assert_eq!(out(&run(&["--version"])), format!("daemoneye-cli {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(code(&run(&[])), 2);
}

#[test]
fn csv_and_box_where_there_are_columns() {
    let sql = "SELECT 1 AS i, NULL AS n, '' AS e, 'a,\"b\"' AS t, CAST('1970-01-01T00:00:00Z' AS TIMESTAMP) AS at";
    let csv = run(&["query", "-o", "csv", sql]);
    assert_eq!(out(&csv), "i,n,e,t,at\r\n1,,\"\",\"a,\"\"b\"\"\",1970-01-01T00:00:00Z\r\n", "{}", err(&csv));
    let none = run(&["query", "-o", "csv", "SELECT 1 AS x WHERE FALSE"]);
    assert_eq!((out(&none), code(&none)), ("x\r\n", 0));
    let boxed = run(&["query", "-o", "box", "SELECT 1 AS i, 'é' AS t"]);
    assert_eq!(out(&boxed), "┌───┬───┐\n│ i │ t │\n├───┼───┤\n│ 1 │ é │\n└───┴───┘\n");
    let dir = rules();
    let found = hunt(&dir, &["good", "-o", "csv"]);
    assert!(out(&found).starts_with("level,rule,title,techniques\r\nhigh,good,"), "{}", out(&found));
    assert!(out(&hunt(&dir, &["good", "-o", "box"])).starts_with('┌'));
    let good = dir.path().join("good.sql");
    let lint = ["lint", good.to_str().unwrap()];
    for command in [&lint[..], &["tree"], &["explain", "SELECT 1 AS x"]] {
        let refused = run(&[command, &["-o", "csv"]].concat());
        assert_eq!((code(&refused), out(&refused)), (2, ""), "{command:?}");
        assert!(err(&refused).contains("ask for `-o table`"), "{}", err(&refused));
    }
}
