//! Calls as they are written; [`super::calls`] fits their arguments.

use sqlparser::ast;

use super::Checker;
use super::expr::{Call, not, single_name};
use crate::diagnostic::Span;
use crate::expr::{Collation, Comparison, Expr, ExprKind};
use crate::functions::{self, forms};
use crate::query::AggregateKind;
use crate::types::{Type, Value};

impl Checker<'_> {
    pub(super) fn function(&mut self, call: &ast::Function, span: &Span) -> Option<Expr> {
        let ast::Function { name, uses_odbc_syntax: false, parameters: ast::FunctionArguments::None, args, .. } = call
        else {
            return self.unsupported(span.clone(), "this form of call");
        };
        let Some(ident) = single_name(name) else {
            return self.unsupported(span.clone(), "a function name of several parts");
        };
        let span = self.ident_span(ident);
        if !call.within_group.is_empty() || call.null_treatment.is_some() {
            return self.unsupported(span, "this form of call");
        }
        let lower = ident.value.to_ascii_lowercase();
        let parts = Call { name: &lower, args, filter: call.filter.as_deref() };
        if let Some(over) = &call.over {
            return self.window(&lower, &parts, over, &span);
        }
        if super::window::NAMES.contains(&lower.as_str()) {
            return self.error("DE236", span, format!("`{lower}` needs OVER (…)"));
        }
        if let Some(made) = self.counting_form(&lower, &parts, &span) {
            return made;
        }
        // `min` and `max` of several arguments are no aggregates.
        let scalar = functions::overloads(&lower).any(|it| it.takes_count(argument_count(args)));
        if let Some((_, kind)) = AggregateKind::ALL.iter().find(|(name, _)| *name == lower && !scalar) {
            return self.aggregate(*kind, &parts, &span);
        }
        if call.filter.is_some() {
            return self.unsupported(span, "FILTER on a function that is not an aggregate");
        }
        let args = self.plain_arguments(args, &span)?;
        self.call(&lower, &args, &span)
    }

    /// `count_if(c)` is `count(*) FILTER (WHERE c)`; an exact count is an approximate one.
    pub(super) fn counting_form(&mut self, name: &str, call: &Call<'_>, span: &Span) -> Option<Option<Expr>> {
        let of = match name {
            "count_if" | "approx_count_distinct" => self.plain_arguments(call.args, span),
            _ => return None,
        };
        let Some([of]) = of.as_deref() else {
            return Some(self.error("DE242", span.clone(), format!("`{name}` takes one argument")));
        };
        let mut list = ast::FunctionArgumentList { duplicate_treatment: None, args: vec![], clauses: vec![] };
        if name == "count_if" {
            if call.filter.is_some() {
                return Some(self.unsupported(span.clone(), "FILTER on count_if"));
            }
            let args = ast::FunctionArguments::List(list);
            return Some(self.aggregate(AggregateKind::Count, &Call { name, args: &args, filter: Some(of) }, span));
        }
        list.duplicate_treatment = Some(ast::DuplicateTreatment::Distinct);
        list.args.push(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr((*of).clone())));
        let args = ast::FunctionArguments::List(list);
        Some(self.aggregate(AggregateKind::Count, &Call { name, args: &args, filter: call.filter }, span))
    }

    pub(super) fn plain_arguments<'n>(
        &mut self,
        args: &'n ast::FunctionArguments,
        span: &Span,
    ) -> Option<Vec<&'n ast::Expr>> {
        let list = match args {
            ast::FunctionArguments::None => return Some(vec![]),
            ast::FunctionArguments::List(list) if list.clauses.is_empty() && list.duplicate_treatment.is_none() => list,
            _ => return self.unsupported(span.clone(), "this form of call"),
        };
        let plain = |arg: &'n ast::FunctionArg| match arg {
            ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        };
        match list.args.iter().map(plain).collect() {
            Some(args) => Some(args),
            None => self.unsupported(span.clone(), "an argument of this form"),
        }
    }

    pub(super) fn call(&mut self, name: &str, nodes: &[&ast::Expr], span: &Span) -> Option<Expr> {
        let known = forms::FORMS.iter().any(|form| form.name == name) || functions::overloads(name).next().is_some();
        if !known {
            return self.unknown_function(name, span);
        }
        let args: Vec<_> = nodes.iter().map(|node| self.expr(node)).collect();
        let args = args.into_iter().collect::<Option<Vec<_>>>()?;
        match (name, args.len()) {
            ("now", 0) => return Some(Expr::new(ExprKind::Now, Type::Timestamp)),
            ("coalesce", 2..) | ("ifnull", 2) => return self.coalesce(args, span, name),
            ("iif", 3) => {
                let mut args = args;
                let condition = self.condition(args.remove(0), span)?;
                return self.choose(vec![condition], args, span, "iif");
            }
            ("nullif", 2) => return self.nullif(args, span),
            _ => {}
        }
        self.registered(name, &args, nodes, span)
    }

    pub(super) fn coalesce(&mut self, args: Vec<Expr>, span: &Span, name: &str) -> Option<Expr> {
        self.spend(args.iter().map(Expr::size).sum(), span)?;
        let whens = args[..args.len() - 1].iter();
        let whens = whens.map(|arg| not(Expr::boolean(ExprKind::IsNull(Box::new(arg.clone()))))).collect();
        self.choose(whens, args, span, name)
    }

    pub(super) fn nullif(&mut self, mut args: Vec<Expr>, span: &Span) -> Option<Expr> {
        let (right, left) = (args.pop()?, args.pop()?);
        if left.is_null() {
            return Some(left);
        }
        self.spend(left.size(), span)?;
        let equal = self.compare(Comparison::Equal, left.clone(), right, Collation::Binary, span)?;
        let ty = left.ty;
        let branches = vec![(equal, Expr::literal(Value::Null, ty))];
        Some(Expr::new(ExprKind::Case { branches, otherwise: Box::new(left) }, ty))
    }
}

pub(super) fn argument_count(args: &ast::FunctionArguments) -> usize {
    if let ast::FunctionArguments::List(list) = args { list.args.len() } else { 0 }
}
