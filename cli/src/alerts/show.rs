//! `alerts show`: one alert with all that is known of it.

use std::path::PathBuf;

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_dsl::alert::Alert;
use daemoneye_dsl::audit::Action;
use daemoneye_dsl::completeness::{Reason, Scope};
use daemoneye_dsl::diagnostic::Style;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value as Stored};
use serde_json::{Map, Value, json};

use super::handling_of;
use crate::asked::{Place, literal};
use crate::hunt::techniques;
use crate::output::{Format, print, write_json};
use crate::page::{Branch, Page};
use crate::query::incomplete;
use crate::render::{Cell, Extent, local_time};
use crate::screen::{Mark, Screen, glyphs, paint_of};
use crate::{Ending, Globals, with_exit_codes};

/// Show one alert.
///
/// What raised it, the process and its ancestors as they were then, and the values of the row. JSON output is the
/// whole record.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Show {
    /// The number that `alerts list` gives
    #[arg(value_name = "ID")]
    id: u64,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli alerts show 8841
  daemoneye-cli alerts show 8841 -o ndjson | jq .ancestors";

pub(super) fn run(show: &Show, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_data(Format::without_tables(globals.output)?);
    let place = Place::find(show.data.as_ref(), &globals.settings, screen)?;
    let sql = i64::try_from(show.id).map(|id| format!("SELECT * FROM alerts WHERE id = {id}"));
    let answer = sql.ok().map(|sql| place.ask(&sql)).transpose()?;
    let (rows, completeness) = answer.map(|it| (it.rows, it.completeness)).unwrap_or_default();
    let Some(alert) = super::alerts(&rows)?.pop() else {
        if !completeness.is_complete() {
            bail!("alert {} cannot be read, or is not there: {}", show.id, incomplete(&completeness));
        }
        bail!("no alert has the id {} in {}; `daemoneye-cli alerts list` names them", show.id, place.note());
    };
    let entry = entry_of(&place, &alert).unwrap_or_else(|error| {
        screen.say(Mark::Warning, &format!("the ledger cannot be asked for its entry: {error}"));
        None
    });
    if let Some(form) = form.json() {
        let mut object = serde_json::to_value(&alert)?.as_object().cloned().unwrap_or_default();
        object.insert("ledger".to_owned(), json!({"seq": entry}));
        print(screen, |out| write_json(out, form, std::iter::once(object)))?;
    } else {
        let mut page = Page::new(screen, globals.full);
        write(&alert, &recorded(entry), &mut page, screen);
        if page.print()? == Some(Extent::Cut) {
            screen.say(Mark::Note, "values cut to fit (--full shows them)");
        }
        screen.say(Mark::Note, &place.note());
    }
    Ok(Ending::Done { found: false, degraded: false })
}

/// How long after an alert its entry is looked for first: as a rule it is recorded within a second.
const SOON_MICROS: i64 = 60 * 60 * MICROS_PER_SEC;

/// The ledger's entry that an alert was raised; nothing where it has none yet. Entries are read by when they were recorded;
/// all of them only if it is not where it should be, because the ledger could not be written or the clock was set.
fn entry_of(place: &Place, alert: &Alert) -> anyhow::Result<Option<u64>> {
    let raised = literal(Action::AlertRaised.name());
    let subject = literal(&alert.id.to_string());
    let sql = format!("SELECT max(seq) AS seq FROM audit WHERE action = {raised} AND subject = {subject}");
    let moment = |micros: i64| literal(&Timestamp(micros).rfc3339());
    let (from, to) = (moment(alert.time.0), moment(alert.time.0.saturating_add(SOON_MICROS)));
    let soon = format!("{sql} AND recorded_at >= {from} AND recorded_at <= {to}");
    for sql in [soon, sql] {
        let rows = place.ask(&sql)?.rows;
        if let Some(Stored::Integer(seq)) = rows.first().and_then(|row| row.first()) {
            return Ok(u64::try_from(*seq).ok());
        }
    }
    Ok(None)
}

fn recorded(entry: Option<u64>) -> String {
    entry.map_or_else(
        || "none in the ledger that is known".to_owned(),
        |seq| format!("{seq} of the ledger: `daemoneye-cli audit prove --seq {seq}`"),
    )
}

