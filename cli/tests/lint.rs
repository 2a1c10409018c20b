//! `lint` as people, editors and build servers meet it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{code, err, lines, out, path, program, rule, run};
use serde_json::Value;
use tempfile::TempDir;

const PID_JOIN: &str = "SELECT c.proc_id, p.name AS parent, now() - c.start_time AS age\nFROM processes AS c\nJOIN processes AS p ON p.pid = c.ppid";

/// An error, a warning that can be mended, text that every form has to escape, and odd names of files.
fn rules() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    write("good.sql", rule(1, "x", "low", "SELECT proc_id FROM processes"));
    write(
        "broken.sql",
        rule(2, "x", "low", "SELECT proc_id,\n  'é|<a>%::,' AS t, p.`a|<b>&%,:@c` FROM processes AS p"),
    );
    write("pids.sql", rule(3, "x", "low", PID_JOIN));
    write("odd, %: é.sql", rule(4, "x", "low", "SELECT proc_id, comand_line FROM processes").replace('\n', "\r\n"));
    // Ends where its error is.
    write("empty.sql", rule(5, "x", "low", ""));
    dir
}

/// In the folder, as a build is.
fn lint_in(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command.current_dir(dir).arg("lint").args(arguments);
    command
}

fn lint(dir: &TempDir, arguments: &[&str]) -> Output {
    lint_in(dir.path(), &[arguments, &["."]].concat()).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(out(output)).unwrap()
}

#[test]
fn the_closing_lines_count_and_name_the_next_step() {
    let lint = lint(&rules(), &[]);
    let said: Vec<_> = err(&lint).lines().collect();
    assert!(said[0].starts_with("checked 5 rules in "), "{said:?}");
    assert!(
        said[0].ends_with(
            ": 3 errors, 1 warning, 1 note (1 fixable with --fix, 1 with --fix --unsafe-fixes, --notes shows the notes)"
        ),
        "{said:?}"
    );
    assert_eq!(said[1], "explain a code: daemoneye-cli lint --explain DE201");
}

#[test]
fn exit_codes_follow_the_gravest_finding() {
    let dir = rules();
    let of = |file: &str, more: &[&str]| code(&lint_in(dir.path(), more).arg(file).output().unwrap());
    assert_eq!((of("good.sql", &[]), of("pids.sql", &[]), of("broken.sql", &[])), (0, 0, 1));
    assert_eq!((of("pids.sql", &["--fail-on", "warning"]), of("pids.sql", &["--fail-on", "note"])), (1, 1));
    assert_eq!((of("none.sql", &[]), of("good.sql", &["--report", "sarf"])), (2, 2));
    let in_ci = |more: &[&str]| code(&lint_in(dir.path(), more).arg("pids.sql").env("CI", "true").output().unwrap());
    assert_eq!((in_ci(&[]), in_ci(&["--fail-on", "error"])), (1, 0));
}

