//! Each departure from SQLite is one: its example gives both engines the answers that the reference says.

use std::sync::Arc;

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::departures::{CHAPTERS, EXAMPLE_TABLE, Ours, Theirs};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::{Column, Kind, Table};
use daemoneye_dsl::types::{Timestamp, Type, Value};

use super::sqlite::Sqlite;
use super::world::{EPOCH, Row, World, rows_of};

fn world() -> World {
    assert_eq!(EXAMPLE_TABLE, "t(i INTEGER, r REAL, s TEXT) with the row (5, 2.5, '5')");
    let column = |name: &'static str, ty| Column::new(name, ty, true, "A column.");
    let columns = vec![column("i", Type::Integer), column("r", Type::Real), column("s", Type::Text)];
    let table = Table { name: "t".into(), doc: "A table.".into(), kind: Kind::State, columns };
    World {
        tables: vec![(Arc::new(table), vec![vec![Value::Integer(5), Value::Real(2.5), Value::Text("5".to_owned())]])],
    }
}

/// The first row, or the code of the first error.
fn ours(sql: &str, world: &World) -> Result<Row, String> {
    let checked = check_query(&Source::query(sql), &world.catalog());
    let Some(rule) = checked.rule else { return Err(checked.diagnostics[0].code.to_owned()) };
    let answer = crate::execute(&crate::plan(&rule.query), world, Timestamp(EPOCH)).map_err(|it| it.to_string())?;
    rows_of(&answer.rows).into_iter().next().ok_or_else(|| "no row".to_owned())
}

#[test]
fn departures_are_as_the_reference_says() {
    let world = world();
    let sqlite = Sqlite::bare();
    sqlite.fill(&world);
    let theirs = |sql: &str| sqlite.rows(sql).map(|mut rows| rows.swap_remove(0)).map_err(|error| error.to_string());
    let mut wrong = Vec::new();
    for it in CHAPTERS.iter().flat_map(|chapter| chapter.departures) {
        let expected = match it.ours {
            Ours::Gives(row) => ours(&format!("SELECT {row}"), &world),
            Ours::Refused(code) => Err(code.to_owned()),
        };
        let here = ours(it.example, &world);
        if here != expected {
            wrong.push(format!("{}: here it is {here:?}, not {expected:?}", it.example));
        }
        match it.theirs {
            Theirs::Varies => {}
            Theirs::Fails => {
                let there = sqlite.rows(it.example);
                if there.is_ok() {
                    wrong.push(format!("{}: SQLite gives {there:?}", it.example));
                }
            }
            Theirs::Gives(row) => {
                let (there, expected) = (theirs(it.example), theirs(&format!("SELECT {row}")));
                if there != expected {
                    wrong.push(format!("{}: in SQLite it is {there:?}, not {expected:?}", it.example));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
