//! `alerts watch`: what is open, then every alert as it is committed, and every one that changes.
//!
//! The store is read, not the broker. An alert is in the store before it is anywhere else, and each write gives it a
//! turn that only grows; so a cursor over the turns misses nothing, also while no agent runs, and gives nothing twice.
//! On the broker an alert may come twice, one that only changed does not come at all, and a slow reader loses the
//! oldest.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_dsl::alert::{Alert, AlertStatus, Handling, Level};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value, parse_interval};
use daemoneye_storage::{CHANGES_MAX, Changed, Error, ReadStore, Reader, Scan, View};
use serde_json::Map;

use super::{Wanted, handling, handling_of, level, title};
use crate::output::{Format, Json, print, write_json};
use crate::page::Page;
use crate::render::Cell;
use crate::screen::{Mark, Screen, count, paint_of};
use crate::{Ending, Globals, live, signals, store, with_exit_codes};

/// How often to look: so often that an alert is shown well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Open alerts that are shown first.
const BACKLOG_MAX: usize = 50;
/// Alerts whose last state is remembered; a change of another one may be shown that changed its evidence only.
const KNOWN_MAX: usize = 1 << 16;
/// Columns of the level's word.
const LEVEL_WIDTH: usize = 8;

/// Follow alerts as they are raised, counted up, handled and resolved.
///
/// First what is open now, then each alert as it is committed, until Ctrl-C. Reads the agent's store, and waits where
/// the agent goes away until it is back. Into a pipe, and with `-o ndjson`, each line is the whole record; a record
/// that comes again, by its `id`, has changed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Watch {
    /// Of this level or a higher one
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Raised by this rule; may be repeated
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// `new`, `acknowledged` or `closed`: what operators made of it
    #[arg(long, value_name = "HANDLING", value_parser = handling)]
    handling: Option<Handling>,
    /// First show those that were seen within this time, resolved ones too, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = since)]
    since: Option<i64>,
    /// Show only what is yet to come
    #[arg(long, conflicts_with = "since")]
    no_backlog: bool,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli alerts watch
  daemoneye-cli alerts watch --level high --since 1h
  daemoneye-cli alerts watch --no-backlog -o ndjson | jq --unbuffered -r .title";

fn since(text: &str) -> Result<i64, String> {
    parse_interval(text)
        .filter(|micros| *micros > 0)
        .ok_or_else(|| "write a number and a unit, such as 30m or 1h".into())
}

pub(super) fn run(watch: &Watch, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = match Format::of_data(globals.output) {
        Format::Table => None,
        Format::Ndjson => Some(Json::Lines),
        _ => bail!("alerts come one by one, without an end: ask for `-o table` or `-o ndjson`"),
    };
    let path = store::data_dir(watch.data.as_ref(), &globals.settings).events();
    let first = ReadStore::open(&path)?.read()?;
    let _resized = signals::end_on_request(|| {})?;
    let mut follower = Follower { watch, form, globals, screen, known: BTreeMap::new(), turn: 0, away: None };
    if follower.begin(&first)? == Reading::Ended {
        return Ok(Ending::Done { found: false, degraded: false });
    }
    loop {
        std::thread::sleep(LOOK_EVERY);
        if follower.look(&path)? == Reading::Ended {
            return Ok(Ending::Done { found: false, degraded: false });
        }
    }
}

