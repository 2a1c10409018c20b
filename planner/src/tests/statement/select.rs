//! One SELECT.

use daemoneye_dsl::types::Type;

use super::tail::Column;
use super::{Made, Place};
use crate::tests::generator::{Generator, Scope, Sql, sql};

pub(super) const FORMS: &[&str] =
    &["no from", "where", "star", "table star", "plain", "alias", "distinct", "windows", "alias in where"];

/// A column of the result.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Item {
    pub(super) sql: Sql,
    pub(super) ty: Type,
    /// Its name, where it has one that can be used.
    pub(super) name: Option<String>,
    /// It was given that name here.
    pub(super) alias: bool,
    /// Straight from a table.
    pub(super) raw: bool,
    pub(super) exact: bool,
    /// A value of a single row: neither an aggregate nor a window.
    pub(super) of_row: bool,
}

impl Item {
    pub(super) fn new(sql: Sql, ty: Type) -> Self {
        Self { sql, ty, name: None, alias: false, raw: false, exact: true, of_row: true }
    }

    /// `expr AS name`, as in the SELECT list.
    pub(super) fn listed(&self) -> Sql {
        match &self.name {
            Some(name) if self.alias => {
                let name = Sql::from(name.as_str());
                sql!("{} AS {}", self.sql, name)
            }
            _ => self.sql.clone(),
        }
    }
}

/// What follows SELECT: the list, and GROUP BY with HAVING.
pub(super) struct Body {
    pub(super) list: Sql,
    pub(super) items: Vec<Item>,
    pub(super) filter: Option<Sql>,
    pub(super) group: Sql,
    pub(super) distinct: bool,
}

