//! An operator's rows by key, shared by all joins that need them so.

use std::cell::{OnceCell, RefCell};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::bag::Bag;
use super::bucket::{Bucket, ByKey};
use super::delta::{Delta, Form, Layout, Rows, Run};
use super::expiry::Expiry;
use super::graph::Node;
use super::keyed::{KeyId, KeyStore, Keyed};
use super::steps::{Size, Step};
use super::store::{Slot, Store};
use super::tuple::Tuple;
use crate::error::Error;

/// Entries of a change for which room is kept from step to step.
const SPARE_MAX: usize = 64;

/// How many rows there are, and how many of them have no key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) rows: i64,
    pub(crate) keyless: i64,
}

/// Takes a pair of rows with its weight.
type EachPair<'e> = &'e mut dyn FnMut(&[Slot], &[Slot], i64) -> Result<(), Error>;

/// Takes a key and its rows.
type EachKey<'e> = &'e mut dyn FnMut(KeyId, &mut dyn Iterator<Item = (&[Slot], i64)>);

/// Makes slots of an operator's rows and keeps them.
pub(crate) struct Taken {
    /// Where rows of a source are kept, by its number there.
    pub(crate) kept: Option<usize>,
    /// The stores of a row's slots.
    pub(crate) stores: Vec<usize>,
}

impl Taken {
    /// The slots of each row.
    pub(crate) fn tuples(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Vec<Tuple> {
        let slots = match (&delta.rows, &layout.form) {
            (Rows::Slots(slots), _) => slots.clone(),
            (Rows::Picked(rows), Form::Picked { source, .. }) => {
                run.sources[*source].slots(self.kept.expect("a source's rows are kept"), rows, run.stores)
            }
            (Rows::Values(rows), _) => {
                let numbers: Vec<u32> = (0u32..).take(delta.len()).collect();
                run.stores[self.stores[0]].borrow_mut().slots(rows.columns(), &numbers)
            }
            (Rows::Picked(_), _) => unreachable!("only a source's rows are picked"),
        };
        let parts = self.stores.len();
        (0..delta.len()).map(|row| Tuple::from(&slots[row * parts..(row + 1) * parts])).collect()
    }

    pub(crate) fn hold(&self, tuple: &[Slot], run: &Run<'_>) {
        tuple.iter().zip(&self.stores).for_each(|(slot, store)| run.stores[*store].borrow_mut().hold(*slot));
    }

    pub(crate) fn release(&self, tuple: &[Slot], stores: &[RefCell<Store>]) {
        tuple.iter().zip(&self.stores).for_each(|(slot, store)| stores[*store].borrow_mut().release(*slot));
    }
}

/// Keeps its input's rows by key.
pub(crate) struct Arrange {
    keyed: Keyed,
    taken: Taken,
    buckets: HashTable<Bucket>,
    /// Rows without a key: they match nothing, which is what some joins are after.
    keyless: Bag<Tuple>,
    change: Vec<Entry>,
    /// The change does not count now.
    hidden: bool,
    /// The change's entries by key, made when somebody asks for them.
    by_key: OnceCell<ByKey>,
    /// Rows held, each different one once.
    len: usize,
    /// What the keys take, about.
    key_bytes: usize,
    /// How many rows there are, each as often as it is there, and how many of them have no key.
    counted: Counted,
    /// What it forgets, if it does.
    expiry: Option<Expiry>,
}

/// A row that came or left, with its key; none where NULL is in it.
pub(crate) struct Entry {
    pub(crate) key: Option<KeyId>,
    pub(crate) tuple: Tuple,
    pub(crate) weight: i64,
}

impl Arrange {
    pub(crate) fn new(keyed: Keyed, taken: Taken, expiry: Option<Expiry>) -> Self {
        Self {
            keyed,
            taken,
            buckets: HashTable::new(),
            keyless: Bag::new(),
            change: vec![],
            hidden: false,
            by_key: OnceCell::new(),
            counted: Counted::default(),
            len: 0,
            key_bytes: 0,
            expiry,
        }
    }

    /// What this step changed, after which the rows are as they are now.
    pub(crate) fn change(&self) -> &[Entry] {
        if self.hidden { &[] } else { &self.change }
    }

    /// The rows that this step forgot: nobody can meet them any more.
    pub(crate) fn forgotten(&self) -> &[Tuple] {
        self.expiry.as_ref().map_or(&[], Expiry::forgotten)
    }

