//! Rows with weights, and rows as keys.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use daemoneye_dsl::types::Type;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// A change: `+n` where a row appears n times, `-n` where it leaves.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows.
    pub rows: RecordBatch,
    /// One weight per row.
    pub weights: Vec<i64>,
}

impl Batch {
    /// Every row once.
    pub fn appearing(rows: RecordBatch) -> Self {
        Self { weights: vec![1; rows.num_rows()], rows }
    }

    /// No rows, of these types.
    pub fn empty(types: &[Type]) -> Self {
        Self { rows: empty(types), weights: vec![] }
    }

    /// Rows that leave, then rows that appear; both of one layout.
    pub fn replacing(leaving: &RecordBatch, appearing: &RecordBatch) -> Self {
        let weights =
            std::iter::repeat_n(-1, leaving.num_rows()).chain(std::iter::repeat_n(1, appearing.num_rows())).collect();
        Self { rows: stack(&[leaving.clone(), appearing.clone()], leaving), weights }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }
}

/// A batch of these columns; the number of rows is needed where there are none.
pub(crate) fn batch(columns: Vec<ArrayRef>, len: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    RecordBatch::try_new_with_options(schema(&columns), columns, &options).expect("columns of one length")
}

/// Layouts that are remembered.
const SCHEMAS_MAX: usize = 4_096;

/// The schema of nameless columns. Rules make small batches all the time, and always of the same layouts.
fn schema(columns: &[ArrayRef]) -> SchemaRef {
    thread_local! {
        static KNOWN: RefCell<HashMap<SmallVec<[u8; 32]>, SchemaRef>> = RefCell::default();
    }
    let code = |column: &ArrayRef| match column.data_type() {
        DataType::Int64 => 0,
        DataType::Float64 => 1,
        DataType::Utf8 => 2,
        DataType::Binary => 3,
        DataType::Boolean => 4,
        DataType::Timestamp(..) => 5,
        DataType::Null => 6,
        // Texts by code.
        _ => 7,
    };
    let codes: SmallVec<[u8; 32]> = columns.iter().map(code).collect();
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known.get(&codes) {
            return known.clone();
        }
        if known.len() >= SCHEMAS_MAX {
            known.clear();
        }
        let fields: Vec<_> = columns.iter().map(|column| Field::new("", column.data_type().clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        known.insert(codes, schema.clone());
        schema
    })
}

/// No rows of these types.
pub(crate) fn empty(types: &[Type]) -> RecordBatch {
    batch(types.iter().map(|ty| ty.array([])).collect(), 0)
}

/// The rows of that number, in that order.
pub(crate) fn take(rows: &RecordBatch, numbers: &[u32]) -> RecordBatch {
    let numbers = UInt32Array::from(numbers.to_vec());
    let columns = rows
        .columns()
        .iter()
        .map(|column| arrow_select::take::take(column, &numbers, None).expect("rows of this batch"));
    batch(columns.collect(), numbers.len())
}

/// [`take`] where no number gives a row of NULLs.
pub(crate) fn take_or_null(rows: &RecordBatch, numbers: &[Option<u32>]) -> RecordBatch {
    let numbers = UInt32Array::from(numbers.to_vec());
    let columns = rows
        .columns()
        .iter()
        .map(|column| arrow_select::take::take(column, &numbers, None).expect("rows of this batch"));
    batch(columns.collect(), numbers.len())
}

/// The columns of both, side by side.
pub(crate) fn beside(left: &RecordBatch, right: &RecordBatch) -> RecordBatch {
    batch(left.columns().iter().chain(right.columns()).cloned().collect(), left.num_rows())
}

/// The rows of all, one after the other; `like` gives the layout where there are none.
pub(crate) fn stack(batches: &[RecordBatch], like: &RecordBatch) -> RecordBatch {
    let filled: Vec<&RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
    match filled[..] {
        [] => like.slice(0, 0),
        [one] => one.clone(),
        _ => {
            let len = filled.iter().map(|batch| batch.num_rows()).sum();
            let columns = (0..like.num_columns()).map(|at| {
                let parts: Vec<&dyn Array> = filled.iter().map(|batch| batch.column(at).as_ref()).collect();
                arrow_select::concat::concat(&parts).expect("columns of one type")
            });
            batch(columns.collect(), len)
        }
    }
}

