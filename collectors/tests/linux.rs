//! The reader of `/proc` on real processes, and on a made-up `/proc` for what cannot be had at will.

#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use daemoneye_collectors::processes::{linux::LinuxProcesses, portable::PortableProcesses};
use daemoneye_collectors::{Collector, Snapshot, text};
use daemoneye_dsl::completeness::{Reason, Scope};
use daemoneye_dsl::types::{Timestamp, Value};

/// A child that is ended with the test, however that ends.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the test's child starts"))
    }

    /// A shell that waits for input which never comes. Returns once it runs its own program.
    fn waiting(shell: impl AsRef<OsStr>, arguments: &[&[u8]]) -> Self {
        let arguments = arguments.iter().map(|argument| OsStr::from_bytes(argument));
        let mut command = Command::new(shell);
        command.args(["-c", "echo ready; read _"]).args(arguments);
        let mut child = Self::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        child.wait_for_line();
        child
    }

    fn wait_for_line(&mut self) {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }

    fn pid(&self) -> i64 {
        self.0.id().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

fn own_pid() -> i64 {
    std::process::id().into()
}

fn collect(collector: &mut impl Collector) -> Snapshot {
    collector.collect(Timestamp(1_000)).unwrap()
}

fn snapshot() -> Snapshot {
    collect(&mut LinuxProcesses::new().unwrap())
}

fn pids(snapshot: &Snapshot) -> Vec<i64> {
    let column = snapshot.rows.column_by_name("pid").unwrap();
    (0..snapshot.rows.num_rows()).map(|row| Value::at(column, row).as_integer().unwrap()).collect()
}

fn row_of(snapshot: &Snapshot, pid: i64) -> Option<usize> {
    pids(snapshot).iter().position(|other| *other == pid)
}

fn cell(snapshot: &Snapshot, pid: i64, column: &str) -> Value {
    let row = row_of(snapshot, pid).unwrap_or_else(|| panic!("process {pid} is missing"));
    Value::at(snapshot.rows.column_by_name(column).unwrap(), row)
}

fn text_of(snapshot: &Snapshot, pid: i64, column: &str) -> String {
    cell(snapshot, pid, column).as_text().unwrap_or_else(|| panic!("{column} of {pid} is NULL")).to_owned()
}

/// Asks again until it holds; starting and ending take their time.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_that_lives_is_missed_while_others_die() {
    let lasting: Vec<_> = (0..5).map(|_| Running::waiting("sh", &[])).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let churn: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            })
        })
        .collect();
    let mut collector = LinuxProcesses::new().unwrap();
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let snapshot = collect(&mut collector);
        let pids = pids(&snapshot);
        for child in &lasting {
            assert!(pids.contains(&child.pid()));
        }
        assert_eq!(pids.iter().collect::<HashSet<_>>().len(), pids.len(), "a process is listed once");
        let own = text_of(&snapshot, own_pid(), "proc_id");
        assert_eq!(text_of(&snapshot, lasting[0].pid(), "parent_id"), own);
        seen.extend(pids);
    }
    stop.store(true, Ordering::Relaxed);
    for thread in churn {
        thread.join().unwrap();
    }
    assert!(seen.len() > row_count(&collect(&mut collector)), "some died meanwhile");
}

fn row_count(snapshot: &Snapshot) -> usize {
    snapshot.rows.num_rows()
}

