//! `ancestors(proc_id)`: the parents of a process, dead or alive, nearest first.

use super::{Column, Kind, Table, version_columns};
use crate::types::Type;

/// The function's name.
pub const NAME: &str = "ancestors";

/// Generations that are followed at most; a longer chain is cut and said to be.
pub const DEPTH_MAX: usize = 64;

/// The columns of one ancestor: `depth` (1 is the parent) and what is known of the process.
pub fn table() -> Table {
    let mut columns = vec![Column::new("depth", Type::Integer, false, "How many generations up; 1 is the parent.")];
    columns.extend(version_columns());
    Table {
        name: NAME.into(),
        doc: "The known ancestors of one process, nearest first.".into(),
        kind: Kind::State,
        columns,
    }
}
