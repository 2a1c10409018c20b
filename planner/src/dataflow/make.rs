//! From what an operator does to the operator.

use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::types::Type;

use super::arrangement::{Arrange, Taken};
use super::delta::{Exprs, Form, Layout};
use super::expiry::Expiry;
use super::graph::{Graph, NodeId};
use super::install::beside;
use super::keyed::{Keyed, Nulls};
use super::recipe::{Recipe, nameless};
use super::steps::Step;
use super::steps::aggregate::Aggregate;
use super::steps::distinct::Distinct;
use super::steps::kin::Kin;
use super::steps::linear::{Columns, Filter, Project, Union};
use super::steps::pair::Pair;
use super::steps::recomputed::Recomputed;
use super::steps::set::Set;
use super::steps::temporal::Temporal;
use super::steps::top::Top;
use crate::operators;
use crate::plan::Plan;

/// An operator that holds nothing yet; none for a leg.
pub(crate) fn step(recipe: &Recipe, inputs: &[NodeId], layout: &Layout, graph: &mut Graph) -> Option<Box<dyn Step>> {
    let input = inputs.first().map(|id| graph.node(*id).layout.clone());
    let types = input.as_ref().map(|it| it.types.clone()).unwrap_or_default();
    Some(match recipe {
        Recipe::Leg { .. } | Recipe::Recursion { .. } => return None,
        Recipe::Filter(condition) => Box::new(Filter::new(condition)),
        Recipe::Project(exprs) => Box::new(Project::new(exprs)),
        Recipe::Columns(_) | Recipe::Working => Box::new(Columns),
        Recipe::Union => Box::new(Union),
        Recipe::Arrange { keys, until } => {
            let input = input.expect("an arrangement has an input");
            let expiry = until.as_ref().map(Expiry::new);
            let keyed = keyed(keys, Nulls::Unequal, &input, graph);
            Box::new(Arrange::new(keyed, taken(&input, layout, graph), expiry))
        }
        Recipe::Pair { kind, on } => {
            let parts = |id: &NodeId| graph.node(*id).layout.parts();
            let both = beside(&graph.node(inputs[0]).layout, &graph.node(inputs[1]).layout);
            Box::new(Pair::new(*kind, on.as_deref(), both, (parts(&inputs[0]), parts(&inputs[1]))))
        }
        Recipe::Aggregate(grouping) => {
            let input = input.expect("an aggregate has an input");
            let keyed = keyed(&grouping.keys, Nulls::Equal, &input, graph);
            Box::new(Aggregate::new(grouping, keyed, &types, &layout.types))
        }
        Recipe::Distinct => Box::new(Distinct::new(whole(&types))),
        Recipe::Set(op) => Box::new(Set::new(*op, whole(&types))),
        Recipe::Top { keys, limit, offset } => Box::new(Top::new(keys, *limit, *offset, &types)),
        Recipe::Kin { lineage, columns } => Box::new(Kin::new(*lineage, columns, &layout.types)),
        Recipe::Temporal(turning) => {
            let input = input.expect("a filter has an input");
            let taken = taken(&input, layout, graph);
            let dated = turning.iter().map(|it| match it.moment.kind {
                ExprKind::Column { index, .. } => graph.comes_within(inputs[0], index).is_some(),
                _ => false,
            });
            let dated = dated.collect();
            Box::new(Temporal::new(turning.clone(), taken, graph.only_grows(inputs[0]), dated))
        }
        Recipe::Recomputed(plan) => {
            let types: Vec<&[Type]> = inputs.iter().map(|id| graph.node(*id).layout.types.as_slice()).collect();
            let timed = plan.exprs().into_iter().any(Expr::uses_now) || plan.subplans().iter().any(|it| it.uses_now());
            let reads = reads(plan);
            Box::new(Recomputed::new(operators::operation(plan), &types, &layout.types, timed, reads))
        }
    })
}

fn whole(types: &[Type]) -> Exprs {
    let columns: Vec<_> = types.iter().enumerate().map(|(at, ty)| Expr::column(at, *ty, "")).collect();
    Exprs::new(&columns)
}

fn keyed(keys: &[Expr], nulls: Nulls, input: &Layout, graph: &mut Graph) -> Keyed {
    match &input.form {
        _ if keys.is_empty() => Keyed::Nothing,
        Form::Picked { source, columns } => {
            let keys = keys.iter().map(|key| nameless(key.clone().with_columns(&|at| columns[at]))).collect();
            Keyed::Source(graph.sources[*source].keyed_by(keys, nulls))
        }
        Form::Slots { .. } | Form::Values => Keyed::Input(Exprs::new(keys), nulls),
    }
}

fn taken(input: &Layout, layout: &Layout, graph: &Graph) -> Taken {
    let Form::Slots { stores, .. } = &layout.form else { unreachable!("what is kept is slots") };
    let kept = match &input.form {
        Form::Picked { source, .. } => graph.sources[*source].kept.iter().position(|kept| kept.store == stores[0]),
        Form::Slots { .. } | Form::Values => None,
    };
    Taken { kept, stores: stores.clone() }
}

/// The tables that an operation reads by itself, and whether it reads their samples.
fn reads(plan: &Plan) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    if matches!(plan, Plan::Lineage { .. }) {
        found.push(("processes".to_owned(), false));
    }
    let mut open = plan.subplans();
    while let Some(plan) = open.pop() {
        match plan {
            Plan::Scan { table, columns, .. } => {
                found.push((table.name.to_string(), columns.iter().any(|at| table.columns[*at].volatile)));
            }
            Plan::Lineage { .. } => found.push(("processes".to_owned(), false)),
            _ => {}
        }
        open.extend(plan.children());
    }
    found
}
