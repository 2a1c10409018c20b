//! What tells one match of a rule from another, and how long matches of one key are one alert.

use crate::header::{DEDUP_WINDOW_DEFAULT_MICROS, Header};
use crate::query::{CheckedRule, Output, Query};
use crate::tables::Kind;

/// The key of a rule's matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchKey {
    /// Places among the query's visible output.
    pub columns: Vec<usize>,
    /// Why these, for people.
    pub chosen_as: &'static str,
}

/// Whether a column is part of a key.
type Wanted = fn(&Output) -> bool;

/// In the order in which they are tried.
const CHOICES: [(&str, Wanted); 4] = [
    ("the GROUP BY keys", |column| column.group_key),
    ("the identity columns", |column| column.identity),
    ("the columns that are no samples", |column| !column.volatile),
    ("all columns", |_| true),
];

impl CheckedRule {
    /// The `@dedup` columns; else the GROUP BY keys; else the processes that the row names; else everything that is
    /// not a sample.
    pub fn match_key(&self) -> MatchKey {
        let output = &self.query.output;
        if let Some(dedup) = self.header.as_ref().and_then(|header| header.dedup.as_ref()) {
            let place = |name: &str| output.iter().position(|column| column.name == name);
            let columns = dedup.columns.iter().filter_map(|(name, _)| place(name)).collect();
            return MatchKey { columns, chosen_as: "the @dedup columns" };
        }
        let places = |wanted: Wanted| -> Vec<usize> {
            output.iter().enumerate().filter(|(_, column)| wanted(column)).map(|(at, _)| at).collect()
        };
        let found = CHOICES.iter().map(|(chosen_as, wanted)| MatchKey { columns: places(*wanted), chosen_as });
        found.into_iter().find(|key| !key.columns.is_empty()).expect("a SELECT has a column")
    }
}

impl Header {
    /// How long, in microseconds from the first raise, the same key counts up one alert.
    pub fn window_micros(&self) -> i64 {
        self.dedup.as_ref().map_or(DEDUP_WINDOW_DEFAULT_MICROS, |dedup| dedup.window_micros)
    }
}

impl Query {
    /// Whether it reads columns that change without their row changing.
    pub fn reads_samples(&self) -> bool {
        self.columns_read().iter().any(|(table, column)| column.volatile && table.table.kind == Kind::State)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check_query;
    use crate::diagnostic::Source;
    use crate::tables::Catalog;

    #[test]
    fn the_key_is_what_names_the_match() {
        for (sql, columns, chosen_as) in [
            ("SELECT pid, proc_id, cpu_usage FROM processes", vec![1], "the identity columns"),
            ("SELECT pid, name, cpu_usage FROM processes", vec![0, 1], "the columns that are no samples"),
            ("SELECT cpu_usage FROM processes", vec![0], "all columns"),
            ("SELECT count(*), user_id, parent_id FROM processes GROUP BY 2, 3", vec![1, 2], "the GROUP BY keys"),
        ] {
            let rule = check_query(&Source::query(sql), &Catalog::builtin()).rule.expect(sql);
            let key = rule.match_key();
            assert_eq!((key.columns, key.chosen_as), (columns, chosen_as), "{sql}");
        }
    }
}
