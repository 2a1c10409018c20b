//! `alerts`: what the agent's rules have found, as a list, or one alert with all that is known of it; and what
//! operators make of it.

mod handle;
mod show;
mod silence;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use daemoneye_dsl::alert::{Alert, AlertStatus, Handling, Level};
use daemoneye_dsl::types::{Timestamp, Value};

use crate::agent::SAME_RELEASE;
use crate::asked::{Answer, Place, literal};
use crate::output::{Format, print, write_json};
use crate::progress::Progress;
use crate::query::incomplete;
use crate::render::{Align, Cell, Column, Extent, Table, local_second, offset};
use crate::screen::{Mark, Screen, count, paint_of};
use crate::{Ending, Globals, with_exit_codes};

/// Read alerts, acknowledge and close them, silence rules.
#[derive(Debug, clap::Args)]
pub(crate) struct Alerts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Show(show::Show),
    Watch(watch::Watch),
    /// Acknowledge alerts: somebody looks into them.
    Ack(handle::Handle),
    /// Close alerts: they are done with. The next match of the same key raises a new one.
    Close(handle::Handle),
    /// Open closed alerts again.
    Reopen(handle::Handle),
    Silence(silence::Silence),
    Silences(silence::Silences),
    Unsilence(silence::Unsilence),
}

/// List alerts, newest first.
///
/// The agent is asked if it runs and lets this user in; else its store is read. JSON output is the whole record of each alert, with the
/// process and its ancestors.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct List {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Of this level or a higher one
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Raised by this rule; may be repeated
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// `open` (it still matches) or `resolved`
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<AlertStatus>,
    /// `new`, `acknowledged` or `closed`: what operators made of it
    #[arg(long, value_name = "HANDLING", value_parser = handling)]
    handling: Option<Handling>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Exit with 1 when there are alerts
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli alerts list --level high --status open --handling new
  daemoneye-cli alerts list -o ndjson | jq '[.id, .ancestors[].name]'";

pub(crate) fn run(alerts: &Alerts, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    match &alerts.command {
        Command::List(list) => run_list(list, globals, screen),
        Command::Show(show) => show::run(show, globals, screen),
        Command::Watch(watch) => watch::run(watch, globals, screen),
        Command::Ack(handle) => Ok(handle::run(handle, Handling::Acknowledged, globals, screen)),
        Command::Close(handle) => Ok(handle::run(handle, Handling::Closed, globals, screen)),
        Command::Reopen(handle) => Ok(handle::run(handle, Handling::New, globals, screen)),
        Command::Silence(silence) => silence.run(globals, screen),
        Command::Silences(silences) => silences.run(globals, screen),
        Command::Unsilence(unsilence) => Ok(unsilence.run(globals, screen)),
    }
}

fn run_list(list: &List, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let progress = Progress::begin(screen, "reading the alerts");
    let place = Place::find(list.data.as_ref(), &globals.settings, screen)?;
    let wanted =
        Wanted { level: list.level, rules: &list.rule, status: list.status, handling: list.handling, since: None };
    let Answer { rows, completeness, before_limit } = place.ask(&wanted.sql("*", Some(list.limit)))?;
    let alerts = alerts(&rows)?;
    let matching = before_limit.unwrap_or(alerts.len());
    let all = if wanted.is_all() { matching } else { count_all(&place)? };
    drop(progress);
    let elapsed_ms = started.elapsed().as_millis();
    let extent = write_list(&alerts, globals, screen)?;
    let mut parts = vec![list.counted(alerts.len(), matching, all), place.note()];
    if extent == Extent::Cut {
        parts.push("values cut to fit (--full shows them)".to_owned());
    }
    screen.say(Mark::Note, &format!("{} · {elapsed_ms} ms", parts.join(" · ")));
    if !completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&completeness));
    }
    Ok(Ending::Done { found: list.exit_code && matching > 0, degraded: !completeness.is_complete() })
}

fn count_all(place: &Place) -> anyhow::Result<usize> {
    let all = place.ask("SELECT count(*) FROM alerts")?;
    let all = all.rows.first().and_then(|row| row.first()?.as_integer());
    Ok(all.and_then(|all| usize::try_from(all).ok()).unwrap_or_default())
}

/// The records that rows of `alerts` are.
fn alerts(rows: &[Vec<Value>]) -> anyhow::Result<Vec<Alert>> {
    let alerts: Option<_> = rows.iter().map(|row| Alert::from_cells(row)).collect();
    alerts.with_context(|| format!("rows came that are no alerts; {SAME_RELEASE}"))
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    level: Option<Level>,
    /// By these rules; by any if there are none.
    rules: &'a [String],
    status: Option<AlertStatus>,
    handling: Option<Handling>,
    /// Counted up last then or later.
    since: Option<Timestamp>,
}

