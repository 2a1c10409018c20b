//! Aggregates and GROUP BY.
//!
//! While the SELECT list is translated, an aggregate becomes a column that follows the input row's columns. Once all
//! are known, [`Checker::regroup`] rewrites every expression to read the group's row instead: keys, then aggregates.

use sqlparser::ast;

use super::Checker;
use super::coerce::number;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, ExprKind};
use crate::query::{Aggregate, AggregateKind};
use crate::types::Type;

impl Checker<'_> {
    /// An aggregate call, as the column that will hold its value.
    pub(super) fn aggregate(
        &mut self,
        kind: AggregateKind,
        args: &ast::FunctionArguments,
        filter: Option<&ast::Expr>,
        span: &Span,
    ) -> Option<Expr> {
        let Some(mut met) = self.aggregates.take() else {
            let message =
                format!("`{}` cannot stand here: aggregates belong to SELECT, HAVING and ORDER BY", kind.name());
            let diagnostic = Diagnostic::error("DE230", span.clone(), message);
            self.diagnostics.push(diagnostic.help("filter groups with HAVING; an aggregate cannot hold another"));
            return None;
        };
        // Without the list, an aggregate among the arguments is an error.
        let made = self.aggregate_call(kind, args, filter, span);
        let column = made.map(|aggregate| {
            let at = met.iter().position(|other| *other == aggregate).unwrap_or(met.len());
            let (ty, name) = (aggregate.ty, aggregate.to_string());
            if at == met.len() {
                met.push(aggregate);
            }
            Expr::column(self.scope.width() + at, ty, name)
        });
        self.aggregates = Some(met);
        column
    }

    fn aggregate_call(
        &mut self,
        kind: AggregateKind,
        args: &ast::FunctionArguments,
        filter: Option<&ast::Expr>,
        span: &Span,
    ) -> Option<Aggregate> {
        let ast::FunctionArguments::List(list) = args else {
            return self.unsupported(span.clone(), "this form of call");
        };
        if !list.clauses.is_empty() {
            return self.unsupported(span.clone(), "a clause inside this aggregate");
        }
        let distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
        let filter = match filter {
            Some(filter) => Some(self.condition_of(filter)?),
            None => None,
        };
        let arg = match (list.args.as_slice(), kind) {
            ([] | [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard)], AggregateKind::Count) if !distinct => {
                None
            }
            ([ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(arg))], _) => Some(self.expr(arg)?),
            _ => {
                let message = format!("`{}` takes one argument", kind.name());
                return self.error("DE205", span.clone(), message);
            }
        };
        let (arg, ty) = match (kind, arg) {
            (AggregateKind::Count, arg) => (arg, Type::Integer),
            (AggregateKind::Min | AggregateKind::Max, Some(arg)) => {
                let ty = arg.ty;
                (Some(arg), ty)
            }
            (AggregateKind::Sum | AggregateKind::Avg, Some(arg)) => {
                let arg = number(arg);
                let sums = matches!(arg.ty, Type::Integer | Type::Real) || arg.is_null();
                if !sums {
                    let message = format!("`{}` takes numbers, found {}", kind.name(), arg.ty);
                    let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                    self.diagnostics.push(diagnostic.help(format!("convert it: CAST({arg} AS REAL)")));
                    return None;
                }
                let arg = if arg.ty == Type::Real { arg } else { super::coerce::cast(arg, Type::Integer) };
                let ty = if kind == AggregateKind::Avg { Type::Real } else { arg.ty };
                (Some(arg), ty)
            }
            (_, None) => return self.error("DE205", span.clone(), format!("`{}` takes one argument", kind.name())),
        };
        Some(Aggregate { kind, arg, distinct, filter, ty })
    }

    /// `expr` over the group's row: what equals a key becomes the key; a column that is neither has no single value.
    pub(super) fn regroup(&mut self, expr: Expr, keys: &[Expr], span: &Span) -> Option<Expr> {
        if let Some(at) = keys.iter().position(|key| *key == expr) {
            let name = keys[at].to_string();
            return Some(Expr::column(at, expr.ty, name));
        }
        let width = self.scope.width();
        let mut expr = with_joined_keys(expr, keys);
        if let ExprKind::Column { index, name } = &mut expr.kind {
            if *index >= width {
                *index = *index - width + keys.len();
                return Some(expr);
            }
            let message = format!("`{name}` is neither a GROUP BY key nor inside an aggregate");
            let help =
                format!("add `{name}` to GROUP BY, or say which of the group's values: min({name}), max({name})");
            self.diagnostics.push(Diagnostic::error("DE231", span.clone(), message).help(help));
            return None;
        }
        for operand in expr.operands_mut() {
            let old = std::mem::replace(operand, Expr::literal(crate::types::Value::Null, Type::Text));
            *operand = self.regroup(old, keys, span)?;
        }
        Some(expr)
    }
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
