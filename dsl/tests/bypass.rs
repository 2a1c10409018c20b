//! Nothing that writes, reads files, waits or runs programs gets past the checker, wherever it stands: every place where an
//! expression, a table or a query can stand, with every forbidden thing in it. Each place is first shown to take
//! something harmless, so a refusal is about the thing and not about the place.

use std::ops::Range;

use daemoneye_dsl::check::{Checked, check_query, check_rule};
use daemoneye_dsl::diagnostic::{Diagnostic, Severity, Source, Style};
use daemoneye_dsl::lists::{List, Lists};
use daemoneye_dsl::tables::Catalog;

/// Places of an expression, and something harmless that each takes.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("SELECT # FROM processes", "1"),
    ("SELECT 1, # AS x FROM processes", "1"),
    ("SELECT DISTINCT # FROM processes", "1"),
    ("SELECT 1 FROM processes WHERE # IS NULL", "1"),
    ("SELECT 1 FROM processes WHERE NOT (pid = 1 OR # = 2)", "1"),
    ("SELECT 1 FROM processes p JOIN processes q ON # = q.pid", "1"),
    ("SELECT 1 FROM processes p LEFT JOIN processes q ON q.pid = #", "1"),
    ("SELECT 1 FROM (processes p JOIN processes q ON p.pid = #)", "1"),
    ("SELECT 1 FROM processes GROUP BY #", "length(name)"),
    ("SELECT count(*) FROM processes GROUP BY pid HAVING count(*) > #", "1"),
    ("SELECT pid FROM processes ORDER BY #", "length(name)"),
    ("SELECT pid FROM processes ORDER BY # COLLATE NOCASE DESC", "lower(name)"),
    ("SELECT pid FROM processes LIMIT #", "1"),
    ("SELECT pid FROM processes LIMIT 1 OFFSET #", "1"),
    ("SELECT CASE # WHEN 1 THEN 2 END FROM processes", "1"),
    ("SELECT CASE WHEN # IS NULL THEN 2 END FROM processes", "1"),
    ("SELECT CASE WHEN pid = 1 THEN # END FROM processes", "1"),
    ("SELECT CASE WHEN pid = 1 THEN 2 ELSE # END FROM processes", "1"),
    ("SELECT abs(#) FROM processes", "1"),
    ("SELECT coalesce(NULL, #) FROM processes", "1"),
    ("SELECT iif(pid = 1, 2, #) FROM processes", "1"),
    ("SELECT concat(name, lower(upper(concat(#)))) FROM processes", "1"),
    ("SELECT pid IN (1, #) FROM processes", "1"),
    ("SELECT # IN (1, 2) FROM processes", "1"),
    ("SELECT pid IN (SELECT #) FROM processes", "1"),
    ("SELECT 1 FROM processes WHERE EXISTS (SELECT # FROM processes)", "1"),
    ("SELECT (SELECT #) FROM processes", "1"),
    ("SELECT x FROM (SELECT # AS x FROM processes)", "1"),
    ("WITH c AS (SELECT # AS x) SELECT x FROM c", "1"),
    ("WITH c AS (SELECT # AS x) SELECT 1 FROM processes", "1"),
    ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + # FROM c WHERE n < 5) SELECT n FROM c", "1"),
    ("WITH RECURSIVE c(n) AS (SELECT # UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT n FROM c", "1"),
    ("SELECT 1 UNION SELECT #", "1"),
    ("SELECT # EXCEPT SELECT 2", "1"),
    ("SELECT 1 INTERSECT SELECT #", "1"),
    ("VALUES (1), (#)", "1"),
    ("SELECT * FROM (VALUES (#))", "1"),
    ("SELECT row_number() OVER (PARTITION BY #) FROM processes", "1"),
    ("SELECT row_number() OVER (ORDER BY #) FROM processes", "1"),
    ("SELECT sum(pid) OVER (ORDER BY pid ROWS # PRECEDING) FROM processes", "1"),
    ("SELECT lag(#) OVER (ORDER BY pid) FROM processes", "pid"),
    ("SELECT sum(pid) OVER w FROM processes WINDOW w AS (PARTITION BY #)", "1"),
    ("SELECT count(*) FILTER (WHERE # IS NULL) FROM processes", "1"),
    ("SELECT sum(#) FROM processes", "1"),
    ("SELECT count(DISTINCT #) FROM processes", "1"),
    ("SELECT group_concat(name, ',' ORDER BY #) FROM processes", "pid"),
    ("SELECT # BETWEEN 1 AND 2 FROM processes", "1"),
    ("SELECT pid BETWEEN # AND 2 FROM processes", "1"),
    ("SELECT pid BETWEEN 1 AND # FROM processes", "1"),
    ("SELECT name LIKE # FROM processes", "'x'"),
    ("SELECT name LIKE 'x' ESCAPE # FROM processes", "'x'"),
    ("SELECT name GLOB # FROM processes", "'x'"),
    ("SELECT # REGEXP 'x' FROM processes", "'x'"),
    ("SELECT CAST(# AS TEXT) FROM processes", "1"),
    ("SELECT (pid, #) = (1, 2) FROM processes", "1"),
    ("SELECT (pid, #) IN (SELECT 1, 2) FROM processes", "1"),
    ("SELECT - # FROM processes", "1"),
    ("SELECT # || 'x' FROM processes", "'x'"),
    ("SELECT '{}' -> # FROM processes", "'x'"),
    ("SELECT # IS NOT DISTINCT FROM 1 FROM processes", "1"),
    ("SELECT # ISNULL FROM processes", "1"),
    ("SELECT pid FROM processes FOR SYSTEM_TIME AS OF #", "'2026-11-22'"),
    ("SELECT pid FROM processes FOR SYSTEM_TIME BETWEEN '2026-11-22' AND #", "'2026-11-23'"),
    ("SELECT a.pid FROM ancestors(#) AS a", "'x'"),
    ("SELECT a.pid FROM processes p JOIN descendants(#) AS a", "'x'"),
    ("SELECT value FROM list(#)", "'web'"),
    ("SELECT 1 FROM processes p AUTO JOIN process_starts s ON s.pid = #", "p.pid"),
    ("SELECT 1 FROM processes p AUTO JOIN process_starts s ON s.pid = p.pid WHEN # = p.pid", "1"),
];

