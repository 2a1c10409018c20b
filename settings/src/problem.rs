//! Why settings cannot be used: findings in what was written, and files that cannot be read or trusted.

use std::fmt;
use std::io;
use std::path::PathBuf;

use daemoneye_dsl::diagnostic::{Diagnostic, Source, Style};
use daemoneye_dsl::untrusted::Untrusted;
use serde_json::{Map, Value};

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What a file or a variable says is wrong.
    #[error("{0}")]
    Found(Box<Finding>),
    /// Two files of one layer: nobody could say which one counts.
    #[error("both {} and {} are there: keep one of them", .0.display(), .1.display())]
    TwoFiles(PathBuf, PathBuf),
    /// A file that is there, or was named, cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// A file's name does not say what it is written in.
    #[error("cannot tell the form of {}: its name has to end in .toml, .yaml, .yml or .json", .0.display())]
    NoForm(PathBuf),
    /// Root would do what others have written.
    #[error("{} is not used as root: {why}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who may write to what, and what to do.
        why: String,
    },
}

/// What is wrong with a text of settings, and the text.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The text, and the file or variable that it is from.
    pub source: Source,
    /// What is wrong with it, and where.
    pub diagnostic: Diagnostic,
}

/// `daemoneye.toml:3:12: DE904: …; …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { code, message, help, .. } = &self.diagnostic;
        let (line, column) = self.source.position(self.diagnostic.span().start);
        let help = help.as_ref().map(|help| format!("; {}", help.text)).unwrap_or_default();
        write!(f, "{}:{line}:{column}: {code}: {message}{help}", self.source.path)
    }
}

/// Everything that is wrong at once.
#[derive(Debug)]
pub struct Problems(pub Vec<Error>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for Problems {}

impl Error {
    pub(crate) fn found(source: &Source, diagnostic: Diagnostic) -> Self {
        Self::Found(Box::new(Finding { source: source.clone(), diagnostic }))
    }

    /// It for people: drawn over its text where there is one.
    pub fn render(&self, style: Style) -> String {
        match self {
            Self::Found(finding) => finding.diagnostic.render(&finding.source, style),
            other => format!("error: {}", Untrusted(&other.to_string()).terminal()),
        }
    }

    /// It for programs.
    pub fn to_json(&self) -> Map<String, Value> {
        let object = match self {
            Self::Found(finding) => finding.diagnostic.to_json(&finding.source),
            other => serde_json::json!({"severity": "error", "message": other.to_string()}),
        };
        object.as_object().cloned().unwrap_or_default()
    }

    /// Whether something cannot be read, rather than being wrong.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::NoForm(_))
    }
}