    /// How many rows there are now, and how many there were before this step.
    pub(crate) fn counted(&self) -> (Counted, Counted) {
        let mut before = self.counted;
        for entry in self.change() {
            before.rows -= entry.weight;
            before.keyless -= if entry.key.is_none() { entry.weight } else { 0 };
        }
        (self.counted, before)
    }

    /// The rows under a key.
    pub(crate) fn rows(&self, key: KeyId) -> impl Iterator<Item = (&[Slot], i64)> {
        self.bucket(key).into_iter().flat_map(Bucket::rows)
    }

    /// How many rows there are under a key, each as often as it is there.
    pub(crate) fn total(&self, key: KeyId) -> i64 {
        self.bucket(key).map_or(0, Bucket::total)
    }

    /// All rows.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[Slot], i64)> {
        self.buckets.iter().flat_map(Bucket::rows).chain(self.keyless())
    }

    /// The rows that have no key.
    pub(crate) fn keyless(&self) -> impl Iterator<Item = (&[Slot], i64)> {
        self.keyless.iter().map(|(tuple, weight)| (&**tuple, weight))
    }

    /// Nothing where nothing changed: then nobody clears it at the end of the step.
    fn by_key(&self) -> Option<&ByKey> {
        let change = self.change();
        (!change.is_empty()).then(|| self.by_key.get_or_init(|| ByKey::of(change)))
    }

    /// What this step changed under a key.
    pub(crate) fn changed(&self, key: KeyId) -> impl Iterator<Item = &Entry> {
        let entries = self.by_key().into_iter().flat_map(move |by_key| by_key.entries(key));
        entries.map(|at| &self.change()[at as usize])
    }

    /// Every key that this step changed here and that `other` has rows under, once, with those rows. Looks through the
    /// shorter of the two: a change of many rows meets mostly rules that hold few.
    pub(crate) fn each_changed(&self, other: &Self, each: EachKey<'_>) {
        let Some(ByKey { last: changed, .. }) = self.by_key() else { return };
        if changed.len() > other.buckets.len() {
            for bucket in &other.buckets {
                if changed.find(bucket.key().hash(), |(key, _)| *key == bucket.key()).is_some() {
                    each(bucket.key(), &mut bucket.rows());
                }
            }
            return;
        }
        for (key, _) in changed {
            if let Some(bucket) = other.bucket(*key) {
                each(*key, &mut bucket.rows());
            }
        }
    }

    /// Every pair of a changed row here and a row of `other` under the same key, with the weight of the pair. Looks
    /// through the shorter of the two.
    pub(crate) fn pair_changed(&self, other: &Self, each: EachPair<'_>) -> Result<(), Error> {
        if self.change().len() > 2 * other.buckets.len() {
            for bucket in &other.buckets {
                for entry in self.changed(bucket.key()) {
                    for (tuple, times) in bucket.rows() {
                        each(&entry.tuple, tuple, entry.weight * times)?;
                    }
                }
            }
            return Ok(());
        }
        for Entry { key, tuple, weight } in self.change() {
            let Some(key) = key else { continue };
            for (other, times) in other.rows(*key) {
                each(tuple, other, weight * times)?;
            }
        }
        Ok(())
    }

    /// Every key with its rows.
    pub(crate) fn each_key(&self, each: EachKey<'_>) {
        for bucket in &self.buckets {
            each(bucket.key(), &mut bucket.rows());
        }
    }

    /// Every pair of a row here and one there under the same key, with the weight of the pair.
    pub(crate) fn pair_all(&self, other: &Self, each: EachPair<'_>) -> Result<(), Error> {
        for bucket in &self.buckets {
            let Some(matching) = other.bucket(bucket.key()) else { continue };
            for (tuple, weight) in bucket.rows() {
                for (match_tuple, times) in matching.rows() {
                    each(tuple, match_tuple, weight * times)?;
                }
            }
        }
        Ok(())
    }

    fn bucket(&self, key: KeyId) -> Option<&Bucket> {
        self.buckets.find(key.hash(), |bucket| bucket.key() == key)
    }

