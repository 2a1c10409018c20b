//! The reference of the functions, `docs/functions.md`, made from their declarations.

use std::fmt::Write;

use super::aggregates::{AGGREGATES, WINDOWS};
use super::forms::{FORMS, Form};
use super::{Function, GROUPS, all};

const HEAD: &str = "\
# Functions

Made from the declarations in `dsl/src/functions/`; `just reference` writes it anew. \
Every example runs as a test.

Every function gives a value or NULL for every row, never an error. Unless its text says otherwise, a NULL argument \
gives NULL. A result longer than 2 MiB is NULL. Where a function has the name of one in SQLite it gives SQLite's \
answer; what differs is said, but for this: types are known when a rule is compiled, so an argument of the wrong type is an \
error (DE205) instead of a conversion, and SQLite's run-time errors are NULLs. BOOLEAN is a type here and prints as \
`TRUE`.
";

/// The whole page.
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    let names: std::collections::BTreeSet<_> = all().map(|function| function.name).collect();
    writeln!(
        out,
        "\n{} functions, {} forms, {} aggregates and {} window functions:\n",
        names.len(),
        FORMS.len(),
        AGGREGATES.len(),
        WINDOWS.len()
    )
    .expect(WRITTEN);
    for group in GROUPS {
        let mut names: Vec<_> = group.functions.iter().map(|function| format!("`{}`", function.name)).collect();
        names.dedup();
        writeln!(out, "- **{}**: {}", group.title, names.join(", ")).expect(WRITTEN);
    }
    for (title, forms, _) in CHAPTERS {
        let names: Vec<_> = forms.iter().map(|form| format!("`{}`", form.name)).collect();
        writeln!(out, "- **{title}**: {}", names.join(", ")).expect(WRITTEN);
    }
    for group in GROUPS {
        writeln!(out, "\n## {}\n\n{}", group.title, group.doc).expect(WRITTEN);
        for overloads in group.functions.chunk_by(|one, other| one.name == other.name) {
            writeln!(out, "\n### {}", overloads[0].name).expect(WRITTEN);
            for function in overloads {
                entry(function, &mut out);
            }
        }
    }
    for (title, forms, doc) in CHAPTERS {
        write!(out, "\n## {title}\n\n{doc}\n").expect(WRITTEN);
        for form in forms {
            write!(out, "\n### {}\n\n`{}`\n\n{}\n", form.name, form.signature, form.doc).expect(WRITTEN);
            examples(form.examples, &mut out);
        }
    }
    out
}

/// What is called like a function: the chapter's title, what is in it, and what holds for all of it.
static CHAPTERS: [(&str, &[Form], &str); 3] = [
    ("Forms", FORMS, "Called like functions, and translated into expressions."),
    (
        "Aggregates",
        AGGREGATES,
        "Over the rows of a group, or of all where there is no GROUP BY. NULLs are ignored; `DISTINCT` before the argument \
         counts equal values once, `FILTER (WHERE …)` behind the call chooses rows. The examples are over one row.",
    ),
    (
        "Window functions",
        WINDOWS,
        "Over the rows around each row: `OVER (PARTITION BY … ORDER BY … ROWS …)`, or the name of a WINDOW. Aggregates may \
         have OVER too. The examples are over one row.",
    ),
];

const WRITTEN: &str = "a String takes every write";

fn entry(function: &Function, out: &mut String) {
    write!(out, "\n`{}` → {}\n\n{}\n", function.signature(), function.gives(), function.doc).expect(WRITTEN);
    examples(function.examples, out);
}

fn examples(examples: &[(&str, &str)], out: &mut String) {
    out.push_str("\n```sql\n");
    let width = examples.iter().map(|(call, _)| call.chars().count()).max().unwrap_or(0);
    for (call, result) in examples {
        writeln!(out, "{call:width$}  -- {}", shown(result)).expect(WRITTEN);
    }
    out.push_str("```\n");
}

/// Characters that cannot be seen stay out of the page.
fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect()
}
