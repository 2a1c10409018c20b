//! An operator's rows by key, shared by all joins that need them so.

use std::cell::{OnceCell, RefCell};

use hashbrown::hash_table::Entry as TableEntry;
use hashbrown::{HashMap, HashSet, HashTable};
use smallvec::SmallVec;

use super::bag::Bag;
use super::delta::{Delta, Exprs, Form, Layout, Rows, Run};
use super::expiry::Expiry;
use super::graph::Node;
use super::keys::{Key, Keys, hash};
use super::steps::{Size, Step};
use super::store::{Slot, Store};
use crate::error::Error;

/// The slots of one row.
pub(crate) type Tuple = SmallVec<[Slot; 4]>;

/// How many rows there are, and how many of them have no key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) rows: i64,
    pub(crate) keyless: i64,
}

/// Takes a key with its hash and its rows.
type EachKey<'e> = &'e mut dyn FnMut(&Key, u64, &mut dyn Iterator<Item = (&Tuple, i64)>);

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
        (0..delta.len()).map(|row| Tuple::from_slice(&slots[row * parts..(row + 1) * parts])).collect()
    }

    pub(crate) fn hold(&self, tuple: &Tuple, run: &Run<'_>) {
        tuple.iter().zip(&self.stores).for_each(|(slot, store)| run.stores[*store].borrow_mut().hold(*slot));
    }

    pub(crate) fn release(&self, tuple: &Tuple, stores: &[RefCell<Store>]) {
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
    /// The change's entries by the hash of their key, made when somebody with few keys asks for them.
    by_hash: OnceCell<HashMap<u64, SmallVec<[u32; 2]>>>,
    /// Rows held, each different one once.
    len: usize,
    /// How many rows there are, each as often as it is there, and how many of them have no key.
    counted: Counted,
    /// What it forgets, if it does.
    expiry: Option<Expiry>,
}

/// How the key of a row is made.
pub(crate) enum Keyed {
    /// Expressions over a source's change, by number.
    Source(usize),
    /// Expressions over the input.
    Input(Exprs),
    /// Every row has the same.
    Nothing,
}

/// A row that came or left, with its key; none where NULL is in it.
pub(crate) struct Entry {
    pub(crate) key: Option<Key>,
    pub(crate) hash: u64,
    pub(crate) tuple: Tuple,
    pub(crate) weight: i64,
}

struct Bucket {
    hash: u64,
    key: Key,
    /// The sum of the weights.
    total: i64,
    rows: Bag<Tuple>,
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
            by_hash: OnceCell::new(),
            counted: Counted::default(),
            len: 0,
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
    pub(crate) fn rows(&self, key: &Key, hash: u64) -> impl Iterator<Item = (&Tuple, i64)> {
        self.bucket(key, hash).into_iter().flat_map(|bucket| bucket.rows.iter())
    }

    /// How many rows there are under a key, each as often as it is there.
    pub(crate) fn total(&self, key: &Key, hash: u64) -> i64 {
        self.bucket(key, hash).map_or(0, |bucket| bucket.total)
    }

