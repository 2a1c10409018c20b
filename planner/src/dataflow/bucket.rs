//! The rows under one key of an arrangement, and the entries of its change by key.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::arrangement::Entry;
use super::bag::Bag;
use super::keyed::KeyId;
use super::store::Slot;
use super::tuple::Tuple;

/// The rows under a key.
pub(super) enum Bucket {
    /// One of one slot, once, as most are.
    One {
        key: KeyId,
        slot: [Slot; 1],
    },
    Some {
        key: KeyId,
        rows: Box<Bag<Tuple>>,
    },
}

const _: () = assert!(size_of::<Bucket>() == 16, "rows are held by the hundred thousand");

impl Bucket {
    /// The first row under a key.
    pub(super) fn of(key: KeyId, tuple: &Tuple, weight: i64) -> Self {
        if let (Tuple::One(slot), 1) = (tuple, weight) {
            return Self::One { key, slot: *slot };
        }
        let mut rows = Bag::new();
        rows.add(tuple, weight);
        Self::Some { key, rows: Box::new(rows) }
    }

    pub(super) fn key(&self) -> KeyId {
        let (Self::One { key, .. } | Self::Some { key, .. }) = self;
        *key
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&[Slot], i64)> {
        let (one, some) = match self {
            Self::One { slot, .. } => (Some((&slot[..], 1)), None),
            Self::Some { rows, .. } => (None, Some(rows.iter())),
        };
        one.into_iter().chain(some.into_iter().flatten().map(|(tuple, weight)| (&**tuple, weight)))
    }

    /// The sum of the weights.
    pub(super) fn total(&self) -> i64 {
        match self {
            Self::One { .. } => 1,
            Self::Some { rows, .. } => rows.total(),
        }
    }

    /// How often a row is there.
    pub(super) fn weight(&self, tuple: &Tuple) -> i64 {
        match self {
            Self::One { slot, .. } => i64::from(**tuple == slot[..]),
            Self::Some { rows, .. } => rows.weight(tuple),
        }
    }

    /// Gives the weight of the row before and after, and whether any row is left.
    pub(super) fn add(&mut self, tuple: &Tuple, weight: i64) -> (i64, i64, bool) {
        if let Self::One { key, slot } = self {
            if **tuple == slot[..] && weight == -1 {
                return (1, 0, false);
            }
            let mut rows = Bag::new();
            rows.add(&Tuple::One(*slot), 1);
            *self = Self::Some { key: *key, rows: Box::new(rows) };
        }
        let Self::Some { rows, .. } = self else { unreachable!("it was just made") };
        let (before, after) = rows.add(tuple, weight);
        (before, after, !rows.is_empty())
    }
}

/// Entries of a change by key.
pub(super) struct ByKey {
    /// For each key its last entry.
    pub(super) last: HashTable<(KeyId, u32)>,
    /// For each entry the one before it under its key.
    before: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl ByKey {
    pub(super) fn of(change: &[Entry]) -> Self {
        let mut last: HashTable<(KeyId, u32)> = HashTable::with_capacity(change.len());
        let mut before = vec![NONE; change.len()];
        for (at, entry) in (0u32..).zip(change) {
            let Some(key) = entry.key else { continue };
            match last.entry(key.hash(), |(other, _)| *other == key, |(key, _)| key.hash()) {
                TableEntry::Vacant(vacant) => {
                    vacant.insert((key, at));
                }
                TableEntry::Occupied(mut found) => {
                    before[at as usize] = std::mem::replace(&mut found.get_mut().1, at);
                }
            }
        }
        Self { last, before }
    }

    pub(super) fn entries(&self, key: KeyId) -> impl Iterator<Item = u32> {
        let last = self.last.find(key.hash(), |(other, _)| *other == key).map(|(_, at)| *at);
        let is_there = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(last, move |at| is_there(self.before[*at as usize]))
    }
}
