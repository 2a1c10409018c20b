//! Rows that operators keep, each once: they hold its slot.
//!
//! A store has some columns of one table, or of one operation's result. Rows that are equal in them share a slot. A slot
//! lives as long as some arrangement refers to it, and at least to the end of the step in which it was given out.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array, TimestampMicrosecondArray,
};
use daemoneye_dsl::types::Type;
use hashbrown::HashTable;

use super::keys::{Key, append, hash};
use super::steps::Size;

/// The number of a row in its store.
pub(crate) type Slot = u32;
/// No row: every column is NULL. What an outer join gives where nothing matches.
pub(crate) const ABSENT: Slot = Slot::MAX;

/// Texts up to this length are held once, however many rows have them.
const SHARED_LEN_MAX: usize = 64;

pub(crate) struct Store {
    columns: Vec<Column>,
    /// Slots by the hash of their row.
    index: HashTable<(u64, Slot)>,
    /// How many arrangement entries hold each slot; the hash of its row.
    references: Vec<u32>,
    hashes: Vec<u64>,
    free: Vec<Slot>,
    /// Slots that may have nobody left.
    loose: Vec<Slot>,
    shared: HashSet<Arc<str>>,
    shared_max: usize,
    bytes: usize,
}

/// One column by slot.
enum Column {
    Integer(Type, Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Boolean(Vec<Option<bool>>),
    Text(Vec<Option<Arc<str>>>),
    Blob(Vec<Option<Arc<[u8]>>>),
}

impl Store {
    pub(crate) fn new(types: &[Type]) -> Self {
        Self {
            columns: types.iter().map(|ty| Column::new(*ty)).collect(),
            index: HashTable::new(),
            references: vec![],
            hashes: vec![],
            free: vec![],
            loose: vec![],
            shared: HashSet::new(),
            shared_max: 1024,
            bytes: 0,
        }
    }

    /// The slots of rows of these columns, which are the store's.
    pub(crate) fn slots(&mut self, columns: &[ArrayRef], rows: &[u32]) -> Vec<Slot> {
        let mut bytes = Key::new();
        rows.iter()
            .map(|row| {
                let row = *row as usize;
                bytes.clear();
                for column in columns {
                    append(column, row, &mut bytes);
                }
                self.slot(columns, row, hash(&bytes))
            })
            .collect()
    }

    fn slot(&mut self, columns: &[ArrayRef], row: usize, hash: u64) -> Slot {
        let own = &self.columns;
        let equal = |(other, slot): &(u64, Slot)| {
            *other == hash && own.iter().zip(columns).all(|(own, column)| own.equals(*slot, column, row))
        };
        if let Some((_, slot)) = self.index.find(hash, equal) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = Slot::try_from(self.references.len()).expect("fewer rows than 2^32");
            self.references.push(0);
            self.hashes.push(0);
            self.columns.iter_mut().for_each(Column::grow);
            slot
        });
        self.hashes[slot as usize] = hash;
        for (own, column) in self.columns.iter_mut().zip(columns) {
            self.bytes += own.set(slot, column, row, &mut self.shared);
        }
        self.index.insert_unique(hash, (hash, slot), |(hash, _)| *hash);
        self.loose.push(slot);
        slot
    }

    /// One entry more holds the slot.
    pub(crate) fn hold(&mut self, slot: Slot) {
        if slot != ABSENT {
            self.references[slot as usize] += 1;
        }
    }

    /// One less.
    pub(crate) fn release(&mut self, slot: Slot) {
        if slot != ABSENT {
            let references = &mut self.references[slot as usize];
            *references -= 1;
            if *references == 0 {
                self.loose.push(slot);
            }
        }
    }

    /// The step is over: slots that nobody holds are free.
    pub(crate) fn sweep(&mut self) {
        for slot in std::mem::take(&mut self.loose) {
            if self.references[slot as usize] > 0 {
                continue;
            }
            let hash = self.hashes[slot as usize];
            // It may stand twice in the list.
            let Ok(entry) = self.index.find_entry(hash, |(_, other)| *other == slot) else { continue };
            entry.remove();
            self.bytes -= self.columns.iter_mut().map(|column| column.clear(slot)).sum::<usize>();
            self.free.push(slot);
        }
        if self.shared.len() > self.shared_max {
            self.shared.retain(|text| Arc::strong_count(text) > 1);
            self.shared_max = (2 * self.shared.len()).max(1024);
        }
    }

    /// A column of these slots.
    pub(crate) fn gather(&self, column: usize, slots: impl ExactSizeIterator<Item = Slot>) -> ArrayRef {
        self.columns[column].gather(slots)
    }

    /// Rows held, and about how many bytes they take.
    pub(crate) fn size(&self) -> Size {
        let fixed: usize = self.columns.iter().map(Column::width).sum();
        Size { rows: self.index.len(), bytes: self.bytes + self.references.len() * (fixed + 28) }
    }
}