    /// Gives the weight of the row before and after.
    fn add(&mut self, entry: &Entry, run: &Run<'_>) -> (i64, i64) {
        self.counted.rows += entry.weight;
        self.counted.keyless += if entry.key.is_none() { entry.weight } else { 0 };
        let (before, after) = match entry.key {
            None => self.keyless.add(&entry.tuple, entry.weight),
            Some(key) => {
                match self.buckets.entry(key.hash(), |bucket| bucket.key() == key, |bucket| bucket.key().hash()) {
                    TableEntry::Vacant(vacant) => {
                        vacant.insert(Bucket::of(key, &entry.tuple, entry.weight));
                        self.key_bytes += run.keys.borrow_mut().hold(key);
                        (0, entry.weight)
                    }
                    TableEntry::Occupied(mut found) => {
                        let (before, after, is_left) = found.get_mut().add(&entry.tuple, entry.weight);
                        if !is_left {
                            found.remove();
                            self.key_bytes -= run.keys.borrow_mut().release(key);
                        }
                        (before, after)
                    }
                }
            }
        };
        if before == 0 && after != 0 {
            self.len += 1;
            self.taken.hold(&entry.tuple, run);
        } else if before != 0 && after == 0 {
            self.len -= 1;
            self.taken.release(&entry.tuple, run.stores);
        }
        (before, after)
    }

    /// Lets go of the rows that nobody can meet any more. It is no change: nothing is taken back of them.
    fn expire(&mut self, run: &Run<'_>) {
        let Some(mut expiry) = self.expiry.take() else { return };
        while let Some((tuple, key)) = expiry.next(run.horizon) {
            let weight = match key {
                Some(key) => self.bucket(key).map_or(0, |bucket| bucket.weight(&tuple)),
                None => self.keyless.weight(&tuple),
            };
            self.add(&Entry { key, tuple, weight: -weight }, run);
        }
        self.expiry = Some(expiry);
    }

    /// Takes up the change: of what comes too late only the number.
    fn take_up(&mut self, moments: &[i64], run: &Run<'_>) {
        let change = std::mem::take(&mut self.change);
        let Some(mut expiry) = self.expiry.take() else {
            for entry in &change {
                self.add(entry, run);
            }
            self.change = change;
            return;
        };
        for (entry, moment) in change.into_iter().zip(moments) {
            if expiry.is_late(*moment, run) {
                run.note_late(entry.weight);
                continue;
            }
            match self.add(&entry, run) {
                (0, _) => expiry.hold(*moment, &entry.tuple, entry.key),
                (_, 0) => expiry.release(*moment, &entry.tuple),
                _ => {}
            }
            self.change.push(entry);
        }
        self.expiry = Some(expiry);
    }
}

impl Step for Arrange {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        if run.changes.is_some() {
            self.expire(run);
        }
        let told = |weights: Vec<i64>| Ok(Delta { rows: Rows::Slots(vec![]), weights });
        let Some(delta) = inputs[0].delta() else { return told(vec![1; self.forgotten().len()]) };
        run.work(delta.len())?;
        let layout = &inputs[0].layout;
        let moments = self.expiry.as_ref().map(|expiry| expiry.moments(delta, layout, run)).unwrap_or_default();
        let keys = self.keyed.ids(delta, layout, run);
        let tuples = self.taken.tuples(delta, layout, run);
        let entries = keys.into_iter().zip(tuples).zip(&delta.weights);
        self.change.extend(entries.map(|((key, tuple), weight)| Entry { key, tuple, weight: *weight }));
        self.take_up(&moments, run);
        // Joins look at the arrangement itself; this only tells them that there is something.
        told(vec![1])
    }

    fn is_timed(&self) -> bool {
        self.expiry.as_ref().is_some_and(Expiry::forgets)
    }

    fn forget(&mut self, run: &Run<'_>, _: &[&Node]) {
        self.expire(run);
    }

    fn arranged(&self) -> Option<&Arrange> {
        Some(self)
    }

    fn hide(&mut self, hidden: bool) {
        self.hidden = hidden;
        self.by_key.take();
    }

    fn end_step(&mut self) {
        self.change.clear();
        // The first change is all that there is, and later ones are small.
        self.change.shrink_to(SPARE_MAX);
        self.by_key.take();
        self.expiry.iter_mut().for_each(Expiry::end);
    }

    fn size(&self) -> Size {
        let buckets = self.buckets.capacity() * (size_of::<Bucket>() + 1);
        // Rows of which there are several under a key lie elsewhere.
        let more = self.len.saturating_sub(self.buckets.len()) * 2 * size_of::<(Tuple, i64)>();
        let order = self.expiry.as_ref().map_or(0, Expiry::bytes);
        Size { rows: self.len, bytes: buckets + self.key_bytes + more + order }
    }

    fn release(&mut self, stores: &[RefCell<Store>], keys: &mut KeyStore) {
        self.all().for_each(|(tuple, _)| self.taken.release(tuple, stores));
        self.buckets.drain().for_each(|bucket| {
            keys.release(bucket.key());
        });
        self.keyless = Bag::new();
        self.expiry.iter_mut().for_each(Expiry::clear);
    }
}
