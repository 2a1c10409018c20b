//! The rule language of DaemonEye: what a rule file says, and what is wrong with it.

pub mod alert;
pub mod completeness;
pub mod ipc;
pub mod tables;
pub mod types;
pub mod untrusted;
