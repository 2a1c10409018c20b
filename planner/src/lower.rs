//! From the checked SELECT to relational algebra, clause by clause in the order in which SQL gives them meaning.
//!
//! A subquery in an expression becomes a [`Plan::Apply`] below the operation that evaluates the expression: its answer is
//! one more column there. What it reads of the rows around it becomes its parameters.

use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::query::{
    Body, From, Group, Join, JoinKind, ListRef, Query, Recursive, Right, Select, Subquery, SubqueryKind, TableRef,
    Working,
};
use daemoneye_dsl::types::{Type, Value};

use crate::plan::{Field, Plan, Question};

/// The plan that means what the query says, before any rewrite.
pub(crate) fn lower(query: &Query) -> Plan {
    let mut around = Around::default();
    let plan = self::query(query, &mut around);
    assert!(around.reads.is_empty(), "a statement has no rows around it");
    plan
}

/// What a plan reads of the rows around it; the position is the number of the parameter.
#[derive(Default)]
struct Around {
    reads: Vec<Read>,
}

struct Read {
    /// How many rows out.
    level: usize,
    index: usize,
    ty: Type,
    name: std::sync::Arc<str>,
}

impl Around {
    /// The parameter that holds a column of a row around.
    fn parameter(&mut self, level: usize, index: usize, ty: Type, name: std::sync::Arc<str>) -> Expr {
        let known = self.reads.iter().position(|read| (read.level, read.index) == (level, index));
        let number = known.unwrap_or_else(|| {
            self.reads.push(Read { level, index, ty, name: name.clone() });
            self.reads.len() - 1
        });
        Expr::new(ExprKind::Parameter { index: number, name }, ty)
    }
}

fn query(query: &Query, around: &mut Around) -> Plan {
    let mut plan = match &query.body {
        Body::Select(select) => self::select(select, query, around),
        Body::Values(rows) => values(rows, query, around),
        Body::Set(set) => {
            let (left, right) = (self::query(&set.left, around).into(), self::query(&set.right, around).into());
            Plan::Set { op: set.op, left, right }
        }
    };
    if !query.order.is_empty() || query.limit.is_some() || query.offset > 0 {
        let (keys, limit, offset) = (query.order.clone(), query.limit, query.offset);
        plan = Plan::Sort { input: plan.into(), keys, limit, offset };
    }
    if let Body::Select(select) = &query.body
        && query.output.len() < select.columns.len()
    {
        plan = first(plan, query.output.len());
    }
    plan
}

fn select(select: &Select, query: &Query, around: &mut Around) -> Plan {
    let mut plan = from(&select.from, 0, around);
    if let Some(filter) = &select.filter {
        let predicate = expr(filter.clone(), &mut plan, around);
        plan = Plan::Filter { input: plan.into(), predicate };
    }
    if let Some(group) = &select.group {
        plan = self::group(group, plan, around);
    }
    if !select.windows.is_empty() {
        // Windows and columns count on the row as the query knows it, without the answers to the subqueries of WHERE.
        if select.group.is_none() {
            plan = first(plan, select.from.width());
        }
        let mut windows = select.windows.clone();
        let width = plan.width();
        for operand in windows.iter_mut().flat_map(daemoneye_dsl::query::Window::exprs_mut) {
            replace(operand, &mut plan, around);
        }
        let added = plan.width() - width;
        let window_count = windows.len();
        plan = Plan::Window { input: plan.into(), windows };
        // The values of windows follow the row as the query knows it, without the answers of subqueries.
        if added > 0 {
            let kept = (0..width).chain(width + added..width + added + window_count);
            plan = only(plan, kept);
        }
    }
    let names = query.output.iter().map(|output| output.name.clone());
    let hidden = select.columns.iter().skip(query.output.len()).map(ToString::to_string);
    let columns = select.columns.iter().map(|column| expr(column.clone(), &mut plan, around)).collect::<Vec<_>>();
    let columns = names.chain(hidden).zip(columns).collect();
    plan = Plan::Project { input: plan.into(), columns };
    if select.distinct {
        plan = Plan::Distinct { input: plan.into() };
    }
    plan
}

