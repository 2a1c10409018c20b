//! ORDER BY, LIMIT and OFFSET.

use super::Place;
use crate::tests::generator::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "order by",
    "order desc",
    "nulls first",
    "nulls last",
    "order collate",
    "order expression",
    "order name",
    "limit",
    "limit inside",
    "offset",
    "limit comma",
];

/// A column of a result, to order by.
pub(super) struct Column {
    /// Its expression, where other expressions can be ordered by as well.
    pub(super) text: Option<Sql>,
    /// The name that was given to it.
    pub(super) alias: Option<String>,
    pub(super) exact: bool,
}

impl Generator<'_> {
    /// The tail, and whether it puts every row in its place: it ends with all columns.
    pub(super) fn tail(&mut self, columns: &[Column], place: Place, distinct: bool) -> (Sql, bool) {
        match place {
            Place::Top if self.random.percent(40) => {
                let any_rows = self.is_free() && self.random.percent(40);
                let order = if any_rows { self.some_order(columns, distinct) } else { self.order(columns, distinct) };
                let limit = if any_rows || self.random.percent(50) { self.limit() } else { Sql::default() };
                (sql!("{}{}", order, limit), !any_rows)
            }
            // Within EXISTS, SQLite forgets DISTINCT although OFFSET counts its rows.
            Place::Table | Place::Members if !(distinct && place == Place::Members) && self.random.percent(15) => {
                self.note("limit inside");
                let any_rows = self.is_free() && self.random.percent(40);
                let order = if any_rows { self.some_order(columns, distinct) } else { self.order(columns, distinct) };
                let limit = self.limit();
                (sql!("{}{}", order, limit), false)
            }
            Place::Value => {
                let order = self.order(columns, distinct);
                let limit: Sql =
                    (*self.random.pick(&[" LIMIT 1", " LIMIT 1", " LIMIT 2", "", " LIMIT 1 OFFSET 1"])).into();
                (sql!("{}{}", order, limit), false)
            }
            _ => (Sql::default(), false),
        }
    }

    /// Terms of its own first, then every column by its number, sums of REAL last: their last digit may differ.
    fn order(&mut self, columns: &[Column], distinct: bool) -> Sql {
        self.note("order by");
        let mut terms = Vec::new();
        if self.random.percent(50) {
            terms.extend(self.leading_term(columns, distinct));
        }
        let exact_first = (0..columns.len()).filter(|at| columns[*at].exact);
        let numbers: Vec<_> = exact_first.chain((0..columns.len()).filter(|at| !columns[*at].exact)).collect();
        for at in numbers {
            let (number, direction) = (Sql::from((at + 1).to_string()), self.direction());
            terms.push(sql!("{}{}", number, direction));
        }
        let terms = Sql::joined(&terms, ", ");
        sql!(" ORDER BY {}", terms)
    }

    /// An order that leaves open which of several rows comes first, or none.
    fn some_order(&mut self, columns: &[Column], distinct: bool) -> Sql {
        match self.leading_term(columns, distinct).filter(|_| self.random.percent(60)) {
            Some(term) => sql!(" ORDER BY {}", term),
            None => Sql::default(),
        }
    }

    fn leading_term(&mut self, columns: &[Column], distinct: bool) -> Option<Sql> {
        if self.random.percent(30) {
            let named: Vec<_> = columns.iter().filter(|it| it.exact).filter_map(|it| it.alias.clone()).collect();
            if !named.is_empty() {
                self.note("order name");
                let (name, direction) = (Sql::from(self.random.pick(&named).as_str()), self.direction());
                return Some(sql!("{}{}", name, direction));
            }
        }
        let own: Vec<_> = columns.iter().filter(|it| it.exact).filter_map(|it| it.text.clone()).collect();
        if own.is_empty() || distinct {
            return None;
        }
        let grouped = self.scope().group.is_some();
        let term = if grouped || self.random.percent(50) { self.random.pick(&own).clone() } else { self.any_term() };
        // A bare number would be the number of a column; behind a constant with DESC SQLite 3.54 sorts backwards.
        if !term.is_named() || !term.has_column() {
            return None;
        }
        self.note("order expression");
        let direction = self.direction();
        Some(sql!("{}{}", term, direction))
    }

    fn any_term(&mut self) -> Sql {
        let ty = self.any_type();
        let term = self.of(ty, 2);
        if ty == daemoneye_dsl::types::Type::Text && self.random.percent(20) {
            self.note("order collate");
            return sql!("{} COLLATE NOCASE", term);
        }
        term
    }

    pub(in crate::tests) fn direction(&mut self) -> Sql {
        let mut text = (*self.random.pick(&["", " ASC", " DESC"])).to_owned();
        if text == " DESC" {
            self.note("order desc");
        }
        match self.random.below(5) {
            1 => {
                self.note("nulls first");
                text.push_str(" NULLS FIRST");
            }
            2 => {
                self.note("nulls last");
                text.push_str(" NULLS LAST");
            }
            _ => {}
        }
        text.into()
    }

    fn limit(&mut self) -> Sql {
        self.note("limit");
        let (limit, offset) = (self.random.below(6), self.random.below(4));
        match self.random.below(4) {
            1 => {
                self.note("offset");
                format!(" LIMIT {limit} OFFSET {offset}")
            }
            2 => {
                self.note("limit comma");
                format!(" LIMIT {offset}, {limit}")
            }
            3 => " LIMIT -1 OFFSET 1".to_owned(),
            _ => format!(" LIMIT {limit}"),
        }
        .into()
    }
}
