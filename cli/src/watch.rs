//! The same question again and again: drawn in place on a terminal, appended elsewhere.
//!
//! The terminal shows its other screen meanwhile and gets the first one back, however this ends short of SIGKILL. A
//! signal ends the program from a thread of its own; it waits for the frame that is being drawn, so that nothing is
//! written after the screen was given back.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use daemoneye_dsl::types::{MICROS_PER_SEC, parse_interval};

use crate::output::print;
use crate::screen::{Mark, Screen, glyphs, size};
use crate::shown::Shown;
use crate::signals::{Resized, end_on_request};
use crate::{Ending, signals};

/// The shortest and the longest time between two rounds, in microseconds.
const EVERY_MIN: i64 = MICROS_PER_SEC / 10;
const EVERY_MAX: i64 = 86_400 * MICROS_PER_SEC;
/// How long a signal waits for the frame that is being drawn.
const DRAWING_TIME: Duration = Duration::from_millis(200);

/// The other screen, without cursor, long lines cut at the edge; and back.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// What one round has to show.
pub(crate) struct Frame {
    /// The answer, in lines.
    pub(crate) body: Vec<u8>,
    /// What is to be said about it.
    pub(crate) notes: Vec<String>,
}

/// How often to ask.
pub(crate) fn every(text: &str) -> Result<Duration, String> {
    let micros = parse_interval(text).ok_or("write a number and a unit, such as 500ms, 2s or 1m")?;
    if !(EVERY_MIN..=EVERY_MAX).contains(&micros) {
        return Err("it lies between 100ms and 1d".to_owned());
    }
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// Asks and draws in place until a signal comes. A first question that fails ends it; a later one is said and asked
/// again.
pub(crate) fn in_place<T>(
    title: &str,
    every: Duration,
    screen: &Screen,
    mut ask: impl FnMut() -> anyhow::Result<T>,
    draw: impl Fn(&T, &Screen) -> io::Result<Frame>,
) -> anyhow::Result<Ending> {
    let mut answer = ask()?;
    let mut trouble = None;
    let terminal = InPlace::enter()?;
    loop {
        let asked = Instant::now();
        let when = jiff::Timestamp::now();
        terminal.show(&lines(title, when, &draw(&answer, &screen.measured())?, trouble.as_deref(), screen))?;
        while let Some(rest) = every.checked_sub(asked.elapsed()) {
            match terminal.resized.recv_timeout(rest) {
                Ok(Resized) => {
                    let frame = draw(&answer, &screen.measured())?;
                    terminal.show(&lines(title, when, &frame, trouble.as_deref(), screen))?;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(rest),
            }
        }
        match ask() {
            Ok(new) => (answer, trouble) = (new, None),
            Err(error) => trouble = Some(format!("error: {error:#}; the rows above are older")),
        }
    }
}

/// Asks and appends until a signal comes or the reader goes away.
pub(crate) fn appended<T>(
    every: Duration,
    screen: &Screen,
    mut ask: impl FnMut() -> anyhow::Result<T>,
    write: impl Fn(&T, &mut dyn Write) -> io::Result<Vec<String>>,
) -> anyhow::Result<Ending> {
    let _resized = signals::end_on_request(|| {})?;
    let screen = screen.measured();
    let (mut first, mut said) = (true, Vec::new());
    loop {
        let asked = Instant::now();
        let warnings = match ask() {
            Err(error) if first => return Err(error),
            Err(error) => vec![format!("{error:#}; asking again")],
            Ok(answer) => {
                let written = print(&screen, |out| write(&answer, out))?;
                let Some(warnings) = written else { return Ok(Ending::Done { found: false, degraded: false }) };
                warnings
            }
        };
        // What goes on to be true is said once.
        if warnings != said {
            for warning in &warnings {
                screen.say(Mark::Warning, warning);
            }
            said = warnings;
        }
        first = false;
        std::thread::sleep(every.saturating_sub(asked.elapsed()));
    }
}

/// A frame as lines that fit the terminal's height.
fn lines(title: &str, when: jiff::Timestamp, frame: &Frame, trouble: Option<&str>, screen: &Screen) -> Vec<String> {
    let (columns, height) = size();
    let style = screen.out;
    let fitted = |text: &str| Shown::new(&glyphs(style, text), style.ascii).fit(columns).0;
    let time = when.to_zoned(screen.zone.clone()).strftime("%H:%M:%S").to_string();
    let mut lines = vec![fitted(&format!("{time}  {title}")), String::new()];
    let below: Vec<_> = frame.notes.iter().map(String::as_str).chain(trouble).map(fitted).collect();
    let body = String::from_utf8_lossy(&frame.body);
    let body: Vec<_> = body.lines().collect();
    let room = height.saturating_sub(lines.len() + below.len()).max(1);
    if body.len() <= room {
        lines.extend(body.iter().map(|line| (*line).to_owned()));
    } else {
        lines.extend(body[..room - 1].iter().map(|line| (*line).to_owned()));
        lines.push(fitted(&format!("… {} more lines", body.len() + 1 - room)));
    }
    lines.extend(below);
    lines
}

/// The terminal while it shows its other screen.
struct InPlace {
    /// Held by who writes; by the thread that ends the program for ever.
    drawing: Arc<Mutex<()>>,
    resized: Receiver<Resized>,
}

impl InPlace {
    fn enter() -> anyhow::Result<Self> {
        let drawing = Arc::new(Mutex::new(()));
        let waited = drawing.clone();
        let resized = end_on_request(move || {
            let began = Instant::now();
            while began.elapsed() < DRAWING_TIME {
                if let Ok(last) = waited.try_lock() {
                    let _nobody_looks = put(LEAVE);
                    // Whoever would draw now waits for ever, which is until the end of this thread's program.
                    std::mem::forget(last);
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        })?;
        put(ENTER)?;
        Ok(Self { drawing, resized })
    }

    fn show(&self, lines: &[String]) -> io::Result<()> {
        // To the start, each line in place of the old one, nothing left below. A line is erased first: after its last
        // column, erasing would take that column along.
        let frame = format!("\x1b[H\x1b[2K{}\x1b[J", lines.join("\r\n\x1b[2K"));
        let _drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        put(frame.as_bytes())
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        let _drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        let _nobody_looks = put(LEAVE);
    }
}

fn put(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_not_too_quick() {
        assert_eq!(every("100ms"), Ok(Duration::from_millis(100)));
        assert!(every("99ms").unwrap_err().contains("100ms"));
        assert!(every("2").unwrap_err().contains("unit"));
        assert!(every("2d").is_err());
    }
}
