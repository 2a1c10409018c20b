//! What the end-to-end tests share.
//!
//! [`Stage`] is a place of its own for one test (data, rules, programs to be found), [`Program`] one of the real
//! programs while it runs there, [`Suspect`] a process that a rule is to find; [`rows`] and [`commands`] make
//! processes that were only written down. No wait is without an end: each goes through [`until`] or a method built on
//! it, and fails with what the program said. [`logic`] runs SQL test files of others.

mod build;
#[cfg(target_os = "linux")]
pub mod commands;
pub mod fuzz;
pub mod logic;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
pub mod rows;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod suspect;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use build::{program, project};
#[cfg(target_os = "linux")]
pub use program::Program;
#[cfg(target_os = "linux")]
pub use stage::{SUSPECT_RULE, Stage, header};
#[cfg(target_os = "linux")]
pub use suspect::Suspect;

/// How long to wait for what must come: long, because machines are slow and only a failure waits this long.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until something is found, or nothing when `limit` has passed.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        // The time is read before the look, so that the last look comes after the limit.
        let late = begin.elapsed() > limit;
        match look() {
            None if !late => sleep(LOOK_EVERY),
            found => return found,
        }
    }
}
