//! The processes of any system that the `sysinfo` crate knows.
//!
//! The baseline where we have no reader of our own, and the cross-check of that one on Linux. What `sysinfo` does not
//! tell is NULL: control groups, terminals, whether the program's file is still the same. It leaves out empty arguments
//! at the end, and does not say why something is missing, so a process without a path counts as not accessible. Start
//! times are in seconds and there is no boot id, so a `proc_id` made here is not the one made elsewhere (see
//! [`super::identity`]).

use std::collections::HashSet;
use std::ffi::OsString;

use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, ThreadKind, UpdateKind, Users};

use super::arguments::{self, ARGUMENTS_LEN_MAX};
use super::budget::Budget;
use super::environment::{self, ENVIRONMENT_LEN_MAX};
use super::identity::BootId;
use super::rows::Rows;
use super::snapshot;
use crate::collector::{CollectError, Collector, Snapshot};
use crate::redact::Redactor;
use crate::text::text;

/// How long the list of users is believed.
const USERS_BELIEVED: i64 = 300 * MICROS_PER_SEC;

/// The collector of `processes` on `sysinfo`.
#[derive(Debug)]
pub struct PortableProcesses {
    system: System,
    users: Users,
    users_since: Timestamp,
    /// Pid and start of what the last snapshot had: only those have a processor time since.
    known: HashSet<(Pid, u64)>,
    redactor: Redactor,
}

impl PortableProcesses {
    /// The processes of this system.
    pub fn new() -> Result<Self, CollectError> {
        let failed = |what: &str, error: sysinfo::Error| CollectError::Unreadable {
            path: what.into(),
            cause: std::io::Error::other(error.to_string()),
        };
        Ok(Self {
            system: System::new().map_err(|error| failed("the list of processes", error))?,
            users: Users::new().map_err(|error| failed("the list of users", error))?,
            users_since: Timestamp(i64::MIN),
            known: HashSet::new(),
            redactor: Redactor::of_this_host(),
        })
    }

    /// The same with another redactor than this host's default.
    #[must_use]
    pub fn redacting(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    fn refresh(&mut self, now: Timestamp) {
        if !(0..USERS_BELIEVED).contains(&now.0.saturating_sub(self.users_since.0)) {
            self.users.refresh();
            self.users_since = now;
        }
        let columns = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .with_user(UpdateKind::Always)
            .with_cwd(UpdateKind::Always)
            .with_environ(UpdateKind::Always)
            .with_cmd(UpdateKind::Always)
            .with_exe(UpdateKind::Always)
            .without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, columns);
    }

    fn row(&self, process: &sysinfo::Process, now: Timestamp, completeness: &mut Completeness) -> Process {
        let kernel_thread = process.thread_kind() == Some(ThreadKind::Kernel);
        let has_ended = matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
        let (arguments, arguments_cut) = area(process.cmd(), ARGUMENTS_LEN_MAX);
        let (environment, environment_cut) = area(process.environ(), ENVIRONMENT_LEN_MAX);
        let arguments = arguments::parse(&self.redactor.arguments(&arguments));
        let accessible = kernel_thread || has_ended || process.exe().is_some();
        if arguments_cut || environment_cut {
            completeness.add(Reason::ResultTruncated);
        }
        if !accessible {
            completeness.scope = Scope::Visible;
        }
        let path_text = |path: &std::path::Path| text(path.as_os_str().as_encoded_bytes()).into_owned();
        Process {
            proc_id: BootId::ABSENT.proc_id(process.pid().as_u32().into(), process.start_time()),
            pid: process.pid().as_u32().into(),
            ppid: process.parent().map(|parent| parent.as_u32().into()),
            name: text(process.name().as_encoded_bytes()).into_owned(),
            executable_path: process.exe().map(path_text),
            command_line: arguments.as_ref().map(|found| found.command_line.clone()),
            argv: arguments.map(|found| found.argv),
            cwd: process.cwd().map(path_text),
            // Windows has ids that are not numbers.
            user_id: process.user_id().and_then(|user| user.to_string().parse().ok()),
            user_name: process.user_id().and_then(|user| Some(self.users.get_user_by_id(user)?.name().to_owned())),
            group_id: process.group_id().and_then(|group| group.to_string().parse().ok()),
            session_id: process.session_id().map(|session| session.as_u32().into()),
            start_time: micros(process.start_time()).map(Timestamp),
            kernel_thread,
            status: status(process.status()).map(str::to_owned),
            cpu_usage: self.known.contains(&key(process)).then(|| f64::from(process.cpu_usage())),
            memory_usage: i64::try_from(process.memory()).ok(),
            file_exists: process.exe().and_then(|path| path.try_exists().ok()),
            accessible,
            environment_vars: (!environment.is_empty())
                .then(|| environment::parse(&self.redactor.environment(&environment))),
            collection_time: now,
            ..Process::default()
        }
    }
}

impl Collector for PortableProcesses {
    fn collect(&mut self, now: Timestamp) -> Result<Snapshot, CollectError> {
        self.refresh(now);
        let mut completeness = Completeness::default();
        let processes = self.system.processes().values();
        let processes: Vec<_> =
            processes.filter(|process| process.thread_kind() != Some(ThreadKind::Userland)).collect();
        let mut budget = Budget::new(processes.len());
        let mut rows = Rows::default();
        for process in &processes {
            let mut row = self.row(process, now, &mut completeness);
            if budget.fit(&mut row) {
                completeness.add(Reason::ResultTruncated);
            }
            rows.push(row, process.start_time());
        }
        self.known = processes.into_iter().map(key).collect();
        Ok(snapshot(rows, now, completeness))
    }
}

fn key(process: &sysinfo::Process) -> (Pid, u64) {
    (process.pid(), process.start_time())
}

fn micros(secs: u64) -> Option<i64> {
    i64::try_from(secs).ok()?.checked_mul(MICROS_PER_SEC)
}

/// The strings, each ended by a NUL, up to a bound; and whether that cut something.
fn area(strings: &[OsString], len_max: usize) -> (Vec<u8>, bool) {
    let mut area = Vec::new();
    for string in strings {
        area.extend_from_slice(string.as_encoded_bytes());
        area.push(0);
        if area.len() > len_max {
            area.truncate(len_max);
            return (area, true);
        }
    }
    (area, false)
}

fn status(status: ProcessStatus) -> Option<&'static str> {
    Some(match status {
        ProcessStatus::Run => "running",
        ProcessStatus::Sleep => "sleeping",
        ProcessStatus::UninterruptibleDiskSleep => "disk-sleep",
        ProcessStatus::Stop => "stopped",
        ProcessStatus::Tracing => "tracing",
        ProcessStatus::Zombie => "zombie",
        ProcessStatus::Dead => "dead",
        ProcessStatus::Idle => "idle",
        _ => return None,
    })
}
