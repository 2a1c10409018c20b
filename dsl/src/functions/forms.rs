//! What is called like a function and translated by the checker instead.

/// One of them, for the reference.
#[derive(Debug)]
pub struct Form {
    /// The name, lower case.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// What it gives.
    pub doc: &'static str,
    /// Calls and their results, both as SQL.
    pub examples: &'static [(&'static str, &'static str)],
}

/// All of them, sorted by name.
pub static FORMS: &[Form] = &[
    Form {
        name: "coalesce",
        signature: "coalesce(value, value, …)",
        doc: "The first value that is not NULL. All have one type.",
        examples: &[("coalesce(NULL, 'a', 'b')", "'a'")],
    },
    Form {
        name: "ifnull",
        signature: "ifnull(value, otherwise)",
        doc: "The first, unless it is NULL, else the second.",
        examples: &[("ifnull(NULL, 7)", "7")],
    },
    Form {
        name: "iif",
        signature: "iif(condition, then, otherwise)",
        doc: "The second where the condition is true, else the third.",
        examples: &[("iif(1 < 2, 'a', 'b')", "'a'"), ("iif(NULL, 'a', 'b')", "'b'")],
    },
    Form {
        name: "now",
        signature: "now()",
        doc: "The time of evaluation, a TIMESTAMP: in rules that of the snapshot. It is the same everywhere in one \
              evaluation.",
        examples: &[("now() = now()", "TRUE")],
    },
    Form {
        name: "nullif",
        signature: "nullif(value, other)",
        doc: "The first, unless it equals the second; then NULL.",
        examples: &[("nullif('', '')", "NULL"), ("nullif('a', '')", "'a'")],
    },
];