/// Functions that somebody would like to call. The name alone is what the caret has to be at.
const FUNCTIONS: &[&str] = &[
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "sqlite_compileoption_get",
    "sqlite_log",
    "sqlite_version",
    "sqlite_source_id",
    "sqlite_offset",
    "randomblob",
    "zeroblob",
    "last_insert_rowid",
    "changes",
    "total_changes",
    "lsmode",
    "fsdir",
    "sqlar_compress",
    "eval",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "pg_sleep",
    "pg_terminate_backend",
    "lo_import",
    "lo_export",
    "dblink",
    "copy_from",
    "query_to_xml",
    "set_config",
    "current_setting",
    "sleep",
    "benchmark",
    "load_file",
    "sys_exec",
    "sys_eval",
    "xp_cmdshell",
    "sp_executesql",
    "openrowset",
    "system",
    "exec",
    "shell",
    "popen",
    "getenv",
    "read_csv",
    "read_text",
    "read_parquet",
    "http_get",
    "curl",
    "python",
    "utl_http",
    "dbms_pipe",
    "java",
    "url",
];

/// The same call, written so that somebody might overlook it.
const DISGUISES: &[&str] = &[
    "\"load_extension\"('x')",
    "[load_extension]('x')",
    "`load_extension`('x')",
    "LOAD_extension /**/ ('x')",
    "load_extension--\n('x')",
    "main.load_extension('x')",
    "\"main\".\"load_extension\"('x')",
    "temp.readfile('x')",
    "load/**/_extension('x')",
    "/* /* */ load_extension('x') /* */",
    "lоad_extension('x')",
    "ｌｏａｄ＿ｅｘｔｅｎｓｉｏｎ('x')",
    "load\u{200b}_extension('x')",
    "load\u{ad}_extension('x')",
    "load_extension\u{200d}('x')",
    "load_extension\u{a0}('x')",
    "load_extension\u{b}('x')",
    "\u{feff}load_extension('x')",
    "load_extension\0('x')",
    "lo\0ad_extension('x')",
    "load_extensıon('x')",
    "(load_extension)('x')",
    "{fn load_extension('x')}",
    "load_extension ALL('x')",
    "load_extension(DISTINCT 'x')",
    "load_extension(*)",
    "load_extension('x') OVER ()",
    "load_extension('x') FILTER (WHERE TRUE)",
    "x'41'.load_extension('x')",
    "NEXT VALUE FOR seq",
    "@@version",
    "$$load$$",
    "E'\\x41'::regclass",
    "xmlelement(name foo)",
    "EXTRACT(YEAR FROM 'x')",
    "POSITION('a' IN 'b')",
    "CONVERT('x', CHAR)",
    "TRY_CAST('x' AS INT)",
    "ARRAY[load_extension('x')]",
    "ROW(load_extension('x'))",
    "(SELECT load_extension('x'))",
    "EXISTS (SELECT readfile('x'))",
    "(WITH x AS (SELECT readfile('x')) SELECT * FROM x)",
    "(VALUES (readfile('x')))",
    "CASE WHEN TRUE THEN 1 ELSE writefile('x', 'y') END",
    "coalesce(1, pg_sleep(9))",
    "RAISE(ABORT, 'x')",
    "(SELECT sql FROM sqlite_master)",
    "(SELECT 1 FROM pragma_database_list)",
    "(INSERT INTO processes VALUES (1))",
    "(DELETE FROM processes RETURNING 1)",
    "(DROP TABLE processes)",
    "(PRAGMA user_version)",
    "(ATTACH 'x' AS y)",
];

