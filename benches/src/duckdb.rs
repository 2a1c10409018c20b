//! DuckDB as the peer, through its Python package: it is no dependency of the workspace.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;
use serde::Deserialize;
use serde_json::Value;

/// What it found, and how long that took.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// The median, in microseconds.
    pub micros: f64,
    /// Rows of cells.
    pub rows: Vec<Vec<Value>>,
}

/// Answers of the script `history_duckdb.py`, run by `python`, to the questions, over the rows of a stream.
pub fn ask(python: &str, stream: &Path, questions: &[String]) -> anyhow::Result<Vec<Answer>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("history_duckdb.py");
    let mut child = Command::new(python)
        .arg(script)
        .args([stream, &stream.with_extension("duckdb")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {python}"))?;
    let mut input = child.stdin.take().context("its input")?;
    input.write_all(&serde_json::to_vec(questions)?)?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "DuckDB ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Writes batches as an Arrow stream; `visit` hands them over.
pub fn write_stream(
    path: &Path,
    schema: &Schema,
    visit: impl FnOnce(&mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut writer = StreamWriter::try_new(BufWriter::new(File::create(path)?), schema)?;
    let mut failed = None;
    visit(&mut |rows| match writer.write(&rows) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok(writer.finish()?)
}
