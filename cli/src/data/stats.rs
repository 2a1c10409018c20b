//! `data stats`: what the store holds, what takes how much room, and what retention dropped.

use std::path::PathBuf;

use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Cause, Contents, Dropped, Kept, Room};
use serde_json::{Value as Json, json};

use crate::output::{Format, print};
use crate::page::Page;
use crate::progress::Progress;
use crate::render::{bytes, local_time};
use crate::screen::{Screen, count};
use crate::{Ending, Globals, failed, path_remedy, store, with_exit_codes};

/// Drops that are shown one by one; `-v` and JSON have all.
const DROPS_SHOWN: usize = 3;

/// Show what the store holds and what takes how much room.
///
/// Versions of processes, their exits and samples, alerts, since when, the bytes of each, what is free in the file, and what
/// retention dropped. The store is only read, beside the agent if it runs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Stats {
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli data stats
  daemoneye-cli data stats -o json | jq .history.bytes_per_version";

/// Everything that is shown.
struct Facts {
    path: PathBuf,
    file: u64,
    contents: Contents,
    room: Room,
    alive: usize,
    newest: Option<Timestamp>,
    alerts: u64,
    drops: Vec<Dropped>,
}

pub(super) fn run(stats: &Stats, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let progress = Progress::begin(screen, "reading the store");
    let stored = store::open(stats.data.as_ref(), &globals.settings)?;
    let path = stored.path;
    let unreadable = |error| failed(format!("cannot read {}", path.display()), &error, path_remedy(&error));
    let live = stored.view.live()?;
    let facts = Facts {
        file: std::fs::metadata(&path).map_err(unreadable)?.len(),
        contents: stored.view.contents()?,
        room: stored.view.room()?,
        alive: live.as_ref().map_or(0, |live| live.versions.num_rows()),
        newest: live.map(|live| live.time),
        alerts: stored.view.alerts()?,
        drops: stored.view.drops()?,
        path,
    };
    drop(progress);
    if form.is_some() {
        print(screen, |out| writeln!(out, "{}", facts.to_json()))?;
    } else {
        facts.page(globals, screen).print()?;
    }
    Ok(Ending::Done { found: false, degraded: facts.contents.damaged > 0 })
}

impl Facts {
    fn free(&self) -> u64 {
        self.file.saturating_sub(self.room.history + self.room.alerts + self.room.state)
    }

    fn dropped(&self, of: Kept) -> impl Iterator<Item = &Dropped> {
        self.drops.iter().filter(move |dropped| dropped.of == of)
    }

    /// The moment before which something is no longer whole.
    fn dropped_to(&self, of: Kept) -> Option<Timestamp> {
        self.dropped(of).map(|dropped| dropped.to).max()
    }

