//! The bounds that can be set: each is said with its setting, and what the greatest lets through compiles on the stack
//! that there is.

use daemoneye_dsl::check::{Checked, check_query};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::limits::{COLUMNS, IN_LIST, JOINS, Limits, NESTING, REGEX, TERMS, TEXT, TOKENS};
use daemoneye_dsl::tables::Catalog;

fn check(text: &str, limits: Limits) -> Checked {
    check_query(&Source::query(text), &Catalog::builtin().with_limits(limits))
}

#[test]
fn each_bound_can_be_set_and_says_its_setting() {
    let default = Limits::default();
    let cases = [
        ("SELECT pid FROM processes", Limits { text: 10, ..default }, TEXT, "DE020"),
        ("SELECT pid FROM processes", Limits { tokens: 3, ..default }, TOKENS, "DE021"),
        ("SELECT pid = 1 OR pid = 2 OR pid = 3 FROM processes", Limits { terms: 2, ..default }, TERMS, "DE022"),
        ("SELECT ((pid)) FROM processes", Limits { nesting: 1, ..default }, NESTING, "DE023"),
        ("SELECT pid IN (1, 2, 3) FROM processes", Limits { in_list: 2, ..default }, IN_LIST, "DE024"),
        ("SELECT 1, 2, 3", Limits { columns: 2, ..default }, COLUMNS, "DE025"),
        ("SELECT 1 FROM processes a, processes b, processes c", Limits { joins: 1, ..default }, JOINS, "DE026"),
    ];
    for (text, limits, limit, code) in cases {
        assert!(check(text, default).rule.is_some(), "{text}");
        let checked = check(text, limits);
        let found = &checked.diagnostics[0];
        assert!(checked.rule.is_none() && found.code == code, "{text}: {found:?}");
        let help = &found.help.as_ref().unwrap().text;
        let expected = format!("`{}` allows up to {}", limit.setting, limit.max);
        assert!(help.contains(&expected) && found.message.starts_with("more than "), "{found:?}");
    }
    let joins = format!(
        "SELECT 1 FROM processes p0{}",
        (1..=65).map(|n| format!(", processes p{n}")).collect::<Vec<_>>().concat()
    );
    let found = &check(&joins, default).diagnostics[0];
    assert!(found.help.as_ref().unwrap().text.contains("`limits.joins` allows no more"), "{found:?}");
}

#[test]
fn expressions_have_a_bound_wherever_they_stand() {
    let (few, most) = (Limits { regex: 10_000, ..Limits::default() }, Limits { regex: REGEX.max, ..Limits::default() });
    for condition in ["name REGEXP 'PATTERN'", "regexp_count(name, 'PATTERN') > 1"] {
        let text = |pattern: &str| format!("SELECT pid FROM processes WHERE {}", condition.replace("PATTERN", pattern));
        assert!(check(&text("[a-c]{20}"), few).rule.is_some(), "{condition}");
        let refused = check(&text("[a-c]{5000}"), few);
        let found = &refused.diagnostics[0];
        assert!(found.code == "DE209" && found.message.contains("`limits.regex` allows up to "), "{found:?}");
        assert!(check(&text(r"\w{200}"), Limits::default()).rule.is_none(), "{condition}");
        assert!(check(&text(r"\w{200}"), most).rule.is_some(), "{condition}");
    }
}

#[test]
fn what_the_greatest_bounds_let_through_compiles() {
    let most = Limits {
        text: TEXT.max,
        tokens: TOKENS.max,
        terms: TERMS.max,
        nesting: NESTING.max,
        joins: JOINS.max,
        in_list: IN_LIST.max,
        columns: COLUMNS.max,
        regex: REGEX.max,
    };
    let repeated = |piece: &str, times: usize, between: &str| vec![piece; times].join(between);
    let ands = format!("SELECT 1 FROM processes WHERE {}", repeated("accessible", TERMS.max, " AND "));
    let mixed =
        format!("SELECT 1 FROM processes WHERE {}", repeated("accessible AND kernel_thread", TERMS.max / 2, " OR "));
    let list = format!("SELECT pid IN ({}) FROM processes", repeated("1", IN_LIST.max, ","));
    let deep = format!("SELECT {}pid{} FROM processes", "(".repeat(NESTING.max), ")".repeat(NESTING.max));
    let wide = format!("SELECT {}", repeated("1", COLUMNS.max, ","));
    let joined = (0..JOINS.max).map(|n| format!(", processes p{n}")).collect::<Vec<_>>().concat();
    for text in [ands, mixed, list, deep, wide, format!("SELECT 1 FROM processes{joined}")] {
        let checked = check(&text, most);
        assert!(checked.rule.is_some(), "{}: {:?}", &text[..60], checked.diagnostics);
    }
    // As many tokens as there may be, in chains of what binds to the left and to the right.
    for piece in ["+", "NOT ", "- ", "||", "("] {
        let text = format!("SELECT pid {}", piece.repeat(TOKENS.max - 10));
        assert!(check(&text, most).rule.is_none());
    }
    let values = format!("VALUES {}", repeated("(1)", TOKENS.max / 4 - 2, ","));
    assert!(check(&values, most).rule.is_some());
}
