//! What aggregates and window functions are, in words. What they do is in the checker and the planner.

use super::forms::Form;

/// The aggregates, sorted by name. Each ignores NULLs.
pub static AGGREGATES: &[Form] = &[
    Form {
        name: "any_value",
        signature: "any_value(value)",
        doc: "Some value of the group that is not NULL: always the least, so that the same rows give the same answer.",
        examples: &[("any_value(7)", "7")],
    },
    Form {
        name: "approx_count_distinct",
        signature: "approx_count_distinct(value)",
        doc: "The number of different values. It is exact: `count(DISTINCT value)`.",
        examples: &[("approx_count_distinct('a')", "1")],
    },
    Form {
        name: "avg",
        signature: "avg(number)",
        doc: "The mean, a REAL; NULL of nothing.",
        examples: &[("avg(7)", "7.0"), ("avg(NULL)", "NULL")],
    },
    Form {
        name: "count",
        signature: "count(*), count(value)",
        doc: "The number of rows, or of those whose value is not NULL.",
        examples: &[("count(*)", "1"), ("count(NULL)", "0"), ("count(DISTINCT 'a')", "1")],
    },
    Form {
        name: "count_if",
        signature: "count_if(condition)",
        doc: "The number of rows for which it is true: `count(*) FILTER (WHERE condition)`.",
        examples: &[("count_if(1 < 2)", "1"), ("count_if(1 > 2)", "0")],
    },
    Form {
        name: "group_concat",
        signature: "group_concat(text [, separator] [ORDER BY …])",
        doc: "The texts with a separator between them, by default a comma; NULL of nothing. Without ORDER BY they come in \
              the order of the rows, in rules in their own.",
        examples: &[("group_concat('a', ' ')", "'a'")],
    },
    Form {
        name: "max",
        signature: "max(value)",
        doc: "The greatest value; NULL of nothing. With several arguments it is the function of that name.",
        examples: &[("max(7)", "7")],
    },
    Form {
        name: "max_by",
        signature: "max_by(value, by)",
        doc: "The value from the row whose `by` is greatest; of several such rows, the least value.",
        examples: &[("max_by('sh', 7)", "'sh'")],
    },
    Form {
        name: "min",
        signature: "min(value)",
        doc: "The least value; NULL of nothing. With several arguments it is the function of that name.",
        examples: &[("min(7)", "7")],
    },
    Form {
        name: "min_by",
        signature: "min_by(value, by)",
        doc: "The value from the row whose `by` is least; of several such rows, the least value.",
        examples: &[("min_by('sh', 7)", "'sh'")],
    },
    Form {
        name: "string_agg",
        signature: "string_agg(text, separator [ORDER BY …])",
        doc: "Another name of `group_concat`.",
        examples: &[("string_agg('a', ' ')", "'a'")],
    },
    Form {
        name: "sum",
        signature: "sum(number)",
        doc: "The sum, in the type of its argument; NULL of nothing, and where it does not fit 64 bits (SQLite fails).",
        examples: &[("sum(7)", "7"), ("sum(NULL)", "NULL")],
    },
    Form {
        name: "total",
        signature: "total(number)",
        doc: "The sum, a REAL; 0.0 of nothing.",
        examples: &[("total(7)", "7.0"), ("total(NULL)", "0.0")],
    },
];

/// The functions that need OVER, sorted by name; aggregates may have it.
pub static WINDOWS: &[Form] = &[
    Form {
        name: "cume_dist",
        signature: "cume_dist() OVER (…)",
        doc: "Which part of the partition's rows come no later than this one, a REAL up to 1.0.",
        examples: &[("cume_dist() OVER ()", "1.0")],
    },
    Form {
        name: "dense_rank",
        signature: "dense_rank() OVER (… ORDER BY …)",
        doc: "The place of the row, from 1; equal rows share one, and none is left out.",
        examples: &[("dense_rank() OVER (ORDER BY 'a')", "1")],
    },
    Form {
        name: "first_value",
        signature: "first_value(value) OVER (…)",
        doc: "The value in the first row of the frame.",
        examples: &[("first_value(7) OVER ()", "7")],
    },
    Form {
        name: "lag",
        signature: "lag(value [, rows [, otherwise]]) OVER (… ORDER BY …)",
        doc: "The value so many rows before, by default one; where there is none, `otherwise` or NULL.",
        examples: &[("lag(7) OVER ()", "NULL"), ("lag(7, 1, 0) OVER ()", "0")],
    },
    Form {
        name: "last_value",
        signature: "last_value(value) OVER (…)",
        doc: "The value in the last row of the frame, which by default ends with the current row and its equals.",
        examples: &[("last_value(7) OVER ()", "7")],
    },
    Form {
        name: "lead",
        signature: "lead(value [, rows [, otherwise]]) OVER (… ORDER BY …)",
        doc: "The value so many rows behind, by default one; where there is none, `otherwise` or NULL.",
        examples: &[("lead(7) OVER ()", "NULL")],
    },
    Form {
        name: "nth_value",
        signature: "nth_value(value, n) OVER (…)",
        doc: "The value in the n-th row of the frame, from 1; NULL where it has fewer.",
        examples: &[("nth_value(7, 1) OVER ()", "7"), ("nth_value(7, 2) OVER ()", "NULL")],
    },
    Form {
        name: "ntile",
        signature: "ntile(parts) OVER (… ORDER BY …)",
        doc: "The number of the part that the row falls into when the partition is cut into so many of equal size.",
        examples: &[("ntile(4) OVER ()", "1")],
    },
    Form {
        name: "percent_rank",
        signature: "percent_rank() OVER (… ORDER BY …)",
        doc: "`(rank - 1) / (rows - 1)`, a REAL; 0.0 of a single row.",
        examples: &[("percent_rank() OVER ()", "0.0")],
    },
    Form {
        name: "rank",
        signature: "rank() OVER (… ORDER BY …)",
        doc: "The place of the row, from 1; equal rows share one, and as many are left out behind them.",
        examples: &[("rank() OVER (ORDER BY 'a')", "1")],
    },
    Form {
        name: "row_number",
        signature: "row_number() OVER (…)",
        doc: "The number of the row in its partition, from 1.",
        examples: &[("row_number() OVER ()", "1")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::WINDOW_FUNCTIONS;
    use crate::query::AggregateKind;

    #[test]
    fn each_has_its_words() {
        let sorted = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names
        };
        let names = |forms: &'static [Form]| forms.iter().map(|form| form.name).collect::<Vec<_>>();
        let mut aggregates: Vec<_> = AggregateKind::ALL.iter().map(|(name, _)| *name).collect();
        aggregates.extend(["count_if", "approx_count_distinct"]);
        assert_eq!(names(AGGREGATES), sorted(aggregates));
        assert_eq!(names(WINDOWS), sorted(WINDOW_FUNCTIONS.to_vec()));
    }
}
