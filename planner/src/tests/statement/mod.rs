//! Random SELECTs around random expressions.

mod from;
mod group;
mod query;
mod select;
mod tail;
mod with;

use super::generator::{Generator, Mode, Sql};
use super::random::Random;
use super::world::World;
use daemoneye_dsl::types::Type;

/// A statement for both engines.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) ours: String,
    pub(super) theirs: String,
    /// The order of the result is total.
    pub(super) ordered: bool,
    pub(super) forms: Vec<&'static str>,
}

/// Where a query stands, and so what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The statement itself.
    Top,
    /// In FROM or WITH: its columns need names.
    Table,
    /// A value: at most one row, always the same.
    Value,
    /// A value from an aggregate without GROUP BY.
    Aggregate,
    /// A value from any of its rows.
    AnyValue,
    /// After EXISTS or IN, or beside UNION: any rows, in any order.
    Members,
}

/// A query that was written.
pub(super) struct Made {
    pub(super) sql: Sql,
    /// Its columns, and which of them are straight from a table.
    pub(super) columns: Vec<(String, Type, bool)>,
    /// Those of their names that were given with AS.
    pub(super) aliases: Vec<String>,
    pub(super) ordered: bool,
}

/// Every form that statements have here; each must come up.
pub(super) fn forms() -> Vec<&'static str> {
    [from::FORMS, group::FORMS, query::FORMS, select::FORMS, tail::FORMS, with::FORMS].concat()
}

/// A statement over the tables of `world`.
pub(super) fn statement(world: &World, random: &mut Random, mode: Mode) -> Statement {
    let mut generator = Generator::new(world, random, mode);
    let made = generator.query(None, Place::Top);
    Statement { ours: made.sql.ours, theirs: made.sql.theirs, ordered: made.ordered, forms: generator.forms }
}
