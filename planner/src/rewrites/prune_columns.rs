//! Scans read only the columns that something above them needs.

use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::SetOp;

use crate::plan::{Field, Plan, Question};

pub(super) fn apply(plan: Plan) -> Plan {
    // Whatever the result has is needed.
    let all = (0..plan.width()).collect::<Vec<_>>();
    prune(plan, &all).0
}

/// `plan` with at least the columns `needed` (ascending), and where each old column is now.
#[expect(clippy::too_many_lines, reason = "an arm for each operation")]
fn prune(plan: Plan, needed: &[usize]) -> (Plan, Vec<Option<usize>>) {
    match plan {
        Plan::Unit => (Plan::Unit, vec![]),
        Plan::Scan { table, alias, columns, filter, lookback, as_of } => {
            let kept = union(needed, filter.iter().flat_map(Expr::columns));
            let moved = places(&kept, columns.len());
            let columns = kept.iter().map(|at| columns[*at]).collect();
            let filter = filter.map(|filter| renumber(filter, &moved));
            (Plan::Scan { table, alias, columns, filter, lookback, as_of }, moved)
        }
        Plan::Filter { input, predicate } => {
            let (input, moved) = prune(*input, &union(needed, predicate.columns()));
            (Plan::Filter { input: input.into(), predicate: renumber(predicate, &moved) }, moved)
        }
        Plan::Project { input, columns } => {
            let kept: Vec<_> = columns.iter().enumerate().filter(|(at, _)| needed.contains(at)).collect();
            let moved_out = places(&kept.iter().map(|(at, _)| *at).collect::<Vec<_>>(), columns.len());
            let (input, moved) = prune(*input, &union(&[], kept.iter().flat_map(|(_, (_, expr))| expr.columns())));
            let columns = kept.into_iter().map(|(_, (name, expr))| (name.clone(), renumber(expr.clone(), &moved)));
            (Plan::Project { columns: columns.collect(), input: input.into() }, moved_out)
        }
        Plan::Join { left, right, kind, keys, on } => {
            let width = left.width();
            let needed = union(needed, on.iter().flat_map(Expr::columns));
            let of_left = needed.iter().copied().filter(|column| *column < width);
            let of_right = needed.iter().copied().filter(|column| *column >= width).map(|column| column - width);
            let of_left: Vec<_> = of_left.collect();
            let of_right: Vec<_> = of_right.collect();
            let (left, moved_left) = prune(*left, &union(&of_left, keys.iter().flat_map(|(left, _)| left.columns())));
            let (right, moved_right) =
                prune(*right, &union(&of_right, keys.iter().flat_map(|(_, right)| right.columns())));
            let keys = keys
                .into_iter()
                .map(|(left, right)| (renumber(left, &moved_left), renumber(right, &moved_right)))
                .collect();
            let moved = beside(moved_left, moved_right, left.width());
            let on = on.map(|on| renumber(on, &moved));
            (Plan::Join { left: left.into(), right: right.into(), kind, keys, on }, moved)
        }
        Plan::AutoJoin { left, right, on, when, collector } => {
            let width = left.width();
            let needed = union(needed, std::iter::once(&on).chain(&when).flat_map(Expr::columns));
            let (of_left, of_right): (Vec<_>, Vec<_>) = needed.into_iter().partition(|column| *column < width);
            let of_right: Vec<_> = of_right.into_iter().map(|column| column - width).collect();
            let (left, moved_left) = prune(*left, &of_left);
            let (right, moved_right) = prune(*right, &of_right);
            let when = when.map(|when| renumber(when, &moved_left));
            let moved = beside(moved_left, moved_right, left.width());
            let on = renumber(on, &moved);
            (Plan::AutoJoin { left: left.into(), right: right.into(), on, when, collector }, moved)
        }
        Plan::Lineage { lineage, input, process, alias, columns, kind, on } => {
            let width = input.width();
            let needed = union(needed, on.iter().flat_map(Expr::columns));
            let of_input: Vec<_> = needed.iter().copied().filter(|column| *column < width).collect();
            let own: Vec<_> = needed.iter().filter(|column| **column >= width).map(|column| column - width).collect();
            let moved_own = places(&own, columns.len());
            let columns = own.iter().map(|at| columns[*at]).collect();
            let (input, moved_input) = prune(*input, &union(&of_input, process.columns()));
            let moved = beside(moved_input.clone(), moved_own, input.width());
            let (process, on) = (renumber(process, &moved_input), on.map(|on| renumber(on, &moved)));
            (Plan::Lineage { lineage, input: input.into(), process, alias, columns, kind, on }, moved)
        }
        Plan::Aggregate { input, mut keys, mut aggregates, mut bare } => {
            let of_aggregates = aggregates.iter().flat_map(daemoneye_dsl::query::Aggregate::exprs);
            let read = keys.iter().chain(of_aggregates).chain(&bare.columns).flat_map(Expr::columns);
            let (input, moved) = prune(*input, &union(&[], read));
            let width = keys.len() + aggregates.len() + bare.columns.len();
            let of_aggregates = aggregates.iter_mut().flat_map(daemoneye_dsl::query::Aggregate::exprs_mut);
            keys.iter_mut().chain(of_aggregates).chain(&mut bare.columns).for_each(|expr| move_to(expr, &moved));
            (Plan::Aggregate { input: input.into(), keys, aggregates, bare }, (0..width).map(Some).collect())
        }
        Plan::Apply { input, subplan, mut params, mut question } => {
            let width = input.width();
            let answers: Vec<_> = (0..subplan.width()).collect();
            let subplan = Box::new(match question {
                // Whether there is a row does not depend on its columns.
                Question::Exists => prune(*subplan, &[]).0,
                Question::Value | Question::In(..) => prune(*subplan, &answers).0,
            });
            let of_input: Vec<_> = needed.iter().copied().filter(|column| *column < width).collect();
            let mut exprs: Vec<&mut Expr> = params.iter_mut().collect();
            if let Question::In(values, _) = &mut question {
                exprs.extend(values);
            }
            let (input, moved) = prune(*input, &union(&of_input, exprs.iter().flat_map(|expr| expr.columns())));
            for expr in exprs {
                move_to(expr, &moved);
            }
            let moved = beside(moved, vec![Some(0)], input.width());
            (Plan::Apply { input: input.into(), subplan, params, question }, moved)
        }
        Plan::Lookup { input, mut keys, rest } => {
            let read = keys.iter().map(|(own, _)| own).chain(&rest).flat_map(Expr::columns);
            let (input, moved) = prune(*input, &union(needed, read));
            for (own, _) in &mut keys {
                move_to(own, &moved);
            }
            let rest = rest.map(|rest| renumber(rest, &moved));
            (Plan::Lookup { input: input.into(), keys, rest }, moved)
        }
        Plan::Window { input, mut windows } => {
            let width = input.width();
            let of_input: Vec<_> = needed.iter().copied().filter(|column| *column < width).collect();
            let read = windows.iter().flat_map(daemoneye_dsl::query::Window::exprs).flat_map(Expr::columns);
            let (input, moved) = prune(*input, &union(&of_input, read));
            let exprs = windows.iter_mut().flat_map(daemoneye_dsl::query::Window::exprs_mut);
            exprs.for_each(|expr| move_to(expr, &moved));
            let own = (0..windows.len()).map(Some).collect();
            let moved = beside(moved, own, input.width());
            (Plan::Window { input: input.into(), windows }, moved)
        }
        Plan::Set { op: SetOp::UnionAll, left, right } => {
            let width = left.width();
            let (left, right) = (exactly(*left, needed).into(), exactly(*right, needed).into());
            (Plan::Set { op: SetOp::UnionAll, left, right }, places(needed, width))
        }
        // Every column counts for what is equal, and for what a round makes of the one before.
        Plan::Set { op, left, right } => {
            let all: Vec<_> = (0..left.width()).collect();
            let (left, right) = (prune(*left, &all).0.into(), prune(*right, &all).0.into());
            (Plan::Set { op, left, right }, all.into_iter().map(Some).collect())
        }
        Plan::Recursive { base, step, id, distinct, limit } => {
            let all: Vec<_> = (0..base.width()).collect();
            let (base, step) = (prune(*base, &all).0.into(), prune(*step, &all).0.into());
            (Plan::Recursive { base, step, id, distinct, limit }, all.into_iter().map(Some).collect())
        }
        plan @ (Plan::Values { .. } | Plan::List { .. } | Plan::Working { .. }) => {
            let moved = (0..plan.width()).map(Some).collect();
            (plan, moved)
        }
        // Every column counts for what is distinct and for the order of equal rows.
        Plan::Distinct { input } => {
            let all: Vec<_> = (0..input.width()).collect();
            let (input, moved) = prune(*input, &all);
            (Plan::Distinct { input: input.into() }, moved)
        }
        Plan::Sort { input, keys, limit, offset } => {
            let all: Vec<_> = (0..input.width()).collect();
            let (input, moved) = prune(*input, &all);
            (Plan::Sort { input: input.into(), keys, limit, offset }, moved)
        }
    }
}

