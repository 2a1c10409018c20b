//! Processes that a benchmark starts, and the few words between them: a child says `ready` on a line, does what it is
//! for, most of them once they are told on a line, and says numbers on a last line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// The first argument of a child.
pub const ROLE: &str = "--role";

/// A process, killed with this value.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program that says nothing to anybody.
    pub fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().with_context(|| format!("cannot start {}", program.display()))?))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// This program in a role.
#[derive(Debug)]
pub struct Role {
    process: Running,
    says: BufReader<ChildStdout>,
    hears: ChildStdin,
}

impl Role {
    /// Starts it; returns once it is ready.
    pub fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(ROLE).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let says = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        let hears = child.stdin.take().expect("a pipe was asked for");
        let mut role = Self { process: Running(child), says, hears };
        let line = role.line()?;
        ensure!(line == "ready", "`{}` said `{line}` instead of `ready`", arguments.join(" "));
        Ok(role)
    }

    /// Tells it to begin.
    pub fn go(&mut self) -> anyhow::Result<()> {
        self.hears.write_all(b"go\n").context("a process of the benchmark is gone")
    }

    /// The same with the word said.
    pub fn going(mut self) -> anyhow::Result<Self> {
        self.go()?;
        Ok(self)
    }

    /// What it says in the end.
    pub fn numbers<const N: usize>(&mut self) -> anyhow::Result<[u64; N]> {
        let line = self.line()?;
        let numbers: Vec<u64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        <[u64; N]>::try_from(numbers).map_err(|_| anyhow::anyhow!("a process said `{line}` instead of {N} numbers"))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.says.read_line(&mut line)? == 0 {
            bail!("a process of the benchmark ended before it was done");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// In a child that serves: says that it is ready, and ends with whoever started it.
pub fn serve() -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    say("ready")
}

/// In a child: says that it is ready, and waits for the word.
pub fn ready() -> anyhow::Result<()> {
    say("ready")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    ensure!(line == "go\n", "whoever started this is gone");
    Ok(())
}

/// In a child: the last line.
pub fn tell(numbers: &[u64]) -> anyhow::Result<()> {
    say(&numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" "))
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The processor time that a process has used.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name comes second, in parentheses, and may hold anything.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).context(path.clone());
    let per_sec = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(Duration::from_secs_f64(f64::from(ticks(11)? + ticks(12)?) / f64::from(u32::try_from(per_sec)?)))
}

/// Bytes of memory that a process holds: `VmRSS`, or the most that it ever held: `VmHWM`.
pub fn memory(pid: u32, line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")).context("no such line in a status")?;
    Ok(kib.parse::<u64>()? << 10)
}

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        ensure!(Instant::now() < deadline, "{what} was not seen within ten seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
