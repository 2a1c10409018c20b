//! Joins, semi-joins and anti-joins over two arrangements.
//!
//! With both sides as they are after the change, `Δ(L ⋈ R) = ΔL ⋈ R + L ⋈ ΔR - ΔL ⋈ ΔR`. What an outer join adds for rows
//! without a match, and which rows a semi-join keeps, follows from the weight of each row's pairs coming to or leaving
//! zero ("degrees", as in `RisingWave`). Where nothing but the key decides, a semi-join asks how many rows the other side
//! has under it.

use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;
use hashbrown::HashMap;

use super::{Size, Step};
use crate::dataflow::arrangement::{Arrange, Counted, Entry};
use crate::dataflow::delta::{Delta, Exprs, Layout, Rows, Run};
use crate::dataflow::graph::Node;
use crate::dataflow::keyed::KeyId;
use crate::dataflow::store::{ABSENT, Slot};
use crate::dataflow::tuple::Tuple;
use crate::error::Error;
use crate::operators::{ROWS_MAX, within};

/// What becomes of a row and its matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairKind {
    /// The pairs, and rows without one as the join keeps them.
    Join(JoinKind),
    /// The left rows that have a match.
    Semi,
    /// Those that have none.
    Anti,
    /// Those whose value is surely not among the right ones: NULL on either side makes it unknown, unless there is
    /// nothing on the right at all.
    NotIn,
}

pub(crate) struct Pair {
    kind: PairKind,
    /// What must hold beside the keys, over both rows, which have this layout.
    on: Option<(Exprs, Layout)>,
    /// Weight of each row and of its pairs, by side: only where rows without a match matter.
    left: Option<Degrees>,
    right: Option<Degrees>,
    /// Slots of a row on the left and on the right.
    parts: (usize, usize),
    /// Nothing was given yet: what the sides hold counts as their change.
    fresh: bool,
}

/// How often a row is there, and the weight of its pairs.
#[derive(Default)]
struct Degrees {
    rows: HashMap<Tuple, (i64, i64)>,
}

/// Pairs on their way.
struct Pairs {
    slots: Vec<Slot>,
    weights: Vec<i64>,
    /// The same pair may be in it several times.
    repeated: bool,
}

impl Pair {
    /// `parts` are the slots of a row on each side; `both` the layout of a pair.
    pub(crate) fn new(kind: PairKind, on: Option<&Expr>, both: Layout, parts: (usize, usize)) -> Self {
        let by_pairs = on.is_some();
        let (left, right) = match kind {
            PairKind::Join(kind) => (kind.keeps_left(), kind.keeps_right()),
            PairKind::Semi | PairKind::Anti | PairKind::NotIn => (by_pairs, false),
        };
        let on = on.map(|on| (Exprs::new([on]), both));
        let begun = |counts: bool| counts.then(Degrees::default);
        Self { kind, on, left: begun(left), right: begun(right), parts, fresh: true }
    }

    /// The pairs that come and go.
    fn pairs(&self, left: &Arrange, right: &Arrange, run: &Run<'_>) -> Result<Pairs, Error> {
        let mut pairs = Pairs { slots: vec![], weights: vec![], repeated: false };
        if self.fresh {
            left.pair_all(right, &mut |one, other, weight| pairs.push(one, other, weight, run))?;
        } else {
            left.pair_changed(right, &mut |one, other, weight| pairs.push(one, other, weight, run))?;
            right.pair_changed(left, &mut |other, one, weight| pairs.push(one, other, weight, run))?;
            pairs.subtract_changed(left, right, run)?;
        }
        let pairs = pairs.consolidated(self.parts.0 + self.parts.1);
        let Some((on, both)) = &self.on else { return Ok(pairs) };
        let delta = Delta { rows: Rows::Slots(pairs.slots), weights: pairs.weights };
        let kept = delta.take(&on.matching(&delta, both, run)?);
        let Rows::Slots(slots) = kept.rows else { unreachable!("slots were taken") };
        Ok(Pairs { slots, weights: kept.weights, repeated: false })
    }

