//! `alerts silence`, `silences` and `unsilence`: what is stored and not delivered for a while.

use std::path::PathBuf;

use anyhow::Context;
use daemoneye_broker::payload::{Deed, Silence as Wish};
use daemoneye_dsl::silence::Silence as Made;
use daemoneye_dsl::types::{Timestamp, Value, parse_interval};
use serde_json::Map;

use super::{local_second, offset};
use crate::agent::{Door, order};
use crate::asked::Place;
use crate::output::{Format, print, write_json};
use crate::query::incomplete;
use crate::render::{Align, Cell, Column, Table, lasting};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, live, store, with_exit_codes};

/// Keep a rule's alerts from being delivered for a while.
///
/// They are stored all the same, and `alerts list` shows them with the number of the silence. When it is over, the next
/// match of a key raises an alert that is delivered; what goes on matching all the while does not come again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Silence {
    /// The rule by name or id
    #[arg(value_name = "RULE", required_unless_present = "alert")]
    rule: Option<String>,
    /// Of this key alone: a JSON object with a value for each column of the rule's key
    #[arg(long, value_name = "JSON")]
    key: Option<String>,
    /// Of this alert's rule and key alone
    #[arg(long, value_name = "ID", conflicts_with_all = ["rule", "key"])]
    alert: Option<u64>,
    /// For how long, such as 30m, 2h or 7d
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    how_long: i64,
    /// What is to be remembered about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// List what is kept from being delivered, and until when.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Silences {
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// End a silence before its time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Unsilence {
    /// The number that `alerts silences` gives
    #[arg(value_name = "N")]
    number: u64,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli alerts silence recon_burst --for 2h --note 'pentest'
  sudo daemoneye-cli alerts silence --alert 8841 --for 7d
  daemoneye-cli alerts silences
  sudo daemoneye-cli alerts unsilence 3";

const DONE: Ending = Ending::Done { found: false, degraded: false };

fn duration(text: &str) -> Result<i64, String> {
    parse_interval(text)
        .filter(|micros| *micros > 0)
        .ok_or_else(|| "write a number and a unit, such as 30m or 2h".to_owned())
}

impl Silence {
    pub(super) fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let door = Door::find(&globals.settings, &store::data_dir(self.data.as_ref(), &globals.settings));
        let wish = Wish {
            rule: self.rule.clone().unwrap_or_default(),
            key: self.key.clone(),
            alert: self.alert,
            for_micros: self.how_long,
            note: self.note.clone(),
        };
        match order(&door, Deed::Silence(wish)) {
            Ok(made) => {
                let made: Made = serde_json::from_slice(&made).context("the agent does not say what it silenced")?;
                let until = local_second(made.ends, &screen.zone);
                let key = made.key.map(|key| format!(", key {}", serde_json::Value::Object(key))).unwrap_or_default();
                let what = format!("silence {} of rule {}{key}", made.number, made.rule);
                screen.say(Mark::Note, &format!("{what}, until {until} {}", offset(&screen.zone)));
                Ok(DONE)
            }
            Err(reached) => Ok(reached.end_order(&door, "nothing was silenced", "alerts silences", screen)),
        }
    }
}

impl Unsilence {
    pub(super) fn run(&self, globals: &Globals, screen: &Screen) -> Ending {
        let door = Door::find(&globals.settings, &store::data_dir(self.data.as_ref(), &globals.settings));
        match order(&door, Deed::Unsilence(self.number)) {
            Ok(_) => {
                screen.say(Mark::Note, &format!("silence {} ended", self.number));
                DONE
            }
            Err(reached) => reached.end_order(&door, "no silence was ended", "alerts silences", screen),
        }
    }
}

/// The columns that are shown, in their order.
const COLUMNS: [&str; 7] = ["number", "rule", "dedup_key", "ends_at", "made_at", "made_by", "note"];

impl Silences {
    pub(super) fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let place = Place::find(self.data.as_ref(), &globals.settings, screen)?;
        // One that is over stays until the next snapshot.
        let sql = format!(
            "SELECT {} FROM silences WHERE ends_at > {} ORDER BY number",
            COLUMNS.join(", "),
            crate::asked::literal(&live::now().rfc3339())
        );
        let answer = place.ask(&sql)?;
        let form = Format::of_data(globals.output);
        if let Some(form) = form.json() {
            let object = |row: &Vec<Value>| -> Map<String, serde_json::Value> {
                COLUMNS.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.to_json())).collect()
            };
            print(screen, |out| write_json(out, form, answer.rows.iter().map(object)))?;
        } else {
            let names = ["number", "rule", "key", "ends", "left", "by", "note"];
            let align = |name: &&str| if *name == "number" { Align::Right } else { Align::Text };
            let columns = names.iter().map(|name| Column::new(*name, align(name))).collect();
            let rows = answer.rows.iter().map(|row| cells(row, screen)).collect();
            let table = Table { columns, rows, header: true, indent: 0 };
            print(screen, |out| table.write(out, form, screen, globals))?;
        }
        let silences = count(answer.rows.len(), "silence", "silences");
        screen.say(Mark::Note, &format!("{silences} in force · {}", place.note()));
        if !answer.completeness.is_complete() {
            screen.say(Mark::Warning, &incomplete(&answer.completeness));
        }
        Ok(Ending::Done { found: false, degraded: !answer.completeness.is_complete() })
    }
}

fn cells(row: &[Value], screen: &Screen) -> Vec<Cell> {
    let [number, rule, key, ends, _, by, note] = row else { return vec![] };
    let ends = Timestamp(ends.as_timestamp().unwrap_or_default());
    let text = |value: &Value, none: &str| Cell::new(value.as_text().unwrap_or(none));
    vec![
        Cell::new(number.as_integer().unwrap_or_default().to_string()),
        text(rule, ""),
        text(key, "all"),
        Cell::new(local_second(ends, &screen.zone)),
        Cell::new(lasting(ends.0.saturating_sub(live::now().0).max(0))),
        Cell::new(by.as_integer().map_or_else(String::new, |uid| format!("uid {uid}"))),
        text(note, ""),
    ]
}
