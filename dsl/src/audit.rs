//! What goes on record: who did what to what, and how that ended.
//!
//! A [`Fact`] becomes an [`Event`] when whoever keeps count of them gives it a number. An event is published on
//! `audit.<actor>.<action>` and becomes one entry of the ledger. Its text is untrusted: names of rules and clients,
//! reasons and notes come from outside.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::types::Timestamp;

/// Bytes of a payload; of a longer one [`Fact::new`] keeps the beginning, and says so in it.
pub const PAYLOAD_MAX: usize = 64 << 10;
/// Bytes of a subject; of a longer one [`Fact::new`] keeps the beginning.
pub const SUBJECT_MAX: usize = 1 << 10;

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
    /// The component (`agent`, `broker`, `procmond`), or what a client has proved to be (`operator`, `collector`). Never
    /// a name that somebody gave themselves: that stands in the payload.
    pub name: String,
    /// The user that the system names: the client's, also where the broker refused it something.
    pub uid: Option<u32>,
    /// Its process.
    pub pid: Option<u32>,
}

impl Actor {
    /// A component of this installation.
    pub fn component(name: &str) -> Self {
        Self { name: name.to_owned(), uid: None, pid: None }
    }
}

/// Something that happened, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// [`Event::at`].
    pub at: Timestamp,
    /// [`Event::actor`].
    pub actor: Actor,
    /// [`Event::action`].
    pub action: Action,
    /// [`Event::subject`].
    pub subject: String,
    /// [`Event::payload`].
    pub payload: String,
}

impl Fact {
    /// Within the bounds of an event; `payload` is an object.
    pub fn new(at: Timestamp, actor: Actor, action: Action, subject: &str, payload: &Value) -> Self {
        let mut text = payload.to_string();
        if text.len() > PAYLOAD_MAX {
            // In JSON a byte of text takes six at the most.
            let beginning = &text[..text.floor_char_boundary(PAYLOAD_MAX / 8)];
            text = json!({"cut_from_bytes": text.len(), "beginning": beginning}).to_string();
        }
        let subject = subject[..subject.floor_char_boundary(SUBJECT_MAX)].to_owned();
        Self { at, actor, action, subject, payload: text }
    }

    /// The event that it becomes with this number.
    pub fn numbered(self, id: EventId) -> Event {
        let Self { at, actor, action, subject, payload } = self;
        Event { id, at, actor, action, subject, payload }
    }
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

            /// The action of that name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$action),)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    ComponentStarted "component_started" "a component started: its version and the hash of its binary"
    ComponentStopped "component_stopped" "a component stopped, and whether in order"
    ConfigurationInForce "configuration_in_force" "the configuration at a start and after each change"
    ConfigurationRefused "configuration_refused" "a changed configuration is wrong: that before stays in force"
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
    QueryRefused "query_refused" "the agent refused a question, an order or a snapshot"
    ConnectionRefused "connection_refused" "the broker refused a client"
    ConnectionEnded "connection_ended" "the broker ended a connection for what came over it"
    SubscriptionRefused "subscription_refused" "a client wanted to hear what it may not"
    CollectionGap "collection_gap" "snapshots are missing"
    HistoryDropped "history_dropped" "retention dropped history"
    DamageFound "damage_found" "a part of the store is damaged and set aside"
    Exported "exported" "history, alerts or entries left the host's store"
    ExportFailed "export_failed" "checkpoints ceased to leave the host: why"
    CommandRun "command_run" "an operator asked the agent something, or told the ledger what to do"
    KeyRotated "key_rotated" "another key signs from here on"
    EntriesShed "entries_shed" "events that could not be recorded in time, counted"
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_within_the_bounds_and_still_json() {
        for (what, len) in [("\u{1}", PAYLOAD_MAX), ("漢", PAYLOAD_MAX), ("x", PAYLOAD_MAX - 8), ("x", PAYLOAD_MAX - 7)]
        {
            let payload = json!({"why": what.repeat(len)});
            let fact = Fact::new(Timestamp(0), Actor::default(), Action::EntriesShed, &what.repeat(len), &payload);
            assert!(fact.payload.len() <= PAYLOAD_MAX && fact.subject.len() <= SUBJECT_MAX);
            let kept: Value = serde_json::from_str(&fact.payload).unwrap();
            let whole = payload.to_string().len();
            assert_eq!(kept.get("cut_from_bytes").is_some(), whole > PAYLOAD_MAX, "{whole}");
        }
    }

    #[test]
    fn actions_are_found_by_the_names_that_json_has() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
            assert_eq!(Action::named(action.name()), Some(*action));
        }
        assert_eq!(Action::named("rule"), None);
    }
}
