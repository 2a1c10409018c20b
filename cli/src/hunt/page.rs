//! How a hunt is shown: findings on standard output, the rest on standard error.

use std::time::Duration;

use daemoneye_dsl::alert::Level;
use daemoneye_dsl::completeness::Scope;
use daemoneye_dsl::query::Absent;
use daemoneye_dsl::ruleset::RuleFile;
use daemoneye_storage::Error;
use serde_json::json;

use super::Effort;
use super::ground::Ground;
use super::report::{Finding, Limits, Report};
use crate::Globals;
use crate::output::{Format, print, write_json};
use crate::query::incomplete;
use crate::render::{Align, Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count, paint_of};

/// Rules that one line of the summary names; `-v` names all.
const NAMED_MAX: usize = 6;

pub(super) fn show(findings: &[Finding<'_>], globals: &Globals, screen: &Screen) -> anyhow::Result<Extent> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let objects = findings.iter().map(|finding| {
            let object = json!({
                "rule": finding.rule, "level": finding.level, "title": finding.title, "row": finding.row,
                "completeness": finding.completeness.to_json(),
            });
            object.as_object().cloned().unwrap_or_default()
        });
        print(screen, |out| write_json(out, form, objects))?;
        return Ok(Extent::Whole);
    }
    let columns = vec![
        Column::new("level", Align::Left),
        Column::new("rule", Align::Text),
        Column::new("title", Align::Text),
        Column::new("techniques", Align::Text),
    ];
    let row = |finding: &Finding<'_>| {
        vec![
            finding.level.map_or_else(|| Cell::new("-"), |level| Cell::painted(level.name(), paint_of(level))),
            Cell::new(finding.rule),
            Cell::new(finding.said()),
            Cell::new(techniques(finding.tags)),
        ]
    };
    let plain = form == Format::Table;
    let rows = findings.iter().map(row).collect();
    let table = Table { columns, rows, header: !plain, indent: if plain { 2 } else { 0 } };
    Ok(print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole))
}

/// The ATT&CK techniques among tags, as analysts write them: `T1059.004`.
pub(crate) fn techniques(tags: &[String]) -> String {
    let technique = |tag: &String| {
        let id = tag.strip_prefix("attack.")?;
        id.strip_prefix('t')?.starts_with(|c: char| c.is_ascii_digit()).then(|| id.to_uppercase())
    };
    tags.iter().filter_map(technique).collect::<Vec<_>>().join(" ")
}

impl Finding<'_> {
    /// The title, else the row.
    fn said(&self) -> String {
        let cells = || {
            self.row.iter().map(|(name, value)| match value {
                serde_json::Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            })
        };
        self.title.clone().unwrap_or_else(|| cells().collect::<Vec<_>>().join(" "))
    }
}

pub(super) fn summarize(
    report: &Report<'_>,
    effort: &Effort,
    refused: &[&RuleFile],
    ground: &Ground<'_>,
    store: Option<&Error>,
    globals: &Globals,
    screen: &Screen,
) {
    let named = |rules: &[&str]| names(rules, globals.verbose);
    let note = |text: String| screen.say(Mark::Note, &text);
    let columns = |limits: &Limits<'_>| limits.columns.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if globals.verbose {
        report.timings.iter().cloned().for_each(note);
    }
    let extent = match (report.completeness.is_complete(), report.completeness.scope) {
        (true, Scope::All) => "complete",
        (true, Scope::Visible) => "complete for what you may see",
        (false, _) => "incomplete",
    };
    note(format!("{} · {extent}", by_level(&report.findings)));
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let run = effort.run.map_or_else(|| "the agent matched".to_owned(), |run| format!("{} to match", millis(run)));
    let compile = millis(effort.compile);
    let (compiled, rows) = (effort.compiled, count(report.rows, "row", "rows"));
    let matches = count(report.findings.len(), "match", "matches");
    note(format!(
        "compiled {compiled}, refused {} · {rows}, {matches} · processor: {compile} to compile, {run}",
        refused.len()
    ));
    if !report.need_history.is_empty() {
        let why = match store {
            None | Some(Error::NotFound(_)) => "start the agent".to_owned(),
            Some(error) => error.to_string(),
        };
        let rules = count(report.need_history.len(), "rule needs", "rules need");
        note(format!("{rules} history: {why} ({})", named(&report.need_history)));
    }
    if let Some(processes) = ground.hidden().filter(|_| !report.hidden.rules.is_empty()) {
        let rules = count(report.hidden.rules.len(), "rule is", "rules are");
        let what = format!("{} cannot be read of {processes}", columns(&report.hidden));
        note(format!("{rules} limited: {what} ({})", named(&report.hidden.rules)));
    }
    if !report.uncollected.rules.is_empty() {
        let rules = count(report.uncollected.rules.len(), "rule is", "rules are");
        let what = format!("nothing collects {} yet", columns(&report.uncollected));
        note(format!("{rules} limited: {what} ({})", named(&report.uncollected.rules)));
    }
    if !report.elsewhere.is_empty() {
        let rules = count(report.elsewhere.len(), "rule is", "rules are");
        note(format!("{rules} for other systems ({})", named(&report.elsewhere)));
    }
    for (Absent { table, column }, rules) in &report.absent {
        let text = format!("no record of {table} has a column {column}, which is NULL ({})", named(rules));
        screen.say(Mark::Warning, &text);
    }
    for (rule, error) in &report.stopped {
        screen.say(Mark::Warning, &format!("rule {rule} was stopped: {error}"));
    }
    for file in refused {
        screen.say(Mark::Warning, &format!("rule {} was refused and did not run", file.source.stem()));
    }
    if !report.completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&report.completeness));
    }
}

/// `2 findings (1 high, 1 medium)`.
fn by_level(findings: &[Finding<'_>]) -> String {
    let of = |level| findings.iter().filter(|finding| finding.level == level).count();
    let levels = Level::ALL.iter().rev().map(|level| (of(Some(*level)), level.name()));
    let levels = levels.chain([(of(None), "without level")]);
    let levels: Vec<_> = levels.filter(|(number, _)| *number > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let total = count(findings.len(), "finding", "findings");
    if levels.is_empty() { total } else { format!("{total} ({})", levels.join(", ")) }
}

/// Rules by name, or the first of many.
pub(crate) fn names(rules: &[&str], all: bool) -> String {
    let shown = if all { rules.len() } else { NAMED_MAX.min(rules.len()) };
    let listed = rules[..shown].join(", ");
    match rules.len() - shown {
        0 => listed,
        more => format!("{listed} and {more} more, which -v names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_written_as_analysts_do() {
        let tags = ["attack.execution", "attack.t1059.004", "cve.2021.44228", "attack.t1190", "attack.tools"];
        assert_eq!(techniques(&tags.map(str::to_owned)), "T1059.004 T1190");
    }

    #[test]
    fn long_lists_of_names_are_counted() {
        assert_eq!(names(&["a", "b"], false), "a, b");
        assert_eq!(names(&["r"; 8], false), "r, r, r, r, r, r and 2 more, which -v names");
        assert_eq!(names(&["r"; 8], true).matches('r').count(), 8);
    }
}