#[test]
fn threads_are_not_processes() {
    let barrier = Arc::new(Barrier::new(21));
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.wait();
                barrier.wait();
            })
        })
        .collect();
    barrier.wait();
    let tids: Vec<i64> = fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    assert!(tids.len() > 20);
    for snapshot in [snapshot(), collect(&mut PortableProcesses::new().unwrap())] {
        let pids = pids(&snapshot);
        let listed: Vec<_> = tids.iter().filter(|tid| pids.contains(tid)).collect();
        assert_eq!(listed, [&own_pid()]);
    }
    assert!(cell(&snapshot(), own_pid(), "threads").as_integer().unwrap() > 20);
    barrier.wait();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn any_bytes_in_arguments_can_be_turned_back() {
    let hostile: &[&[u8]] =
        &[b"name", b"a\xffb", b"\x1b]0;title\x07", b"\\x41", b"two\nlines", "größe".as_bytes(), b""];
    let child = Running::waiting("sh", hostile);
    let snapshot = snapshot();
    let argv: Vec<String> = serde_json::from_str(&text_of(&snapshot, child.pid(), "argv")).unwrap();
    let argv: Vec<_> = argv.iter().map(|argument| text::bytes(argument)).collect();
    assert_eq!(argv[..3], [&b"sh"[..], b"-c", b"echo ready; read _"]);
    assert_eq!(argv[3..], *hostile);
    let line = text_of(&snapshot, child.pid(), "command_line");
    assert_eq!(line, "sh -c echo ready; read _ name a\\xffb \u{1b}]0;title\u{7} \\x5cx41 two\nlines größe");
}

/// A program of its own that can be deleted: the shell under another name.
fn copied_shell(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("shell");
    fs::copy(fs::canonicalize("/bin/sh").unwrap(), &path).unwrap();
    path
}

#[test]
fn deleted_and_replaced_programs_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = copied_shell(folder.path());
    let child = Running::waiting(&path, &[]);
    let state = || {
        let snapshot = snapshot();
        let flag = |column| cell(&snapshot, child.pid(), column).as_boolean();
        assert_eq!(text_of(&snapshot, child.pid(), "executable_path"), path.to_str().unwrap());
        (flag("file_exists"), flag("on_disk_mismatch"))
    };
    assert_eq!(state(), (Some(true), Some(false)));
    fs::remove_file(&path).unwrap();
    assert_eq!(state(), (Some(false), Some(true)));
    fs::write(&path, "another").unwrap();
    assert_eq!(state(), (Some(true), Some(true)));
}

