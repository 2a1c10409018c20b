//! Expressions, node by node.

use sqlparser::ast::{self, BinaryOperator, Ident, ObjectName, UnaryOperator, ValueWithSpan};

use super::Checker;
use super::case::is_mixed;
use super::coerce::{cast, number};
use super::comparisons::Match;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Arithmetic, Comparison, Expr, ExprKind};
use crate::limits::DEPTH_MAX;
use crate::query::{Subquery, SubqueryKind};
use crate::types::{Type, Value};

impl Checker<'_> {
    /// The typed expression for a node, or nothing after reporting why there is none.
    pub(super) fn expr(&mut self, node: &ast::Expr) -> Option<Expr> {
        let mut node = node;
        while let ast::Expr::Nested(inner) = node {
            node = inner;
        }
        let span = self.span(node);
        self.spend(1, &span)?;
        if self.depth == DEPTH_MAX {
            return self.too_deep(span);
        }
        self.depth += 1;
        let made = self.operation(node, span.clone());
        let made = made.map(|made| if made.place.is_known() { made } else { made.at(&self.closed(node, span)) });
        self.depth -= 1;
        made
    }

    /// Said once: what is around it is too deep as well, and so are its neighbours.
    fn too_deep(&mut self, span: Span) -> Option<Expr> {
        if !self.diagnostics.iter().any(|it| it.code == "DE023") {
            let message = format!("operations nested more than {DEPTH_MAX} deep");
            let diagnostic = Diagnostic::error("DE023", span, message);
            self.diagnostics.push(diagnostic.help("split the expression; only AND and OR may be chained at length"));
        }
        None
    }

    fn operation(&mut self, node: &ast::Expr, span: Span) -> Option<Expr> {
        match node {
            ast::Expr::Collate { collation, .. } => {
                let span = self.span(collation);
                let message = "COLLATE has no meaning here: it would have to be carried through what is around it";
                let note = "it stands at operands of comparisons, IN and BETWEEN, in ORDER BY, GROUP BY and PARTITION BY, in \
                            count(DISTINCT x), and at columns of the whole result";
                let diagnostic = Diagnostic::error("DE004", span, message).note(note);
                self.diagnostics.push(diagnostic.help("write lower(x) instead: it changes ASCII letters only"));
                None
            }
            ast::Expr::Identifier(name) => self.column(None, name),
            ast::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] => self.column(Some(table), name),
                _ => self.unsupported(span, "a name of more than two parts"),
            },
            ast::Expr::Value(value) => self.literal(value),
            ast::Expr::TypedString(typed) => self.typed_string(typed, &span),
            ast::Expr::Interval(interval) => self.interval(interval, &span),
            ast::Expr::IsNull(of) => self.is_null(of),
            ast::Expr::IsNotNull(of) => self.is_null(of).map(not),
            ast::Expr::IsTrue(of) => self.is_true(of, false),
            ast::Expr::IsNotTrue(of) => self.is_true(of, false).map(not),
            ast::Expr::IsFalse(of) => self.is_true(of, true),
            ast::Expr::IsNotFalse(of) => self.is_true(of, true).map(not),
            ast::Expr::IsDistinctFrom(left, right) => self.comparison(Comparison::IsNot, left, right, &span),
            ast::Expr::IsNotDistinctFrom(left, right) => self.comparison(Comparison::Is, left, right, &span),
            ast::Expr::InList { expr, list, negated } => {
                self.in_list(expr, list, &span).map(|it| negate_if(it, *negated))
            }
            ast::Expr::Between { expr, negated, low, high } => {
                let above = self.comparison(Comparison::GreaterEqual, expr, low, &span);
                let below = self.comparison(Comparison::LessEqual, expr, high, &span);
                Some(negate_if(Expr::all([above?, below?])?, *negated))
            }
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char }
            | ast::Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let escape = self.escape(escape_char.as_deref())?;
                let made = self.pattern_match(expr, pattern, Match::Like(escape), &span)?;
                Some(negate_if(made, *negated))
            }
            ast::Expr::RLike { negated, expr, pattern, .. } => {
                let made = self.pattern_match(expr, pattern, Match::Regexp, &span)?;
                Some(negate_if(made, *negated))
            }
            ast::Expr::BinaryOp { left, op, right } => self.binary(left, op, right, &span),
            ast::Expr::UnaryOp { op, expr } => self.unary(*op, expr, &span),
            ast::Expr::Cast { kind: ast::CastKind::Cast, expr, data_type, format: None } => {
                self.cast_to(expr, data_type, &span)
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), &span)
            }
            ast::Expr::Function(call) => self.function(call, &span),
            ast::Expr::Substring { expr, substring_from, substring_for, special, shorthand }
                if *special || substring_from.is_none() =>
            {
                let args: Vec<_> =
                    std::iter::once(expr).chain(substring_from).chain(substring_for).map(|arg| &**arg).collect();
                let span = self.head(&span);
                self.call(if *shorthand { "substr" } else { "substring" }, &args, &span)
            }
            ast::Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters } => {
                let args: Vec<_> = std::iter::once(&**expr).chain(trim_characters.iter().flatten()).collect();
                let span = self.head(&span);
                self.call("trim", &args, &span)
            }
            ast::Expr::Ceil { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                let span = self.head(&span);
                self.call("ceil", &[expr], &span)
            }
            ast::Expr::Floor { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                let span = self.head(&span);
                self.call("floor", &[expr], &span)
            }
            ast::Expr::Substring { .. } | ast::Expr::Trim { .. } => {
                self.unsupported(self.head(&span), "this form of call")
            }
            ast::Expr::Cast { kind: ast::CastKind::DoubleColon, .. } => self.unsupported(span, "`::` instead of CAST"),
            ast::Expr::Exists { subquery, negated } => {
                let query = self.inner_query(subquery)?;
                let kind = SubqueryKind::Exists;
                let exists = Expr::boolean(ExprKind::Subquery(Box::new(Subquery { kind, query })));
                Some(negate_if(exists, *negated))
            }
            ast::Expr::Subquery(subquery) => self.scalar(subquery, &span),
            ast::Expr::InSubquery { expr, subquery, negated } => {
                Some(negate_if(self.in_subquery(expr, subquery, &span)?, *negated))
            }
            ast::Expr::Tuple(_) => self.error("DE239", span, "a row value stands only in comparisons and before IN"),
            _ => self.unsupported(span, "this expression"),
        }
    }

    /// A node that must be a condition.
    pub(super) fn condition_of(&mut self, node: &ast::Expr) -> Option<Expr> {
        let expr = self.expr(node)?;
        let span = self.span(node);
        self.condition(expr, &span)
    }

    fn binary(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr, span: &Span) -> Option<Expr> {
        let comparison = |op| Some(Binary::Comparison(op));
        let arithmetic = |op| Some(Binary::Arithmetic(op));
        let known = match op {
            BinaryOperator::And | BinaryOperator::Or => return self.logic(left, op, right),
            BinaryOperator::Eq => comparison(Comparison::Equal),
            BinaryOperator::NotEq => comparison(Comparison::NotEqual),
            BinaryOperator::Lt => comparison(Comparison::Less),
            BinaryOperator::LtEq => comparison(Comparison::LessEqual),
            BinaryOperator::Gt => comparison(Comparison::Greater),
            BinaryOperator::GtEq => comparison(Comparison::GreaterEqual),
            BinaryOperator::Plus => arithmetic(Arithmetic::Add),
            BinaryOperator::Minus => arithmetic(Arithmetic::Subtract),
            BinaryOperator::Multiply => arithmetic(Arithmetic::Multiply),
            BinaryOperator::Divide => arithmetic(Arithmetic::Divide),
            BinaryOperator::Modulo => arithmetic(Arithmetic::Remainder),
            BinaryOperator::BitwiseAnd => arithmetic(Arithmetic::BitAnd),
            BinaryOperator::BitwiseOr => arithmetic(Arithmetic::BitOr),
            BinaryOperator::PGBitwiseShiftLeft => arithmetic(Arithmetic::ShiftLeft),
            BinaryOperator::PGBitwiseShiftRight => arithmetic(Arithmetic::ShiftRight),
            BinaryOperator::StringConcat => Some(Binary::Concat),
            BinaryOperator::Arrow => return self.member("->", left, right, span),
            BinaryOperator::LongArrow => return self.member("->>", left, right, span),
            BinaryOperator::Glob => Some(Binary::Match(Match::Glob)),
            BinaryOperator::Regexp => Some(Binary::Match(Match::Regexp)),
            _ => None,
        };
        match known {
            Some(Binary::Comparison(op)) => self.comparison(op, left, right, span),
            Some(Binary::Match(how)) => self.pattern_match(left, right, how, span),
            Some(Binary::Arithmetic(op)) => {
                let (left, right) = (self.expr(left), self.expr(right));
                self.arithmetic(op, left?, right?, span)
            }
            Some(Binary::Concat) => {
                let (left, right) = (self.expr(left), self.expr(right));
                let left = self.argument(left?, Type::Text, span, "`||`");
                let right = self.argument(right?, Type::Text, span, "`||`");
                Some(Expr::new(ExprKind::Concat(Box::new(left?), Box::new(right?)), Type::Text))
            }
            None => self.unsupported(span.clone(), "this operator"),
        }
    }

    /// `json -> label` and `json ->> label`: a key or a path as TEXT, a place in an array as INTEGER.
    fn member(&mut self, name: &str, json: &ast::Expr, label: &ast::Expr, span: &Span) -> Option<Expr> {
        let nodes = [json, label];
        let (json, label) = (self.expr(json), self.expr(label));
        let of = format!("`{name}`");
        let json = self.argument(json?, Type::Text, span, &of);
        let label = match label? {
            label if label.ty == Type::Integer => Some(label),
            label => self.argument(label, Type::Text, span, &of),
        };
        self.registered(name, &[json?, label?], &nodes, span)
    }

    /// A chain of ANDs or ORs leans to the left and may be thousands long: it is walked in a loop and laid flat.
    fn logic(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Option<Expr> {
        let mut nodes = vec![right];
        let mut rest = left;
        loop {
            match rest {
                ast::Expr::BinaryOp { left, op: same, right } if same == op => {
                    nodes.push(right);
                    rest = left;
                }
                _ => break nodes.push(rest),
            }
        }
        let checked: Vec<_> = nodes.into_iter().rev().map(|node| self.condition_of(node)).collect();
        let parts = checked.into_iter().collect::<Option<Vec<_>>>()?;
        let is_and = *op == BinaryOperator::And;
        let flat = parts.into_iter().flat_map(|part| match part.kind {
            ExprKind::And(parts) if is_and => parts,
            ExprKind::Or(parts) if !is_and => parts,
            _ => vec![part],
        });
        let flat = flat.collect();
        Some(Expr::boolean(if is_and { ExprKind::And(flat) } else { ExprKind::Or(flat) }))
    }

    fn arithmetic(&mut self, op: Arithmetic, left: Expr, right: Expr, span: &Span) -> Option<Expr> {
        use Type::{Integer, Interval, Real, Timestamp};
        if is_mixed(&left) {
            return self
                .over_results(left, span, &mut |checker, left| checker.arithmetic(op, left, right.clone(), span));
        }
        if is_mixed(&right) {
            return self
                .over_results(right, span, &mut |checker, right| checker.arithmetic(op, left.clone(), right, span));
        }
        // NULL alone has no type; it takes the other side's.
        let left =
            if left.is_null() { cast(left, if right.ty == Type::Text { Integer } else { right.ty }) } else { left };
        let right =
            if right.is_null() { cast(right, if left.ty == Type::Text { Integer } else { left.ty }) } else { right };
        let (left, right) = (number(left), number(right));
        let bitwise =
            matches!(op, Arithmetic::BitAnd | Arithmetic::BitOr | Arithmetic::ShiftLeft | Arithmetic::ShiftRight);
        let ty = match (op, left.ty, right.ty) {
            (_, Integer, Integer) => Some(Integer),
            (_, Integer | Real, Integer | Real) if bitwise => {
                let (left, right) = (cast(left, Integer), cast(right, Integer));
                return Some(arithmetic(op, left, right, Integer));
            }
            // The operands become INTEGER, each from its own type, and the result REAL: as SQLite has it.
            (Arithmetic::Remainder, Integer | Real, Integer | Real) => {
                return Some(arithmetic(op, cast(left, Integer), cast(right, Integer), Real));
            }
            (_, Integer | Real, Integer | Real) => Some(Real),
            (Arithmetic::Add | Arithmetic::Subtract, Timestamp, Interval) | (Arithmetic::Add, Interval, Timestamp) => {
                Some(Timestamp)
            }
            (Arithmetic::Subtract, Timestamp, Timestamp)
            | (Arithmetic::Add | Arithmetic::Subtract, Interval, Interval)
            | (Arithmetic::Multiply | Arithmetic::Divide, Interval, Integer)
            | (Arithmetic::Multiply, Integer, Interval) => Some(Interval),
            _ => None,
        };
        match ty {
            Some(Real) => Some(arithmetic(op, cast(left, Real), cast(right, Real), Real)),
            Some(ty) => Some(arithmetic(op, left, right, ty)),
            None => {
                let message = format!("`{}` does not take {} and {}", op.symbol(), left.ty, right.ty);
                let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                self.diagnostics.push(diagnostic.help("convert text with CAST(x AS INTEGER) or CAST(x AS REAL)"));
                None
            }
        }
    }

    fn unary(&mut self, op: UnaryOperator, node: &ast::Expr, span: &Span) -> Option<Expr> {
        match op {
            UnaryOperator::Not => self.condition_of(node).map(not),
            UnaryOperator::Plus => self.expr(node),
            UnaryOperator::Minus => {
                // The least INTEGER is written with a digit string that alone does not fit.
                if let ast::Expr::Value(ValueWithSpan { value: ast::Value::Number(text, _), .. }) = node
                    && let Ok(value) = format!("-{text}").parse()
                {
                    return Some(Expr::literal(Value::Integer(value), Type::Integer));
                }
                let of = self.expr(node)?;
                // A number below zero is a constant as one above is; the sign of zero is left to the operation.
                if let Some(&Value::Real(value)) = of.as_literal()
                    && value != 0.0
                {
                    return Some(Expr::literal(Value::Real(-value), Type::Real));
                }
                self.negated(of, span)
            }
            UnaryOperator::BitwiseNot => {
                let of = self.expr(node)?;
                let of = self.argument(of, Type::Integer, span, "`~`")?;
                Some(Expr::new(ExprKind::BitNot(Box::new(of)), Type::Integer))
            }
            _ => self.unsupported(span.clone(), "this operator"),
        }
    }

    fn negated(&mut self, of: Expr, span: &Span) -> Option<Expr> {
        if is_mixed(&of) {
            return self.over_results(of, span, &mut |checker, of| checker.negated(of, span));
        }
        let of = number(of);
        let of = if of.is_null() { cast(of, Type::Integer) } else { of };
        if matches!(of.ty, Type::Integer | Type::Real | Type::Interval) {
            let ty = of.ty;
            return Some(Expr::new(ExprKind::Negate(Box::new(of)), ty));
        }
        let diagnostic = Diagnostic::error("DE205", span.clone(), format!("`-` does not take {}", of.ty));
        self.diagnostics.push(diagnostic.help(format!("convert it: CAST({of} AS REAL)")));
        None
    }
}

/// What an aggregate or a window is called with.
pub(super) struct Call<'n> {
    /// In lower case.
    pub(super) name: &'n str,
    pub(super) args: &'n ast::FunctionArguments,
    pub(super) filter: Option<&'n ast::Expr>,
}

enum Binary {
    Comparison(Comparison),
    Arithmetic(Arithmetic),
    Concat,
    Match(Match),
}

fn arithmetic(op: Arithmetic, left: Expr, right: Expr, ty: Type) -> Expr {
    Expr::new(ExprKind::Arithmetic { op, left: Box::new(left), right: Box::new(right) }, ty)
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::boolean(ExprKind::Not(Box::new(expr)))
}

pub(super) fn negate_if(expr: Expr, negated: bool) -> Expr {
    if negated { not(expr) } else { expr }
}

/// A name of one part.
pub(super) fn single_name(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}