fn write(alert: &Alert, recorded: &str, page: &mut Page<'_>, screen: &Screen) {
    let level = alert.level.name().to_uppercase();
    let title = Cell::painted(alert.title.as_str(), Paint::new().bold());
    page.line(0, &[Cell::painted(level, paint_of(alert.level)), title]);
    let time = |moment: daemoneye_dsl::types::Timestamp| local_time(moment.0, &screen.zone);
    let number = Cell::new(format!("#{}", alert.id));
    page.line(2, &[number, Cell::new(alert.status.name()), Cell::new(handling_of(alert)), Cell::new(time(alert.time))]);
    let rule = format!("{}@{}", alert.rule.name, alert.rule.rev);
    page.line(2, &[Cell::new(rule), Cell::new(techniques(&alert.tags))]);
    page.blank();
    let lineage = lineage(alert, screen.out);
    if lineage.is_empty() {
        page.line(2, &[Cell::new("the row names no process that was known")]);
    } else {
        page.tree(2, &lineage);
    }
    page.blank();
    let row: Vec<_> = alert.row.iter().map(|(name, value)| (name.as_str(), plain(value))).collect();
    page.fields(&row);
    page.blank();
    let times = if alert.dedup.count == 1 { "once".to_owned() } else { format!("{} times", alert.dedup.count) };
    let held = if alert.initial { "; it held already when the rule was first run" } else { "" };
    let handled = alert.handled.iter().map(|handled| {
        let by = handled.uid.map(|uid| format!(" by uid {uid}")).unwrap_or_default();
        let note = handled.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        (handled.handling.name(), format!("{}{by}{note}", time(handled.at)))
    });
    let mut handled: Vec<_> = handled.collect();
    let silenced = |number| format!("by silence {number}: it was not delivered");
    handled.extend(alert.silenced.map(|number| ("silenced", silenced(number))));
    if !handled.is_empty() {
        page.fields(&handled);
        page.blank();
    }
    page.fields(&[
        ("input", completeness(alert)),
        ("from", format!("snapshot {} of {}", alert.snapshot.sequence, alert.snapshot.source)),
        ("entry", recorded.to_owned()),
        ("seen", format!("{times}{held}")),
        ("first", time(alert.dedup.first_seen)),
        ("last", time(alert.dedup.last_seen)),
        ("next", format!("daemoneye-cli explain {}", handle(alert))),
        ("", format!("daemoneye-cli rules show {}", handle(alert))),
        ("", format!("daemoneye-cli alerts list --rule {}", alert.rule.name)),
    ]);
}

/// The rule as a word that a shell takes as it is.
fn handle(alert: &Alert) -> &str {
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if is_plain(&alert.rule.name) { &alert.rule.name } else { &alert.rule.id }
}

fn completeness(alert: &Alert) -> String {
    let detail = &alert.completeness.detail;
    let reasons: Vec<_> = detail.reasons.iter().copied().map(Reason::text).collect();
    match (reasons.as_slice(), detail.scope) {
        ([], Scope::All) => "complete".to_owned(),
        ([], Scope::Visible) => "complete for what the agent may see".to_owned(),
        (reasons, _) => format!("incomplete: {}", reasons.join(", ")),
    }
}

/// The process below its ancestors, the eldest first.
fn lineage(alert: &Alert, style: Style) -> Vec<Branch> {
    let ancestors = alert.ancestors.iter().rev().map(|process| (process, None));
    let matched = alert
        .process
        .iter()
        .map(|process| (process, Some(Cell::painted(glyphs(style, "◄ matched"), Paint::new().bold()))));
    let branch = |(depth, (process, mark)): (usize, (&Map<String, Value>, Option<Cell>))| {
        let value = |column: &str| process.get(column).filter(|value| !value.is_null()).map(plain).unwrap_or_default();
        let cells = vec![
            Cell::new(format!("{}[{}]", value("name"), value("pid"))),
            Cell::new(value("user_name")),
            Cell::new(value("command_line")),
        ];
        Branch { depth, is_last: true, cells, mark }
    };
    ancestors.chain(matched).enumerate().map(branch).collect()
}

/// A value as text, without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