#[test]
fn both_readers_say_the_same_of_our_children() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo ready; read _", "größe"]).env_clear().env("A", "1").env("B", "x=y");
    let mut child = Running::start(command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.wait_for_line();
    let (ours, other) = (snapshot(), collect(&mut PortableProcesses::new().unwrap()));
    for column in [
        "pid",
        "ppid",
        "name",
        "executable_path",
        "command_line",
        "argv",
        "cwd",
        "user_id",
        "user_name",
        "group_id",
        "session_id",
        "kernel_thread",
        "file_exists",
        "accessible",
        "environment_vars",
    ] {
        let cells = [&ours, &other].map(|snapshot| cell(snapshot, child.pid(), column));
        assert_eq!(cells[0], cells[1], "{column}");
        assert!(!cells[0].is_null(), "{column}");
    }
    let start = |snapshot| cell(snapshot, child.pid(), "start_time").as_timestamp().unwrap();
    assert!((start(&ours) - start(&other)).abs() <= 1_000_000);
    assert_eq!(text_of(&ours, child.pid(), "environment_vars"), r#"{"A":"1","B":"x=y"}"#);
    let kernel_threads = |snapshot: &Snapshot| -> HashSet<i64> {
        pids(snapshot).into_iter().filter(|pid| cell(snapshot, *pid, "kernel_thread") == Value::Boolean(true)).collect()
    };
    let differing = kernel_threads(&ours).symmetric_difference(&kernel_threads(&other)).count();
    assert!(differing < 5, "kernel threads come and go, but {differing} differ");
}

#[test]
fn identity_and_start_are_the_same_in_every_run() {
    let child = Running::waiting("sh", &[]);
    let first = snapshot();
    let second = snapshot();
    for column in ["proc_id", "parent_id", "start_time"] {
        assert_eq!(cell(&first, child.pid(), column), cell(&second, child.pid(), column));
    }
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let age = now - cell(&first, child.pid(), "start_time").as_timestamp().unwrap();
    assert!((-2_000_000..60_000_000).contains(&age), "started {age} µs ago");
}

#[test]
fn processor_time_is_measured_between_snapshots() {
    let busy = Running::start(Command::new("sh").args(["-c", "while :; do :; done"]));
    let idle = Running::waiting("sh", &[]);
    let mut collector = LinuxProcesses::new().unwrap();
    assert!(cell(&collect(&mut collector), busy.pid(), "cpu_usage").is_null());
    thread::sleep(Duration::from_millis(500));
    let second = collect(&mut collector);
    let usage = |child: &Running| cell(&second, child.pid(), "cpu_usage").as_real().unwrap();
    assert!((5.0..130.0).contains(&usage(&busy)), "{}", usage(&busy));
    assert!(usage(&idle) < 5.0, "{}", usage(&idle));
}

#[test]
fn a_zombie_is_a_row_without_arguments() {
    let child = Running::start(&mut Command::new("true"));
    eventually("the child ends", || text_of(&snapshot(), child.pid(), "status") == "zombie");
    let snapshot = snapshot();
    for column in ["command_line", "argv", "executable_path", "cwd", "environment_vars", "file_exists"] {
        assert!(cell(&snapshot, child.pid(), column).is_null(), "{column}");
    }
    assert_eq!(cell(&snapshot, child.pid(), "accessible"), Value::Boolean(true));
}

#[test]
fn a_process_whose_first_thread_ended_hides_nothing() {
    let program = "import ctypes, threading, time\n\
        threading.Thread(target=time.sleep, args=(60,)).start()\n\
        print('ready', flush=True)\n\
        ctypes.CDLL(None).syscall(60, 0)";
    let mut command = Command::new("python3");
    command.args(["-c", program]).stdout(Stdio::piped());
    if !cfg!(target_arch = "x86_64") || Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: needs python3 on x86_64");
        return;
    }
    let mut child = Running::start(&mut command);
    child.wait_for_line();
    eventually("the first thread ends", || text_of(&snapshot(), child.pid(), "status") == "zombie");
    let snapshot = snapshot();
    assert!(text_of(&snapshot, child.pid(), "command_line").contains(" -c import ctypes"));
    assert!(text_of(&snapshot, child.pid(), "executable_path").contains("python"));
    assert!(!cell(&snapshot, child.pid(), "environment_vars").is_null());
}

#[test]
fn long_values_are_cut_and_counted() {
    let long = vec![b'x'; 100 << 10];
    let child = Running::waiting("sh", &[b"name", &long, &long, &long]);
    let snapshot = snapshot();
    let line = text_of(&snapshot, child.pid(), "command_line");
    assert_eq!(line.len(), 256 << 10);
    assert!(line.starts_with("sh -c echo ready; read _ name xxx"));
    assert!(snapshot.completeness.reasons.contains(&Reason::ResultTruncated));
}

/// A `/proc` that says what a test wants.
struct Proc(tempfile::TempDir);

