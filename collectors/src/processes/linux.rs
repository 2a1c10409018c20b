//! The processes of Linux, from `/proc`.
//!
//! Per process: `stat`, `status`, `cmdline`, `cgroup`, `environ`, the links `exe` and `cwd`, and which file `exe`
//! leads to; of a kernel thread only `stat` and `status`. What must hold:
//!
//! - **Rows are processes.** `/proc` lists thread groups only; threads are in `task/`.
//! - **Nothing is lost because something ended.** A process is left out only when its `stat` can no longer be read.
//!   What ends while it is read keeps its row, with NULL for what came too late.
//! - **What may not be read is said**: `accessible` is false and the scope is `visible`. What was cut at a bound, or
//!   could not be read for another reason, adds [`Reason::ResultTruncated`].
//! - **Secrets do not leave**: arguments and environments pass the [`Redactor`] before they become text.
//! - **A name proves nothing**: a thread of the kernel is told by its flag, not by how it calls itself; a process whose
//!   first thread has ended is read through one that lives.
//!
//! Start times are ticks counted from the moment of boot, which the kernel gives in whole seconds; it is read once,
//! when the collector is made, so that they do not move between snapshots.
//!
//! **Why not `sysinfo`**, measured side by side (the bench `enumerate`) over 1,100 processes: this reader takes 1.09 to
//! 1.12 times a bare read of the same files, `sysinfo` 0.97 times, but it reads fewer of them. So speed decides
//! nothing (the kernel's own work is nearly all of it, a third for `status` alone, which no other file replaces: the
//! owner of `/proc/PID` is the effective user). What decides is what `sysinfo` does not tell: raw start ticks, which
//! file is missing and which is forbidden, whether the program was deleted or replaced, control group and terminal.

pub mod cgroup;
mod cpu;
mod entry;
pub mod mounts;
pub mod program;
mod reading;
pub mod stat;
pub mod status;
pub mod terminal;
mod users;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};

use self::cpu::CpuTimes;
use self::entry::{Entry, look};
use self::program::{At, FileId, Program};
use self::reading::Reading;
use self::stat::Stat;
use self::users::Users;
use super::arguments::{self, ARGUMENTS_LEN_MAX};
use super::budget::Budget;
use super::environment::{self, ENVIRONMENT_LEN_MAX};
use super::identity::BootId;
use super::rows::Rows;
use super::snapshot;
use crate::collector::{CollectError, Collector, Snapshot};
use crate::redact::Redactor;
use crate::text::text;

/// Bytes of every other file, which are the kernel's own and short.
const FILE_LEN_MAX: usize = 64 << 10;

/// The collector of `processes` on Linux.
#[derive(Debug)]
pub struct LinuxProcesses {
    root: PathBuf,
    system: System,
    users: Users,
    cpu: CpuTimes,
    redactor: Redactor,
    buffer: Vec<u8>,
}

/// What holds for the whole boot.
#[derive(Clone, Copy, Debug)]
struct System {
    boot: BootId,
    boot_secs: i64,
    ticks_per_sec: u32,
    page_len: i64,
    /// Ours: only programs in it have paths that we can look at.
    mount_namespace: Option<FileId>,
}

impl LinuxProcesses {
    /// The processes of this system.
    pub fn new() -> Result<Self, CollectError> {
        Self::at(Path::new("/proc"))
    }

    /// The same for a `/proc` at another place.
    pub fn at(root: &Path) -> Result<Self, CollectError> {
        let buffer = vec![0; ARGUMENTS_LEN_MAX + 1];
        let system = System::read(root)?;
        let (users, cpu, redactor) = (Users::default(), CpuTimes::default(), Redactor::of_this_host());
        Ok(Self { root: root.to_owned(), system, users, cpu, redactor, buffer })
    }

