//! Comparisons of all kinds: operators, IN, LIKE and its like, of single values and rows, with constants and queries.

use sqlparser::ast::{self, ObjectName, ValueWithSpan};

use super::Checker;
use super::coerce::{Meeting, meet};
use super::expr::{negate_if, not};
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Collation, Comparison, Expr, ExprKind};
use crate::limits::IN_LIST;
use crate::pattern::Pattern;
use crate::query::{Subquery, SubqueryKind};
use crate::types::{Type, Value};

impl Checker<'_> {
    pub(super) fn is_null(&mut self, node: &ast::Expr) -> Option<Expr> {
        Some(Expr::boolean(ExprKind::IsNull(Box::new(self.expr(node)?))))
    }

    /// `x IS TRUE`, or `x IS FALSE` as `(NOT x) IS TRUE`.
    pub(super) fn is_true(&mut self, node: &ast::Expr, negated: bool) -> Option<Expr> {
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
    pub(super) fn row_comparison(
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
    pub(super) fn scalar(&mut self, node: &ast::Query, span: &Span) -> Option<Expr> {
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

    pub(super) fn in_subquery(&mut self, value: &ast::Expr, node: &ast::Query, span: &Span) -> Option<Expr> {
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

    pub(super) fn comparison(
        &mut self,
        op: Comparison,
        left: &ast::Expr,
        right: &ast::Expr,
        span: &Span,
    ) -> Option<Expr> {
        if let (Some(lefts), Some(rights)) = (row_value(left), row_value(right)) {
            return self.row_comparison(op, lefts, rights, span);
        }
        let (left, right) = (self.collated(left), self.collated(right));
        let ((left, first), (right, second)) = (left?, right?);
        self.compare(op, left, right, first.or(second).unwrap_or_default(), span)
    }

    pub(super) fn escape(&mut self, node: Option<&ast::Expr>) -> Option<Option<char>> {
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

    pub(super) fn pattern_match(
        &mut self,
        value: &ast::Expr,
        pattern: &ast::Expr,
        how: Match,
        span: &Span,
    ) -> Option<Expr> {
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
            Match::Regexp => Pattern::regexp(text, self.catalog.limits().regex),
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

    pub(super) fn in_list(&mut self, value: &ast::Expr, list: &[ast::Expr], span: &Span) -> Option<Expr> {
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
}

/// The values of a row value, or nothing for another expression.
pub(super) fn row_value(node: &ast::Expr) -> Option<&[ast::Expr]> {
    match node {
        ast::Expr::Tuple(values) => Some(values),
        _ => None,
    }
}

/// The ways to match text with a pattern.
#[derive(Clone, Copy)]
pub(super) enum Match {
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
