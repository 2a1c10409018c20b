use super::{Check, Example, Lint, Rows, Subject};
use crate::diagnostic::{Diagnostic, Safety, Severity};
use crate::expr::{Comparison, Expr, ExprKind};
use crate::query::{Body, From, Query, SubqueryKind};

pub(super) static NULLABLE_NOT_IN: Lint = Lint {
    code: "DE218",
    name: "nullable-not-in",
    severity: Severity::Warning,
    summary: "NOT IN looks among values of which one may be NULL.",
    why: "A NULL among the values may be any value, so `x NOT IN (…)` is unknown for every x that is not found: the \
          condition is never true, and the rule goes silent the day the first NULL appears. Leave NULLs out of the \
          subquery, or ask with NOT EXISTS.",
    fires: Example::Statement(
        "SELECT proc_id, name\nFROM processes\nWHERE proc_id NOT IN (SELECT parent_id FROM processes)",
    ),
    silent: Example::Statement(
        "SELECT proc_id, name\nFROM processes\n\
         WHERE proc_id NOT IN (SELECT parent_id FROM processes WHERE parent_id IS NOT NULL)",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for rows in subject.selects() {
        for condition in rows.conditions() {
            condition.walk(&mut |expr| {
                if let ExprKind::Not(of) = &expr.kind {
                    found.extend(not_in(of));
                }
            });
        }
    }
}

fn not_in(expr: &Expr) -> Option<Diagnostic> {
    match &expr.kind {
        ExprKind::In { has_null: true, .. } => Some(
            NULLABLE_NOT_IN
                .at(expr.place.span(), "NOT IN with a NULL in the list is never true")
                .help("remove the NULL from the list"),
        ),
        ExprKind::Subquery(subquery) => {
            let SubqueryKind::In { .. } = subquery.kind else { return None };
            let (name, edit) = nullable(&subquery.query)?;
            let finding = NULLABLE_NOT_IN
                .at(expr.place.span(), format!("`{name}` may be NULL, and then NOT IN is true for no value"))
                .note("a NULL may be any value, so nothing is certainly absent from the list");
            Some(match edit {
                Some(edit) => finding.fix("leave NULLs out", vec![edit], Safety::ChangesMeaning),
                None => finding.help(format!("leave NULLs out: add `{name} IS NOT NULL` to the subquery's WHERE")),
            })
        }
        _ => None,
    }
}

type Edit = (crate::diagnostic::Span, String);

/// The first column of a query, if a value may be NULL, and where to exclude it.
fn nullable(query: &Query) -> Option<(String, Option<Edit>)> {
    let Body::Select(select) = &query.body else { return None };
    let rows = Rows::new(query, select);
    let [value] = select.columns.get(..1)? else { return None };
    if select.group.is_some() {
        return None;
    }
    let (_, column) = rows.column(value)?;
    if !column.nullable || select.filter.as_ref().is_some_and(|filter| rejects_null(filter, value)) {
        return None;
    }
    let name = column.name.to_string();
    let edit = match (&select.filter, &select.from) {
        (Some(filter), _) if filter.place.is_known() && !matches!(filter.kind, ExprKind::Or(_)) => {
            let at = filter.place.span().start;
            Some((at..at, format!("{name} IS NOT NULL AND ")))
        }
        (None, From::Table(table)) if table.alias == table.table.name && query.order.is_empty() => {
            let at = table.place.span().end;
            Some((at..at, format!(" WHERE {name} IS NOT NULL")))
        }
        _ => None,
    };
    Some((name, edit))
}

/// Whether `filter` is not true where `value` is NULL, as far as its conjuncts show.
fn rejects_null(filter: &Expr, value: &Expr) -> bool {
    let same = |other: &Expr| other.kind == value.kind;
    match &filter.kind {
        ExprKind::And(parts) => parts.iter().any(|part| rejects_null(part, value)),
        ExprKind::Not(of) => matches!(&of.kind, ExprKind::IsNull(of) if same(of)),
        ExprKind::Compare { op: Comparison::Is | Comparison::IsNot, .. } => false,
        ExprKind::Compare { left, right, .. } => same(left) || same(right),
        ExprKind::In { value: of, .. } | ExprKind::Match { value: of, .. } => same(of),
        _ => false,
    }
}
