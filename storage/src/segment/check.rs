//! Reading a segment whole, so that every piece of it proves its bytes.

use arrow_schema::Field;

use super::pieces::{ChunkTable, Fault};
use super::read::Reading;
use super::{PAGE_ROWS, Spans, pairs};

impl<T: ChunkTable> Reading<'_, T> {
    /// Reads the values and the indexes of all columns, a page at a time.
    pub(crate) fn check<'f>(&mut self, fields: impl IntoIterator<Item = &'f Field>) -> Result<(), Fault> {
        let rows = self.segment().rows();
        for field in fields {
            for from in (0..rows).step_by(PAGE_ROWS as usize) {
                let page = Spans::all(rows).within(&(from..from.saturating_add(PAGE_ROWS)));
                self.read(field.name(), field.data_type(), &page)?;
            }
        }
        for at in 0..self.segment().columns.len() {
            let column = self.column(at);
            for index in [column.index, column.grams].into_iter().filter(|index| !index.is_none()) {
                pairs::check(index, &mut |piece, read| self.pieces.read(piece, read))?;
            }
        }
        Ok(())
    }
}
