//! The rule language of DaemonEye: what a rule file says, what it means, and what is wrong with it.
//!
//! ```text
//! Source ─ parse ─► ast::Rule ─ check ─► query::CheckedRule   (and diagnostics on the way)
//! ```
//!
//! The crate runs anywhere and reads no clock, file, socket or environment: text, catalog and rows come in as
//! arguments. It also holds what every other part speaks of: types and values, the catalog of tables, the alert, how
//! complete an answer is, the encoding of rows, and the one way to print text that an attacker may have chosen.

pub mod alert;
mod ast;
pub mod audit;
mod auto_join;
pub mod check;
pub mod completeness;
pub mod convert;
pub mod departures;
pub mod diagnostic;
mod dialect;
pub mod expr;
pub mod format;
pub mod functions;
pub mod header;
pub mod ipc;
pub mod limits;
pub mod lints;
pub mod lists;
pub mod match_key;
pub mod moments;
pub mod parameters;
mod parse;
pub mod pattern;
pub mod query;
pub mod reference;
pub mod ruleset;
pub mod silence;
pub mod status;
pub mod tables;
pub mod types;
pub mod untrusted;
