//! A month that is recorded as fast as it goes: how much memory does the recorder take, how soon is its store open again
//! after it was killed, and how long does it take to give back what is free in the file?
//!
//! The recorder is a process of its own, this program started again, and is fed through a pipe, so that what makes the
//! month up is not counted. It records each step in a transaction while a second thread seals, as the agent does. It is
//! killed when all is written to it and the last tenth is still being recorded; what it acknowledged must be there.
//!
//! `endurance -- N` takes N versions instead of five million.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this does")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use daemoneye_benches::measure::{number, size_or};
use daemoneye_benches::past::{ALIVE, Past, Step};
use daemoneye_storage::Store;

/// Versions of a month.
const VERSIONS: usize = 5_000_000;
/// Processes that come and go between two snapshots.
const CHURN: usize = 1_000;
/// What makes this program the recorder, followed by the store's path.
const RECORDER: &str = "--record";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args();
    if let Some(path) = arguments.find(|argument| argument == RECORDER).and(arguments.next()) {
        return record(Path::new(&path));
    }
    let versions = size_or(VERSIONS).max(2 * ALIVE);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("events.redb");
    let began = Instant::now();
    let mut recorder = Recorder::start(&path)?;
    let mut past = Past::of(versions);
    let mut given = 0;
    let mut peak = 0.0;
    while let Some(step) = past.next(CHURN) {
        given += step.rows();
        recorder.give(&step)?;
        if given * 10 >= versions * 9 {
            peak = recorder.peak()?;
            break;
        }
    }
    let (acknowledged, took) = (recorder.acknowledged()?, began.elapsed());
    println!("{acknowledged} versions in batches of {CHURN}, recorded in {:.1} s", took.as_secs_f64());
    println!("  most memory of the recorder  {peak:>8.1} MB");
    recorder.give(&past.next(CHURN).context("a tenth is left")?)?;
    std::thread::sleep(Duration::from_millis(3));
    recorder.kill()?;

    let began = Instant::now();
    let store = Store::open(&path)?;
    let opened = began.elapsed();
    let contents = store.read()?.contents()?;
    ensure!(contents.versions >= acknowledged as u64, "{acknowledged} were acknowledged: {contents:?}");
    println!("  open after it was killed     {:>8.1} ms", opened.as_secs_f64() * 1e3);
    let before = std::fs::metadata(&path)?.len();
    let began = Instant::now();
    store.compact()?;
    let took = began.elapsed();
    let after = std::fs::metadata(&path)?.len();
    println!(
        "  giving back what is free     {:>8.1} ms, {} MiB become {} MiB",
        took.as_secs_f64() * 1e3,
        before >> 20,
        after >> 20
    );
    println!(
        "  bytes of the file            {:>8.1} a version",
        number(usize::try_from(after)?) / number(usize::try_from(contents.versions)?)
    );
    let checked = store.read()?.check(&mut |_| {})?;
    ensure!(checked.is_whole() && checked.versions == contents.versions, "{checked:?}");
    Ok(())
}

/// The process that records.
struct Recorder {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
    acknowledged: usize,
    given: usize,
}

/// Steps that are on their way to the recorder: it never waits for the next.
const AHEAD: usize = 4;

impl Recorder {
    fn start(path: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(RECORDER)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = BufReader::new(process.stdout.take().context("it was asked for")?);
        Ok(Self { process, answers, acknowledged: 0, given: 0 })
    }

    fn give(&mut self, step: &Step) -> anyhow::Result<()> {
        let bytes = step.encode();
        let pipe = self.process.stdin.as_mut().context("it was asked for")?;
        pipe.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
        pipe.write_all(&bytes)?;
        self.given += 1;
        while self.given > AHEAD {
            self.hear()?;
        }
        Ok(())
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        self.acknowledged += line.trim().parse::<usize>().context("the recorder ended")?;
        self.given -= 1;
        Ok(())
    }

    /// Versions that are recorded, once all that it was given are.
    fn acknowledged(&mut self) -> anyhow::Result<usize> {
        while self.given > 0 {
            self.hear()?;
        }
        Ok(self.acknowledged)
    }

    /// The most that it ever held, in megabytes.
    fn peak(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("only Linux says it")?;
        Ok(f64::from(line.trim().trim_end_matches(" kB").parse::<u32>()?) / 1_024.0)
    }

    fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

/// What the recorder does: each step in a transaction, said when it is durable.
fn record(path: &Path) -> anyhow::Result<()> {
    let store = Arc::new(Store::open(path)?);
    let sealed = store.clone();
    std::thread::spawn(move || {
        loop {
            let began = Instant::now();
            match sealed.seal(false) {
                // As long as there is something to do it rests a little; a month takes a minute here.
                Ok(Some(_)) => std::thread::sleep(began.elapsed() / 8),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => {
                    eprintln!("{error}");
                    std::process::exit(1);
                }
            }
        }
    });
    let mut input = std::io::stdin().lock();
    loop {
        let mut len = [0; 4];
        input.read_exact(&mut len)?;
        let mut bytes = vec![0; u32::from_le_bytes(len) as usize];
        input.read_exact(&mut bytes)?;
        let step = Step::decode(&bytes)?;
        step.record(&store)?;
        println!("{}", step.rows());
    }
}
