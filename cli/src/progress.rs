//! What is being done, for whoever waits: one line on standard error, after half a second, gone before anything is
//! printed.
//!
//! | standard error | shows |
//! |---|---|
//! | a terminal | a line that is drawn over |
//! | a terminal that cannot (`TERM=dumb` or unset) | a line per step |
//! | anything while `CI` is set | a line every ten seconds |
//! | a pipe or a file, or `-q` | nothing |
//!
//! A thread of its own draws, so that work which reports nothing shows that it goes on. Nothing else may be written to
//! the terminal while there is a [`Progress`]: end it first.

use std::borrow::Cow;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::screen::{Screen, glyphs};
use crate::shown::Shown;

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the line is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line is written where lines stay.
const PULSE: Duration = Duration::from_secs(10);

/// How work that takes long is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Not at all.
    Nothing,
    /// As a line that is drawn over.
    Line,
    /// As a line for each step.
    Steps,
    /// As a line from time to time.
    Pulses,
}

impl Shows {
    /// What fits, by the table above.
    pub(crate) fn fitting(quiet: bool, is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let can_draw = variable("TERM").is_some_and(|terminal| !terminal.is_empty() && terminal != "dumb");
        match () {
            () if quiet => Self::Nothing,
            () if is_set("CI") => Self::Pulses,
            () if !is_terminal => Self::Nothing,
            () if can_draw || cfg!(windows) => Self::Line,
            () => Self::Steps,
        }
    }
}

/// Work that goes on until this is dropped.
pub(crate) struct Progress {
    work: Arc<Work>,
    /// Sends nothing: the drawing ends when it is dropped.
    end: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Work {
    step: Mutex<Step>,
    done: AtomicU64,
}

#[derive(Clone, Default)]
struct Step {
    what: String,
    unit: Unit,
    total: Option<u64>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    #[default]
    Things,
    /// Bytes.
    Bytes,
}

impl Progress {
    /// Begins with a first step.
    pub(crate) fn begin(screen: &Screen, what: &str) -> Self {
        let mut progress = Self::unseen();
        progress.step(what, Unit::Things, None);
        if screen.shows == Shows::Nothing {
            return progress;
        }
        let (end, ended) = mpsc::channel();
        let (work, shows, style) = (progress.work.clone(), screen.shows, screen.err);
        let text = move |work: &Work| Shown::new(&glyphs(style, &work.text()), style.ascii).to_string();
        let draw = move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                match shows {
                    Shows::Nothing => {}
                    Shows::Line => draw_line(&ended, style.ascii, || text(&work)),
                    Shows::Steps => write_steps(&ended, &work, || text(&work)),
                    Shows::Pulses => write_pulses(&ended, || text(&work)),
                }
            }
        };
        // Without a thread there is nothing to see, and the work goes on all the same.
        progress.drawing = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
        progress.end = Some(end);
        progress
    }

    /// Nothing to see.
    pub(crate) fn unseen() -> Self {
        Self { work: Arc::default(), end: None, drawing: None }
    }

    /// Goes on to the next step, of which that much is to be done.
    pub(crate) fn step(&self, what: &str, unit: Unit, total: Option<u64>) {
        let mut step = self.work.step.lock().unwrap_or_else(PoisonError::into_inner);
        *step = Step { what: what.to_owned(), unit, total };
        self.work.done.store(0, Ordering::Relaxed);
    }

    /// That much more is done.
    pub(crate) fn advance(&self, by: u64) {
        self.work.done.fetch_add(by, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end = None;
        if let Some(drawing) = self.drawing.take() {
            let _drawn_or_not = drawing.join();
        }
    }
}

impl Work {
    fn step(&self) -> Step {
        self.step.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `reading events.jsonl · 12 of 300 MB`.
    fn text(&self) -> String {
        let Step { what, unit, total } = self.step();
        let done = self.done.load(Ordering::Relaxed);
        let (size, name) = match unit {
            Unit::Things => (1, ""),
            Unit::Bytes => (1_000_000, " MB"),
        };
        match total {
            Some(total) => format!("{what} · {} of {}{name}", done.min(total) / size, total.div_ceil(size)),
            None if done > 0 => format!("{what} · {}{name}", done / size),
            None => what,
        }
    }
}

fn draw_line(ended: &Receiver<()>, ascii: bool, text: impl Fn() -> String) {
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is sound");
    line.set_style(style.tick_chars(if ascii { "|/-\\ " } else { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " }));
    loop {
        line.set_message(text());
        line.tick();
        if ended.recv_timeout(FRAME) != Err(RecvTimeoutError::Timeout) {
            return line.finish_and_clear();
        }
    }
}

fn write_steps(ended: &Receiver<()>, work: &Work, text: impl Fn() -> String) {
    let mut last: Option<Cow<'static, str>> = None;
    loop {
        let what = work.step().what;
        if last.as_deref() != Some(&what) {
            write_line(&text());
            last = Some(what.into());
        }
        if ended.recv_timeout(FRAME) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn write_pulses(ended: &Receiver<()>, text: impl Fn() -> String) {
    while ended.recv_timeout(PULSE) == Err(RecvTimeoutError::Timeout) {
        write_line(&text());
    }
}

fn write_line(text: &str) {
    let _nobody_reads = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surroundings_decide_what_is_shown() {
        let fitting = |quiet, is_terminal, set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Shows::fitting(quiet, is_terminal, |name| Some(set.iter().find(|(key, _)| key == name)?.1.clone()))
        };
        assert_eq!(fitting(false, true, &[("TERM", "xterm")]), Shows::Line);
        assert_eq!(fitting(true, true, &[("TERM", "xterm")]), Shows::Nothing);
        assert_eq!(fitting(false, false, &[("TERM", "xterm")]), Shows::Nothing);
        assert_eq!(fitting(false, false, &[("CI", "true")]), Shows::Pulses);
        assert_eq!(fitting(true, false, &[("CI", "true")]), Shows::Nothing);
        assert_eq!(fitting(false, true, &[("TERM", "xterm"), ("CI", "")]), Shows::Line);
        #[cfg(unix)]
        for set in [&[("TERM", "dumb")][..], &[]] {
            assert_eq!(fitting(false, true, set), Shows::Steps);
        }
    }

    #[test]
    fn work_is_counted() {
        let progress = Progress::unseen();
        progress.step("reading x", Unit::Bytes, Some(300_000_001));
        progress.advance(12_500_000);
        assert_eq!(progress.work.text(), "reading x · 12 of 301 MB");
        progress.step("running rules", Unit::Things, Some(9));
        assert_eq!(progress.work.text(), "running rules · 0 of 9");
        progress.step("waiting", Unit::Things, None);
        assert_eq!(progress.work.text(), "waiting");
    }
}
