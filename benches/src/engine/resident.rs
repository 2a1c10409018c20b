//! What all of it takes of memory: a process that does nothing else, and whoever starts it.
//!
//! The child is this program again. It reads the material, compiles and installs the rules, takes the snapshot and one
//! change, and then reads its own `/proc/self/status`. Nothing is subtracted.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::engine::difference::difference;
use crate::engine::material::{self, Series};
use crate::engine::running::{Rule, Running, change};

/// The argument that makes this program the child.
pub const RESIDENT: &str = "--resident";

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

/// Starts the child and takes its figures.
pub fn measure(processes: usize, rules: usize, stateful: usize) -> anyhow::Result<Resident> {
    let child = Command::new(std::env::current_exe()?)
        .args([RESIDENT.to_owned(), processes.to_string(), rules.to_string(), stateful.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&child.stderr);
    ensure!(child.status.success(), "the process that is measured ended with {}: {said}", child.status);
    let text = String::from_utf8(child.stdout)?;
    let figures: Result<Vec<u32>, _> = text.split_whitespace().map(str::parse).collect();
    let [now, most, rows] = figures?[..] else { anyhow::bail!("the process that is measured said `{text}`") };
    let megabytes = |kib: u32| f64::from(kib) / 1_024.0;
    Ok(Resident { now: megabytes(now), most: megabytes(most), rows: rows as usize })
}

/// The child: prints kilobytes now, the most ever, and how many rows the rules have.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let sizes: Result<Vec<usize>, _> = arguments.iter().map(|argument| argument.parse()).collect();
    let [processes, rules, stateful] = sizes?[..] else { anyhow::bail!("three sizes are needed") };
    let folder = material::folder(processes)?.context("there is no material")?;
    let series = Series::load(&folder)?;
    let mut chosen = material::rules(&folder, "rules_10000.json")?;
    chosen.truncate(rules);
    chosen.extend(material::rules(&folder, "stateful_rules.json")?.into_iter().take(stateful));
    let nothing = series.nothing();
    let mut running = Running::default();
    for sql in chosen {
        let at = running.install(&Rule::compile(&sql, &series.catalog)?.plan);
        running.load(at, &nothing)?;
    }
    let mut rows = 0;
    let mut count = |running: &Running, stepped| -> anyhow::Result<()> {
        for (_, batch) in running.answers(stepped)? {
            rows += batch.weights.iter().sum::<i64>();
        }
        Ok(())
    };
    let first = series.processes.rows.clone();
    let stepped = running.step(&series.tables(&first), &series.everything());
    count(&running, stepped)?;
    let mut before = first;
    for delta in &series.deltas {
        let after = series.after(&before, delta)?;
        let stepped = running.step(&series.tables(&after), &change("processes", difference(&before, &after)?));
        count(&running, stepped)?;
        before = after;
    }
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux says what a process holds")?;
    let kib = |line: &str| -> anyhow::Result<String> {
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("no {line}"))?.trim().trim_end_matches(" kB").to_owned())
    };
    writeln!(std::io::stdout(), "{} {} {rows}", kib("VmRSS")?, kib("VmHWM")?)?;
    // It is still there when it is counted.
    drop(running);
    Ok(())
}
