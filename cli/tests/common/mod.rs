//! What the tests of the program share.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::ErrorKind;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daemoneye-cli"));
    let noise = [
        "DAEMONEYE_COLOR",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "CI",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "PAGER",
        "DAEMONEYE_PAGER",
        "LC_ALL",
        "LC_CTYPE",
    ];
    for name in noise {
        command.env_remove(name);
    }
    // Whatever is set on the machine that runs the tests.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.env("LANG", "C.UTF-8").env("TERM", "xterm").env("COLUMNS", "80").stdin(Stdio::null());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn out(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn err(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

pub(crate) fn lines(output: &Output) -> Vec<Value> {
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A program that ends when the test does.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        // A copy just written is busy for as long as a child that another test forked meanwhile has it open.
        loop {
            match command.stdin(Stdio::null()).spawn() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                started => return Self(started.unwrap()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub(crate) fn rule(id: u32, title: &str, level: &str, sql: &str) -> String {
    format!(
        "-- @id: 00000000-0000-4000-8000-{id:012}\n-- @title: {title}\n-- @level: {level}\n-- @status: test\n\
         -- @description: For a test.\n-- @tags: attack.execution, attack.t1059.004\n-- @platform: linux, macos, windows\n{sql}\n"
    )
}

pub(crate) fn path(dir: &TempDir) -> &str {
    dir.path().to_str().unwrap()
}
