//! Everything that can be set, in one list.
//!
//! The checker, the names of environment variables, `config show`, the JSON Schema and the reference read [`ALL`]; the
//! programs read [`crate::Settings`], whose fields a test compares with it. A new setting is an entry here and a field
//! there.

use daemoneye_dsl::limits::{self, Limit};
use daemoneye_dsl::types::MICROS_PER_SEC;

use crate::choices::{AlertForm, Choice, Color, Encryption, Level, LogForm, Mode, Redact};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name: the table and the key in a file.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is where nobody says.
    pub default: Unset,
    /// What it does.
    pub doc: &'static str,
    /// When a change of it takes effect in a running program.
    pub effect: Effect,
    /// Who reads it.
    pub users: &'static [User],
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A path; in a file, a relative one starts where the file lies.
    Path,
    /// Any number of paths, up to a bound.
    Paths,
    /// A number with a unit, within bounds in microseconds.
    Duration {
        /// The shortest.
        min: i64,
        /// The longest.
        max: i64,
    },
    /// One of a few words.
    Choice(&'static [Choice]),
    /// A whole number within bounds.
    Number {
        /// The least.
        min: usize,
        /// The greatest.
        max: usize,
    },
    /// Yes or no.
    Switch,
    /// Names of flags and variables, up to a bound.
    Names,
    /// A program and its arguments, with spaces between them.
    Command,
    /// The name of a group of this system.
    Group,
    /// Where a server is asked over HTTP.
    Url,
}

/// What holds where nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This word.
    Word(&'static str),
    /// This number.
    Number(usize),
    /// No.
    Off,
    /// An empty list.
    Empty,
    /// What the program finds out, as said here.
    Found(&'static str),
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// When the agent is told to reload (SIGHUP).
    Reload,
    /// When the agent is next started.
    Restart,
    /// With the next command.
    EachRun,
}

/// A program that reads a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// `daemoneye-agent`
    Agent,
    /// `procmond`
    Procmond,
    /// `daemoneye-cli`
    Cli,
}

/// A part of the programs whose log has a level of its own.
#[derive(Debug)]
pub struct Component {
    /// What it is called in the log and below `log.levels`.
    pub name: &'static str,
    /// Where in the code its lines come from.
    pub targets: &'static [&'static str],
}

/// The parts that log, by where in the code their lines come from; the longest match counts.
pub const COMPONENTS: &[Component] = &[
    Component { name: "agent", targets: &["daemoneye_agent"] },
    Component { name: "broker", targets: &["daemoneye_broker"] },
    Component { name: "collector", targets: &["procmond", "daemoneye_collectors", "daemoneye_agent::collector"] },
    Component {
        name: "engine",
        targets: &["daemoneye_agent::agent", "daemoneye_agent::alerts", "daemoneye_agent::engine", "daemoneye_planner"],
    },
    Component { name: "ledger", targets: &["daemoneye_agent::ledger", "daemoneye_storage::ledger"] },
    Component { name: "rules", targets: &["daemoneye_agent::rules", "daemoneye_dsl"] },
    Component { name: "settings", targets: &["daemoneye_settings", "daemoneye_agent::settings"] },
    Component { name: "sinks", targets: &["daemoneye_agent::sinks"] },
    Component { name: "store", targets: &["daemoneye_storage"] },
];

/// Shorter names for environment variables that are typed by hand.
pub const SHORT_VARIABLES: &[(&str, &str)] = &[("DAEMONEYE_COLOR", "cli.color"), ("DAEMONEYE_PAGER", "cli.pager")];
/// Sets levels as `LEVEL,COMPONENT=LEVEL,…`.
pub const LOG_VARIABLE: &str = "DAEMONEYE_LOG";
/// How the names of environment variables begin.
pub const VARIABLE_PREFIX: &str = "DAEMONEYE_";

/// Paths of one setting.
pub const PATHS_LEN_MAX: usize = 64;
/// Names of one setting, as many as the collector takes.
pub const NAMES_LEN_MAX: usize = 256;

const MILLI: i64 = MICROS_PER_SEC / 1000;
const DAY: i64 = 86_400 * MICROS_PER_SEC;

