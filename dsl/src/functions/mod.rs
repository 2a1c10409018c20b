//! The scalar functions: one file, one `mod` line and one entry in its group's list each.
//!
//! The checker, the evaluator, the reference and the tests all read [`GROUPS`]. The examples of every function run as
//! tests against the evaluator, so the documentation cannot drift. `coalesce`, `ifnull`, `iif`, `nullif` and `now` are
//! [`forms`]: the checker translates them into expressions.
//!
//! Every function is pure and total: a value or NULL for every row, never an error, whatever a process calls itself.
//! None reads a clock, a file or a time zone, and no result is longer than [`RESULT_LEN_MAX`](crate::limits::RESULT_LEN_MAX).

mod addresses;
pub mod aggregates;
mod arguments;
mod call;
mod characters;
mod encodings;
pub mod forms;
mod json;
mod math;
mod names;
mod paths;
mod reference;
mod regexps;
mod text;
mod time;

use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use regex::Regex;

use crate::limits::Limits;
use crate::types::{Type, Value};

pub use call::Call;
pub use names::{Known, known_elsewhere};
pub use reference::reference;

/// Evaluates one function over columns of equal length.
pub type Eval = fn(Call<'_>) -> ArrayRef;

/// A scalar function. Several entries of one name are overloads; the first that fits is taken.
pub struct Function {
    /// The name, lower case.
    pub name: &'static str,
    /// The arguments: what they are called in the reference, and what they take.
    pub args: &'static [(&'static str, Takes)],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may come again and again.
    pub repeats: bool,
    /// The type of the result; any result may be NULL.
    pub returns: Gives,
    /// What it gives, in a sentence or two, with every departure from SQLite's function of that name.
    pub doc: &'static str,
    /// Calls and their results, both as SQL.
    pub examples: &'static [(&'static str, &'static str)],
    /// Looks at the arguments that are constant when a rule is loaded (the others are nothing): refuses those with
    /// which no row could have an answer, and prepares what need not be made again for every batch.
    pub load: fn(&[Option<&Value>], &Limits) -> Result<Prepared, Refusal>,
    /// The work.
    pub eval: Eval,
}

/// What an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// This type, or one that becomes it without loss; TEXT takes numbers too.
    One(Type),
    /// Any type, as it is.
    Any,
    /// Any type, but one for all arguments of this kind.
    Alike,
    /// A moment as SQLite's date functions take it: TEXT, a number, or TIMESTAMP. The text `'now'` and a missing
    /// argument are the time of evaluation.
    Moment,
}

/// TEXT.
pub(crate) const TEXT: Takes = Takes::One(Type::Text);
/// INTEGER.
pub(crate) const INTEGER: Takes = Takes::One(Type::Integer);
/// REAL.
pub(crate) const REAL: Takes = Takes::One(Type::Real);
/// BLOB.
pub(crate) const BLOB: Takes = Takes::One(Type::Blob);

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(ty) => write!(f, "{ty}"),
            Self::Any => f.write_str("any"),
            Self::Alike => f.write_str("any alike"),
            Self::Moment => f.write_str("TEXT|number|TIMESTAMP"),
        }
    }
}

/// The type of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// This one.
    One(Type),
    /// That of the arguments that are [`Takes::Alike`].
    Alike,
}

/// What a function made of its constant arguments when the rule was loaded.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The pattern, compiled.
    pub(crate) regex: Option<Regex>,
}

