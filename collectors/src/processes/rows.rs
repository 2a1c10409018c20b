//! Rows on their way into one `RecordBatch`.
//!
//! A row struct holds a dozen small strings, so a large snapshot kept as structs until its end would be in memory
//! twice, and in pieces that the allocator does not give back. Rows are therefore turned into columns a few hundred at
//! a time, and the pieces are joined column by column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_select::concat::concat;
use daemoneye_dsl::tables::Process;

/// Rows of one piece.
const PIECE_LEN: usize = 512;

/// The rows so far.
#[derive(Default)]
pub(super) struct Rows {
    open: Vec<Process>,
    /// Of each column its pieces.
    columns: Vec<Vec<ArrayRef>>,
    relatives: Vec<Relative>,
    /// Rows whose `accessible` is false.
    pub(super) unreadable: u64,
}

/// What finding parents takes.
struct Relative {
    proc_id: String,
    pid: i64,
    ppid: Option<i64>,
    start: u64,
}

impl Rows {
    /// Adds a process that started at `start`, in any unit that is the same for all. Its `parent_id` is found later.
    pub(super) fn push(&mut self, row: Process, start: u64) {
        self.unreadable += u64::from(!row.accessible);
        self.relatives.push(Relative { proc_id: row.proc_id.clone(), pid: row.pid, ppid: row.ppid, start });
        self.open.push(row);
        if self.open.len() == PIECE_LEN {
            self.close_piece();
        }
    }

    fn close_piece(&mut self) {
        let piece = Process::batch(&self.open);
        self.open.clear();
        self.columns.resize_with(piece.num_columns(), Vec::new);
        for (pieces, column) in self.columns.iter_mut().zip(piece.columns()) {
            pieces.push(column.clone());
        }
    }

    /// All of them.
    pub(super) fn finish(mut self) -> RecordBatch {
        self.close_piece();
        let schema = Process::batch(&[]).schema();
        let parents = schema.index_of("parent_id").expect("the table has the column");
        let columns = self
            .columns
            .into_iter()
            .enumerate()
            .map(|(at, pieces)| if at == parents { parent_ids(&self.relatives) } else { join(&pieces) });
        let columns = columns.collect();
        RecordBatch::try_new(schema, columns).expect("the pieces are the table's columns")
    }
}

fn join(pieces: &[ArrayRef]) -> ArrayRef {
    let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
    // Text of more than 2 GiB would not fit; what a snapshot may have is far below.
    concat(&pieces).expect("pieces of one column have one type")
}

/// Each process's parent: the process that has its `ppid` in the same snapshot, unless it started later, which shows
/// that the pid is another's by now.
fn parent_ids(relatives: &[Relative]) -> ArrayRef {
    let by_pid: HashMap<i64, &Relative> = relatives.iter().map(|relative| (relative.pid, relative)).collect();
    let parent = |child: &Relative| {
        let parent = child.ppid.and_then(|ppid| by_pid.get(&ppid))?;
        (parent.pid != child.pid && parent.start <= child.start).then_some(parent.proc_id.as_str())
    };
    Arc::new(relatives.iter().map(parent).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    fn row(pid: i64, ppid: i64) -> Process {
        Process { proc_id: format!("id{pid}"), pid, ppid: Some(ppid), ..Process::default() }
    }

    #[test]
    fn a_parent_that_started_later_is_none() {
        let mut rows = Rows::default();
        for (pid, ppid, start) in [(1, 0, 0), (2, 1, 0), (3, 9, 50), (9, 1, 60), (5, 5, 1), (6, 7, 1)] {
            rows.push(row(pid, ppid), start);
        }
        let batch = rows.finish();
        let parents = batch.column_by_name("parent_id").unwrap();
        let parents: Vec<_> = parents.as_string::<i32>().iter().collect();
        assert_eq!(parents, [None, Some("id1"), None, Some("id1"), None, None]);
    }

    #[test]
    fn pieces_are_joined_in_order() {
        for len in [0, 1, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1, 3 * PIECE_LEN + 7] {
            let structs: Vec<_> = (0..len).map(|at| row(i64::try_from(at).unwrap() + 1, 0)).collect();
            let mut rows = Rows::default();
            for row in &structs {
                rows.push(row.clone(), 0);
            }
            assert_eq!(rows.unreadable, len as u64);
            let batch = rows.finish();
            assert_eq!(batch, Process::batch(&structs));
            assert_eq!(batch.column(0).len(), len);
        }
    }
}