impl Wanted<'_> {
    /// The statement that gives these columns of the newest, at most `limit`; or of all, the oldest first.
    fn sql(&self, columns: &str, limit: Option<usize>) -> String {
        let any = |column: &str, values: &mut dyn Iterator<Item = &str>| {
            format!("{column} IN ({})", values.map(literal).collect::<Vec<_>>().join(", "))
        };
        let mut conditions = Vec::new();
        if let Some(least) = self.level {
            let mut levels = Level::ALL.into_iter().filter(|level| *level >= least).map(Level::name);
            conditions.push(any("level", &mut levels));
        }
        if !self.rules.is_empty() {
            conditions.push(any("rule", &mut self.rules.iter().map(String::as_str)));
        }
        conditions.extend(self.status.map(|status| any("status", &mut std::iter::once(status.name()))));
        conditions.extend(self.handling.map(|handling| any("handling", &mut std::iter::once(handling.name()))));
        conditions.extend(self.since.map(|since| format!("last_seen >= {}", literal(&since.rfc3339()))));
        let conditions = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
        let newest = limit.map(|limit| format!(" ORDER BY id DESC LIMIT {limit}")).unwrap_or_default();
        format!("SELECT {columns} FROM alerts WHERE {conditions}{newest}")
    }

    fn is_all(&self) -> bool {
        let Self { level, rules, status, handling, since } = self;
        level.is_none() && rules.is_empty() && status.is_none() && handling.is_none() && since.is_none()
    }

    fn takes(&self, alert: &Alert) -> bool {
        self.level.is_none_or(|least| alert.level >= least)
            && (self.rules.is_empty() || self.rules.contains(&alert.rule.name))
            && self.status.is_none_or(|wanted| wanted == alert.status)
            && self.handling.is_none_or(|wanted| wanted == alert.handling)
            && self.since.is_none_or(|since| alert.dedup.last_seen >= since)
    }
}

impl List {
    /// `20 of 143 alerts that match, 250 in all (--limit 20)`.
    fn counted(&self, shown: usize, matching: usize, all: usize) -> String {
        let of = count(matching, "alert", "alerts");
        let matches = if matching == 1 { "matches" } else { "match" };
        let all = if matching < all { format!(" that {matches}, {all} in all") } else { String::new() };
        let cut = if shown < matching { format!(" (--limit {})", self.limit) } else { String::new() };
        format!("{shown} of {of}{all}{cut}")
    }
}

fn write_list(alerts: &[Alert], globals: &Globals, screen: &Screen) -> anyhow::Result<Extent> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let objects = alerts.iter().filter_map(|alert| serde_json::to_value(alert).ok()?.as_object().cloned());
        print(screen, |out| write_json(out, form, objects))?;
        return Ok(Extent::Whole);
    }
    let is_csv = form == Format::Csv;
    let time = |moment: Timestamp| if is_csv { moment.rfc3339() } else { local_second(moment, &screen.zone) };
    let columns = vec![
        Column::new("id", Align::Right),
        Column::new(if is_csv { "time".to_owned() } else { format!("time {}", offset(&screen.zone)) }, Align::Left),
        Column::new("level", Align::Left),
        Column::new("status", Align::Left),
        Column::new("handling", Align::Left),
        Column::new("rule", Align::Text),
        Column::new("title", Align::Text),
    ];
    let row = |alert: &Alert| {
        vec![
            Cell::new(alert.id.to_string()),
            Cell::new(time(alert.time)),
            Cell::painted(alert.level.name(), paint_of(alert.level)),
            Cell::new(alert.status.name()),
            Cell::new(if is_csv { alert.handling.name() } else { handling_of(alert) }),
            Cell::new(alert.rule.name.as_str()),
            Cell::new(title(alert)),
        ]
    };
    let table = Table { columns, rows: alerts.iter().map(row).collect(), header: true, indent: 0 };
    Ok(print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole))
}

/// What operators made of it; `silenced` where nobody was told of it and nobody said anything.
fn handling_of(alert: &Alert) -> &'static str {
    match (alert.handling, alert.silenced) {
        (Handling::New, Some(_)) => "silenced",
        (handling, _) => handling.name(),
    }
}

/// The title, and how often it happened if more than once.
fn title(alert: &Alert) -> String {
    match alert.dedup.count {
        0 | 1 => alert.title.clone(),
        count => format!("{count} × {}", alert.title),
    }
}

fn level(name: &str) -> Result<Level, String> {
    let names = Level::ALL.map(Level::name).join(", ");
    Level::parse(&name.to_lowercase()).ok_or_else(|| format!("one of {names}"))
}

fn status(name: &str) -> Result<AlertStatus, String> {
    AlertStatus::parse(name).ok_or_else(|| "one of open, resolved".to_owned())
}

fn handling(name: &str) -> Result<Handling, String> {
    Handling::parse(name).ok_or_else(|| format!("one of {}", Handling::ALL.map(Handling::name).join(", ")))
}
