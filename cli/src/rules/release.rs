//! `rules release`: tells the running agent to take quarantined rules up again.

use std::path::PathBuf;

use anyhow::bail;
use daemoneye_broker::Outcome;
use daemoneye_broker::payload::Order;
use daemoneye_dsl::status::RuleState;
use daemoneye_storage::{Error, View};

use crate::agent::{Door, Reached, order};
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
        let view = store::open(self.data.as_ref(), &globals.settings).map(|stored| stored.view);
        let run = view.as_ref().ok().and_then(|view| view.run().ok().flatten());
        let door = Door::of(run.as_ref(), &globals.settings, &data);
        let names = if self.all { view.and_then(|view| quarantined(&view)) } else { Ok(self.names.clone()) };
        // An order that names nothing does nothing: whether an agent runs comes before what its store says.
        match order(&door, &Order { release: names.as_ref().cloned().unwrap_or_default() }) {
            Ok(Outcome::Accepted(_)) => {
                let names = names?;
                let rules = count(names.len(), "rule", "rules");
                let text = if names.is_empty() {
                    "no rule is quarantined".to_owned()
                } else {
                    format!("{rules} released, from the next snapshot on: {}", names.join(", "))
                };
                screen.say(Mark::Note, &text);
            }
            Ok(Outcome::Refused(why)) => bail!("nothing was released: {why}"),
            Ok(Outcome::Nobody) => bail!(
                "nothing was released: nobody at {} takes orders; check that this program and the agent are of the \
                 same version",
                door.socket.display()
            ),
            Err(reached) => {
                screen.say(Mark::Error, &unreachable(&reached, &door.socket.display().to_string()));
                return Ok(Ending::Unreachable);
            }
        }
        Ok(Ending::Done { found: false, degraded: false })
    }
}

fn quarantined(view: &View) -> Result<Vec<String>, Error> {
    let rules = view.rules()?.0.into_iter();
    Ok(rules.filter(|rule| rule.state == RuleState::Quarantined).map(|rule| rule.name).collect())
}

fn unreachable(reached: &Reached, socket: &str) -> String {
    let why = match reached {
        Reached::NoSocket => format!("no agent runs: there is no socket {socket}"),
        Reached::Deserted => format!("no agent runs: nobody listens at {socket}"),
        Reached::Denied => format!("the agent cannot be asked: permission to use {socket} or its key is denied"),
        Reached::Refused(why) => format!("the agent at {socket} lets this user not in: {why}"),
        Reached::Answers | Reached::Silent => format!("the agent at {socket} does not answer"),
        Reached::Failed(why) => format!("the agent at {socket} cannot be asked: {why}"),
    };
    format!("nothing was released: {why}; `daemoneye-cli status` says what to do")
}