    /// What pairs change for the rows of one side: those of which none or some are left now.
    fn turned(
        degrees: &mut Degrees,
        change: &[Entry],
        fresh: Option<&Arrange>,
        pairs: &Pairs,
        own: std::ops::Range<usize>,
        width: usize,
    ) -> Vec<(Tuple, [(i64, i64); 2])> {
        let mut before: HashMap<Tuple, (i64, i64)> = HashMap::new();
        let mut order = Vec::new();
        let mut touch = |tuple: &Tuple, weight: i64, pair: i64| {
            let held = degrees.rows.entry_ref(tuple).or_insert((0, 0));
            before.entry_ref(tuple).or_insert_with(|| {
                order.push(tuple.clone());
                *held
            });
            held.0 += weight;
            held.1 += pair;
        };
        match fresh {
            // The change of this step is part of what is held.
            Some(held) => held.all().for_each(|(slots, weight)| touch(&Tuple::from(slots), weight, 0)),
            None => change.iter().for_each(|entry| touch(&entry.tuple, entry.weight, 0)),
        }
        for (row, weight) in pairs.weights.iter().enumerate() {
            let slots = &pairs.slots[row * width..(row + 1) * width];
            touch(&Tuple::from(&slots[own.clone()]), 0, *weight);
        }
        let turned = order.into_iter().map(|tuple| {
            let after = degrees.rows[&tuple];
            if after == (0, 0) {
                degrees.rows.remove(&tuple);
            }
            let before = before[&tuple];
            (tuple, [before, after])
        });
        turned.collect()
    }

    /// A semi-join or anti-join that only the key decides.
    fn by_key(&self, left: &Arrange, right: &Arrange) -> Pairs {
        let mut found = Pairs { slots: vec![], weights: vec![], repeated: true };
        let mut give = |tuple: &[Slot], weight: i64| {
            found.slots.extend_from_slice(tuple);
            found.weights.push(weight);
        };
        let (now, before) = right.counted();
        if self.fresh {
            left.each_key(&mut |key, rows| {
                if self.keeps(Some(right.total(key)), now) {
                    rows.for_each(|(tuple, weight)| give(tuple, weight));
                }
            });
            if self.keeps(None, now) {
                left.keyless().for_each(|(tuple, weight)| give(tuple, weight));
            }
            return found;
        }
        let moved = |key: KeyId| {
            if right.change().is_empty() { 0 } else { right.changed(key).map(|entry| entry.weight).sum() }
        };
        // What the left change does where the other side had, or had not, a row: as it was before.
        for entry in left.change() {
            let there = entry.key.map(|key| right.total(key) - moved(key));
            if self.keeps(there, before) {
                give(&entry.tuple, entry.weight);
            }
        }
        // Then what the other side's change does to the left rows as they are now.
        let mut turn = |key: KeyId, rows: &mut dyn Iterator<Item = (&[Slot], i64)>| {
            let there = right.total(key);
            let sign = match (self.keeps(Some(there - moved(key)), before), self.keeps(Some(there), now)) {
                (true, false) => -1,
                (false, true) => 1,
                _ => return,
            };
            rows.for_each(|(tuple, weight)| give(tuple, sign * weight));
        };
        // Where something came to be, or NULL, or nothing, every left row may turn.
        let all = |counted: Counted| (counted.rows > 0, counted.keyless > 0);
        if self.kind == PairKind::NotIn && all(now) != all(before) {
            left.each_key(&mut turn);
            let (was, is) = (self.keeps(None, before), self.keeps(None, now));
            if was != is {
                let sign = if is { 1 } else { -1 };
                left.keyless().for_each(|(tuple, weight)| give(tuple, sign * weight));
            }
        } else {
            right.each_changed(left, &mut turn);
        }
        found
    }

    /// Whether a left row stays, by how many rows the right side has under its key, if it has one, and altogether.
    fn keeps(&self, there: Option<i64>, right: Counted) -> bool {
        match self.kind {
            PairKind::Semi => there.is_some_and(|there| there > 0),
            PairKind::NotIn => right.rows <= 0 || right.keyless <= 0 && there.is_some_and(|there| there <= 0),
            PairKind::Anti | PairKind::Join(_) => there.is_none_or(|there| there <= 0),
        }
    }
}

