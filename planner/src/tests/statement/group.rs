//! SELECTs with GROUP BY or aggregates.

use daemoneye_dsl::types::{Type, Value};

use super::Place;
use super::select::{Body, Item};
use crate::tests::generator::{Generator, Grouped, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "group by",
    "group by alias",
    "group by number",
    "having",
    "aggregate only",
    "aggregate",
    "bare column of min",
    "bare column of max",
    "bare column of one value",
    "bare column of any row",
];

impl Generator<'_> {
    pub(super) fn grouped(&mut self, types: Option<&[Type]>, place: Place) -> Body {
        if place == Place::Top
            && self.random.percent(12)
            && let Some(body) = self.with_bare(place)
        {
            return body;
        }
        let keys = if place == Place::Aggregate { vec![] } else { self.keys() };
        self.note(if keys.is_empty() { "aggregate only" } else { "group by" });
        // Sums of REAL differ in the last digit from SQLite's: they are shown, not computed with.
        let shown = place == Place::Top;
        let mut aggregates = Vec::new();
        for _ in 0..=self.random.below(3) {
            let exact = !shown || self.random.percent(50);
            aggregates.push(self.aggregate(None, exact));
        }
        let wanted: Vec<Option<Type>> = match types {
            Some(types) => types.iter().map(|ty| Some(*ty)).collect(),
            None => vec![],
        };
        let mut items = Vec::new();
        let mut at_key = vec![None; keys.len()];
        if types.is_none() {
            for (key, (sql, ty, raw)) in keys.iter().enumerate() {
                at_key[key] = Some(items.len());
                items.push(Item { raw: *raw, ..Item::new(sql.clone(), *ty) });
            }
            for aggregate in &aggregates {
                let item = Item::new(aggregate.sql.clone(), aggregate.ty);
                items.push(Item { exact: aggregate.exact, of_row: false, ..item });
            }
        }
        let filter =
            if place == Place::Aggregate && self.scope().columns.is_empty() { None } else { self.row_filter() };
        let exact = aggregates.iter().filter(|it| it.exact).map(|it| (it.sql.clone(), it.ty));
        let values = keys.iter().map(|(sql, ty, _)| (sql.clone(), *ty)).chain(exact).collect();
        let columns = keys.iter().filter(|(sql, ..)| is_full_column(&sql.ours));
        let columns = columns.map(|(sql, ty, _)| (sql.ours.clone(), *ty)).collect();
        let texts = keys.iter().map(|(sql, ..)| sql.clone()).collect();
        self.scope().group = Some(Grouped { values, keys: texts, columns });
        let windows = place != Place::Aggregate && self.random.percent(15);
        let extra = if types.is_none() && self.random.percent(30) { vec![self.any_type()] } else { vec![] };
        for ty in wanted.into_iter().flatten().chain(extra) {
            items.push(self.group_item(ty, place, windows));
        }
        self.give_names(&mut items, place);
        let group = self.group_by(&keys, &at_key, &mut items, types);
        let list: Vec<_> = items.iter().map(Item::listed).collect();
        let exact = items.iter().all(|item| item.exact);
        let distinct = exact && self.random.percent(8);
        if distinct {
            self.note("distinct");
        }
        Body { list: Sql::joined(&list, ", "), items, filter, group, distinct }
    }

    fn group_item(&mut self, ty: Type, place: Place, windows: bool) -> Item {
        self.note("aggregate");
        let sql = match self.random.below(10) {
            0..=5 => {
                let group = self.scope().group.take();
                let aggregate = self.aggregate(Some(ty), place != Place::Top);
                self.scope().group = group;
                return Item { exact: aggregate.exact, of_row: false, ..Item::new(aggregate.sql, ty) };
            }
            6 | 7 if windows => {
                self.note("windows");
                self.windowed(ty)
            }
            _ => self.of(ty, 2),
        };
        Item { of_row: false, ..Item::new(sql, ty) }
    }

    fn row_filter(&mut self) -> Option<Sql> {
        if self.scope().columns.is_empty() || !self.random.percent(50) {
            return None;
        }
        self.note("where");
        Some(self.boolean(3))
    }

    /// Expressions to group by. A constant would be the number of a column, or nothing that tells rows apart.
    fn keys(&mut self) -> Vec<(Sql, Type, bool)> {
        let mut keys = Vec::new();
        for _ in 0..self.random.below(3) {
            let ty = self.any_type();
            if self.random.percent(70)
                && let Some(column) = self.table_column(|column| column.ty == ty)
            {
                let raw = self.scope().columns.iter().any(|it| it.raw && (it.full() == column || it.name == column));
                keys.push((column.into(), ty, raw));
                continue;
            }
            let key = self.of(ty, 2);
            if key.is_named() && !key.ours.starts_with('(') || key.has_column() {
                keys.push((key, ty, false));
            }
        }
        keys
    }

    fn group_by(
        &mut self,
        keys: &[(Sql, Type, bool)],
        places: &[Option<usize>],
        items: &mut [Item],
        types: Option<&[Type]>,
    ) -> Sql {
        let mut texts = Vec::new();
        for ((sql, ..), at) in keys.iter().zip(places) {
            texts.push(match (at, self.random.below(10)) {
                (Some(at), 8 | 9) => {
                    self.note("group by alias");
                    let name = if items[*at].alias { items[*at].name.clone() } else { None };
                    let name = name.unwrap_or_else(|| self.name('g'));
                    items[*at].name = Some(name.clone());
                    items[*at].alias = true;
                    name.into()
                }
                (Some(at), 6 | 7) => {
                    self.note("group by number");
                    (at + 1).to_string().into()
                }
                _ => sql.clone(),
            });
        }
        let mut group = Sql::joined(&texts, ", ");
        if !texts.is_empty() {
            group = sql!(" GROUP BY {}", group);
        }
        // SQLite refuses HAVING where nothing groups.
        if (!keys.is_empty() || types.is_none()) && self.random.percent(30) {
            self.note("having");
            let having = self.boolean(2);
            group = sql!("{} HAVING {}", group, having);
        }
        group
    }

    /// Columns beside aggregates, where SQLite's answer is determined: the values of the one row with the least or
    /// greatest value, or the same in all rows of a group.
    fn with_bare(&mut self, place: Place) -> Option<Body> {
        let free = self.is_free() && self.random.percent(50);
        let constant = !free && self.random.percent(40);
        let picks = if free || constant { None } else { self.one_of_a_kind() };
        let key = self.table_column(|column| !matches!(column.ty, Type::Timestamp | Type::Real));
        let bare = self.table_column(|_| true)?;
        let (aggregate, form): (Sql, _) = match (picks, constant) {
            (Some(column), _) => {
                let name = *self.random.pick(&["min", "max"]);
                (
                    format!("{name}({column})").into(),
                    ["bare column of min", "bare column of max"][usize::from(name == "max")],
                )
            }
            (None, true) => ("count(*)".into(), "bare column of one value"),
            (None, false) if free => (self.aggregate(None, true).sql, "bare column of any row"),
            _ => return None,
        };
        self.note(form);
        let column = |generator: &mut Self, text: &str| {
            let found = generator.scope().columns.iter().find(|it| it.full() == text || it.name == text).cloned();
            found.expect("a column of this query")
        };
        let (group, bare) = if constant {
            // Grouped by something that no two values share.
            let key = key?;
            (format!(" GROUP BY '<' || {key}"), key)
        } else {
            (key.filter(|_| self.random.percent(60)).map_or_else(String::new, |key| format!(" GROUP BY {key}")), bare)
        };
        let filter = self.row_filter();
        let shown = column(self, &bare);
        let ty = if aggregate.ours.starts_with("count") { Type::Integer } else { Type::Text };
        let mut items = vec![
            Item { name: Some(shown.name.clone()), raw: shown.raw, ..Item::new(bare.into(), shown.ty) },
            Item { of_row: false, ..Item::new(aggregate, ty) },
        ];
        self.give_names(&mut items, place);
        self.scope().group = Some(Grouped::default());
        let list: Vec<_> = items.iter().map(Item::listed).collect();
        Some(Body { list: Sql::joined(&list, ", "), items, filter, group: group.into(), distinct: false })
    }

    /// A column of which every row has another value, in a query over one table.
    fn one_of_a_kind(&mut self) -> Option<String> {
        let columns = self.scope().columns.clone();
        let first = columns.first()?.table.clone();
        if columns.iter().any(|column| column.table != first || !column.raw) {
            return None;
        }
        let tables = &self.world.tables;
        let is_this =
            |names: &[&str]| names.len() == columns.len() && columns.iter().all(|it| names.contains(&it.name.as_str()));
        let (table, rows) = tables
            .iter()
            .find(|(table, _)| is_this(&table.columns.iter().map(|column| &*column.name).collect::<Vec<_>>()))?;
        let unique = |at: usize| {
            let values: Vec<&Value> = rows.iter().map(|row| &row[at]).collect();
            values.iter().enumerate().all(|(at, value)| !value.is_null() && !values[..at].contains(value))
        };
        let unique: Vec<_> = (0..table.columns.len()).filter(|at| unique(*at)).collect();
        (!unique.is_empty()).then(|| format!("{first}.{}", table.columns[*self.random.pick(&unique)].name))
    }
}

/// Whether the text is a column with its table, which a query within can name.
fn is_full_column(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_')
}
