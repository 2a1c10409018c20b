//! Rows as keys: equal bytes exactly for values that are equal and of one type.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use hashbrown::hash_map::EntryRef;
use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

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
    let key = |row| {
        let mut key = Key::new();
        for column in columns {
            append(column, row, &mut key);
        }
        key
    };
    (0..len).map(key).collect()
}

/// The bytes of a value, behind those of others; values of different types are never compared.
pub(crate) fn append(column: &ArrayRef, row: usize, key: &mut Key) {
    if column.is_null(row) {
        return key.push(0);
    }
    let mut fixed = |bits: u64| {
        key.push(1);
        key.extend_from_slice(&bits.to_le_bytes());
    };
    match column.data_type() {
        DataType::Int64 => fixed(column.as_primitive::<Int64Type>().value(row).cast_unsigned()),
        DataType::Timestamp(..) => fixed(column.as_primitive::<TimestampMicrosecondType>().value(row).cast_unsigned()),
        DataType::Duration(_) => fixed(column.as_primitive::<DurationMicrosecondType>().value(row).cast_unsigned()),
        // The two zeros are one value.
        DataType::Float64 => fixed((column.as_primitive::<Float64Type>().value(row) + 0.0).to_bits()),
        DataType::Boolean => {
            key.push(1);
            key.push(u8::from(column.as_boolean().value(row)));
        }
        DataType::Utf8 => bytes(column.as_string::<i32>().value(row).as_bytes(), key),
        _ => bytes(column.as_binary::<i32>().value(row), key),
    }
}

/// With its length before it, so that where one value ends and the next begins cannot be mistaken.
fn bytes(value: &[u8], key: &mut Key) {
    key.push(1);
    match u8::try_from(value.len()) {
        Ok(len) if len < u8::MAX => key.push(len),
        _ => {
            key.push(u8::MAX);
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
