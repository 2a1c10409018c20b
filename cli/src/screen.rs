//! How the two streams look (colour, glyphs, width, time zone), and the messages on standard error.
//!
//! Standard output and standard error are decided separately: one may be a terminal and the other a file. A flag goes
//! before `DAEMONEYE_COLOR`, that before `NO_COLOR`, that before `CLICOLOR_FORCE`, that before what the stream is.

use std::env;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style as Paint};
use daemoneye_dsl::alert::Level;
use daemoneye_dsl::diagnostic::{Diagnostic, Source, Style};
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use crate::progress::Shows;
use crate::shown::Shown;

/// Columns where nobody says how many there are.
const WIDTH_DEFAULT: usize = 80;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal that can show it
    Auto,
    /// Even into a pipe
    Always,
    /// Not at all
    Never,
}

/// The terminal, or what stands in for it.
pub(crate) struct Screen {
    /// How standard output looks.
    pub(crate) out: Style,
    /// How standard error looks.
    pub(crate) err: Style,
    /// Columns of standard output.
    pub(crate) width: usize,
    /// Columns of standard error, where it is a terminal.
    pub(crate) err_width: Option<usize>,
    /// The zone in which times are shown.
    pub(crate) zone: TimeZone,
    /// How work that takes long is shown.
    pub(crate) shows: Shows,
    /// Whether only errors are said.
    pub(crate) quiet: bool,
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A fact about the answer.
    Note,
    /// Something is missing from the answer.
    Warning,
    /// There is no answer.
    Error,
}

impl Screen {
    pub(crate) fn new(color: Option<ColorWhen>, ascii: bool, utc: bool, quiet: bool) -> Self {
        let ascii = ascii || !shows_unicode(|name| env::var(name).ok());
        let color =
            color.or_else(|| <ColorWhen as clap::ValueEnum>::from_str(&variable("DAEMONEYE_COLOR")?, true).ok());
        let style = |detected: ColorChoice| Style { colour: is_coloured(color, detected), ascii };
        Self {
            out: style(AutoStream::choice(&io::stdout())),
            err: style(AutoStream::choice(&io::stderr())),
            width: width(),
            err_width: columns(terminal_size::terminal_size_of(io::stderr())),
            zone: if utc { TimeZone::UTC } else { TimeZone::system() },
            shows: Shows::fitting(quiet, io::stderr().is_terminal(), |name| env::var(name).ok()),
            quiet,
        }
    }

    /// Says something on standard error, whatever its text holds. Nothing can be done where that fails.
    pub(crate) fn say(&self, mark: Mark, text: &str) {
        if self.quiet && mark == Mark::Note {
            return;
        }
        let (word, paint) = match mark {
            Mark::Note => ("", Paint::new()),
            Mark::Warning => ("warning: ", AnsiColor::Yellow.on_default().bold()),
            Mark::Error => ("error: ", AnsiColor::Red.on_default().bold()),
        };
        let text = glyphs(self.err, text);
        let text = Shown::new(&text, self.err.ascii).to_string();
        let text = self.err_width.map_or(text.clone(), |width| wrapped(&text, width.saturating_sub(word.len()), "  "));
        let line = format!("{}{text}\n", painted(self.err, paint, word));
        let _nobody_reads = io::stderr().write_all(line.as_bytes());
    }

    /// Draws findings on standard error.
    pub(crate) fn draw(&self, diagnostics: &[Diagnostic], source: &Source) {
        for diagnostic in diagnostics {
            let drawn = diagnostic.render(source, self.err);
            let _nobody_reads = io::stderr().write_all(format!("{drawn}\n\n").as_bytes());
        }
    }
}