fn group(group: &Group, mut plan: Plan, around: &mut Around) -> Plan {
    let Group { mut keys, mut aggregates, mut bare, having } = group.clone();
    let of_aggregates = aggregates.iter_mut().flat_map(daemoneye_dsl::query::Aggregate::exprs_mut);
    for operand in keys.iter_mut().chain(of_aggregates).chain(&mut bare.columns) {
        replace(operand, &mut plan, around);
    }
    plan = Plan::Aggregate { input: plan.into(), keys, aggregates, bare };
    if let Some(having) = having {
        let width = plan.width();
        let predicate = expr(having, &mut plan, around);
        plan = Plan::Filter { input: plan.into(), predicate };
        // Windows and columns count on the group's row as it was.
        plan = first(plan, width);
    }
    plan
}

/// Rows whose values need a subquery are made one by one.
fn values(rows: &[Vec<Expr>], query: &Query, around: &mut Around) -> Plan {
    let fields: Vec<_> = query.output.iter().map(|output| Field { name: output.name.clone(), ty: output.ty }).collect();
    let mut plans: Vec<Plan> = Vec::new();
    for row in rows {
        let mut plan = Plan::Unit;
        let row: Vec<_> = row.iter().map(|value| expr(value.clone(), &mut plan, around)).collect();
        match (plan, plans.last_mut()) {
            (Plan::Unit, Some(Plan::Values { rows, .. })) => rows.push(row),
            (Plan::Unit, _) => plans.push(Plan::Values { rows: vec![row], fields: fields.clone() }),
            (plan, _) => {
                let columns = fields.iter().map(|field| field.name.clone()).zip(row).collect();
                plans.push(Plan::Project { input: plan.into(), columns });
            }
        }
    }
    let mut plans = plans.into_iter();
    let first = plans.next().unwrap_or(Plan::Values { rows: vec![], fields });
    plans.fold(first, |left, right| {
        let (left, right) = (left.into(), right.into());
        Plan::Set { op: daemoneye_dsl::query::SetOp::UnionAll, left, right }
    })
}

/// `start` is the position of its first column in the row of the whole FROM.
fn from(from: &From, start: usize, around: &mut Around) -> Plan {
    match from {
        From::Nothing => Plan::Unit,
        From::Table(table) => scan(table),
        From::List(ListRef { list, alias }) => Plan::List { list: list.clone(), alias: alias.clone() },
        From::Query(derived) => query(&derived.query, around),
        From::Recursive(recursive) => self::recursive(recursive, around),
        From::Working(Working { id, columns, .. }) => {
            let fields = columns.iter().map(|column| Field { name: column.name.clone(), ty: column.ty });
            Plan::Working { id: *id, fields: fields.collect() }
        }
        From::Join(join) => self::join(join, start, around),
    }
}

fn recursive(recursive: &Recursive, around: &mut Around) -> Plan {
    let (base, step) = (query(&recursive.base, around).into(), query(&recursive.step, around).into());
    Plan::Recursive { base, step, id: recursive.id, distinct: recursive.distinct, limit: recursive.limit }
}

fn scan(table: &TableRef) -> Plan {
    Plan::Scan {
        table: table.table.clone(),
        alias: table.alias.clone(),
        columns: (0..table.table.columns.len()).collect(),
        filter: None,
        lookback: None,
        as_of: table.as_of.clone(),
    }
}

