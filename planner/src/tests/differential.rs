//! Whole results against SQLite's, row by row with the type of each value.

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::types::{Timestamp, Value};

use super::random::{Coverage, Random};
use super::sqlite::Sqlite;
use super::statement::{Statement, statement};
use super::world::{EPOCH, Row, World, rows_of};
use super::{generator, setting, statement as statements};

/// Statements asked over the same rows.
const PER_WORLD: u64 = 10;
/// Differences that a failure prints.
const SHOWN: usize = 8;

#[test]
fn answers_are_sqlite_s() {
    let (cases, seed) = (setting("CASES", 3_000), setting("SEED", 1));
    let sqlite = Sqlite::new();
    let mut coverage = Coverage::default();
    let (mut refused, mut overflowed, mut filled) = (0, 0, 0);
    let mut differences = Vec::new();
    for number in 0..cases.div_ceil(PER_WORLD) {
        let mut random = Random::new(seed.wrapping_mul(1 << 32).wrapping_add(number));
        let world = World::random(&mut random);
        sqlite.fill(&world);
        for _ in 0..PER_WORLD {
            let statement = statement(&world, &mut random, false);
            match ask_both(&world, &sqlite, &statement) {
                Outcome::Same(rows) => {
                    coverage.add(&statement.forms);
                    filled += u64::from(rows > 0);
                }
                Outcome::Refused => refused += 1,
                Outcome::Overflow => overflowed += 1,
                Outcome::Differs(why) => differences.push(format!(
                    "seed {seed}, world {number}\n  ours: {}\ntheirs: {}\n{why}\n{}",
                    statement.ours,
                    statement.theirs,
                    described(&world, &statement.ours)
                )),
            }
        }
    }
    // Short ones are easier to understand.
    differences.sort_by_key(String::len);
    let shown = differences.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(differences.is_empty(), "{} differences, of which the first are\n{shown}", differences.len());
    let cases = cases.div_ceil(PER_WORLD) * PER_WORLD;
    report(&format!(
        "{cases} cases, {refused} refused, {overflowed} refused by SQLite, {filled} with rows\n{coverage}"
    ));
    assert!(refused * 100 < cases * 30, "{refused} of {cases} statements were refused");
    assert!(filled * 100 > cases * 40, "only {filled} of {cases} statements gave rows");
    let untimed = |form: &&&str| !["now", "window"].contains(*form);
    let forms: Vec<_> = generator::FORMS.iter().filter(untimed).chain(statements::FORMS).copied().collect();
    coverage.assert_all(&forms);
}

#[expect(clippy::print_stderr, reason = "what was covered is part of the test's answer")]
pub(super) fn report(text: &str) {
    eprintln!("{text}");
}

pub(super) enum Outcome {
    Same(usize),
    Refused,
    Overflow,
    Differs(String),
}

pub(super) fn ask_both(world: &World, sqlite: &Sqlite, statement: &Statement) -> Outcome {
    let checked = check_query(&Source::query(&statement.ours), &world.catalog());
    let Some(rule) = checked.rule else {
        let codes: Vec<_> = checked.diagnostics.iter().map(|it| it.code).collect();
        // Types that do not meet, and patterns made at run time, are what this dialect refuses; anything else is a form that it should know.
        let by_type = checked.diagnostics.iter().all(|it| matches!(it.code, "DE205" | "DE209"));
        return if by_type {
            Outcome::Refused
        } else {
            Outcome::Differs(format!("refused: {codes:?} {:?}", checked.diagnostics))
        };
    };
    let theirs = match sqlite.rows(&statement.theirs) {
        Ok(rows) => rows,
        // A sum that does not fit; an expression that it folds to a number and takes for a column's; a column that it
        // replaces by the text it is compared with, which our own functions are then called with.
        Err(error)
            if ["integer overflow", "term out of range", "Invalid function parameter"]
                .iter()
                .any(|it| error.to_string().contains(it)) =>
        {
            return Outcome::Overflow;
        }
        Err(error) => return Outcome::Differs(format!("SQLite: {error}")),
    };
    let plan = crate::plan(&rule.query);
    let ours = match crate::execute(&plan, world, Timestamp(EPOCH)) {
        Ok(answer) => rows_of(&answer.rows),
        Err(error) => return Outcome::Differs(format!("ours: {error}")),
    };
    let ours: Vec<Row> = ours.into_iter().map(|row| row.into_iter().map(as_sqlite_has_it).collect()).collect();
    if same(ours.clone(), theirs.clone(), statement.ordered) {
        Outcome::Same(ours.len())
    } else {
        Outcome::Differs(format!("  ours: {ours:?}\ntheirs: {theirs:?}\n{plan}"))
    }
}

/// BOOLEAN and TIMESTAMP are INTEGER there.
pub(super) fn as_sqlite_has_it(value: Value) -> Value {
    match value {
        Value::Boolean(value) => Value::Integer(i64::from(value)),
        Value::Timestamp(value) => Value::Integer(value),
        value => value,
    }
}

fn same(mut ours: Vec<Row>, mut theirs: Vec<Row>, ordered: bool) -> bool {
    if ours.len() != theirs.len() {
        return false;
    }
    let alike = |ours: &[Row], theirs: &[Row]| ours.iter().zip(theirs).all(|(a, b)| row_alike(a, b));
    if alike(&ours, &theirs) {
        return true;
    }
    if ordered {
        return false;
    }
    let order =
        |a: &Row, b: &Row| a.iter().zip(b).fold(std::cmp::Ordering::Equal, |so_far, (a, b)| so_far.then(a.compare(b)));
    ours.sort_by(order);
    theirs.sort_by(order);
    alike(&ours, &theirs)
}

fn row_alike(ours: &Row, theirs: &Row) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| alike(a, b))
}

/// The same value of the same type; REAL to 12 digits, for sums.
pub(super) fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Real(a), Value::Real(b)) => ours == theirs || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
        _ => ours == theirs,
    }
}

/// The tables that the statement names.
pub(super) fn described(world: &World, sql: &str) -> String {
    let table = |(table, rows): &(std::sync::Arc<daemoneye_dsl::tables::Table>, Vec<Row>)| {
        let columns: Vec<_> = table.columns.iter().map(|column| &*column.name).collect();
        let rows: Vec<_> = rows.iter().map(|row| format!("  {row:?}")).collect();
        format!("{} {columns:?}\n{}", table.name, rows.join("\n"))
    };
    world.tables.iter().filter(|(table, _)| sql.contains(&*table.name)).map(table).collect::<Vec<_>>().join("\n")
}
