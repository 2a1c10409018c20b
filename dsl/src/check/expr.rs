//! Expressions, node by node.

use sqlparser::ast::{self, BinaryOperator, Ident, ObjectName, UnaryOperator, ValueWithSpan};

use super::Checker;
use super::coerce::{Meeting, cast, meet, number};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::expr::{Arithmetic, Collation, Comparison, Expr, ExprKind};
use crate::functions::{self, forms};
use crate::limits::{DEPTH_MAX, IN_LIST};
use crate::pattern::Pattern;
use crate::query::{AggregateKind, Subquery, SubqueryKind};
use crate::types::{Timestamp, Type, Value, parse_interval};

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

    fn cast_to(&mut self, node: &ast::Expr, data_type: &ast::DataType, span: &Span) -> Option<Expr> {
        if matches!(data_type, ast::DataType::Numeric(_) | ast::DataType::Decimal(_) | ast::DataType::Dec(_)) {
            return self.cast_to_number(node, span);
        }
        let ty = self.data_type(data_type, &self.head(span));
        let (value, ty) = (self.expr(node)?, ty?);
        if is_mixed(&value) {
            return self.over_results(value, span, &mut |_, value| Some(cast(value, ty)));
        }
        // Also to the type that it has: what is written as a CAST brings its type into comparisons.
        Some(if value.as_literal().is_some() {
            cast(value, ty)
        } else {
            Expr::new(ExprKind::Cast(Box::new(value)), ty)
        })
    }

    /// A node that must be a condition.
    pub(super) fn condition_of(&mut self, node: &ast::Expr) -> Option<Expr> {
        let expr = self.expr(node)?;
        let span = self.span(node);
        self.condition(expr, &span)
    }

    fn literal(&mut self, literal: &ValueWithSpan) -> Option<Expr> {
        let span = self.rule.positions.span(literal.span).unwrap_or(0..0);
        Some(match &literal.value {
            ast::Value::Null => Expr::literal(Value::Null, Type::Text),
            ast::Value::Boolean(value) => Expr::literal(Value::Boolean(*value), Type::Boolean),
            ast::Value::SingleQuotedString(text) => Expr::literal(Value::Text(text.clone()), Type::Text),
            ast::Value::Number(text, _) => return self.number(text, span),
            ast::Value::HexStringLiteral(digits) => return self.hex(digits, span),
            ast::Value::Placeholder(written) => return self.parameter(written, span),
            _ => return self.unsupported(span, "this literal"),
        })
    }

    fn parameter(&mut self, written: &str, span: Span) -> Option<Expr> {
        let name = match written {
            // Numbered in the order of the text.
            "?" => {
                let before = self.rule.placeholders.iter().take_while(|(_, at)| *at < span.start);
                let numbered = |count: usize, name: &str| match name.strip_prefix('?') {
                    Some("") => count + 1,
                    Some(number) => number.parse().map_or(count, |number: usize| count.max(number)),
                    None => count,
                };
                (before.fold(0, |count, (name, _)| numbered(count, name)) + 1).to_string()
            }
            written => written.trim_start_matches([':', '@', '$', '?']).to_owned(),
        };
        if let Some((value, ty)) = self.parameters.get(&name) {
            return Some(Expr::literal(value.clone(), ty));
        }
        let diagnostic = Diagnostic::error("DE213", span, format!("the parameter `{written}` has no value"));
        let known: Vec<_> = self.parameters.names().collect();
        self.diagnostics.push(match nearest(&name, known.iter().copied()) {
            Some(near) => {
                diagnostic.help(format!("the parameters that have one: {}; did you mean `{near}`?", known.join(", ")))
            }
            None => diagnostic.help(format!("give it with --param {name}=VALUE; rules take no parameters")),
        });
        None
    }

    fn number(&mut self, text: &str, span: Span) -> Option<Expr> {
        let digits = text.replace('_', "");
        if let Ok(value) = digits.parse() {
            return Some(Expr::literal(Value::Integer(value), Type::Integer));
        }
        match digits.parse::<f64>() {
            Ok(value) => Some(Expr::literal(Value::Real(value), Type::Real)),
            Err(_) => self.error("DE001", span, format!("`{text}` is not a number")),
        }
    }

    /// `x'4142'` is bytes; `0x1F`, which the tokenizer gives the same form, an integer of 64 bits.
    fn hex(&mut self, digits: &str, span: Span) -> Option<Expr> {
        if self.rule.source.text[span.clone()].starts_with('0') {
            return match u64::from_str_radix(digits, 16) {
                Ok(bits) => Some(Expr::literal(Value::Integer(bits.cast_signed()), Type::Integer)),
                Err(_) => self.error("DE001", span, format!("`0x{digits}` has more than 64 bits")),
            };
        }
        let bytes: Option<Vec<u8>> = digits
            .len()
            .is_multiple_of(2)
            .then(|| {
                (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
            })
            .flatten();
        match bytes {
            Some(bytes) => Some(Expr::literal(Value::Blob(bytes), Type::Blob)),
            None => self.error("DE001", span, "a blob literal has an even number of hexadecimal digits"),
        }
    }

    fn typed_string(&mut self, typed: &ast::TypedString, span: &Span) -> Option<Expr> {
        let ast::Value::SingleQuotedString(text) = &typed.value.value else {
            return self.unsupported(span.clone(), "this literal");
        };
        let ty = self.data_type(&typed.data_type, span)?;
        match (ty, Timestamp::parse(text)) {
            (Type::Timestamp, Some(moment)) => Some(Expr::literal(Value::Timestamp(moment.0), ty)),
            (Type::Timestamp, None) => self.error("DE206", span.clone(), format!("`{text}` is not a moment")),
            _ => self.unsupported(span.clone(), "a literal with this type"),
        }
    }

    fn interval(&mut self, interval: &ast::Interval, span: &Span) -> Option<Expr> {
        let text = match &*interval.value {
            ast::Expr::Value(ValueWithSpan {
                value: ast::Value::SingleQuotedString(text) | ast::Value::Number(text, _),
                ..
            }) => text.clone(),
            _ => return self.unsupported(span.clone(), "an INTERVAL that is not a constant"),
        };
        let plain = interval.leading_precision.is_none() && interval.last_field.is_none();
        let text = match (&interval.leading_field, plain) {
            (None, true) => text,
            (Some(field), true) => format!("{text} {}", field.to_string().to_lowercase()),
            _ => return self.unsupported(span.clone(), "this form of INTERVAL"),
        };
        if let Some(micros) = parse_interval(&text) {
            return Some(Expr::literal(Value::Interval(micros), Type::Interval));
        }
        let message = format!("`{text}` is not a duration");
        let diagnostic = Diagnostic::error("DE206", span.clone(), message);
        self.diagnostics.push(diagnostic.help("write INTERVAL '5 minutes'; months and years have no fixed length"));
        None
    }

    fn data_type(&mut self, data_type: &ast::DataType, span: &Span) -> Option<Type> {
        Some(match data_type {
            ast::DataType::Integer(_) | ast::DataType::Int(_) | ast::DataType::BigInt(_) => Type::Integer,
            ast::DataType::Real | ast::DataType::Double(_) | ast::DataType::Float(_) => Type::Real,
            ast::DataType::Text | ast::DataType::Varchar(_) => Type::Text,
            ast::DataType::Blob(_) => Type::Blob,
            ast::DataType::Boolean | ast::DataType::Bool => Type::Boolean,
            ast::DataType::Timestamp(..) => Type::Timestamp,
            ast::DataType::Interval { .. } => Type::Interval,
            _ => {
                let names: Vec<_> = Type::ALL.iter().map(|ty| ty.name()).collect();
                let diagnostic = Diagnostic::error("DE204", span.clone(), format!("unknown type `{data_type}`"));
                self.diagnostics.push(diagnostic.help(format!("types: {}", names.join(", "))));
                return None;
            }
        })
    }

    /// CAST AS NUMERIC leaves a number as it is. What it makes of text depends on the text.
    fn cast_to_number(&mut self, node: &ast::Expr, span: &Span) -> Option<Expr> {
        let value = number(self.expr(node)?);
        if value.is_null() {
            return Some(cast(value, Type::Integer));
        }
        if value.ty.is_numeric() {
            let ty = value.ty;
            return Some(Expr::new(ExprKind::Cast(Box::new(value)), ty));
        }
        if let Some(found) = value.as_literal().and_then(Value::as_text).and_then(crate::convert::numeric)
            && let Some(ty) = found.ty()
        {
            // It stays a CAST: one that is compared makes text a number.
            return Some(Expr::new(ExprKind::Cast(Box::new(Expr::literal(found, ty))), ty));
        }
        let message = format!("whether NUMERIC makes {} INTEGER or REAL is not known before it runs", value.ty);
        let diagnostic = Diagnostic::error("DE205", self.head(span), message);
        self.diagnostics.push(diagnostic.help("say which: CAST(x AS INTEGER) or CAST(x AS REAL)"));
        None
    }

    fn is_null(&mut self, node: &ast::Expr) -> Option<Expr> {
        Some(Expr::boolean(ExprKind::IsNull(Box::new(self.expr(node)?))))
    }

    /// `x IS TRUE`, or `x IS FALSE` as `(NOT x) IS TRUE`.
    fn is_true(&mut self, node: &ast::Expr, negated: bool) -> Option<Expr> {
        let condition = self.condition_of(node)?;
        Some(Expr::boolean(ExprKind::IsTrue(Box::new(negate_if(condition, negated)))))
    }

    /// An operand of a comparison with the collation that is written at it.
    pub(super) fn collated(&mut self, node: &ast::Expr) -> Option<(Expr, Option<Collation>)> {
        match node {
            ast::Expr::Nested(inner) => self.collated(inner),
            ast::Expr::Collate { expr, collation } => {
                let collation = self.collation(collation);
                Some((self.expr(expr)?, Some(collation?)))
            }
            _ => Some((self.expr(node)?, None)),
        }
    }

    /// `(a, b) op (c, d)`, spelled out: equality of all, or order by the first that differs.
    fn row_comparison(
        &mut self,
        op: Comparison,
        lefts: &[ast::Expr],
        rights: &[ast::Expr],
        span: &Span,
    ) -> Option<Expr> {
        if lefts.len() != rights.len() {
            let message = format!("a row of {} values is compared with one of {}", lefts.len(), rights.len());
            return self.error("DE239", span.clone(), message);
        }
        let mut each = |op| -> Option<Vec<Expr>> {
            let pairs = lefts.iter().zip(rights);
            pairs.map(|(left, right)| self.comparison(op, left, right, span)).collect()
        };
        match op {
            Comparison::Equal | Comparison::Is => Expr::all(each(op)?),
            Comparison::NotEqual => Some(not(Expr::all(each(Comparison::Equal)?)?)),
            Comparison::IsNot => Some(not(Expr::all(each(Comparison::Is)?)?)),
            Comparison::Less | Comparison::LessEqual | Comparison::Greater | Comparison::GreaterEqual => {
                let strict = match op {
                    Comparison::Less | Comparison::LessEqual => Comparison::Less,
                    _ => Comparison::Greater,
                };
                let (equal, first) = (each(Comparison::Equal)?, each(strict)?);
                let last = each(op)?.pop()?;
                // From the last pair on: a < c OR (a = c AND rest).
                let pairs = equal.into_iter().zip(first).rev().skip(1);
                pairs.into_iter().try_fold(last, |rest, (equal, first)| {
                    let both = Expr::all([equal, rest])?;
                    Some(Expr::boolean(ExprKind::Or(vec![first, both])))
                })
            }
        }
    }

    /// A query in parentheses: the first row's value.
    fn scalar(&mut self, node: &ast::Query, span: &Span) -> Option<Expr> {
        let query = self.inner_query(node)?;
        let [column] = query.output.as_slice() else {
            let message = format!("a subquery used as a value has one column, not {}", query.output.len());
            return self.error("DE239", span.clone(), message);
        };
        if column.null {
            return Some(Expr::null());
        }
        let ty = column.ty;
        Some(Expr::new(ExprKind::Subquery(Box::new(Subquery { kind: SubqueryKind::Scalar, query })), ty))
    }

    fn in_subquery(&mut self, value: &ast::Expr, node: &ast::Query, span: &Span) -> Option<Expr> {
        let nodes = row_value(value).unwrap_or(std::slice::from_ref(value));
        let values: Vec<_> = nodes.iter().map(|node| self.collated(node)).collect();
        let query = self.inner_query(node)?;
        let values = values.into_iter().collect::<Option<Vec<_>>>()?;
        if values.len() != query.output.len() {
            let message = format!("{} values are looked for among rows of {}", values.len(), query.output.len());
            return self.error("DE239", span.clone(), message);
        }
        let collation = values.iter().find_map(|(_, collation)| *collation).unwrap_or_default();
        let mut types = Vec::new();
        let mut met = Vec::new();
        for ((value, _), column) in values.into_iter().zip(&query.output) {
            let other = if column.null { Expr::null() } else { Expr::column(0, column.ty, column.name.as_str()) };
            let affinity = (self.has_affinity(&value), super::affinity::of_result(&query, types.len()));
            match meet(value, other, affinity) {
                // INTEGER and REAL stay what they are: they are compared by exact value.
                Meeting::Same(left, right) => {
                    types.push(right.ty);
                    met.push(left);
                }
                Meeting::BadLiteral(message, help) => {
                    self.diagnostics.push(Diagnostic::error("DE206", span.clone(), message).help(help));
                    return None;
                }
                // No number is spelled like this text, or like a literal of bytes.
                Meeting::Apart(left, right) if left.as_literal().is_some() && right.ty.is_numeric() => {
                    self.warn_apart(&left, &right, span);
                    types.push(Type::Text);
                    let spelled = |bytes: &Expr| Expr::literal(Value::Text(bytes.to_string()), Type::Text);
                    met.push(if left.ty == Type::Blob { spelled(&left) } else { left });
                }
                Meeting::Apart(left, right) | Meeting::Never(left, right) => {
                    let message = format!("{} cannot be among values of {}", left.ty, right.ty);
                    let diagnostic = Diagnostic::error("DE205", span.clone(), message);
                    self.diagnostics.push(diagnostic.help(format!("convert one: CAST({left} AS {})", right.ty)));
                    return None;
                }
            }
        }
        let query = super::queries::through(query, Some(&types));
        let kind = SubqueryKind::In { values: met, collation };
        Some(Expr::boolean(ExprKind::Subquery(Box::new(Subquery { kind, query }))))
    }

    pub(super) fn collation(&mut self, name: &ObjectName) -> Option<Collation> {
        let text = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_ascii_uppercase());
        match text.as_deref() {
            Some("NOCASE") => Some(Collation::NoCase),
            Some("BINARY") => Some(Collation::Binary),
            _ => {
                let diagnostic = Diagnostic::error("DE232", self.span(name), "unknown collation");
                self.diagnostics.push(diagnostic.help("NOCASE ignores the case of ASCII letters; BINARY is exact"));
                None
            }
        }
    }

    fn comparison(&mut self, op: Comparison, left: &ast::Expr, right: &ast::Expr, span: &Span) -> Option<Expr> {
        if let (Some(lefts), Some(rights)) = (row_value(left), row_value(right)) {
            return self.row_comparison(op, lefts, rights, span);
        }
        let (left, right) = (self.collated(left), self.collated(right));
        let ((left, first), (right, second)) = (left?, right?);
        self.compare(op, left, right, first.or(second).unwrap_or_default(), span)
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

    fn escape(&mut self, node: Option<&ast::Expr>) -> Option<Option<char>> {
        let Some(node) = node else { return Some(None) };
        let span = self.span(node);
        let mut chars = match node {
            ast::Expr::Value(ValueWithSpan { value: ast::Value::SingleQuotedString(text), .. }) => text.chars(),
            _ => return self.error("DE208", span, "ESCAPE takes one character in quotes"),
        };
        match (chars.next(), chars.next()) {
            (Some(escape), None) => Some(Some(escape)),
            _ => self.error("DE208", span, "ESCAPE takes exactly one character"),
        }
    }

    fn pattern_match(&mut self, value: &ast::Expr, pattern: &ast::Expr, how: Match, span: &Span) -> Option<Expr> {
        let pattern_span = self.span(pattern);
        let (value, pattern) = (self.expr(value), self.expr(pattern));
        let name = how.name();
        let value = self.argument(value?, Type::Text, span, name);
        let pattern = self.argument(pattern?, Type::Text, &pattern_span, name);
        let (value, pattern) = (Box::new(value?), pattern?);
        let Some(constant) = pattern.as_literal() else {
            let (glob, escape) = match how {
                Match::Like(escape) => (false, escape),
                Match::Glob => (true, None),
                Match::Regexp => {
                    let message = "REGEXP takes a constant pattern: it is compiled when the rule is loaded";
                    return self.error("DE209", pattern_span, message);
                }
            };
            let pattern = Box::new(pattern);
            return Some(Expr::boolean(ExprKind::MatchDynamic { value, pattern, glob, escape }));
        };
        let Some(text) = constant.as_text() else {
            return Some(Expr::literal(Value::Null, Type::Boolean));
        };
        let compiled = match how {
            Match::Like(escape) => Ok(Pattern::like(text, escape)),
            Match::Glob => Ok(Pattern::glob(text)),
            Match::Regexp => Pattern::regexp(text),
        };
        match compiled {
            Ok(pattern) => Some(Expr::boolean(ExprKind::Match { value, pattern: pattern.into() })),
            Err(reason) => {
                let message = format!("not a regular expression: {reason}");
                let diagnostic = Diagnostic::error("DE209", pattern_span, message);
                self.diagnostics.push(
                    diagnostic.help("look-around and back-references are not part of it: matching takes linear time"),
                );
                None
            }
        }
    }

    fn in_list(&mut self, value: &ast::Expr, list: &[ast::Expr], span: &Span) -> Option<Expr> {
        let allowed = self.catalog.limits().in_list;
        if list.len() > allowed {
            let advice = "put them in a file and ask IN (SELECT value FROM list('name'))";
            self.diagnostics.push(IN_LIST.exceeded(allowed, span.clone(), advice));
            return None;
        }
        let value = self.collated(value);
        let items: Vec<_> = list.iter().map(|item| self.expr(item)).collect();
        let (value, collation) = value?;
        let collation = collation.unwrap_or_default();
        let items = items.into_iter().collect::<Option<Vec<_>>>()?;
        // Constants that take the value's own type make a set; all others are compared one by one.
        let mut constants = Vec::new();
        let mut others = Vec::new();
        let mut has_null = false;
        let (size, has_affinity) = (value.size(), self.has_affinity(&value));
        for item in items {
            self.spend(size, span)?;
            match meet(value.clone(), item.clone(), (has_affinity, self.has_affinity(&item))) {
                _ if item.is_null() => has_null = true,
                Meeting::Same(left, right) if left == value && right.ty == value.ty && right.as_literal().is_some() => {
                    constants.extend(right.as_literal().cloned());
                }
                _ => others.push(self.compare(Comparison::Equal, value.clone(), item, collation, span)),
            }
        }
        let mut any = vec![Expr::among(value, constants, has_null, collation)];
        any.extend(others.into_iter().collect::<Option<Vec<_>>>()?);
        if any.len() == 1 { any.pop() } else { Some(Expr::boolean(ExprKind::Or(any))) }
    }

    fn case(
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
    fn choose(&mut self, whens: Vec<Expr>, results: Vec<Expr>, span: &Span, of: &str) -> Option<Expr> {
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
    fn over_results(
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

    fn function(&mut self, call: &ast::Function, span: &Span) -> Option<Expr> {
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
        let parts = Call { args, filter: call.filter.as_deref() };
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
    fn counting_form(&mut self, name: &str, call: &Call<'_>, span: &Span) -> Option<Option<Expr>> {
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
            return Some(self.aggregate(AggregateKind::Count, &Call { args: &args, filter: Some(of) }, span));
        }
        list.duplicate_treatment = Some(ast::DuplicateTreatment::Distinct);
        list.args.push(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr((*of).clone())));
        let args = ast::FunctionArguments::List(list);
        Some(self.aggregate(AggregateKind::Count, &Call { args: &args, filter: call.filter }, span))
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

    fn call(&mut self, name: &str, nodes: &[&ast::Expr], span: &Span) -> Option<Expr> {
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

    fn coalesce(&mut self, args: Vec<Expr>, span: &Span, name: &str) -> Option<Expr> {
        self.spend(args.iter().map(Expr::size).sum(), span)?;
        let whens = args[..args.len() - 1].iter();
        let whens = whens.map(|arg| not(Expr::boolean(ExprKind::IsNull(Box::new(arg.clone()))))).collect();
        self.choose(whens, args, span, name)
    }

    fn nullif(&mut self, mut args: Vec<Expr>, span: &Span) -> Option<Expr> {
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

/// What an aggregate or a window is called with.
pub(super) struct Call<'n> {
    pub(super) args: &'n ast::FunctionArguments,
    pub(super) filter: Option<&'n ast::Expr>,
}

/// The values of a row value, or nothing for another expression.
fn row_value(node: &ast::Expr) -> Option<&[ast::Expr]> {
    match node {
        ast::Expr::Tuple(values) => Some(values),
        _ => None,
    }
}

enum Binary {
    Comparison(Comparison),
    Arithmetic(Arithmetic),
    Concat,
    Match(Match),
}

/// The ways to match text with a pattern.
#[derive(Clone, Copy)]
enum Match {
    Like(Option<char>),
    Glob,
    Regexp,
}

impl Match {
    fn name(self) -> &'static str {
        match self {
            Self::Like(_) => "LIKE",
            Self::Glob => "GLOB",
            Self::Regexp => "REGEXP",
        }
    }
}

fn argument_count(args: &ast::FunctionArguments) -> usize {
    if let ast::FunctionArguments::List(list) = args { list.args.len() } else { 0 }
}

fn arithmetic(op: Arithmetic, left: Expr, right: Expr, ty: Type) -> Expr {
    Expr::new(ExprKind::Arithmetic { op, left: Box::new(left), right: Box::new(right) }, ty)
}

/// Results of which some are INTEGER and some REAL, made REAL.
fn widened(results: Vec<Expr>) -> Vec<Expr> {
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
fn is_mixed(expr: &Expr) -> bool {
    let ExprKind::Case { branches, otherwise } = &expr.kind else { return false };
    let mut results = branches.iter().map(|(_, then)| then).chain([&**otherwise]);
    results.any(|result| matches!(result.kind, ExprKind::Widen(_)) || is_mixed(result))
}

fn not(expr: Expr) -> Expr {
    Expr::boolean(ExprKind::Not(Box::new(expr)))
}

fn negate_if(expr: Expr, negated: bool) -> Expr {
    if negated { not(expr) } else { expr }
}

/// A name of one part.
pub(super) fn single_name(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}
