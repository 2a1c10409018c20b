//! `fmt`: what it does to files, and that it changes no rule, whoever wrote it.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use common::{code, err, out, path, program, rule, run};
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::format::format;
use daemoneye_dsl::lints::{NOTHING_FURTHER, lint};
use daemoneye_dsl::tables::Catalog;

const UGLY: &str = "select  proc_id,pid -- the id\n from processes\n\nwhere name='a'  and pid in(1,2)";
const NEAT: &str = "select proc_id, pid  -- the id\nfrom processes\nwhere name = 'a'\n  and pid in (1, 2)";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn below(folder: &Path, keep: fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { below(&path, keep) } else { vec![path] })
        .filter(|it| keep(it))
        .collect();
    files.sort();
    files
}

fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sql")
}

fn from_standard_input(text: &str, more: &[&str]) -> Output {
    let mut command = program();
    command.args(["fmt", "-"]).args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn files_are_written_or_named_or_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (ugly, neat) = (dir.path().join("ugly.sql"), dir.path().join("neat.sql"));
    fs::write(&ugly, rule(1, "x", "low", UGLY).replace('\n', "\r\n")).unwrap();
    let right = from_standard_input(&rule(2, "x", "low", NEAT), &[]);
    assert_eq!(code(&right), 0, "{}", err(&right));
    fs::write(&neat, out(&right)).unwrap();

    let check = run(&["fmt", "--check", path(&dir)]);
    assert_eq!((code(&check), out(&check)), (1, ""));
    assert!(err(&check).contains("would format ") && err(&check).contains("ugly.sql"), "{}", err(&check));
    assert!(err(&check).ends_with("1 would be formatted, 1 file was right already\n"), "{}", err(&check));
    let diff = run(&["fmt", "--diff", path(&dir)]);
    assert_eq!(code(&diff), 0);
    assert!(out(&diff).contains("\n-where name='a'  and pid in(1,2)\r\n"), "{}", out(&diff));
    assert!(out(&diff).contains("\n+where name = 'a'\r\n+  and pid in (1, 2)\r\n"), "{}", out(&diff));

    let written = run(&["fmt", path(&dir)]);
    assert_eq!((code(&written), out(&written)), (0, ""));
    assert!(err(&written).contains("formatted ") && !err(&written).contains("neat.sql"), "{}", err(&written));
    let text = fs::read_to_string(&ugly).unwrap();
    assert!(text.ends_with(&format!("{NEAT}\n").replace('\n', "\r\n")), "{text}");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert_eq!(code(&run(&["fmt", "--check", path(&dir)])), 0);
}

#[test]
fn what_does_not_parse_is_left_and_said_and_the_others_are_formatted() {
    let dir = tempfile::tempdir().unwrap();
    let (broken, ugly) = (dir.path().join("broken.sql"), dir.path().join("ugly.sql"));
    let text = rule(1, "x", "low", "SELECT  pid FROM (processes");
    fs::write(&broken, &text).unwrap();
    fs::write(&ugly, rule(2, "x", "low", "SELECT  pidd FROM processes")).unwrap();
    let output = run(&["fmt", path(&dir)]);
    assert_eq!((code(&output), out(&output)), (2, ""));
    assert!(err(&output).contains("error[DE001]") && err(&output).contains("1 left as they are"), "{}", err(&output));
    assert_eq!(fs::read_to_string(&broken).unwrap(), text);
    assert!(fs::read_to_string(&ugly).unwrap().contains("SELECT pidd FROM"), "an unknown column is no matter of form");
    let refused = from_standard_input(&text, &[]);
    assert_eq!((code(&refused), out(&refused)), (2, ""));
}

