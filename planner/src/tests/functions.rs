//! The examples in the reference of functions are true, and what SQLite has too gives SQLite's answers.

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::functions;
use daemoneye_dsl::functions::aggregates::{AGGREGATES, WINDOWS};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};

use super::differential::{alike, as_sqlite_has_it};
use super::random::Random;
use super::setting;
use super::sqlite::Sqlite;
use super::world::{EPOCH, Row, TEXTS, World, rows_of};

#[test]
fn examples_hold() {
    let forms = functions::forms::FORMS.iter().chain(AGGREGATES).chain(WINDOWS).flat_map(|form| form.examples);
    let mut failures = Vec::new();
    for (call, result) in functions::all().flat_map(|function| function.examples).chain(forms) {
        match ours(&format!("{call}, {result}")) {
            Ok(row) if row[0] == row[1] => {}
            Ok(row) => failures.push(format!("{call} is {:?}, not {:?}", row[0], row[1])),
            Err(why) => failures.push(format!("{call}: {why}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The one row of a SELECT list of constants.
fn ours(items: &str) -> Result<Row, String> {
    let source = Source::query(&format!("SELECT {items}"));
    let checked = check_query(&source, &Catalog::builtin());
    let rule = checked.rule.ok_or_else(|| format!("{:?}", checked.diagnostics))?;
    let world = World::random(&mut Random::new(0));
    let answer = crate::execute(&crate::plan(&rule.query), &world, Timestamp(EPOCH)).map_err(|it| it.to_string())?;
    rows_of(&answer.rows).pop().ok_or_else(|| "no row".to_owned())
}

/// Every function that SQLite has, on awkward values, against SQLite: the same value of the same type, where ours is
/// NULL or refuses a constant (DE211) for SQLite's failures and NULLs. Left out are the departures that the reference
/// lists, and the mathematical functions unless SQLite is built with them:
/// `LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_MATH_FUNCTIONS cargo test -p daemoneye-planner`.
#[test]
fn answers_are_sqlite_s() {
    let (cases, seed) = (setting("CASES", 3_000), setting("SEED", 1));
    let sqlite = Sqlite::bare();
    let has_math = sqlite.rows("SELECT sqrt(4)").is_ok();
    let calls = [CALLS, if has_math { MATHS } else { &[] }].concat();
    let mut random = Random::new(seed);
    let mut differences = Vec::new();
    let mut seen = std::collections::BTreeMap::<_, (u64, u64)>::new();
    for number in 0..cases * 2 {
        let call = calls[usize::try_from(number).expect("small") % calls.len()];
        let sql = written(call, &mut random);
        let theirs = match sqlite.rows(&format!("SELECT {sql}")) {
            Ok(mut rows) => rows.remove(0).remove(0),
            Err(error) if error.to_string().contains("no such function") => panic!("{sql}: {error}"),
            Err(_) => Value::Null,
        };
        let ours = match ours(&sql) {
            Ok(row) => as_sqlite_has_it(row[0].clone()),
            Err(why) if why.contains("\"DE211\"") => Value::Null,
            Err(why) => panic!("{sql}: {why}"),
        };
        let count = seen.entry(call).or_default();
        count.0 += 1;
        count.1 += u64::from(!theirs.is_null());
        if !alike(&ours, &theirs) {
            differences.push((call, format!("{sql}\n    ours: {ours:?}\n  theirs: {theirs:?}")));
        }
    }
    // Short ones are easier to understand; of each call a few.
    differences.sort_by_key(|(call, text)| (*call, text.len()));
    let groups = differences.chunk_by(|one, other| one.0 == other.0);
    let shown: Vec<_> = groups.flat_map(|group| group.iter().take(4)).map(|(_, text)| text.as_str()).collect();
    assert!(differences.is_empty(), "{} differences, seed {seed}:\n{}", differences.len(), shown.join("\n"));
    let idle: Vec<_> = seen.iter().filter(|(_, (_, answers))| *answers == 0).map(|(call, _)| call).collect();
    assert!(idle.is_empty(), "always NULL: {idle:?}");
}

/// Calls with letters for arguments, small ones where something is left out: `#I` an INTEGER, `#i` not the least, `#R` a REAL, `#T` a TEXT, `#B` a BLOB, `#A` any of them, `#a` with ASCII text, `#N` a
/// number, `#C` a code point, `#F` a format, `#M` a moment, `#m` modifiers, `#k` without `subsec`, `#S` a format of strftime, `#J` JSON,
/// `#P` a path, `#p` one that is well-formed, `#X` hexadecimal digits, `#t` a TEXT without NUL.
const CALLS: &[&str] = &[
    "abs(#I)",
    "abs(#R)",
    "char(#C)",
    "char(#C, #C, #C)",
    "concat(#A)",
    "concat(#A, #A, #A)",
    "concat_ws(#T, #A, #A)",
    "format(#F, #a, #a, #a)",
    "glob(#t, #t)",
    "hex(#T)",
    "hex(#B)",
    "instr(#T, #T)",
    "instr(#B, #B)",
    "length(#T)",
    "length(#B)",
    "length(#N)",
    "like(#t, #t)",
    "like(#t, #t, '\\')",
    "lower(#T)",
    "ltrim(#T)",
    "ltrim(#T, #t)",
    "max(#I, #I, #I)",
    "max(#R, #R)",
    "max(#T, #T, #T)",
    "min(#I, #I)",
    "min(#R, #R, #R)",
    "min(#T, #T)",
    "min(#B, #B)",
    "octet_length(#T)",
    "octet_length(#B)",
    "printf(#F, #a)",
    "printf(#F, #a, #a)",
    "printf(#F, #N)",
    "printf('%d%', #I)",
    "printf('%*d|%-*d|%.*f', 7, #I, 5, #I, 3, #R)",
    "quote(#A)",
    "replace(#T, #T, #T)",
    "round(#R)",
    "round(#R, #I)",
    "round(#I)",
    "rtrim(#T)",
    "rtrim(#T, #t)",
    "sign(#I)",
    "sign(#R)",
    "soundex(#T)",
    "substr(#t, #i)",
    "substr(#t, #i, #i)",
    "substr(#B, #i, #i)",
    "substring(#t, #i)",
    "trim(#T)",
    "trim(#T, #t)",
    "typeof(#A)",
    "unhex(#X)",
    "unhex(#X, #T)",
    "unicode(#T)",
    "upper(#T)",
    "date(#M)",
    "date(#M#m)",
    "date(#M, '+1 month', 'floor')",
    "date(#M, '-13 months', 'floor')",
    "date(#M, '+1 year', 'ceiling')",
    "date(#M#m)",
    "datetime(#M)",
    "datetime(#M#m)",
    "datetime(#M#m)",
    "datetime(#M#m)",
    "datetime(#M#m)",
    "julianday(#M#m)",
    "julianday(#M#m)",
    "strftime(#S, #M#m)",
    "strftime(#S, #M#m)",
    "strftime(#S, #M)",
    "time(#M)",
    "time(#M#m)",
    "timediff(#M, #M)",
    "timediff(#M, #M)",
    "unixepoch(#M#k)",
    "json_array(#I, #t)",
    "json_array(#I, #T, #I)",
    "json_array_length(#J)",
    "json_array_length(#J, #P)",
    "CAST(json_extract(#J, #P) AS TEXT)",
    "CAST(json_extract(#J, #P) AS TEXT)",
    "json_extract(#J, #p, #p)",
    "(#J -> #P)",
    "(#J -> #I)",
    "CAST(#J ->> #P AS TEXT)",
    "CAST(#J ->> #I AS TEXT)",
    "(#J -> 'a')",
    "CAST(#J ->> 'a' AS TEXT)",
    "json_object(#T, #I)",
    "json_type(#J)",
    "json_type(#J, #P)",
    "json_valid(#J)",
];

const MATHS: &[&str] = &[
    "acos(#R)",
    "acosh(#R)",
    "asin(#R)",
    "asinh(#R)",
    "atan(#R)",
    "atan2(#R, #R)",
    "atanh(#R)",
    "ceil(#R)",
    "ceil(#I)",
    "ceiling(#R)",
    "cos(#R)",
    "cosh(#R)",
    "degrees(#R)",
    "exp(#R)",
    "floor(#R)",
    "floor(#I)",
    "ln(#N)",
    "log(#N)",
    "log(#N, #N)",
    "log10(#N)",
    "log2(#N)",
    "mod(#N, #N)",
    "pi()",
    "pow(#N, #N)",
    "power(#R, #I)",
    "radians(#R)",
    "sin(#R)",
    "sinh(#R)",
    "sqrt(#N)",
    "tan(#R)",
    "tanh(#R)",
    "trunc(#R)",
    "trunc(#I)",
];

const INTEGERS: &[&str] =
    &["0", "1", "-1", "2", "3", "-3", "7", "10", "31", "100", "-9223372036854775808", "9223372036854775807", "NULL"];
const REALS: &[&str] = &[
    "0.0",
    "-0.0",
    "1.0",
    "1.5",
    "-2.5",
    "0.5",
    "-0.5",
    "0.1",
    "3.14159",
    "1e300",
    "-1e300",
    "1e-7",
    "9e999",
    "-9e999",
    "2.675",
    "1e15",
    "4503599627370497.5",
    "99.995",
    "0.05",
    "NULL",
];
const BLOBS: &[&str] = &["x''", "x'00'", "x'ff00'", "x'616263'", "x'6263'", "x'62'", "NULL"];
const CODES: &[&str] = &["0", "65", "233", "26085", "128512", "1114111", "1114112", "-1", "127", "NULL"];
const HEXES: &[&str] = &["'417E'", "'4 17E'", "'41-7e'", "''", "'4'", "'zz'", "'é41'", "'00ff'", "NULL"];
const MOMENTS: &[&str] = &[
    "'2026-11-22'",
    "'2026-11-22 10:30'",
    "'2026-11-22T10:30:45'",
    "'2026-11-22 10:30:45.678'",
    "'2024-02-29'",
    "'2023-02-31'",
    "'2026-01-31'",
    "'1900-01-31'",
    "'1900-02-28 24:00'",
    "'2000-02-29 24:00'",
    "'2023-02-31 24:00'",
    "'2023-12-31 24:00:00'",
    "'0000-01-01'",
    "'-4713-11-24 12:00'",
    "'-0001-06-15'",
    "'9999-12-31 23:59:59.999'",
    "'10:30'",
    "'24:00'",
    "'10:30:60'",
    "'10:30:15.1234567'",
    "'23:59:59.9999999'",
    "'10:30+02:00'",
    "'2026-11-22 10:30-05:30'",
    "'2026-11-22 10:30 Z'",
    "'2026-11-22 00:10+14:00'",
    "'2026-11-22 10:30+15:00'",
    "'2000-01-01 12:00:00'",
    "'2026-13-01'",
    "'2026-1-1'",
    "'26-11-22'",
    "' 2026-11-22'",
    "'2026-11-22 '",
    "'2026-11-22x'",
    "''",
    "'x'",
    "'2451545.25'",
    "'1700000000'",
    "2451545",
    "2451545.75",
    "0",
    "-1",
    "1700000000",
    "1700000000.123",
    "-62135596800",
    "5373484.4999",
    "5373484.5",
    "1e300",
    "9223372036854775807",
    "9e999",
    "NULL",
];
const MODIFIERS: &[&str] = &[
    "+1 day",
    "-1 day",
    "1 day",
    "+1.5 days",
    "-5 minutes",
    "+36 hours",
    "+0.001 seconds",
    "-1.9995 seconds",
    "+1 month",
    "-1 month",
    "+13 months",
    "-25 months",
    "+1.5 months",
    "+1 year",
    "-1 year",
    "+4 years",
    "-3000 years",
    "+9000 years",
    "start of day",
    "start of month",
    "start of year",
    "START OF DAY",
    "end of month",
    "end of year",
    "end of day",
    "weekday 0",
    "weekday 3",
    "weekday 6",
    "weekday -2",
    "weekday 7",
    "weekday 1.5",
    "unixepoch",
    "auto",
    "julianday",
    "subsec",
    "subsecond",
    "floor",
    "ceiling",
    "+10:30",
    "-10:30",
    "10:30:15.5",
    "-00:00:00.001",
    "+0001-02-03",
    "-0001-02-03 04:05",
    "+0000-11-30 23:59",
    "+00001-02-03",
    "-0000-12-00",
    "+1",
    "days",
    "+1 fortnight",
    "+1e2 days",
    "+1  days",
    "+1 day ",
    "+99999999999 days",
    "-5373484 days",
    "+é day",
    "",
    "start of",
    "start of week",
    "+24:00",
];
const TIME_FORMATS: &[&str] = &[
    "'%d %e %f %F'",
    "'%G %g %V'",
    "'%H %I %k %l %p %P'",
    "'%j %J'",
    "'%m %M %R %s %S %T'",
    "'%u %w %U %W'",
    "'%Y%%'",
    "'%Q'",
    "'%'",
    "'é%Yé'",
    "''",
    "NULL",
];
const DOCUMENTS: &[&str] = &[
    r#"'{"a":[1,2.5,"x",null,true,false,{"b":"é"}],"c":{"d e":[[]]},"":7}'"#,
    r#"'[1,-2,3.25,"a\"b\\c\n",[],{},null]'"#,
    "'[9223372036854775807,18446744073709551615,-9223372036854775808]'",
    "'\"text\"'",
    "'7'",
    "' null '",
    "'true'",
    "'[1,2'",
    "'{\"a\":}'",
    "''",
    "'x'",
    "NULL",
];
const PATHS: &[&str] = &[
    "'$'",
    "'$.a'",
    "'$.a[0]'",
    "'$.a[1]'",
    "'$.a[6].b'",
    "'$.a[#-1]'",
    "'$.a[#-3]'",
    "'$.a[#]'",
    "'$.c.\"d e\"'",
    "'$.c.\"d e\"[0]'",
    "'$[0]'",
    "'$[3]'",
    "'$[#-1]'",
    "'$[99]'",
    "'$[#-99]'",
    "'$.x'",
    "'$[0].a'",
    "'$.'",
    "'$['",
    "'$[x]'",
    "'a'",
    "''",
    "NULL",
];
const FORMATS: &[&str] = &[
    "%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%,d", "%.3d", "%8.3d", "%i", "%u", "%x", "%X", "%#x", "%08x", "%o",
    "%#o", "%r", "%f", "%.0f", "%.2f", "%10.3f", "%-10.1f|", "%010.2f", "%+.1f", "%,.2f", "%#.0f", "%e", "%.3e", "%E",
    "%g", "%.3g", "%G", "%#g", "%!g", "%!.3g", "%s", "%10s", "%-10s|", "%.1s", "%z", "%q", "%Q", "%w", "%c", "%.3c",
    "%5c", "%%", "%ld", "%lld", "%5%", "%n", "%0-8.1f|", "%p", "100%% %s", "a%db",
];

fn written(call: &str, random: &mut Random) -> String {
    let mut parts = call.split('#');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (kind, rest) = part.split_at(1);
        out.push_str(&argument(kind, random));
        out.push_str(rest);
    }
    out
}

fn argument(kind: &str, random: &mut Random) -> String {
    match kind {
        "I" => random.word(INTEGERS).to_owned(),
        "R" => random.word(REALS).to_owned(),
        "B" => random.word(BLOBS).to_owned(),
        "C" => random.word(CODES).to_owned(),
        "X" => random.word(HEXES).to_owned(),
        "M" => random.word(MOMENTS).to_owned(),
        "S" => random.word(TIME_FORMATS).to_owned(),
        "J" => random.word(DOCUMENTS).to_owned(),
        "P" => random.word(PATHS).to_owned(),
        "i" => argument("I", random).replace("-9223372036854775808", "-5"),
        "a" => argument("A", random).replace(|c: char| !c.is_ascii(), "a"),
        "k" => argument("m", random).replace("subsecond", "auto").replace("subsec", "auto"),
        "N" => argument(random.word(&["I", "R"]), random),
        "A" => argument(random.word(&["I", "R", "T", "B"]), random),
        "F" => {
            let texts: String = (0..=random.below(2)).map(|_| random.word(FORMATS)).collect();
            format!("'{texts}'")
        }
        "m" => {
            let modifiers = (0..=random.below(3)).map(|_| format!(", '{}'", random.word(MODIFIERS)));
            modifiers.collect()
        }
        "p" => argument("P", random).replace("'$.'", "'$'").replace("'$['", "'$'").replace("'$[x]'", "'$'"),
        // A text with a NUL has no literal of its own.
        "T" if random.percent(5) => "CAST(x'610062' AS TEXT)".to_owned(),
        _ if random.percent(10) => "NULL".to_owned(),
        _ => format!("'{}'", random.word(TEXTS).replace('\'', "''")),
    }
}