impl Step for Pair {
    fn forget(&mut self, _: &Run<'_>, inputs: &[&Node]) {
        for (degrees, input) in [&mut self.left, &mut self.right].into_iter().zip(inputs) {
            let Some(degrees) = degrees else { continue };
            for tuple in input.arranged().forgotten() {
                degrees.rows.remove(tuple);
            }
        }
    }

    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        self.forget(run, inputs);
        let [left, right] = inputs else { unreachable!("a pair has two inputs") };
        let (left, right) = (left.arranged(), right.arranged());
        let width = self.parts.0 + self.parts.1;
        let mut found = match self.kind {
            PairKind::Semi | PairKind::Anti | PairKind::NotIn if self.on.is_none() => {
                self.by_key(left, right).consolidated(self.parts.0)
            }
            PairKind::Semi | PairKind::Anti | PairKind::NotIn => {
                let pairs = self.pairs(left, right, run)?;
                let degrees = self.left.as_mut().expect("it counts the pairs of the left rows");
                let fresh = self.fresh.then_some(left);
                let turned = Self::turned(degrees, left.change(), fresh, &pairs, 0..self.parts.0, width);
                let anti = self.kind == PairKind::Anti;
                let kept = |(weight, pairs): (i64, i64)| if (pairs != 0) == anti { 0 } else { weight };
                let mut found = Pairs { slots: vec![], weights: vec![], repeated: false };
                for (tuple, [before, after]) in turned {
                    let weight = kept(after) - kept(before);
                    if weight != 0 {
                        found.slots.extend_from_slice(&tuple);
                        found.weights.push(weight);
                    }
                }
                found
            }
            PairKind::Join(_) => {
                let pairs = self.pairs(left, right, run)?;
                let alone = |(weight, pairs): (i64, i64)| if pairs == 0 { weight } else { 0 };
                let mut more = Pairs { slots: vec![], weights: vec![], repeated: false };
                let fresh = self.fresh;
                if let Some(degrees) = &mut self.left {
                    let own = 0..self.parts.0;
                    for (tuple, [before, after]) in
                        Self::turned(degrees, left.change(), fresh.then_some(left), &pairs, own, width)
                    {
                        more.alone(&tuple, None, self.parts.1, alone(after) - alone(before));
                    }
                }
                if let Some(degrees) = &mut self.right {
                    let own = self.parts.0..width;
                    for (tuple, [before, after]) in
                        Self::turned(degrees, right.change(), fresh.then_some(right), &pairs, own, width)
                    {
                        more.alone(&tuple, Some(self.parts.0), 0, alone(after) - alone(before));
                    }
                }
                let mut pairs = pairs;
                pairs.slots.extend(more.slots);
                pairs.weights.extend(more.weights);
                pairs
            }
        };
        self.fresh = false;
        within(found.weights.len(), ROWS_MAX, "a join")?;
        Ok(Delta { rows: Rows::Slots(std::mem::take(&mut found.slots)), weights: found.weights })
    }

    fn size(&self) -> Size {
        let of = |degrees: &Option<Degrees>| {
            degrees.as_ref().map_or((0, 0), |it| (it.rows.len(), it.rows.capacity() * size_of::<(Tuple, (i64, i64))>()))
        };
        let ((left, left_bytes), (right, right_bytes)) = (of(&self.left), of(&self.right));
        Size { rows: left + right, bytes: left_bytes + right_bytes }
    }
}

impl Pairs {
    fn push(&mut self, left: &[Slot], right: &[Slot], weight: i64, run: &Run<'_>) -> Result<(), Error> {
        run.work(1)?;
        self.slots.extend_from_slice(left);
        self.slots.extend_from_slice(right);
        self.weights.push(weight);
        within(self.weights.len(), ROWS_MAX, "a join")
    }

    /// A row beside NULLs: `before` slots of them, or `after`.
    fn alone(&mut self, tuple: &Tuple, before: Option<usize>, after: usize, weight: i64) {
        if weight != 0 {
            self.slots.extend(std::iter::repeat_n(ABSENT, before.unwrap_or(0)));
            self.slots.extend_from_slice(tuple);
            self.slots.extend(std::iter::repeat_n(ABSENT, after));
            self.weights.push(weight);
        }
    }

    /// The pairs of two changes were counted twice.
    fn subtract_changed(&mut self, left: &Arrange, right: &Arrange, run: &Run<'_>) -> Result<(), Error> {
        let right_is_short = right.change().len() < left.change().len();
        let (short, long) = if right_is_short { (right, left) } else { (left, right) };
        for Entry { key, tuple, weight } in short.change() {
            let Some(key) = key else { continue };
            for entry in long.changed(*key) {
                let (one, other) = if right_is_short { (&entry.tuple, tuple) } else { (tuple, &entry.tuple) };
                self.push(one, other, -entry.weight * weight, run)?;
                self.repeated = true;
            }
        }
        Ok(())
    }

    /// Each row once.
    fn consolidated(self, width: usize) -> Self {
        if !self.repeated {
            return self;
        }
        let mut weights: HashMap<&[Slot], i64> = HashMap::new();
        let mut order = Vec::new();
        for (row, weight) in self.weights.iter().enumerate() {
            let slots = &self.slots[row * width..(row + 1) * width];
            *weights.entry(slots).or_insert_with(|| {
                order.push(slots);
                0
            }) += weight;
        }
        let mut all = Self { slots: vec![], weights: vec![], repeated: false };
        for slots in order {
            if weights[slots] != 0 {
                all.slots.extend_from_slice(slots);
                all.weights.push(weights[slots]);
            }
        }
        all
    }
}