#[test]
fn standard_input_goes_to_standard_output() {
    let neat = from_standard_input(&rule(1, "x", "low", UGLY), &[]);
    assert_eq!((code(&neat), err(&neat)), (0, ""));
    assert!(out(&neat).ends_with(&format!("\n{NEAT}\n")), "{}", out(&neat));
    assert_eq!(code(&from_standard_input(out(&neat), &["--check"])), 0);
    assert_eq!(code(&from_standard_input(&rule(1, "x", "low", UGLY), &["--check"])), 1);
    let alone = run(&["fmt", "-", "rules"]);
    assert!(code(&alone) == 2 && err(&alone).contains("stands alone"), "{}", err(&alone));
    assert_eq!(code(&run(&["fmt", "-o", "json", "rules"])), 2);
}

/// What holds for every text that parses: formatting changes no query, and there is nothing to do the second time.
fn holds(source: &Source, is_rule: bool) -> bool {
    let catalog = Catalog::builtin();
    let text = match format(source, &catalog) {
        Ok(text) => text,
        Err(findings) => {
            let refused = findings.iter().find(|it| it.code == "DE009");
            assert_eq!(refused, None, "{}:\n{}", source.path, source.text);
            return false;
        }
    };
    let formatted = Source { path: source.path.clone(), text };
    assert_eq!(format(&formatted, &catalog).as_ref(), Ok(&formatted.text), "{}", source.path);
    let check =
        |source: &Source| if is_rule { lint(source, &catalog, NOTHING_FURTHER) } else { check_query(source, &catalog) };
    let (was, is) = (check(source).rule, check(&formatted).rule);
    assert_eq!(was.as_ref().map(|rule| &rule.query), is.as_ref().map(|rule| &rule.query), "{}", source.path);
    assert_eq!(was.map(|rule| rule.revision), is.map(|rule| rule.revision), "{}", source.path);
    true
}

#[test]
fn the_rules_of_the_project_are_in_the_usual_form() {
    let files = below(&project().join("rules"), is_sql);
    assert!(files.len() >= 55);
    for file in files {
        let source = Source { path: file.display().to_string(), text: fs::read_to_string(file).unwrap() };
        assert!(holds(&source, true));
        assert_eq!(
            format(&source, &Catalog::builtin()).as_ref(),
            Ok(&source.text),
            "{}: `daemoneye-cli fmt`",
            source.path
        );
        // Whatever its lines are.
        let one_line = |line: &str| if line.starts_with("--") { format!("{line}\n") } else { format!("{line} ") };
        holds(&Source { text: source.text.lines().map(one_line).collect(), ..source }, true);
    }
}

/// The first text in double quotes of each command of a golden script.
fn statements(script: &str) -> Vec<String> {
    let quoted = |line: &str| {
        let rest = &line[line.find('"')? + 1..];
        let mut chars = rest.chars();
        let mut text = String::new();
        loop {
            match chars.next()? {
                '"' => return Some(text),
                '\\' => text.push(chars.next()?),
                c => text.push(c),
            }
        }
    };
    script.lines().filter(|line| line.contains("SELECT") || line.contains("WITH")).filter_map(quoted).collect()
}

#[test]
fn statements_of_the_golden_scripts_keep_their_meaning() {
    let mut formatted = 0;
    for file in below(&project().join("tests/golden"), |_| true) {
        for text in statements(&fs::read_to_string(&file).unwrap()) {
            formatted += usize::from(holds(&Source { path: file.display().to_string(), text }, false));
        }
    }
    assert!(formatted > 150, "{formatted}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn rules_that_nobody_here_wrote_keep_their_meaning() {
    let corpus = project().join("../shared/corpora/sigma");
    if !corpus.is_dir() {
        eprintln!("skipped: there is no corpus of Sigma rules at {}", corpus.display());
        return;
    }
    // Every third: in a debug build all of them take a quarter of a minute.
    let mut formatted = 0;
    for file in below(&corpus, is_sql).iter().step_by(3) {
        let source = Source { path: file.display().to_string(), text: fs::read_to_string(file).unwrap() };
        formatted += usize::from(holds(&source, false));
    }
    assert!(formatted > 300, "{formatted}");
}
