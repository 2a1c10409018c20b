//! The settings as the programs see them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemoneye_dsl::limits::Limits;
use serde::{Deserialize, Serialize};

use crate::choices::{AlertForm, Color, Encryption, Level, LogForm, Mode, Redact};
use crate::paths::{DataDir, default_data_dir, default_rules};

/// Every setting of [`crate::list::ALL`], checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The data directory, where it was said.
    pub data: Option<PathBuf>,
    /// The socket, where it was said.
    pub socket: Option<PathBuf>,
    /// The file with its key, where it was said.
    pub key: Option<PathBuf>,
    /// The group whose members may ask the agent.
    pub group: Option<String>,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// The rules.
    pub rules: Rules,
    /// What is kept of history.
    pub retention: Retention,
    /// What is kept of what processes use.
    pub samples: Samples,
    /// The audit ledger.
    pub ledger: Ledger,
    /// How large statements may be.
    pub limits: Limits,
    /// The collector.
    pub collector: Collector,
    /// Alerts.
    pub alerts: Alerts,
    /// The log.
    pub log: Log,
    /// The command line.
    pub cli: Cli,
}

/// `rules`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Where they lie; the usual places where there is none.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// What one may take for one snapshot.
    #[serde(with = "duration")]
    pub time_limit: Duration,
    /// Rows that one may hold.
    pub state_rows: usize,
    /// Bytes that one may hold.
    pub state_bytes: usize,
    /// How late rows of events may come.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// How often to look whether they changed; never, where it is zero.
    #[serde(with = "duration")]
    pub watch: Duration,
}

/// `retention`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// For how many days after it ended.
    pub days: usize,
    /// How many bytes.
    pub bytes: usize,
}

/// `samples`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// How often they are taken; never, where it is zero.
    #[serde(with = "duration")]
    pub interval: Duration,
}

/// `ledger`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The file, where it was said.
    pub path: Option<PathBuf>,
    /// Entries after which a checkpoint is signed.
    pub checkpoint_every: usize,
    /// The longest that an entry goes without one.
    #[serde(with = "duration")]
    pub checkpoint_interval: Duration,
    /// The file that checkpoints are appended to, if any.
    pub export: Option<PathBuf>,
    /// The URL that they are posted to, if any.
    pub webhook: Option<String>,
    /// The file with what proves there who posts.
    pub webhook_token: Option<PathBuf>,
}

/// `collector`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collector {
    /// Who starts it.
    pub mode: Mode,
    /// Time between two snapshots.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// What becomes of secrets.
    pub redact: Redact,
    /// Further names of secrets.
    pub redact_names: Vec<String>,
}

/// `alerts`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// How they are printed.
    pub output: AlertForm,
}

/// `log`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// What is grave enough.
    pub level: Level,
    /// How a line is written.
    pub format: LogForm,
    /// By component, where it differs.
    #[serde(default)]
    pub levels: BTreeMap<String, Level>,
}

/// `cli`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cli {
    /// When to colour.
    pub color: Color,
    /// ASCII only.
    pub ascii: bool,
    /// What shows long output.
    pub pager: Option<String>,
    /// Times in UTC.
    pub utc: bool,
}

impl Settings {
    /// The data directory, said or found.
    pub fn data_dir(&self) -> DataDir {
        self.data.clone().map_or_else(default_data_dir, DataDir::new)
    }

    /// The socket, said or found.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.data_dir().socket())
    }

    /// The file with the key to a socket, said or found.
    pub fn key_to(&self, socket: &Path) -> PathBuf {
        self.key.clone().unwrap_or_else(|| socket.with_file_name("agent.key"))
    }

    /// The audit ledger, said or in that data directory.
    pub fn ledger_in(&self, data: &DataDir) -> PathBuf {
        self.ledger.path.clone().unwrap_or_else(|| data.ledger())
    }

    /// The rule paths, said or found; empty where there are none.
    pub fn rule_paths(&self) -> Vec<PathBuf> {
        if self.rules.paths.is_empty() { default_rules().into_iter().collect() } else { self.rules.paths.clone() }
    }
}

mod duration {
    use std::time::Duration;

    use daemoneye_dsl::types::{display_interval, parse_interval};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        serializer.serialize_str(&display_interval(micros))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let micros = parse_interval(&text).and_then(|micros| u64::try_from(micros).ok());
        micros.map(Duration::from_micros).ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration")))
    }
}