impl Column {
    fn new(ty: Type) -> Self {
        match ty {
            Type::Integer | Type::Timestamp | Type::Interval => Self::Integer(ty, vec![]),
            Type::Real => Self::Real(vec![]),
            Type::Boolean => Self::Boolean(vec![]),
            Type::Text => Self::Text(vec![]),
            Type::Blob => Self::Blob(vec![]),
        }
    }

    fn grow(&mut self) {
        match self {
            Self::Integer(_, values) => values.push(None),
            Self::Real(values) => values.push(None),
            Self::Boolean(values) => values.push(None),
            Self::Text(values) => values.push(None),
            Self::Blob(values) => values.push(None),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Boolean(_) => 1,
            _ => 16,
        }
    }

    fn equals(&self, slot: Slot, column: &ArrayRef, row: usize) -> bool {
        let slot = slot as usize;
        let is_valid = column.is_valid(row);
        match self {
            Self::Integer(ty, values) => values[slot] == is_valid.then(|| integer(*ty, column, row)),
            // The two zeros are one value.
            Self::Real(values) => values[slot] == is_valid.then(|| column.as_primitive::<Float64Type>().value(row)),
            Self::Boolean(values) => values[slot] == is_valid.then(|| column.as_boolean().value(row)),
            Self::Text(values) => values[slot].as_deref() == is_valid.then(|| column.as_string::<i32>().value(row)),
            Self::Blob(values) => values[slot].as_deref() == is_valid.then(|| column.as_binary::<i32>().value(row)),
        }
    }

    /// Gives the bytes that it takes beside its fixed width.
    fn set(&mut self, slot: Slot, column: &ArrayRef, row: usize, shared: &mut HashSet<Arc<str>>) -> usize {
        let slot = slot as usize;
        let is_valid = column.is_valid(row);
        match self {
            Self::Integer(ty, values) => values[slot] = is_valid.then(|| integer(*ty, column, row)),
            Self::Real(values) => values[slot] = is_valid.then(|| column.as_primitive::<Float64Type>().value(row)),
            Self::Boolean(values) => values[slot] = is_valid.then(|| column.as_boolean().value(row)),
            Self::Text(values) => {
                values[slot] = is_valid.then(|| share(column.as_string::<i32>().value(row), shared));
                return long_len(values[slot].as_deref());
            }
            Self::Blob(values) => {
                values[slot] = is_valid.then(|| Arc::from(column.as_binary::<i32>().value(row)));
                return values[slot].as_ref().map_or(0, |value| value.len());
            }
        }
        0
    }

    /// Gives the bytes that this frees.
    fn clear(&mut self, slot: Slot) -> usize {
        let slot = slot as usize;
        match self {
            Self::Integer(_, values) => values[slot] = None,
            Self::Real(values) => values[slot] = None,
            Self::Boolean(values) => values[slot] = None,
            Self::Text(values) => return long_len(values[slot].take().as_deref()),
            Self::Blob(values) => return values[slot].take().map_or(0, |value| value.len()),
        }
        0
    }

    fn gather(&self, slots: impl ExactSizeIterator<Item = Slot>) -> ArrayRef {
        fn of<T: Copy>(values: &[Option<T>], slot: Slot) -> Option<T> {
            values.get(slot as usize).copied().flatten()
        }
        match self {
            Self::Integer(Type::Timestamp, values) => {
                Arc::new(slots.map(|slot| of(values, slot)).collect::<TimestampMicrosecondArray>())
            }
            Self::Integer(Type::Interval, values) => {
                Arc::new(slots.map(|slot| of(values, slot)).collect::<DurationMicrosecondArray>())
            }
            Self::Integer(_, values) => Arc::new(slots.map(|slot| of(values, slot)).collect::<Int64Array>()),
            Self::Real(values) => Arc::new(slots.map(|slot| of(values, slot)).collect::<Float64Array>()),
            Self::Boolean(values) => Arc::new(slots.map(|slot| of(values, slot)).collect::<BooleanArray>()),
            Self::Text(values) => {
                let mut builder = StringBuilder::with_capacity(slots.len(), 0);
                for slot in slots {
                    builder.append_option(values.get(slot as usize).and_then(Option::as_deref));
                }
                Arc::new(builder.finish())
            }
            Self::Blob(values) => {
                let mut builder = BinaryBuilder::with_capacity(slots.len(), 0);
                for slot in slots {
                    builder.append_option(values.get(slot as usize).and_then(Option::as_deref));
                }
                Arc::new(builder.finish())
            }
        }
    }
}

fn integer(ty: Type, column: &ArrayRef, row: usize) -> i64 {
    match ty {
        Type::Timestamp => column.as_primitive::<TimestampMicrosecondType>().value(row),
        Type::Interval => column.as_primitive::<DurationMicrosecondType>().value(row),
        _ => column.as_primitive::<Int64Type>().value(row),
    }
}

fn share(text: &str, shared: &mut HashSet<Arc<str>>) -> Arc<str> {
    if text.len() > SHARED_LEN_MAX {
        return Arc::from(text);
    }
    if let Some(known) = shared.get(text) {
        return known.clone();
    }
    let new: Arc<str> = Arc::from(text);
    shared.insert(new.clone());
    new
}

/// The bytes of a text that is one row's own.
fn long_len(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}
