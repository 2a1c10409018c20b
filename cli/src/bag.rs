//! Rows as values: which are equal, and how often each is there.
//!
//! NULL is equal to NULL and -0.0 to 0.0; everything else by its type. The order of rows is that of their values, column
//! by column, NULL first: it does not depend on how anybody came to them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array};
use arrow_row::{RowConverter, SortField};
use daemoneye_dsl::types::{Type, Value};

/// Rows whose keys are made at a time: a row may be large, and there may be many.
const KEYED_AT_ONCE: usize = 8_192;

/// Turns rows into bytes: equal bytes exactly for equal rows, ordered as the rows are.
struct Keys {
    /// None for rows without columns, which the converter does not take.
    converter: Option<RowConverter>,
}

impl Keys {
    fn new(types: &[Type]) -> Self {
        let fields = types.iter().map(|ty| SortField::new(ty.arrow())).collect();
        let converter = (!types.is_empty()).then(|| RowConverter::new(fields).expect("our types can be ordered"));
        Self { converter }
    }

    fn each(&self, columns: &[ArrayRef], len: usize, mut take: impl FnMut(usize, &[u8])) {
        let Some(converter) = &self.converter else { return (0..len).for_each(|row| take(row, &[])) };
        for start in (0..len).step_by(KEYED_AT_ONCE) {
            let part = KEYED_AT_ONCE.min(len - start);
            let columns: Vec<_> = columns.iter().map(|column| one_zero(&column.slice(start, part))).collect();
            let rows = converter.convert_columns(&columns).expect("columns of the types of the keys");
            (start..).zip(rows.iter()).for_each(|(row, key)| take(row, key.as_ref()));
        }
    }

    fn decode<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<ArrayRef> {
        let Some(converter) = &self.converter else { return vec![] };
        let parser = converter.parser();
        converter.convert_rows(keys.map(|key| parser.parse(key))).expect("bytes that these keys made")
    }
}

/// REAL has two zeros that are equal and differ in their bytes.
fn one_zero(column: &ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<Float64Type>() {
        Some(reals) if reals.values().contains(&-0.0) => {
            Arc::new(reals.unary::<_, Float64Type>(|real| real + 0.0)) as Arc<Float64Array>
        }
        _ => column.clone(),
    }
}

/// For each row the number of the first that is equal to it.
pub(crate) fn first_equal(columns: &[ArrayRef], len: usize) -> Vec<u32> {
    let types: Vec<_> = columns.iter().map(type_of).collect();
    let mut first: HashMap<blake3::Hash, u32> = HashMap::new();
    let mut equal = Vec::with_capacity(len);
    Keys::new(&types).each(columns, len, |row, key| {
        let row = u32::try_from(row).expect("fewer rows than 2^32");
        equal.push(*first.entry(blake3::hash(key)).or_insert(row));
    });
    equal
}

fn type_of(column: &ArrayRef) -> Type {
    Type::from_arrow(column.data_type()).expect("every column has a layout of ours")
}

/// Rows, each with how often it is there; less than never says that it has gone.
pub(crate) struct Bag {
    types: Vec<Type>,
    keys: Keys,
    rows: BTreeMap<Box<[u8]>, i64>,
}

impl Bag {
    /// Nothing, of these types.
    pub(crate) fn new(types: &[Type]) -> Self {
        Self { types: types.to_vec(), keys: Keys::new(types), rows: BTreeMap::new() }
    }

    /// Adds rows, each as often as `weight` says.
    pub(crate) fn add(&mut self, columns: &[ArrayRef], len: usize, weight: impl Fn(usize) -> i64) {
        let rows = &mut self.rows;
        self.keys.each(columns, len, |row, key| add_to(rows, key, weight(row)));
    }

    /// Adds every row of `other`, which is of the same types.
    pub(crate) fn add_all(&mut self, other: &Self) {
        other.rows.iter().for_each(|(key, weight)| add_to(&mut self.rows, key, *weight));
    }

    /// What `other` has and this has not, each row as often; what this has and `other` has not has gone.
    pub(crate) fn missing_from(&self, other: &Self) -> Self {
        let mut missing = Self::new(&self.types);
        missing.add_all(other);
        self.rows.iter().for_each(|(key, weight)| add_to(&mut missing.rows, key, -weight));
        missing
    }

    /// Whether no row is there, or has gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows that are there, or else those that have gone, in order, each with how often.
    pub(crate) fn rows(&self, that: Rows) -> Vec<(Vec<Value>, u64)> {
        let wanted: Vec<_> = self.rows.iter().filter(|(_, weight)| (**weight > 0) == (that == Rows::There)).collect();
        let columns = self.keys.decode(wanted.iter().map(|(key, _)| &***key));
        let values = |row| columns.iter().map(|column| Value::at(column, row)).collect();
        wanted.iter().enumerate().map(|(row, (_, weight))| (values(row), weight.unsigned_abs())).collect()
    }
}

/// Which rows of a [`Bag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Those that are there.
    There,
    /// Those that have gone.
    Gone,
}

fn add_to(rows: &mut BTreeMap<Box<[u8]>, i64>, key: &[u8], weight: i64) {
    if weight == 0 {
        return;
    }
    match rows.entry(key.into()) {
        Entry::Vacant(entry) => drop(entry.insert(weight)),
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += weight;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(values.iter().copied().collect::<Float64Array>())
    }

    #[test]
    fn rows_are_equal_by_their_values() {
        let column = real(&[Some(0.0), None, Some(-0.0), None, Some(1.0)]);
        assert_eq!(first_equal(&[column], 5), [0, 1, 0, 1, 4]);
        assert_eq!(first_equal(&[], 3), [0, 0, 0]);
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_are_told_apart() {
        let bag = |values: &[Option<f64>]| {
            let mut bag = Bag::new(&[Type::Real]);
            bag.add(&[real(values)], values.len(), |_| 1);
            bag
        };
        let (sum, whole) = (bag(&[Some(2.0), Some(1.0), Some(-0.0)]), bag(&[Some(0.0), None, Some(1.0), Some(1.0)]));
        let missing = sum.missing_from(&whole);
        let shown = |that| -> Vec<_> { missing.rows(that).iter().map(|(row, n)| (row[0].to_json(), *n)).collect() };
        assert_eq!(shown(Rows::There), [(serde_json::Value::Null, 1), (1.0.into(), 1)]);
        assert_eq!(shown(Rows::Gone), [(2.0.into(), 1)]);
        assert!(whole.missing_from(&whole).is_empty());
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let mut bag = Bag::new(&[]);
        bag.add(&[], 2, |_| 1);
        assert_eq!(bag.rows(Rows::There).iter().map(|(row, n)| (row.len(), *n)).collect::<Vec<_>>(), [(0, 2)]);
    }
}
