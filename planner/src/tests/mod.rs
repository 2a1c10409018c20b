//! The laws of the engine, on random tables, statements and changes: steps = whole = SQLite, rewritten = as written.
//!
//! Everything comes from a seed, and a failure prints it together with the smallest statement, rows and changes that
//! were found to fail. `CASES` asks for more cases than the default, `SEED` for others. What the generator covered is
//! counted, and a form that never came up fails the test: the count of cases alone says little.

mod asked;
mod budget;
mod case;
mod departures;
mod differential;
mod exhaustive;
mod found;
mod functions;
mod generator;
mod hostile;
mod interval;
mod joins;
mod lineage;
mod matcher;
mod moments;
mod precedence;
mod random;
mod rewrites;
mod sigma;
mod sqlite;
mod statement;
mod steps;
mod time_travel;
mod together;
mod why;
mod world;

/// A number from the environment, or the default.
#[expect(clippy::disallowed_methods, reason = "a test takes its length from the environment")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
