//! The law of the matcher: it finds for every condition what the evaluator finds, whatever was added and removed before.

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::{Catalog, Table};
use daemoneye_dsl::types::{Timestamp, Type, Value};

use super::generator::{Column, Generator, Mode, Scope, quoted};
use super::random::Random;
use super::setting;
use super::world::{self, Row, World, columns};
use crate::eval::Evaluator;
use crate::lower::lower;
use crate::matcher::Matcher;
use crate::plan::Plan;

/// The condition of `SELECT … FROM table WHERE …`, over the table's declared columns.
pub(super) fn condition(sql: &str, catalog: &Catalog) -> Option<Arc<Expr>> {
    fn find(plan: &Plan) -> Option<Expr> {
        if let Plan::Filter { input, predicate } = plan
            && let Plan::Scan { columns, .. } = &**input
        {
            return Some(predicate.clone().with_columns(&|at| columns[at]));
        }
        plan.inputs().into_iter().find_map(find)
    }
    let rule = check_query(&Source::query(sql), catalog).rule?;
    find(&lower(&rule.query)).map(Arc::new)
}

/// What the evaluator finds.
pub(super) fn expected(conditions: &[Option<Arc<Expr>>], rows: &RecordBatch) -> Vec<(usize, Vec<u32>)> {
    let evaluator = Evaluator::new(rows, Timestamp(0), &[]);
    let there = conditions.iter().enumerate().filter_map(|(at, condition)| Some((at, condition.as_ref()?)));
    there.map(|(at, condition)| (at, evaluator.matching(condition))).filter(|(_, found)| !found.is_empty()).collect()
}

/// Conditions of every form, as the other laws have them.
fn any_condition(world: &World, random: &mut Random) -> Option<Arc<Expr>> {
    let (table, _) = &world.tables[0];
    let column = |column: &daemoneye_dsl::tables::Column| Column {
        table: table.name.to_string(),
        name: column.name.to_string(),
        ty: column.ty,
        raw: true,
        away: false,
        short: true,
    };
    let mut generator = Generator::new(world, random, Mode::Shared);
    generator.queries = 0;
    generator.scopes.push(Scope { columns: table.columns.iter().map(column).collect(), ..Scope::default() });
    let sql = generator.boolean(4).ours;
    condition(&format!("SELECT 1 FROM t0 WHERE {sql}"), &world.catalog())
}

const WORDS: &[&str] = &[
    "/usr/bin/",
    "curl",
    "Curl",
    "nc",
    " -e ",
    "dev/tcp",
    "mask",
    "maſk",
    "masK",
    "SUDO",
    "é",
    "É",
    "",
    " ",
    "x",
    "%",
    "_",
    "/bin/sh",
    "a",
    "aaaaaaaaaaaaaaaa",
    "-c",
    "http://",
    "https://",
    ".exe",
    "日本",
    "\\",
];

fn words(random: &mut Random, max: usize) -> String {
    (0..random.below(max + 1)).map(|_| *random.pick(WORDS)).collect()
}

