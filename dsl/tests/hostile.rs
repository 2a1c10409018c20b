//! Whatever the text, checking ends, with a rule or with a diagnostic: no panic, no overflow of a small stack.

use daemoneye_dsl::check::{Checked, check_query, check_rule};
use daemoneye_dsl::diagnostic::{Source, Style};
use daemoneye_dsl::tables::Catalog;
use proptest::prelude::*;

fn check(text: &str) -> Checked {
    let checked = check_query(&Source::query(text), &Catalog::builtin());
    assert!(checked.rule.is_some() || !checked.diagnostics.is_empty(), "refused without a reason");
    checked
}

/// Checks the text and gives the codes of its errors.
fn codes(text: &str) -> Vec<&'static str> {
    let checked = check(text);
    let source = Source::query(text);
    // Drawing a caret is part of an answer.
    checked.diagnostics.iter().for_each(|it| drop(it.render(&source, Style::default())));
    if checked.rule.is_some() { vec![] } else { checked.diagnostics.iter().map(|it| it.code).collect() }
}

/// Where the parser itself gives up, it may call the next token unexpected.
fn assert_too_deep(text: &str) {
    let codes = codes(text);
    assert!(codes == ["DE023"] || codes == ["DE001"], "{codes:?}");
}

#[test]
fn long_chains_of_and_and_or_work() {
    let chain = vec!["pid = 1"; 8_000].join(" OR ");
    assert!(codes(&format!("SELECT pid FROM processes WHERE {chain}")).is_empty());
    let chain = vec!["(pid = 1 OR (name LIKE '%a%'))"; 550].join(" OR ");
    assert!(codes(&format!("SELECT pid FROM processes WHERE ({chain})")).is_empty());
    let mixed = vec!["pid = 1 AND name = 'a'"; 4_000].join(" OR ");
    assert!(codes(&format!("SELECT pid FROM processes WHERE {mixed}")).is_empty());
    assert_eq!(codes(&format!("SELECT {}", vec!["TRUE"; 9_000].join(" AND "))), ["DE022"]);
}

#[test]
fn a_balanced_tree_of_alternatives_works() {
    fn tree(leaves: usize) -> String {
        if leaves == 1 {
            "pid = 1".to_owned()
        } else {
            format!("({} OR {})", tree(leaves / 2), tree(leaves - leaves / 2))
        }
    }
    assert!(codes(&format!("SELECT pid FROM processes WHERE {}", tree(1_100))).is_empty());
}

#[test]
fn deep_chains_are_refused() {
    for (first, more) in
        [("1", " + 1"), ("'a'", " || 'a'"), ("1", " = 1"), ("1", " IS NULL"), ("1", " IN (1)"), ("1", " < 2")]
    {
        let chain = format!("SELECT {first}{}", more.repeat(8_000));
        assert_eq!(codes(&chain), ["DE023"], "{more}");
    }
    for sign in ["NOT ", "- ", "~ ", "+ "] {
        assert_too_deep(&format!("SELECT {}1", sign.repeat(10_000)));
    }
    let case = "CASE WHEN TRUE THEN ".repeat(2_000) + "1" + &" END".repeat(2_000);
    assert_too_deep(&format!("SELECT {case}"));
    assert_eq!(codes(&format!("SELECT {}1{}", "(".repeat(101), ")".repeat(101))), ["DE023"]);
    assert!(!codes(&format!("SELECT pid FROM {}processes{}", "(".repeat(99), ")".repeat(99))).is_empty());
}

#[test]
fn what_is_deep_and_allowed_works() {
    assert!(codes(&format!("SELECT {}1{}", "(".repeat(90), ")".repeat(90))).is_empty());
    assert!(codes(&format!("SELECT {}1{}", "(1 + ".repeat(90), ")".repeat(90))).is_empty());
    assert!(codes(&format!("SELECT 1{}", " + 1".repeat(100))).is_empty());
    let branches = " WHEN pid = 1 THEN 'a'".repeat(3_000);
    assert!(codes(&format!("SELECT CASE{branches} END FROM processes")).is_empty());
    let list = vec!["1"; 10_000].join(", ");
    assert!(codes(&format!("SELECT pid FROM processes WHERE pid IN ({list})")).is_empty());
}

