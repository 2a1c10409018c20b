//! What the laws found once, each as the smallest statement that showed it: these are asked every time.

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::types::{Timestamp, Value};

use super::differential::{Outcome, ask_both};
use super::random::Random;
use super::sqlite::Sqlite;
use super::statement::Statement;
use super::world::{EPOCH, Row, World};

/// Statements whose answer is SQLite's.
const ALIKE: &[&str] = &[
    // Answers to subqueries in WHERE stand behind the row that windows and columns count on.
    "SELECT s, row_number() OVER (ORDER BY i) FROM t0 WHERE EXISTS (SELECT 1 FROM t1)",
    "SELECT lag(s) OVER (ORDER BY i), j FROM t0 WHERE i IN (SELECT i FROM t1) OR j > 0",
    // A frame without rows, whichever way it is written.
    "SELECT count(*) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND 2 PRECEDING) FROM t0",
    "SELECT sum(i) OVER (ORDER BY i GROUPS BETWEEN 2 FOLLOWING AND 1 FOLLOWING) FROM t0 WHERE i < 9",
    // GROUPS without an order; RANGE along nothing.
    "SELECT count(*) OVER (GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t0",
    "SELECT count(*) OVER (ORDER BY NULL RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t0",
    // Doubles cannot tell the greatest INTEGER from the one before.
    "SELECT count(*) OVER (ORDER BY i RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) FROM t0",
    "SELECT lead(i, 9223372036854775807) OVER (ORDER BY i), lag(i, -9223372036854775807) OVER (ORDER BY i) FROM t0",
    // A literal takes the type of a column, also through queries, and of nothing that was computed.
    "SELECT n FROM (SELECT count(*) AS n FROM t0) WHERE n = '3'",
    "SELECT v FROM (SELECT i AS v FROM t0) WHERE v = '1'",
    "SELECT v FROM (SELECT i AS v FROM t0 GROUP BY i) WHERE v IN ('1')",
    "SELECT v FROM (SELECT i + 0 AS v FROM t0) WHERE v = '1'",
    "SELECT (SELECT i FROM t0 ORDER BY i LIMIT 1) = '1', (SELECT max(i) FROM t0) = '1'",
    "SELECT '1' IN (SELECT i FROM t0), column1 = '1' FROM (VALUES (1), (2))",
    "SELECT x.column1 = '1' FROM t0, t1 JOIN (VALUES (1)) AS x",
    "SELECT (SELECT x.column1 = 1 FROM (SELECT * FROM (VALUES (CAST(t0.i AS TEXT)))) AS x) FROM t0",
    "SELECT count(*) FROM t1 FULL JOIN t2 USING (k) WHERE k = '1'",
    "SELECT v FROM (SELECT k AS v FROM t1 NATURAL RIGHT JOIN t2) WHERE v = '1'",
    "SELECT CAST(hex(s) AS TEXT) < 9, hex(s) < 9, CAST(i + 0 AS INTEGER) = '1', i + 0 = '1' FROM t0",
    // VALUES as a value, and joined with other queries.
    "SELECT (VALUES (1)), (VALUES (2) UNION SELECT i FROM t0 ORDER BY 1 LIMIT 1)",
    // A query among others in a list is a value, alone it is looked through.
    "SELECT i FROM t0 WHERE i IN ((SELECT k FROM t1 ORDER BY k LIMIT 1), 2, NULL) OR i NOT IN ((SELECT k FROM t1))",
    "SELECT 1 NOT IN ((SELECT i FROM t0 WHERE i = 77)), 1 IN (((SELECT i FROM t0)))",
    // The result's names are seen from within.
    "SELECT i + 0 AS n FROM t0 WHERE EXISTS (SELECT 1 FROM t1 WHERE t1.k = n)",
    "SELECT count(*) AS n, s FROM t0 GROUP BY s HAVING 3 IN (SELECT n FROM t1)",
    // Joined columns keep their name.
    "SELECT x.k FROM (SELECT k FROM t1 NATURAL FULL JOIN t2) AS x",
    "SELECT x.column2 FROM (SELECT d.column2 FROM (VALUES (1, NULL)) AS d) AS x",
    "SELECT (SELECT x.j FROM (SELECT t0.j) AS x) FROM t0",
    // INTEGER is among REALs by its exact value.
    "SELECT i, i IN (SELECT 9.223372036854775807e18), 2.0 IN (SELECT i FROM t0) FROM t0",
    // An index over what changes with the parameters served all of them.
    "SELECT EXISTS (SELECT 1 FROM t0 AS x WHERE x.j + 0 = t1.k GROUP BY x.i HAVING max(x.i) = t1.i) FROM t1",
];

#[test]
fn what_was_found_stays_found() {
    let (sqlite, world) = (Sqlite::new(), world());
    sqlite.fill(&world);
    let mut lost = Vec::new();
    for sql in ALIKE {
        let statement = Statement { ours: (*sql).to_owned(), theirs: (*sql).to_owned(), ordered: false, forms: vec![] };
        match ask_both(&world, &sqlite, &statement) {
            Outcome::Same(rows) => assert!(rows > 0 || sql.contains("FROM (SELECT"), "no rows: {sql}"),
            Outcome::Refused => lost.push(format!("{sql}\nrefused")),
            Outcome::Overflow => panic!("SQLite cannot be asked: {sql}"),
            Outcome::Differs(why) => lost.push(format!("{sql}\n{why}")),
        }
    }
    assert!(lost.is_empty(), "{} of {}\n{}", lost.len(), ALIKE.len(), lost.join("\n"));
}

#[test]
fn what_would_not_end_is_refused() {
    let world = world();
    for sql in [
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c WHERE n < 5",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 400) \
         SELECT count(*) FROM c AS x JOIN c AS y ON (SELECT count(*) FROM c AS z WHERE z.n < x.n + y.n) > 1",
    ] {
        let query = check_query(&Source::query(sql), &world.catalog()).rule.expect("it compiles").query;
        let failed = crate::execute(&crate::plan(&query), &world, Timestamp(EPOCH)).expect_err("it has no end");
        assert!(failed.to_string().contains("would take more than"), "{failed}");
    }
}

/// Three rows of each table.
fn world() -> World {
    let mut world = World::random(&mut Random::replay(&[]));
    let integers = [[1, 1], [2, 1], [i64::MAX, 2]];
    for (table, rows) in &mut world.tables {
        *rows = integers
            .iter()
            .map(|integers| {
                let mut integers = integers.iter().map(|it| Value::Integer(*it));
                let mut texts = ["a", "b"].into_iter().map(|it| Value::Text(it.to_owned()));
                let value = |column: &daemoneye_dsl::tables::Column| match column.ty {
                    daemoneye_dsl::types::Type::Integer => integers.next().unwrap_or_default(),
                    daemoneye_dsl::types::Type::Text => texts.next().unwrap_or_default(),
                    _ => Value::Null,
                };
                table.columns.iter().map(value).collect::<Row>()
            })
            .collect();
    }
    world
}
