//! `procmond --once`: one snapshot as NDJSON.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use arrow_array::RecordBatch;
use daemoneye_collectors::redact::Redactor;
use daemoneye_collectors::{Collector, Snapshot, processes};
use daemoneye_dsl::completeness::{Reason, Scope};
use daemoneye_dsl::types::Value;

use crate::{INCOMPLETE, publish};

/// Prints rows on standard output and, where `summarize`, how complete they are on standard error.
pub(crate) fn run(redactor: Redactor, summarize: bool) -> anyhow::Result<ExitCode> {
    let snapshot = processes::here_redacting(redactor)?.collect(publish::now())?;
    match print(&snapshot.rows, BufWriter::new(io::stdout().lock())) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        other => other.context("cannot write to standard output")?,
    }
    if summarize {
        let _nobody_reads = writeln!(io::stderr(), "{}", summary(&snapshot));
    }
    Ok(if snapshot.completeness.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn print(rows: &RecordBatch, mut out: impl Write) -> io::Result<()> {
    let schema = rows.schema();
    for row in 0..rows.num_rows() {
        let cells = schema.fields().iter().zip(rows.columns());
        let object: serde_json::Map<_, _> =
            cells.map(|(field, column)| (field.name().clone(), Value::at(column, row).to_json())).collect();
        serde_json::to_writer(&mut out, &object)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// How complete a snapshot is, in a line.
pub(crate) fn summary(snapshot: &Snapshot) -> String {
    let mut line = format!("{} processes", snapshot.rows.num_rows());
    if snapshot.completeness.scope == Scope::Visible {
        let hidden = format!(", as far as this user may see; {} not fully readable", snapshot.unreadable);
        line.push_str(&hidden);
    }
    let reasons: Vec<_> = snapshot.completeness.reasons.iter().copied().map(Reason::text).collect();
    if !reasons.is_empty() {
        line.push_str("; incomplete: ");
        line.push_str(&reasons.join(", "));
    }
    line
}