/// Places of a table. Each takes `processes`.
const TABLES: &[&str] = &[
    "SELECT 1 FROM #",
    "SELECT 1 FROM processes p, # AS q",
    "SELECT 1 FROM processes p JOIN # AS q ON TRUE",
    "SELECT 1 FROM processes p LEFT JOIN # AS q ON TRUE",
    "SELECT 1 FROM (processes p JOIN # AS q ON TRUE)",
    "SELECT 1 FROM (SELECT 1 FROM #)",
    "SELECT (SELECT 1 FROM #)",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM #)",
    "SELECT 1 WHERE 1 IN (SELECT 1 FROM #)",
    "WITH c AS (SELECT 1 FROM #) SELECT 1 FROM c",
    "WITH c AS (SELECT 1 FROM #) SELECT 1",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c JOIN # AS q ON n < 3) SELECT 1 FROM c",
    "SELECT 1 UNION SELECT 1 FROM #",
    "SELECT 1 FROM # EXCEPT SELECT 2",
    "SELECT 1 FROM processes p AUTO JOIN # AS q ON q.pid = 1",
    "SELECT pid FROM # FOR SYSTEM_TIME AS OF '2026-11-22'",
];

const FORBIDDEN_TABLES: &[&str] = &[
    "sqlite_master",
    "sqlite_schema",
    "sqlite_temp_master",
    "sqlite_sequence",
    "sqlite_stat1",
    "main.processes",
    "temp.sqlite_master",
    "pragma_table_info",
    "pragma_table_info('processes')",
    "pragma_database_list()",
    "dbstat",
    "sqlite_dbpage",
    "json_each('[1]')",
    "json_tree('[1]')",
    "generate_series(1, 10)",
    "fsdir('/etc')",
    "csv('/etc/passwd')",
    "zipfile('/x')",
    "lsdir('/')",
    "read_csv('/etc/passwd')",
    "'/etc/passwd'",
    "\"/etc/passwd\"",
    "information_schema.tables",
    "pg_catalog.pg_class",
    "pg_read_file('/x')",
    "dblink('x')",
    "OPENROWSET('x')",
    "TABLE(x)",
    "LATERAL (SELECT 1)",
    "UNNEST(ARRAY[1])",
    "xp_cmdshell",
    "ｐｒｏｃｅｓｓｅｓ",
    "рrocesses",
    "process\u{200b}es",
    "processes\0",
    "pro/**/cesses",
    "\"sqlite_master\"",
    "[sqlite_master]",
    "`sqlite_master`",
    "(INSERT INTO processes VALUES (1))",
    "(DELETE FROM processes RETURNING *)",
    "(PRAGMA x)",
    "(VALUES (readfile('x')))",
    "@t",
    "#t",
];

