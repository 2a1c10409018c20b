//! Aggregates and GROUP BY.
//!
//! While the SELECT list is translated, an aggregate becomes a column that follows the input row's columns. Once all
//! are known, [`Checker::regroup`] rewrites every expression to read the group's row instead: keys, aggregates, then
//! columns that are neither.

use sqlparser::ast;

use super::Checker;
use super::coerce::{cast, number};
use super::expr::Call;
use super::window::WINDOWS;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, ExprKind};
use crate::query::{Aggregate, AggregateKind, Group, OrderTerm};
use crate::types::{Type, Value};

impl Checker<'_> {
    /// An aggregate call, as the column that will hold its value.
    pub(super) fn aggregate(&mut self, kind: AggregateKind, call: &Call<'_>, span: &Span) -> Option<Expr> {
        let Some(mut met) = self.aggregates.take() else {
            let message =
                format!("`{}` cannot stand here: aggregates belong to SELECT, HAVING and ORDER BY", kind.name());
            let diagnostic = Diagnostic::error("DE230", span.clone(), message);
            self.diagnostics.push(diagnostic.help("filter groups with HAVING; an aggregate cannot hold another"));
            return None;
        };
        // Without the lists, an aggregate or a window among the arguments is an error.
        let windows = self.windows.take();
        let made = self.aggregate_call(kind, call, span);
        self.windows = windows;
        let made = made.and_then(|aggregate| self.own_rows(aggregate, span));
        let made = made.and_then(|aggregate| self.of_rows(aggregate, span));
        let column = made.map(|aggregate| {
            let at = met.iter().position(|other| *other == aggregate).unwrap_or(met.len());
            let (ty, name) = (aggregate.ty, aggregate.to_string());
            if at == met.len() {
                met.push(aggregate);
            }
            // The least of NULLs is NULL, which takes any type around it; there is one group all the same.
            let null = matches!(met[at].kind, AggregateKind::Min | AggregateKind::Max | AggregateKind::AnyValue)
                && met[at].args.iter().all(Expr::is_null);
            if null { Expr::null() } else { Expr::column(self.scope.width() + at, ty, name) }
        });
        self.aggregates = Some(met);
        column
    }

    /// SQL gives an aggregate over nothing but columns of an outer query to that query; nobody means that.
    fn own_rows(&mut self, aggregate: Aggregate, span: &Span) -> Option<Aggregate> {
        let mut reaches_out = false;
        let mut own = false;
        for expr in aggregate.exprs() {
            own |= !expr.columns().is_empty();
            expr.walk(&mut |expr| reaches_out |= matches!(expr.kind, ExprKind::Outer { .. }));
        }
        if reaches_out && !own {
            let message = format!("`{aggregate}` reads only columns of the query around this one");
            let diagnostic = Diagnostic::error("DE230", span.clone(), message);
            self.diagnostics.push(diagnostic.help("aggregate them there, or give the subquery their column"));
            return None;
        }
        Some(aggregate)
    }

    /// Names of the result may bring another aggregate, or a window, into the arguments.
    fn of_rows(&mut self, aggregate: Aggregate, span: &Span) -> Option<Aggregate> {
        let width = self.scope.width();
        if aggregate.exprs().into_iter().all(|expr| expr.columns().last().is_none_or(|last| *last < width)) {
            return Some(aggregate);
        }
        let message =
            format!("`{}` looks at single rows: it cannot hold an aggregate or a window", aggregate.kind.name());
        let diagnostic = Diagnostic::error("DE230", span.clone(), message);
        self.diagnostics.push(diagnostic.help("put the query into FROM and aggregate its result"));
        None
    }

    pub(super) fn aggregate_call(&mut self, kind: AggregateKind, call: &Call<'_>, span: &Span) -> Option<Aggregate> {
        let ast::FunctionArguments::List(list) = call.args else {
            return self.unsupported(span.clone(), "this form of call");
        };
        let order = match list.clauses.as_slice() {
            [] => vec![],
            [ast::FunctionArgumentClause::OrderBy(terms)] => self.call_order(terms)?,
            _ => return self.unsupported(span.clone(), "a clause inside this aggregate"),
        };
        let distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
        let filter = match call.filter {
            Some(filter) => Some(self.condition_of(filter)?),
            None => None,
        };
        let star = matches!(list.args.as_slice(), [] | [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard)]);
        let args = if star && kind == AggregateKind::Count && !distinct {
            vec![]
        } else {
            let mut args = Vec::new();
            for arg in &list.args {
                let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(arg)) = arg else {
                    return self.unsupported(span.clone(), "an argument of this form");
                };
                let counts_different = distinct && kind == AggregateKind::Count;
                args.push(if counts_different { self.folded(arg)? } else { self.expr(arg)? });
            }
            args
        };
        let (args, ty) = self.aggregate_types((kind, call.name), args, distinct, span)?;
        Some(Aggregate { kind, args, distinct, filter, order, ty })
    }

    fn call_order(&mut self, terms: &[ast::OrderByExpr]) -> Option<Vec<OrderTerm>> {
        terms.iter().map(|term| self.own_order_term(term)).collect()
    }

    fn aggregate_types(
        &mut self,
        (kind, name): (AggregateKind, &str),
        mut args: Vec<Expr>,
        distinct: bool,
        span: &Span,
    ) -> Option<(Vec<Expr>, Type)> {
        use AggregateKind::{AnyValue, Avg, Count, GroupConcat, Max, MaxBy, Min, MinBy, Sum, Total};
        match (kind, args.len()) {
            (Count, 0 | 1) => Some((args, Type::Integer)),
            (Min | Max | AnyValue, 1) | (MinBy | MaxBy, 2) => {
                let ty = args[0].ty;
                Some((args, ty))
            }
            (GroupConcat, 1 | 2) if !distinct || args.len() == 1 || is_of_all(name, &args[1]) => {
                let separator = if args.len() == 2 { args.pop()? } else { comma() };
                let separator = self.argument(separator, Type::Text, span, kind.name())?;
                let text = self.argument(args.pop()?, Type::Text, span, kind.name())?;
                Some((vec![text, separator], Type::Text))
            }
            (GroupConcat, 2) => {
                let message = "with DISTINCT, group_concat takes no separator, and string_agg a constant one";
                self.error("DE242", span.clone(), message)
            }
            (Sum | Avg | Total, 1) => {
                let arg = number(args.pop()?);
                // Both are REAL whatever the values look like; what `sum` is, depends on every single one.
                let arg = if kind != Sum && arg.ty == Type::Text { cast(arg, Type::Real) } else { arg };
                let sums = matches!(arg.ty, Type::Integer | Type::Real) || arg.is_null();
                if !sums {
                    let message = format!("`{}` takes numbers, found {}", kind.name(), arg.ty);
                    let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                    self.diagnostics.push(diagnostic.help(format!("convert it: CAST({arg} AS REAL)")));
                    return None;
                }
                let arg = if arg.ty == Type::Real { arg } else { cast(arg, Type::Integer) };
                let ty = if kind == Sum { arg.ty } else { Type::Real };
                Some((vec![arg], ty))
            }
            (MinBy | MaxBy, _) => {
                self.error("DE242", span.clone(), format!("`{}` takes a value and what picks it", kind.name()))
            }
            _ => self.error("DE242", span.clone(), format!("`{}` takes one argument", kind.name())),
        }
    }

    /// `expr` over the group's row: what equals a key becomes the key; a column that is neither a key nor in an
    /// aggregate takes its value from one row of the group.
    pub(super) fn regroup(&mut self, expr: Expr, group: &mut Group, span: &Span) -> Option<Expr> {
        if let Some(at) = group.keys.iter().position(|key| *key == expr) {
            let name = group.keys[at].to_string();
            return Some(Expr::column(at, expr.ty, name));
        }
        let width = self.scope.width();
        let mut expr = with_joined_keys(expr, &group.keys);
        match &mut expr.kind {
            ExprKind::Column { index, .. } if *index >= WINDOWS => return Some(expr),
            ExprKind::Column { index, .. } if *index >= width => {
                *index = *index - width + group.keys.len();
                return Some(expr);
            }
            ExprKind::Column { .. } => return Some(self.bare(&expr, group, span)),
            ExprKind::Subquery(subquery) => {
                let mut around = Vec::new();
                subquery.query.outer_mut(&mut |expr, reach| {
                    if let (ExprKind::Outer { index, name, .. }, 1) = (&expr.kind, reach) {
                        around.push(Expr::column(*index, expr.ty, name.clone()));
                    }
                });
                let mut moved = Vec::new();
                for column in around {
                    moved.push(self.regroup(column, group, span)?);
                }
                let mut moved = moved.into_iter();
                subquery.query.outer_mut(&mut |expr, reach| {
                    if let (ExprKind::Outer { index, .. }, 1) = (&mut expr.kind, reach)
                        && let Some(Expr { kind: ExprKind::Column { index: at, .. }, .. }) = moved.next()
                    {
                        *index = at;
                    }
                });
            }
            _ => {}
        }
        for operand in expr.operands_mut() {
            let old = std::mem::replace(operand, Expr::null());
            *operand = self.regroup(old, group, span)?;
        }
        Some(expr)
    }

    /// SQLite takes such a column from the row of the least or greatest value where there is one `min` or `max`, and
    /// from any row otherwise; the second is rarely meant.
    fn bare(&mut self, column: &Expr, group: &mut Group, span: &Span) -> Expr {
        let picks = |aggregate: &Aggregate| matches!(aggregate.kind, AggregateKind::Min | AggregateKind::Max);
        if let [one] = group.aggregates.as_slice()
            && picks(one)
        {
            group.bare.picked_by = Some(0);
        } else {
            let message = format!("`{column}` is neither a GROUP BY key nor inside an aggregate");
            let help = format!(
                "its value comes from some row of each group: add it to GROUP BY, or say which: \
                 min({column}), max_by({column}, start_time)"
            );
            let said = self.diagnostics.iter().any(|it| it.code == "DE231" && it.message == message);
            if !said {
                self.diagnostics.push(Diagnostic::warning("DE231", span.clone(), message).help(help));
            }
        }
        let columns = &mut group.bare.columns;
        let at = columns.iter().position(|other| other == column).unwrap_or_else(|| {
            columns.push(column.clone());
            columns.len() - 1
        });
        let name = column.to_string();
        Expr::column(group.keys.len() + group.aggregates.len() + at, column.ty, name)
    }
}

/// Whether all rows have this separator, by a function that takes one with DISTINCT: SQLite's does not.
fn is_of_all(name: &str, separator: &Expr) -> bool {
    name == "string_agg" && separator.as_literal().is_some()
}

fn comma() -> Expr {
    Expr::literal(Value::Text(",".to_owned()), Type::Text)
}

/// ANDs and ORs are laid flat, so a key `a AND b` has to be found again within `a AND b AND c`.
fn with_joined_keys(mut expr: Expr, keys: &[Expr]) -> Expr {
    let is_and = matches!(expr.kind, ExprKind::And(_));
    let (ExprKind::And(parts) | ExprKind::Or(parts)) = &mut expr.kind else { return expr };
    for key in keys {
        let (ExprKind::And(joined) | ExprKind::Or(joined)) = &key.kind else { continue };
        if matches!(key.kind, ExprKind::And(_)) != is_and {
            continue;
        }
        while let Some(at) = parts.windows(joined.len()).position(|window| window == joined) {
            parts.splice(at..at + joined.len(), [key.clone()]);
        }
    }
    expr
}
