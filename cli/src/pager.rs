//! Standard output through a pager, where it turns out longer than the terminal.
//!
//! The first lines are held until it is known whether the rest fits. All text from outside was neutralised before it
//! comes here, so the only escapes that a pager sees are colours of ours.

use std::io::{self, ErrorKind, StdoutLock, Write};
use std::process::{Child, Command, Stdio};

use crate::screen::{Mark, Screen};
use crate::signals;

/// Bytes that are held: more than any screen shows.
const HELD_LEN_MAX: usize = 1 << 20;
/// Lines below the output: a note, and the shell's prompt.
const LINES_BELOW: usize = 2;
/// What is used where nobody names a pager, if it is there.
const USUAL: &str = "less -FRX";

/// A program that shows long text page by page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pager {
    /// The program and its arguments.
    words: Vec<String>,
    /// Somebody asked for this one: where it is missing, that is worth a word.
    is_named: bool,
    /// Lines of the terminal.
    lines: usize,
}

impl Pager {
    /// The pager of the settings, else what `PAGER` names, else `less`; nothing where that is `cat`.
    pub(crate) fn new(setting: Option<&str>, variable: &dyn Fn(&str) -> Option<String>, lines: usize) -> Option<Self> {
        let named = setting.map(str::to_owned).or_else(|| variable("PAGER"));
        let words = named.as_deref().unwrap_or(USUAL).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let is_pager = words.first().is_some_and(|program| program != "cat");
        is_pager.then_some(Self { words, is_named: named.is_some(), lines })
    }

    /// Starts it. From then on Ctrl-C is the pager's: it must not lose the terminal to a shell.
    fn start(&self) -> io::Result<Child> {
        let (program, arguments) = self.words.split_first().expect("a pager has a name");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", "FRX");
        }
        let child = command.spawn()?;
        signals::leave_interrupts_to_others();
        Ok(child)
    }
}

/// Where the bytes go.
enum Way {
    /// They may fit.
    Held(Vec<u8>),
    /// To standard output.
    Through(StdoutLock<'static>),
    /// To the pager.
    Paged(Child),
}

/// Standard output, or the pager in its place.
pub(crate) struct Paged<'a> {
    screen: &'a Screen,
    way: Way,
    lines: usize,
}

impl<'a> Paged<'a> {
    pub(crate) fn new(screen: &'a Screen) -> Self {
        let way = if screen.pager.is_some() { Way::Held(Vec::new()) } else { Way::Through(io::stdout().lock()) };
        Self { screen, way, lines: 0 }
    }

    /// Shows what was held, or waits until the reader has seen enough.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.way, Way::Held(Vec::new())) {
            Way::Held(held) => {
                let mut out = io::stdout().lock();
                out.write_all(&held).and_then(|()| out.flush())
            }
            Way::Through(mut out) => out.flush(),
            Way::Paged(mut child) => {
                drop(child.stdin.take());
                child.wait().map(drop)
            }
        }
    }

    /// The terminal is full: whatever is held, and all that follows, goes to the pager, or where there is none on.
    fn overflow(&mut self) -> io::Result<()> {
        let Way::Held(held) = &mut self.way else { return Ok(()) };
        let held = std::mem::take(held);
        let pager = self.screen.pager.as_ref().expect("only then is anything held");
        self.way = match pager.start() {
            Ok(child) => Way::Paged(child),
            Err(error) => {
                if pager.is_named || error.kind() != ErrorKind::NotFound {
                    let next = "set DAEMONEYE_PAGER, or use --no-pager";
                    let text = format!("cannot start the pager `{}`: {error}; {next}", pager.words.join(" "));
                    self.screen.say(Mark::Warning, &text);
                }
                Way::Through(io::stdout().lock())
            }
        };
        self.write_all(&held)
    }
}

impl Write for Paged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::Held(held) => {
                held.extend_from_slice(bytes);
                self.lines += bytes.split(|byte| *byte == b'\n').count() - 1;
                let room = self.screen.pager.as_ref().map_or(0, |pager| pager.lines.saturating_sub(LINES_BELOW));
                if self.lines > room || held.len() > HELD_LEN_MAX {
                    self.overflow()?;
                }
                Ok(bytes.len())
            }
            Way::Through(out) => out.write(bytes),
            Way::Paged(child) => child.stdin.as_mut().expect("it is open until the end").write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            // What is held is shown at the end.
            Way::Held(_) => Ok(()),
            Way::Through(out) => out.flush(),
            Way::Paged(child) => child.stdin.as_mut().expect("it is open until the end").flush(),
        }
    }
}

/// A pager that is left, on whatever way, is waited for: the terminal is its own until then.
impl Drop for Paged<'_> {
    fn drop(&mut self) {
        if let Way::Paged(child) = &mut self.way {
            drop(child.stdin.take());
            let _ended = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(setting: Option<&str>, pager: Option<&str>) -> Option<String> {
        let variable = |name: &str| pager.filter(|_| name == "PAGER").map(str::to_owned);
        Pager::new(setting, &variable, 24).map(|pager| pager.words.join(" "))
    }

    #[test]
    fn ours_goes_before_everybodys_and_cat_is_none() {
        assert_eq!(words(None, None).unwrap(), USUAL);
        assert_eq!(words(None, Some("more")).unwrap(), "more");
        assert_eq!(words(Some("less  -S"), Some("more")).unwrap(), "less -S");
        assert_eq!(words(Some("cat"), Some("more")), None);
        assert_eq!(words(None, Some("cat")), None);
        assert_eq!(words(None, Some(" ")), None);
    }
}