const STATEMENTS: &[&str] = &[
    "INSERT INTO processes VALUES (1)",
    "INSERT INTO processes SELECT 1 RETURNING pid",
    "UPDATE processes SET pid = 1",
    "DELETE FROM processes",
    "DELETE FROM processes RETURNING pid",
    "REPLACE INTO processes VALUES (1)",
    "DROP TABLE processes",
    "CREATE TABLE x(a)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; END",
    "CREATE VIEW v AS SELECT 1",
    "CREATE VIRTUAL TABLE t USING csv(filename='/etc/passwd')",
    "CREATE FUNCTION f() RETURNS INT AS 'x'",
    "ALTER TABLE processes RENAME TO x",
    "ATTACH DATABASE '/tmp/x' AS x",
    "DETACH x",
    "PRAGMA writable_schema = 1",
    "VACUUM",
    "VACUUM INTO '/tmp/x'",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT x",
    "RELEASE x",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT 1",
    "COPY processes TO '/tmp/x'",
    "COPY (SELECT 1) TO PROGRAM 'sh'",
    "SET x = 1",
    "CALL f()",
    "EXECUTE f",
    "EXEC xp_cmdshell 'x'",
    "PREPARE p AS SELECT 1",
    "DECLARE c CURSOR FOR SELECT 1",
    "LOAD '/tmp/x.so'",
    "INSTALL httpfs",
    "GRANT ALL ON x TO y",
    "TRUNCATE TABLE processes",
    "MERGE INTO x USING y ON TRUE WHEN MATCHED THEN DELETE",
    "LOCK TABLE x",
    "KILL 1",
    "USE x",
    "SHOW TABLES",
    "DESCRIBE processes",
    "LISTEN x",
    "NOTIFY x",
    "DO $$ BEGIN END $$",
    "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO x FROM processes",
    "SELECT 1 FROM processes FOR UPDATE",
    ".load /tmp/x.so",
    ".shell id",
    "\\! id",
];

/// Where a statement might be slipped in.
const AROUND: &[&str] = &[
    "#",
    " \t\n/* c */ -- d\n#",
    "\u{feff}#",
    "SELECT 1; #",
    "SELECT 1 FROM processes;;#",
    "SELECT pid FROM processes FOR SYSTEM_TIME AS OF '2026-11-22'; #",
    "(#)",
    "WITH x AS (#) SELECT 1 FROM x",
    "WITH x AS (SELECT 1) #",
    "SELECT 1 FROM (#)",
    "SELECT (#)",
    "SELECT 1 WHERE EXISTS (#)",
    "SELECT 1 WHERE 1 IN (#)",
    "SELECT 1 UNION #",
    "# UNION SELECT 1",
    "SELECT 1 FROM processes p AUTO JOIN process_starts s ON TRUE WHEN (#)",
];

fn catalog() -> Catalog {
    let mut lists = Lists::default();
    lists.add("web", List::parse("web", "nginx"));
    Catalog::builtin().with_lists(lists)
}

