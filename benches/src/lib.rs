//! What the questions about speed and size share: a host to ask about, and honest ways to measure.
//!
//! Each file in `benches/` is one question. It checks the result before it times anything, measures its peers in turns
//! in the same run, prints medians and ratios, and ends with an error where a result is wrong or a floor is missed (of
//! `engine`, whose bounds are goals, a missed one is only said).
//! Absolute times are the machine's; the ratios are what to compare.

#[cfg(target_os = "linux")]
pub mod bus;
#[cfg(target_os = "linux")]
pub mod crowd;
pub mod duckdb;
pub mod engine;
pub mod host;
pub mod measure;
pub mod past;
pub mod programs;
pub mod rows;
pub mod sqlite;