#[test]
fn sarif_is_valid_and_true() {
    let dir = rules();
    let output = lint(&dir, &["--report", "sarif"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let log = json(&output);
    let mut schema: Value = serde_json::from_str(include_str!("schemas/sarif-2.1.0.json")).unwrap();
    // Its patterns of languages, which we do not write, are no valid regular expressions.
    for part in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][part]["properties"]["language"];
        language.as_object_mut().unwrap().remove("pattern").unwrap();
    }
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let wrong: Vec<_> = schema.iter_errors(&log).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    let levels: Vec<_> = results.iter().map(|it| it["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "error", "error", "warning", "note"]);
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["properties"]["tags"].as_array().unwrap().len() <= 20);
    }
    let of = |file: &str| {
        let uri = |it: &Value| it["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == file;
        results.iter().find(|it| uri(it)).unwrap_or_else(|| panic!("{file}: {results:#?}"))
    };
    let region = |it: &Value| {
        let region = &it["locations"][0]["physicalLocation"]["region"];
        ["startLine", "startColumn", "endLine", "endColumn"].map(|key| region[key].as_u64().unwrap())
    };
    // Columns are characters, not bytes; the carriage return of a line is no place.
    assert_eq!(region(of("broken.sql")), [9, 23, 9, 36]);
    let odd = of("odd%2C%20%25%3A%20%C3%A9.sql");
    assert_eq!(region(odd), [8, 17, 8, 28]);
    let change = &odd["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(change["insertedContent"]["text"], "command_line");
    assert_eq!(change["deletedRegion"]["startColumn"], 17);
    // The empty line below the header is the last one that there is.
    assert_eq!(region(of("empty.sql")), [8, 1, 8, 1]);
}

#[test]
fn fingerprints_stay_while_lines_move() {
    let dir = rules();
    let prints = |dir: &TempDir| -> Vec<String> {
        let log = json(&lint(dir, &["--report", "sarif"]));
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        results.iter().map(|it| it["partialFingerprints"]["lintedLine/v1"].as_str().unwrap().to_owned()).collect()
    };
    let before = prints(&dir);
    for name in ["broken.sql", "pids.sql"] {
        let file = dir.path().join(name);
        let moved = fs::read_to_string(&file).unwrap().replace("SELECT", "\n\n-- moved\nSELECT");
        fs::write(&file, moved).unwrap();
    }
    assert_eq!(prints(&dir), before);
    let twice = rule(6, "x", "low", "SELECT proc_id, pidd, pidd FROM processes");
    fs::write(dir.path().join("twice.sql"), twice).unwrap();
    let mut more = prints(&dir);
    assert_eq!(more.len(), before.len() + 2);
    more.sort();
    more.dedup();
    assert_eq!(more.len(), before.len() + 2, "two findings of a line are two");
}

#[test]
fn github_escapes_and_puts_errors_first() {
    let dir = rules();
    let summary = dir.path().join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    let mut command = lint_in(dir.path(), &["."]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let output = command.output().unwrap();
    let (shown, commands): (Vec<_>, Vec<_>) = out(&output).lines().partition(|line| !line.starts_with("::"));
    assert!(shown.iter().any(|line| line.contains("error[DE201]")), "for people, too: {shown:?}");
    let kinds: Vec<_> = commands.iter().map(|line| line[2..].split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["error", "error", "error", "warning", "notice"]);
    assert!(
        commands[0].starts_with("::error file=broken.sql,line=9,col=23,endColumn=36,title=DE201::"),
        "{commands:#?}"
    );
    assert!(commands[0].contains("a|<b>&%25,:@c"), "{commands:#?}");
    let odd = "file=odd%2C %25%3A é.sql,line=8,col=17,endColumn=28,title=DE201::";
    assert!(commands.iter().any(|line| line.contains(odd)), "{commands:#?}");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("before\n**daemoneye-cli lint**: 5 rules, 3 errors, 1 warning, 1 note\n"), "{summary}");
}

#[test]
fn places_of_several_lines_have_no_columns_on_github() {
    let dir = tempfile::tempdir().unwrap();
    let sql = PID_JOIN.replace("p.pid = c.ppid", "p.pid =\n  c.ppid");
    fs::write(dir.path().join("x.sql"), rule(1, "x", "low", &sql)).unwrap();
    let output = lint(&dir, &["--report", "github"]);
    assert!(out(&output).starts_with("::warning file=x.sql,line=10,endLine=11,title=DE220::"), "{}", out(&output));
}

#[test]
fn markdown_gitlab_and_junit_keep_text_as_text() {
    let dir = rules();
    let table = lint(&dir, &["--report", "md"]);
    let row = out(&table).lines().find(|line| line.contains("broken.sql")).unwrap();
    assert!(row.contains(r"a\|&lt;b&gt;&amp;%,:@<!-- -->c"), "{row}");
    assert_eq!(row.replace(r"\|", "").matches('|').count(), 5, "{row}");

    let issues = json(&lint(&dir, &["--report", "gitlab"]));
    let keys: Vec<_> = issues[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["description", "check_name", "fingerprint", "severity", "location"]);
    assert_eq!(issues[0]["location"]["lines"]["begin"], 9);
    let severities: Vec<_> = issues.as_array().unwrap().iter().map(|it| it["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, ["major", "major", "major", "minor", "info"]);

    let xml = lint(&dir, &["--report", "junit"]);
    let xml = out(&xml);
    assert!(xml.contains("tests=\"5\" failures=\"3\" errors=\"0\""), "{xml}");
    assert_eq!((xml.matches("<testcase ").count(), xml.matches("<failure ").count()), (5, 3), "{xml}");
    assert!(xml.contains("a|&lt;b&gt;&amp;%,:@c") && !xml.contains("<b>"), "{xml}");
    let other = &xml[xml.find("<system-out>").unwrap()..];
    assert!(other.contains("warning[DE220] pids.sql:10:24: "), "{other}");
    let strict = lint(&dir, &["--report", "junit", "--fail-on", "warning"]);
    assert!(
        out(&strict).contains("failures=\"4\"") && !out(&strict).contains("<system-out>warning"),
        "{}",
        out(&strict)
    );
}

#[test]
fn what_cannot_be_read_is_in_every_report() {
    let dir = rules();
    fs::write(dir.path().join("binary.sql"), b"\xff").unwrap();
    for form in ["json", "ndjson", "sarif", "junit", "github", "gitlab", "md"] {
        let output = lint(&dir, &["--report", form]);
        assert_eq!(code(&output), 2, "{form}");
        assert!(out(&output).contains("binary.sql") && out(&output).contains("DE201"), "{form}: {}", out(&output));
    }
}

#[test]
fn a_report_goes_to_a_file_whole_and_one_to_standard_output() {
    let dir = rules();
    let output = lint(&dir, &["--report", "sarif=a.sarif", "--report", "md=b.md", "-o", "ndjson"]);
    assert_eq!(lines(&output).len(), 5);
    let sarif: Value = serde_json::from_slice(&fs::read(dir.path().join("a.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(fs::read_to_string(dir.path().join("b.md")).unwrap().starts_with("**daemoneye-cli lint**"));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 7, "no temporary file is left: {names:?}");
    for (arguments, expected) in [
        (&["--report", "sarif", "--report", "md"][..], "both sarif and md are to go to standard output"),
        (&["--report", "sarif", "-o", "json"], "both sarif and json"),
        (&["--report", "human", "--report", "github"], "both human and github"),
        (&["--report", "md=none/b.md"], "make its folder first"),
        (&["--report", "sarif="], "the file has no name"),
        (&["--report", "sarf"], "did you mean `sarif`?"),
        (&["--unsafe-fixes"], "--fix"),
        (&["--fix", "--watch"], "cannot be used with"),
    ] {
        let refused = lint(&dir, arguments);
        assert_eq!(code(&refused), 2, "{arguments:?}");
        assert!(err(&refused).contains(expected), "{arguments:?}: {}", err(&refused));
    }
}

#[test]
fn fixes_are_applied_said_and_leave_the_rest() {
    let dir = rules();
    let fixed = lint(&dir, &["--fix"]);
    assert_eq!(code(&fixed), 1);
    assert!(err(&fixed).contains("fixed ./odd, %: é.sql: DE201\n"), "{}", err(&fixed));
    assert!(
        err(&fixed).contains(": 2 errors, 1 warning, 1 note (1 with --fix --unsafe-fixes, --notes shows the notes)"),
        "{}",
        err(&fixed)
    );
    let odd = fs::read_to_string(dir.path().join("odd, %: é.sql")).unwrap();
    assert_eq!(odd, rule(4, "x", "low", "SELECT proc_id, command_line FROM processes").replace('\n', "\r\n"));
    assert_eq!(fs::read_to_string(dir.path().join("pids.sql")).unwrap(), rule(3, "x", "low", PID_JOIN));
    let unsafe_too = lint(&dir, &["--fix", "--unsafe-fixes"]);
    assert!(err(&unsafe_too).contains("fixed ./pids.sql: DE220\n"), "{}", err(&unsafe_too));
    let pids = fs::read_to_string(dir.path().join("pids.sql")).unwrap();
    assert!(pids.contains("ON p.proc_id = c.parent_id"), "{pids}");
    assert!(!err(&lint(&dir, &["--fix", "--unsafe-fixes"])).contains("fixed"), "nothing is left to mend");
}

#[cfg(unix)]
#[test]
fn a_fix_keeps_permissions_follows_links_and_passes_over_what_is_read_only() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let broken = rule(1, "x", "low", "SELECT proc_id, comand_line FROM processes");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let target = elsewhere.path().join("target.sql");
    fs::write(&target, &broken).unwrap();
    mode(&target, 0o640);
    symlink(&target, dir.path().join("z_link.sql")).unwrap();
    let locked = dir.path().join("locked.sql");
    fs::write(&locked, broken.replace("000000000001", "000000000002")).unwrap();
    mode(&locked, 0o444);
    let fixed = lint(&dir, &["--fix"]);
    assert_eq!(code(&fixed), 2);
    assert!(err(&fixed).contains("cannot change ./locked.sql") && err(&fixed).contains("read-only"), "{}", err(&fixed));
    assert!(fs::read_to_string(&locked).unwrap().contains("comand_line"));
    assert!(fs::read_to_string(&target).unwrap().contains("command_line"));
    assert!(dir.path().join("z_link.sql").is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn codes_are_explained() {
    let explained = run(&["lint", "--explain", "de220"]);
    assert_eq!((code(&explained), err(&explained)), (0, ""));
    let text = out(&explained);
    for part in [
        "warning[DE220] pid-join",
        "Instead of",
        "╭▸ rules/example.sql:10:24",
        "p.proc_id = c.parent_id",
        "-- lint: allow(DE220) reason",
        "--unsafe-fixes",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(out(&run(&["lint", "--explain", "pid-join"])), text, "by name, too");
    assert!(out(&run(&["lint", "--explain", "DE902"])).contains("daemoneye.toml:2:1"));
    let all = run(&["lint", "--explain", "all"]);
    assert!(out(&all).lines().any(|line| line.starts_with("DE201  error     safe    unknown-column")), "{}", out(&all));
    assert!(out(&all).contains("DE905"));
    let objects = lines(&run(&["lint", "--explain", "all", "-o", "ndjson"]));
    assert_eq!(objects.len() + 1, out(&all).lines().count());
    let unknown = run(&["lint", "--explain", "DE2O1"]);
    assert_eq!((code(&unknown), out(&unknown)), (2, ""));
    assert!(err(&unknown).contains("no code or name `DE2O1`; did you mean DE201?"), "{}", err(&unknown));
    assert_eq!(code(&run(&["lint", "--explain", "DE201", path(&rules())])), 2);
}

#[cfg(unix)]
#[test]
fn a_change_is_checked_at_once_until_ctrl_c() {
    use nix::sys::signal::{Signal, kill};
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.sql");
    fs::write(&file, rule(1, "x", "low", "SELECT proc_id FROM processes")).unwrap();
    let mut command = lint_in(dir.path(), &["--watch", "."]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = channel();
    let reader = std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|it| drop(sender.send(it))));
    let next = || lines.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(next().ends_with(": 0 errors, 0 warnings"));
    // A rule that is new counts as a change, too, and one that is gone.
    let other = dir.path().join("y.sql");
    fs::write(&other, rule(2, "x", "low", "SELECT pidd FROM processes")).unwrap();
    // It may have been seen while it was still empty.
    while !next().contains("2 rules in ") {}
    fs::remove_file(&other).unwrap();
    while !next().contains("1 rule in ") {}
    fs::remove_file(&file).unwrap();
    while !next().contains("no rule in .") {}
    kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    reader.join().unwrap();
}

/// The stack for a large statement does not fit into what the process may have.
#[cfg(target_os = "linux")]
#[test]
fn a_statement_for_which_there_is_no_stack_is_an_error_and_the_others_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let terms: Vec<_> = (0..900).map(|pid| format!("pid = {pid}")).collect();
    let large = format!("SELECT proc_id FROM processes WHERE {}", terms.join(" OR "));
    fs::write(dir.path().join("large.sql"), rule(1, "x", "low", &large)).unwrap();
    fs::write(dir.path().join("odd.sql"), rule(2, "x", "low", "SELECT proc_id, pidd FROM processes")).unwrap();
    let path = program().get_program().to_owned();
    let mut command = Command::new("sh");
    let output = command.args(["-c", "ulimit -v 240000; exec \"$0\" lint -o ndjson ."]).arg(path).current_dir(&dir);
    let output = output.output().unwrap();
    let codes: Vec<_> = lines(&output).iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!((code(&output), codes), (1, vec!["DE023".to_owned(), "DE201".to_owned()]), "{}", err(&output));
}