    /// The same with another redactor than this host's default.
    #[must_use]
    pub fn redacting(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// Every process.
    fn survey(&mut self, now: Timestamp) -> Result<Survey, CollectError> {
        let Self { root, system, users, cpu, redactor, buffer } = self;
        let failed = |error: io::Error| unreadable(root, error);
        let folder = File::open(&*root).map_err(failed)?;
        let mut visitor = Visitor { system, users, cpu, redactor, now, root, folder: &folder };
        let mut survey = Survey::default();
        let names = fs::read_dir(&*root).map_err(failed)?.map(|entry| entry.map(|entry| entry.file_name()));
        let names: Vec<_> = names.collect::<Result<_, _>>().map_err(failed)?;
        let pids: Vec<_> = names.iter().filter_map(|name| Some((name, pid(name)?))).collect();
        let mut budget = Budget::new(pids.len());
        for (name, pid) in pids {
            let mut reading = Reading::new(buffer);
            let found = visitor.visit(&mut reading, name, pid);
            let found = found.map_err(|errno| unreadable(&root.join(name), errno.into()))?;
            survey.hidden |= reading.denied;
            survey.lost += reading.lost;
            if let Some((mut row, start_ticks)) = found {
                survey.lost += u64::from(budget.fit(&mut row));
                survey.rows.push(row, start_ticks);
            }
        }
        Ok(survey)
    }

    /// Whether this mount of `/proc` shows less than there is. Where that cannot be read, it has to be assumed.
    fn is_hiding(&self) -> bool {
        fs::read(self.root.join("self/mountinfo")).map_or(true, |text| mounts::hides_processes(&text))
    }
}

impl Collector for LinuxProcesses {
    fn collect(&mut self, now: Timestamp) -> Result<Snapshot, CollectError> {
        self.users.refresh(now);
        self.cpu.turn();
        let survey = self.survey(now)?;
        let mut completeness = Completeness::default();
        if survey.hidden || self.is_hiding() {
            completeness.scope = Scope::Visible;
        }
        if survey.lost > 0 {
            completeness.add(Reason::ResultTruncated);
        }
        Ok(snapshot(survey.rows, now, completeness))
    }
}

/// What one walk over `/proc` gave.
#[derive(Default)]
struct Survey {
    rows: Rows,
    hidden: bool,
    lost: u64,
}

/// Goes from process to process.
struct Visitor<'a> {
    system: &'a System,
    users: &'a mut Users,
    cpu: &'a mut CpuTimes,
    redactor: &'a Redactor,
    now: Timestamp,
    root: &'a Path,
    folder: &'a File,
}

impl Visitor<'_> {
    /// The row of a process and its start, or nothing if it has ended.
    fn visit(&mut self, reading: &mut Reading<'_>, name: &OsStr, pid: u32) -> Result<Option<(Process, u64)>, Errno> {
        let Some(entry) = reading.keep(Entry::open(self.folder, name))? else { return Ok(None) };
        let first = reading.known_file(&entry, c"stat", FILE_LEN_MAX, |line| {
            let (name, stat) = stat::parse(line)?;
            Some((self.row(pid, name, &stat), stat))
        })?;
        let Some((mut row, stat)) = first else { return Ok(None) };
        if let Some((user, group)) = reading.known_file(&entry, c"status", FILE_LEN_MAX, status::parse)? {
            row.user_id = Some(user.into());
            row.user_name = self.users.name(user);
            row.group_id = Some(group.into());
        }
        if stat.has_ended() {
            let thread = (stat.threads > 1).then(|| self.living_thread(&entry, name)).flatten();
            if let Some(thread) = thread {
                self.fill(reading, &thread, &mut row)?;
            }
        } else if !stat.kernel_thread {
            self.fill(reading, &entry, &mut row)?;
        }
        row.accessible = !reading.denied;
        Ok(Some((row, stat.start_ticks)))
    }

    /// What `stat` gives.
    fn row(&mut self, pid: u32, name: &[u8], stat: &Stat) -> Process {
        let ticks_per_sec = f64::from(self.system.ticks_per_sec);
        Process {
            proc_id: self.system.boot.proc_id(pid.into(), stat.start_ticks),
            pid: pid.into(),
            ppid: Some(stat.ppid),
            name: text(name).into_owned(),
            session_id: (stat.session >= 0).then_some(stat.session),
            terminal: terminal::name(stat.tty),
            start_time: Some(self.system.start_time(stat.start_ticks)),
            kernel_thread: stat.kernel_thread,
            status: stat::status(stat.state).map(str::to_owned),
            cpu_usage: self.cpu.usage((pid, stat.start_ticks), stat.cpu_ticks, Instant::now(), ticks_per_sec),
            memory_usage: Some(stat.resident_pages.saturating_mul(self.system.page_len)),
            threads: Some(stat.threads),
            collection_time: self.now,
            ..Process::default()
        }
    }

    /// What only a process with memory of its own has.
    fn fill(&self, reading: &mut Reading<'_>, entry: &Entry, row: &mut Process) -> Result<(), Errno> {
        let arguments = |area: &[u8]| arguments::parse(&self.redactor.arguments(area));
        if let Some(found) = reading.file(entry, c"cmdline", ARGUMENTS_LEN_MAX, arguments)?.flatten() {
            row.command_line = Some(found.command_line);
            row.argv = Some(found.argv);
        }
        row.container_id = reading
            .file(entry, c"cgroup", FILE_LEN_MAX, |text| cgroup::container_id(text).map(str::to_owned))?
            .flatten();
        let environment = |area: &[u8]| environment::parse(&self.redactor.environment(area));
        row.environment_vars = reading.file(entry, c"environ", ENVIRONMENT_LEN_MAX, environment)?;
        row.cwd = reading.keep(entry.link(c"cwd"))?.map(|path| text(path.as_bytes()).into_owned());
        if let Some(link) = reading.keep(entry.link(c"exe"))? {
            let program = self.program(entry, link.as_bytes());
            row.executable_path = Some(program.path);
            row.file_exists = program.file_exists;
            row.on_disk_mismatch = program.on_disk_mismatch;
        }
        Ok(())
    }

    fn program(&self, entry: &Entry, link: &[u8]) -> Program {
        let namespace = entry.target(c"ns/mnt").ok();
        if namespace.is_none() || namespace != self.system.mount_namespace {
            return Program::elsewhere(link);
        }
        Program::here(link, entry.target(c"exe").map_or(At::Unknown, At::File), look)
    }

    /// Any thread that has not ended. A program can end its first thread and go on, which empties `/proc/PID`.
    fn living_thread(&self, entry: &Entry, name: &OsStr) -> Option<Entry> {
        let threads = fs::read_dir(self.root.join(name).join("task")).ok()?;
        let others = threads.flatten().map(|thread| thread.file_name()).filter(|thread| thread != name);
        others
            .filter_map(|thread| Entry::open(entry, &*Path::new("task").join(thread)).ok())
            .find(|thread| thread.link(c"cwd").is_ok())
    }
}

