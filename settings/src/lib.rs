//! What can be set, where it is said, and how the programs log.
//!
//! ```text
//! defaults ◄ system file ◄ user file ◄ project file ◄ environment ◄ flags      (what stands right goes before)
//!     └────────────────── Sources::load ─► Effective: Settings, and the origin of each value
//! ```
//!
//! [`list::ALL`] declares every setting once; checker, environment names, schema and reference are read from it. A
//! layer with a mistake is refused whole, with every mistake in it and its place.

pub mod check;
pub mod choices;
mod flag;
pub mod lints;
pub mod list;
pub mod lists;
mod load;
pub mod logging;
pub mod paths;
mod places;
mod problem;
pub mod reference;
mod tree;
mod typed;
mod value;

pub use check::check_text;
pub use flag::flag;
pub use load::{Change, Effective, Files, Flags, Origin, Sources, shown};
pub use places::{Layer, Place, Places};
pub use problem::{Error, Finding, Problems};
pub use tree::Form;
pub use typed::{Alerts, Cli, Collector, Log, Retention, Rules, Settings};
