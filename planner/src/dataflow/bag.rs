//! Few things with weights, mostly one: looked through while they are few, hashed when they are many.

use std::hash::Hash;

use hashbrown::HashMap;
use smallvec::SmallVec;

/// Up to so many are looked through.
const FEW: usize = 16;

/// Things with weights, of which none is 0.
pub(crate) enum Bag<T> {
    Empty,
    One([(T, i64); 1]),
    Few(Box<SmallVec<[(T, i64); 4]>>),
    Many(Box<Many<T>>),
}

pub(crate) struct Many<T> {
    items: HashMap<T, i64>,
    total: i64,
}

impl<T: Clone + Eq + Hash> Bag<T> {
    pub(crate) fn new() -> Self {
        Self::Empty
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&T, i64)> {
        let (few, many) = match self {
            Self::Empty => (&[][..], None),
            Self::One(one) => (&one[..], None),
            Self::Few(few) => (few.as_slice(), None),
            Self::Many(many) => (&[][..], Some(many.items.iter())),
        };
        let few = few.iter().map(|(item, weight)| (item, *weight));
        few.chain(many.into_iter().flatten().map(|(item, weight)| (item, *weight)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::One(..) => false,
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.items.is_empty(),
        }
    }

    /// The sum of the weights.
    pub(crate) fn total(&self) -> i64 {
        match self {
            Self::Empty => 0,
            Self::One([(_, weight)]) => *weight,
            Self::Few(few) => few.iter().map(|(_, weight)| weight).sum(),
            Self::Many(many) => many.total,
        }
    }

    /// How often it is there.
    pub(crate) fn weight(&self, item: &T) -> i64 {
        let found = |items: &[(T, i64)]| items.iter().find(|(other, _)| other == item).map_or(0, |(_, weight)| *weight);
        match self {
            Self::Empty => 0,
            Self::One(one) => found(one),
            Self::Few(few) => found(few),
            Self::Many(many) => many.items.get(item).copied().unwrap_or(0),
        }
    }

    /// Gives the weight before and after.
    pub(crate) fn add(&mut self, item: &T, weight: i64) -> (i64, i64) {
        match self {
            Self::Empty => {
                *self = Self::One([(item.clone(), weight)]);
                (0, weight)
            }
            Self::One([(other, held)]) if other == item => {
                let before = *held;
                *held += weight;
                if *held == 0 {
                    *self = Self::Empty;
                }
                (before, before + weight)
            }
            Self::One(..) => {
                let Self::One([one]) = std::mem::replace(self, Self::Empty) else { unreachable!("it is one") };
                let few = SmallVec::from_iter([one, (item.clone(), weight)]);
                *self = Self::Few(Box::new(few));
                (0, weight)
            }
            Self::Few(few) => {
                if let Some(at) = few.iter().position(|(other, _)| other == item) {
                    let before = few[at].1;
                    few[at].1 += weight;
                    if few[at].1 == 0 {
                        few.swap_remove(at);
                    }
                    return (before, before + weight);
                }
                if few.len() == FEW {
                    let total = few.iter().map(|(_, weight)| weight).sum::<i64>() + weight;
                    let items = few.drain(..).chain([(item.clone(), weight)]).collect();
                    *self = Self::Many(Box::new(Many { items, total }));
                } else {
                    few.push((item.clone(), weight));
                }
                (0, weight)
            }
            Self::Many(many) => {
                many.total += weight;
                let held = many.items.entry_ref(item).or_insert(0);
                let before = *held;
                *held += weight;
                let after = *held;
                if after == 0 {
                    many.items.remove(item);
                }
                (before, after)
            }
        }
    }
}
