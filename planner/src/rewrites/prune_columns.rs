//! Scans read only the columns that something above them needs.

use daemoneye_dsl::expr::Expr;

use crate::plan::Plan;

pub(super) fn apply(plan: Plan) -> Plan {
    // Whatever the result has is needed.
    let all = (0..plan.width()).collect::<Vec<_>>();
    prune(plan, &all).0
}

/// `plan` with at least the columns `needed` (ascending), and where each old column is now.
fn prune(plan: Plan, needed: &[usize]) -> (Plan, Vec<Option<usize>>) {
    match plan {
        Plan::Unit => (Plan::Unit, vec![]),
        Plan::Scan { table, alias, columns, filter, lookback } => {
            let kept = union(needed, filter.iter().flat_map(Expr::columns));
            let moved = places(&kept, columns.len());
            let columns = kept.iter().map(|at| columns[*at]).collect();
            let filter = filter.map(|filter| renumber(filter, &moved));
            (Plan::Scan { table, alias, columns, filter, lookback }, moved)
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
        Plan::Ancestors { input, process, alias, columns, kind, on } => {
            let width = input.width();
            let needed = union(needed, on.iter().flat_map(Expr::columns));
            let of_input: Vec<_> = needed.iter().copied().filter(|column| *column < width).collect();
            let own: Vec<_> = needed.iter().filter(|column| **column >= width).map(|column| column - width).collect();
            let moved_own = places(&own, columns.len());
            let columns = own.iter().map(|at| columns[*at]).collect();
            let (input, moved_input) = prune(*input, &union(&of_input, process.columns()));
            let moved = beside(moved_input.clone(), moved_own, input.width());
            let (process, on) = (renumber(process, &moved_input), on.map(|on| renumber(on, &moved)));
            (Plan::Ancestors { input: input.into(), process, alias, columns, kind, on }, moved)
        }
        Plan::Aggregate { input, keys, aggregates } => {
            let of = |aggregates: &[daemoneye_dsl::query::Aggregate]| -> Vec<usize> {
                aggregates.iter().flat_map(|it| it.arg.iter().chain(&it.filter)).flat_map(Expr::columns).collect()
            };
            let below = union(&of(&aggregates), keys.iter().flat_map(Expr::columns));
            let (input, moved) = prune(*input, &below);
            let width = keys.len() + aggregates.len();
            let keys = keys.into_iter().map(|key| renumber(key, &moved)).collect();
            let aggregates = aggregates
                .into_iter()
                .map(|mut it| {
                    it.arg = it.arg.map(|arg| renumber(arg, &moved));
                    it.filter = it.filter.map(|filter| renumber(filter, &moved));
                    it
                })
                .collect();
            (Plan::Aggregate { input: input.into(), keys, aggregates }, (0..width).map(Some).collect())
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

fn renumber(expr: Expr, moved: &[Option<usize>]) -> Expr {
    expr.with_columns(&|column| moved[column].expect("a column that is read was kept"))
}