/// It follows from the arguments, which are compared too.
impl PartialEq for Prepared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Why a call with these constants is refused, and what to do: the parts of a diagnostic.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The diagnostic's code.
    pub code: &'static str,
    /// Which argument, from 0.
    pub argument: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl Function {
    /// What most functions have in common, to be completed.
    const BASE: Self = Self {
        name: "",
        args: &[],
        optional: 0,
        repeats: false,
        returns: Gives::One(Type::Text),
        doc: "",
        examples: &[],
        load: |_, _| Ok(Prepared::default()),
        eval: |call| call.text(|_| None::<&str>),
    };

    /// Whether it can be called with so many arguments.
    pub fn takes_count(&self, count: usize) -> bool {
        count >= self.args.len() - self.optional && (self.repeats || count <= self.args.len())
    }

    /// What the argument at `index` takes.
    pub fn takes(&self, index: usize) -> Option<Takes> {
        let last = self.args.last().filter(|_| self.repeats);
        self.args.get(index).or(last).map(|(_, takes)| *takes)
    }

    /// `name(text TEXT [, count INTEGER])`, or an operator between its operands.
    pub fn signature(&self) -> String {
        if let ([(left, takes), (right, also)], Some('-')) = (self.args, self.name.chars().next()) {
            return format!("{left} {takes} {} {right} {also}", self.name);
        }
        let required = self.args.len() - self.optional;
        let mut out = format!("{}(", self.name);
        for (at, (name, takes)) in self.args.iter().enumerate() {
            if at == required {
                out.push_str(if at == 0 { "[" } else { " [" });
            }
            if at > 0 {
                out.push_str(", ");
            }
            out.push_str(name);
            out.push(' ');
            out.push_str(&takes.to_string());
        }
        if self.repeats {
            out.push_str(", …");
        }
        if self.optional > 0 {
            out.push(']');
        }
        out.push(')');
        out
    }

    /// The name of the result's type.
    pub fn gives(&self) -> String {
        match self.returns {
            Gives::One(ty) => ty.to_string(),
            Gives::Alike => "the arguments' type".to_owned(),
        }
    }

    /// Evaluates over `rows` rows; `args` has a column of so many for each argument.
    pub fn evaluate(&self, args: &[ArrayRef], rows: usize, returns: Type, prepared: &Arc<Prepared>) -> ArrayRef {
        (self.eval)(Call::new(args, rows, returns, prepared))
    }
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

/// Functions that belong together: a folder here, a chapter of the reference.
#[derive(Debug)]
pub struct Group {
    /// The chapter's title.
    pub title: &'static str,
    /// What holds for all of them.
    pub doc: &'static str,
    /// The functions, sorted by name.
    pub functions: &'static [&'static Function],
}

/// Every group, in the order of the reference.
pub static GROUPS: &[&Group] = &[
    &text::TEXTS,
    &math::NUMBERS,
    &time::TIMES,
    &json::JSON,
    &regexps::REGEXPS,
    &paths::PATHS,
    &arguments::ARGUMENTS,
    &addresses::ADDRESSES,
    &encodings::ENCODINGS,
];

/// Every function, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|group| group.functions.iter().copied())
}

