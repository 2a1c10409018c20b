//! Columns of the catalog against constant text: what most judgements are about.

use super::{Rows, Subject};
use crate::diagnostic::Span;
use crate::expr::{Collation, Comparison, Expr, ExprKind};
use crate::pattern::PatternKind;
use crate::tables::Column;
use crate::types::Value;

/// A column compared with texts.
#[derive(Clone, Debug)]
pub(super) struct Compared<'a> {
    pub(super) column: &'a Column,
    pub(super) how: How,
    pub(super) texts: Vec<&'a str>,
    /// A match makes the row more likely to be returned: it stands below an even number of NOTs.
    pub(super) wanted: bool,
    /// The place of the column.
    pub(super) at: Span,
    /// The place of the whole comparison.
    pub(super) whole: Span,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// `=`, `IS`, IN: the same text, letters in the same case.
    Equal,
    /// The same, letters in any case.
    EqualNoCase,
    /// LIKE.
    Like,
    /// GLOB.
    Glob,
    /// REGEXP.
    Regexp,
}

/// Every one in WHERE and ON, those of subqueries included.
pub(super) fn compared<'a>(subject: &Subject<'a>) -> Vec<Compared<'a>> {
    let mut found = Vec::new();
    for rows in subject.selects() {
        for condition in rows.conditions() {
            collect(rows, condition, true, &mut found);
        }
    }
    found
}

fn collect<'a>(rows: &Rows<'a>, expr: &'a Expr, wanted: bool, found: &mut Vec<Compared<'a>>) {
    if let ExprKind::Not(of) = &expr.kind {
        return collect(rows, of, !wanted, found);
    }
    found.extend(one(rows, expr, wanted));
    for operand in expr.operands() {
        collect(rows, operand, wanted, found);
    }
}

fn one<'a>(rows: &Rows<'a>, expr: &'a Expr, wanted: bool) -> Option<Compared<'a>> {
    let (value, how, texts, wanted) = match &expr.kind {
        ExprKind::Compare { op, left, right, collation } => {
            let (value, text) = match (text_of(left), text_of(right)) {
                (None, Some(text)) => (left, text),
                (Some(text), None) => (right, text),
                _ => return None,
            };
            let wanted = match op {
                Comparison::Equal | Comparison::Is => wanted,
                Comparison::NotEqual | Comparison::IsNot => !wanted,
                _ => return None,
            };
            (value, equal(*collation), vec![text], wanted)
        }
        ExprKind::In { value, list, collation, .. } => {
            (value, equal(*collation), list.iter().filter_map(Value::as_text).collect(), wanted)
        }
        ExprKind::Match { value, pattern } => {
            let how = match pattern.kind() {
                PatternKind::Like => How::Like,
                PatternKind::Glob => How::Glob,
                PatternKind::Regexp => How::Regexp,
            };
            (value, how, vec![pattern.source()], wanted)
        }
        _ => return None,
    };
    let (_, column) = rows.column(value)?;
    let (at, whole) = (value.place.span(), expr.place.span());
    Some(Compared { column, how, texts, wanted, at, whole })
}

fn text_of(expr: &Expr) -> Option<&str> {
    expr.as_literal().and_then(Value::as_text)
}

fn equal(collation: Collation) -> How {
    if collation == Collation::NoCase { How::EqualNoCase } else { How::Equal }
}
