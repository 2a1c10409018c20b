//! Which columns a name can mean.

use std::sync::Arc;

use sqlparser::ast::{self, Ident};

use super::Checker;
use crate::diagnostic::{Diagnostic, nearest};
use crate::expr::{Expr, ExprKind};
use crate::query::{Absent, TableRef};
use crate::tables::{Access, Column, Kind, Table, synonym};
use crate::types::{Type, Value};

/// The tables of FROM that are visible, in order; together their columns are the input row.
#[derive(Default)]
pub(super) struct Scope {
    tables: Vec<TableRef>,
}

impl Scope {
    pub(super) fn push(&mut self, table: TableRef) {
        self.tables.push(table);
    }

    pub(super) fn width(&self) -> usize {
        self.tables.iter().map(|table| table.table.columns.len()).sum()
    }

    pub(super) fn has_alias(&self, alias: &str) -> bool {
        self.tables.iter().any(|table| table.alias.eq_ignore_ascii_case(alias))
    }

    /// Every column with its position, for all tables or the one of that alias.
    pub(super) fn columns(&self, alias: Option<&str>) -> Vec<(usize, &TableRef, &Column)> {
        let mut start = 0;
        let mut columns = Vec::new();
        for table in &self.tables {
            if alias.is_none_or(|alias| table.alias.eq_ignore_ascii_case(alias)) {
                let own = table.table.columns.iter().enumerate();
                columns.extend(own.map(|(at, column)| (start + at, table, column)));
            }
            start += table.table.columns.len();
        }
        columns
    }

    /// What the column is called that the expression is.
    pub(super) fn name_of(&self, expr: &Expr) -> Option<String> {
        let ExprKind::Column { index, .. } = expr.kind else { return None };
        self.column_at(index).map(|column| column.name.to_string())
    }

    /// The declaration of the column at a position of the input row.
    pub(super) fn column_at(&self, index: usize) -> Option<&Column> {
        self.columns(None).into_iter().find(|(at, ..)| *at == index).map(|(_, _, column)| column)
    }

    /// `alias.column` where several tables are in scope, else `column`.
    pub(super) fn expr(&self, index: usize, table: &TableRef, column: &Column) -> Expr {
        let name: Arc<str> = if self.tables.len() > 1 {
            format!("{}.{}", table.alias, column.name).into()
        } else {
            (*column.name).into()
        };
        Expr::column(index, column.ty, name)
    }
}

impl Checker<'_> {
    /// The column that `name` or `alias.name` means.
    pub(super) fn column(&mut self, alias: Option<&Ident>, name: &Ident) -> Option<Expr> {
        if let Some(alias) = alias.filter(|alias| !self.scope.has_alias(&alias.value)) {
            let known: Vec<_> = self.scope.tables.iter().map(|table| table.alias.clone()).collect();
            let message = format!("unknown table `{}`", alias.value);
            let diagnostic = Diagnostic::error("DE202", self.ident_span(alias), message);
            self.diagnostics.push(match nearest(&alias.value, known.iter().map(String::as_str)) {
                Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
                None if known.is_empty() => diagnostic.help("the statement has no FROM"),
                None => diagnostic.help(format!("tables in scope: {}", known.join(", "))),
            });
            return None;
        }
        let candidates = self.scope.columns(alias.map(|alias| alias.value.as_str()));
        let found: Vec<_> =
            candidates.iter().filter(|(_, _, column)| column.name.eq_ignore_ascii_case(&name.value)).collect();
        match found.as_slice() {
            [(index, table, column)] => {
                let expr = self.scope.expr(*index, table, column);
                if column.access == Access::Absent {
                    let (table, column) = (table.table.name.to_string(), column.name.to_string());
                    self.absent(name, table, column, |diagnostic| diagnostic);
                }
                Some(expr)
            }
            [] => self.unknown_column(alias, name),
            [first, second, ..] => {
                let message = format!("`{}` is ambiguous", name.value);
                let (one, other) = (first.1.alias.clone(), second.1.alias.clone());
                let diagnostic = Diagnostic::error("DE210", self.ident_span(name), message)
                    .label(format!("a column of `{one}` and of `{other}`"))
                    .patch("say which one", format!("{one}.{}", name.value));
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    fn unknown_column(&mut self, alias: Option<&Ident>, name: &Ident) -> Option<Expr> {
        let span = self.ident_span(name);
        let candidates = self.scope.columns(alias.map(|alias| alias.value.as_str()));
        let names: Vec<_> = candidates.iter().map(|(_, _, column)| column.name.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let in_scope = self.scope.tables.iter().filter(|it| alias.is_none_or(|alias| it.is_called(&alias.value)));
        let in_scope: Vec<_> = in_scope.map(|it| it.table.clone()).collect();
        let meant = synonym(&name.value).filter(|own| names.contains(own));
        let near = meant.or_else(|| nearest(&name.value, names.iter().copied()));
        if let Some(table) = in_scope.iter().find(|table| table.kind == Kind::Records) {
            self.absent(name, table.name.to_string(), name.value.clone(), |diagnostic| match near {
                Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), quoted(near)),
                None => diagnostic,
            });
            return Some(Expr::literal(Value::Null, Type::Text));
        }
        let mut tables: Vec<_> = in_scope.iter().map(|table| &*table.name).collect();
        tables.dedup();
        let message = match tables.as_slice() {
            [] => format!("unknown column `{}`: the statement has no FROM", name.value),
            [one] => format!("unknown column `{}` in table `{one}`", name.value),
            many => format!("unknown column `{}` in tables {}", name.value, many.join(", ")),
        };
        let diagnostic = Diagnostic::error("DE201", span, message);
        let diagnostic = match near {
            Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
            None if name.quote_style == Some('"') => {
                diagnostic.patch("text stands in single quotes", format!("'{}'", name.value.replace('\'', "''")))
            }
            None if names.is_empty() => diagnostic,
            None => diagnostic.help(format!("columns: {}", names.join(", "))),
        };
        self.diagnostics.push(diagnostic);
        None
    }

    /// DE212, once for each column.
    fn absent(&mut self, name: &Ident, table: String, column: String, help: impl FnOnce(Diagnostic) -> Diagnostic) {
        let is_it = |it: &Absent| it.table == table && it.column.eq_ignore_ascii_case(&column);
        if self.absent.iter().any(is_it) {
            return;
        }
        let message = format!("no record of `{table}` has a column `{column}`");
        let diagnostic = Diagnostic::warning("DE212", self.ident_span(name), message).label("NULL in every row");
        self.diagnostics.push(help(diagnostic));
        self.absent.push(Absent { table, column });
    }

    /// The table of that name.
    pub(super) fn table(&mut self, name: &Ident) -> Option<Arc<Table>> {
        if let Some(table) = self.catalog.table(&name.value) {
            return Some(table.clone());
        }
        let names: Vec<_> = self.catalog.tables().iter().map(|table| table.name.to_string()).collect();
        let message = format!("unknown table `{}`", name.value);
        let diagnostic = Diagnostic::error("DE202", self.ident_span(name), message);
        self.diagnostics.push(match nearest(&name.value, names.iter().map(String::as_str)) {
            Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
            None => diagnostic.help(format!("tables: {}", names.join(", "))),
        });
        None
    }
}

/// What an item of the SELECT list is called that names a column and became a constant: no record has it.
pub(super) fn absent_name(node: &ast::Expr, expr: &Expr) -> Option<String> {
    let name = match node {
        ast::Expr::Identifier(name) => name,
        ast::Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    expr.is_null().then(|| name.value.clone())
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
