//! Where alerts go. Each sink takes an alert at least once, keyed by its id: after a crash one may come again.

pub(crate) mod publish;
pub(crate) mod terminal;
