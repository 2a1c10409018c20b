//! Keys that operators hold, each once: they hold its number.
//!
//! Rows of all tables and operations that have equal keys have one number, so what is looked up under a key, and kept by
//! the thousand, is four bytes. A number is a key's as long as some operator holds it, and at least to the end of the step
//! in which it was given out.

use std::num::NonZeroU32;

use hashbrown::HashTable;

use super::delta::{Delta, Exprs, Form, Layout, Rows, Run};
use super::keys::{Key, append, cells, hash, spilled};
use crate::cell::Cells;

/// The number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(NonZeroU32);

impl KeyId {
    /// Numbers are given out in order, so nobody outside can choose them to collide.
    pub(crate) fn hash(self) -> u64 {
        let spread = u64::from(self.0.get()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        spread ^ spread >> 32
    }

    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What NULL in a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// Equal to nothing: a row with one has no key. So joins have it.
    Unequal,
    /// A value of its own. So groups have it.
    Equal,
}

/// How the key of a row is made.
pub(crate) enum Keyed {
    /// Expressions over a source's change, by number.
    Source(usize),
    /// Expressions over the input.
    Input(Exprs, Nulls),
    /// Every row has the same.
    Nothing,
}

impl Keyed {
    /// The key of each row of a change.
    pub(crate) fn ids(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Vec<Option<KeyId>> {
        match (self, &delta.rows, &layout.form) {
            (Self::Source(number), Rows::Picked(rows), Form::Picked { source, .. }) => {
                run.sources[*source].keys(*number, rows, run)
            }
            (Self::Input(exprs, nulls), ..) => {
                let columns = exprs.values(delta, layout, run);
                let columns = cells(&columns);
                let mut keys = run.keys.borrow_mut();
                (0..delta.len()).map(|row| keys.of_row(&columns, row, *nulls)).collect()
            }
            _ => vec![Some(run.keys.borrow_mut().of_nothing()); delta.len()],
        }
    }
}

/// All keys that somebody holds.
#[derive(Default)]
pub(crate) struct KeyStore {
    index: HashTable<KeyId>,
    keys: Vec<Held>,
    free: Vec<KeyId>,
    /// Keys that may have nobody left.
    loose: Vec<KeyId>,
    /// The bytes of the key at hand.
    bytes: Vec<u8>,
}

struct Held {
    key: Key,
    hash: u64,
    references: u32,
}

impl KeyStore {
    /// The key of one row of these columns.
    pub(crate) fn of_row(&mut self, columns: &[Cells<'_>], row: usize, nulls: Nulls) -> Option<KeyId> {
        self.bytes.clear();
        for column in columns {
            let cell = column.at(row);
            if nulls == Nulls::Unequal && cell.is_null() {
                return None;
            }
            append(cell, &mut self.bytes);
        }
        Some(self.of_bytes())
    }

    /// The key of rows that all have the same.
    pub(crate) fn of_nothing(&mut self) -> KeyId {
        self.bytes.clear();
        self.of_bytes()
    }

    fn of_bytes(&mut self) -> KeyId {
        let hash = hash(&self.bytes);
        let Self { index, keys, bytes, .. } = self;
        let known = index.find(hash, |id| {
            let held = &keys[id.place()];
            held.hash == hash && *held.key == **bytes
        });
        if let Some(id) = known {
            return *id;
        }
        let held = Held { key: Key::from_slice(&self.bytes), hash, references: 0 };
        let id = match self.free.pop() {
            Some(id) => {
                self.keys[id.place()] = held;
                id
            }
            None => {
                self.keys.push(held);
                let number = u32::try_from(self.keys.len()).ok().and_then(NonZeroU32::new);
                KeyId(number.expect("fewer keys than 2^32"))
            }
        };
        self.index.insert_unique(hash, id, |id| self.keys[id.place()].hash);
        self.loose.push(id);
        id
    }

    /// One operator more holds it; gives about how many bytes it takes.
    pub(crate) fn hold(&mut self, id: KeyId) -> usize {
        let held = &mut self.keys[id.place()];
        held.references += 1;
        size_of::<Held>() + spilled(&held.key)
    }

    /// One less; gives the same.
    pub(crate) fn release(&mut self, id: KeyId) -> usize {
        let held = &mut self.keys[id.place()];
        held.references -= 1;
        if held.references == 0 {
            self.loose.push(id);
        }
        size_of::<Held>() + spilled(&held.key)
    }

    /// The step is over: keys that nobody holds are free.
    pub(crate) fn sweep(&mut self) {
        for id in std::mem::take(&mut self.loose) {
            let Held { hash, references: 0, .. } = self.keys[id.place()] else { continue };
            // It may stand twice in the list.
            let Ok(entry) = self.index.find_entry(hash, |other| *other == id) else { continue };
            entry.remove();
            self.keys[id.place()].key = Key::new();
            self.free.push(id);
        }
    }

    /// How many are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }
}