    /// All rows.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Tuple, i64)> {
        self.buckets.iter().flat_map(|bucket| bucket.rows.iter()).chain(self.keyless.iter())
    }

    /// The rows that have no key.
    pub(crate) fn keyless(&self) -> impl Iterator<Item = (&Tuple, i64)> {
        self.keyless.iter()
    }

    /// What this step changed under a key.
    pub(crate) fn changed<'a>(&'a self, key: &'a Key, hash: u64) -> impl Iterator<Item = &'a Entry> {
        let by_hash = self.by_hash.get_or_init(|| {
            let mut by_hash: HashMap<u64, SmallVec<[u32; 2]>> = HashMap::with_capacity(self.change().len());
            for (at, entry) in (0u32..).zip(self.change()).filter(|(_, entry)| entry.key.is_some()) {
                by_hash.entry(entry.hash).or_default().push(at);
            }
            by_hash
        });
        let entries = by_hash.get(&hash).into_iter().flatten().map(|at| &self.change()[*at as usize]);
        entries.filter(move |entry| entry.key.as_ref() == Some(key))
    }

    /// Every key that this step changed here and that `other` has rows under, once, with those rows.
    pub(crate) fn each_changed(&self, other: &Self, each: EachKey<'_>) {
        if self.change().len() > 2 * other.buckets.len() {
            for bucket in &other.buckets {
                if self.changed(&bucket.key, bucket.hash).next().is_some() {
                    each(&bucket.key, bucket.hash, &mut bucket.rows.iter());
                }
            }
            return;
        }
        let mut seen: HashSet<&Key> = HashSet::new();
        for Entry { key, hash, .. } in self.change() {
            let Some(key) = key else { continue };
            if seen.insert(key)
                && let Some(bucket) = other.bucket(key, *hash)
            {
                each(key, *hash, &mut bucket.rows.iter());
            }
        }
    }

    /// Every pair of a changed row here and a row of `other` under the same key, with the weight of the pair. Looks
    /// through the shorter of the two: a change of many rows meets mostly rules that hold few.
    pub(crate) fn pair_changed(
        &self,
        other: &Self,
        each: &mut dyn FnMut(&Tuple, &Tuple, i64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.change().len() > 2 * other.buckets.len() {
            for bucket in &other.buckets {
                for entry in self.changed(&bucket.key, bucket.hash) {
                    for (tuple, times) in bucket.rows.iter() {
                        each(&entry.tuple, tuple, entry.weight * times)?;
                    }
                }
            }
            return Ok(());
        }
        for Entry { key, hash, tuple, weight } in self.change() {
            let Some(key) = key else { continue };
            for (other, times) in other.rows(key, *hash) {
                each(tuple, other, weight * times)?;
            }
        }
        Ok(())
    }

    /// Every key with its rows.
    pub(crate) fn each_key(&self, each: EachKey<'_>) {
        for bucket in &self.buckets {
            each(&bucket.key, bucket.hash, &mut bucket.rows.iter());
        }
    }

    /// Every pair of a row here and one there under the same key, with the weight of the pair.
    pub(crate) fn pair_all(
        &self,
        other: &Self,
        each: &mut dyn FnMut(&Tuple, &Tuple, i64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for bucket in &self.buckets {
            let Some(matching) = other.bucket(&bucket.key, bucket.hash) else { continue };
            for (tuple, weight) in bucket.rows.iter() {
                for (match_tuple, times) in matching.rows.iter() {
                    each(tuple, match_tuple, weight * times)?;
                }
            }
        }
        Ok(())
    }

    fn bucket(&self, key: &Key, hash: u64) -> Option<&Bucket> {
        self.buckets.find(hash, |bucket| bucket.hash == hash && bucket.key == *key)
    }

    /// Gives the weight of the row before and after.
    fn add(&mut self, entry: &Entry, run: &Run<'_>) -> (i64, i64) {
        self.counted.rows += entry.weight;
        self.counted.keyless += if entry.key.is_none() { entry.weight } else { 0 };
        let (before, after) = match &entry.key {
            None => self.keyless.add(&entry.tuple, entry.weight),
            Some(key) => {
                let equal = |bucket: &Bucket| bucket.hash == entry.hash && bucket.key == *key;
                match self.buckets.entry(entry.hash, equal, |bucket| bucket.hash) {
                    TableEntry::Vacant(vacant) => {
                        let mut rows = Bag::new();
                        let turned = rows.add(&entry.tuple, entry.weight);
                        vacant.insert(Bucket { hash: entry.hash, key: key.clone(), total: entry.weight, rows });
                        turned
                    }
                    TableEntry::Occupied(mut found) => {
                        let bucket = found.get_mut();
                        bucket.total += entry.weight;
                        let turned = bucket.rows.add(&entry.tuple, entry.weight);
                        if bucket.rows.is_empty() {
                            found.remove();
                        }
                        turned
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
        while let Some((tuple, key, hash)) = expiry.next(run.horizon) {
            let weight = match &key {
                Some(key) => self.bucket(key, hash).map_or(0, |bucket| bucket.rows.weight(&tuple)),
                None => self.keyless.weight(&tuple),
            };
            self.add(&Entry { key, hash, tuple, weight: -weight }, run);
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
                (0, _) => expiry.hold(*moment, &entry.tuple, entry.key.as_ref(), entry.hash),
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
        let mut tuples = self.taken.tuples(delta, layout, run);
        let mut push = |row: usize, keyed: Option<(&Key, u64)>| {
            let (key, hash) = keyed.map_or((None, 0), |(key, hash)| (Some(key.clone()), hash));
            let tuple = std::mem::take(&mut tuples[row]);
            self.change.push(Entry { key, hash, tuple, weight: delta.weights[row] });
        };
        match (&self.keyed, &delta.rows, &layout.form) {
            (Keyed::Source(number), Rows::Picked(rows), Form::Picked { source, .. }) => {
                let keys = run.sources[*source].keys(*number, run);
                rows.iter().enumerate().for_each(|(row, at)| push(row, keys.at(*at as usize)));
            }
            (Keyed::Input(exprs), ..) => {
                let keys = Keys::of_join(&exprs.values(delta, layout, run), delta.len());
                (0..delta.len()).for_each(|row| push(row, keys.at(row)));
            }
            _ => {
                let (key, hash) = (Key::new(), hash(&[]));
                (0..delta.len()).for_each(|row| push(row, Some((&key, hash))));
            }
        }
        self.take_up(&moments, run);
        // Joins look at the arrangement itself; this only tells them that there is something.
        told(delta.weights.clone())
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
        self.by_hash.take();
    }

    fn end_step(&mut self) {
        self.change.clear();
        self.by_hash.take();
        self.expiry.iter_mut().for_each(Expiry::end);
    }

    fn size(&self) -> Size {
        let bucket = size_of::<Bucket>() + 1;
        let order = self.expiry.as_ref().map_or(0, Expiry::bytes);
        Size { rows: self.len, bytes: self.buckets.len() * bucket + self.len * size_of::<(Tuple, i64)>() + order }
    }

    fn release(&mut self, stores: &[RefCell<Store>]) {
        self.all().for_each(|(tuple, _)| self.taken.release(tuple, stores));
        self.buckets.clear();
        self.keyless = Bag::new();
        self.expiry.iter_mut().for_each(Expiry::clear);
    }
}
