//! Redaction on command lines of daily work, what it costs, and that nothing goes around it.

#![expect(clippy::print_stderr, reason = "a test says what it counted, and one that cannot run here says so")]

use std::fs;
use std::path::Path;

use daemoneye_collectors::redact::Redactor;

/// Each benign command line, as the argument of a shell.
fn benign() -> Option<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/commands/benign_linux_commands.jsonl");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: the shared command lines are not here");
        return None;
    };
    let line = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["CommandLine"].as_str().unwrap().to_owned()
    };
    Some(text.lines().map(line).collect())
}

#[test]
fn daily_work_is_hardly_touched() {
    let Some(lines) = benign() else { return };
    let redactor = Redactor::with_host_id(b"x");
    let mut in_a_shell = 0;
    let mut split = 0;
    for line in &lines {
        let area = format!("bash\0-c\0{line}\0");
        let redacted = redactor.arguments(area.as_bytes());
        if redacted != area.as_bytes() {
            in_a_shell += 1;
            eprintln!("- {line}\n+ {}", String::from_utf8_lossy(&redacted[8..]));
        }
        let area = line.replace(' ', "\0");
        split += usize::from(redactor.arguments(area.as_bytes()) != area.as_bytes());
    }
    eprintln!("{in_a_shell} of {} changed as a shell's argument, {split} split at blanks", lines.len());
    assert!(lines.len() > 10_000 && (10..=20).contains(&in_a_shell) && split <= 20, "{in_a_shell} {split}");
}

#[cfg(target_os = "linux")]
mod program {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Output, Stdio};

    use daemoneye_collectors::processes::{linux::LinuxProcesses, portable::PortableProcesses};
    use daemoneye_collectors::{Collector, redact::Redactor};
    use daemoneye_dsl::types::{Timestamp, Value};

    /// Not written as one word here, so that nothing else has it in its arguments.
    fn secret() -> String {
        format!("hunter{}", std::process::id())
    }

    struct Running(Child);

    impl Running {
        /// One with the secret in its title, its arguments and its environment.
        fn start(secret: &str) -> Self {
            let mut command = Command::new("sh");
            command.arg0(format!("sh --token {secret}")).args(["-c", "echo ready; read _", "--password", secret]);
            command.args([format!("--door-code={secret}"), format!("https://me:{secret}@host/")]);
            command.env("SECRET_TOKEN", secret).env("DATABASE_URL", format!("postgres://u:{secret}@h/d"));
            command.env("DOOR_CODE", secret).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            Self(child)
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ended_already = self.0.kill();
            let _status = self.0.wait();
        }
    }

    fn procmond(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_procmond")).arg("--once").args(arguments).output().unwrap()
    }

    /// The row of this process in what `procmond` prints.
    fn row(output: &Output, pid: u32) -> serde_json::Value {
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
        rows.into_iter().find(|row| row["pid"] == pid).unwrap()
    }

    #[test]
    fn procmond_prints_tokens_in_place_of_secrets() {
        let secret = secret();
        let child = Running::start(&secret);
        let output = procmond(&["--redact-name", "door-code"]);
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&secret), "no column of any process has it");
        let row = row(&output, child.0.id());
        let argv: Vec<String> = serde_json::from_str(row["argv"].as_str().unwrap()).unwrap();
        let token = argv[4].as_str();
        assert!(token.starts_with("[redacted:") && token.len() == 19, "{token}");
        assert_eq!(argv[0], format!("sh --token {token}"));
        assert_eq!(argv[5..], [format!("--door-code={token}"), format!("https://me:{token}@host/")]);
        assert_eq!(row["command_line"], argv.join(" "));
        let environment: serde_json::Value = serde_json::from_str(row["environment_vars"].as_str().unwrap()).unwrap();
        assert_eq!((&environment["SECRET_TOKEN"], &environment["DOOR_CODE"]), (&token.into(), &token.into()));
        assert_eq!(environment["DATABASE_URL"], format!("postgres://u:{token}@h/d"));
        assert!(row["executable_path"].as_str().unwrap().starts_with('/') && row["name"] == "sh");
    }

    #[test]
    fn without_redaction_it_warns() {
        let secret = secret();
        let child = Running::start(&secret);
        let output = procmond(&["--redact", "none"]);
        assert!(row(&output, child.0.id())["command_line"].as_str().unwrap().contains(&format!("--password {secret}")));
        assert!(String::from_utf8_lossy(&output.stderr).contains("are not redacted"));
        let output = procmond(&["--redact-name", "a b"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("`a b` is no name of a flag"));
    }

    #[test]
    fn both_collectors_redact_and_agree() {
        let secret = secret();
        let child = Running::start(&secret);
        let cells = |collector: &mut dyn Collector| {
            let rows = collector.collect(Timestamp(0)).unwrap().rows;
            let column = |name| rows.column_by_name(name).unwrap();
            let is_child = |row: &usize| Value::at(column("pid"), *row).as_integer() == Some(child.0.id().into());
            let row = (0..rows.num_rows()).find(is_child).unwrap();
            ["command_line", "argv", "environment_vars"].map(|name| Value::at(column(name), row))
        };
        let host = || Redactor::with_host_id(b"x").also(&["door-code".to_owned()]).unwrap();
        let ours = cells(&mut LinuxProcesses::new().unwrap().redacting(host()));
        assert_eq!(ours, cells(&mut PortableProcesses::new().unwrap().redacting(host())));
        assert!(!format!("{ours:?}").contains(&secret));
    }
}
