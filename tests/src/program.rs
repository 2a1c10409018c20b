//! One of the real programs while it runs: what it says, and its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::suspect::spawn;
use crate::{PATIENCE, until};

/// Lines, and characters of a line, that a failure shows.
const LOGGED_LINES: usize = 40;
const LOGGED_LINE_LEN: usize = 300;

/// A running program. Dropping it kills it.
pub struct Program {
    name: String,
    pid: Pid,
    child: Mutex<Child>,
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts it and collects what it says.
    pub fn start(command: Command) -> Self {
        Self::start_into(command, Stdio::piped())
    }

    /// Starts it with its standard output going elsewhere.
    pub fn start_into(mut command: Command, stdout: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = spawn(command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()));
        // It may hold the only other end of a pipe.
        drop(command);
        let (stdout, stderr) = <(Arc<Mutex<_>>, Arc<Mutex<_>>)>::default();
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| collect(pipe, stdout.clone())));
        readers.extend(child.stderr.take().map(|pipe| collect(pipe, stderr.clone())));
        let pid = Pid::from_raw(child.id().try_into().expect("pids are positive"));
        Self { name, pid, child: Mutex::new(child), stdout, stderr, readers }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The whole lines on standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        lock(&self.stdout).clone()
    }

    /// The whole lines on standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        lock(&self.stderr).clone()
    }

    /// The records on standard output so far.
    pub fn alerts(&self) -> Vec<Value> {
        let record = |line: &String| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}` is not a record: {error}"))
        };
        self.stdout().iter().map(record).collect()
    }

    /// Waits for the first alert of that kind.
    pub fn alert(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.shows(&format!("an alert: {what}"), || self.alerts().into_iter().find(&is))
    }

    /// Waits for a line with `text` on standard error.
    pub fn says(&self, text: &str) -> String {
        self.shows(text, || self.stderr().into_iter().find(|line| line.contains(text)))
    }

    /// Waits until that many lines on standard error hold `text`.
    pub fn says_times(&self, text: &str, times: usize) {
        self.shows(&format!("{times} × {text}"), || (self.said(text) >= times).then_some(()));
    }

    /// How many lines on standard error hold `text`.
    pub fn said(&self, text: &str) -> usize {
        lock(&self.stderr).iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for something that this program brings about.
    pub fn shows<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> T {
        until(PATIENCE, look).unwrap_or_else(|| panic!("{} did not show {what}\n{}", self.name, self.log()))
    }

    /// Bounds how large its files may become, in bytes or `unlimited`: the disk is full for what is larger.
    pub fn limit_files(&self, bytes: &str) {
        let pid = self.pid.to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
        assert!(status.expect("util-linux is there").success());
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
    }

    /// Its end, which must come in time. What it said is complete then.
    pub fn ends_within(&self, limit: Duration) -> ExitStatus {
        let ended = until(limit, || lock(&self.child).try_wait().expect("it is a child of the test"));
        let status = ended.unwrap_or_else(|| panic!("{} still runs after {limit:?}\n{}", self.name, self.log()));
        self.finish_reading();
        status
    }

    /// Stops it with SIGTERM; it must end well.
    pub fn stop(&self) {
        self.signal(Signal::SIGTERM);
        let status = self.ends_within(PATIENCE);
        assert!(status.success(), "{} ended with {status}\n{}", self.name, self.log());
    }

    /// Kills it; what it said until then stays.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.ends_within(PATIENCE);
    }

    /// The end of what it said, for a failure's message; records are long and cut.
    pub fn log(&self) -> String {
        format!("--- stdout\n{}--- stderr\n{}", shown(&self.stdout()), shown(&self.stderr()))
    }

    fn finish_reading(&self) {
        let all = until(PATIENCE, || self.readers.iter().all(JoinHandle::is_finished).then_some(()));
        assert!(all.is_some(), "something holds the pipes of {} open after its end\n{}", self.name, self.log());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ended_already = child.kill();
        let _status = child.wait();
    }
}

fn shown(lines: &[String]) -> String {
    let last = &lines[lines.len().saturating_sub(LOGGED_LINES)..];
    last.iter().flat_map(|line| line.chars().take(LOGGED_LINE_LEN).chain(['\n'])).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Takes whole lines until the end; what a killed program left unfinished is no line.
fn collect(pipe: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            if line.pop() == Some(b'\n') {
                lock(&lines).push(String::from_utf8_lossy(&line).into_owned());
            }
            line.clear();
        }
    })
}
