//! Rows that operators keep, each once: they hold its slot.
//!
//! A store has some columns of one table, or of one operation's result. Rows that are equal in them share a slot. A slot
//! lives as long as some arrangement refers to it, and at least to the end of the step in which it was given out.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array, TimestampMicrosecondArray,
};
use daemoneye_dsl::types::Type;
use hashbrown::{HashSet, HashTable};
use smallvec::SmallVec;

use super::keys::{append, cells, hash};
use super::steps::Size;
use crate::cell::Cell;

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
        let columns = cells(columns);
        let (mut bytes, mut row) = (Vec::new(), SmallVec::<[Cell<'_>; 8]>::new());
        rows.iter()
            .map(|number| {
                bytes.clear();
                row.clear();
                for cells in &columns {
                    let cell = cells.at(*number as usize);
                    append(cell, &mut bytes);
                    row.push(cell);
                }
                self.slot(&row, hash(&bytes))
            })
            .collect()
    }

    fn slot(&mut self, row: &[Cell<'_>], hash: u64) -> Slot {
        let own = &self.columns;
        let equal = |(other, slot): &(u64, Slot)| {
            *other == hash && own.iter().zip(row).all(|(own, cell)| own.equals(*slot, *cell))
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
        for (own, cell) in self.columns.iter_mut().zip(row) {
            self.bytes += own.set(slot, *cell, &mut self.shared);
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

    fn equals(&self, slot: Slot, cell: Cell<'_>) -> bool {
        let slot = slot as usize;
        match (self, cell) {
            (Self::Integer(_, values), cell) => values[slot] == integer(cell),
            // The two zeros are one value.
            (Self::Real(values), cell) => values[slot] == real(cell),
            (Self::Boolean(values), cell) => values[slot] == boolean(cell),
            (Self::Text(values), Cell::Text(text)) => values[slot].as_deref() == Some(text),
            (Self::Blob(values), Cell::Blob(bytes)) => values[slot].as_deref() == Some(bytes),
            (Self::Text(values), _) => values[slot].is_none(),
            (Self::Blob(values), _) => values[slot].is_none(),
        }
    }

    /// Gives the bytes that it takes beside its fixed width.
    fn set(&mut self, slot: Slot, cell: Cell<'_>, shared: &mut HashSet<Arc<str>>) -> usize {
        let slot = slot as usize;
        match (self, cell) {
            (Self::Integer(_, values), cell) => values[slot] = integer(cell),
            (Self::Real(values), cell) => values[slot] = real(cell),
            (Self::Boolean(values), cell) => values[slot] = boolean(cell),
            (Self::Text(values), Cell::Text(text)) => {
                values[slot] = Some(share(text, shared));
                return long_len(values[slot].as_deref());
            }
            (Self::Blob(values), Cell::Blob(bytes)) => {
                values[slot] = Some(Arc::from(bytes));
                return bytes.len();
            }
            (Self::Text(values), _) => values[slot] = None,
            (Self::Blob(values), _) => values[slot] = None,
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

fn integer(cell: Cell<'_>) -> Option<i64> {
    if let Cell::Integer(value) | Cell::Timestamp(value) | Cell::Interval(value) = cell { Some(value) } else { None }
}

fn real(cell: Cell<'_>) -> Option<f64> {
    if let Cell::Real(value) = cell { Some(value) } else { None }
}

fn boolean(cell: Cell<'_>) -> Option<bool> {
    if let Cell::Boolean(value) = cell { Some(value) } else { None }
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
