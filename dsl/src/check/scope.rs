//! Which columns a name can mean.

use std::sync::Arc;

use sqlparser::ast::Ident;

use super::Checker;
use crate::diagnostic::{Diagnostic, nearest};
use crate::expr::Expr;
use crate::query::TableRef;
use crate::tables::{Column, Table};

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

    /// The declaration of the column at a position of the input row.
    pub(super) fn column_at(&self, index: usize) -> Option<&Column> {
        self.columns(None).into_iter().find(|(at, ..)| *at == index).map(|(_, _, column)| column)
    }

    /// `alias.column` where several tables are in scope, else `column`.
    pub(super) fn expr(&self, index: usize, table: &TableRef, column: &Column) -> Expr {
        let name: Arc<str> =
            if self.tables.len() > 1 { format!("{}.{}", table.alias, column.name).into() } else { column.name.into() };
        Expr::column(index, column.ty, name)
    }
}

/// Names that osquery, Sigma and Sysmon use for columns of ours.
const SYNONYMS: [(&str, &str); 22] = [
    ("path", "executable_path"),
    ("cmdline", "command_line"),
    ("command", "command_line"),
    ("args", "argv"),
    ("parent", "ppid"),
    ("parent_pid", "ppid"),
    ("uid", "user_id"),
    ("gid", "group_id"),
    ("username", "user_name"),
    ("user", "user_name"),
    ("exe", "executable_path"),
    ("image", "executable_path"),
    ("commandline", "command_line"),
    ("currentdirectory", "cwd"),
    ("processid", "pid"),
    ("parentprocessid", "ppid"),
    ("on_disk", "file_exists"),
    ("resident_size", "memory_usage"),
    ("state", "status"),
    ("hashes", "executable_hash"),
    ("sha256", "executable_hash"),
    ("tty", "terminal"),
];

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
            [(index, table, column)] => Some(self.scope.expr(*index, table, column)),
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
        let names: Vec<_> = candidates.iter().map(|(_, _, column)| column.name).collect();
        let mut tables: Vec<_> = candidates.iter().map(|(_, table, _)| table.table.name).collect();
        tables.dedup();
        let message = match tables.as_slice() {
            [] => format!("unknown column `{}`: the statement has no FROM", name.value),
            [one] => format!("unknown column `{}` in table `{one}`", name.value),
            many => format!("unknown column `{}` in tables {}", name.value, many.join(", ")),
        };
        let synonym = SYNONYMS.iter().find(|(foreign, _)| name.value.eq_ignore_ascii_case(foreign));
        let meant = synonym.map(|(_, own)| *own).filter(|own| names.contains(own));
        let diagnostic = Diagnostic::error("DE201", span, message);
        let diagnostic = match meant.or_else(|| nearest(&name.value, names.iter().copied())) {
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

    /// The table of that name.
    pub(super) fn table(&mut self, name: &Ident) -> Option<Arc<Table>> {
        if let Some(table) = self.catalog.table(&name.value) {
            return Some(table.clone());
        }
        let names: Vec<_> = self.catalog.tables().iter().map(|table| table.name).collect();
        let message = format!("unknown table `{}`", name.value);
        let diagnostic = Diagnostic::error("DE202", self.ident_span(name), message);
        self.diagnostics.push(match nearest(&name.value, names.iter().copied()) {
            Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
            None => diagnostic.help(format!("tables: {}", names.join(", "))),
        });
        None
    }
}
