//! From a checked rule to running operators.
//!
//! ```text
//! query::Query ─ lower ─► Plan ─ rewrites ─► Plan ─┬─ execute             once, over whole tables
//!                                                  └─ Dataflow::step      on what changed, all rules together
//! ```
//!
//! One evaluator ([`eval`]) serves both ways. The planner reads through [`daemoneye_storage::Reader`], which has no way
//! to write; the time comes with the rows. It reads no clock, file, socket or environment.

mod batch;
mod cell;
mod counted;
mod dataflow;
mod error;
mod eval;
mod exact_sum;
mod lower;
mod matcher;
mod operators;
mod plan;
mod pushdown;
mod recomputed;
mod rewrites;
mod statement;
#[cfg(test)]
mod tests;
mod view;
mod why;

pub use batch::Batch;
pub use counted::Counted;
pub use dataflow::{
    Answer, Changes, Clock, Dataflow, Operator, Outcome, RuleId, Size, execute, matches_are_events, whole_result,
};
pub use error::Error;
#[doc(hidden)]
pub use matcher::LiteralScan;
pub use operators::measure::{Analysis, Measured, analyze};
pub use plan::{Field, Lookback, Plan};
pub use recomputed::{lint, recomputed};
pub use statement::{Ended, Patience, ask, layout, stacked};
pub use view::View;
pub use why::{
    Alternative, Clause, Condition, FirstTable, Found, Named, Near, Stop, Verdict, WhyNot, first_table, why_not,
};

use daemoneye_dsl::query::Query;

/// The plan of a checked query, rewritten to cost less.
pub fn plan(query: &Query) -> Plan {
    rewrites::apply(lower::lower(query), &mut |_, _| {})
}

/// The plan after every step of the way there, for `explain`: the name of the step and the tree, where it changed.
pub fn explain(query: &Query) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    rewrites::apply(lower::lower(query), &mut |name, plan| {
        let tree = plan.to_string();
        if steps.last().is_none_or(|(_, last)| *last != tree) {
            steps.push((name.to_owned(), tree));
        }
    });
    steps
}
