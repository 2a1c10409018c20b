//! Calls of the functions of the registry: which overload, with which casts.

use std::sync::Arc;

use sqlparser::ast;

use super::Checker;
use super::coerce::{cast, coerced, number};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::expr::{Expr, ExprKind};
use crate::functions::{self, Function, Gives, Known, Takes, forms};
use crate::query::AggregateKind;
use crate::types::{Type, Value};

impl Checker<'_> {
    /// A call of the first overload that fits. `nodes` are the arguments as they were written.
    pub(super) fn registered(&mut self, name: &str, args: &[Expr], nodes: &[&ast::Expr], span: &Span) -> Option<Expr> {
        let fitting = functions::overloads(name).find_map(|function| {
            let args = fitted(function, args)?;
            Some((function, args))
        });
        let Some((function, mut args)) = fitting else {
            return self.no_overload(name, args, span);
        };
        let ty = match function.returns {
            Gives::One(ty) => ty,
            Gives::Alike => {
                let (unified, ty) = self.unify(args, span, name)?;
                args = unified;
                ty
            }
        };
        let constants: Vec<_> = args.iter().map(Expr::as_literal).collect();
        match (function.load)(&constants, self.catalog.limits()) {
            Ok(prepared) => Some(Expr::new(ExprKind::Call { function, args, prepared: Arc::new(prepared) }, ty)),
            Err(refusal) => {
                let span = nodes.get(refusal.argument).map_or_else(|| span.clone(), |node| self.span(*node));
                self.diagnostics.push(Diagnostic::error(refusal.code, span, refusal.message).help(refusal.help));
                None
            }
        }
    }

    fn no_overload(&mut self, name: &str, args: &[Expr], span: &Span) -> Option<Expr> {
        let found: Vec<_> = args.iter().map(|arg| if arg.is_null() { "NULL" } else { arg.ty.name() }).collect();
        let message = format!("`{name}` does not take ({})", found.join(", "));
        let counts = functions::overloads(name).any(|function| function.takes_count(args.len()));
        let code = if counts { "DE205" } else { "DE242" };
        let mut calls: Vec<_> = functions::overloads(name).map(Function::signature).collect();
        calls.extend(forms::FORMS.iter().filter(|form| form.name == name).map(|form| form.signature.to_owned()));
        let help = format!("it is {}", calls.join(" or "));
        self.diagnostics.push(Diagnostic::error(code, span.clone(), message).help(help));
        None
    }

    /// DE203, with what is meant or why there is no such function; DE005 where there must be none.
    pub(super) fn unknown_function<T>(&mut self, name: &str, span: &Span) -> Option<T> {
        let known = functions::known_elsewhere(name);
        if let Some(Known::Forbidden(why)) = known {
            return self.forbidden_function(name, why, span);
        }
        let aggregates = AggregateKind::ALL.iter().map(|(name, _)| *name);
        let ours = functions::all().map(|function| function.name).chain(forms::FORMS.iter().map(|form| form.name));
        let diagnostic = Diagnostic::error("DE203", span.clone(), format!("unknown function `{name}`"));
        self.diagnostics.push(match known {
            Some(Known::Same(ours)) => diagnostic.patch(format!("it is called `{ours}` here"), ours),
            Some(Known::Instead(ours)) => diagnostic.help(format!("write {ours}")),
            Some(Known::Never(why) | Known::Forbidden(why)) => diagnostic.help(why),
            None => match nearest(name, ours.chain(aggregates).chain(super::window::NAMES)) {
                Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
                None => {
                    diagnostic.help("only functions of the dialect can be called: none reads files, writes or waits")
                }
            },
        });
        None
    }

    /// DE005: somebody may know the function from elsewhere; it must not run here.
    pub(super) fn forbidden_function<T>(&mut self, name: &str, why: &str, span: &Span) -> Option<T> {
        let message = format!("`{name}` must not be called from a rule");
        self.diagnostics.push(Diagnostic::error("DE005", span.clone(), message).help(why));
        None
    }
}

/// The arguments as the function takes them, if it does.
fn fitted(function: &Function, args: &[Expr]) -> Option<Vec<Expr>> {
    if !function.takes_count(args.len()) {
        return None;
    }
    let given = args.iter().enumerate().map(|(at, arg)| match function.takes(at)? {
        Takes::One(ty) => coerced(arg.clone(), ty).ok(),
        Takes::Any | Takes::Alike => Some(arg.clone()),
        Takes::Moment => moment(arg.clone()),
    });
    let mut fitted: Vec<_> = given.collect::<Option<_>>()?;
    // A missing moment is the time of evaluation.
    if function.takes(fitted.len()) == Some(Takes::Moment) {
        fitted.push(Expr::new(ExprKind::Now, Type::Timestamp));
    }
    Some(fitted)
}

fn moment(expr: Expr) -> Option<Expr> {
    match (&expr.kind, expr.ty) {
        (ExprKind::Literal(Value::Text(text)), _) if text.eq_ignore_ascii_case("now") => {
            Some(Expr::new(ExprKind::Now, Type::Timestamp))
        }
        (_, Type::Text | Type::Real | Type::Timestamp) => Some(expr),
        (_, Type::Integer | Type::Boolean) => Some(cast(number(expr), Type::Integer)),
        (_, Type::Blob | Type::Interval) => None,
    }
}