/// The level of one component.
const fn level(name: &'static str, doc: &'static str) -> Setting {
    Setting {
        name,
        kind: Kind::Choice(Level::CHOICES),
        default: Unset::Found("that of `log.level`"),
        doc,
        effect: Effect::Reload,
        users: &[User::Agent],
    }
}

/// A bound of the language.
const fn limit(limit: Limit, doc: &'static str) -> Setting {
    Setting {
        name: limit.setting,
        kind: Kind::Number { min: 1, max: limit.max },
        default: Unset::Number(limit.default),
        doc,
        effect: Effect::Reload,
        users: &[User::Agent, User::Cli],
    }
}

/// Every setting, in the order of the reference.
pub const ALL: &[Setting] = &[
    Setting {
        name: "data",
        kind: Kind::Path,
        default: Unset::Found("`/var/lib/daemoneye` as root, else `~/.local/state/daemoneye`"),
        doc: "The directory with the event store and the socket.",
        effect: Effect::Restart,
        users: &[User::Agent, User::Cli],
    },
    Setting {
        name: "socket",
        kind: Kind::Path,
        default: Unset::Found("`agent.sock` in the data directory"),
        doc: "The socket at which the agent is asked, and collectors report.",
        effect: Effect::Restart,
        users: &[User::Agent, User::Procmond, User::Cli],
    },
    Setting {
        name: "key",
        kind: Kind::Path,
        default: Unset::Found("`agent.key` beside the socket"),
        doc: "The file with the key that the agent and whoever connects to it prove each other to hold. The agent makes \
              it when there is none.",
        effect: Effect::Restart,
        users: &[User::Agent, User::Procmond, User::Cli],
    },
    Setting {
        name: "group",
        kind: Kind::Group,
        default: Unset::Found("none"),
        doc: "A group whose members may ask the agent: they may open the socket and read its key, and pass through the \
              data directory, in which they can read nothing else.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "encryption",
        kind: Kind::Choice(Encryption::CHOICES),
        default: Unset::Word("off"),
        doc: "Whether what goes over the socket is encrypted. Whoever connects finds out what the agent wants; where it \
              is set for them too, they do without an agent that does not encrypt.",
        effect: Effect::Restart,
        users: &[User::Agent, User::Procmond, User::Cli],
    },
    Setting {
        name: "rules.paths",
        kind: Kind::Paths,
        default: Unset::Found("`./rules`, else those beside the program, else `/etc/daemoneye/rules`"),
        doc: "Rule files and directories of them.",
        effect: Effect::Reload,
        users: &[User::Agent, User::Cli],
    },
    Setting {
        name: "rules.time_limit",
        kind: Kind::Duration { min: MILLI, max: 60 * MICROS_PER_SEC },
        default: Unset::Word("100ms"),
        doc: "What one rule may take for one snapshot. The log names each that takes longer; one that does so for 5 \
              snapshots in a row is quarantined: it runs no more until it changes, is released \
              (`daemoneye-cli rules release`), or the agent is restarted. One that takes 10 times as long for one \
              snapshot, or 100 times to be filled when it begins, is stopped in the middle and quarantined at once. \
              Operations that rules share count for each of them; finding the rows that concern a rule is done for all \
              at once and counts for none.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "rules.state_rows",
        kind: Kind::Number { min: 1, max: 10_000_000 },
        default: Unset::Number(500_000),
        doc: "Rows that one rule may hold from one snapshot to the next; over it, the rule is quarantined. One \
              operation of a rule never holds more than 500000, whatever is set here.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "rules.state_bytes",
        kind: Kind::Number { min: 1024, max: 1 << 31 },
        default: Unset::Number(64 << 20),
        doc: "Bytes of memory, about, that one rule may hold from one snapshot to the next; over it, the rule is \
              quarantined.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "rules.grace",
        kind: Kind::Duration { min: 0, max: 7 * DAY },
        default: Unset::Word("1h"),
        doc: "How late a row of events may come, behind the snapshot before the one that brings it. Joins that bound the \
              time between events, and windows, hold their rows for that much longer; what comes later they discard. \
              That is counted in `rule_stats.late_rows`, and answers say that they are incomplete.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "rules.watch",
        kind: Kind::Duration { min: 0, max: DAY },
        default: Unset::Word("5s"),
        doc: "How often the agent looks whether rule files or lists were added, changed or removed. What then stays \
              the same until it next looks is taken up without a restart; with 0s, only SIGHUP does that.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "retention.days",
        kind: Kind::Number { min: 1, max: 3650 },
        default: Unset::Number(30),
        doc: "Days for which history is kept after it ended; older versions of processes are dropped within a quarter \
              more, samples a day or two later. What is alive stays, however old. A clock that jumps ahead by more \
              than a day drops nothing before it has stayed there for a day. A statement that names a moment from which \
              something was dropped says that it is incomplete; one that names none is about what is kept.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "retention.bytes",
        kind: Kind::Number { min: 1 << 20, max: 1 << 40 },
        default: Unset::Number(2 << 30),
        doc: "Bytes that `events.redb` may have without what is free in it, which is about what it has after \
              `daemoneye-cli data compact`: history, samples, alerts and all else. When there is more, what ended first of \
              history and samples is dropped, nothing else; so where alerts and what is alive take more, no history is \
              left. Nothing is dropped for pages that are free: they are used again, and where they are an eighth of a \
              file that is too large (and at least 64 MiB), the agent gives them back between two snapshots if there is \
              time.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "samples.interval",
        kind: Kind::Duration { min: 0, max: DAY },
        default: Unset::Word("5m"),
        doc: "How often it is put on record what processes use (`process_samples`), at most: of the first snapshot in \
              each such stretch of time, those whose processor time, memory, threads or status differ from what was \
              recorded of them last. With 0s, never.",
        effect: Effect::Reload,
        users: &[User::Agent],
    },
    Setting {
        name: "ledger.path",
        kind: Kind::Path,
        default: Unset::Found("`ledger.redb` in the data directory"),
        doc: "The audit ledger: what bears on security, in order, so that its removal or change can be detected. The key \
              that signs it lies beside it.",
        effect: Effect::Restart,
        users: &[User::Agent, User::Cli],
    },
    Setting {
        name: "ledger.checkpoint_every",
        kind: Kind::Number { min: 1, max: 1_000_000 },
        default: Unset::Number(1000),
        doc: "Entries after which a checkpoint is signed. There is one at each orderly end besides.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "ledger.checkpoint_interval",
        kind: Kind::Duration { min: MICROS_PER_SEC, max: 7 * DAY },
        default: Unset::Word("10m"),
        doc: "The longest that an entry goes without a checkpoint that is over it.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "ledger.export",
        kind: Kind::Path,
        default: Unset::Found("none"),
        doc: "A file to which each checkpoint is appended. Only a checkpoint that is kept where this host cannot change it \
              shows that the end of the ledger was cut off, or all of it written anew: let this file be on another host, \
              or carry it there.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "ledger.webhook",
        kind: Kind::Url,
        default: Unset::Found("none"),
        doc: "A server to which each checkpoint is sent, as the body of a POST: the signed note as `audit checkpoint` \
              writes it. Any answer 2xx accepts it; everything else, redirects too, is tried again after one second, \
              then at growing intervals up to a minute. Of several that wait only the newest is sent, which is over all \
              that the others are over. Certificates of https are judged by the public authorities; the variables \
              HTTPS_PROXY, HTTP_PROXY and NO_PROXY are heeded.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "ledger.webhook_token",
        kind: Kind::Path,
        default: Unset::Found("none"),
        doc: "A file with a secret that is sent to the webhook as `Authorization: Bearer`. It is read for each \
              checkpoint; let only the agent read it. It needs an https URL, or one of this host.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    limit(limits::TEXT, "Bytes of text that a rule or a statement may have."),
    limit(limits::TOKENS, "Tokens that a statement may have."),
    limit(limits::TERMS, "Operands of AND and OR that a statement may have."),
    limit(limits::NESTING, "How deep parentheses may stand within parentheses."),
    limit(limits::JOINS, "Joins that a statement may have."),
    limit(limits::IN_LIST, "Values that one IN list may have."),
    limit(limits::COLUMNS, "Columns that a result may have."),
    limit(limits::REGEX, "Bytes that a compiled regular expression may take."),
    Setting {
        name: "collector.mode",
        kind: Kind::Choice(Mode::CHOICES),
        default: Unset::Word("spawn"),
        doc: "Whether the agent starts procmond, or waits for one to connect.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "collector.interval",
        kind: Kind::Duration { min: 10 * MILLI, max: DAY },
        default: Unset::Word("30s"),
        doc: "Time from one snapshot to the next.",
        effect: Effect::Reload,
        users: &[User::Agent, User::Procmond],
    },
    Setting {
        name: "collector.redact",
        kind: Kind::Choice(Redact::CHOICES),
        default: Unset::Word("all"),
        doc: "What becomes of secrets in command lines and environments.",
        effect: Effect::Reload,
        users: &[User::Agent, User::Procmond],
    },
    Setting {
        name: "collector.redact_names",
        kind: Kind::Names,
        default: Unset::Empty,
        doc: "More flags and variables whose value is a secret, such as door-code.",
        effect: Effect::Reload,
        users: &[User::Agent, User::Procmond],
    },
    Setting {
        name: "alerts.output",
        kind: Kind::Choice(AlertForm::CHOICES),
        default: Unset::Word("auto"),
        doc: "How the agent prints alerts: for people on a terminal, one JSON record a line otherwise.",
        effect: Effect::Restart,
        users: &[User::Agent],
    },
    Setting {
        name: "log.level",
        kind: Kind::Choice(Level::CHOICES),
        default: Unset::Word("info"),
        doc: "What is grave enough for the log.",
        effect: Effect::Reload,
        users: &[User::Agent, User::Procmond],
    },
    Setting {
        name: "log.format",
        kind: Kind::Choice(LogForm::CHOICES),
        default: Unset::Word("human"),
        doc: "How a line of the log is written.",
        effect: Effect::Restart,
        users: &[User::Agent, User::Procmond],
    },
    level("log.levels.agent", "The level of start, stop and signals."),
    level("log.levels.broker", "The level of connections and what travels on them."),
    Setting {
        users: &[User::Agent, User::Procmond],
        ..level("log.levels.collector", "The level of procmond and of the agent's care for it.")
    },
    level("log.levels.engine", "The level of snapshots, rules at work and alerts raised."),
    level("log.levels.ledger", "The level of the audit ledger."),
    level("log.levels.rules", "The level of loading rules."),
    level("log.levels.settings", "The level of reading settings and what changes with them."),
    level("log.levels.sinks", "The level of delivering alerts."),
    level("log.levels.store", "The level of the event store."),
    Setting {
        name: "cli.color",
        kind: Kind::Choice(Color::CHOICES),
        default: Unset::Word("auto"),
        doc: "When the command line colours; `auto` heeds NO_COLOR and CLICOLOR_FORCE.",
        effect: Effect::EachRun,
        users: &[User::Cli],
    },
    Setting {
        name: "cli.ascii",
        kind: Kind::Switch,
        default: Unset::Off,
        doc: "Draw with ASCII only, as where the locale is not UTF-8.",
        effect: Effect::EachRun,
        users: &[User::Cli],
    },
    Setting {
        name: "cli.pager",
        kind: Kind::Command,
        default: Unset::Found("PAGER, else less"),
        doc: "What shows output that is longer than the terminal; `cat` stands for none.",
        effect: Effect::EachRun,
        users: &[User::Cli],
    },
    Setting {
        name: "cli.utc",
        kind: Kind::Switch,
        default: Unset::Off,
        doc: "Show times in UTC, not in the local zone.",
        effect: Effect::EachRun,
        users: &[User::Cli],
    },
];

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('.', "__").to_ascii_uppercase())
    }
}

impl Effect {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::EachRun => "next command",
        }
    }
}

impl User {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "daemoneye-agent",
            Self::Procmond => "procmond",
            Self::Cli => "daemoneye-cli",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_for_variables() {
        let names: HashSet<_> = ALL.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), ALL.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte)), "{name}");
            assert!(!name.contains("__"), "{name}: two underscores part the names of a variable");
        }
        assert_eq!(find("rules.time_limit").unwrap().variable(), "DAEMONEYE_RULES__TIME_LIMIT");
        assert!(SHORT_VARIABLES.iter().all(|(_, name)| find(name).is_some()));
    }

    #[test]
    fn every_component_has_a_level() {
        let declared: Vec<_> = ALL.iter().filter_map(|setting| setting.name.strip_prefix("log.levels.")).collect();
        assert_eq!(declared, COMPONENTS.iter().map(|component| component.name).collect::<Vec<_>>());
    }
}
