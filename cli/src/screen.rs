//! How the two streams look (colour, glyphs, width, time zone), and the messages on standard error.
//!
//! Standard output and standard error are decided separately: one may be a terminal and the other a file. The setting
//! `cli.color` (a flag, then `DAEMONEYE_COLOR`, then files) goes before `NO_COLOR`, that before `CLICOLOR_FORCE`, that
//! before what the stream is:
//!
//! | | colour | width |
//! |---|---|---|
//! | a terminal | yes | its own |
//! | a pipe or a file | no | `COLUMNS`, else unlimited |
//! | `CI` is set | where the log renders it | 100 |
//! | `TERM` is `dumb` or unset | no | 80 |
//!
//! The last row that applies counts. Glyphs are Unicode where the locale is UTF-8, unless `--ascii` is given or `TERM`
//! is `dumb` or unset.

use std::env;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style as Paint};
use daemoneye_dsl::alert::Level;
use daemoneye_dsl::diagnostic::{Diagnostic, Source, Style};
use daemoneye_settings::choices::Color;
use daemoneye_settings::{Cli, Error, Problems};
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use crate::pager::Pager;
use crate::progress::Shows;
use crate::shown::Shown;

/// Columns of a terminal that does not say how many it has, and of one that can do nothing.
const WIDTH_DEFAULT: usize = 80;
/// Lines of a terminal that does not say how many it has.
const LINES_DEFAULT: usize = 24;
/// Columns of the log of a build.
const WIDTH_OF_CI: usize = 100;
/// Build services whose logs render colours.
const COLOURED_CI: [&str; 7] = ["GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TRAVIS", "DRONE", "APPVEYOR"];

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
    /// Where output goes that is longer than the terminal.
    pub(crate) pager: Option<Pager>,
}

