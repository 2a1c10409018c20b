//! ORDER BY … LIMIT: rows in order, and which of them are among the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, StringArray};
use arrow_row::{RowConverter, SortField};
use arrow_schema::SortOptions;
use daemoneye_dsl::expr::Collation;
use daemoneye_dsl::query::SortKey;
use daemoneye_dsl::types::Type;
use hashbrown::HashMap;

use super::{Size, Step};
use crate::batch::{Batch, RowCodec};
use crate::dataflow::delta::{Delta, Run};
use crate::dataflow::graph::Node;
use crate::error::Error;

/// The bytes of the keys, in their order, and of the row.
type Place = (Box<[u8]>, Box<[u8]>);

pub(crate) struct Top {
    keys: Vec<SortKey>,
    limit: u64,
    offset: u64,
    order: Option<RowConverter>,
    codec: RowCodec,
    /// Every row by its place in the order: first the keys, then all of it.
    rows: BTreeMap<Place, i64>,
    bytes: usize,
    /// What was among the first, each with how often.
    first: HashMap<Box<[u8]>, i64>,
}

impl Top {
    pub(crate) fn new(keys: &[SortKey], limit: Option<u64>, offset: u64, types: &[Type]) -> Self {
        let field = |key: &SortKey| {
            // `nulls_first` is about the result, whichever way the key runs.
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            SortField::new_with_options(types[key.column].arrow(), options)
        };
        let converter = RowConverter::new(keys.iter().map(field).collect());
        Self {
            order: (!keys.is_empty()).then(|| converter.expect("our types can be ordered")),
            keys: keys.to_vec(),
            limit: limit.unwrap_or(u64::MAX),
            offset,
            codec: RowCodec::new(types),
            rows: BTreeMap::new(),
            bytes: 0,
            first: HashMap::new(),
        }
    }

    fn places(&self, rows: &arrow_array::RecordBatch) -> Vec<Box<[u8]>> {
        let Some(order) = &self.order else { return vec![Box::default(); rows.num_rows()] };
        let column = |key: &SortKey| {
            let column = crate::batch::one_zero(rows.column(key.column));
            if key.collation == Collation::NoCase { folded(&column) } else { column }
        };
        let columns: Vec<_> = self.keys.iter().map(column).collect();
        let places = order.convert_columns(&columns).expect("columns of the keys' types");
        places.iter().map(|place| place.as_ref().into()).collect()
    }

    fn now_first(&self) -> HashMap<Box<[u8]>, i64> {
        let mut first = HashMap::new();
        let (mut skip, mut left) = (self.offset, self.limit);
        for ((_, row), copies) in &self.rows {
            if left == 0 {
                break;
            }
            let copies = u64::try_from(*copies).unwrap_or(0);
            let skipped = copies.min(skip);
            skip -= skipped;
            let taken = (copies - skipped).min(left);
            left -= taken;
            if taken > 0 {
                *first.entry(row.clone()).or_insert(0) += i64::try_from(taken).unwrap_or(i64::MAX);
            }
        }
        first
    }
}

fn folded(column: &ArrayRef) -> ArrayRef {
    let texts = column.as_string::<i32>().iter();
    Arc::new(texts.map(|text| text.map(str::to_ascii_lowercase)).collect::<StringArray>())
}

impl Step for Top {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let Some(delta) = inputs[0].delta() else { return Ok(Delta::nothing()) };
        run.work(delta.len())?;
        let change = delta.batch(&inputs[0].layout, run);
        let whole = self.codec.encode(change.rows.columns(), change.rows.num_rows());
        for ((place, row), weight) in self.places(&change.rows).into_iter().zip(whole).zip(change.weights) {
            let len = place.len() + row.len();
            let key = (place, row);
            let held = self.rows.get(&key).copied().unwrap_or(0);
            match (held, held + weight) {
                (_, 0) => {
                    self.rows.remove(&key);
                    self.bytes -= if held == 0 { 0 } else { len };
                }
                (held, after) => {
                    self.rows.insert(key, after);
                    self.bytes += if held == 0 { len } else { 0 };
                }
            }
        }
        let now = self.now_first();
        let gone = self.first.iter().map(|(row, copies)| (row, now.get(row).copied().unwrap_or(0) - copies));
        let new = now.iter().filter(|(row, _)| !self.first.contains_key(*row)).map(|(row, copies)| (row, *copies));
        let mut changed: Vec<_> = gone.chain(new).filter(|(_, weight)| *weight != 0).collect();
        changed.sort_by_key(|(row, weight)| (*weight > 0, *row));
        let rows = self.codec.decode(changed.iter().map(|(row, _)| &***row).collect::<Vec<_>>().into_iter());
        let weights = changed.iter().map(|(_, weight)| *weight).collect();
        self.first = now;
        Ok(Delta::of_values(Batch { rows, weights }))
    }

    fn size(&self) -> Size {
        Size { rows: self.rows.len(), bytes: self.bytes + 48 * self.rows.len() }
    }
}
