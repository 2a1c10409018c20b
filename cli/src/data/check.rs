//! `data check`: whether everything that is stored can be read and fits together.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Instant;

use daemoneye_storage::{Checked, Damage};
use serde_json::Map;

use crate::output::{Format, print, write_json};
use crate::progress::{Progress, Unit};
use crate::render::{Align, Cell as Shown, Column, Extent, Table};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, store, with_exit_codes};

/// Read everything that is stored, and name what is damaged.
///
/// Every block, every piece of every segment, alerts and matches prove their bytes, and what one of them says of
/// another is compared. The store is only read, beside the agent if it runs. Exits with 1 when something is damaged.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Check {
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli data check
  daemoneye-cli data check -q || notify-admin";

pub(super) fn run(check: &Check, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let progress = Progress::begin(screen, "reading the store");
    let stored = store::open(check.data.as_ref(), &globals.settings)?;
    let total = Cell::new(None);
    let checked = stored.view.check(&mut |parts| {
        if total.replace(Some(parts)).is_none() {
            progress.step("checking parts of the store", Unit::Things, Some(parts));
        } else {
            progress.advance(parts);
        }
    })?;
    drop(progress);
    write(&checked.damaged, globals, screen)?;
    let elapsed_ms = started.elapsed().as_millis();
    screen.say(Mark::Note, &format!("{} · {} · {elapsed_ms} ms", read(&checked), store::note(&stored)));
    if !checked.is_whole() {
        let all = checked.damaged.len() as u64 + checked.unnamed;
        let damaged = count(usize::try_from(all).unwrap_or(usize::MAX), "thing is damaged", "things are damaged");
        let next = "the rest can be read, and answers say what they lack; save it with `daemoneye-cli data export`, then \
                    move the file away, and the agent begins a new one";
        screen.say(Mark::Warning, &format!("{damaged}: {next}"));
    }
    Ok(Ending::Done { found: !checked.is_whole(), degraded: false })
}

/// `3 parts with 1200 versions, 4 alerts and 2 matches are whole`.
fn read(checked: &Checked) -> String {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let whole = if checked.is_whole() { "all is whole" } else { "read" };
    let parts = [
        count(number(checked.parts), "part", "parts"),
        count(number(checked.versions), "version", "versions"),
        count(number(checked.samples), "sample", "samples"),
        count(number(checked.alerts), "alert", "alerts"),
        count(number(checked.matches), "match", "matches"),
    ];
    format!("{whole}: {}", parts.join(", "))
}

fn write(damaged: &[Damage], globals: &Globals, screen: &Screen) -> anyhow::Result<()> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let object = |damage: &Damage| {
            let fields = [("part", &damage.part), ("why", &damage.why)];
            Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value.as_str().into())))
        };
        print(screen, |out| write_json(out, form, damaged.iter().map(object)))?;
        return Ok(());
    }
    if damaged.is_empty() && form != Format::Csv {
        return Ok(());
    }
    let columns = vec![Column::new("part", Align::Text), Column::new("why", Align::Text)];
    let rows = damaged.iter().map(|damage| vec![Shown::new(&*damage.part), Shown::new(&*damage.why)]).collect();
    let table = Table { columns, rows, header: true, indent: 0 };
    let _extent: Option<Extent> = print(screen, |out| table.write(out, form, screen, globals))?;
    Ok(())
}
