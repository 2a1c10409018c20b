//! The slots of one row, mostly one or two: held by the hundred thousand, so they take no more than they need.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::store::Slot;

/// The slots of one row.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tuple {
    #[default]
    None,
    One([Slot; 1]),
    Two([Slot; 2]),
    Three([Slot; 3]),
    /// Twice boxed, so that it is no wider than the others.
    More(Box<Box<[Slot]>>),
}

impl From<&[Slot]> for Tuple {
    fn from(slots: &[Slot]) -> Self {
        match *slots {
            [] => Self::None,
            [one] => Self::One([one]),
            [one, two] => Self::Two([one, two]),
            [one, two, three] => Self::Three([one, two, three]),
            _ => Self::More(Box::new(slots.into())),
        }
    }
}

impl Deref for Tuple {
    type Target = [Slot];

    fn deref(&self) -> &[Slot] {
        match self {
            Self::None => &[],
            Self::One(slots) => slots,
            Self::Two(slots) => slots,
            Self::Three(slots) => slots,
            Self::More(slots) => slots,
        }
    }
}

impl PartialEq for Tuple {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Tuple {}

impl Hash for Tuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialOrd for Tuple {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tuple {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

const _: () = assert!(size_of::<Tuple>() == 16, "a row of up to three slots fits two words");
