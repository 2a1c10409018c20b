//! Rewrites: plans that mean the same and cost less.
//!
//! Each is a function from plan to plan with a name; [`ALL`] is the order of application. Names and types of the result
//! must not change, which [`apply`] asserts after each.

mod join_keys;
pub(crate) mod lookback;
mod lookups;
mod prune_columns;
mod push_filters;
mod reorder_joins;

use crate::plan::Plan;

/// One rewrite.
pub(crate) struct Rewrite {
    /// As `explain` names it.
    pub(crate) name: &'static str,
    /// The work.
    pub(crate) apply: fn(Plan) -> Plan,
}

/// Every rewrite in order: filters move down first, since what they leave behind at joins is what orders them and where keys are found, and
/// what reaches a scan is where lookups and a lookback are found. Columns are pruned last: the others make some
/// unnecessary.
pub(crate) const ALL: [Rewrite; 6] = [
    Rewrite { name: "PushFilters", apply: push_filters::apply },
    Rewrite { name: "ReorderJoins", apply: reorder_joins::apply },
    Rewrite { name: "JoinKeys", apply: join_keys::apply },
    Rewrite { name: "Lookups", apply: lookups::apply },
    Rewrite { name: "Lookback", apply: lookback::apply },
    Rewrite { name: "PruneColumns", apply: prune_columns::apply },
];

/// The plan after every rewrite; `trace` sees it after each.
pub(crate) fn apply(plan: Plan, trace: &mut dyn FnMut(&str, &Plan)) -> Plan {
    trace("Initial", &plan);
    ALL.iter().fold(plan, |plan, rewrite| {
        let before = plan.fields();
        let after = (rewrite.apply)(plan);
        assert_eq!(before, after.fields(), "{} changed the result's columns", rewrite.name);
        trace(rewrite.name, &after);
        after
    })
}
