//! Rows as keys: equal bytes exactly for values that are equal and of one type.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use arrow_array::ArrayRef;
use hashbrown::hash_map::EntryRef;
use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::cell::{Cell, Cells};

/// The bytes of a key; an INTEGER and a `proc_id` fit without an allocation.
pub(crate) type Key = SmallVec<[u8; 24]>;

/// One hash for every table of keys, so that a key is hashed once per change. It is seeded anew in each process: who
/// names processes cannot make them collide.
static HASH: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    HASH.hash_one(bytes)
}

/// A key for each row of these columns; NULL is a value of its own.
pub(crate) fn keys(columns: &[ArrayRef], len: usize) -> Vec<Key> {
    let columns = cells(columns);
    let mut bytes = Vec::new();
    let key = |row| {
        bytes.clear();
        columns.iter().for_each(|cells| append(cells.at(row), &mut bytes));
        Key::from_slice(&bytes)
    };
    (0..len).map(key).collect()
}

/// Columns whose types are asked for once.
pub(crate) fn cells(columns: &[ArrayRef]) -> SmallVec<[Cells<'_>; 8]> {
    columns.iter().map(|column| Cells::of(column.as_ref())).collect()
}

/// The bytes of a value, behind those of others; values of different types are never compared.
#[inline]
pub(crate) fn append(cell: Cell<'_>, key: &mut Vec<u8>) {
    let mut fixed = |value: i64| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&value.to_le_bytes());
        key.extend_from_slice(&bytes);
    };
    match cell {
        Cell::Null => key.push(0),
        Cell::Integer(value) | Cell::Timestamp(value) | Cell::Interval(value) => fixed(value),
        // The two zeros are one value.
        Cell::Real(value) => fixed((value + 0.0).to_bits().cast_signed()),
        Cell::Boolean(value) => key.extend_from_slice(&[1, u8::from(value)]),
        Cell::Text(value) => bytes(value.as_bytes(), key),
        Cell::Blob(value) => bytes(value, key),
    }
}

/// With its length before it, so that where one value ends and the next begins cannot be mistaken.
fn bytes(value: &[u8], key: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(len) if len < u8::MAX => key.extend_from_slice(&[1, len]),
        _ => {
            key.extend_from_slice(&[1, u8::MAX]);
            key.extend_from_slice(&(value.len() as u64).to_le_bytes());
        }
    }
    key.extend_from_slice(value);
}

/// Something for each key, with what it takes known at any time.
pub(crate) struct KeyMap<V> {
    map: HashMap<Key, V>,
    /// Bytes of keys that do not fit in place.
    long: usize,
}

impl<V: Default> KeyMap<V> {
    pub(crate) fn new() -> Self {
        Self { map: HashMap::new(), long: 0 }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&V> {
        self.map.get(key)
    }

    /// What there is for the key, begun if there is nothing.
    pub(crate) fn entry(&mut self, key: &Key) -> &mut V {
        match self.map.entry_ref(key) {
            EntryRef::Occupied(found) => found.into_mut(),
            EntryRef::Vacant(vacant) => {
                self.long += spilled(key);
                vacant.insert(V::default())
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        if self.map.remove(key).is_some() {
            self.long -= spilled(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.long + self.map.capacity() * (size_of::<(Key, V)>() + 1)
    }
}

/// What a key takes beyond its place.
pub(crate) fn spilled(key: &Key) -> usize {
    if key.spilled() { key.len() } else { 0 }
}
