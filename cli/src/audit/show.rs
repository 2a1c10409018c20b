//! `audit show`: what is on record, the newest last.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use daemoneye_dsl::audit::Action;
use daemoneye_dsl::types::{Timestamp, parse_interval};
use daemoneye_storage::Error;
use daemoneye_storage::ledger::{Entry, Hash, LedgerView, Order, hex};
use serde_json::{Map, Value as Json, json};

use super::{DONE, open, path};
use crate::output::{Format, print, write_json};
use crate::page::Page;
use crate::progress::Progress;
use crate::render::{Align, Cell, Column, Table, local_second, offset};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, live, signals, with_exit_codes};

/// How often a ledger that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Show what is on record, the newest last.
///
/// Read from the ledger's file, beside the agent if it runs. Each entry that is shown was held to its leaf hash; whether
/// all of them are what was signed says `audit verify`. For questions in SQL there is the table `audit`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Show {
    /// How many at most, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Recorded then or later: a moment such as 2026-11-22T10:30:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Recorded before then
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    /// Of this actor, such as agent or broker
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Of this kind, such as `alert_raised`; may be repeated
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Vec<Action>,
    /// About this subject, such as a rule's name or the number of an alert
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Go on with what is recorded from now on, until Ctrl-C
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli audit show --since 1d --action silenced --actor operator
  daemoneye-cli audit show --follow -o ndjson
  daemoneye-cli query \"SELECT action, count(*) FROM audit GROUP BY action\"";

fn moment(text: &str) -> Result<Timestamp, String> {
    let ago = || Some(Timestamp(live::now().0.saturating_sub(parse_interval(text)?)));
    Timestamp::parse(text).or_else(ago).ok_or_else(|| "write it as 2026-11-22T10:30:00Z, or as 2h".to_owned())
}

fn action(name: &str) -> Result<Action, String> {
    let names = || Action::ALL.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ");
    Action::named(name).ok_or_else(|| format!("one of {}", names()))
}

impl Show {
    fn wants(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        self.since.is_none_or(|since| entry.recorded >= since)
            && self.until.is_none_or(|until| entry.recorded < until)
            && self.actor.as_ref().is_none_or(|actor| *actor == event.actor.name)
            && (self.action.is_empty() || self.action.contains(&event.action))
            && self.subject.as_ref().is_none_or(|subject| *subject == event.subject)
    }

    /// The newest entries that are wanted, oldest first, and whether there are more.
    fn newest(&self, view: &LedgerView) -> Result<(VecDeque<(Entry, Hash)>, bool), Error> {
        let (mut wanted, mut is_cut) = (VecDeque::new(), false);
        view.entries(u64::MAX, Order::Backwards, &mut |entry, leaf| {
            // Times only grow: what is before is older.
            if self.since.is_some_and(|since| entry.recorded < since) {
                return ControlFlow::Break(());
            }
            if self.wants(&entry) {
                if wanted.len() == self.limit {
                    is_cut = true;
                    return ControlFlow::Break(());
                }
                wanted.push_front((entry, leaf));
            }
            ControlFlow::Continue(())
        })?;
        Ok((wanted, is_cut))
    }
}

pub(super) fn run(show: &Show, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let (path, started) = (path(show.data.as_ref(), globals), Instant::now());
    if show.follow {
        return follow(show, &path, globals, screen);
    }
    let progress = Progress::begin(screen, "reading the ledger");
    let view = open(&path)?;
    let (entries, is_cut) = show.newest(&view)?;
    let size = view.size()?;
    drop(progress);
    write(&entries, globals, screen)?;
    let limit = if is_cut { format!(" (-n {})", show.limit) } else { String::new() };
    let shown = format!("{} of {size}{limit}", count(entries.len(), "entry", "entries"));
    let elapsed_ms = started.elapsed().as_millis();
    screen.say(Mark::Note, &format!("{shown} · ledger {} · {elapsed_ms} ms", path.display()));
    Ok(DONE)
}

