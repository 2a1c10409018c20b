//! `lint`: what is wrong with rules, before they run anywhere.

mod explain;
mod fix;
mod linted;
mod report;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use daemoneye_dsl::diagnostic::{Safety, Severity};
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::tables::Catalog;

use crate::file_table::FileArguments;
use crate::lint::linted::Linted;
use crate::lint::report::Report;
use crate::screen::{Mark, Screen};
use crate::{Ending, Globals, files, with_exit_codes};

/// Check rules.
///
/// Every finding of every file is shown in one run, with its place and what to do about it. Needs no agent, no rights
/// and no configuration.
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Lint {
    /// Rule files and folders of them [default: ./rules, else the installed rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Mend what can be mended without changing what a rule finds
    #[arg(long)]
    fix: bool,
    /// With --fix: mend what changes what a rule finds, too
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,
    /// Check again whenever a file changes, until Ctrl-C
    #[arg(long, conflicts_with = "fix")]
    watch: bool,
    /// The mildest finding that makes the check fail [default: error; where CI is set: warning]
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<FailOn>,
    /// Show notes, too; they are counted in any case
    #[arg(long)]
    notes: bool,
    /// Write findings as human, json, ndjson, sarif, junit, github, gitlab or md, to FILE or standard output; may be
    /// repeated [default: human; in GitHub Actions human and github]
    #[arg(long = "report", value_name = "FORM[=FILE]", value_parser = report::parse)]
    reports: Vec<Report>,
    /// Say what a code or its name means, and what to do; `all` lists every one
    #[arg(long, value_name = "CODE", conflicts_with_all = ["paths", "fix", "watch", "fail_on", "reports", "notes"])]
    explain: Option<String>,
    #[command(flatten)]
    files: FileArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// What does not compile, or must not run
    Error,
    /// What works and probably not as meant, too
    Warning,
    /// Everything
    Note,
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }

    /// What fails where nobody says: a build is stricter than a person at work.
    fn default_here() -> Self {
        if report::is_set("CI") { Self::Warning } else { Self::Error }
    }
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli lint                                  the rules in ./rules
  daemoneye-cli lint --fix rules/execution            mend what can be mended
  daemoneye-cli lint --watch                          while you write
  daemoneye-cli lint --explain DE220                  what is that?
  daemoneye-cli lint --report sarif=lint.sarif        a file for GitHub, too
  daemoneye-cli lint -o ndjson | jq -r .code          findings for programs

`-o json` and `-o ndjson` are `--report json` and `--report ndjson`. Reports
with a FILE come on top of the one on standard output.";

pub(crate) fn run(lint: &Lint, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    if let Some(code) = &lint.explain {
        return explain::run(code, globals, screen);
    }
    let reports = report::wanted(&lint.reports, globals.output)?;
    let catalog = lint.files.load_unseen(screen)?.catalog().with_limits(globals.settings.limits);
    let once = |screen: &Screen| -> anyhow::Result<Ending> {
        let linted = lint.linted(&catalog, globals, screen)?;
        for report in &reports {
            report.write(&linted, screen)?;
        }
        linted.conclude(screen);
        Ok(linted.ending())
    };
    if lint.watch { watch::run(&lint.paths, &globals.settings, screen, once) } else { once(screen) }
}

impl Lint {
    /// The rules as they are now; with --fix, as they are afterwards.
    fn linted(&self, catalog: &Catalog, globals: &Globals, screen: &Screen) -> anyhow::Result<Linted> {
        let started = Instant::now();
        let mut found = files::rules(&self.paths, &globals.settings)?;
        let catalog = &catalog.clone().with_lists(std::mem::take(&mut found.lists));
        let mut unfixed = 0;
        if self.fix {
            let safety = if self.unsafe_fixes { Safety::ChangesMeaning } else { Safety::Safe };
            for source in &mut found.sources {
                unfixed += usize::from(!fix::file(source, catalog, safety, screen));
            }
        }
        let set = RuleSet::lint(found.sources, catalog, &daemoneye_planner::lint);
        let fail_on = self.fail_on.unwrap_or_else(FailOn::default_here).severity();
        Ok(Linted {
            set,
            unreadable: found.unreadable,
            unfixed,
            fail_on,
            shows_notes: self.notes || fail_on == Severity::Note,
            elapsed: started.elapsed(),
        })
    }
}

/// `--report` without FILE and `-o` both say what standard output is: there is one report on it.
fn refuse_two_on_standard_output(forms: &[report::Form]) -> anyhow::Result<()> {
    if let [one, other, ..] = forms {
        let (one, other) = (one.name(), other.name());
        bail!("both {one} and {other} are to go to standard output; give one a file: `--report {other}=FILE`");
    }
    Ok(())
}

impl Linted {
    /// What is said below the findings.
    fn conclude(&self, screen: &Screen) {
        for error in &self.unreadable {
            screen.say(Mark::Error, &error.to_string());
        }
        screen.say(Mark::Note, &self.counts());
        if let Some(code) = self.code_to_explain() {
            screen.say(Mark::Note, &format!("explain a code: daemoneye-cli lint --explain {code}"));
        }
    }

    fn ending(&self) -> Ending {
        if !self.unreadable.is_empty() || self.unfixed > 0 {
            return Ending::Refused;
        }
        Ending::Done { found: self.findings().any(|it| it.diagnostic.severity >= self.fail_on), degraded: false }
    }
}
