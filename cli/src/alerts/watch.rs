//! `alerts watch`: what is open, then every alert as it is committed, and every one that changes.
//!
//! Each write of an alert takes a turn, a number that only grows; a cursor over the turns misses nothing, also while no
//! agent runs, and gives nothing twice. An agent that answers says on `health.agent` which turn was the last, so it is
//! asked when there is something new. Without one the store is looked at again and again; the cursor is the same.
//! (On `alerts.>` an alert may come twice, and one that only changed does not come at all.)

mod follower;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use daemoneye_dsl::alert::{Handling, Level};
use daemoneye_dsl::types::parse_interval;
use daemoneye_storage::{Error, ReadStore};

use self::follower::{Follower, Reading};
use super::{handling, level};
use crate::agent::{Asking, Door, Reached};
use crate::asked::Place;
use crate::output::{Format, Json};
use crate::screen::{Mark, Screen};
use crate::store::Stored;
use crate::{Ending, Globals, signals, store, with_exit_codes};

/// How often to look where nobody says that there is something new: so often that an alert is shown well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Follow alerts as they are raised, counted up, handled and resolved.
///
/// First what is open now, then each alert as it is committed, until Ctrl-C. The agent says so if it lets this user in;
/// otherwise its store is read again and again. Where the agent goes away, it is waited for. Into a pipe, and with `-o ndjson`, each line is the whole record; a record
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
    let mut place = Place::find(watch.data.as_ref(), &globals.settings, screen)?;
    let _resized = signals::end_on_request(|| {})?;
    let mut follower = Follower::new(watch, form, globals, screen);
    screen.say(Mark::Note, &format!("following {}", place.note()));
    let mut reading = follower.begin(&place)?;
    while reading == Reading::GoesOn {
        reading = match &place {
            Place::Agent(asking) => follow(asking, &mut follower)?,
            Place::Store(stored) => follower.notice(stored)?,
        };
        if reading == Reading::GoesOn
            && let Some(asking) = wait_for_agent(watch, globals, &mut follower)?
        {
            place = Place::Agent(asking);
            follower.came_back();
        } else {
            break;
        }
    }
    Ok(Ending::Done { found: false, degraded: false })
}

/// Shows what the agent says is new, until it goes away.
fn follow(asking: &Asking, follower: &mut Follower<'_>) -> anyhow::Result<Reading> {
    let Ok(mut turns) = asking.alert_turns() else { return Ok(Reading::GoesOn) };
    while let Some(turn) = turns.next() {
        if turn == follower.turn() {
            continue;
        }
        let Ok(reading) = follower.catch_up(&mut |after| asking.alerts_after(after))? else { break };
        if reading == Reading::Ended {
            return Ok(reading);
        }
    }
    Ok(Reading::GoesOn)
}

/// Looks at the store again and again until the agent answers; gives nothing where nobody reads any more.
fn wait_for_agent(watch: &Watch, globals: &Globals, follower: &mut Follower<'_>) -> anyhow::Result<Option<Asking>> {
    let data = store::data_dir(watch.data.as_ref(), &globals.settings);
    let path = data.events();
    let mut may_ask = true;
    loop {
        if may_ask {
            match Asking::open(&Door::find(&globals.settings, &data)) {
                Ok(asking) => return Ok(Some(asking)),
                // It would say the same again, and put each attempt on record.
                Err(Reached::Denied | Reached::Refused(_) | Reached::OtherProtocol(_)) => may_ask = false,
                Err(_) => {}
            }
        }
        // Opened each time: what is held open would be in the way of an agent that starts.
        match ReadStore::open(&path).and_then(|store| store.read()) {
            Ok(view) => {
                let looked = follower.catch_up(&mut |after| Ok(view.alert_changes(after)?))?;
                if looked? == Reading::Ended || follower.notice(&Stored { path: path.clone(), view })? == Reading::Ended
                {
                    return Ok(None);
                }
            }
            Err(Error::NeedsRepair(_)) => follower.went_away("the agent was killed"),
            Err(error) => follower.went_away(&error.to_string()),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
