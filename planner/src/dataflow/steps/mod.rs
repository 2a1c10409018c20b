//! The operators that step: changes in, changes out.
//!
//! The law for each: the sum of the steps is the meaning (`crate::operators`) of the summed input. An operator that has
//! no step of its own is [`recomputed::Recomputed`]: it keeps its input and what it last gave.

pub(crate) mod aggregate;
pub(crate) mod distinct;
pub(crate) mod kin;
pub(crate) mod linear;
pub(crate) mod pair;
pub(crate) mod recomputed;
pub(crate) mod set;
pub(crate) mod temporal;
pub(crate) mod top;

use std::cell::RefCell;

use super::arrangement::Arrange;
use super::delta::{Delta, Run};
use super::graph::Node;
use super::keyed::KeyStore;
use super::store::Store;
use crate::error::Error;

/// What an operator holds from step to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows, each different one once.
    pub rows: usize,
    /// About how many bytes.
    pub bytes: usize,
}

/// An operator that runs on changes.
pub(crate) trait Step: Send {
    /// The output's change for the inputs' changes.
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error>;

    /// It is asked in every step, whether an input changed or not: its answer depends on the time or on what it reads.
    fn is_timed(&self) -> bool {
        false
    }

    /// A load is over: what nobody can meet any more goes, as at the beginning of a step.
    fn forget(&mut self, _run: &Run<'_>, _inputs: &[&Node]) {}

    /// What it holds.
    fn size(&self) -> Size {
        Size::default()
    }

    /// Its rows by key, if that is what it is.
    fn arranged(&self) -> Option<&Arrange> {
        None
    }

    /// What this step changed does not count now, or does again.
    fn hide(&mut self, _hidden: bool) {}

    /// The step is over: what was there for its sake goes.
    fn end_step(&mut self) {}

    /// It goes: slots and keys that it holds are let go.
    fn release(&mut self, _stores: &[RefCell<Store>], _keys: &mut KeyStore) {}
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

impl std::ops::SubAssign for Size {
    fn sub_assign(&mut self, other: Self) {
        self.rows -= other.rows;
        self.bytes -= other.bytes;
    }
}
