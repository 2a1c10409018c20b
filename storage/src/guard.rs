//! A fence around redb: most damage to its pages is an error, some trips its assertions.
//!
//! Blocks carry their own proof; the pages that lead to them are redb's, which verifies them after a crash but not on
//! every read. What it asserts about them then is a statement about the disk, and an error here.

use std::any::Any;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrow_array::RecordBatch;

use crate::Error;
use crate::reader::Each;

/// `read`, with a panic as [`Error::Damaged`]. What it read through is not used for a promise afterwards: a panic
/// poisons redb's transaction or handle, which then answers with errors.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(damaged(panic.as_ref())))
}

/// [`guarded`] for a read that hands out batches: a panic of the receiver stays one.
pub(crate) fn guarded_each<T>(each: Each<'_>, read: impl FnOnce(Each<'_>) -> Result<T, Error>) -> Result<T, Error> {
    let receiving = Cell::new(false);
    let mut fenced = |batch: RecordBatch| -> ControlFlow<()> {
        receiving.set(true);
        let flow = each(batch);
        receiving.set(false);
        flow
    };
    match catch_unwind(AssertUnwindSafe(|| read(&mut fenced))) {
        Ok(result) => result,
        Err(panic) if receiving.get() => resume_unwind(panic),
        Err(panic) => Err(damaged(panic.as_ref())),
    }
}

fn damaged(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::Damaged(format!("the pages of the event store contradict each other ({})", text.unwrap_or("no detail")))
}
