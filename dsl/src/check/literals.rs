//! Constants, parameters and the types that are written.

use sqlparser::ast::{self, ValueWithSpan};

use super::Checker;
use super::case::is_mixed;
use super::coerce::{cast, number};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::expr::{Expr, ExprKind};
use crate::types::{Timestamp, Type, Value, parse_interval};

impl Checker<'_> {
    pub(super) fn literal(&mut self, literal: &ValueWithSpan) -> Option<Expr> {
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

    pub(super) fn parameter(&mut self, written: &str, span: Span) -> Option<Expr> {
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

    pub(super) fn number(&mut self, text: &str, span: Span) -> Option<Expr> {
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
    pub(super) fn hex(&mut self, digits: &str, span: Span) -> Option<Expr> {
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

    pub(super) fn typed_string(&mut self, typed: &ast::TypedString, span: &Span) -> Option<Expr> {
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

    pub(super) fn interval(&mut self, interval: &ast::Interval, span: &Span) -> Option<Expr> {
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

    pub(super) fn data_type(&mut self, data_type: &ast::DataType, span: &Span) -> Option<Type> {
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

    pub(super) fn cast_to(&mut self, node: &ast::Expr, data_type: &ast::DataType, span: &Span) -> Option<Expr> {
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

    /// CAST AS NUMERIC leaves a number as it is. What it makes of text depends on the text.
    pub(super) fn cast_to_number(&mut self, node: &ast::Expr, span: &Span) -> Option<Expr> {
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
}
