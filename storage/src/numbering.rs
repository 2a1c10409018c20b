//! Which rows a part has: consecutive ones, or those that its segment lists because retention took others out.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use std::ops::Range;
use std::sync::Arc;

use crate::segment::{ChunkTable, Fault, Reading, Spans};
use crate::tables::{ROW, Row};

/// The numbers of a part's rows, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// So many from the first on.
    Consecutive { first: Row, rows: u32 },
    /// At least one.
    Listed(Vec<Row>),
}

impl Numbering {
    /// Of a segment; reads the list if it has one.
    pub(crate) fn of<T: ChunkTable>(first: Row, segment: &mut Reading<'_, T>) -> Result<Self, Fault> {
        let rows = segment.segment().rows();
        let end = segment.segment().end();
        if segment.segment().range(ROW).0.is_none() {
            let is_so = end == first.saturating_add(Row::from(rows));
            return if is_so {
                Ok(Self::Consecutive { first, rows })
            } else {
                Err("its rows do not end where it says".into())
            };
        }
        let listed = segment.read(ROW, &DataType::Int64, &Spans::all(rows))?;
        let listed: Vec<Row> =
            listed.as_primitive::<Int64Type>().values().iter().map(|row| row.cast_unsigned()).collect();
        let ends = listed.first() == Some(&first) && listed.last().is_some_and(|last| last.checked_add(1) == Some(end));
        if ends && listed.is_sorted_by(|a, b| a < b) {
            Ok(Self::Listed(listed))
        } else {
            Err("its rows are not in order".into())
        }
    }

    /// The number of what is at a place.
    pub(crate) fn row(&self, place: u32) -> Row {
        match self {
            Self::Consecutive { first, .. } => first.saturating_add(Row::from(place)),
            Self::Listed(rows) => rows[place as usize],
        }
    }

    /// Where a row is, if it is here.
    pub(crate) fn place(&self, row: Row) -> Option<u32> {
        let place = match self {
            Self::Consecutive { first, rows } => row.checked_sub(*first).filter(|place| *place < Row::from(*rows))?,
            Self::Listed(rows) => rows.binary_search(&row).ok()? as Row,
        };
        u32::try_from(place).ok()
    }

    /// From its first row to behind its last; other parts have none in between.
    pub(crate) fn range(&self) -> Range<Row> {
        match self {
            Self::Consecutive { first, rows } => *first..first.saturating_add(Row::from(*rows)),
            Self::Listed(rows) => rows[0]..rows[rows.len() - 1].saturating_add(1),
        }
    }
}

/// The column that lists rows: NULL where they are consecutive.
pub(crate) fn column(rows: &[Row]) -> ArrayRef {
    let consecutive = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
    Arc::new(if consecutive {
        Int64Array::new_null(rows.len())
    } else {
        rows.iter().map(|row| Some(row.cast_signed())).collect()
    })
}