#[test]
fn what_repeats_its_operands_does_not_explode() {
    let coalesce = format!("SELECT {}pid{} FROM processes", "coalesce(".repeat(60), ", 1)".repeat(60));
    assert_eq!(codes(&coalesce), ["DE027"]);
    let nullif = format!("SELECT {}pid{} FROM processes", "nullif(".repeat(60), ", 1)".repeat(60));
    assert_eq!(codes(&nullif), ["DE027"]);
    let between = format!("SELECT pid{} FROM processes", " BETWEEN 0 AND 1".repeat(60));
    assert_eq!(codes(&between), ["DE027"]);
    let case =
        format!("SELECT {}pid{} FROM processes", "CASE ".repeat(60), " WHEN 1 THEN 1 WHEN 2 THEN 2 END".repeat(60));
    assert_eq!(codes(&case), ["DE027"]);
    let stars = format!("SELECT {} FROM processes", vec!["*"; 10_000].join(", "));
    assert_eq!(codes(&stars), ["DE025"]);
    let order = format!(
        "SELECT pid FROM processes ORDER BY {}",
        (0..7_000).map(|n| format!("pid + {n}")).collect::<Vec<_>>().join(", ")
    );
    assert_eq!(codes(&order), ["DE025"]);
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "AS",
    "JOIN",
    "LEFT",
    "ON",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "NULL",
    "LIKE",
    "GLOB",
    "REGEXP",
    "ESCAPE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "INTEGER",
    "TEXT",
    "INTERVAL",
    "TIMESTAMP",
    "FILTER",
    "OVER",
    "WITH",
    "UNION",
    "ALL",
    "VALUES",
    "EXISTS",
    "COLLATE",
    "NOCASE",
    "ASC",
    "DESC",
    "NULLS",
    "FIRST",
    "ISNULL",
    "NOTNULL",
    "TRUE",
    "FALSE",
    "USING",
    "NATURAL",
    "CROSS",
    "AUTO",
    "FOR",
    "SYSTEM_TIME",
    "OF",
    "processes",
    "process_starts",
    "ancestors",
    "descendants",
    "pid",
    "name",
    "proc_id",
    "start_time",
    "p",
    "p.",
    "count",
    "sum",
    "coalesce",
    "now",
    "substr",
    "trim",
    "nullif",
    "(",
    ")",
    "(",
    ")",
    ",",
    ".",
    ";",
    "*",
    "+",
    "-",
    "/",
    "%",
    "=",
    "<>",
    "<",
    ">=",
    "||",
    "<<",
    "&",
    "~",
    "::",
    "->",
    "?",
    "$1",
    ":a",
    "@x",
    "'a'",
    "'5 minutes'",
    "''",
    "\"pid\"",
    "[pid]",
    "`pid`",
    "1",
    "0",
    "1.5",
    "1e300",
    "0x1F",
    "x'41'",
    "x'4'",
    "99999999999999999999",
    "--",
    "/*",
    "*/",
    "-- @id: x\n",
    "\n",
    "'",
    "\"",
    "\\",
    "é",
    "\u{0}",
    "\u{202e}",
    "#",
    "{",
    "}",
    "[",
    "]",
    "!",
    "^",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(text in "\\PC{0,60}") {
        codes(&text);
        check_rule(&Source::query(&text), &Catalog::builtin());
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        codes(&words.join(" "));
        codes(&format!("SELECT {}", words.join(" ")));
        codes(&format!("SELECT pid FROM processes AS p WHERE {}", words.join(" ")));
    }
}
