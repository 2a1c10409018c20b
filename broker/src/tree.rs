//! The product's topics: who publishes and who subscribes. Declared here and nowhere else.

use std::fmt::{self, Display};

use crate::topic::{self, Pattern, Topic};

/// What a client may do, as it has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
pub enum Role {
    /// Reports what it sees; the agent starts it, or an operator.
    Collector = 0,
    /// A person or a program that asks the agent and reads what it found.
    Operator = 1,
    /// The process that the broker is in. Nobody can be it from outside.
    Agent = 2,
}

impl Role {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Operator => "operator",
            Self::Agent => "agent",
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Topics that a pattern matches, and who may do what with them.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// Which topics.
    pub pattern: &'static str,
    /// Who may publish.
    pub publishers: &'static [Role],
    /// Who may subscribe.
    pub subscribers: &'static [Role],
    /// What is said there.
    pub doc: &'static str,
}

const EVERYBODY: &[Role] = &[Role::Collector, Role::Operator, Role::Agent];

/// Every topic of the product.
pub const PRODUCT: &[Branch] = &[
    Branch {
        pattern: topic::ALL_EVENTS,
        publishers: &[Role::Collector],
        subscribers: &[Role::Agent],
        doc: "`events.<table>`: snapshots and events of a table, acknowledged when they are stored",
    },
    Branch {
        pattern: "control.agent",
        publishers: &[Role::Operator],
        subscribers: &[Role::Agent],
        doc: "what the agent is asked; its answer is the acknowledgement",
    },
    Branch {
        pattern: "control.>",
        publishers: &[Role::Agent],
        subscribers: &[Role::Collector],
        doc: "`control.<collector>`: what a collector is told",
    },
    Branch {
        pattern: topic::ALL_ALERTS,
        publishers: &[Role::Agent],
        subscribers: &[Role::Operator, Role::Agent],
        doc: "`alerts.<level>.<rule>`: alerts as they are raised",
    },
    Branch {
        pattern: topic::ALL_AUDIT,
        publishers: &[Role::Agent],
        subscribers: &[Role::Operator, Role::Agent],
        doc: "`audit.<actor>.<action>`: what bears on security, as JSON; what the broker itself refused, on `audit.broker.>`, as a `Notice`; the last checkpoint of the ledger, on `audit.agent.checkpoint`, as text",
    },
    Branch {
        pattern: "health.agent",
        publishers: &[Role::Agent],
        subscribers: EVERYBODY,
        doc: "how the agent is, which no collector can say; the last is retained",
    },
    Branch {
        pattern: topic::ALL_HEALTH,
        publishers: &[Role::Collector, Role::Agent],
        subscribers: EVERYBODY,
        doc: "`health.<component>`: how a component is; the last is retained",
    },
    Branch {
        pattern: topic::ALL_REPLIES,
        publishers: &[Role::Agent],
        subscribers: &[Role::Operator],
        doc: "`reply.<connection>.<number>`: an answer in parts, for the connection that asked",
    },
];

/// Every topic for everybody: for tests and measurements.
pub const OPEN: &[Branch] = &[Branch { pattern: ">", publishers: EVERYBODY, subscribers: EVERYBODY, doc: "any topic" }];

/// Who may do what, ready to be asked.
#[derive(Debug)]
pub(crate) struct Tree(Vec<(Pattern, &'static Branch)>);

impl Tree {
    pub(crate) fn new(branches: &'static [Branch]) -> Self {
        let parsed = |branch: &'static Branch| {
            (Pattern::parse(branch.pattern).expect("the branches of a tree are valid patterns"), branch)
        };
        Self(branches.iter().map(parsed).collect())
    }

    /// Who may publish under a topic: what the first branch says that matches.
    pub(crate) fn publishers(&self, topic: &Topic) -> &'static [Role] {
        let branch = self.0.iter().find(|(pattern, _)| pattern.matches(topic));
        branch.map_or(&[], |(_, branch)| branch.publishers)
    }

    /// Whether a role may subscribe to everything that `wanted` can match: one branch that it may read covers it, and
    /// no branch before that, which it may not, meets it.
    pub(crate) fn may_subscribe(&self, role: Role, wanted: &Pattern) -> bool {
        let met = self.0.iter().filter(|(pattern, _)| pattern.meets(wanted));
        let mut allowed = met.take_while(|(_, branch)| branch.subscribers.contains(&role));
        allowed.any(|(pattern, _)| pattern.covers(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_say_who() {
        let tree = Tree::new(PRODUCT);
        let publishers = |topic: &str| tree.publishers(&Topic::parse(topic).unwrap());
        let may = |role, pattern: &str| tree.may_subscribe(role, &Pattern::parse(pattern).unwrap());
        assert_eq!(publishers("events.processes"), [Role::Collector]);
        assert_eq!(publishers("control.agent"), [Role::Operator]);
        assert_eq!(publishers("control.procmond"), [Role::Agent]);
        assert_eq!((publishers("health.agent"), publishers("health.procmond").len()), (&[Role::Agent][..], 2));
        assert!(may(Role::Operator, "health.>") && may(Role::Operator, "health.agent"));
        assert!(publishers("elsewhere").is_empty());
        assert!(may(Role::Operator, "alerts.high.*") && may(Role::Operator, "alerts.>"));
        assert!(!may(Role::Collector, "alerts.>") && !may(Role::Operator, ">") && !may(Role::Operator, "events.>"));
        assert!(!may(Role::Collector, "control.agent") && may(Role::Collector, "control.procmond"));
        assert!(!may(Role::Collector, "control.*"), "it would hear what the agent is asked");
    }
}