fn join(join: &Join, start: usize, around: &mut Around) -> Plan {
    let mut left = from(&join.left, start, around);
    let width = left.width();
    let own = |condition: &Expr| condition.clone().with_columns(&|column| column - start);
    let on = join.on.as_ref().map(own);
    match &join.right {
        Right::From(right) if let Some(auto) = &join.auto => {
            let right = from(right, start + width, around).into();
            let when = auto.when.as_ref().map(|when| expr(own(when), &mut left, around));
            let on = expr(on.expect("AUTO JOIN has an ON"), &mut left, around);
            assert!(left.width() == width, "the checker refuses subqueries in these conditions");
            Plan::AutoJoin { left: left.into(), right, on, when, collector: auto.collector }
        }
        Right::From(right) => {
            let right = from(right, start + width, around);
            sides(left, right, join.kind, on, around)
        }
        Right::Lineage { lineage, process, table } => {
            let process = expr(own(process), &mut left, around);
            let added = left.width() - width;
            let columns: Vec<_> = (0..table.table.columns.len()).collect();
            let behind = columns.len();
            let on = on.map(|on| on.with_columns(&|column| if column < width { column } else { column + added }));
            let alias = table.alias.clone();
            let (lineage, kind) = (*lineage, join.kind);
            let mut plan = Plan::Lineage { lineage, input: left.into(), process, alias, columns, kind, on: None };
            let whole = width + added;
            match on {
                Some(condition) if has_subquery(&condition) => {
                    assert!(join.kind == JoinKind::Inner, "the checker refuses a subquery in this ON");
                    let predicate = expr(condition, &mut plan, around);
                    plan = Plan::Filter { input: plan.into(), predicate };
                }
                Some(condition) => {
                    let condition = expr(condition, &mut plan, around);
                    if let Plan::Lineage { on, .. } = &mut plan {
                        *on = Some(condition);
                    }
                }
                None => {}
            }
            let plain = plan.width() == width + behind;
            if plain { plan } else { only(plan, (0..width).chain(whole..whole + behind)) }
        }
    }
}

/// A join of two plans. A subquery in its condition is answered above an inner join; beside an outer one, on the side
/// that it looks at.
fn sides(mut left: Plan, mut right: Plan, kind: JoinKind, on: Option<Expr>, around: &mut Around) -> Plan {
    let (width, right_width) = (left.width(), right.width());
    let asks = on.as_ref().is_some_and(has_subquery);
    if asks && kind == JoinKind::Inner {
        let mut plan = Plan::Join { left: left.into(), right: right.into(), kind, keys: vec![], on: None };
        let predicate = expr(on.unwrap_or_else(Expr::null), &mut plan, around);
        return first(Plan::Filter { input: plan.into(), predicate }, width + right_width);
    }
    let on = on.map(|on| {
        let on = beside(on, &mut left, &mut right, width, around);
        let moved = left.width();
        on.with_columns(&|column| match column {
            column if column >= RIGHT => moved + column - RIGHT,
            column if column >= LEFT => column - LEFT,
            column if column >= width => moved + column - width,
            column => column,
        })
    });
    let left_width = left.width();
    let plan = Plan::Join { left: left.into(), right: right.into(), kind, keys: vec![], on };
    if asks { only(plan, (0..width).chain(left_width..left_width + right_width)) } else { plan }
}

/// Where columns that a subquery added to one side stand until both sides are made.
const LEFT: usize = 1 << 40;
const RIGHT: usize = 1 << 41;

fn beside(mut on: Expr, left: &mut Plan, right: &mut Plan, width: usize, around: &mut Around) -> Expr {
    if matches!(on.kind, ExprKind::Subquery(_)) {
        let is_left = on.columns().iter().all(|column| *column < width);
        let made = if is_left {
            expr(on, left, around)
        } else {
            expr(on.with_columns(&|column| column - width), right, around)
        };
        return made.with_columns(&|column| column + if is_left { LEFT } else { RIGHT });
    }
    if let ExprKind::Outer { level, index, name } = on.kind {
        return around.parameter(level, index, on.ty, name);
    }
    for operand in on.operands_mut() {
        let own = std::mem::replace(operand, Expr::null());
        *operand = beside(own, left, right, width, around);
    }
    on
}

fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| found |= matches!(expr.kind, ExprKind::Subquery(_)));
    found
}

fn replace(operand: &mut Expr, plan: &mut Plan, around: &mut Around) {
    let own = std::mem::replace(operand, Expr::null());
    *operand = expr(own, plan, around);
}

