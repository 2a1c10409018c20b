//! What a law failed for, made as small as can be.

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::query::Query;

use super::generator::Mode;
use super::random::{Random, shrunk};
use super::statement::statement;
use super::world::World;

/// A law that looks at ourselves alone.
pub(super) type Law<'l> = &'l dyn Fn(&Query, &World, &mut Random) -> Result<(), String>;

/// Rows, and the tapes of a statement and of what happens to the rows.
pub(super) struct Case {
    pub(super) world: World,
    pub(super) mode: Mode,
    pub(super) statement: Vec<usize>,
    pub(super) changes: Vec<usize>,
}

impl Case {
    /// A smaller case for which the law fails as well, as a script and why.
    pub(super) fn reproducer(self, law: Law<'_>) -> String {
        let case = self.shrunk(law);
        let (sql, why) = (case.sql(), case.holds(law).err().unwrap_or_default());
        format!("{}\n{sql}\n{why}", case.world.script(&sql))
    }

    fn sql(&self) -> String {
        statement(&self.world, &mut Random::replay(&self.statement), self.mode).ours
    }

    fn holds(&self, law: Law<'_>) -> Result<(), String> {
        let Some(query) = checked(&self.world, &self.sql()) else { return Ok(()) };
        law(&query, &self.world, &mut Random::replay(&self.changes))
    }

    fn shrunk(mut self, law: Law<'_>) -> Self {
        let mode = self.mode;
        let fails = |world: &World, statement: &[usize], changes: &[usize]| {
            let (world, statement, changes) = (world.clone(), statement.to_vec(), changes.to_vec());
            Self { world, mode, statement, changes }.holds(law).is_err()
        };
        for _ in 0..2 {
            let (world, changes) = (self.world.clone(), self.changes.clone());
            self.statement = shrunk(self.statement, &mut |tape| fails(&world, tape, &changes));
            let statement = self.statement.clone();
            self.changes = shrunk(changes, &mut |tape| fails(&world, &statement, tape));
            let changes = self.changes.clone();
            self.world = world.shrunk(&mut |world| fails(world, &statement, &changes));
        }
        self
    }
}

/// The statement, if it compiles.
pub(super) fn checked(world: &World, sql: &str) -> Option<Query> {
    check_query(&Source::query(sql), &world.catalog()).rule.map(|rule| rule.query)
}
