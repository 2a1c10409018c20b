//! What was shown of the alerts, and what is next.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anstyle::Style as Paint;
use daemoneye_dsl::alert::{Alert, AlertChanges, AlertStatus, Handling};
use daemoneye_dsl::types::{Timestamp, Value};
use serde_json::Map;

use super::Watch;
use crate::Globals;
use crate::alerts::{Wanted, alerts, handling_of, title};
use crate::asked::Place;
use crate::live;
use crate::output::{Json, print, write_json};
use crate::page::Page;
use crate::render::Cell;
use crate::screen::{Mark, Screen, count, paint_of};
use crate::store::Stored;

/// Open alerts that are shown first.
const BACKLOG_MAX: usize = 50;
/// Alerts whose last state is remembered; a change of another one may be shown that changed its evidence only.
const KNOWN_MAX: usize = 1 << 16;
/// Columns of the level's word.
const LEVEL_WIDTH: usize = 8;

/// What is shown when it changes.
fn state(alert: &Alert) -> (AlertStatus, Handling, u64) {
    (alert.status, alert.handling, alert.dedup.count)
}

/// Nobody has done anything about it.
fn is_new(alert: &Alert) -> bool {
    alert.handling == Handling::New && alert.silenced.is_none()
}

/// Whether somebody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    GoesOn,
    Ended,
}

/// Shows alerts, each state of each once.
pub(super) struct Follower<'a> {
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
    pub(super) fn new(watch: &'a Watch, form: Option<Json>, globals: &'a Globals, screen: &'a Screen) -> Self {
        Self { watch, form, globals, screen, known: BTreeMap::new(), turn: 0, away: None }
    }

    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Shows what there is. The cursor is set before it is asked for: what is written in between comes twice, and is
    /// known by its state.
    pub(super) fn begin(&mut self, place: &Place) -> anyhow::Result<Reading> {
        self.turn = place.alerts_after(u64::MAX)?.turn;
        let open = Wanted { status: Some(AlertStatus::Open), ..self.wanted(None) };
        let sql = open.sql("id, status, handling, count", Some(KNOWN_MAX));
        place.each(&sql, &mut |row| {
            self.known.extend(known(&row));
            ControlFlow::Continue(())
        })?;
        if self.watch.no_backlog {
            return Ok(Reading::GoesOn);
        }
        let since = self.watch.since.map(|micros| Timestamp(live::now().0.saturating_sub(micros)));
        if since.is_some() {
            // In the order in which they are stored.
            let mut shown = Ok(Reading::GoesOn);
            place.each(&self.wanted(since).sql("*", None), &mut |row| {
                shown = alerts(&[row]).and_then(|alerts| self.show_all(alerts));
                if matches!(shown, Ok(Reading::GoesOn)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            return shown;
        }
        let newest = place.ask(&open.sql("*", Some(BACKLOG_MAX)))?;
        let (shown, all) = (newest.rows.len(), newest.before_limit.unwrap_or(newest.rows.len()));
        if shown < all {
            let all_of_them = count(all, "open alert", "open alerts");
            let next = format!("`daemoneye-cli alerts list --status open --limit {all}` lists all");
            self.screen.say(Mark::Note, &format!("the newest {shown} of {all_of_them}; {next}"));
        }
        self.show_all(alerts(&newest.rows)?.into_iter().rev())
    }

    fn wanted(&self, since: Option<Timestamp>) -> Wanted<'a> {
        let Watch { level, rule, handling, .. } = self.watch;
        Wanted { level: *level, rules: rule, status: None, handling: *handling, since }
    }

    /// Shows what was written since it looked last, as `ask` tells what came after a turn; fails within where that does.
    pub(super) fn catch_up(
        &mut self,
        ask: &mut dyn FnMut(u64) -> anyhow::Result<AlertChanges>,
    ) -> anyhow::Result<anyhow::Result<Reading>> {
        loop {
            let AlertChanges { turn: last, changed } = match ask(self.turn) {
                Ok(changes) => changes,
                Err(error) => return Ok(Err(error)),
            };
            if last < self.turn {
                let text = "the store was replaced by another one; following that from its start";
                self.screen.say(Mark::Warning, text);
                self.turn = 0;
                self.known.clear();
                continue;
            }
            if changed.is_empty() {
                return Ok(Ok(Reading::GoesOn));
            }
            for (turn, alert) in changed {
                self.turn = turn;
                match alert {
                    Ok(alert) => {
                        if self.take(&alert)? == Reading::Ended {
                            return Ok(Ok(Reading::Ended));
                        }
                    }
                    Err(error) => self.screen.say(Mark::Warning, &error),
                }
            }
            if self.turn >= last {
                return Ok(Ok(Reading::GoesOn));
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

    fn show_all(&mut self, alerts: impl IntoIterator<Item = Alert>) -> anyhow::Result<Reading> {
        for alert in alerts {
            self.note(&alert);
            if self.show(&alert)? == Reading::Ended {
                return Ok(Reading::Ended);
            }
        }
        Ok(Reading::GoesOn)
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
    pub(super) fn notice(&mut self, stored: &Stored) -> anyhow::Result<Reading> {
        if stored.view.run()?.is_none_or(|run| run.stopped.is_some()) {
            self.went_away("the agent was stopped");
        } else {
            self.came_back();
        }
        Ok(Reading::GoesOn)
    }

    pub(super) fn came_back(&mut self) {
        if self.away.take().is_some() {
            self.screen.say(Mark::Note, "the agent is back");
        }
    }

    pub(super) fn went_away(&mut self, why: &str) {
        if self.away.as_deref() != Some(why) {
            self.away = Some(why.to_owned());
            self.screen.say(Mark::Warning, &format!("no agent is at work: {why}; waiting for one"));
        }
    }
}

/// The id and the state in a row of them.
fn known(row: &[Value]) -> Option<(u64, (AlertStatus, Handling, u64))> {
    let [id, status, handling, count] = row else { return None };
    let number = |value: &Value| u64::try_from(value.as_integer()?).ok();
    let state = (AlertStatus::parse(status.as_text()?)?, Handling::parse(handling.as_text()?)?, number(count)?);
    Some((number(id)?, state))
}