/// The expression over the rows of `plan`, which gets a column more for each subquery.
fn expr(mut expr: Expr, plan: &mut Plan, around: &mut Around) -> Expr {
    for operand in expr.operands_mut() {
        replace(operand, plan, around);
    }
    match expr.kind {
        ExprKind::Outer { level, index, name } => around.parameter(level, index, expr.ty, name),
        ExprKind::Subquery(subquery) => {
            let answer = match among_list(*subquery) {
                Ok(constants) => constants,
                Err(subquery) => apply(*subquery, expr.ty, plan, around),
            };
            Expr { place: expr.place, ..answer }
        }
        _ => expr,
    }
}

/// `x IN (SELECT value FROM list('name'))` is `x IN ('a', 'b')`: nothing is looked up, and it runs on changes alone.
fn among_list(subquery: Subquery) -> Result<Expr, Box<Subquery>> {
    let list = match (&subquery.kind, &subquery.query) {
        (SubqueryKind::In { values, .. }, Query { body: Body::Select(select), limit: None, offset: 0, .. }) => {
            match (&**select, values.as_slice()) {
                (
                    Select { from: From::List(it), filter: None, group: None, windows, columns, .. },
                    [Expr { ty: Type::Text, .. }],
                ) if windows.is_empty()
                    && matches!(columns.as_slice(), [Expr { kind: ExprKind::Column { .. }, .. }]) =>
                {
                    Some(it.list.clone())
                }
                _ => None,
            }
        }
        _ => None,
    };
    match (list, subquery.kind) {
        (Some(list), SubqueryKind::In { values, collation }) => {
            let value = values.into_iter().next().expect("one value");
            let list = list.values.iter().map(|value| Value::Text(value.clone())).collect();
            Ok(Expr::among(value, list, false, collation))
        }
        (_, kind) => Err(Box::new(Subquery { kind, ..subquery })),
    }
}

fn apply(subquery: Subquery, ty: Type, plan: &mut Plan, around: &mut Around) -> Expr {
    let mut within = Around::default();
    let mut asked = subquery.query;
    // The first row; where no order says which that is, an installed rule takes the least.
    if subquery.kind == SubqueryKind::Scalar && !is_one_row(&asked) {
        asked.limit = Some(asked.limit.map_or(1, |limit| limit.min(1)));
    }
    let subplan = Box::new(query(&asked, &mut within));
    let params = within.reads.into_iter().map(|Read { level, index, ty, name }| match level {
        1 => Expr::column(index, ty, name),
        _ => around.parameter(level - 1, index, ty, name),
    });
    let question = match subquery.kind {
        SubqueryKind::Scalar => Question::Value,
        SubqueryKind::Exists => Question::Exists,
        SubqueryKind::In { values, collation } => Question::In(values, collation),
    };
    let (at, name) = (plan.width(), question.to_string());
    let params = params.collect();
    let input = Box::new(std::mem::replace(plan, Plan::Unit));
    *plan = Plan::Apply { input, subplan, params, question };
    Expr::column(at, ty, name)
}

/// Whether there is never more than one row.
fn is_one_row(query: &Query) -> bool {
    match &query.body {
        Body::Select(select) => {
            select.from == From::Nothing || select.group.as_ref().is_some_and(|group| group.keys.is_empty())
        }
        Body::Values(rows) => rows.len() == 1,
        Body::Set(_) => false,
    }
}

/// The plan's first columns.
fn first(plan: Plan, width: usize) -> Plan {
    if plan.width() == width { plan } else { only(plan, 0..width) }
}

/// Some of the plan's columns.
fn only(plan: Plan, columns: impl Iterator<Item = usize>) -> Plan {
    let fields = plan.fields();
    let columns = columns.map(|at| {
        let Field { name, ty } = &fields[at];
        (name.clone(), Expr::column(at, *ty, name.as_str()))
    });
    Plan::Project { columns: columns.collect(), input: plan.into() }
}