/// A variable of the environment; an empty one is as one that is not set.
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

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
    pub(crate) fn new(settings: &Cli, quiet: bool, no_pager: bool) -> Self {
        let ascii = settings.ascii || !shows_unicode(&variable);
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let out_width = width(&variable, out.then(|| size().0));
        let err_width = err.then(|| width(&variable, Some(columns(terminal_size::terminal_size_of(io::stderr())))));
        let style =
            |is_terminal, width| Style { colour: is_coloured(settings.color, &variable, is_terminal), ascii, width };
        Self {
            out: style(out, out.then_some(out_width)),
            err: style(err, err_width),
            width: out_width,
            err_width,
            zone: if settings.utc { TimeZone::UTC } else { TimeZone::system() },
            shows: Shows::fitting(quiet, err, variable),
            quiet,
            pager: (out && is_able(&variable) && !no_pager)
                .then(|| Pager::new(settings.pager.as_deref(), &variable, size().1))
                .flatten(),
        }
    }

    /// It as the terminal is now.
    pub(crate) fn measured(&self) -> Self {
        let width = if io::stdout().is_terminal() { width(&variable, Some(size().0)) } else { self.width };
        Self { width, zone: self.zone.clone(), pager: None, ..*self }
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

    /// Says what is wrong with settings on standard error: drawn over its text where there is one.
    pub(crate) fn draw_problems(&self, problems: &Problems) {
        for problem in &problems.0 {
            match problem {
                Error::Found(finding) => self.draw(std::slice::from_ref(&finding.diagnostic), &finding.source),
                other => self.say(Mark::Error, &other.to_string()),
            }
        }
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

/// When help and clap's own errors are coloured: they are written before the arguments are known.
pub(crate) fn color_of_help() -> clap::ColorChoice {
    let mut arguments = env::args().skip(1);
    let mut flag = None;
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--color") {
            Some("") => flag = arguments.next(),
            Some(value) => flag = value.strip_prefix('=').map(str::to_owned),
            None => {}
        }
    }
    match flag.or_else(|| variable("DAEMONEYE_COLOR")).as_deref() {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

fn is_coloured(asked: Color, variable: Variable<'_>, is_terminal: bool) -> bool {
    match asked {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if variable("NO_COLOR").is_some() => false,
        Color::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Color::Auto if variable("CLICOLOR").as_deref() == Some("0") || is_dumb(variable) => false,
        Color::Auto if variable("CI").is_some() => COLOURED_CI.iter().any(|name| variable(name).is_some()),
        Color::Auto => is_terminal,
    }
}

/// Whether the terminal can do no more than print lines.
fn is_dumb(variable: Variable<'_>) -> bool {
    cfg!(unix) && variable("TERM").is_none_or(|terminal| terminal == "dumb")
}

/// Whether there is somebody at the terminal, and it can do more than print lines: for a pager, or drawing in place.
fn is_able(variable: Variable<'_>) -> bool {
    !is_dumb(variable) && variable("CI").is_none()
}

/// Whether standard output is a terminal that can be drawn on in place.
pub(crate) fn draws_in_place() -> bool {
    io::stdout().is_terminal() && is_able(&variable)
}

/// Whether the locale is UTF-8, by the variable that decides it, and the terminal more than a line printer. Where there
/// are no such variables, every console shows Unicode.
fn shows_unicode(variable: Variable<'_>) -> bool {
    if !cfg!(unix) {
        return true;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default().to_ascii_lowercase();
    (locale.contains("utf-8") || locale.contains("utf8")) && !is_dumb(variable)
}

/// The columns of a stream, `terminal` being those of the terminal that it is.
fn width(variable: Variable<'_>, terminal: Option<usize>) -> usize {
    let told = || variable("COLUMNS")?.parse().ok().filter(|columns| *columns > 0);
    match (terminal, told()) {
        (None, Some(columns)) => columns,
        _ if is_dumb(variable) => WIDTH_DEFAULT,
        _ if variable("CI").is_some() => WIDTH_OF_CI,
        (Some(columns), _) => columns,
        (None, None) => usize::MAX,
    }
}

/// Columns and lines of the terminal that standard output is.
pub(crate) fn size() -> (usize, usize) {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let lines = terminal.map(|(_, height)| usize::from(height.0)).filter(|lines| *lines > 0);
    (columns(terminal), lines.unwrap_or(LINES_DEFAULT))
}

fn columns(terminal: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    terminal.map(|(width, _)| usize::from(width.0)).filter(|columns| *columns > 0).unwrap_or(WIDTH_DEFAULT)
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

    fn set<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[cfg(unix)]
    #[test]
    fn the_locale_decides_the_glyphs() {
        let with = |variables: &[(&str, &str)]| shows_unicode(&set(variables));
        assert!(with(&[("LANG", "de_DE.UTF-8"), ("TERM", "xterm")]));
        assert!(with(&[("LANG", "C"), ("LC_ALL", "C.utf8"), ("TERM", "linux")]));
        assert!(!with(&[("LANG", "C.UTF-8"), ("LC_ALL", "C"), ("TERM", "xterm")]));
        assert!(!with(&[("LANG", "C.UTF-8"), ("TERM", "dumb")]));
        assert!(!with(&[("LANG", "C.UTF-8")]));
        assert!(!with(&[("TERM", "xterm")]));
    }

    #[cfg(unix)]
    #[test]
    fn the_last_row_that_applies_decides_the_width() {
        let with = |variables: &[(&str, &str)], terminal| width(&set(variables), terminal);
        let able = ("TERM", "xterm");
        assert_eq!(with(&[able], Some(140)), 140);
        assert_eq!(with(&[able], None), usize::MAX);
        assert_eq!(with(&[able, ("COLUMNS", "60")], None), 60);
        assert_eq!(with(&[able, ("COLUMNS", "60")], Some(140)), 140, "the terminal knows better");
        assert_eq!(with(&[able, ("CI", "true")], None), 100);
        assert_eq!(with(&[("TERM", "dumb"), ("CI", "true")], Some(140)), 80);
        assert_eq!(with(&[], None), 80);
    }

    #[test]
    fn messages_break_between_words() {
        assert_eq!(wrapped("one two three", 80, "  "), "one two three");
        assert_eq!(wrapped("one two three", 7, "  "), "one two\n  three");
        assert_eq!(wrapped("漢字 abc a-very-long-word x", 8, "  "), "漢字 abc\n  a-very-long-word\n  x");
        assert_eq!(wrapped("  x", 8, "  "), "  x");
    }

    #[cfg(unix)]
    #[test]
    fn a_flag_goes_before_what_was_found() {
        let able = ("TERM", "xterm");
        for (asked, variables, terminal, expected) in [
            (Color::Auto, &[able][..], true, true),
            (Color::Auto, &[able], false, false),
            (Color::Always, &[able, ("NO_COLOR", "1")], false, true),
            (Color::Never, &[able, ("CLICOLOR_FORCE", "1")], true, false),
            (Color::Auto, &[able, ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, false),
            (Color::Auto, &[able, ("CLICOLOR_FORCE", "1")], false, true),
            (Color::Auto, &[able, ("CLICOLOR_FORCE", "0")], false, false),
            (Color::Auto, &[able, ("CLICOLOR", "0")], true, false),
            (Color::Auto, &[("TERM", "dumb")], true, false),
            (Color::Auto, &[], true, false),
            (Color::Auto, &[("CLICOLOR_FORCE", "1")], true, true),
            (Color::Auto, &[able, ("CI", "1")], true, false),
            (Color::Auto, &[able, ("CI", "1"), ("GITHUB_ACTIONS", "true")], false, true),
        ] {
            assert_eq!(is_coloured(asked, &set(variables), terminal), expected, "{asked:?} {variables:?} {terminal}");
        }
    }
}
