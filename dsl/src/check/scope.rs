//! Which columns a name can mean.
//!
//! A name is looked for among the tables of its own FROM, then in the rows around: a subquery sees the row that it is
//! evaluated for. Columns that NATURAL or USING joined are one column to an unqualified name and to `*`.

use std::sync::Arc;

use sqlparser::ast::Ident;

use super::{Aliases, Checker};
use crate::diagnostic::{Diagnostic, Safety, nearest};
use crate::expr::{Expr, ExprKind};
use crate::lists;
use crate::query::{Absent, From, Output, Part};
use crate::tables::{Access, Kind, Table, synonym, table_synonym};
use crate::types::Type;

/// A table, query or working table of FROM.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// What it is called here.
    pub(super) alias: String,
    /// What it is called elsewhere, for people.
    pub(super) source: String,
    pub(super) columns: Vec<Visible>,
    /// It is a file's records, of which any column may be asked.
    records: bool,
}

/// One of its columns.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Visible {
    pub(super) name: String,
    pub(super) ty: Type,
    /// Every value is the constant NULL.
    pub(super) null: bool,
    /// Its type is applied to literals that it is compared with.
    pub(super) affinity: bool,
    pub(super) identity: bool,
    pub(super) volatile: bool,
    /// No record of the file has it.
    absent: bool,
    /// How an unqualified name and `*` see it.
    pub(super) joined: Joined,
}

/// What NATURAL or USING made of a column.
#[derive(Clone, Debug)]
pub(super) enum Joined {
    /// Nothing.
    Not,
    /// It stands for its namesake on the other side too, with this value.
    As(Expr),
    /// Its namesake stands for it.
    Away,
}

impl Relation {
    /// Whether the statement calls it so; names compare without case.
    fn is_called(&self, name: &str) -> bool {
        self.alias.eq_ignore_ascii_case(name)
    }

    pub(super) fn of(part: Part<'_>) -> Self {
        let of_output = |(at, output): (usize, &Output)| Visible {
            affinity: super::affinity::of_part(part, at),
            name: output.name.clone(),
            ty: output.ty,
            null: output.null,
            identity: output.identity,
            volatile: output.volatile,
            absent: false,
            joined: Joined::Not,
        };
        let of_outputs = |alias: &str, columns: &[Output]| Self {
            alias: alias.to_owned(),
            source: alias.to_owned(),
            columns: columns.iter().enumerate().map(of_output).collect(),
            records: false,
        };
        match part {
            Part::Table(table) => {
                let columns = table.table.columns.iter().map(|column| Visible {
                    name: column.name.to_string(),
                    ty: column.ty,
                    null: false,
                    affinity: true,
                    identity: column.identity,
                    volatile: column.volatile,
                    absent: column.access == Access::Absent,
                    joined: Joined::Not,
                });
                Self {
                    alias: table.alias.clone(),
                    source: table.table.name.to_string(),
                    columns: columns.collect(),
                    records: table.table.kind == Kind::Records,
                }
            }
            Part::List(list) => Self {
                alias: list.alias.clone(),
                source: format!("{}('{}')", lists::NAME, list.list.name),
                columns: vec![Visible {
                    name: lists::COLUMN.to_owned(),
                    ty: Type::Text,
                    null: false,
                    affinity: true,
                    identity: false,
                    volatile: false,
                    absent: false,
                    joined: Joined::Not,
                }],
                records: false,
            },
            Part::Query(derived) => of_outputs(&derived.alias, &derived.query.output),
            Part::Recursive(recursive) => of_outputs(&recursive.alias, &recursive.base.output),
            Part::Working(working) => of_outputs(&working.alias, &working.columns),
        }
    }
}

/// The relations of FROM that are visible, in order; together their columns are the input row.
#[derive(Default)]
pub(super) struct Scope {
    relations: Vec<Relation>,
    /// The columns of the result by name, where they may be used.
    pub(super) aliases: Aliases,
}

/// A column that a name may mean: its position in the row, its relation, itself.
pub(super) type Candidate<'s> = (usize, &'s Relation, &'s Visible);

impl Scope {
    pub(super) fn push(&mut self, from: &From) {
        self.relations.extend(from.parts().into_iter().map(|(part, _)| Relation::of(part)));
    }

    pub(super) fn push_part(&mut self, part: Part<'_>) {
        self.relations.push(Relation::of(part));
    }

