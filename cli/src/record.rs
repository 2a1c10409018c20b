//! `record`: the processes of this system as changes, for `replay`.
//!
//! One snapshot is compared with what the one before came to, as the agent does it: by `proc_id`, the first `parent_id`
//! kept, samples aside unless they are asked for. A snapshot goes out in one piece, so whatever ends this between two
//! of them leaves a whole file.

mod changes;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::parse_interval;

use self::changes::Recording;
use crate::output::Format;
use crate::query::incomplete;
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, failed, live, path_remedy, signals, watch, with_exit_codes};

/// How long a signal waits for the snapshot that is being written.
const WRITING_TIME: Duration = Duration::from_secs(2);

/// Record the processes of this system as changes, for `replay`.
///
/// First a line for each process there is, then with each snapshot a line for each that came, changed or went, and the
/// rows of `process_starts` and `process_exits` that an agent would make of it. Samples (`status`, `cpu_usage`,
/// `memory_usage`, `threads`) are left out unless --samples asks for them; `collection_time` is that of the snapshot
/// which first had the row as it is. What the collector hides stays hidden: secrets that it recognises are replaced.
/// Command lines and environments may hold others, so the file is made for its owner's eyes only: look before you
/// share it. Goes on until Ctrl-C, or as long as --for or --snapshots says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Record {
    /// The file to make, or `-` for standard output [default: standard output, unless it is a terminal]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// How often to take a snapshot
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = watch::every)]
    interval: Duration,
    /// End after this time, such as 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = lasting, conflicts_with = "snapshots")]
    lasting: Option<Duration>,
    /// End after this many snapshots
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    snapshots: Option<u64>,
    /// Record only this table; may be repeated [default: all three]
    #[arg(long = "table", value_name = "TABLE", value_enum)]
    tables: Vec<Recorded>,
    /// Record samples too: a process whose samples moved disappears and appears
    #[arg(long)]
    samples: bool,
    /// Replace FILE where there is one
    #[arg(long, requires = "file")]
    force: bool,
}

/// A table that can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Recorded {
    Processes,
    ProcessStarts,
    ProcessExits,
}

impl Recorded {
    fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::ProcessStarts => "process_starts",
            Self::ProcessExits => "process_exits",
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli record --for 10m changes.ndjson
  daemoneye-cli record --snapshots 5 --interval 200ms | jq -c .row.name
  daemoneye-cli replay changes.ndjson --rules rules";

fn lasting(text: &str) -> Result<Duration, String> {
    let micros = parse_interval(text).filter(|micros| *micros > 0);
    let micros = micros.ok_or("write a number and a unit, such as 30s or 10m")?;
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// Where the lines go.
enum Output {
    Standard,
    File {
        file: File,
        /// Up to the end of the last snapshot.
        len: u64,
    },
}

impl Output {
    /// The file to make, or standard output; and what that is called.
    fn open(path: Option<&Path>, force: bool) -> anyhow::Result<(Self, String)> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            if path.is_none() && io::stdout().is_terminal() {
                bail!("standard output is a terminal; name a file, or `-` to see the lines");
            }
            return Ok((Self::Standard, "standard output".to_owned()));
        };
        let shown = path.display();
        let mut options = OpenOptions::new();
        options.write(true).truncate(true).create(true).create_new(!force);
        owners_only(&mut options);
        match options.open(path) {
            Ok(file) => Ok((Self::File { file, len: 0 }, shown.to_string())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{shown} exists; --force replaces it")
            }
            Err(error) => Err(failed(format!("cannot make {shown}"), &error, path_remedy(&error))),
        }
    }

    /// Writes a snapshot whole, or not at all where the file cannot take it.
    fn write(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Standard => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Self::File { file, len } => {
                file.write_all(text.as_bytes()).inspect_err(|_| {
                    let _as_it_is_then = file.set_len(*len);
                })?;
                *len += text.len() as u64;
                Ok(())
            }
        }
    }
}

/// Command lines and environments are nobody else's business.
#[cfg(unix)]
fn owners_only(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn owners_only(_: &mut OpenOptions) {}

/// What was written.
#[derive(Default)]
struct Written {
    snapshots: u64,
    lines: u64,
}

impl Written {
    fn describe(&self, place: &str) -> String {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let lines = count(number(self.lines), "line", "lines");
        format!("{lines} of {} in {place}", count(number(self.snapshots), "snapshot", "snapshots"))
    }
}

pub(crate) fn run(record: &Record, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    if globals.output.is_some_and(|form| form != Format::Ndjson) {
        bail!("a recording is ndjson: leave out -o");
    }
    let (mut out, place) = Output::open(record.file.as_deref(), record.force)?;
    let mut look = live::snapshots()?;
    let mut recording = Recording::new(record.samples);
    let wanted = |table: Recorded| record.tables.is_empty() || record.tables.contains(&table);
    let written = Arc::new(Mutex::new(Written::default()));
    end_in_order(written.clone(), place.clone(), screen.measured())?;
    let mut completeness = Completeness::default();
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let snapshot = look(live::now())?;
        if recording.is_new() {
            let processes = count(snapshot.rows.num_rows(), "process", "processes");
            screen.say(Mark::Note, &format!("{processes} · {}", live::note(&snapshot)));
        }
        completeness = completeness.and(&snapshot.completeness);
        let (text, lines) = recording.take(&snapshot, &wanted);
        let mut done = written.lock().unwrap_or_else(PoisonError::into_inner);
        match out.write(&text) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(Ending::Done { found: false, degraded: false });
            }
            Err(error) => return Err(failed(format!("cannot write to {place}"), error, "free space there")),
        }
        done.snapshots += 1;
        done.lines += lines;
        let is_last = record.snapshots.is_some_and(|snapshots| done.snapshots >= snapshots);
        drop(done);
        let rest = record.interval.saturating_sub(asked.elapsed());
        if is_last || record.lasting.is_some_and(|lasting| began.elapsed() + rest > lasting) {
            break;
        }
        std::thread::sleep(rest);
    }
    screen.say(Mark::Note, &written.lock().unwrap_or_else(PoisonError::into_inner).describe(&place));
    if !completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&completeness));
    }
    Ok(Ending::Done { found: false, degraded: !completeness.is_complete() })
}

/// A signal ends the program between two snapshots.
fn end_in_order(written: Arc<Mutex<Written>>, place: String, screen: Screen) -> anyhow::Result<()> {
    let _resized = signals::end_on_request(move || {
        let began = Instant::now();
        while began.elapsed() < WRITING_TIME {
            if let Ok(last) = written.try_lock() {
                screen.say(Mark::Note, &last.describe(&place));
                // Whoever would write now waits for ever, which is until the end of this thread's program.
                std::mem::forget(last);
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    })?;
    Ok(())
}
