//! Which types meet where, and the casts that make them meet.
//!
//! SQLite decides per value; here the types are known, so every decision is made once and stands in the plan as a cast.
//! Where SQLite's answer depends on dynamic typing alone, the statement is refused (DE205), except for a literal of a
//! foreign type: that compares by storage class, as in SQLite, and a warning says that this is hardly meant.

use super::Checker;
use crate::convert;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Collation, Comparison, Expr, ExprKind};
use crate::types::{Timestamp, Type, Value, parse_interval};

impl Checker<'_> {
    /// `expr` as a condition: numbers are true when not zero.
    pub(super) fn condition(&mut self, expr: Expr, span: &Span) -> Option<Expr> {
        match expr.ty {
            Type::Boolean => Some(expr),
            _ if expr.is_null() || expr.ty.is_numeric() => Some(cast(expr, Type::Boolean)),
            ty => {
                let message = format!("expected a condition, found {ty}");
                let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                self.diagnostics.push(diagnostic.help("compare it with something, as in `name = 'sh'`"));
                None
            }
        }
    }

    /// `expr` as an argument of type `ty`, by the casts that lose nothing and number to text.
    pub(super) fn argument(&mut self, expr: Expr, ty: Type, span: &Span, of: &str) -> Option<Expr> {
        match coerced(expr, ty) {
            Ok(expr) => Some(expr),
            Err(expr) => {
                let message = format!("{of} takes {ty}, found {}", expr.ty);
                let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                self.diagnostics.push(diagnostic.help(format!("convert it: CAST({expr} AS {ty})")));
                None
            }
        }
    }

    /// One type for all: the results of CASE, the arguments of coalesce.
    pub(super) fn unify(&mut self, exprs: Vec<Expr>, span: &Span, of: &str) -> Option<(Vec<Expr>, Type)> {
        let mut common: Option<Type> = None;
        for expr in exprs.iter().filter(|expr| !expr.is_null()) {
            common =
                Some(match common {
                    None => expr.ty,
                    Some(ty) if ty == expr.ty => ty,
                    Some(ty) if ty.is_numeric() && expr.ty.is_numeric() => {
                        if ty == Type::Real || expr.ty == Type::Real { Type::Real } else { Type::Integer }
                    }
                    Some(ty) => {
                        let message = format!("{of} gives {ty} in one place and {} in another", expr.ty);
                        let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                        self.diagnostics.push(diagnostic.help("convert one of them with CAST"));
                        return None;
                    }
                });
        }
        let ty = common.unwrap_or(Type::Text);
        Some((exprs.into_iter().map(|expr| cast(expr, ty)).collect(), ty))
    }

    /// `left op right`.
    pub(super) fn compare(
        &mut self,
        op: Comparison,
        left: Expr,
        right: Expr,
        collation: Collation,
        span: &Span,
    ) -> Option<Expr> {
        let compare = |left, right| {
            let (left, right) = (Box::new(left), Box::new(right));
            Some(Expr::boolean(ExprKind::Compare { op, left, right, collation }))
        };
        let affinity = (self.has_affinity(&left), self.has_affinity(&right));
        match meet(left, right, affinity) {
            Meeting::Same(left, right) => compare(left, right),
            Meeting::Apart(left, right) => {
                self.warn_apart(&left, &right, span);
                Some(apart(op, left, &right))
            }
            Meeting::BadLiteral(message, help) => {
                self.diagnostics.push(Diagnostic::error("DE206", span.clone(), message).help(help));
                None
            }
            Meeting::Never(left, right) => {
                let message = format!("{} cannot be compared with {}", left.ty, right.ty);
                let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                // A moment's text has more than one form: it is the text that must become a moment.
                let text_is_right = left.ty == Type::Timestamp && right.ty == Type::Text;
                let (expr, ty) = if text_is_right { (&right, left.ty) } else { (&left, right.ty) };
                self.diagnostics.push(diagnostic.help(format!("convert one: CAST({expr} AS {ty})")));
                None
            }
        }
    }

    pub(super) fn warn_apart(&mut self, left: &Expr, right: &Expr, span: &Span) {
        let message = format!("{left} is {} and {right} is {}: they are never equal", left.ty, right.ty);
        let help = "write the literal in the column's type, or convert one with CAST";
        self.diagnostics.push(Diagnostic::warning("DE241", span.clone(), message).help(help));
    }
}

