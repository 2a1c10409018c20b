//! Test files that others wrote for SQLite, run against the engine.
//!
//! ```text
//! file ─ script (sqllogictest) or turso (.sqltest) ─► statements ─► Database   (tables in memory, kept by the harness)
//!                                                 └─► SELECTs ────► engine ─► rows ─► compared with what is expected
//! ```
//!
//! The dialect refuses whatever writes, so the harness itself interprets CREATE, INSERT, UPDATE, DELETE and DROP; every
//! value that they need is computed by the engine. Only SELECTs are judged: each passes, fails, is refused (by a reason
//! that is counted), or is not applicable. A table that the harness could not keep as SQLite would is never asked.

mod database;
mod engine;
mod format;
mod report;
mod script;
mod turso;
mod value;
mod write;

use std::path::{Path, PathBuf};

use anyhow::Context;

pub use report::{Failure, Report};

/// Which part of a file is run.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// Every SELECT.
    Whole,
    /// One SELECT of so many; every statement that writes.
    OneIn(usize),
}

impl Extent {
    fn has(self, number: usize) -> bool {
        match self {
            Self::Whole => true,
            Self::OneIn(step) => number.is_multiple_of(step.max(1)),
        }
    }
}

/// Runs one file: turso's where its name ends in `.sqltest`, else sqllogictest.
pub fn run(path: &Path, extent: Extent) -> anyhow::Result<Report> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // Plans of 64 joins are deep, and debug builds need much stack for each level.
    let name = path.display().to_string();
    let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_owned();
    let work = move || match kind.as_str() {
        "sqltest" => turso::run(&text, extent),
        _ => script::run(&text, extent),
    };
    let thread = std::thread::Builder::new().name("file".to_owned()).stack_size(STACK_LEN).spawn(work)?;
    let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    result.with_context(|| format!("in {name}"))
}

const STACK_LEN: usize = 128 << 20;

/// The file itself, or the test files below a folder, in order.
pub fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read the folder {}", path.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let is_test = path.extension().is_some_and(|it| ["test", "slt", "sqltest"].iter().any(|known| it == *known));
        if path.is_dir() || is_test {
            files.extend(self::files(&path)?);
        }
    }
    Ok(files)
}
