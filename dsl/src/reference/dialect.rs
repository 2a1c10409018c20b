//! `docs/dialect.md`: what a statement may have, and every departure from SQLite.

use std::fmt::Write;

use super::cell;
use crate::check::WINDOW_FUNCTIONS;
use crate::departures::{CHAPTERS, Departure, EXAMPLE_TABLE, Ours, Theirs};
use crate::limits;
use crate::query::AggregateKind;
use crate::types::Type;

const WRITTEN: &str = "a String takes every write";

const HEAD: &str = "\
# The dialect

Made from `dsl/src/reference/dialect.rs`, `departures.rs` and `limits.rs`; `just reference` writes it anew. Statements on this \
page compile, and the examples of departures are asked of SQLite too: both as tests.

A statement is one SELECT of SQLite's, over the tables of [tables.md](tables.md), with the functions of \
[functions.md](functions.md). What compiles gives SQLite's answer, but for the [departures](#departures-from-sqlite). \
Whatever is not on this page is refused at its place (DE004), never passed over.

## A query

```sql
WITH shells AS (SELECT proc_id, parent_id, name, start_time FROM processes WHERE name IN ('sh', 'bash'))
SELECT p.name AS parent, count(*) AS shells, max(s.start_time) AS last
FROM shells AS s
JOIN processes AS p ON p.proc_id = s.parent_id
WHERE p.name NOT LIKE 'ssh%'
GROUP BY p.proc_id, p.name
HAVING count(*) > 3
ORDER BY shells DESC, last DESC NULLS LAST
LIMIT 10 OFFSET 0;
```

| clause | what it may have |
|---|---|
| `WITH [RECURSIVE]` | Common table expressions, with or without names of columns. One that names itself is computed in rounds: rows first, then after `UNION [ALL]` queries that each read it once, without aggregates or windows. |
| `SELECT [DISTINCT]` | Expressions with or without `AS name`, `*`, `table.*`. |
| `FROM` | Tables, queries in parentheses, `VALUES` in parentheses, `ancestors(proc_id)`, `descendants(proc_id)`, `list('name')`; joins in parentheses. Every one has a name of its own. |
| joins | `,`, `[INNER] JOIN`, `CROSS`, `LEFT`, `RIGHT`, `FULL [OUTER] JOIN`, `NATURAL`; `ON condition` or `USING (columns)`. |
| `AUTO JOIN table ON … [WHEN …]` | Asks the collector that owns the table for rows, where WHEN is true. Checked and explained; it cannot run yet (DE312). |
| `FOR SYSTEM_TIME` | Behind `processes` or its alias: `AS OF moment`, or `BETWEEN moment AND moment`, a constant or computed from `now()`. The versions recorded of then. AS OF gives the samples (`cpu_usage`, `memory_usage`, `threads`, `status`) that `process_samples` has of each process at that moment or last before it, and as `collection_time` when they were taken; they are NULL where there is none, and with BETWEEN. Where it reaches into a time in which nobody looked, the answer says so (`sampling_gap`). |
| `WHERE` | A condition on single rows. |
| `GROUP BY` | Expressions, names or numbers of columns of the result. |
| `HAVING` | A condition on groups. |
| `WINDOW name AS (…)` | Windows to be named in `OVER`. |
| `UNION [ALL]`, `INTERSECT`, `EXCEPT` | Between queries with as many columns each; all bind alike, from left to right. |
| `ORDER BY` | Expressions, names or numbers of columns; `ASC`, `DESC`, `NULLS FIRST`, `NULLS LAST`, `COLLATE`. Without, NULL comes first. |
| `LIMIT`, `OFFSET` | Constants; a negative LIMIT is none. |

Subqueries stand in FROM, behind `IN`, behind `EXISTS`, and as a value in any expression; they may name columns of the rows \
around them. One that gives no row is NULL as a value; of several rows the first is taken.

```sql
SELECT proc_id, name FROM processes AS p
WHERE NOT EXISTS (SELECT 1 FROM ancestors(p.proc_id) AS a WHERE a.name = 'sshd')
  AND (name, user_id) IN (SELECT name, user_id FROM process_exits)
  AND memory_usage > (SELECT avg(memory_usage) * 10 FROM processes);

SELECT pid, name, start_time - lag(start_time) OVER (PARTITION BY parent_id ORDER BY start_time) AS pause
FROM processes FOR SYSTEM_TIME AS OF '2026-11-22 10:30:00';
```

## Rules

A rule's SELECT runs on what changes with each snapshot, and what it finds must depend on the rows alone. So rows that are equal \
in all ORDER BY terms, which keep the order in which they came where a statement is asked once, are ordered by all their \
columns in a rule, and `group_concat` without ORDER BY by its texts. Rules take no parameters; statements typed by hand take \
`:name`, `@name`, `$name`, `?` and `?2`, bound with `--param`. A record of a file need not have a column: it is NULL then, with the \
warning DE212.

## Expressions

Operators, those that bind tightest first; all of one line bind alike, from left to right:

";

/// Operators and what there is to say of them, those that bind tightest first.
const OPERATORS: [(&str, &str); 10] = [
    ("`-x` `+x` `~x`", "Sign; the bits turned round."),
    (
        "`||` `->` `->>`",
        "Two texts, one behind the other; NULL if either is. A part of a JSON text, as JSON and as TEXT: `argv ->> 0`.",
    ),
    ("`*` `/` `%`", "INTEGERs are divided to an INTEGER; division by zero is NULL. An INTERVAL times an INTEGER."),
    ("`+` `-`", "Also TIMESTAMP and INTERVAL; two TIMESTAMPs differ by an INTERVAL."),
    ("`&` `|` `<<` `>>`", "The bits of INTEGERs."),
    ("`<` `<=` `>` `>=`", "NULL if either side is."),
    (
        "`=` `==` `<>` `!=` `IS [NOT]` `IS [NOT] DISTINCT FROM` `IS [NOT] TRUE` `IS [NOT] FALSE` `ISNULL` `NOTNULL` `NOT \
         NULL` `[NOT] IN` `[NOT] BETWEEN` `[NOT] LIKE … [ESCAPE]` `[NOT] GLOB` `[NOT] REGEXP`",
        "`IS` takes NULL for a value. LIKE (and ILIKE) ignores the case of ASCII letters, `=`, GLOB and REGEXP do not.",
    ),
    ("`NOT`", "NULL of NULL."),
    ("`AND`", "False if either side is, also beside NULL."),
    ("`OR`", "True if either side is, also beside NULL."),
];

const REST: &str = "
Besides: `CASE [x] WHEN … THEN … [ELSE …] END`, `CAST(x AS type)`, row values `(a, b)` in comparisons and before IN, \
`EXISTS (…)`, `f(…)`, aggregates with `DISTINCT` and `FILTER (WHERE …)`, `f(…) OVER (window)` with `PARTITION BY`, `ORDER BY` and frames of \
`ROWS`, `RANGE` and `GROUPS`; the distance of a RANGE over INTEGERs is exact.

Names are compared without case. Names in `\"…\"`, `[…]` or backquotes may hold anything; text stands in `'…'`, a quote in it \
twice. Comments are `-- …` and `/* … */`.

## Types and literals

";

/// Each type, how its values are written, and what it is.
const LITERALS: [(Type, &str, &str); 7] = [
    (Type::Integer, "`5` `0x1F` `1_000`", "64 bits; what does not fit is a REAL literal, and NULL as a result."),
    (Type::Real, "`2.5` `1e3`", "A double; never NaN."),
    (Type::Text, "`'sh'`", "Unicode."),
    (Type::Blob, "`x'4142'`", "Bytes."),
    (Type::Boolean, "`TRUE` `FALSE`", "1 and 0 where it meets numbers."),
    (
        Type::Timestamp,
        "`TIMESTAMP '2026-11-22 10:30:00'`",
        "Microseconds in UTC; an offset (`+01:00`) may follow. Compared with a column, the text alone does.",
    ),
    (
        Type::Interval,
        "`INTERVAL '5 minutes'` `INTERVAL '1h30m'`",
        "Units from microseconds to weeks; months and years have no fixed length.",
    ),
];

const COERCIONS: &str = "
`NULL` is of any type. What is converted unasked:

- INTEGER to REAL where the two meet; BOOLEAN to 1 and 0 where it meets numbers.
- A literal compared with a column, to the column's type, as by SQLite's affinity. Where it cannot be, values of different types are \
never equal, as in SQLite, and the warning DE241 says so. A text that is no moment, compared with a TIMESTAMP, is an error (DE206).
- Numbers to TEXT for `||` and functions that take TEXT.
- A number as a condition: true if it is not zero.

Everything else is a CAST that is written, and CAST itself never fails: it gives what SQLite's gives.

Collations are `BINARY` (exact, the default) and `NOCASE` (ASCII letters alike): `name = 'sh' COLLATE NOCASE`.

## Functions

Scalar functions are in [functions.md](functions.md).
";

/// What is bounded, with the bound and the code of what exceeds it.
const LIMITS: [(&str, usize, &str); 21] = [
    ("bytes of text in a file or statement", limits::TEXT.default, "DE020"),
    ("tokens in a statement, white space and comments not counted", limits::TOKENS.default, "DE021"),
    ("operands of AND and OR", limits::TERMS.default, "DE022"),
    ("parentheses within parentheses", limits::NESTING.default, "DE023"),
    ("values in one IN list", limits::IN_LIST.default, "DE024"),
    ("columns of a result", limits::COLUMNS.default, "DE025"),
    ("joins", limits::JOINS.default, "DE026"),
    ("bytes of a compiled regular expression", limits::REGEX.default, "DE209"),
    ("operations within operations; a chain of AND or OR is one", limits::DEPTH_MAX, "DE023"),
    ("operations, once BETWEEN, coalesce and the like are spelled out", limits::OPERATIONS_MAX, "DE027"),
    ("queries, those within others included", limits::QUERIES_MAX, "DE028"),
    ("operands of one chain of UNION and its like", limits::OPERANDS_MAX, "DE028"),
    ("bytes of one list file", limits::LIST_LEN_MAX, "DE219"),
    ("values in one list", limits::LIST_VALUES_MAX, "DE219"),
    ("lists", limits::LISTS_MAX, "DE219"),
    ("bytes in one result of a function", limits::RESULT_LEN_MAX, "NULL"),
    ("bytes in all results of one function over one batch of rows", limits::RESULTS_LEN_MAX, "NULL"),
    (
        "characters of a text that is compared letter by letter (`levenshtein` and its like)",
        limits::SIMILARITY_LEN_MAX,
        "NULL",
    ),
    ("bytes of a pattern that comes from a row", limits::DYNAMIC_PATTERN_LEN_MAX, "NULL"),
    ("bytes of it when compiled", limits::DYNAMIC_REGEX_SIZE_MAX, "NULL"),
    ("words in one command line that is taken apart", limits::WORDS_MAX, "NULL"),
];

const DEPARTURES: &str = "
Rows and state while a statement runs are bounded too; reaching a bound ends it with an error, and a rule is set aside and said \
to be.

## Departures from SQLite

Each with a statement that shows it, and both answers. The table ";

pub(super) fn page() -> String {
    let mut out = String::from(HEAD);
    out.push_str("| operators | |\n|---|---|\n");
    for (operators, doc) in OPERATORS {
        writeln!(out, "| {} | {doc} |", cell(operators)).expect(WRITTEN);
    }
    out.push_str(REST);
    out.push_str("| type | written | what it is |\n|---|---|---|\n");
    for (ty, written, doc) in LITERALS {
        writeln!(out, "| {ty} | {written} | {doc} |").expect(WRITTEN);
    }
    out.push_str(COERCIONS);
    let mut aggregates: Vec<_> = AggregateKind::ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
    aggregates.extend(["`count_if`".to_owned(), "`approx_count_distinct`".to_owned()]);
    let windows: Vec<_> = WINDOW_FUNCTIONS.iter().map(|name| format!("`{name}`")).collect();
    writeln!(out, "Aggregates: {}. With OVER also: {}.", aggregates.join(", "), windows.join(", ")).expect(WRITTEN);
    out.push_str("\n## Limits\n\nThe first eight can be set (`limits.*` in [settings.md](settings.md)).\n\n| at most | what | beyond |\n|---:|---|---|\n");
    for (what, bound, beyond) in LIMITS {
        writeln!(out, "| {} | {what} | {beyond} |", grouped(bound)).expect(WRITTEN);
    }
    writeln!(out, "{DEPARTURES}`{EXAMPLE_TABLE}`.").expect(WRITTEN);
    for chapter in CHAPTERS {
        write!(out, "\n### {}\n\n", chapter.title).expect(WRITTEN);
        for departure in chapter.departures {
            line(departure, &mut out);
        }
    }
    out
}

fn line(departure: &Departure, out: &mut String) {
    let Departure { name, sqlite, here, why, example, theirs, ours } = departure;
    let theirs = match theirs {
        Theirs::Gives(row) => format!("`{row}`"),
        Theirs::Fails => "an error".to_owned(),
        Theirs::Varies => "this or that".to_owned(),
    };
    let ours = match ours {
        Ours::Gives(row) => format!("`{row}`"),
        Ours::Refused(code) => format!("[{code}](lints.md#{})", code.to_lowercase()),
    };
    let fence = if example.contains('`') { "``" } else { "`" };
    let example = format!("{fence}{example}{fence}");
    writeln!(out, "- **{name}.** SQLite: {sqlite} Here: {here} *{why}* {example}: {theirs}; here {ours}.")
        .expect(WRITTEN);
}

/// `262,144`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_query;
    use crate::diagnostic::Source;
    use crate::tables::Catalog;

    #[test]
    fn statements_on_the_page_compile() {
        let page = page();
        let blocks: Vec<_> = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let statements: Vec<_> = blocks.iter().flat_map(|block| block.split_terminator(";\n")).collect();
        assert_eq!(statements.len(), 3);
        for statement in statements {
            let checked = check_query(&Source::query(statement), &Catalog::builtin());
            assert_eq!(checked.diagnostics, [], "{statement}");
        }
    }

    #[test]
    fn every_type_and_limit_is_there() {
        let types: Vec<_> = LITERALS.iter().map(|(ty, ..)| *ty).collect();
        assert!(Type::ALL.iter().all(|ty| types.contains(ty)));
        let declared = include_str!("../limits.rs").matches("pub const ").count();
        // That of compiled patterns kept for a while is seen by nobody.
        assert_eq!(LIMITS.len(), declared - 1);
        assert_eq!((grouped(262_144), grouped(64)), ("262,144".to_owned(), "64".to_owned()));
    }

    #[test]
    fn a_departure_differs() {
        for it in CHAPTERS.iter().flat_map(|chapter| chapter.departures) {
            if let (Theirs::Gives(theirs), Ours::Gives(ours)) = (it.theirs, it.ours) {
                assert_ne!(theirs, ours, "{}", it.name);
            }
        }
    }
}
