//! The settings that take one of a few words: each word, what it means, and the type that the programs see.

use serde::{Deserialize, Serialize};

/// A word that a setting may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The word.
    pub word: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// An enum whose variants are declared with their word; the doc comment is what users read.
macro_rules! choices {
    ($(#[doc = $doc:literal])+ $name:ident { $(#[doc = $text:literal] $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $text] #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every word, in the order of the reference.
            pub const CHOICES: &'static [Choice] = &[$(Choice { word: $word, doc: $text.trim_ascii() }),+];

            /// The word for it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

choices! {
    /// Who starts the collector.
    Mode {
        /// Start the procmond beside this program
        Spawn = "spawn",
        /// Wait for one to connect
        Wait = "wait",
    }
}

choices! {
    /// Whether connections to the agent are encrypted.
    Encryption {
        /// They are not: the system keeps others from the socket
        Off = "off",
        /// They are, and who does not encrypt does not come in
        Required = "required",
    }
}

choices! {
    /// What becomes of secrets in command lines and environments.
    Redact {
        /// Each is replaced by a token, the same for the same secret on this host
        All = "all",
        /// They are published as they are; for a laboratory
        None = "none",
    }
}

choices! {
    /// How the agent prints alerts.
    AlertForm {
        /// By what standard output is
        Auto = "auto",
        /// To be read
        Human = "human",
        /// One record a line
        Ndjson = "ndjson",
    }
}

choices! {
    /// What is grave enough for the log.
    Level {
        /// Only what went wrong
        Error = "error",
        /// What may go wrong, too
        Warn = "warn",
        /// What was begun, changed, found and ended, too
        Info = "info",
        /// Each snapshot and each connection, too
        Debug = "debug",
        /// Everything
        Trace = "trace",
    }
}

choices! {
    /// How a line of the log is written.
    LogForm {
        /// To be read; in colour on a terminal
        Human = "human",
        /// One JSON object a line
        Json = "json",
    }
}

choices! {
    /// When the command line colours.
    Color {
        /// On a terminal that can show it
        Auto = "auto",
        /// Even into a pipe
        Always = "always",
        /// Not at all
        Never = "never",
    }
}