    /// How many relations there are.
    pub(super) fn len(&self) -> usize {
        self.relations.len()
    }

    pub(super) fn width(&self) -> usize {
        self.relations.iter().map(|relation| relation.columns.len()).sum()
    }

    pub(super) fn has_alias(&self, alias: &str) -> bool {
        self.relations.iter().any(|relation| relation.is_called(alias))
    }

    /// Every column with its position, for all relations or those of that alias.
    pub(super) fn columns(&self, alias: Option<&str>) -> Vec<Candidate<'_>> {
        let mut start = 0;
        let mut columns = Vec::new();
        for relation in &self.relations {
            if alias.is_none_or(|alias| relation.is_called(alias)) {
                let own = relation.columns.iter().enumerate();
                columns.extend(own.map(|(at, column)| (start + at, relation, column)));
            }
            start += relation.columns.len();
        }
        columns
    }

    /// The columns that an unqualified name or `*` may mean, of the relations from `first` up to `end`.
    pub(super) fn unqualified(&self, first: usize, end: usize) -> Vec<Candidate<'_>> {
        let mut start = 0;
        let mut columns = Vec::new();
        for (at, relation) in self.relations.iter().enumerate() {
            if (first..end).contains(&at) {
                let own = relation.columns.iter().enumerate().filter(|(_, it)| !matches!(it.joined, Joined::Away));
                columns.extend(own.map(|(at, column)| (start + at, relation, column)));
            }
            start += relation.columns.len();
        }
        columns
    }

    /// The column at a position of the input row.
    pub(super) fn column_at(&self, index: usize) -> Option<&Visible> {
        self.columns(None).into_iter().find(|(at, ..)| *at == index).map(|(_, _, column)| column)
    }

    /// What the column is called that the expression is.
    pub(super) fn name_of(&self, expr: &Expr) -> Option<String> {
        let ExprKind::Column { index, .. } = expr.kind else { return None };
        self.column_at(index).map(|column| column.name.clone())
    }

    pub(super) fn column_at_mut(&mut self, index: usize) -> Option<&mut Visible> {
        self.relations.iter_mut().flat_map(|relation| &mut relation.columns).nth(index)
    }

    /// `alias.column` where several relations are in scope, else `column`.
    pub(super) fn expr(&self, (index, relation, column): Candidate<'_>) -> Expr {
        if column.null {
            return Expr::null();
        }
        Expr::column(index, column.ty, self.shown(relation, column))
    }

    /// What an unqualified name or `*` gives of it.
    pub(super) fn merged(&self, candidate: Candidate<'_>) -> Expr {
        match &candidate.2.joined {
            Joined::As(expr) => expr.clone(),
            Joined::Not | Joined::Away => self.expr(candidate),
        }
    }

    fn shown(&self, relation: &Relation, column: &Visible) -> Arc<str> {
        if self.relations.len() > 1 && !relation.alias.is_empty() {
            format!("{}.{}", relation.alias, column.name).into()
        } else {
            column.name.as_str().into()
        }
    }
}