    fn page<'a>(&self, globals: &Globals, screen: &'a Screen) -> Page<'a> {
        let second = |moment: Timestamp| local_time(moment.0 / 1_000_000 * 1_000_000, &screen.zone);
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let Contents { versions, exits, segments, segment_bytes, sealed, blocks, block_bytes, damaged, oldest, .. } =
            self.contents;
        let Contents { samples, rounds, sample_bytes, .. } = self.contents;
        let mut fields = vec![
            ("store", self.path.display().to_string()),
            ("file", format!("{}, {} of it free, which is used again", bytes(self.file), bytes(self.free()))),
            ("versions", format!("{versions} of processes, {} of them alive, {exits} ended as exits", self.alive)),
        ];
        if let Some((oldest, newest)) = oldest.zip(self.newest) {
            fields.push(("from", format!("{} to {}", second(oldest), second(newest))));
        }
        let each = |bytes: u64, rows: u64| bytes.checked_div(rows).map(|each| format!(", {each} B each"));
        fields.extend([
            (
                "segments",
                format!(
                    "{segments} with {sealed} versions in {}{}",
                    bytes(segment_bytes),
                    each(segment_bytes, sealed).unwrap_or_default()
                ),
            ),
            (
                "blocks",
                format!("{blocks} with {} versions in {}, not sealed yet", versions - sealed, bytes(block_bytes)),
            ),
            (
                "samples",
                format!(
                    "{samples} from {rounds} looks in {}{}",
                    bytes(sample_bytes),
                    each(sample_bytes, samples).unwrap_or_default()
                ),
            ),
            ("history", format!("{} in the file", bytes(self.room.history))),
            (
                "alerts",
                format!("{}, {} in the file", count(number(self.alerts), "alert", "alerts"), bytes(self.room.alerts)),
            ),
            ("state", format!("{} in the file, of rules, matches and collectors", bytes(self.room.state))),
        ]);
        if damaged > 0 {
            let parts = count(number(damaged), "part", "parts");
            fields.push(("damaged", format!("{parts}, not counted here; `daemoneye-cli data check` names them")));
        }
        for (of, what) in [(Kept::Versions, "versions that ended"), (Kept::Samples, "samples taken")] {
            let Some(to) = self.dropped_to(of) else { continue };
            let rows: u64 = self.dropped(of).map(|dropped| dropped.rows).sum();
            let to = second(to);
            let dropped =
                format!("{rows} {what} up to {to}; a question about that time or before is answered incompletely");
            fields.push(("dropped", dropped));
        }
        if !self.drops.is_empty() {
            let shown = if globals.verbose { self.drops.len() } else { self.drops.len().min(DROPS_SHOWN) };
            for Dropped { at, of, rows, bytes: len, from, to, cause } in self.drops.iter().rev().take(shown) {
                let (when, from, to) = (second(*at), second(*from), second(*to));
                let why = setting(*cause);
                fields.push(("", format!("{when}: {rows} {} from {from} to {to}, {} ({why})", noun(*of), bytes(*len))));
            }
            if shown < self.drops.len() {
                fields.push(("", format!("and {} more: -v shows all", self.drops.len() - shown)));
            }
        }
        let mut page = Page::new(screen, globals.full);
        page.fields(&fields);
        page
    }

    fn to_json(&self) -> Json {
        let Contents { versions, exits, segments, segment_bytes, sealed, blocks, block_bytes, damaged, oldest, .. } =
            self.contents;
        let Contents { samples, rounds, sample_bytes, .. } = self.contents;
        let drop = |dropped: &Dropped| {
            json!({
                "at": dropped.at,
                "of": noun(dropped.of),
                "rows": dropped.rows,
                "bytes": dropped.bytes,
                "from": dropped.from,
                "to": dropped.to,
                "because": setting(dropped.cause),
            })
        };
        json!({
            "path": self.path.display().to_string(),
            "bytes": self.file,
            "free_bytes": self.free(),
            "history": {
                "versions": versions,
                "alive": self.alive,
                "exits": exits,
                "oldest": oldest,
                "newest": self.newest,
                "bytes": self.room.history,
                "bytes_per_version": (segment_bytes + block_bytes).checked_div(versions),
                "segments": { "count": segments, "versions": sealed, "bytes": segment_bytes },
                "blocks": { "count": blocks, "versions": versions - sealed, "bytes": block_bytes },
                "samples": { "count": samples, "rounds": rounds, "bytes": sample_bytes },
                "damaged": damaged,
            },
            "alerts": { "count": self.alerts, "bytes": self.room.alerts },
            "state": { "bytes": self.room.state },
            "dropped_to": self.dropped_to(Kept::Versions),
            "samples_dropped_to": self.dropped_to(Kept::Samples),
            "drops": self.drops.iter().map(drop).collect::<Vec<_>>(),
        })
    }
}

/// What was dropped, of many.
fn noun(of: Kept) -> &'static str {
    match of {
        Kept::Versions => "versions",
        Kept::Samples => "samples",
    }
}

/// What made it be dropped.
fn setting(cause: Cause) -> &'static str {
    match cause {
        Cause::Age => "retention.days",
        Cause::Size => "retention.bytes",
    }
}