/// Turns rows into bytes and back: equal bytes exactly for equal rows, ordered as the rows are (NULLs first).
pub(crate) struct RowCodec {
    /// None for rows without columns, which the converter does not take.
    converter: Option<RowConverter>,
}

impl RowCodec {
    pub(crate) fn new(types: &[Type]) -> Self {
        let fields = types.iter().map(|ty| SortField::new(ty.arrow())).collect();
        let converter = (!types.is_empty()).then(|| RowConverter::new(fields).expect("our types can be ordered"));
        Self { converter }
    }

    pub(crate) fn encode(&self, columns: &[ArrayRef], len: usize) -> Vec<Box<[u8]>> {
        let Some(converter) = &self.converter else {
            return vec![Box::default(); len];
        };
        let columns: Vec<_> = columns.iter().map(one_zero).collect();
        let rows = converter.convert_columns(&columns).expect("columns of the codec's types");
        rows.iter().map(|row| row.as_ref().into()).collect()
    }

    pub(crate) fn decode<'b>(&self, keys: impl ExactSizeIterator<Item = &'b [u8]>) -> RecordBatch {
        let len = keys.len();
        let Some(converter) = &self.converter else {
            return batch(vec![], len);
        };
        let parser = converter.parser();
        let columns = converter.convert_rows(keys.map(|key| parser.parse(key))).expect("bytes that this codec made");
        batch(columns, len)
    }
}

/// REAL has two zeros that are equal and differ in their bytes.
pub(crate) fn one_zero(column: &ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<Float64Type>() {
        Some(reals) if reals.values().contains(&-0.0) => {
            Arc::new(reals.unary::<_, Float64Type>(|real| real + 0.0)) as Arc<Float64Array>
        }
        _ => column.clone(),
    }
}

/// What an entry of a [`ZSet`] takes beside its bytes.
const ENTRY: usize = 32;

/// A relation that changes: each row with how often it is there.
pub(crate) struct ZSet {
    codec: RowCodec,
    rows: BTreeMap<Box<[u8]>, i64>,
    bytes: usize,
}

impl ZSet {
    pub(crate) fn new(types: &[Type]) -> Self {
        Self { codec: RowCodec::new(types), rows: BTreeMap::new(), bytes: 0 }
    }

    /// Distinct rows held.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// About how many bytes that takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, change: &Batch) {
        let keys = self.codec.encode(change.rows.columns(), change.rows.num_rows());
        for (key, weight) in keys.into_iter().zip(&change.weights) {
            let len = key.len() + ENTRY;
            match self.rows.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(*weight);
                    self.bytes += len;
                }
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += weight;
                    if *entry.get() == 0 {
                        entry.remove();
                        self.bytes -= len;
                    }
                }
            }
        }
    }

    /// The rows, each as often as it is there, in the order of their bytes.
    pub(crate) fn relation(&self) -> RecordBatch {
        let repeated: Vec<&[u8]> = self
            .rows
            .iter()
            .flat_map(|(key, weight)| std::iter::repeat_n(&**key, usize::try_from(*weight).unwrap_or(0)))
            .collect();
        self.codec.decode(repeated.into_iter())
    }

    /// Becomes `relation` and tells what that changes.
    pub(crate) fn become_relation(&mut self, relation: &RecordBatch) -> Batch {
        let mut new: BTreeMap<Box<[u8]>, i64> = BTreeMap::new();
        for key in self.codec.encode(relation.columns(), relation.num_rows()) {
            *new.entry(key).or_insert(0) += 1;
        }
        let mut change: BTreeMap<&[u8], i64> = new.iter().map(|(key, weight)| (&**key, *weight)).collect();
        for (key, weight) in &self.rows {
            *change.entry(key).or_insert(0) -= weight;
        }
        // What leaves stands before what appears, so that a reader never sees a key twice.
        let mut changed: Vec<_> = change.into_iter().filter(|(_, weight)| *weight != 0).collect();
        changed.sort_by_key(|(_, weight)| *weight > 0);
        let rows = self.codec.decode(changed.iter().map(|(key, _)| *key));
        let weights = changed.iter().map(|(_, weight)| *weight).collect();
        self.bytes = new.keys().map(|key| key.len() + ENTRY).sum();
        self.rows = new;
        Batch { rows, weights }
    }
}
