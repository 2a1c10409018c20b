//! `lint`: what is wrong with rules, before they run anywhere.

use std::path::PathBuf;
use std::time::Instant;

use daemoneye_dsl::diagnostic::Severity;
use daemoneye_dsl::ruleset::RuleSet;

use crate::file_table::FileArguments;
use crate::output::{Format, print, write_json};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, files, with_exit_codes};

/// Check rules.
///
/// Every finding of every file is shown in one run, with its place and what to do about it. Needs no agent, no rights
/// and no configuration.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Lint {
    /// Rule files and folders of them [default: ./rules, else the installed rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The mildest finding that makes the check fail
    #[arg(long, value_name = "SEVERITY", value_enum, default_value = "error")]
    fail_on: FailOn,
    #[command(flatten)]
    files: FileArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// What does not compile
    Error,
    /// What works and probably not as meant, too
    Warning,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli lint                                  the rules in ./rules
  daemoneye-cli lint --fail-on warning rules/linux    the strict check for CI
  daemoneye-cli lint -o ndjson | jq -r .code          findings for programs";

pub(crate) fn run(lint: &Lint, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let form = Format::of_text(globals.output)?;
    let found = files::rules(&lint.paths, &globals.settings)?;
    let catalog =
        lint.files.load_unseen(screen)?.catalog().with_lists(found.lists).with_limits(globals.settings.limits);
    let set = RuleSet::lint(found.sources, &catalog);
    let findings = || set.files.iter().flat_map(|file| file.diagnostics.iter().map(move |it| (it, &file.source)));
    let elapsed_ms = started.elapsed().as_millis();
    match form {
        Some(form) => {
            let objects = findings().filter_map(|(it, source)| it.to_json(source).as_object().cloned());
            print(screen, |out| write_json(out, form, objects))?;
        }
        None => {
            print(screen, |out| {
                findings().try_for_each(|(it, source)| writeln!(out, "{}\n", it.render(source, screen.out)))
            })?;
        }
    }
    let of = |severity| findings().filter(|(it, _)| it.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    for error in &found.unreadable {
        screen.say(Mark::Error, &error.to_string());
    }
    let rules = count(set.files.len(), "rule", "rules");
    let (errors_said, warnings_said) = (count(errors, "error", "errors"), count(warnings, "warning", "warnings"));
    screen.say(Mark::Note, &format!("checked {rules} in {elapsed_ms} ms: {errors_said}, {warnings_said}"));
    if !found.unreadable.is_empty() {
        return Ok(Ending::Refused);
    }
    Ok(Ending::Done { found: errors > 0 || (lint.fail_on == FailOn::Warning && warnings > 0), degraded: false })
}
