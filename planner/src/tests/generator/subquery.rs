//! Queries in expressions.

use daemoneye_dsl::types::Type;

use super::super::statement::Place;
use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "scalar subquery",
    "scalar subquery of an aggregate",
    "any row",
    "exists",
    "not exists",
    "in subquery",
    "not in subquery",
    "in subquery of mixed numbers",
    "in subquery collate",
    "row in subquery",
    "in values",
];

impl Generator<'_> {
    /// Whether another query may stand here. In an aggregate of a subquery it could give the aggregate to the query
    /// around.
    pub(super) fn may_ask(&self) -> bool {
        self.queries > 0 && !self.scopes.is_empty() && !(self.own_only && self.scopes.len() > 1)
    }

    /// One value from a query.
    pub(super) fn scalar(&mut self, ty: Type) -> Option<Sql> {
        if !matches!(ty, Type::Integer | Type::Real | Type::Text | Type::Boolean) {
            return None;
        }
        let place = if self.random.percent(50) {
            self.note("scalar subquery of an aggregate");
            Place::Aggregate
        } else if self.is_free() && self.random.percent(50) {
            self.note("any row");
            Place::AnyValue
        } else {
            Place::Value
        };
        self.note("scalar subquery");
        let query = self.within(Some(&[ty]), place);
        Some(sql!("({})", query))
    }

    /// EXISTS or IN.
    pub(super) fn question(&mut self, next: usize) -> Sql {
        match self.random.below(8) {
            0..=2 => {
                let query = self.within(None, Place::Members);
                if self.random.percent(40) {
                    self.note("not exists");
                    return sql!("(NOT EXISTS ({}))", query);
                }
                self.note("exists");
                sql!("EXISTS ({})", query)
            }
            3..=5 => self.in_subquery(next),
            6 => {
                let types = self.row_types();
                let row = self.row(&types, next);
                let query = self.within(Some(&types), Place::Members);
                let not = self.in_or_not();
                self.note("row in subquery");
                sql!("({} {}IN ({}))", row, not, query)
            }
            _ => {
                let ty = self.any_type();
                let of = self.of(ty, next);
                self.note("in values");
                let rows: Vec<_> = (0..=self.random.below(3))
                    .map(|_| {
                        let value = self.value(ty);
                        sql!("({})", value)
                    })
                    .collect();
                let (not, rows) = (self.in_or_not(), Sql::joined(&rows, ", "));
                sql!("({} {}IN (VALUES {}))", of, not, rows)
            }
        }
    }

    fn in_subquery(&mut self, next: usize) -> Sql {
        let ty = self.any_type();
        let numbers = [Type::Integer, Type::Real, Type::Boolean];
        let other = if numbers.contains(&ty) && self.random.percent(30) {
            self.note("in subquery of mixed numbers");
            *self.random.pick(&numbers)
        } else {
            ty
        };
        let mut of = self.of(ty, next);
        if ty == Type::Text && self.random.percent(20) {
            self.note("in subquery collate");
            of = self.collated(&of);
        }
        let query = self.within(Some(&[other]), Place::Members);
        let not = self.in_or_not();
        sql!("({} {}IN ({}))", of, not, query)
    }

    fn in_or_not(&mut self) -> Sql {
        let not = self.random.percent(40);
        self.note(if not { "not in subquery" } else { "in subquery" });
        if not { "NOT " } else { "" }.into()
    }

    fn within(&mut self, types: Option<&[Type]>, place: Place) -> Sql {
        let own_only = std::mem::replace(&mut self.own_only, false);
        let made = self.query(types, place);
        self.own_only = own_only;
        made.sql
    }
}
