//! Operators without parentheses bind as in SQLite.
//!
//! Small numbers only, so that nothing overflows; a text among them makes the statement one that types refuse.

use super::differential::{Outcome, ask_both};
use super::random::Random;
use super::setting;
use super::sqlite::Sqlite;
use super::statement::Statement;
use super::world::World;

const BINARY: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "<<",
    ">>",
    "=",
    "==",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "IS",
    "IS NOT",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "||",
];
const TEXTUAL: &[&str] = &["LIKE", "NOT LIKE", "GLOB", "NOT GLOB", "REGEXP", "NOT REGEXP", "||"];
const AFTER: &[&str] = &[
    " IS NULL",
    " IS NOT NULL",
    " ISNULL",
    " NOTNULL",
    " NOT NULL",
    " IN (0, 1, NULL)",
    " NOT IN (3, 4)",
    " IS TRUE",
    " IS NOT FALSE",
    " BETWEEN 1 AND 3",
    " NOT BETWEEN 0 AND 2",
];

#[test]
fn operators_bind_as_in_sqlite() {
    let (cases, seed) = (setting("CASES", 3_000), setting("SEED", 1));
    let sqlite = Sqlite::new();
    let world = World::random(&mut Random::new(0));
    sqlite.fill(&world);
    let mut refused = 0;
    for number in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1 << 33).wrapping_add(number));
        let sql = format!("SELECT {}", chain(&mut random));
        let statement = Statement { ours: sql.clone(), theirs: sql, ordered: true, forms: vec![] };
        match ask_both(&world, &sqlite, &statement) {
            Outcome::Same(_) => {}
            Outcome::Refused | Outcome::Overflow => refused += 1,
            Outcome::Differs(why) => panic!("seed {seed}, case {number}: {}\n{why}", statement.ours),
        }
    }
    assert!(refused * 2 < cases, "{refused} of {cases} refused");
}

fn chain(random: &mut Random) -> String {
    let mut text = operand(random);
    for _ in 0..=random.below(4) {
        let textual = random.percent(15);
        let operator = if textual { random.word(TEXTUAL) } else { random.word(BINARY) };
        let right = if textual { random.word(&["'1'", "'0'", "'1%'"]).to_owned() } else { operand(random) };
        text = format!("{text} {operator} {right}");
        if random.percent(15) {
            text.push_str(random.word(AFTER));
        }
    }
    text
}

fn operand(random: &mut Random) -> String {
    let sign = if random.percent(30) { random.word(&["-", "+", "~", "NOT ", "- -"]) } else { "" };
    format!("{sign}{}", random.word(&["0", "1", "2", "3", "5", "1", "2", "NULL"]))
}
