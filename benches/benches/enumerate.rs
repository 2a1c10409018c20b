//! How long does it take to list all processes of this machine?
//!
//! A thousand sleeping processes are started first. Our collector takes turns with the `sysinfo` crate, told to look at
//! the same things, and with a bare read of the files that ours reads, which does nothing with them. Before anything is
//! timed, ours has to list each of the thousand with its own command line, and `sysinfo` the same processes. Figures are
//! processor time, nearly all of it the kernel's, in medians of the rounds.
//!
//! What the hardware allows: the bare read is the estimate, with the same system calls relative to an open folder. The
//! goal is 1.5 times that; the floor is 10,000 processes in 5 s, 500 µs for each.

#![cfg_attr(target_os = "linux", expect(clippy::print_stdout, reason = "printing is what this does"))]

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

/// Only Linux has a reader of ours to compare.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;
    use std::ffi::{CString, OsStr};
    use std::fs::{self, File};
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;

    use anyhow::ensure;
    use arrow_array::RecordBatch;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use daemoneye_benches::crowd::Crowd;
    use daemoneye_benches::measure::{Samples, Verdict, number, size_or};
    use daemoneye_collectors::Collector;
    use daemoneye_collectors::processes::linux::LinuxProcesses;
    use daemoneye_dsl::types::Timestamp;
    use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
    use nix::sys::stat::{Mode, fstatat, stat};
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

    const ROUNDS: usize = 15;
    const FLOOR_MICROS: f64 = 500.0;

    pub(super) fn main() -> anyhow::Result<()> {
        let crowd = Crowd::start(size_or(1_000))?;
        let mut ours = LinuxProcesses::new()?;
        let mut system = System::new()?;
        let rows = ours.collect(Timestamp(0))?.rows;
        look(&mut system);
        check(&crowd, &rows, &system)?;

        let mut buffer = vec![0; 256 << 10];
        let mut samples: [Samples; 3] = Default::default();
        for _ in 0..ROUNDS {
            samples[0].cpu(|| bare(&mut buffer))?;
            samples[1].cpu(|| ours.collect(Timestamp(0)))?;
            samples[2].cpu(|| look(&mut system));
        }
        let processes = rows.num_rows();
        let [bare, ours, sysinfo] = samples.map(|samples| samples.median_micros() / number(processes));
        println!("{processes} processes, median of {ROUNDS} rounds, processor time\n");
        for (name, micros) in [("bare read", bare), ("ours", ours), ("sysinfo", sysinfo)] {
            println!("{name:10} {micros:7.1} µs per process {:6.2} × the bare read", micros / bare);
        }
        let mut verdict = Verdict::default();
        verdict.expect(ours < FLOOR_MICROS, || format!("listing took {ours:.0} µs for each process"));
        verdict.finish()
    }

    /// Whether both lists have each process of the crowd, ours with its command line.
    fn check(crowd: &Crowd, rows: &RecordBatch, system: &System) -> anyhow::Result<()> {
        let pids = rows.column_by_name("pid").expect("a column").as_primitive::<Int64Type>();
        let commands = rows.column_by_name("command_line").expect("a column").as_string::<i32>();
        let listed: HashMap<_, _> = pids.values().iter().copied().zip(commands).collect();
        for pid in crowd.pids() {
            let truth = fs::read_to_string(format!("/proc/{pid}/cmdline"))?.trim_end_matches('\0').replace('\0', " ");
            let ours = listed.get(&i64::from(pid)).copied().flatten();
            ensure!(ours == Some(&truth), "process {pid} is `{truth}`, and ours has {ours:?}");
            ensure!(system.process(sysinfo::Pid::from_u32(pid)).is_some(), "sysinfo does not list process {pid}");
        }
        Ok(())
    }

    fn look(system: &mut System) {
        let columns = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .with_user(UpdateKind::Always)
            .with_cwd(UpdateKind::Always)
            .with_environ(UpdateKind::Always)
            .with_cmd(UpdateKind::Always)
            .with_exe(UpdateKind::Always)
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, columns);
    }

    /// Reads what ours reads and does nothing with it. A process that ends meanwhile is nobody's fault.
    fn bare(buffer: &mut [u8]) -> std::io::Result<()> {
        let proc = File::open("/proc")?;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            if name.as_bytes()[0].is_ascii_digit() {
                let _ended_meanwhile = bare_process(&proc, &name, buffer);
            }
        }
        Ok(())
    }

    fn bare_process(proc: &File, name: &OsStr, buffer: &mut [u8]) -> nix::Result<()> {
        let folder = openat(proc, name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut read = |file: &str| {
            let file = openat(folder.as_fd(), file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
            nix::unistd::read(&file, buffer)
        };
        read("stat")?;
        read("status")?;
        // What a kernel thread does not have is not asked for.
        let program = readlinkat(folder.as_fd(), "exe")?;
        for file in ["cmdline", "cgroup", "environ"] {
            read(file)?;
        }
        readlinkat(folder.as_fd(), "cwd")?;
        fstatat(folder.as_fd(), "ns/mnt", AtFlags::empty())?;
        fstatat(folder.as_fd(), "exe", AtFlags::empty())?;
        let program = CString::new(program.as_bytes()).expect("a path has no NUL");
        stat(program.as_c_str()).map(drop)
    }
}