impl Proc {
    fn new(mount_options: &str) -> Self {
        let proc = Self(tempfile::tempdir().unwrap());
        proc.write("sys/kernel/random/boot_id", "7bafe3e4-71a4-41f9-a21e-42afadd05dda\n");
        proc.write("stat", "cpu  1 2 3\nbtime 1000\nprocesses 7\n");
        proc.write("self/mountinfo", format!("22 27 0:21 / /proc rw - proc proc {mount_options}\n"));
        proc
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn process(&self, pid: u32, name: &str, ppid: u32, flags: u32, start: u64) {
        let rest = format!("S {ppid} {pid} {pid} 34817 -1 {flags} 0 0 0 0 5 7 0 0 20 0 1 0 {start} 0 3 0 0\n");
        self.write(&format!("{pid}/stat"), format!("{pid} ({name}) {rest}"));
        self.write(&format!("{pid}/status"), "Uid:\t4000000000\t0\t0\t0\nGid:\t7\t0\t0\t0\n");
    }

    fn collect(&self) -> Snapshot {
        collect(&mut LinuxProcesses::at(self.0.path()).unwrap())
    }
}

#[test]
fn rows_of_a_recorded_proc() {
    let proc = Proc::new("rw");
    let id = "3f4e1c9f0b7a2d5e8c6b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d";
    proc.process(2, "kworker/0:1-ev) S 1", 0, 0x0020_0000, 4);
    proc.process(42, "a) R (b\nc", 7, 0, 250);
    proc.process(7, "late", 42, 0, 250);
    proc.write("42/cmdline", "x\0y\0");
    proc.write("42/cgroup", format!("0::/system.slice/docker-{id}.scope\n"));
    proc.write("42/environ", "A=1\0");
    std::os::unix::fs::symlink("/usr/bin/x (deleted)", proc.0.path().join("42/exe")).unwrap();
    std::os::unix::fs::symlink("/w", proc.0.path().join("42/cwd")).unwrap();
    proc.write("99/comm", "gone before its stat was read");
    proc.write("9x/stat", "not a process");
    let snapshot = proc.collect();
    let mut listed = pids(&snapshot);
    listed.sort_unstable();
    assert_eq!(listed, [2, 7, 42]);
    let shown = |pid, columns: &[&str]| -> Vec<String> {
        columns.iter().map(|column| cell(&snapshot, pid, column).to_json().to_string()).collect()
    };
    let columns = ["name", "ppid", "user_id", "group_id", "session_id", "terminal", "start_time", "memory_usage"];
    assert_eq!(
        shown(42, &columns),
        [r#""a) R (b\nc""#, "7", "4000000000", "7", "42", r#""pts/1""#, r#""1970-01-01T00:16:42.5Z""#, "12288"]
    );
    let columns = ["command_line", "executable_path", "file_exists", "on_disk_mismatch", "cwd", "environment_vars"];
    // No `ns/mnt` here, so what is at the path is not known.
    assert_eq!(shown(42, &columns), [r#""x y""#, r#""/usr/bin/x""#, "null", "true", r#""/w""#, r#""{\"A\":\"1\"}""#]);
    assert_eq!(text_of(&snapshot, 42, "container_id"), id);
    assert_eq!(text_of(&snapshot, 7, "parent_id"), text_of(&snapshot, 42, "proc_id"));
    assert_eq!(shown(2, &["kernel_thread", "accessible", "command_line"]), ["true", "true", "null"]);
    // What the process 7 lacks went away while it was read: no reason to call the snapshot incomplete.
    assert_eq!(shown(7, &["accessible", "command_line", "executable_path"]), ["true", "null", "null"]);
    assert_eq!((snapshot.completeness.scope, snapshot.completeness.is_complete()), (Scope::All, true));
    assert_eq!(snapshot.time, Timestamp(1_000));
}

#[test]
fn a_proc_that_hides_is_told() {
    let proc = Proc::new("rw,hidepid=invisible");
    proc.process(42, "x", 0, 0, 1);
    let snapshot = proc.collect();
    assert_eq!(snapshot.completeness.scope, Scope::Visible);
    assert!(snapshot.completeness.is_complete());
}

#[test]
fn a_stat_that_is_none_is_counted() {
    let proc = Proc::new("rw");
    proc.write("42/stat", "42 (x S");
    let snapshot = proc.collect();
    assert_eq!((row_count(&snapshot), snapshot.completeness.reasons.as_slice()), (0, &[Reason::ResultTruncated][..]));
}

#[test]
fn without_proc_there_is_a_clear_error() {
    let missing = |root: &Path| LinuxProcesses::at(root).map(drop).unwrap_err().to_string();
    assert_eq!(missing(Path::new("/nonexistent")), "no process file system is mounted at /nonexistent");
    let proc = Proc::new("rw");
    proc.write("sys/kernel/random/boot_id", "none");
    assert!(missing(proc.0.path()).ends_with("/boot_id: a UUID is missing"));
    let proc = Proc::new("rw");
    proc.write("stat", "cpu 1\n");
    assert!(missing(proc.0.path()).ends_with("/stat: the line `btime` is missing"));
}
