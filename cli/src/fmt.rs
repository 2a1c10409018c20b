//! `fmt`: rule files in the usual form.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::format::format;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::untrusted::Untrusted;
use similar::TextDiff;

use crate::output::print;
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, files, replace, with_exit_codes};

/// Put rule files into the usual form.
///
/// Annotations go into their order, and the SQL onto its lines; nothing else changes, so a rule keeps its revision. A
/// file that does not parse, or would change its meaning, is left as it is, and said.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Fmt {
    /// Rule files and folders of them; `-` formats standard input [default: ./rules, else the installed rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write nothing: name the files that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Write nothing: show what would change
    #[arg(long)]
    diff: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli fmt                        the rules in ./rules
  daemoneye-cli fmt --diff rules/linux     what would change?
  daemoneye-cli fmt --check                the gate for CI
  daemoneye-cli fmt - < rule.sql           for an editor";

/// What became of the files.
#[derive(Default)]
struct Tally {
    changed: usize,
    refused: usize,
}

pub(crate) fn run(fmt: &Fmt, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    if globals.output.is_some() {
        bail!("fmt has no other form of output: leave out -o");
    }
    if fmt.paths.iter().any(|path| path == Path::new("-")) {
        return standard_input(fmt, globals, screen);
    }
    let found = files::rules(&fmt.paths, &globals.settings)?;
    let catalog = Catalog::builtin().with_lists(found.lists).with_limits(globals.settings.limits);
    let mut tally = Tally::default();
    for source in &found.sources {
        match format(source, &catalog) {
            Err(findings) => {
                screen.draw(&findings, source);
                tally.refused += 1;
            }
            Ok(text) if text == source.text => {}
            Ok(text) => fmt.changed(source, &text, &mut tally, screen)?,
        }
    }
    for error in &found.unreadable {
        screen.say(Mark::Error, &error.to_string());
    }
    fmt.conclude(&tally, found.sources.len(), screen);
    if tally.refused > 0 || !found.unreadable.is_empty() {
        return Ok(Ending::Refused);
    }
    Ok(Ending::Done { found: fmt.check && tally.changed > 0, degraded: false })
}

fn standard_input(fmt: &Fmt, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    if fmt.paths.len() > 1 {
        bail!("`-` is standard input and stands alone; format files in a run of their own");
    }
    let source = files::statement(Path::new("-"))?;
    let text = match format(&source, &Catalog::builtin().with_limits(globals.settings.limits)) {
        Ok(text) => text,
        Err(findings) => {
            screen.draw(&findings, &source);
            return Ok(Ending::Refused);
        }
    };
    if fmt.diff {
        write_diff(&source, &text, screen)?;
    } else if !fmt.check {
        // Exactly the text: it goes back to where it came from.
        io::stdout().write_all(text.as_bytes())?;
    }
    Ok(Ending::Done { found: fmt.check && text != source.text, degraded: false })
}

impl Fmt {
    fn changed(&self, source: &Source, text: &str, tally: &mut Tally, screen: &Screen) -> anyhow::Result<()> {
        tally.changed += 1;
        if self.diff {
            write_diff(source, text, screen)?;
        }
        if self.check || self.diff {
            screen.say(Mark::Note, &format!("would format {}", source.path));
        } else if let Err(error) = replace::rewrite(Path::new(&source.path), &source.text, text) {
            screen.say(Mark::Error, &format!("{error:#}"));
            tally.changed -= 1;
            tally.refused += 1;
        } else {
            screen.say(Mark::Note, &format!("formatted {}", source.path));
        }
        Ok(())
    }

    fn conclude(&self, tally: &Tally, all: usize, screen: &Screen) {
        let same = count(all - tally.changed - tally.refused, "file was", "files were");
        let would = if self.check || self.diff { "would be formatted" } else { "formatted" };
        let refused = if tally.refused > 0 { format!(", {} left as they are", tally.refused) } else { String::new() };
        screen.say(Mark::Note, &format!("{} {would}, {same} right already{refused}", tally.changed));
    }
}

/// A unified diff. On a terminal what could act on it is made visible; elsewhere the text is exact, so that `patch`
/// takes it.
fn write_diff(source: &Source, text: &str, screen: &Screen) -> anyhow::Result<()> {
    let path = &source.path;
    let diff = TextDiff::from_lines(source.text.as_str(), text);
    let diff = diff.unified_diff().header(path, path).to_string();
    print(screen, |out| {
        diff.split_inclusive('\n').try_for_each(|line| {
            if io::stdout().is_terminal() {
                writeln!(out, "{}", Untrusted(line.trim_end_matches(['\r', '\n'])).terminal())
            } else {
                out.write_all(line.as_bytes())
            }
        })
    })?;
    Ok(())
}