fn write(entries: &VecDeque<(Entry, Hash)>, globals: &Globals, screen: &Screen) -> anyhow::Result<()> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        print(screen, |out| write_json(out, form, entries.iter().map(|(entry, leaf)| object(entry, leaf))))?;
        return Ok(());
    }
    let is_csv = form == Format::Csv;
    let time = |moment: Timestamp| if is_csv { moment.rfc3339() } else { local_second(moment, &screen.zone) };
    let time_name = if is_csv { "recorded_at".to_owned() } else { format!("recorded {}", offset(&screen.zone)) };
    let columns = vec![
        Column::new("seq", Align::Right),
        Column::new(time_name, Align::Left),
        Column::new("actor", Align::Text),
        Column::new("uid", Align::Right),
        Column::new("action", Align::Left),
        Column::new("subject", Align::Text),
        Column::new("payload", Align::Text),
    ];
    let row = |(entry, _): &(Entry, Hash)| {
        let event = &entry.event;
        vec![
            Cell::new(entry.sequence.to_string()),
            Cell::new(time(entry.recorded)),
            Cell::new(event.actor.name.as_str()),
            Cell::new(event.actor.uid.map(|uid| uid.to_string()).unwrap_or_default()),
            Cell::new(event.action.name()),
            Cell::new(event.subject.as_str()),
            Cell::new(event.payload.as_str()),
        ]
    };
    let table = Table { columns, rows: entries.iter().map(row).collect(), header: true, indent: 0 };
    print(screen, |out| table.write(out, form, screen, globals))?;
    Ok(())
}

/// The names are those of the table `audit`; a payload that is JSON is JSON here.
fn object(entry: &Entry, leaf: &Hash) -> Map<String, Json> {
    let event = &entry.event;
    let payload = serde_json::from_str(&event.payload).unwrap_or_else(|_| Json::from(event.payload.as_str()));
    let object = json!({
        "seq": entry.sequence,
        "recorded_at": entry.recorded,
        "at": event.at,
        "actor": event.actor.name,
        "uid": event.actor.uid,
        "pid": event.actor.pid,
        "action": event.action,
        "subject": event.subject,
        "payload": payload,
        "leaf_hash": hex(leaf),
        "origin": event.id.origin,
        "number": event.id.number,
    });
    let Json::Object(object) = object else { unreachable!("an object was made") };
    object
}

fn follow(show: &Show, path: &Path, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_data(globals.output);
    if !matches!(form, Format::Table | Format::Ndjson) {
        bail!("entries come one by one, without an end: ask for `-o table` or `-o ndjson`");
    }
    let view = open(path)?;
    let (mut next, (newest, _)) = (view.size()?, show.newest(&view)?);
    drop(view);
    let _resized = signals::end_on_request(|| {})?;
    for (entry, leaf) in newest {
        if one(&entry, &leaf, form, globals, screen)?.is_break() {
            return Ok(DONE);
        }
    }
    let mut away: Option<String> = None;
    loop {
        std::thread::sleep(LOOK_EVERY);
        // Opened each time: what is held open would be in the way of an agent that starts.
        let mut flow = Ok(ControlFlow::Continue(()));
        let looked = open(path).and_then(|view| {
            if view.size()? < next {
                screen.say(Mark::Warning, "the ledger has fewer entries than before; following it from its start");
                next = 0;
            }
            view.entries(next, Order::Forwards, &mut |entry, leaf| {
                next = entry.sequence + 1;
                if show.wants(&entry) {
                    flow = one(&entry, &leaf, form, globals, screen);
                }
                if matches!(flow, Ok(ControlFlow::Continue(()))) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
        });
        if flow?.is_break() {
            return Ok(DONE);
        }
        let why = looked.err().map(|error| error.to_string());
        if why.is_some() && why != away {
            screen.say(Mark::Warning, &format!("{}; looking again", why.as_deref().unwrap_or_default()));
        }
        away = why;
    }
}

/// Shows one entry; breaks where nobody reads any more.
fn one(
    entry: &Entry,
    leaf: &Hash,
    form: Format,
    globals: &Globals,
    screen: &Screen,
) -> anyhow::Result<ControlFlow<()>> {
    // The terminal may have been resized, and nothing here is to be paged.
    let screen = screen.measured();
    let written = if let Some(form) = form.json() {
        print(&screen, |out| write_json(out, form, std::iter::once(object(entry, leaf))))?
    } else {
        let event = &entry.event;
        let mut page = Page::new(&screen, globals.full);
        let actor = match event.actor.uid {
            Some(uid) => format!("{} (uid {uid})", event.actor.name),
            None => event.actor.name.clone(),
        };
        page.line(
            0,
            &[
                Cell::new(entry.sequence.to_string()),
                Cell::new(local_second(entry.recorded, &screen.zone)),
                Cell::new(actor),
                Cell::new(event.action.name()),
                Cell::new(event.subject.as_str()),
                Cell::new(event.payload.as_str()),
            ],
        );
        page.print()?.map(drop)
    };
    Ok(if written.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
}
