//! `replay`: rules over recorded changes, step by step.
//!
//! ```text
//! file ─ ChangeFile ─► Step ─ World::take ─► Changes ─ Dataflow::step ─► Match ─► standard output
//!                               └──────── Reader ──────────┘
//! ```
//!
//! The engine is the agent's: what a rule gives here for a change is what it would give there. `--check` holds it to its
//! word, by evaluating every rule from scratch after each step.

mod play;
mod show;
mod world;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::query::{Absent, CheckedRule};
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::tables::Kind;
use daemoneye_dsl::tables::lineage::Lineage;

use self::play::{Outcome, Play};
use crate::file_table::ChangeFile;
use crate::hunt::{cpu_time, names};
use crate::output::{Format, print, write_json};
use crate::progress::{Progress, Unit};
use crate::query::incomplete;
use crate::render::Extent;
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, files, with_exit_codes};

/// Run rules over recorded changes, step by step.
///
/// Each line of FILE is a row that appears in a table or disappears from it, at a moment: {"at": 1795343400.5, "table":
/// "processes", "op": "+", "row": {"pid": 7}}. `at` is seconds since 1970, or RFC 3339 as a text; lines that follow
/// one another with equal `at` are one step, and `now()` is its moment. `record` writes such files. Columns and types
/// come from all rows of a table; a table with the name of one of the catalog stands in for it, and those of the
/// catalog that the file does not name are there and empty.
///
/// Given is every match that appears (`+`) or disappears (`-`) in a step: at the first step, whatever there is. What
/// leaves and comes within one step does not show. Tables are empty before the first step.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Replay {
    /// The file of changes, or `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A rule file or a folder of them; may be repeated [default: ./rules, else the installed rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Evaluate every rule from scratch too, after each step, and exit with 1 at the first difference
    #[arg(long)]
    check: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli record --for 1m changes.ndjson
  daemoneye-cli replay changes.ndjson --rules rules
  daemoneye-cli replay changes.ndjson --rules draft.sql --check
  zcat changes.ndjson.gz | daemoneye-cli replay - -o ndjson | jq .row";

pub(crate) fn run(replay: &Replay, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let found = files::rules(&replay.rules, &globals.settings)?;
    let before = cpu_time();
    let file = ChangeFile::load(&replay.file, screen)?;
    let read = cpu_time().saturating_sub(before);
    let before = cpu_time();
    let catalog = file.catalog().with_lists(found.lists).with_limits(globals.settings.limits);
    let set = RuleSet::check_once(found.sources, &catalog);
    let compile = cpu_time().saturating_sub(before);
    set.refused().for_each(|file| screen.draw(&file.diagnostics, &file.source));
    for error in &found.unreadable {
        screen.say(Mark::Warning, &error.to_string());
    }
    let rules: Vec<_> = set.rules().collect();
    if rules.is_empty() {
        return Ok(Ending::Refused);
    }
    let looked = format!(
        "{} from {} × {} of {} · {}",
        count(rules.len(), "rule", "rules"),
        found.place,
        count(file.steps.len(), "step", "steps"),
        count(file.len(), "change", "changes"),
        file.origin(),
    );
    screen.say(Mark::Note, &looked);
    let Some((mut outcome, extent)) = play(&file, &rules, replay.check, globals, screen)? else {
        return Ok(Ending::Done { found: false, degraded: false });
    };
    if set.refused().next().is_some() || !found.unreadable.is_empty() {
        outcome.completeness.add(Reason::RuleRefused);
    }
    if rules.iter().any(|rule| !rule.absent.is_empty()) {
        outcome.completeness.add(Reason::ColumnAbsentInData);
    }
    let summary = Summary { set: &set, rules: &rules, outcome: &outcome, file: &file, check: replay.check };
    summary.say(read, compile, globals, screen);
    if extent == Extent::Cut {
        screen.say(Mark::Note, "values cut to fit (--full shows them)");
    }
    if let Some(difference) = &outcome.difference {
        screen.say(Mark::Error, difference);
        return Ok(Ending::Done { found: true, degraded: false });
    }
    Ok(Ending::Done { found: false, degraded: !outcome.completeness.is_complete() })
}