/// The statement with `thing` at its mark, and where it stands.
fn placed(place: &str, thing: &str) -> (Source, Range<usize>) {
    let at = place.find('#').expect("every place has a mark");
    (Source::query(&place.replacen('#', thing, 1)), at..at + thing.len())
}

fn compiles(checked: &Checked) -> bool {
    checked.rule.is_some() || checked.unavailable.is_some()
}

fn errors(checked: &Checked) -> Vec<&Diagnostic> {
    checked.diagnostics.iter().filter(|it| it.severity == Severity::Error && it.code != "DE312").collect()
}

fn takes(place: &str, harmless: &str) {
    let (source, _) = placed(place, harmless);
    let checked = check_query(&source, &catalog());
    assert!(compiles(&checked), "{}: {:?}", source.text, checked.diagnostics);
}

/// What is wrong with the refusal: there has to be an error at the thing, and none as a rule either.
fn unrefused(place: &str, thing: &str, at: impl Fn(&Diagnostic, &Range<usize>) -> bool) -> Option<String> {
    let (source, span) = placed(place, thing);
    let checked = check_query(&source, &catalog());
    if compiles(&checked) || check_rule(&source, &catalog()).rule.is_some() {
        return Some(format!("{:?} compiles", source.text));
    }
    let found = errors(&checked);
    assert!(found.iter().all(|error| !error.render(&source, Style::default()).is_empty()));
    let shown: Vec<_> = found.iter().map(|it| (it.code, it.span().clone(), &it.message)).collect();
    (!found.iter().any(|error| at(error, &span))).then(|| format!("{:?} at {span:?}: {shown:?}", source.text))
}

#[expect(clippy::print_stdout, reason = "how many cases there are is said")]
fn report(cases: usize, places: usize, wrong: &[String]) {
    println!("{cases} cases in {places} places");
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The caret touches the thing, or is at the word behind it. What is no syntax at all is said where the parser gave up,
/// which may be before: of a CASE that it cannot read it takes the word for a name.
fn touches(error: &Diagnostic, span: &Range<usize>) -> bool {
    error.code == "DE001" || (error.span().start <= span.end + 1 && error.span().end >= span.start)
}

#[test]
fn no_function_is_called_that_is_not_of_the_dialect() {
    let (mut cases, mut wrong) = (0, Vec::new());
    for (place, harmless) in EXPRESSIONS {
        takes(place, harmless);
        for name in FUNCTIONS {
            // Places of constants take no call at all.
            let constant = ["LIMIT", "OFFSET", "ESCAPE", "PRECEDING", "list("].iter().any(|word| place.contains(word));
            wrong.extend(unrefused(place, &format!("{name}('x')"), |error, span| {
                let named = error.span().start == span.start && error.span().end >= span.start + name.len();
                constant && touches(error, span) || named && matches!(error.code, "DE005" | "DE203")
            }));
            cases += 1;
        }
        for disguise in DISGUISES {
            wrong.extend(unrefused(place, disguise, touches));
            cases += 1;
        }
    }
    report(cases, EXPRESSIONS.len(), &wrong);
}

#[test]
fn no_table_is_read_that_is_not_of_the_catalog() {
    let (mut cases, mut wrong) = (0, Vec::new());
    for place in TABLES {
        takes(place, "processes");
        for table in FORBIDDEN_TABLES {
            wrong.extend(unrefused(place, table, touches));
            cases += 1;
        }
    }
    report(cases, TABLES.len(), &wrong);
}

#[test]
fn nothing_but_one_select_is_a_statement() {
    let (mut cases, mut wrong) = (0, Vec::new());
    for place in AROUND {
        for statement in STATEMENTS {
            let from = place.find([';', '#']).unwrap();
            wrong.extend(unrefused(place, statement, |error, span| touches(error, &(from..span.end))));
            cases += 1;
        }
    }
    report(cases, AROUND.len(), &wrong);
}