/// The functions of that name, without regard to case.
pub fn overloads(name: &str) -> impl Iterator<Item = &'static Function> {
    all().filter(move |function| function.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test looks at its own source")]
    fn every_file_is_a_module() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/functions");
        let names = |dir: &str| -> Vec<String> {
            let entries =
                std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            entries.collect()
        };
        for folder in names(root).into_iter().filter(|name| !name.contains('.')) {
            let dir = format!("{root}/{folder}");
            let parent = std::fs::read_to_string(format!("{dir}/mod.rs")).unwrap();
            for file in names(&dir) {
                let stem = file.strip_suffix(".rs").unwrap();
                let listed = stem == "mod" || parent.contains(&format!("mod {stem};"));
                assert!(listed, "functions/{folder}/{file} has no `mod` line");
            }
        }
    }

    #[test]
    fn entries_are_sorted_documented_and_apart() {
        for group in GROUPS {
            assert!(group.functions.is_sorted_by_key(|function| function.name), "{}", group.title);
        }
        for function in all() {
            assert!(function.doc.ends_with('.') && !function.examples.is_empty(), "{}", function.name);
            assert!(function.optional <= function.args.len(), "{}", function.name);
            let group = |name: &str| GROUPS.iter().filter(|it| it.functions.iter().any(|it| it.name == name)).count();
            assert_eq!(group(function.name), 1, "{} stands in two groups", function.name);
        }
        for form in forms::FORMS {
            assert!(overloads(form.name).next().is_none(), "{} is a form", form.name);
        }
    }

    /// Whatever comes: no panic, nothing longer than a result may be, and each row's answer its own.
    #[test]
    fn every_function_is_total() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for function in all() {
            let counts =
                function.args.len() - function.optional..=function.args.len() + 2 * usize::from(function.repeats);
            for count in counts {
                // What the checker adds, or refuses whatever the arguments are.
                if function.takes(count) == Some(Takes::Moment)
                    || (function.load)(&vec![None; count], &Limits::default()).is_err()
                {
                    continue;
                }
                let types = |takes: Takes| match takes {
                    Takes::One(ty) => vec![ty],
                    Takes::Any => Type::ALL.to_vec(),
                    Takes::Alike => vec![Type::Text],
                    Takes::Moment => vec![Type::Text, Type::Integer, Type::Real, Type::Timestamp],
                };
                for turn in 0..3 {
                    let columns: Vec<_> = (0..count)
                        .map(|at| {
                            let types = types(function.takes(at).unwrap());
                            let ty = types[(turn + at) % types.len()];
                            ty.array((0..12).map(|_| hostile(ty, &mut runner)))
                        })
                        .collect();
                    check_total(function, &columns);
                }
            }
        }
    }

    fn check_total(function: &Function, columns: &[ArrayRef]) {
        use arrow_array::Array;
        let returns = match function.returns {
            Gives::One(ty) => ty,
            Gives::Alike => Type::Text,
        };
        let prepared = Arc::new(Prepared::default());
        let whole = function.evaluate(columns, 12, returns, &prepared);
        assert_eq!((whole.len(), Type::from_arrow(whole.data_type())), (12, Some(returns)), "{}", function.name);
        for row in 0..12 {
            let value = Value::at(&whole, row);
            let one: Vec<_> = columns.iter().map(|column| column.slice(row, 1)).collect();
            let alone = Value::at(&function.evaluate(&one, 1, returns, &prepared), 0);
            assert_eq!(value, alone, "{}", function.name);
            let len = match &value {
                Value::Text(text) => text.len(),
                Value::Blob(bytes) => bytes.len(),
                _ => 0,
            };
            assert!(len <= crate::limits::RESULT_LEN_MAX, "{}", function.name);
            let constants: Vec<_> = columns.iter().map(|column| Value::at(column, row)).collect();
            let loaded = (function.load)(&constants.iter().map(Some).collect::<Vec<_>>(), &Limits::default());
            if let Ok(prepared) = loaded {
                let again = function.evaluate(&one, 1, returns, &Arc::new(prepared));
                // A constant pattern has more room than one from a row.
                assert!(Value::at(&again, 0) == alone || alone.is_null(), "{}", function.name);
            }
        }
    }

    fn hostile(ty: Type, runner: &mut proptest::test_runner::TestRunner) -> Value {
        use proptest::prelude::*;
        use proptest::strategy::ValueTree;
        let integers = || prop_oneof![-3..40i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(1_700_000_000)];
        let reals = prop_oneof![
            -3.0..40.0,
            any::<f64>().prop_filter("REAL is never NaN", |it| !it.is_nan()),
            Just(f64::INFINITY),
            Just(-0.0)
        ];
        let texts = prop_oneof![
            ".{0,12}",
            "[a-c%_/.\\\\ '\"$#\\[\\]{}:,0-9+-]{0,20}",
            "(%[-+ 0#!,]{0,2}[0-9]{0,3}(\\.[0-9*]{0,9})?[a-zA-Z%]){1,3}",
            "%[0-9]{9,12}(d|s|f|c|x)",
            "[+-]?[0-9]{1,4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,4})?)?)?",
            "[+-][0-9]{1,7}(\\.[0-9])? (second|minute|hour|day|month|year)s?",
            "(\\[|\\{|\"a\"|:|,|1|null|\\]|\\}){0,12}",
            "[(]?[a-z.]{1,3}[*+?)|\\[]{0,3}",
            "[0-9a-f:]{2,12}(/[0-9]{1,3})?",
            Just("a".repeat(6_000)),
            Just("[".repeat(6_000)),
            Just("now".to_owned()),
        ];
        let value = match ty {
            Type::Integer => integers().prop_map(Value::Integer).boxed(),
            Type::Real => reals.prop_map(Value::Real).boxed(),
            Type::Text => texts.prop_map(Value::Text).boxed(),
            Type::Blob => prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Blob).boxed(),
            Type::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
            Type::Timestamp => integers().prop_map(Value::Timestamp).boxed(),
            Type::Interval => integers().prop_map(Value::Interval).boxed(),
        };
        let value = prop_oneof![1 => Just(Value::Null), 9 => value];
        value.new_tree(runner).unwrap().current()
    }

    #[test]
    fn signatures_show_what_may_be_left_out() {
        let of = |name: &str| overloads(name).next().unwrap().signature();
        assert_eq!(of("trim"), "trim(text TEXT [, characters TEXT])");
        assert_eq!(of("concat"), "concat(value any, …)");
        assert_eq!(of("date"), "date([moment TEXT|number|TIMESTAMP, modifier TEXT, …])");
    }
}
