//! One statement, asked once: its rows as they come, within a time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::Reader;

use crate::batch::{empty, stack};
use crate::dataflow::Clock;
use crate::error::Error;
use crate::operators::{Context, Leeway, Node, types};
use crate::plan::Plan;

/// How long a statement may take, and by which clock.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Time since some moment.
    pub clock: Clock,
    /// The most that it may take.
    pub limit: Duration,
    /// Set by whoever asked when it wants no answer any more; looked at as often as the clock.
    pub stop: Option<Arc<AtomicBool>>,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What was missing from what it read; that it was stopped for its time, if it was.
    pub completeness: Completeness,
    /// Of a statement with a LIMIT, how many rows there would be without; nothing where it did not wait for all of them.
    pub before_limit: Option<usize>,
}

/// Hands over the rows of the plan's result, in their order and as they come, until `each` breaks; what is held is what
/// sorting, joining and grouping need. Where the time is over, it ends with what it has; where nobody waits any more,
/// with an error.
pub fn ask(
    plan: &Plan,
    reader: &dyn Reader,
    now: Timestamp,
    patience: Option<&Patience>,
    each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
) -> Result<Ended, Error> {
    let context = Context::new(reader, now, false).patient(patience);
    if let Some(Patience { clock, limit, .. }) = patience {
        context.begin(Some(clock()), Some(*limit), Duration::ZERO);
    }
    let asked = Node::new(plan).stream(&context, Leeway::default(), &mut |rows| Ok(each(rows)));
    let before_limit = context.before_limit();
    let mut completeness = context.into_completeness();
    match asked {
        Err(error) if error.is_slow() => completeness.add(Reason::StatementTimedOut),
        other => other?,
    }
    Ok(Ended { completeness, before_limit })
}

/// The layout of the plan's result: its types, under names that mean nothing.
pub fn layout(plan: &Plan) -> SchemaRef {
    empty(&types(plan)).schema()
}

/// Parts of the plan's result as one.
pub fn stacked(plan: &Plan, parts: &[RecordBatch]) -> RecordBatch {
    stack(parts, &empty(&types(plan)))
}