/// Takes every step and writes what it gives; nothing where the reader went away before the end.
fn play<'f>(
    file: &'f ChangeFile,
    rules: &[&'f CheckedRule],
    check: bool,
    globals: &Globals,
    screen: &Screen,
) -> anyhow::Result<Option<(Outcome<'f>, Extent)>> {
    let form = Format::of_data(globals.output);
    let progress = Progress::begin(screen, "running rules");
    progress.step("running rules", Unit::Things, Some(file.steps.len() as u64));
    let mut play = Play::new(file, rules.to_vec(), check);
    let mut matches = std::iter::from_fn(|| {
        let taken = play.outcome.steps;
        let next = play.next();
        progress.advance((play.outcome.steps - taken) as u64);
        next
    });
    let extent = match form.json() {
        // Two cannot write to one terminal.
        Some(form) if std::io::stdout().is_terminal() => {
            let lines: Vec<_> = matches.map(|found| show::line(&found)).collect();
            drop(progress);
            print(screen, |out| write_json(out, form, lines.into_iter()))?.map(|()| Extent::Whole)
        }
        Some(form) => {
            let written = print(screen, |out| write_json(out, form, matches.by_ref().map(|found| show::line(&found))))?;
            drop(progress);
            written.map(|()| Extent::Whole)
        }
        None => {
            let table = show::table(matches, form);
            drop(progress);
            if table.rows.is_empty() && form != Format::Csv {
                Some(Extent::Whole)
            } else {
                print(screen, |out| table.write(out, form, screen, globals))?
            }
        }
    };
    Ok(extent.map(|extent| (play.outcome, extent)))
}

/// What is said after the matches.
struct Summary<'s, 'f> {
    set: &'s RuleSet,
    rules: &'s [&'f CheckedRule],
    outcome: &'s Outcome<'f>,
    file: &'s ChangeFile,
    check: bool,
}

impl Summary<'_, '_> {
    fn say(&self, read: Duration, compile: Duration, globals: &Globals, screen: &Screen) {
        let Self { outcome, .. } = self;
        let named = |rules: &[&str]| names(rules, globals.verbose);
        let note = |text: String| screen.say(Mark::Note, &text);
        let extent = if outcome.completeness.is_complete() { "complete" } else { "incomplete" };
        let matches = count(outcome.appeared, "match", "matches");
        note(format!("{matches} appeared, {} disappeared · {extent}", outcome.disappeared));
        let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let check = if self.check { format!(", {} to check", millis(outcome.checked)) } else { String::new() };
        note(format!(
            "compiled {}, refused {} · {} · processor: {} to read, {} to compile, {} to run{check}",
            self.rules.len(),
            self.set.refused().count(),
            count(outcome.steps, "step", "steps"),
            millis(read),
            millis(compile),
            millis(outcome.run),
        ));
        if self.check && outcome.difference.is_none() {
            let rules = count(self.rules.len() - outcome.stopped.len(), "rule", "rules");
            let steps = count(outcome.steps, "step", "steps");
            note(format!("checked: after each of {steps}, the changes of {rules} add up to the whole answers"));
        }
        for (table, rules) in self.unnamed() {
            let reads = if rules.len() == 1 { "rule reads" } else { "rules read" };
            note(format!(
                "{} {reads} {table}, which is empty: the file does not name it ({})",
                rules.len(),
                named(&rules)
            ));
        }
        for (Absent { table, column }, rules) in self.absent() {
            let text = format!("no record of {table} has a column {column}, which is NULL ({})", named(&rules));
            screen.say(Mark::Warning, &text);
        }
        for (rule, error) in &outcome.stopped {
            screen.say(Mark::Warning, &format!("rule {rule} was stopped: {error}"));
        }
        for file in self.set.refused() {
            screen.say(Mark::Warning, &format!("rule {} was refused and did not run", file.source.stem()));
        }
        if !outcome.completeness.is_complete() {
            screen.say(Mark::Warning, &incomplete(&outcome.completeness));
        }
    }

    /// Tables of the catalog that rules read and the file does not name.
    fn unnamed(&self) -> BTreeMap<String, Vec<&str>> {
        let mut unnamed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let is_named = |name: &str| self.file.tables.iter().any(|it| it.table.name == name);
        for rule in self.rules {
            for read in rule.query.tables() {
                // Relatives are those of `processes`.
                let is_lineage = Lineage::named(&read.table.name).is_some();
                let name = if is_lineage { "processes" } else { &*read.table.name };
                if read.table.kind != Kind::Records && !is_named(name) {
                    let rules = unnamed.entry(name.to_owned()).or_default();
                    if rules.last() != Some(&rule.name()) {
                        rules.push(rule.name());
                    }
                }
            }
        }
        unnamed
    }

    /// Columns that no row has, and the rules that ask for them.
    fn absent(&self) -> BTreeMap<Absent, Vec<&str>> {
        let mut absent: BTreeMap<Absent, Vec<&str>> = BTreeMap::new();
        for rule in self.rules {
            rule.absent.iter().for_each(|it| absent.entry(it.clone()).or_default().push(rule.name()));
        }
        absent
    }
}