impl System {
    fn read(root: &Path) -> Result<Self, CollectError> {
        let malformed = |path, expected| CollectError::Malformed { path, expected };
        if !root.join("stat").exists() {
            return Err(CollectError::NoProc { path: root.to_owned() });
        }
        let boot_id = root.join("sys/kernel/random/boot_id");
        let kernel = root.join("stat");
        let (boot, boot_secs) = (BootId::parse(&read(&boot_id)?), boot_secs(&read(&kernel)?));
        Ok(Self {
            boot: boot.ok_or_else(|| malformed(boot_id, "a UUID"))?,
            boot_secs: boot_secs.ok_or_else(|| malformed(kernel, "the line `btime`"))?,
            ticks_per_sec: u32::try_from(constant(SysconfVar::CLK_TCK, 100)).unwrap_or(100),
            page_len: constant(SysconfVar::PAGE_SIZE, 4096),
            mount_namespace: Entry::open(nix::fcntl::AT_FDCWD, &root.join("self"))
                .and_then(|own| own.target(c"ns/mnt"))
                .ok(),
        })
    }

    fn start_time(&self, ticks: u64) -> Timestamp {
        let since_boot = u128::from(ticks) * 1_000_000 / u128::from(self.ticks_per_sec);
        let since_boot = i64::try_from(since_boot).unwrap_or(i64::MAX);
        Timestamp(self.boot_secs.saturating_mul(MICROS_PER_SEC).saturating_add(since_boot))
    }
}

/// When the system started: seconds since 1970, from `/proc/stat`.
fn boot_secs(text: &[u8]) -> Option<i64> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"btime "))?;
    str::from_utf8(line).ok()?.trim_ascii().parse().ok()
}

/// The system's value, positive, or what it is everywhere.
fn constant(name: SysconfVar, usual: i64) -> i64 {
    sysconf(name).ok().flatten().filter(|value| *value > 0).unwrap_or(usual)
}

fn pid(name: &OsStr) -> Option<u32> {
    name.to_str().filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))?.parse().ok()
}

fn read(path: &Path) -> Result<Vec<u8>, CollectError> {
    fs::read(path).map_err(|cause| unreadable(path, cause))
}

fn unreadable(path: &Path, cause: io::Error) -> CollectError {
    CollectError::Unreadable { path: path.to_owned(), cause }
}