/// How two operands of a comparison come together.
pub(super) enum Meeting {
    /// Now of one type, or numbers.
    Same(Expr, Expr),
    /// A literal of a foreign type: storage classes differ for every row.
    Apart(Expr, Expr),
    /// A literal that is not a moment or a duration: message and help.
    BadLiteral(String, &'static str),
    /// Types that nothing brings together.
    Never(Expr, Expr),
}

/// Brings the operands of a comparison to one type, as SQLite's affinities do; `affinity` says which of them has one.
pub(super) fn meet(left: Expr, right: Expr, affinity: (bool, bool)) -> Meeting {
    if left.is_null() {
        let ty = right.ty;
        return Meeting::Same(cast(left, ty), right);
    }
    if right.is_null() {
        let ty = left.ty;
        return Meeting::Same(left, cast(right, ty));
    }
    if left.ty == right.ty {
        return Meeting::Same(left, right);
    }
    if left.ty.is_numeric() && right.ty.is_numeric() {
        return Meeting::Same(number(left), number(right));
    }
    // `start_time > datetime('now', '-1 hour')`: as text the two would be compared letter by letter, and differ in form.
    if left.ty == Type::Timestamp && is_civil(&right) {
        return Meeting::Same(left, cast(right, Type::Timestamp));
    }
    if right.ty == Type::Timestamp && is_civil(&left) {
        return Meeting::Same(cast(left, Type::Timestamp), right);
    }
    match (left.as_literal().is_some(), right.as_literal().is_some()) {
        (false, true) => literal_meets(left, right, affinity.0),
        (true, false) => match literal_meets(right, left, affinity.1) {
            Meeting::Same(right, left) => Meeting::Same(left, right),
            Meeting::Apart(right, left) => Meeting::Apart(left, right),
            Meeting::Never(right, left) => Meeting::Never(left, right),
            bad @ Meeting::BadLiteral(..) => bad,
        },
        (true, true) if is_classed(left.ty) && is_classed(right.ty) => Meeting::Apart(left, right),
        _ => Meeting::Never(left, right),
    }
}

/// A literal takes the type of the column it is compared with.
fn literal_meets(other: Expr, literal: Expr, has_affinity: bool) -> Meeting {
    let value = literal.as_literal().expect("the caller saw a literal").clone();
    match (other.ty, &value) {
        (Type::Timestamp, Value::Text(text)) => match Timestamp::parse(text) {
            Some(moment) => Meeting::Same(other, Expr::literal(Value::Timestamp(moment.0), Type::Timestamp)),
            None => Meeting::BadLiteral(
                format!("`{text}` is not a moment"),
                "write it as '2026-11-22 10:30:00' (UTC) or with an offset, or use now() - INTERVAL '5 minutes'",
            ),
        },
        (Type::Interval, Value::Text(text)) => match parse_interval(text) {
            Some(micros) => Meeting::Same(other, Expr::literal(Value::Interval(micros), Type::Interval)),
            None => Meeting::BadLiteral(format!("`{text}` is not a duration"), "write it as '5 minutes' or '1h30m'"),
        },
        (Type::Text, Value::Integer(_) | Value::Real(_) | Value::Boolean(_)) if has_affinity => {
            let text = Value::Text(convert::to_text(&value));
            Meeting::Same(other, Expr::literal(text, Type::Text))
        }
        (Type::Integer | Type::Real | Type::Boolean, Value::Text(text)) if has_affinity => {
            match convert::numeric(text) {
                Some(value) => {
                    let ty = value.ty().expect("a number");
                    Meeting::Same(number(other), Expr::literal(value, ty))
                }
                None => Meeting::Apart(other, literal),
            }
        }
        (own, _) if is_classed(own) && is_classed(literal.ty) => Meeting::Apart(other, literal),
        _ => Meeting::Never(other, literal),
    }
}

/// Whether it is the text of a moment by its making.
fn is_civil(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { function, .. } if matches!(function.name, "date" | "datetime"))
}

/// The types that SQLite knows and orders among each other.
fn is_classed(ty: Type) -> bool {
    !matches!(ty, Type::Timestamp | Type::Interval)
}

/// The answer for operands whose storage classes differ in every row: numbers before text before bytes.
fn apart(op: Comparison, left: Expr, right: &Expr) -> Expr {
    let class = |ty: Type| match ty {
        Type::Text => 1,
        Type::Blob => 2,
        _ => 0,
    };
    let answer = op.holds(class(left.ty).cmp(&class(right.ty)));
    let answer = Expr::literal(Value::Boolean(answer), Type::Boolean);
    if matches!(op, Comparison::Is | Comparison::IsNot) {
        return answer;
    }
    let of = if left.as_literal().is_some() { right.clone() } else { left };
    if of.as_literal().is_some() {
        return answer;
    }
    let unknown = Expr::literal(Value::Null, Type::Boolean);
    let branches = vec![(Expr::boolean(ExprKind::IsNull(Box::new(of))), unknown)];
    Expr::boolean(ExprKind::Case { branches, otherwise: Box::new(answer) })
}

/// BOOLEAN as the INTEGER it is where it meets numbers.
pub(super) fn number(expr: Expr) -> Expr {
    if expr.ty == Type::Boolean { cast(expr, Type::Integer) } else { expr }
}

/// `expr` as `ty` where that loses nothing, or a number becomes text; else `expr` back.
pub(super) fn coerced(expr: Expr, ty: Type) -> Result<Expr, Expr> {
    let fits = expr.ty == ty
        || expr.is_null()
        || matches!((expr.ty, ty), (Type::Boolean, Type::Integer) | (Type::Boolean | Type::Integer, Type::Real))
        || expr.ty.is_numeric() && ty == Type::Text;
    if fits { Ok(cast(expr, ty)) } else { Err(expr) }
}

/// The cast, done now for a literal and left out where the type is right.
pub(super) fn cast(expr: Expr, ty: Type) -> Expr {
    if expr.ty == ty {
        return expr;
    }
    let place = expr.place;
    match expr.kind {
        ExprKind::Literal(value) => Expr { place, ..Expr::literal(convert::cast(value, ty), ty) },
        _ => Expr::new(ExprKind::Cast(Box::new(expr)), ty),
    }
}
