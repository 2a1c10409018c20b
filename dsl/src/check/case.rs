//! CASE, and what is one: results of several types.

use sqlparser::ast;

use super::Checker;
use super::coerce::number;
use crate::diagnostic::Span;
use crate::expr::{Comparison, Expr, ExprKind};
use crate::types::{Type, Value};

impl Checker<'_> {
    pub(super) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        span: &Span,
    ) -> Option<Expr> {
        let whens: Vec<_> = conditions
            .iter()
            .map(|branch| match operand {
                Some(operand) => self.comparison(Comparison::Equal, operand, &branch.condition, span),
                None => self.condition_of(&branch.condition),
            })
            .collect();
        let mut results: Vec<_> = conditions.iter().map(|branch| self.expr(&branch.result)).collect();
        results.push(otherwise.map_or(Some(Expr::literal(Value::Null, Type::Text)), |node| self.expr(node)));
        let whens = whens.into_iter().collect::<Option<Vec<_>>>()?;
        self.choose(whens, results.into_iter().collect::<Option<Vec<_>>>()?, span, "CASE")
    }

    /// A CASE whose last result is the ELSE.
    pub(super) fn choose(&mut self, whens: Vec<Expr>, results: Vec<Expr>, span: &Span, of: &str) -> Option<Expr> {
        // Always NULL, which takes any type around it.
        if results.iter().all(Expr::is_null) {
            return Some(Expr::null());
        }
        let (mut results, ty) = self.unify(widened(results), span, of)?;
        let otherwise = Box::new(results.pop()?);
        let branches = whens.into_iter().zip(results).collect();
        Some(Expr::new(ExprKind::Case { branches, otherwise }, ty))
    }

    /// `work` on each result of a CASE that gives INTEGER here and REAL there: 5 / 2 is 2 where it gave 5.
    pub(super) fn over_results(
        &mut self,
        case: Expr,
        span: &Span,
        work: &mut dyn FnMut(&mut Self, Expr) -> Option<Expr>,
    ) -> Option<Expr> {
        let ExprKind::Case { branches, otherwise } = case.kind else { return work(self, case) };
        let (whens, mut results): (Vec<_>, Vec<_>) = branches.into_iter().unzip();
        results.push(*otherwise);
        let made = results.into_iter().map(|result| {
            let made = match result.kind {
                ExprKind::Widen(integer) => work(self, *integer),
                _ => work(self, result),
            }?;
            self.spend(made.size(), span)?;
            Some(made)
        });
        let made = made.collect::<Option<Vec<_>>>()?;
        self.choose(whens, made, span, "CASE")
    }
}

/// Results of which some are INTEGER and some REAL, made REAL.
pub(super) fn widened(results: Vec<Expr>) -> Vec<Expr> {
    let is_real = |expr: &Expr| expr.ty == Type::Real && !expr.is_null();
    if !results.iter().any(is_real) {
        return results;
    }
    let widen = |expr: Expr| match expr.ty {
        Type::Integer | Type::Boolean if !expr.is_null() => {
            Expr::new(ExprKind::Widen(Box::new(number(expr))), Type::Real)
        }
        _ => expr,
    };
    results.into_iter().map(widen).collect()
}

/// Whether it is a CASE with results of which some were INTEGER.
pub(super) fn is_mixed(expr: &Expr) -> bool {
    let ExprKind::Case { branches, otherwise } = &expr.kind else { return false };
    let mut results = branches.iter().map(|(_, then)| then).chain([&**otherwise]);
    results.any(|result| matches!(result.kind, ExprKind::Widen(_)) || is_mixed(result))
}
