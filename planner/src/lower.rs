//! From the checked SELECT to relational algebra, clause by clause in the order in which SQL gives them meaning.

use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::{From, Join, Query, Right, TableRef};

use crate::plan::Plan;

/// The plan that means what the query says, before any rewrite.
pub(crate) fn lower(query: &Query) -> Plan {
    let mut plan = from(&query.from);
    if let Some(filter) = &query.filter {
        plan = Plan::Filter { input: plan.into(), predicate: filter.clone() };
    }
    if let Some(group) = &query.group {
        let (keys, aggregates) = (group.keys.clone(), group.aggregates.clone());
        plan = Plan::Aggregate { input: plan.into(), keys, aggregates };
        if let Some(having) = &group.having {
            plan = Plan::Filter { input: plan.into(), predicate: having.clone() };
        }
    }
    let columns = query.output.iter().map(|output| (output.name.clone(), output.expr.clone())).collect();
    plan = Plan::Project { input: plan.into(), columns };
    if query.distinct {
        plan = Plan::Distinct { input: plan.into() };
    }
    if !query.order.is_empty() || query.limit.is_some() || query.offset > 0 {
        let (keys, limit, offset) = (query.order.clone(), query.limit, query.offset);
        plan = Plan::Sort { input: plan.into(), keys, limit, offset };
    }
    if query.visible < query.output.len() {
        let visible = query.output[..query.visible].iter().enumerate();
        let columns = visible
            .map(|(at, output)| (output.name.clone(), Expr::column(at, output.expr.ty, output.name.as_str())))
            .collect();
        plan = Plan::Project { input: plan.into(), columns };
    }
    plan
}

fn from(from: &From) -> Plan {
    match from {
        From::Nothing => Plan::Unit,
        From::Table(table) => scan(table),
        From::Join(join) => self::join(join),
    }
}

fn scan(table: &TableRef) -> Plan {
    Plan::Scan {
        table: table.table.clone(),
        alias: table.alias.clone(),
        columns: (0..table.table.columns.len()).collect(),
        filter: None,
        lookback: None,
    }
}

fn join(join: &Join) -> Plan {
    let left = from(&join.left).into();
    let (kind, on) = (join.kind, join.on.clone());
    match &join.right {
        Right::From(right) => Plan::Join { left, right: self::from(right).into(), kind, keys: vec![], on },
        Right::Ancestors { process, table } => Plan::Ancestors {
            input: left,
            process: process.clone(),
            alias: table.alias.clone(),
            columns: (0..table.table.columns.len()).collect(),
            kind,
            on,
        },
    }
}
