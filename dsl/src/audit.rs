//! What goes on record: who did what to what, and how that ended.
//!
//! An event is published on `audit.<actor>.<action>` and becomes one entry of the ledger. Its text is untrusted: names
//! of rules and clients, reasons and notes come from outside.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::types::Timestamp;

/// Bytes of an event's payload; a longer one is cut by whoever makes it, who says so in it.
pub const PAYLOAD_MAX: usize = 64 << 10;

/// Something that bears on security.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unique for ever: what a second delivery is recognised by.
    pub id: EventId,
    /// When it happened, by the clock of whoever saw it.
    pub at: Timestamp,
    /// Whose doing.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To what: a rule's name, an alert's number, a component, a client. Empty where the action says it all.
    pub subject: String,
    /// What else there is to know: a JSON object, of which these very bytes are hashed.
    pub payload: String,
}

/// Where an event comes from, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// The outbox of an event store, or one run of a program.
    pub origin: String,
    /// Ascending within the origin, without gaps where that is an outbox.
    pub number: u64,
}

/// Who did something, as far as the system says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The program or component: `agent`, `broker`, `procmond`, `daemoneye-cli`.
    pub name: String,
    /// The user that the system names.
    pub uid: Option<u32>,
    /// Its process.
    pub pid: Option<u32>,
}

macro_rules! actions {
    ($($action:ident $name:literal $doc:literal)*) => {
        /// What can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Action {
            $(#[doc = $doc] #[serde(rename = $name)] $action,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// The word for it, in topics and in the `audit` table.
            pub fn name(self) -> &'static str {
                match self { $(Self::$action => $name),* }
            }

            /// What it means, in one line.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$action => $doc),* }
            }
        }
    };
}

actions! {
    ComponentStarted "component_started" "a component started: its version and the hash of its binary"
    ComponentStopped "component_stopped" "a component stopped, and whether in order"
    ConfigurationInForce "configuration_in_force" "the configuration at a start and after each change"
    PrivilegesChanged "privileges_changed" "a component took or gave up privileges"
    RuleLoaded "rule_loaded" "a rule runs: its revision"
    RuleChanged "rule_changed" "a rule runs in another revision than before"
    RuleRemoved "rule_removed" "a rule runs no more"
    RuleRefused "rule_refused" "a rule file does not compile"
    RuleQuarantined "rule_quarantined" "a rule reached a bound and was stopped"
    RuleReleased "rule_released" "a quarantined rule runs again"
    Silenced "silenced" "alerts are not delivered for a while"
    Unsilenced "unsilenced" "a silence was ended"
    AlertRaised "alert_raised" "an alert was raised: the hash of its content"
    AlertChanged "alert_changed" "the state of an alert changed"
    QueryRefused "query_refused" "the agent refused a question or an order"
    ConnectionRefused "connection_refused" "the broker refused a client"
    ConnectionEnded "connection_ended" "the broker ended a connection for what came over it"
    SubscriptionRefused "subscription_refused" "a client wanted to hear what it may not"
    CollectionGap "collection_gap" "snapshots are missing"
    HistoryDropped "history_dropped" "retention dropped history"
    DamageFound "damage_found" "a part of the store is damaged and set aside"
    Exported "exported" "history, alerts or entries left the host's store"
    CommandRun "command_run" "an operator had the agent do something"
    KeyRotated "key_rotated" "another key signs from here on"
    EntriesShed "entries_shed" "events that could not be recorded in time, counted"
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Action {
    /// The action of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_found_by_the_names_that_json_has() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
            assert_eq!(Action::named(action.name()), Some(*action));
        }
        assert_eq!(Action::named("rule"), None);
    }
}