impl Generator<'_> {
    /// A SELECT with the ORDER BY and LIMIT that its place needs.
    pub(super) fn select(&mut self, types: Option<&[Type]>, place: Place) -> Made {
        self.selected(types, place, true)
    }

    /// The same without ORDER BY and LIMIT.
    pub(super) fn select_bare(&mut self, types: &[Type], place: Place) -> Made {
        self.selected(Some(types), place, false)
    }

    fn selected(&mut self, types: Option<&[Type]>, place: Place, with_tail: bool) -> Made {
        self.scopes.push(Scope::default());
        let from = self.from();
        let grouped = place == Place::Aggregate || self.random.percent(35);
        let body = if grouped { self.grouped(types, place) } else { self.plain(types, place, &from) };
        let shown = body.items.iter().map(|item| Column {
            text: Some(item.sql.clone()),
            alias: item.name.clone().filter(|_| item.alias),
            exact: item.exact,
        });
        let shown: Vec<_> = shown.collect();
        let (tail, ordered) = if with_tail { self.tail(&shown, place, body.distinct) } else { (Sql::default(), false) };
        let select: Sql = if body.distinct { "SELECT DISTINCT " } else { "SELECT " }.into();
        let mut text = sql!("{}{}{}", select, body.list, from);
        if let Some(filter) = &body.filter {
            text = sql!("{} WHERE {}", text, filter);
        }
        text = sql!("{}{}", text, body.group);
        let scope = self.scopes.pop().expect("pushed above");
        for (at, (name, spec)) in scope.windows.into_iter().enumerate() {
            let word = Sql::from(format!("{}{name} AS (", if at > 0 { ", " } else { " WINDOW " }));
            text = sql!("{}{}{})", text, word, spec);
        }
        text = sql!("{}{}", text, tail);
        let aliases = body.items.iter().filter(|item| item.alias).filter_map(|item| item.name.clone()).collect();
        let columns = body.items.into_iter().map(|item| (item.name.unwrap_or_default(), item.ty, item.raw)).collect();
        Made { sql: text, columns, aliases, ordered }
    }

    fn plain(&mut self, types: Option<&[Type]>, place: Place, from: &Sql) -> Body {
        let bare = from.ours.is_empty();
        // SQLite loses the names of columns behind `x.*` over a join in parentheses.
        let nested = [" (t", " (q"].iter().any(|it| from.ours.contains(it));
        if types.is_none() && !bare && !nested && self.random.percent(12) {
            let (list, items) = self.stars();
            let mut names: Vec<_> = items.iter().filter_map(|item| item.name.clone()).collect();
            names.sort_unstable();
            names.dedup();
            if place == Place::Top || names.len() == items.len() {
                let filter = self.filter(&[], bare);
                return Body { list, items, filter, group: Sql::default(), distinct: self.distinct() };
            }
        }
        self.note("plain");
        let windows = self.random.percent(16);
        let types: Vec<_> = match types {
            Some(types) => types.to_vec(),
            None => (0..=self.random.below(3)).map(|_| self.any_type()).collect(),
        };
        let mut items: Vec<_> = types.iter().map(|ty| self.item(*ty, windows)).collect();
        self.give_names(&mut items, place);
        let filter = self.filter(&items, bare);
        let list: Vec<_> = items.iter().map(Item::listed).collect();
        Body { list: Sql::joined(&list, ", "), items, filter, group: Sql::default(), distinct: self.distinct() }
    }

    fn distinct(&mut self) -> bool {
        let distinct = self.random.percent(12);
        if distinct {
            self.note("distinct");
        }
        distinct
    }

    fn filter(&mut self, items: &[Item], bare: bool) -> Option<Sql> {
        if bare || !self.random.percent(60) {
            return None;
        }
        self.note("where");
        // Names of the result can be used in WHERE, as long as they are values of single rows.
        let aliases = items.iter().filter(|item| item.alias && item.of_row && item.sql.is_named());
        let aliases: Vec<_> = aliases.filter_map(|item| Some((item.name.clone()?, item.ty))).collect();
        self.scope().aliases = aliases;
        let filter = self.boolean(3);
        let used = self.scope().aliases.iter().any(|(name, _)| filter.ours.contains(name.as_str()));
        if used {
            self.note("alias in where");
        }
        Some(filter)
    }

    fn item(&mut self, ty: Type, windows: bool) -> Item {
        if windows && self.random.percent(60) {
            self.note("windows");
            let window = self.windowed(ty);
            let sql = match (ty, self.random.below(4)) {
                (Type::Text, 1) => sql!("lower({})", window),
                (Type::Integer, 1) => {
                    Sql { ours: format!("({} + 1)", window.ours), theirs: format!("plus({}, 1)", window.theirs) }
                }
                (Type::Real, 1) => sql!("({} * 0.5)", window),
                (Type::Boolean, 1) => sql!("(NOT {})", window),
                _ => window,
            };
            return Item { of_row: false, ..Item::new(sql, ty) };
        }
        if self.random.percent(35) {
            let column = self.table_column(|column| column.ty == ty);
            if let Some(column) = column {
                self.note("column");
                let raw = self
                    .scope()
                    .columns
                    .iter()
                    .any(|it| it.raw && (it.full() == column || it.short && it.name == column));
                let name = column.rsplit('.').next().map(ToOwned::to_owned);
                return Item { name, raw, ..Item::new(column.into(), ty) };
            }
        }
        Item::new(self.of(ty, 3), ty)
    }

    /// Names for the columns that need one, and for some that do not.
    pub(super) fn give_names(&mut self, items: &mut [Item], place: Place) {
        for at in 0..items.len() {
            let taken = (0..at).any(|other| items[other].name == items[at].name);
            let unnamed = items[at].name.is_none() || taken;
            if place == Place::Table && unnamed || !items[at].alias && self.random.percent(30) {
                self.note("alias");
                let name = self.name('c');
                let item = &mut items[at];
                (item.name, item.alias) = (Some(name), true);
            }
        }
    }

    /// `*` or `x.*`.
    fn stars(&mut self) -> (Sql, Vec<Item>) {
        let columns = self.scope().columns.clone();
        let tables: Vec<_> = columns.iter().map(|column| column.table.clone()).filter(|it| !it.is_empty()).collect();
        let item = |column: &crate::tests::generator::Column| Item {
            name: Some(column.name.clone()),
            raw: column.raw,
            ..Item::new(column.full().into(), column.ty)
        };
        if !tables.is_empty() && self.random.percent(40) {
            self.note("table star");
            let table = self.random.pick(&tables).clone();
            let own = columns.iter().filter(|column| column.table == table).map(item).collect();
            return (format!("{table}.*").into(), own);
        }
        self.note("star");
        ("*".into(), columns.iter().filter(|column| !column.away).map(item).collect())
    }
}
