//! What all of it takes of memory: a process that does nothing else, and whoever starts it.
//!
//! The child is this program again. It gets its work as an agent does: rules as text, one after the other, and whole
//! snapshots encoded as a collector encodes them. It compiles and installs, takes every snapshot, keeps the last, and
//! then reads its own `/proc/self/status`. Nothing is subtracted.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use arrow_array::RecordBatch;
use daemoneye_dsl::ipc;
use daemoneye_dsl::tables::{Catalog, Kind};
use daemoneye_planner::{Batch, Changes};

use crate::engine::difference::difference;
use crate::engine::material::{DELTAS, Series};
use crate::engine::records::Records;
use crate::engine::running::{Rule, Running, Stepped, Tables, change, none};

/// The argument that makes this program the child.
pub const RESIDENT: &str = "--resident";
/// Records of a file that tell its layout.
const HEAD: usize = 100;
const RULES: &str = "rules.sql";
const CONNECTIONS: &str = "connections.rows";

/// What the child found out.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// `VmRSS` at the end, in megabytes.
    pub now: f64,
    /// `VmHWM`, the most ever.
    pub most: f64,
    /// Rows that all rules together have.
    pub rows: usize,
}

/// Starts the child with these rules over what `folder` and `series` have, and takes its figures.
pub fn measure(folder: &Path, series: &Series, rules: &[Rule]) -> anyhow::Result<Resident> {
    let work = tempfile::tempdir()?;
    let lines: String = rules.iter().map(|rule| rule.sql.replace('\n', " ") + "\n").collect();
    std::fs::write(work.path().join(RULES), lines)?;
    std::fs::write(work.path().join(CONNECTIONS), ipc::encode(&series.connections.rows))?;
    let mut snapshot = series.processes.rows.clone();
    std::fs::write(work.path().join(name(0)), ipc::encode(&snapshot))?;
    for (delta, at) in series.deltas.iter().zip(1..) {
        snapshot = series.after(&snapshot, delta)?;
        std::fs::write(work.path().join(name(at)), ipc::encode(&snapshot))?;
    }
    let child = Command::new(std::env::current_exe()?).arg(RESIDENT).args([folder, work.path()]).output()?;
    let said = String::from_utf8_lossy(&child.stderr);
    ensure!(child.status.success(), "the process that is measured ended with {}: {said}", child.status);
    let text = String::from_utf8(child.stdout)?;
    let figures: Result<Vec<u32>, _> = text.split_whitespace().map(str::parse).collect();
    let [now, most, rows] = figures?[..] else { bail!("the process that is measured said `{text}`") };
    let megabytes = |kib: u32| f64::from(kib) / 1_024.0;
    Ok(Resident { now: megabytes(now), most: megabytes(most), rows: rows as usize })
}

fn name(at: usize) -> String {
    format!("snapshot{at}.rows")
}

/// The child: prints kilobytes now, the most ever, and how many rows the rules have.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [folder, work] = arguments else { bail!("two folders are needed") };
    let (folder, work) = (Path::new(folder), Path::new(work));
    let layout = |file: &str| Records::read_first(&folder.join(file), HEAD);
    let (processes, connections) = (layout("snap0.jsonl")?, layout("conn0.jsonl")?);
    let rows = |file: &str, like: &Records| -> anyhow::Result<RecordBatch> {
        Ok(ipc::decode(&std::fs::read(work.join(file))?, &like.rows.schema())?)
    };
    let catalog = Catalog::builtin()
        .with(processes.table("processes", Kind::State))
        .with(connections.table("connections", Kind::State));
    let nothing = Tables(vec![("processes", none(&processes.rows)), ("connections", none(&connections.rows))]);
    let mut running = Running::default();
    for sql in BufReader::new(File::open(work.join(RULES))?).lines() {
        running.install(&Rule::compile(&sql?, &catalog)?.plan);
    }
    running.load(&nothing)?;

    let connections = rows(CONNECTIONS, &connections)?;
    let tables =
        |processes: &RecordBatch| Tables(vec![("processes", processes.clone()), ("connections", connections.clone())]);
    let mut before = rows(&name(0), &processes)?;
    let mut everything = Changes::default();
    everything.add("processes", Batch::appearing(before.clone()));
    everything.add("connections", Batch::appearing(connections.clone()));
    let stepped = running.step(&tables(&before), &everything);
    drop(everything);
    let mut count = sum(&running, stepped)?;
    for at in 1..=DELTAS {
        let after = rows(&name(at), &processes)?;
        let stepped = running.step(&tables(&after), &change("processes", difference(&before, &after)?));
        count += sum(&running, stepped)?;
        before = after;
    }
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux says what a process holds")?;
    let kib = |line: &str| -> anyhow::Result<String> {
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("no {line}"))?.trim().trim_end_matches(" kB").to_owned())
    };
    writeln!(std::io::stdout(), "{} {} {count}", kib("VmRSS")?, kib("VmHWM")?)?;
    // Both are still there when they are counted.
    drop((running, before));
    Ok(())
}

/// By how many rows all results grew.
fn sum(running: &Running, stepped: Stepped) -> anyhow::Result<i64> {
    Ok(running.answers(stepped)?.iter().flat_map(|(_, batch)| &batch.weights).sum())
}
