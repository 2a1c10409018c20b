//! How much memory and processor time do the agent and its collector take on a host of 3,000 processes?
//!
//! The release binaries run as installed: the agent starts the collector, with the product's rules and an empty store,
//! over ten snapshots at an interval of 3 s. The processes are real and sleep, and 2 % of them are exchanged between two
//! snapshots; one more has the name of a miner. Before anything is measured the store must have every process alive and
//! the miner's alert, and at the end those that were exchanged. Memory is what
//! `/proc/PID/status` has (`VmHWM`, the most ever, and `VmRSS`, now), processor time what `/proc/PID/stat` has, from the
//! first commit to the tenth; at the usual interval of 30 s the same work comes a tenth as often.
//!
//! What the hardware allows: a bare read of `/proc` takes about 50 µs for each process (`enumerate`), 150 ms a snapshot,
//! 0.5 % of one core at 30 s; the rows of 3,000 processes are about 4 MB, held twice while two snapshots are compared. The
//! floors are 100 MB each and 5 % of one core together.

#![cfg_attr(target_os = "linux", expect(clippy::print_stdout, reason = "printing is what this does"))]

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(linux::ASLEEP) {
        return linux::sleep();
    }
    linux::main()
}

/// Only Linux has `/proc` to read the figures from.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;
    use std::fs;
    use std::io::{BufRead, BufReader, Read};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::{Duration, Instant};

    use anyhow::{Context, anyhow, bail, ensure};
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, RecordBatch};
    use daemoneye_benches::crowd::Crowd;
    use daemoneye_benches::measure::{Verdict, number, size_or};
    use daemoneye_benches::programs::{Running, build};
    use daemoneye_dsl::tables::Catalog;
    use daemoneye_settings::paths::DataDir;
    use daemoneye_storage::{ReadStore, Reader, Scan};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, SysconfVar, sysconf};

    /// The argument with which this program is the process that a rule finds.
    pub(super) const ASLEEP: &str = "--asleep";
    const MINER: &str = "xmrig";
    const MINER_RULE: &str = "cryptocurrency_miner";
    const SNAPSHOTS: usize = 10;
    const INTERVAL: Duration = Duration::from_secs(3);
    const USUAL_INTERVAL: Duration = Duration::from_secs(30);
    /// How long a snapshot may be in coming.
    const PATIENCE: Duration = Duration::from_mins(1);
    const FLOOR_KIB: u64 = 100 << 10;
    const FLOOR_PERCENT: f64 = 5.0;

    /// Until whoever started it is gone.
    pub(super) fn sleep() -> anyhow::Result<()> {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    }

    pub(super) fn main() -> anyhow::Result<()> {
        let programs = build()?;
        let folder = tempfile::tempdir()?;
        let mut crowd = Crowd::start(size_or(3_000))?;
        let processes = crowd.pids().count();
        let miner = Running(start_miner(folder.path())?);
        let data = DataDir::new(folder.path().join("data"));
        let mut agent = Agent::start(&programs.join("daemoneye-agent"), &data)?;

        agent.wait_for_snapshot()?;
        let collector = collector_of(agent.process.0.id())?;
        let pids = [("agent", agent.process.0.id()), ("procmond", collector)];
        let first = pids.map(|(_, pid)| cpu(pid));
        let began = Instant::now();
        check_store(&data, &crowd, miner.0.id())?;
        for _ in 1..SNAPSHOTS {
            crowd.exchange(processes / 50)?;
            agent.wait_for_snapshot()?;
        }
        let lasted = began.elapsed();
        println!(
            "{processes} processes started here, 2 % others each time, {SNAPSHOTS} snapshots, one in {} s\n",
            INTERVAL.as_secs()
        );
        println!(
            "{:10} {:>12} {:>12} {:>14} {:>12} {:>12} {:>12}",
            "", "RSS max MB", "RSS now MB", "first snap ms", "then ms each", "% at 3 s", "% at 30 s"
        );
        let mut verdict = Verdict::default();
        let mut percent_together = 0.0;
        for ((name, pid), first) in pids.into_iter().zip(first) {
            let first = first?;
            let spent = cpu(pid)?.saturating_sub(first);
            let each = spent.as_secs_f64() / number(SNAPSHOTS - 1);
            let (most, now) = (memory(pid, "VmHWM")?, memory(pid, "VmRSS")?);
            let percent = each / USUAL_INTERVAL.as_secs_f64() * 100.0;
            percent_together += percent;
            println!(
                "{name:10} {:12.1} {:12.1} {:14.0} {:12.0} {:12.2} {percent:12.2}",
                megabytes(most),
                megabytes(now),
                first.as_secs_f64() * 1e3,
                each * 1e3,
                spent.as_secs_f64() / lasted.as_secs_f64() * 100.0
            );
            verdict.expect(most < FLOOR_KIB, || format!("{name} took {:.1} MB", megabytes(most)));
        }
        // The next snapshot may have begun before the last exchange was over; the one after it has not.
        agent.wait_for_snapshot()?;
        agent.wait_for_snapshot()?;
        check_store(&data, &crowd, miner.0.id())?;
        println!("\ntogether {percent_together:.2} % of one core at 30 s; the store has {} bytes", size(&data)?);
        verdict.expect(percent_together < FLOOR_PERCENT, || format!("together {percent_together:.2} % of one core"));
        agent.stop()?;
        verdict.finish()
    }

    /// This program under a miner's name.
    fn start_miner(folder: &Path) -> anyhow::Result<Child> {
        let program = folder.join(MINER);
        std::os::unix::fs::symlink(std::env::current_exe()?, &program)?;
        Ok(Command::new(program).arg(ASLEEP).stdin(Stdio::piped()).spawn()?)
    }

    struct Agent {
        process: Running,
        /// What it logs.
        lines: Receiver<String>,
        /// Warnings and errors so far.
        complaints: Vec<String>,
    }

    impl Agent {
        fn start(program: &Path, data: &DataDir) -> anyhow::Result<Self> {
            let mut child = Command::new(program)
                .arg("--rules")
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules"))
                .arg("--data")
                .arg(data.path())
                .args(["--interval", &format!("{}s", INTERVAL.as_secs()), "--output", "ndjson", "--verbose"])
                .env_remove("DAEMONEYE_LOG")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .with_context(|| format!("cannot start {}", program.display()))?;
            let log = child.stderr.take().expect("a pipe was asked for");
            let (said, lines) = channel();
            // It ends with the agent, which closes the pipe.
            std::thread::spawn(move || {
                BufReader::new(log).lines().map_while(Result::ok).try_for_each(|l| said.send(l))
            });
            Ok(Self { process: Running(child), lines, complaints: Vec::new() })
        }

        fn wait_for_snapshot(&mut self) -> anyhow::Result<()> {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
                let line = line.map_err(|_| anyhow!("no snapshot was committed:\n{}", self.complaints.join("\n")))?;
                if line.contains("snapshot committed") {
                    return Ok(());
                }
                if line.contains(" WARN ") || line.contains(" ERROR ") {
                    println!("{line}");
                    self.complaints.push(line);
                }
            }
        }

        fn stop(mut self) -> anyhow::Result<()> {
            kill(pid(self.process.0.id())?, Signal::SIGTERM)?;
            let status = self.process.0.wait()?;
            ensure!(status.success(), "the agent ended with {status}");
            Ok(())
        }
    }

    fn pid(number: u32) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(number)?))
    }

    /// The collector that the agent started.
    fn collector_of(agent: u32) -> anyhow::Result<u32> {
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // It may have ended meanwhile.
            let Ok(stat) = Stat::of(pid) else { continue };
            if stat.name == "procmond" && stat.field(4)? == u64::from(agent) {
                return Ok(pid);
            }
        }
        bail!("the agent has no procmond among its children")
    }

    /// Whether the store has every process of the crowd alive, and the alert for the miner.
    fn check_store(data: &DataDir, crowd: &Crowd, miner: u32) -> anyhow::Result<()> {
        let store = ReadStore::open(data.events())?;
        let history = read(&store, "processes_history", &["pid", "seen_to"])?;
        let mut alive = HashSet::new();
        for rows in &history {
            let pids = rows.column(0).as_primitive::<Int64Type>();
            alive.extend((0..rows.num_rows()).filter(|row| rows.column(1).is_null(*row)).map(|row| pids.value(row)));
        }
        let missing = crowd.pids().filter(|pid| !alive.contains(&i64::from(*pid))).count();
        ensure!(missing == 0, "{missing} of {} processes are not in the store", crowd.pids().count());
        let alerts = read(&store, "alerts", &["rule", "title"])?;
        let raised = alerts.iter().any(|rows| {
            let (rules, titles) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
            (0..rows.num_rows()).any(|row| {
                rules.value(row) == MINER_RULE && titles.value(row).contains(&format!("{MINER} (pid {miner})"))
            })
        });
        ensure!(raised, "`{MINER_RULE}` raised no alert for process {miner}");
        Ok(())
    }

    fn read(store: &ReadStore, table: &str, columns: &[&str]) -> anyhow::Result<Vec<RecordBatch>> {
        let catalog = Catalog::builtin();
        let table = catalog.table(table).context("no such table")?;
        let place = |name: &&str| table.column(name).map(|(at, _)| at).with_context(|| format!("no column {name}"));
        let columns: Vec<_> = columns.iter().map(place).collect::<Result<_, _>>()?;
        Ok(store.scan(&Scan::all(table, &columns))?.batches)
    }

    /// `/proc/PID/stat`.
    struct Stat {
        name: String,
        /// From the third field on.
        rest: Vec<String>,
    }

    impl Stat {
        fn of(pid: u32) -> anyhow::Result<Self> {
            let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let (start, rest) = text.rsplit_once(')').context("no name in parentheses")?;
            let (_, name) = start.split_once('(').context("no name in parentheses")?;
            Ok(Self { name: name.to_owned(), rest: rest.split_whitespace().map(str::to_owned).collect() })
        }

        /// A field by its number as the manual counts them.
        fn field(&self, number: usize) -> anyhow::Result<u64> {
            Ok(self.rest.get(number - 3).context("a field is missing")?.parse()?)
        }
    }

    /// The processor time of a process without its children.
    fn cpu(pid: u32) -> anyhow::Result<Duration> {
        let stat = Stat::of(pid)?;
        let ticks = stat.field(14)? + stat.field(15)?;
        let ticks_per_sec = sysconf(SysconfVar::CLK_TCK)?.context("the clock has no ticks")?;
        Ok(Duration::from_millis(ticks * 1_000 / u64::try_from(ticks_per_sec)?))
    }

    /// A line of `/proc/PID/status`, in KiB.
    fn memory(pid: u32, line: &str) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let value = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let value = value.with_context(|| format!("process {pid} has no {line}"))?;
        Ok(value.trim().trim_end_matches(" kB").parse()?)
    }

    fn megabytes(kib: u64) -> f64 {
        f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1_024.0
    }

    fn size(data: &DataDir) -> anyhow::Result<u64> {
        Ok(fs::metadata(data.events())?.len())
    }
}