/// Hands over every alert, oldest first; a damaged one is not.
fn each(view: &View, each: &mut dyn FnMut(Alert)) -> anyhow::Result<()> {
    let catalog = Catalog::builtin();
    let table = catalog.table("alerts").expect("a table of the catalog");
    let columns: Vec<_> = (0..table.columns.len()).collect();
    view.visit(&Scan::all(table, &columns), &mut |batch| {
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = batch.columns().iter().map(|column| Value::at(column, row)).collect();
            each(Alert::from_cells(&cells).expect("the store made the row of an alert"));
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// What is shown when it changes.
fn state(alert: &Alert) -> (AlertStatus, Handling, u64) {
    (alert.status, alert.handling, alert.dedup.count)
}

/// Nobody has done anything about it.
fn is_new(alert: &Alert) -> bool {
    alert.handling == Handling::New && alert.silenced.is_none()
}

/// Whether somebody still reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    GoesOn,
    Ended,
}

struct Follower<'a> {
    watch: &'a Watch,
    form: Option<Json>,
    globals: &'a Globals,
    screen: &'a Screen,
    /// Status, handling and count of alerts as last shown.
    known: BTreeMap<u64, (AlertStatus, Handling, u64)>,
    /// Everything up to this turn was shown.
    turn: u64,
    /// Why no agent writes, as was said.
    away: Option<String>,
}

impl<'a> Follower<'a> {
    /// Shows what there is. Cursor and backlog are of one state, so nothing falls between them.
    fn begin(&mut self, view: &View) -> anyhow::Result<Reading> {
        self.turn = view.last_turn()?;
        let since = self.watch.since.map(|micros| Timestamp(live::now().0.saturating_sub(micros)));
        let open = Wanted { status: Some(AlertStatus::Open), handling: None, ..self.wanted(None) };
        let (mut backlog, mut is_open) = (VecDeque::new(), 0);
        let wanted =
            if since.is_some() { self.wanted(since) } else { Wanted { handling: self.watch.handling, ..open } };
        each(view, &mut |alert| {
            if open.takes(&alert) {
                self.note(&alert);
            }
            if wanted.takes(&alert) {
                is_open += 1;
                backlog.push_back(alert.id);
                if since.is_none() && backlog.len() > BACKLOG_MAX {
                    backlog.pop_front();
                }
            }
        })?;
        if self.watch.no_backlog {
            return self.notice(view);
        }
        if backlog.len() < is_open {
            let all = count(is_open, "open alert", "open alerts");
            let next = format!("`daemoneye-cli alerts list --status open --limit {is_open}` lists all");
            self.screen.say(Mark::Note, &format!("the newest {} of {all}; {next}", backlog.len()));
        }
        for id in backlog {
            let Some(alert) = view.alert(id)? else { continue };
            if self.show(&alert)? == Reading::Ended {
                return Ok(Reading::Ended);
            }
        }
        self.notice(view)
    }

    fn wanted(&self, since: Option<Timestamp>) -> Wanted<'a> {
        let Watch { level, rule, handling, .. } = self.watch;
        Wanted { level: *level, rules: rule, status: None, handling: *handling, since }
    }

    fn look(&mut self, path: &Path) -> anyhow::Result<Reading> {
        // Opened each time: what is held open would be in the way of an agent that starts.
        let view = match ReadStore::open(path).and_then(|store| store.read()) {
            Ok(view) => view,
            Err(Error::NeedsRepair(_)) => return Ok(self.went_away("the agent was killed")),
            Err(error) => return Ok(self.went_away(&error.to_string())),
        };
        if view.last_turn()? < self.turn {
            self.screen.say(Mark::Warning, "the store was replaced by another one; following that from its start");
            self.turn = 0;
            self.known.clear();
        }
        loop {
            let changed = view.changed_alerts(self.turn)?;
            let is_last = changed.len() < CHANGES_MAX;
            for Changed { turn, alert } in changed {
                self.turn = turn;
                match alert {
                    Ok(alert) => {
                        if self.take(&alert)? == Reading::Ended {
                            return Ok(Reading::Ended);
                        }
                    }
                    Err(error) => self.screen.say(Mark::Warning, &error.to_string()),
                }
            }
            if is_last {
                return self.notice(&view);
            }
        }
    }

    /// Shows an alert that was written, unless only its evidence changed or nobody wants it.
    fn take(&mut self, alert: &Alert) -> anyhow::Result<Reading> {
        let before = self.known.get(&alert.id).copied();
        self.note(alert);
        if !self.wanted(None).takes(alert) || before == Some(state(alert)) {
            return Ok(Reading::GoesOn);
        }
        self.show(alert)
    }

    fn note(&mut self, alert: &Alert) {
        self.known.insert(alert.id, state(alert));
        if self.known.len() > KNOWN_MAX {
            self.known.pop_first();
        }
    }

    fn show(&self, alert: &Alert) -> anyhow::Result<Reading> {
        // The terminal may have been resized, and nothing here is to be paged.
        let screen = self.screen.measured();
        if let Some(form) = self.form {
            let object = serde_json::to_value(alert)?.as_object().cloned().unwrap_or_else(Map::new);
            let written = print(&screen, |out| write_json(out, form, std::iter::once(object)))?;
            return Ok(if written.is_some() { Reading::GoesOn } else { Reading::Ended });
        }
        let word = match alert.status {
            AlertStatus::Open => Cell::painted(format!("{:LEVEL_WIDTH$}", alert.level.name()), paint_of(alert.level)),
            AlertStatus::Resolved => Cell::new(format!("{:LEVEL_WIDTH$}", alert.status.name())),
        };
        let time = jiff::Timestamp::from_microsecond(alert.dedup.last_seen.0).map_or_else(
            |_| alert.dedup.last_seen.rfc3339(),
            |moment| moment.to_zoned(screen.zone.clone()).strftime("%m-%d %H:%M:%S").to_string(),
        );
        let mut page = Page::new(&screen, self.globals.full);
        page.line(
            0,
            &[
                Cell::new(time),
                word,
                Cell::new(format!("#{:<5}", alert.id)),
                Cell::new(if is_new(alert) { "" } else { handling_of(alert) }),
                Cell::new(title(alert)),
                Cell::painted(alert.rule.name.as_str(), Paint::new().dimmed()),
            ],
        );
        Ok(if page.print()?.is_some() { Reading::GoesOn } else { Reading::Ended })
    }

    /// Says whether an agent writes, where that changed.
    fn notice(&mut self, view: &View) -> anyhow::Result<Reading> {
        let run = view.run()?;
        if run.as_ref().is_none_or(|run| run.stopped.is_some()) {
            return Ok(self.went_away("the agent was stopped"));
        }
        if self.away.take().is_some() {
            self.screen.say(Mark::Note, "the agent is back");
        }
        Ok(Reading::GoesOn)
    }

    fn went_away(&mut self, why: &str) -> Reading {
        if self.away.as_deref() != Some(why) {
            self.away = Some(why.to_owned());
            self.screen.say(Mark::Warning, &format!("no agent is at work: {why}; waiting for one"));
        }
        Reading::GoesOn
    }
}
