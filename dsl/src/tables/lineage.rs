//! `ancestors(proc_id)` and `descendants(proc_id)`: the processes above one and below it, nearest first.
//!
//! Who is above is followed through every process that is known, dead or alive. Who is below are processes of now: those
//! that have the process among their ancestors.

use super::{Column, Kind, Table, version_columns};
use crate::types::Type;

/// Generations that are followed at most; a longer chain is cut and said to be.
pub const DEPTH_MAX: usize = 64;

/// Which way parents are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// To the parent, and its parent.
    Ancestors,
    /// To the children, and theirs.
    Descendants,
}

impl Lineage {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ancestors, Self::Descendants];

    /// The table function's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ancestors => "ancestors",
            Self::Descendants => "descendants",
        }
    }

    /// The one of that name, without regard to case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(name))
    }

    /// The columns of one relative: `depth` (1 is the parent, or a child) and what is known of the process.
    pub fn table(self) -> Table {
        let (depth, doc) = match self {
            Self::Ancestors => {
                ("How many generations up; 1 is the parent.", "The known ancestors of one process, nearest first.")
            }
            Self::Descendants => (
                "How many generations down; 1 is a child.",
                "The processes of now that have one process among their ancestors, nearest first.",
            ),
        };
        let mut columns = vec![Column::new("depth", Type::Integer, false, depth)];
        columns.extend(version_columns());
        Table { name: self.name().into(), doc: doc.into(), kind: Kind::State, columns }
    }
}

impl std::fmt::Display for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
