//! Functions of text, and those of values of any type.

mod char;
mod concat;
mod concat_ws;
mod contains;
mod ends_with;
mod entropy;
mod extreme;
mod instr;
mod jaro_winkler;
mod length;
mod levenshtein;
mod like;
mod lower;
mod octet_length;
mod printf;
mod quote;
mod replace;
mod soundex;
mod split;
mod split_part;
mod starts_with;
mod substr;
mod trim;
mod type_name;
mod unicode;
mod upper;

use super::Group;
use super::call::Row;
use crate::limits::SIMILARITY_LEN_MAX;

pub(super) static TEXTS: Group = Group {
    title: "Text",
    doc: "Places and lengths count characters. Nothing here ignores case unless its name starts with `i` or it says so. \
          A NUL is a character like others for LIKE, GLOB, substr and the characters to trim (for SQLite it ends the text).",
    functions: &[
        &char::CHAR,
        &concat::CONCAT,
        &concat_ws::CONCAT_WS,
        &contains::CONTAINS,
        &ends_with::ENDS_WITH,
        &entropy::ENTROPY,
        &entropy::ENTROPY_BLOB,
        &printf::FORMAT,
        &like::GLOB,
        &contains::ICONTAINS,
        &ends_with::IENDS_WITH,
        &instr::INSTR,
        &instr::INSTR_BLOB,
        &starts_with::ISTARTS_WITH,
        &jaro_winkler::JARO_WINKLER,
        &length::LENGTH,
        &length::LENGTH_BLOB,
        &levenshtein::LEVENSHTEIN,
        &like::LIKE,
        &lower::LOWER,
        &trim::LTRIM,
        &extreme::MAX,
        &extreme::MIN,
        &octet_length::OCTET_LENGTH,
        &octet_length::OCTET_LENGTH_BLOB,
        &printf::PRINTF,
        &quote::QUOTE,
        &replace::REPLACE,
        &trim::RTRIM,
        &soundex::SOUNDEX,
        &split::SPLIT,
        &split_part::SPLIT_PART,
        &starts_with::STARTS_WITH,
        &substr::SUBSTR,
        &substr::SUBSTR_BLOB,
        &substr::SUBSTRING,
        &substr::SUBSTRING_BLOB,
        &trim::TRIM,
        &type_name::TYPEOF,
        &unicode::UNICODE,
        &upper::UPPER,
    ],
};

/// Letters of every script in lower case: what the functions that ignore case compare.
fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// The two texts of a row, if both are short enough to be compared letter by letter.
fn comparable(row: Row<'_>) -> Option<(&str, &str)> {
    let short = |text: &str| text.chars().nth(SIMILARITY_LEN_MAX).is_none();
    Some((row.text(0), row.text(1))).filter(|(text, other)| short(text) && short(other))
}