impl Checker<'_> {
    /// The column that `name` or `alias.name` means.
    pub(super) fn column(&mut self, alias: Option<&Ident>, name: &Ident) -> Option<Expr> {
        let scopes = std::iter::once(&self.scope).chain(self.around[self.hidden..].iter().rev());
        if let Some(alias) = alias
            && !scopes.clone().any(|scope| scope.has_alias(&alias.value))
        {
            return self.unknown_alias(alias);
        }
        for (level, scope) in scopes.enumerate() {
            let candidates = match alias {
                Some(alias) => scope.columns(Some(&alias.value)),
                None => scope.unqualified(0, scope.len()),
            };
            let found: Vec<_> =
                candidates.into_iter().filter(|(_, _, column)| column.name.eq_ignore_ascii_case(&name.value)).collect();
            match found.as_slice() {
                // SQLite's way: the result's own names, where no column has them.
                [] if alias.is_none() => {
                    let named = scope.aliases.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name.value));
                    if let Some((_, expr)) = named {
                        let expr = outwards(expr.clone()?, level);
                        self.spend(expr.size(), &self.ident_span(name))?;
                        return Some(expr);
                    }
                }
                [] => {}
                [one] => {
                    let missing = one.2.absent.then(|| (one.1.source.clone(), one.2.name.clone()));
                    let expr = if alias.is_some() { scope.expr(*one) } else { scope.merged(*one) };
                    if let Some((table, column)) = missing {
                        self.absent(name, table, column, |diagnostic| diagnostic);
                    }
                    return Some(outwards(expr, level));
                }
                [first, second, ..] => {
                    let (one, other) = (first.1.alias.clone(), second.1.alias.clone());
                    let message = format!("`{}` is ambiguous", name.value);
                    let edit = (self.ident_span(name), format!("{one}.{}", name.value));
                    let diagnostic = Diagnostic::error("DE210", self.ident_span(name), message)
                        .label(format!("a column of `{one}` and of `{other}`"))
                        .fix("say which one", vec![edit], Safety::ChangesMeaning);
                    self.diagnostics.push(diagnostic);
                    return None;
                }
            }
        }
        self.unknown_column(alias, name)
    }

    /// Whether the name means a column of this FROM.
    pub(super) fn is_column(&self, name: &Ident) -> bool {
        self.scope.columns(None).iter().any(|(_, _, column)| column.name.eq_ignore_ascii_case(&name.value))
    }

    pub(super) fn unknown_alias<T>(&mut self, alias: &Ident) -> Option<T> {
        let scopes = std::iter::once(&self.scope).chain(self.around[self.hidden..].iter().rev());
        let known: Vec<_> =
            scopes.flat_map(|scope| scope.relations.iter().map(|relation| relation.alias.clone())).collect();
        let message = format!("unknown table `{}`", alias.value);
        let diagnostic = Diagnostic::error("DE202", self.ident_span(alias), message);
        self.diagnostics.push(match nearest(&alias.value, known.iter().map(String::as_str)) {
            Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
            None if known.is_empty() => diagnostic.help("the statement has no FROM"),
            None => diagnostic.help(format!("tables in scope: {}", known.join(", "))),
        });
        None
    }

    fn unknown_column(&mut self, alias: Option<&Ident>, name: &Ident) -> Option<Expr> {
        let span = self.ident_span(name);
        let scopes = std::iter::once(&self.scope).chain(self.around[self.hidden..].iter().rev());
        let candidates: Vec<_> =
            scopes.flat_map(|scope| scope.columns(alias.map(|alias| alias.value.as_str()))).collect();
        let names: Vec<_> = candidates.iter().map(|(_, _, column)| column.name.clone()).collect();
        let mut tables: Vec<_> = candidates.iter().map(|(_, relation, _)| relation.source.clone()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let meant = synonym(&name.value).filter(|own| names.contains(own));
        let near = meant.or_else(|| nearest(&name.value, names.iter().copied()));
        let called = |relation: &&Relation| alias.is_none_or(|alias| relation.is_called(&alias.value));
        let records = self.scope.relations.iter().filter(called).find(|relation| relation.records);
        if let Some(table) = records.map(|relation| relation.source.clone()) {
            self.absent(name, table, name.value.clone(), |diagnostic| match near {
                Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), quoted(near)),
                None => diagnostic,
            });
            return Some(Expr::null());
        }
        tables.dedup();
        let message = match tables.as_slice() {
            [] => format!("unknown column `{}`: the statement has no FROM", name.value),
            [one] if one.is_empty() => format!("unknown column `{}`", name.value),
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
        let meant = table_synonym(&name.value).or_else(|| nearest(&name.value, names.iter().map(String::as_str)));
        self.diagnostics.push(match meant {
            Some(near) => diagnostic.patch(format!("did you mean `{near}`?"), near),
            None => diagnostic.help(format!("tables: {}", names.join(", "))),
        });
        None
    }
}

/// The expression over the row so many queries out.
fn outwards(mut expr: Expr, level: usize) -> Expr {
    if level == 0 {
        return expr;
    }
    match &mut expr.kind {
        ExprKind::Column { index, name } => {
            expr.kind = ExprKind::Outer { level, index: *index, name: name.clone() };
            return expr;
        }
        ExprKind::Outer { level: own, .. } => *own += level,
        ExprKind::Subquery(subquery) => subquery.query.outer_mut(&mut |expr, _| {
            if let ExprKind::Outer { level: own, .. } = &mut expr.kind {
                *own += level;
            }
        }),
        _ => {}
    }
    for operand in expr.operands_mut() {
        let own = std::mem::replace(operand, Expr::literal(crate::types::Value::Null, Type::Text));
        *operand = outwards(own, level);
    }
    expr
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