/// Our own punctuation, in what the stream can show.
pub(crate) fn glyphs(style: Style, text: &str) -> String {
    const ASCII: [(char, &str); 16] = [
        ('·', "-"),
        ('×', "x"),
        ('…', "..."),
        ('◄', "<--"),
        ('│', "|"),
        ('├', "|"),
        ('└', "`"),
        ('┌', "+"),
        ('┬', "+"),
        ('┐', "+"),
        ('┤', "|"),
        ('┴', "+"),
        ('┘', "+"),
        ('┼', "+"),
        ('─', "-"),
        ('µ', "u"),
    ];
    let plain = |text: String, (from, to): &(char, &str)| text.replace(*from, to);
    if style.ascii { ASCII.iter().fold(text.to_owned(), plain) } else { text.to_owned() }
}

/// `text` in that paint, where there is colour.
pub(crate) fn painted(style: Style, paint: Paint, text: &str) -> String {
    if style.colour && !paint.is_plain() && !text.is_empty() {
        format!("{paint}{text}{paint:#}")
    } else {
        text.to_owned()
    }
}

/// The paint of a level's word; the word itself always stands there too.
pub(crate) fn paint_of(level: Level) -> Paint {
    match level {
        Level::Critical => AnsiColor::Red.on_default().bold(),
        Level::High => AnsiColor::Red.on_default(),
        Level::Medium => AnsiColor::Yellow.on_default(),
        Level::Low => AnsiColor::Cyan.on_default(),
        Level::Informational => Paint::new().dimmed(),
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_coloured(asked: Option<ColorWhen>, detected: ColorChoice) -> bool {
    match asked {
        Some(ColorWhen::Always) => true,
        Some(ColorWhen::Never) => false,
        Some(ColorWhen::Auto) | None => detected != ColorChoice::Never,
    }
}

/// Whether the locale is UTF-8, by the variable that decides it, and the terminal more than a line printer. Where there
/// are no such variables, every console shows Unicode.
fn shows_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    if !cfg!(unix) {
        return true;
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
    is_utf8 && set("TERM").is_some_and(|terminal| terminal != "dumb")
}

fn width() -> usize {
    columns(terminal_size::terminal_size_of(io::stdout()))
        .or_else(|| variable("COLUMNS")?.parse().ok())
        .unwrap_or(WIDTH_DEFAULT)
}

fn columns(terminal: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    terminal.map(|(width, _)| usize::from(width.0)).filter(|columns| *columns > 0)
}

/// The text with its words on lines of that many columns, further ones after `indent`; a longer word stays whole.
pub(crate) fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for (at, word) in text.split(' ').enumerate() {
        let columns = word.width();
        if used > 0 && used + 1 + columns > width {
            lines.push('\n');
            lines.push_str(indent);
            used = indent.width();
        } else if at > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += columns;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_locale_decides_the_glyphs() {
        let with = |set: &[(&str, &str)]| {
            shows_unicode(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(with(&[("LANG", "de_DE.UTF-8"), ("TERM", "xterm")]));
        assert!(with(&[("LANG", "C"), ("LC_ALL", "C.utf8"), ("TERM", "linux")]));
        assert!(!with(&[("LANG", "C.UTF-8"), ("LC_ALL", "C"), ("TERM", "xterm")]));
        assert!(!with(&[("LANG", "C.UTF-8"), ("TERM", "dumb")]));
        assert!(!with(&[("LANG", "C.UTF-8")]));
        assert!(!with(&[("TERM", "xterm")]));
    }

    #[test]
    fn messages_break_between_words() {
        assert_eq!(wrapped("one two three", 80, "  "), "one two three");
        assert_eq!(wrapped("one two three", 7, "  "), "one two\n  three");
        assert_eq!(wrapped("漢字 abc a-very-long-word x", 8, "  "), "漢字 abc\n  a-very-long-word\n  x");
        assert_eq!(wrapped("  x", 8, "  "), "  x");
    }

    #[test]
    fn a_flag_goes_before_what_was_found() {
        assert!(is_coloured(Some(ColorWhen::Always), ColorChoice::Never));
        assert!(!is_coloured(Some(ColorWhen::Never), ColorChoice::Always));
        assert!(is_coloured(Some(ColorWhen::Auto), ColorChoice::Always));
        assert!(!is_coloured(None, ColorChoice::Never));
    }
}
