//! Every departure from SQLite, and why: data that the reference prints and a test runs.
//!
//! The dialect is SQLite's SELECT wherever its answer does not depend on types that only values have. Whatever differs
//! stands here with a statement that shows it; the planner's tests ask both engines. The examples may read the table
//! [`EXAMPLE_TABLE`]. Departures of single functions stand with the functions.

/// One departure.
#[derive(Debug)]
pub struct Departure {
    /// What differs, in a few words.
    pub name: &'static str,
    /// What SQLite does.
    pub sqlite: &'static str,
    /// What happens here.
    pub here: &'static str,
    /// Why.
    pub why: &'static str,
    /// A statement that shows it.
    pub example: &'static str,
    /// What SQLite makes of it.
    pub theirs: Theirs,
    /// What becomes of it here.
    pub ours: Ours,
}

/// SQLite's answer to an example.
#[derive(Clone, Copy, Debug)]
pub enum Theirs {
    /// The first row, as SQL.
    Gives(&'static str),
    /// An error.
    Fails,
    /// It depends on the host or on chance, or is no row.
    Varies,
}

/// Our answer to an example.
#[derive(Clone, Copy, Debug)]
pub enum Ours {
    /// The first row, as SQL.
    Gives(&'static str),
    /// It does not compile, with this code.
    Refused(&'static str),
}

/// Departures of one kind.
#[derive(Debug)]
pub struct Chapter {
    /// What they are about.
    pub title: &'static str,
    /// The departures.
    pub departures: &'static [Departure],
}

/// The table that examples may read: its columns, and its only row.
pub const EXAMPLE_TABLE: &str = "t(i INTEGER, r REAL, s TEXT) with the row (5, 2.5, '5')";

/// All of them.
pub static CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Types",
        departures: &[
            Departure {
                name: "One type for every expression",
                sqlite: "Each value has its own type; `CASE` may give a number in one row and a text in the next.",
                here: "Branches, arguments that become one result, and columns of UNION have one type, or it is an \
                  error.",
                why: "What only the value can tell shows as a match that never comes. Here it shows before the rule \
                  runs.",
                example: "SELECT CASE WHEN 1 THEN 1 ELSE 'x' END",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "INTEGER beside REAL is REAL",
                sqlite: "Each branch keeps its type.",
                here: "The result is REAL. Arithmetic on it still divides INTEGERs where SQLite does.",
                why: "One type for every expression; no value is lost.",
                example: "SELECT typeof(CASE WHEN 1 THEN 1 ELSE 2.5 END)",
                theirs: Theirs::Gives("'integer'"),
                ours: Ours::Gives("'real'"),
            },
            Departure {
                name: "Columns of set operations and VALUES have one type",
                sqlite: "Each row keeps its types.",
                here: "INTEGER beside REAL is REAL; other mixes are errors.",
                why: "As above.",
                example: "SELECT typeof(x) FROM (SELECT 1 AS x UNION ALL SELECT 2.5) LIMIT 1",
                theirs: Theirs::Gives("'integer'"),
                ours: Ours::Gives("'real'"),
            },
            Departure {
                name: "No arithmetic on text",
                sqlite: "Text becomes a number, as far as it looks like one.",
                here: "An error with the CAST to write.",
                why: "`'4x' + 1` is 5 in SQLite, and nobody means that.",
                example: "SELECT '5' + 1",
                theirs: Theirs::Gives("6"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "Text is no condition",
                sqlite: "Text is true where it begins with a number that is not zero.",
                here: "An error.",
                why: "`WHERE name` is a comparison that somebody forgot to finish.",
                example: "SELECT NOT 'a'",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "Columns of different types are not compared",
                sqlite: "INTEGER and TEXT are compared after one became the other's type, or are never equal.",
                here: "An error, unless both are numbers. A literal takes the column's type, as in SQLite; where it \
                  cannot, the answer is SQLite's, with a warning (DE241).",
                why: "It depends on invisible properties of both sides.",
                example: "SELECT i = s FROM (SELECT 1 AS i, '1' AS s)",
                theirs: Theirs::Gives("0"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "Function arguments are not converted from text",
                sqlite: "`substr('abc', '2')` takes '2' for 2.",
                here: "An error. Numbers become TEXT where a function takes TEXT.",
                why: "As for arithmetic.",
                example: "SELECT substr('abc', '2')",
                theirs: Theirs::Gives("'bc'"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "BOOLEAN is a type",
                sqlite: "Comparisons give the INTEGERs 1 and 0.",
                here: "They give BOOLEAN, which is 1 and 0 where it meets numbers, and `true` and `false` in JSON.",
                why: "A column that holds yes or no says so.",
                example: "SELECT typeof(1 < 2)",
                theirs: Theirs::Gives("'integer'"),
                ours: Ours::Gives("'boolean'"),
            },
            Departure {
                name: "TIMESTAMP and INTERVAL are types",
                sqlite: "Moments are texts or numbers, by agreement.",
                here: "Moments are compared as moments, also with `date(…)` and `datetime(…)`; their differences are \
                  INTERVALs.",
                why: "Texts of moments in two formats compare wrongly and silently.",
                example: "SELECT TIMESTAMP '2026-11-22 10:30:00' - TIMESTAMP '2026-11-22 10:00:00' = INTERVAL '30 minutes'",
                theirs: Theirs::Fails,
                ours: Ours::Gives("TRUE"),
            },
            Departure {
                name: "Types are a fixed list",
                sqlite: "Any word is a type, and its letters decide what it does: STRING is a number.",
                here: "INTEGER, REAL, TEXT, BLOB, BOOLEAN, TIMESTAMP, INTERVAL, and their usual other names.",
                why: "A misspelt type is an error.",
                example: "SELECT CAST('5' AS STRING)",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE204"),
            },
            Departure {
                name: "CAST AS NUMERIC takes numbers and text literals",
                sqlite: "The value decides whether INTEGER or REAL comes out.",
                here: "An error for other text: say INTEGER or REAL.",
                why: "One type for every expression.",
                example: "SELECT CAST(s AS NUMERIC) FROM t",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "`sum` takes numbers",
                sqlite: "It takes text as numbers, and what it is depends on every single one.",
                here: "An error for text; `avg` and `total`, which are always REAL, take text as SQLite does.",
                why: "One type for every expression.",
                example: "SELECT sum(s) FROM t",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "A literal before IN takes the column's type",
                sqlite: "Values in the list take the type of what stands before IN, not the other way round.",
                here: "As in a comparison, the literal takes the column's type.",
                why: "`'5' IN (i)` means what `i = '5'` means.",
                example: "SELECT '5' IN (i) FROM t",
                theirs: Theirs::Gives("0"),
                ours: Ours::Gives("TRUE"),
            },
            Departure {
                name: "`+x` is `x`",
                sqlite: "A sign takes from a column the power to convert what it is compared with.",
                here: "It changes nothing.",
                why: "It is a trick of SQLite's planner, not of the language.",
                example: "SELECT +i = '5' FROM t",
                theirs: Theirs::Gives("0"),
                ours: Ours::Gives("TRUE"),
            },
        ],
    },
    Chapter {
        title: "Numbers",
        departures: &[
            Departure {
                name: "INTEGER overflow is NULL",
                sqlite: "`+ - *` go on in REAL.",
                here: "NULL.",
                why: "Going on in REAL would be a type that depends on the value.",
                example: "SELECT 9223372036854775807 + 1",
                theirs: Theirs::Gives("9.2233720368547758e18"),
                ours: Ours::Gives("NULL"),
            },
            Departure {
                name: "Overflow in `sum` is NULL",
                sqlite: "The statement fails.",
                here: "NULL.",
                why: "One crafted row must not stop a rule.",
                example: "SELECT sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)",
                theirs: Theirs::Fails,
                ours: Ours::Gives("NULL"),
            },
            Departure {
                name: "A REAL as text has the fewest digits that read back",
                sqlite: "15 digits, or 17 where these do not read back.",
                here: "As many as it takes to read the same number back.",
                why: "Two numbers that differ are two texts.",
                example: "SELECT CAST(204274.7795102219097 AS TEXT)",
                theirs: Theirs::Gives("'204274.77951022191'"),
                ours: Ours::Gives("'204274.7795102219'"),
            },
        ],
    },
    Chapter {
        title: "Texts",
        departures: &[
            Departure {
                name: "Double quotes never make a text",
                sqlite: "A name in double quotes that no column has is a text.",
                here: "An error, with the single quotes to write instead.",
                why: "A misspelt column would silently be a text, and the condition always false. (85 of 1,004 public \
                  osquery queries write texts so.)",
                example: "SELECT \"sh\" = s FROM t",
                theirs: Theirs::Gives("0"),
                ours: Ours::Refused("DE201"),
            },
            Departure {
                name: "NUL is a character",
                sqlite: "It ends a text in LIKE, GLOB and substr.",
                here: "It is a character like others there.",
                why: "A process could hide the rest of its command line behind it.",
                example: "SELECT ('a' || char(0) || 'b') LIKE 'a'",
                theirs: Theirs::Gives("1"),
                ours: Ours::Gives("FALSE"),
            },
            Departure {
                name: "ILIKE is LIKE",
                sqlite: "There is no ILIKE.",
                here: "It is read as LIKE, which ignores the case of ASCII letters.",
                why: "Authors from PostgreSQL write it.",
                example: "SELECT 'A' ILIKE 'a'",
                theirs: Theirs::Fails,
                ours: Ours::Gives("TRUE"),
            },
            Departure {
                name: "REGEXP is built in and takes a constant",
                sqlite: "There is no implementation unless a program adds one.",
                here: "Rust's `regex`, compiled when the rule is loaded, in linear time: no look-around, no \
                  back-references.",
                why: "An attacker chooses the text; a pattern must not take exponential time over it.",
                example: "SELECT s REGEXP '^[0-9]+$' FROM t",
                theirs: Theirs::Fails,
                ours: Ours::Gives("TRUE"),
            },
            Departure {
                name: "COLLATE is not carried on",
                sqlite: "An expression keeps the collation of what it is made of.",
                here: "It counts in the comparison, IN, ORDER BY, GROUP BY, PARTITION BY or `count(DISTINCT x)` where it is \
                       written and at columns of the whole result; elsewhere it is an error.",
                why: "A comparison says itself how it compares.",
                example: "SELECT lower(s COLLATE NOCASE) FROM t",
                theirs: Theirs::Gives("'5'"),
                ours: Ours::Refused("DE004"),
            },
            Departure {
                name: "Two collations",
                sqlite: "BINARY, NOCASE, RTRIM, and what a program adds.",
                here: "NOCASE and BINARY.",
                why: "RTRIM hides what an attacker may have added.",
                example: "SELECT s = '5 ' COLLATE RTRIM FROM t",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE232"),
            },
        ],
    },
    Chapter {
        title: "NULL and truth",
        departures: &[
            Departure {
                name: "`IS NOT DISTINCT FROM TRUE` compares",
                sqlite: "It tests for truth, so 2 is not distinct from TRUE.",
                here: "It compares with 1. `IS TRUE` tests for truth, as in SQLite.",
                why: "It is the equality that treats NULL as a value, whatever stands behind it.",
                example: "SELECT 2 IS NOT DISTINCT FROM TRUE",
                theirs: Theirs::Gives("1"),
                ours: Ours::Gives("FALSE"),
            },
            Departure {
                name: "Functions give NULL where SQLite fails",
                sqlite: "A run-time error ends the statement.",
                here: "NULL for that row.",
                why: "One crafted row must not stop a rule.",
                example: "SELECT json_extract('{', '$.a')",
                theirs: Theirs::Fails,
                ours: Ours::Gives("NULL"),
            },
            Departure {
                name: "A hopeless constant is an error",
                sqlite: "NULL for every row.",
                here: "An error when the rule is compiled.",
                why: "The rule could never match.",
                example: "SELECT date('yesterday')",
                theirs: Theirs::Gives("NULL"),
                ours: Ours::Refused("DE211"),
            },
        ],
    },
    Chapter {
        title: "Statements",
        departures: &[
            Departure {
                name: "Only SELECT",
                sqlite: "SQL writes, attaches and configures.",
                here: "A statement is a query.",
                why: "Nothing that a rule says can change the host.",
                example: "DELETE FROM t",
                theirs: Theirs::Varies,
                ours: Ours::Refused("DE003"),
            },
            Departure {
                name: "Forbidden functions",
                sqlite: "`random()`, `load_extension()`, and in its shell `readfile()`, `writefile()`, `edit()`.",
                here: "An error of its own (DE005).",
                why: "The same rows give the same answer, and nothing but the rows is read.",
                example: "SELECT random() IS NULL",
                theirs: Theirs::Gives("0"),
                ours: Ours::Refused("DE005"),
            },
            Departure {
                name: "No local time",
                sqlite: "`'localtime'` reads the host's zone.",
                here: "An error; moments are UTC, `now()` is the snapshot's time, and `'now'` is `now()`.",
                why: "A rule finds the same on every host, and tests choose their time.",
                example: "SELECT datetime('2026-11-22', 'localtime') IS NULL",
                theirs: Theirs::Gives("0"),
                ours: Ours::Refused("DE211"),
            },
            Departure {
                name: "`current_timestamp` is `now()`",
                sqlite: "`CURRENT_TIMESTAMP`, `CURRENT_DATE` and `CURRENT_TIME` are words of the grammar.",
                here: "An error with what to write.",
                why: "One way to say it.",
                example: "SELECT current_timestamp IS NULL",
                theirs: Theirs::Gives("0"),
                ours: Ours::Refused("DE203"),
            },
            Departure {
                name: "A bare column beside aggregates has one answer",
                sqlite: "Its value comes from some row of the group: that of the one `min` or `max`, else any.",
                here: "Also from that of the one `min` or `max`; else, with the warning DE231, from the row whose such \
                  columns are least.",
                why: "The same rows give the same answer, in whatever order they come.",
                example: "SELECT b FROM (SELECT 1 AS a, 7 AS b UNION ALL SELECT 1, 3) GROUP BY a",
                theirs: Theirs::Varies,
                ours: Ours::Gives("3"),
            },
            Departure {
                name: "An aggregate belongs to its own query",
                sqlite: "One over columns of an outer query alone is that query's.",
                here: "An error.",
                why: "Nobody means it: the subquery lacks a column.",
                example: "SELECT (SELECT sum(i)) FROM t",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE230"),
            },
            Departure {
                name: "With DISTINCT, ORDER BY names columns of the result",
                sqlite: "Any expression; which of the rows that became one decides is open.",
                here: "An error.",
                why: "The order would be arbitrary.",
                example: "SELECT DISTINCT i FROM t ORDER BY s",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE234"),
            },
            Departure {
                name: "Tables side by side have different names",
                sqlite: "Two may have one name.",
                here: "An error.",
                why: "The second could not be named at all.",
                example: "SELECT 1 FROM t, t",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE210"),
            },
            Departure {
                name: "LIMIT and OFFSET are constants",
                sqlite: "Any expression without columns, a subquery too.",
                here: "A constant INTEGER.",
                why: "How many rows a rule gives does not depend on other rows.",
                example: "SELECT i FROM t LIMIT (SELECT 1)",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE205"),
            },
            Departure {
                name: "WITH RECURSIVE has no ORDER BY or OFFSET of its own",
                sqlite: "ORDER BY makes it a queue.",
                here: "An error; LIMIT bounds it, as in SQLite.",
                why: "It is computed in rounds, each with all rows of the one before.",
                example: "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3 ORDER BY 1) SELECT \
                  max(x) FROM n",
                theirs: Theirs::Gives("3"),
                ours: Ours::Refused("DE004"),
            },
            Departure {
                name: "No subquery over both sides in the ON of an outer join",
                sqlite: "It may read both.",
                here: "An error; over one side alone, and in WHERE, it is allowed.",
                why: "It is the one form whose rows cannot be computed side by side.",
                example: "SELECT 1 FROM t AS a LEFT JOIN t AS b ON (SELECT a.i = b.i)",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE004"),
            },
            Departure {
                name: "Tables have one name",
                sqlite: "`schema.table`.",
                here: "A name of one part.",
                why: "There is one catalog.",
                example: "SELECT i FROM main.t",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE004"),
            },
            Departure {
                name: "No `rowid`",
                sqlite: "Every table has one.",
                here: "It is no column.",
                why: "Rows have no number here; `proc_id` names a process.",
                example: "SELECT rowid FROM t",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE201"),
            },
            Departure {
                name: "Hints change nothing",
                sqlite: "`INDEXED BY` an index that does not exist fails.",
                here: "`INDEXED BY`, `NOT INDEXED` and `[NOT] MATERIALIZED` are read and change nothing.",
                why: "They say how rows are read, not which.",
                example: "SELECT i FROM t INDEXED BY missing",
                theirs: Theirs::Fails,
                ours: Ours::Gives("5"),
            },
            Departure {
                name: "No EXCLUDE in window frames",
                sqlite: "`EXCLUDE TIES` and its like.",
                here: "An error; frames of ROWS, RANGE and GROUPS are SQLite's.",
                why: "No rule needed it so far.",
                example: "SELECT sum(i) OVER (ORDER BY i ROWS UNBOUNDED PRECEDING EXCLUDE TIES) FROM t",
                theirs: Theirs::Gives("5"),
                ours: Ours::Refused("DE001"),
            },
            Departure {
                name: "Other table functions",
                sqlite: "`json_each`, `generate_series` and others.",
                here: "`ancestors(proc_id)`, `descendants(proc_id)` and `list('name')`; elements of JSON arrays are looked \
                  at with `has_flag`, `arg_after` and `json_extract`.",
                why: "Rows that come from one text cannot be compared with the last snapshot's.",
                example: "SELECT value FROM json_each('[1]')",
                theirs: Theirs::Gives("1"),
                ours: Ours::Refused("DE202"),
            },
            Departure {
                name: "No MATCH",
                sqlite: "The operator of virtual tables.",
                here: "It is not part of the grammar.",
                why: "There is no full-text index; `contains` and REGEXP look into texts.",
                example: "SELECT s MATCH '5' FROM t",
                theirs: Theirs::Fails,
                ours: Ours::Refused("DE001"),
            },
            Departure {
                name: "A derived table may name its columns",
                sqlite: "`(SELECT …) AS x(a)` does not parse.",
                here: "It names them.",
                why: "PostgreSQL and DuckDB have it.",
                example: "SELECT a FROM (SELECT 1) AS x(a)",
                theirs: Theirs::Fails,
                ours: Ours::Gives("1"),
            },
        ],
    },
    Chapter {
        title: "JSON",
        departures: &[
            Departure {
                name: "`json_extract` gives TEXT",
                sqlite: "The type of what is found.",
                here: "TEXT: the string itself, or the spelling of anything else. CAST makes a number of it.",
                why: "The type would depend on the value.",
                example: "SELECT typeof(json_extract('{\"a\": 1}', '$.a'))",
                theirs: Theirs::Gives("'integer'"),
                ours: Ours::Gives("'text'"),
            },
            Departure {
                name: "`->>` gives TEXT",
                sqlite: "The type of what is found.",
                here: "TEXT, as `json_extract` does; `->` gives JSON, as in SQLite.",
                why: "The type would depend on the value.",
                example: "SELECT typeof('{\"a\": 1}' ->> 'a')",
                theirs: Theirs::Gives("'integer'"),
                ours: Ours::Gives("'text'"),
            },
        ],
    },
];
