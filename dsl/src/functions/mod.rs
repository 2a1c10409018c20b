//! The scalar functions: one file, one `mod` line and one entry in [`ALL`] each.
//!
//! The checker, the evaluator, the reference and the tests all read [`ALL`]. The examples of every function run as
//! tests against the evaluator, so the documentation cannot drift. `coalesce`, `ifnull`, `iif`, `nullif` and `now` are
//! not here: the checker translates them into expressions.

mod abs;
mod basename;
mod dirname;
mod ends_with;
mod hex;
mod instr;
mod length;
mod lower;
mod ltrim;
mod replace;
mod round;
mod rtrim;
mod sign;
mod starts_with;
mod substr;
mod trim;
mod unicode;
mod upper;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};

use crate::types::{Type, Value};

/// Evaluates one function over columns of equal length.
pub type Eval = fn(&[ArrayRef]) -> ArrayRef;

/// A scalar function. Several entries of one name are overloads; the first that fits is taken.
pub struct Function {
    /// The name, lower case.
    pub name: &'static str,
    /// The types of the arguments.
    pub args: &'static [Type],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// The type of the result; any result may be NULL.
    pub returns: Type,
    /// What it gives, in a sentence or two.
    pub doc: &'static str,
    /// Calls and their results, both as SQL.
    pub examples: &'static [(&'static str, &'static str)],
    /// The work.
    pub eval: Eval,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The same entry of the registry.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Function {
    /// `name(TEXT, INTEGER)`, optional arguments in brackets.
    pub fn signature(&self) -> String {
        let required = self.args.len() - self.optional;
        let args: Vec<_> = self
            .args
            .iter()
            .enumerate()
            .map(|(at, ty)| if at < required { ty.to_string() } else { format!("[{ty}]") })
            .collect();
        format!("{}({})", self.name, args.join(", "))
    }
}

/// Every function, in the order of the reference.
pub static ALL: &[&Function] = &[
    &abs::ABS_INTEGER,
    &abs::ABS_REAL,
    &basename::BASENAME,
    &dirname::DIRNAME,
    &ends_with::ENDS_WITH,
    &hex::HEX,
    &instr::INSTR,
    &length::LENGTH,
    &lower::LOWER,
    &ltrim::LTRIM,
    &replace::REPLACE,
    &round::ROUND,
    &rtrim::RTRIM,
    &sign::SIGN,
    &starts_with::STARTS_WITH,
    &substr::SUBSTR,
    &substr::SUBSTRING,
    &trim::TRIM,
    &unicode::UNICODE,
    &upper::UPPER,
];

/// The functions of that name, without regard to case.
pub fn overloads(name: &str) -> impl Iterator<Item = &'static Function> {
    ALL.iter().copied().filter(move |function| function.name.eq_ignore_ascii_case(name))
}

/// Text to text, row by row; NULL stays NULL.
fn map_text(column: &ArrayRef, work: impl Fn(&str) -> Cow<'_, str>) -> ArrayRef {
    let texts = column.as_string::<i32>();
    Arc::new(texts.iter().map(|text| text.map(&work)).collect::<StringArray>())
}

/// Row by row over any arguments; a NULL among them gives NULL.
fn by_row(args: &[ArrayRef], returns: Type, work: impl Fn(&[Value]) -> Value) -> ArrayRef {
    let rows = args[0].len();
    returns.array((0..rows).map(|row| {
        let values: Vec<_> = args.iter().map(|column| Value::at(column, row)).collect();
        if values.iter().any(Value::is_null) { Value::Null } else { work(&values) }
    }))
}

/// The text of an argument that the checker has made TEXT and [`by_row`] not NULL.
fn text(value: &Value) -> &str {
    value.as_text().expect("the checker gives TEXT where TEXT is declared")
}

/// The same for INTEGER.
fn integer(value: &Value) -> i64 {
    value.as_integer().expect("the checker gives INTEGER where INTEGER is declared")
}

/// The characters to cut off: those of the second argument, else the space.
fn trim_set(values: &[Value]) -> Vec<char> {
    values.get(1).map_or_else(|| vec![' '], |set| text(set).chars().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test looks at its own source")]
    fn every_file_is_listed() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/functions");
        for entry in std::fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let stem = file.strip_suffix(".rs").unwrap();
            let listed = stem == "mod" || ALL.iter().any(|function| function.name == stem);
            assert!(listed, "functions/{file} has no entry in ALL");
        }
    }

    #[test]
    fn entries_are_sorted_and_documented() {
        assert!(ALL.is_sorted_by_key(|function| function.name));
        for function in ALL {
            assert!(function.doc.ends_with('.') && !function.examples.is_empty(), "{}", function.name);
        }
    }
}
