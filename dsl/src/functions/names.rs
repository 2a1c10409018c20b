//! Names from elsewhere: what authors who know SQLite, osquery, PostgreSQL, DuckDB or Splunk will try.

/// What there is to say of a function that is none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A function of ours takes the same arguments and can replace the name.
    Same(&'static str),
    /// This is how it is written here.
    Instead(&'static str),
    /// This is why there is none.
    Never(&'static str),
    /// It writes, reads, waits, runs something or throws dice: this is why it is refused (DE005).
    Forbidden(&'static str),
}

const CHANCE: &str = "rules give the same answer for the same rows: no function is random";
const DISK: &str = "rules read no files: what is known of files are columns of the tables";
const STATE: &str = "there is no database connection behind a rule whose state could be asked";
const HASH: &str = "there are no hash functions; the hash of a program is the column `executable_hash`";
const COMMAND: &str = "rules start no programs: they look at those that run";
const NETWORK: &str = "rules send nothing: alerts go to the sinks of the agent";
const WAIT: &str = "rules do not wait: each snapshot is looked at once, and `now()` is its time";
const CODE: &str = "rules load no code: only functions of the dialect can be called";

use Known::{Forbidden, Instead, Never, Same};

/// What is known of that name, without regard to case.
pub fn known_elsewhere(name: &str) -> Option<Known> {
    let found = ELSEWHERE.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, known)| *known)
}

static ELSEWHERE: &[(&str, Known)] = &[
    // SQLite.
    ("if", Same("iif")),
    ("current_timestamp", Instead("now(), or datetime('now') for text")),
    ("current_date", Instead("date('now')")),
    ("current_time", Instead("time('now')")),
    ("random", Forbidden(CHANCE)),
    ("randomblob", Forbidden(CHANCE)),
    ("readfile", Forbidden(DISK)),
    ("writefile", Forbidden(DISK)),
    ("edit", Forbidden(DISK)),
    ("load_extension", Forbidden(CODE)),
    ("fts3_tokenizer", Forbidden("it takes addresses of code: it let SQL run anything")),
    ("sqlite_version", Forbidden(STATE)),
    ("sqlite_source_id", Forbidden(STATE)),
    ("sqlite_compileoption_get", Forbidden(STATE)),
    ("sqlite_compileoption_used", Forbidden(STATE)),
    ("sqlite_log", Forbidden(STATE)),
    ("sqlite_offset", Forbidden(STATE)),
    ("changes", Forbidden(STATE)),
    ("total_changes", Forbidden(STATE)),
    ("last_insert_rowid", Forbidden(STATE)),
    ("subtype", Never("types are known when a rule is compiled; typeof(x) names them")),
    ("zeroblob", Instead("x'0000', bytes as a literal")),
    ("likely", Instead("the condition alone: the planner orders conditions by itself")),
    ("unlikely", Instead("the condition alone: the planner orders conditions by itself")),
    ("likelihood", Instead("the condition alone: the planner orders conditions by itself")),
    ("json", Instead("json_extract(x, '$'), which writes JSON without white space")),
    ("json_quote", Instead("json_array(x)")),
    ("unistr", Instead("char(233), which makes characters from code points")),
    ("match", Instead("x REGEXP 'pattern', or contains(x, 'part')")),
    // osquery.
    ("inet_aton", Instead("parse_ip(x), or cidr_contains('10.0.0.0/8', x)")),
    ("in_cidr_block", Same("cidr_contains")),
    ("community_id_v1", Never(HASH)),
    ("md5", Never(HASH)),
    ("sha1", Never(HASH)),
    ("sha256", Never(HASH)),
    ("version_compare", Instead("CAST(split_part(x, '.', 1) AS INTEGER), part by part")),
    ("regex_split", Instead("split(x, ';,', 0), or regexp_extract(x, '…', 1)")),
    ("conditional_to_base64", Same("to_base64")),
    ("cidr_match", Same("cidr_contains")),
    // PostgreSQL and DuckDB.
    ("left", Instead("substr(x, 1, n)")),
    ("right", Instead("substr(x, -n)")),
    ("strpos", Same("instr")),
    ("position", Instead("instr(x, part)")),
    ("charindex", Instead("instr(x, part)")),
    ("locate", Instead("instr(x, part)")),
    ("len", Same("length")),
    ("char_length", Same("length")),
    ("character_length", Same("length")),
    ("strlen", Same("octet_length")),
    ("lcase", Same("lower")),
    ("ucase", Same("upper")),
    ("initcap", Instead("upper(substr(x, 1, 1)) || substr(x, 2)")),
    ("btrim", Same("trim")),
    ("chr", Same("char")),
    ("ascii", Same("unicode")),
    ("ord", Same("unicode")),
    ("lpad", Instead("printf('%5s', x)")),
    ("rpad", Instead("printf('%-5s', x)")),
    ("repeat", Instead("printf('%.*c', n, x)")),
    ("translate", Instead("replace(x, from, to)")),
    ("string_split", Instead("split_part(x, separator, 1)")),
    ("str_split", Instead("split_part(x, separator, 1)")),
    ("string_to_array", Instead("split_part(x, separator, 1)")),
    ("regexp_matches", Instead("x REGEXP 'pattern'")),
    ("regexp_match", Instead("regexp_extract(x, 'pattern', 1), or x REGEXP 'pattern'")),
    ("regexp_like", Instead("x REGEXP 'pattern'")),
    ("regexp_full_match", Instead("x REGEXP '^(pattern)$'")),
    ("regexp_substr", Same("regexp_extract")),
    ("regexp_extract_all", Instead("regexp_extract(x, 'pattern') and regexp_count(x, 'pattern')")),
    ("regexp_instr", Instead("instr(x, regexp_extract(x, 'pattern'))")),
    ("regexp_split_to_array", Instead("regexp_extract(x, '…', 1)")),
    ("prefix", Same("starts_with")),
    ("suffix", Same("ends_with")),
    ("startswith", Same("starts_with")),
    ("endswith", Same("ends_with")),
    ("greatest", Same("max")),
    ("least", Same("min")),
    ("isnull", Instead("x IS NULL")),
    ("notnull", Instead("x IS NOT NULL")),
    ("nvl", Same("ifnull")),
    ("to_char", Instead("strftime('%Y-%m-%d', t)")),
    ("to_date", Instead("date(x)")),
    ("date_trunc", Instead("time_bucket(INTERVAL '1 hour', t), or datetime(t, 'start of month')")),
    ("date_part", Instead("CAST(strftime('%H', t) AS INTEGER)")),
    ("extract", Instead("CAST(strftime('%H', t) AS INTEGER)")),
    ("datepart", Instead("CAST(strftime('%H', t) AS INTEGER)")),
    ("year", Instead("CAST(strftime('%Y', t) AS INTEGER)")),
    ("month", Instead("CAST(strftime('%m', t) AS INTEGER)")),
    ("day", Instead("CAST(strftime('%d', t) AS INTEGER)")),
    ("hour", Instead("CAST(strftime('%H', t) AS INTEGER)")),
    ("minute", Instead("CAST(strftime('%M', t) AS INTEGER)")),
    ("second", Instead("CAST(strftime('%S', t) AS INTEGER)")),
    ("date_diff", Instead("unixepoch(a) - unixepoch(b), or a - b for TIMESTAMPs")),
    ("datediff", Instead("unixepoch(a) - unixepoch(b), or a - b for TIMESTAMPs")),
    ("age", Instead("now() - t")),
    ("date_add", Instead("t + INTERVAL '5 minutes'")),
    ("dateadd", Instead("t + INTERVAL '5 minutes'")),
    ("date_sub", Instead("t - INTERVAL '5 minutes'")),
    ("epoch", Same("unixepoch")),
    ("strptime", Instead("CAST('2026-11-22 10:30:00' AS TIMESTAMP)")),
    ("from_unixtime", Same("to_timestamp")),
    ("unix_timestamp", Same("unixepoch")),
    ("getdate", Same("now")),
    ("localtimestamp", Same("now")),
    ("clock_timestamp", Same("now")),
    ("truncate", Same("trunc")),
    ("cbrt", Instead("pow(x, 1.0 / 3)")),
    ("rand", Forbidden(CHANCE)),
    ("gen_random_uuid", Forbidden(CHANCE)),
    ("uuid", Forbidden(CHANCE)),
    ("jaro_winkler_similarity", Same("jaro_winkler")),
    ("jaro_similarity", Same("jaro_winkler")),
    ("damerau_levenshtein", Same("levenshtein")),
    ("editdist3", Same("levenshtein")),
    ("edit_distance", Same("levenshtein")),
    ("base64", Same("to_base64")),
    ("unbase64", Same("from_base64")),
    ("frombase64", Same("from_base64")),
    ("encode", Instead("hex(x), or to_base64(x)")),
    ("decode", Instead("hex_decode(x), base64_decode(x) or url_decode(x)")),
    ("json_extract_string", Same("json_extract")),
    ("json_value", Same("json_extract")),
    ("json_query", Same("json_extract")),
    ("json_each", Instead("json_extract(x, '$[0]'), or has_flag(argv, '-e')")),
    ("json_contains", Instead("has_flag(argv, '-e')")),
    ("list_contains", Instead("has_flag(argv, '-e')")),
    ("array_contains", Instead("has_flag(argv, '-e')")),
    ("array_length", Same("json_array_length")),
    ("parse_filename", Same("basename")),
    ("parse_dirname", Same("dirname")),
    ("parse_dirpath", Same("dirname")),
    ("parse_path", Instead("split(path, '/', 0)")),
    // Splunk, Kusto and the like.
    ("cidrmatch", Same("cidr_contains")),
    ("ipv4_is_in_range", Instead("cidr_contains('10.0.0.0/8', ip)")),
    ("ipv4_is_private", Same("is_private_ip")),
    ("is_private", Same("is_private_ip")),
    ("is_loopback", Same("is_loopback_ip")),
    ("urldecode", Same("url_decode")),
    ("rex", Instead("regexp_extract(x, 'pattern', 1)")),
    ("mvindex", Instead("split(x, ',', 0), or json_extract(argv, '$[0]')")),
    ("mvcount", Same("json_array_length")),
    ("spath", Same("json_extract")),
    ("relative_time", Instead("now() - INTERVAL '5 minutes'")),
    ("strcat", Same("concat")),
    ("string_concat", Same("concat")),
    ("substring_index", Instead("split_part(x, separator, 1)")),
    ("tolower", Same("lower")),
    ("toupper", Same("upper")),
    ("has", Same("icontains")),
    ("shannon_entropy", Same("entropy")),
    // What must not run from a rule.
    ("sleep", Forbidden(WAIT)),
    ("usleep", Forbidden(WAIT)),
    ("pg_sleep", Forbidden(WAIT)),
    ("benchmark", Forbidden(WAIT)),
    ("waitfor", Forbidden(WAIT)),
    ("system", Forbidden(COMMAND)),
    ("exec", Forbidden(COMMAND)),
    ("execute", Forbidden(COMMAND)),
    ("shell", Forbidden(COMMAND)),
    ("popen", Forbidden(COMMAND)),
    ("spawn", Forbidden(COMMAND)),
    ("xp_cmdshell", Forbidden(COMMAND)),
    ("sys_exec", Forbidden(COMMAND)),
    ("sys_eval", Forbidden(COMMAND)),
    ("eval", Forbidden(CODE)),
    ("http_get", Forbidden(NETWORK)),
    ("http_post", Forbidden(NETWORK)),
    ("http", Forbidden(NETWORK)),
    ("curl", Forbidden(NETWORK)),
    ("fetch", Forbidden(NETWORK)),
    ("dblink", Forbidden(NETWORK)),
    ("load_file", Forbidden(DISK)),
    ("pg_read_file", Forbidden(DISK)),
    ("pg_ls_dir", Forbidden(DISK)),
    ("lo_import", Forbidden(DISK)),
    ("lo_export", Forbidden(DISK)),
    ("lsdir", Forbidden(DISK)),
    ("fsdir", Forbidden(DISK)),
    ("read_csv", Forbidden(DISK)),
    ("read_csv_auto", Forbidden(DISK)),
    ("read_json", Forbidden(DISK)),
    ("read_json_auto", Forbidden(DISK)),
    ("read_parquet", Forbidden(DISK)),
    ("read_text", Forbidden(DISK)),
    ("read_blob", Forbidden(DISK)),
    ("csv_scan", Forbidden(DISK)),
    ("parquet_scan", Forbidden(DISK)),
    ("getenv", Forbidden(STATE)),
    ("current_setting", Forbidden(STATE)),
    ("set_config", Forbidden(STATE)),
    ("nextval", Forbidden(STATE)),
    ("setseed", Forbidden(CHANCE)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::{forms, overloads};

    #[test]
    fn what_is_suggested_exists_and_what_exists_is_not_explained_away() {
        let exists = |name: &str| overloads(name).next().is_some() || forms::FORMS.iter().any(|form| form.name == name);
        for (name, known) in ELSEWHERE {
            assert!(!exists(name), "{name} is ours");
            if let Same(other) = known {
                assert!(exists(other), "{name}: {other}");
            }
            assert_eq!(ELSEWHERE.iter().filter(|(other, _)| other == name).count(), 1, "{name} stands twice");
        }
    }
}
