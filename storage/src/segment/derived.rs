//! Texts that another column nearly always says already.

/// What a column's texts can mostly be made from, and how.
#[derive(Clone, Copy)]
pub(super) struct Derivation {
    /// The other column.
    pub(super) from: &'static str,
    pub(super) make: fn(&str) -> String,
}

/// How the texts of a column can be derived, if they can.
pub(super) fn derivation(column: &str) -> Option<Derivation> {
    (column == "argv").then_some(Derivation { from: "command_line", make: argv })
}

/// The arguments of a command line in which no argument has a space.
fn argv(command_line: &str) -> String {
    serde_json::to_string(&command_line.split(' ').collect::<Vec<_>>()).expect("texts are JSON")
}