/// `plan` with the columns `needed` and no others, in their order.
fn exactly(plan: Plan, needed: &[usize]) -> Plan {
    let fields = plan.fields();
    let (plan, moved) = prune(plan, needed);
    let same = plan.width() == needed.len() && needed.iter().enumerate().all(|(at, old)| moved[*old] == Some(at));
    if same {
        return plan;
    }
    let columns = needed.iter().map(|old| {
        let Field { name, ty } = &fields[*old];
        (name.clone(), renumber(Expr::column(*old, *ty, name.as_str()), &moved))
    });
    Plan::Project { columns: columns.collect(), input: plan.into() }
}

fn union(needed: &[usize], more: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut all: Vec<_> = needed.iter().copied().chain(more).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// For each of `width` old columns, its place among `kept`.
fn places(kept: &[usize], width: usize) -> Vec<Option<usize>> {
    (0..width).map(|old| kept.binary_search(&old).ok()).collect()
}

fn beside(left: Vec<Option<usize>>, right: Vec<Option<usize>>, left_width: usize) -> Vec<Option<usize>> {
    left.into_iter().chain(right.into_iter().map(|at| at.map(|at| at + left_width))).collect()
}

fn move_to(expr: &mut Expr, moved: &[Option<usize>]) {
    *expr = renumber(std::mem::replace(expr, Expr::null()), moved);
}

fn renumber(expr: Expr, moved: &[Option<usize>]) -> Expr {
    expr.with_columns(&|column| moved[column].expect("a column that is read was kept"))
}
