//! `rules release`: tells the running agent to take quarantined rules up again.

use std::path::PathBuf;

use daemoneye_broker::payload::{Deed, Release as Wish};
use daemoneye_dsl::status::RuleState;

use crate::agent::{Door, order};
use crate::asked::{Place, literal};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, store, with_exit_codes};

/// Let quarantined rules run again.
///
/// A rule that took too long or held too much is quarantined: the agent no longer runs it, and every answer says so.
/// Released, it runs again from the next snapshot on, filled from what is stored; where it reaches a bound again, it is
/// quarantined again. A rule whose file changes, and every rule when the agent is restarted, needs no release.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Release {
    /// Rules by name, as `status` gives them
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// All that are quarantined
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli status                               which ones, and why?
  sudo daemoneye-cli rules release deep_lineage
  sudo daemoneye-cli rules release --all";

impl Release {
    pub(super) fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let data = store::data_dir(self.data.as_ref(), &globals.settings);
        let door = Door::find(&globals.settings, &data);
        let quarantined = || quarantined(&Place::find(self.data.as_ref(), &globals.settings, screen)?);
        let names = if self.all { quarantined() } else { Ok(self.names.clone()) };
        // An order that names nothing does nothing: whether an agent runs comes before what its store says.
        match order(&door, Deed::Release(Wish { rules: names.as_deref().unwrap_or_default().to_vec() })) {
            Ok(_) => {
                let names = names?;
                let rules = count(names.len(), "rule", "rules");
                let text = if names.is_empty() {
                    "no rule is quarantined".to_owned()
                } else {
                    format!("{rules} released, from the next snapshot on: {}", names.join(", "))
                };
                screen.say(Mark::Note, &text);
            }
            Err(reached) => return Ok(reached.end_order(&door, "nothing was released", "status", screen)),
        }
        Ok(Ending::Done { found: false, degraded: false })
    }
}

fn quarantined(place: &Place) -> anyhow::Result<Vec<String>> {
    let state = literal(RuleState::Quarantined.name());
    let rules = place.ask(&format!("SELECT name FROM rules WHERE state = {state}"))?.rows;
    Ok(rules.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}
