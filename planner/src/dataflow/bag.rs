//! Few things with weights, mostly: looked through while they are few, hashed when they are many.

use std::hash::Hash;

use hashbrown::HashMap;
use smallvec::SmallVec;

/// Up to so many are looked through.
const FEW: usize = 16;

/// Things with weights, of which none is 0.
pub(crate) enum Bag<T> {
    Few(SmallVec<[(T, i64); 1]>),
    Many(Box<HashMap<T, i64>>),
}

impl<T: Clone + Eq + Hash> Bag<T> {
    pub(crate) fn new() -> Self {
        Self::Few(SmallVec::new())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&T, i64)> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few.iter().map(|(item, weight)| (item, *weight))), None),
            Self::Many(many) => (None, Some(many.iter().map(|(item, weight)| (item, *weight)))),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    /// How often it is there.
    pub(crate) fn weight(&self, item: &T) -> i64 {
        match self {
            Self::Few(few) => few.iter().find(|(other, _)| other == item).map_or(0, |(_, weight)| *weight),
            Self::Many(many) => many.get(item).copied().unwrap_or(0),
        }
    }

    /// Gives the weight before and after.
    pub(crate) fn add(&mut self, item: &T, weight: i64) -> (i64, i64) {
        match self {
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
                    *self = Self::Many(Box::new(few.drain(..).chain([(item.clone(), weight)]).collect()));
                } else {
                    few.push((item.clone(), weight));
                }
                (0, weight)
            }
            Self::Many(many) => {
                let held = many.entry_ref(item).or_insert(0);
                let before = *held;
                *held += weight;
                let after = *held;
                if after == 0 {
                    many.remove(item);
                }
                (before, after)
            }
        }
    }
}
