//! What is found in the examples.

use super::{EXAMPLE_HEADER, Example, NOTHING_FURTHER};
use crate::diagnostic::{Diagnostic, Source};
use crate::ruleset::RuleSet;
use crate::tables::{Catalog, Column, Kind, Table};
use crate::types::Type;

/// The id of another rule, for what shows only where there are two.
const NEIGHBOUR: &str = "00000000-0000-4000-8000-000000000001";

impl Example {
    /// What is found in it, beside another rule and a file of records, `logins`.
    pub fn findings(self) -> Vec<Diagnostic> {
        let header = EXAMPLE_HEADER.replace("00000000-0000-4000-8000-000000000000", NEIGHBOUR);
        let neighbour =
            Source { path: "rules/neighbour.sql".to_owned(), text: format!("{header}SELECT proc_id FROM processes") };
        let column = |name: &'static str| Column::new(name, Type::Text, true, "");
        let columns = vec![column("user"), column("proc_id")];
        let logins = Table { name: "logins".into(), doc: "".into(), kind: Kind::Records, columns };
        let set = RuleSet::lint(vec![neighbour, self.source()], &Catalog::builtin().with(logins), NOTHING_FURTHER);
        set.files.into_iter().next_back().map(|file| file.diagnostics).unwrap_or_default()
    }
}