/// A predicate as rules have them.
fn predicate(random: &mut Random) -> String {
    let column = random.word(&["s", "u"]);
    let text = words(random, 2);
    let not = random.word(&["", "", "", "NOT "]);
    let edge = |random: &mut Random| random.word(&["%", "%", "%", "", "_"]);
    match random.below(14) {
        0..=4 => {
            let (before, after) = (edge(random), edge(random));
            let between = if random.percent(20) { "%nc%" } else { "" };
            let escape = if random.percent(10) { " ESCAPE '\\'" } else { "" };
            format!("{column} {not}LIKE {}{escape}", quoted(&format!("{before}{text}{between}{after}")))
        }
        5 => format!("{column} GLOB {}", quoted(&format!("*{text}[a-c]*"))),
        6 | 7 => {
            let flags = random.word(&["", "(?i)"]);
            let other = words(random, 1).replace('\\', "");
            let text = text.replace('\\', "");
            let rest = random.word(&["", ".*", "+", "?", "$", "[0-9a-f]*"]);
            format!("{column} REGEXP {}", quoted(&format!("{flags}({text}|{other}x){rest}")))
        }
        8 => {
            let (collate, null) = (random.word(&["", " COLLATE NOCASE"]), random.word(&["", "", ", NULL"]));
            let list: Vec<_> = (0..=random.below(4)).map(|_| quoted(&words(random, 1))).collect();
            format!("{column}{collate} {not}IN ({}{null})", list.join(", "))
        }
        9 => {
            let op = random.word(&["=", "<>", "<", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
            let collate = random.word(&["", " COLLATE NOCASE"]);
            format!("{column}{collate} {op} {}", quoted(&text))
        }
        10 => {
            let (number, op) = (random.word(&["i", "j", "r"]), random.word(&["=", "<", "<=", ">", ">=", "<>"]));
            let constant = random.word(&["5", "-1", "0.5", "5.0", "9223372036854775807", "9007199254740992.0", "NULL"]);
            format!("{number} {op} {constant}")
        }
        11 => format!("{} IS {not}NULL", random.word(&["s", "i", "t", "b"])),
        12 => random.word(&["b", "NOT b", "b IS TRUE", "b IS NOT TRUE", "TRUE", "FALSE", "NULL"]).to_owned(),
        _ => format!("i IN ({}, 1, {})", random.below(9), random.word(&["5.0", "-1", "100"])),
    }
}

fn rule(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.percent(30) {
        return predicate(random);
    }
    let not = random.word(&["", "", "", "NOT "]);
    let parts: Vec<_> = (0..2 + random.below(2)).map(|_| rule(random, depth - 1)).collect();
    let parts = format!("({})", parts.join(random.word(&[" AND ", " OR "])));
    // As rules are written whose NOT must not be NULL.
    let for_null = random.word(&["", "", "", "", "", "", "", "", "0", "0", "FALSE", "0.5"]);
    if for_null.is_empty() { format!("{not}{parts}") } else { format!("{not}coalesce({parts}, {for_null})") }
}

fn rows(table: &Table, random: &mut Random) -> RecordBatch {
    let len = *random.pick(&[0, 1, 3, 40, 40]);
    let row = |random: &mut Random| -> Row {
        let mut row = world::row(table, random);
        for (value, column) in row.iter_mut().zip(&table.columns) {
            if column.ty == Type::Text && !value.is_null() && random.percent(80) {
                let max = *random.pick(&[1, 3, 6, 300]);
                *value = Value::Text(words(random, max));
            }
        }
        row
    };
    let rows: Vec<_> = (0..len).map(|_| row(random)).collect();
    let all: Vec<_> = (0..table.columns.len()).collect();
    let rows = columns(table, &rows, &all);
    // Columns that start within others' buffers.
    let start = random.below(3).min(rows.num_rows());
    rows.slice(start, rows.num_rows() - start)
}

#[test]
fn together_is_one_by_one() {
    let (cases, seed) = (setting("CASES", 150), setting("SEED", 1));
    let (mut matched, mut guarded, mut all) = (0, 0, 0);
    for case in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1 << 32).wrapping_add(case));
        let world = World::random(&mut random);
        let (table, catalog) = (world.tables[0].0.clone(), world.catalog());
        let drawn = |random: &mut Random| {
            let sql = format!("SELECT 1 FROM t0 WHERE {}", rule(random, 3));
            let rule = condition(&sql, &catalog);
            if random.percent(40) { any_condition(&world, random) } else { rule }
        };
        let first: Vec<_> = (0..random.below(30)).filter_map(|_| drawn(&mut random)).collect();
        let mut conditions: Vec<_> = first.iter().cloned().map(Some).collect();
        let mut matcher = Matcher::of(first);
        for step in 0..4 {
            for _ in 0..random.below(8) {
                if random.percent(50) && !conditions.is_empty() {
                    let number = random.below(conditions.len());
                    matcher.remove(number);
                    conditions[number] = None;
                } else if let Some(condition) = drawn(&mut random) {
                    assert_eq!(matcher.add(condition.clone()), conditions.len());
                    conditions.push(Some(condition));
                }
            }
            let rows = rows(&table, &mut random);
            let (found, wanted) = (matcher.matching(&rows), expected(&conditions, &rows));
            for (number, condition) in conditions.iter().enumerate() {
                let of = |all: &[(usize, Vec<u32>)]| all.iter().find(|it| it.0 == number).map(|it| it.1.clone());
                let (found, wanted) = (of(&found), of(&wanted));
                let place =
                    format!("seed {seed}, case {case}, step {step}, {}", matcher.guard(number, |at| at.to_string()));
                assert_eq!(found, wanted, "{place}: {}", condition.as_ref().map_or(String::new(), ToString::to_string));
                assert_eq!(matcher.matching_one(number, &rows), wanted.unwrap_or_default(), "{place}");
                all += 1;
                guarded += usize::from(
                    condition.is_some() && matcher.guard(number, |at| at.to_string()) != "looked at for every row",
                );
            }
            assert_eq!(found, wanted, "seed {seed}, case {case}, step {step}");
            matched += found.len();
        }
    }
    assert!(matched * 10 > all, "only {matched} of {all} conditions matched anything");
    assert!(guarded * 5 > all, "only {guarded} of {all} conditions have a guard");
}

/// Guards are for people too.
#[test]
fn guards_say_what_is_looked_up() {
    let catalog = Catalog::builtin();
    for (sql, guard) in [
        ("command_line LIKE '%dev/tcp%' OR command_line LIKE '%mkfifo%'", "command_line has 'dev/tcp' or 'mkfifo'"),
        ("executable_path LIKE '%/nc' AND pid > 5", "executable_path ends with '/nc'"),
        ("executable_path LIKE '/usr/bin/%' AND command_line LIKE '%mimikatz%'", "command_line has 'mimikatz'"),
        ("name = 'NC' COLLATE NOCASE OR pid = 1", "pid = 1 or name = 'NC'"),
        ("NOT (ppid <> 2 OR name LIKE '%a%')", "ppid = 2"),
        ("cpu_usage BETWEEN 50 AND 60", "cpu_usage >= 50"),
        ("executable_path IS NULL", "executable_path IS NULL"),
        ("command_line REGEXP '(curl|wget)\\s.*\\|'", "command_line has 'curl' or 'wget'"),
        ("name IN ('a', 'b') AND pid = NULL", "true for no row"),
        ("coalesce(name = 'a' OR ppid = 1, 0)", "ppid = 1 or name = 'a'"),
        ("NOT coalesce(name <> 'a' OR ppid = 1, TRUE)", "name = 'a'"),
        ("name NOT LIKE '%x%'", "looked at for every row"),
        ("length(name) > 5 OR pid = 1", "looked at for every row"),
    ] {
        let mut matcher = Matcher::default();
        let sql = format!("SELECT 1 FROM processes AS p WHERE {sql}");
        let number = matcher.add(condition(&sql, &catalog).expect(&sql));
        let name = |at: usize| catalog.table("processes").unwrap().columns[at].name.to_string();
        assert_eq!(matcher.guard(number, name), guard, "{sql}");
    }
}
