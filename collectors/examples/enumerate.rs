//! How long it takes to list all processes: our reader of `/proc`, the `sysinfo` crate, and a bare read of the files
//! that ours reads, in microseconds per process. The three take turns in one run; the median of the rounds counts.
//!
//! `cargo run --release -p daemoneye-collectors --example enumerate [IDLE_PROCESSES [ROUNDS]]` starts that many
//! sleeping processes first.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("there is nothing to compare here: only Linux has a reader of ours");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::io::Read;
    use std::process::{Child, Command};
    use std::time::Instant;

    use daemoneye_collectors::Collector;
    use daemoneye_collectors::processes::{linux::LinuxProcesses, portable::PortableProcesses};
    use daemoneye_dsl::types::Timestamp;

    pub(super) fn main() -> anyhow::Result<()> {
        let mut arguments = std::env::args().skip(1);
        let idle: usize = arguments.next().map_or(Ok(500), |count| count.parse())?;
        let rounds: usize = arguments.next().map_or(Ok(15), |count| count.parse())?;
        let mut children: Vec<Child> =
            (0..idle).map(|_| Command::new("sleep").arg("600").spawn()).collect::<Result<_, _>>()?;
        let measured = measure(rounds);
        children.iter_mut().try_for_each(|child| child.kill().and_then(|()| child.wait()).map(drop))?;
        measured
    }

    fn measure(rounds: usize) -> anyhow::Result<()> {
        let mut ours = LinuxProcesses::new()?;
        let mut sysinfo = PortableProcesses::new()?;
        let mut buffer = vec![0; 256 << 10];
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..=rounds {
            times[0].push(per_process(|| bare(&mut buffer)));
            times[1].push(per_process(|| ours.collect(Timestamp(0)).map_or(0, |snapshot| snapshot.rows.num_rows())));
            times[2].push(per_process(|| sysinfo.collect(Timestamp(0)).map_or(0, |snapshot| snapshot.rows.num_rows())));
        }
        let [bare, ours, sysinfo] = times.map(median);
        println!("bare read  {bare:7.1} µs per process");
        println!("ours       {ours:7.1} µs per process, {:.2} × the bare read", ours / bare);
        println!("sysinfo    {sysinfo:7.1} µs per process, {:.2} × the bare read", sysinfo / bare);
        Ok(())
    }

    fn per_process(list: impl FnOnce() -> usize) -> f64 {
        let start = Instant::now();
        let count = u32::try_from(list()).unwrap_or(u32::MAX);
        start.elapsed().as_secs_f64() * 1e6 / f64::from(count.max(1))
    }

    /// The first round warms up and does not count.
    fn median(mut times: Vec<f64>) -> f64 {
        times.remove(0);
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    /// Reads what ours reads and does nothing with it.
    fn bare(buffer: &mut [u8]) -> usize {
        let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
        let pids = names.filter_map(|name| name.into_string().ok()).filter(|name| name.parse::<u32>().is_ok());
        pids.map(|pid| bare_process(&pid, buffer)).count()
    }

    fn bare_process(pid: &str, buffer: &mut [u8]) {
        let path = |name: &str| format!("/proc/{pid}/{name}");
        let mut read = |name| File::open(path(name)).and_then(|mut file| file.read(buffer)).unwrap_or(0);
        read("stat");
        read("status");
        // What a kernel thread does not have is not asked for.
        if fs::read_link(path("exe")).is_ok_and(|target| fs::metadata(target).is_ok()) {
            read("cmdline");
            read("cgroup");
            read("environ");
            drop((fs::read_link(path("cwd")), fs::metadata(path("exe")), fs::metadata(path("ns/mnt"))));
        }
    }
}
