//! The generated material: a snapshot of processes with their connections, ten changes of 2 %, and sets of rules.
//!
//! Two generators beside the checkout make it (`shared/bench/`), the same every time. What they write is kept in
//! `target/bench-data/<processes>/`; it is written under another name first, so that half of it is never used.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use daemoneye_dsl::tables::{Catalog, Kind};
use serde_json::Value as Json;

use crate::engine::records::Records;

/// Changes that follow the first snapshot.
pub const DELTAS: usize = 10;
const GENERATORS: [&str; 2] = ["gen_snapshots.py", "gen_rules.py"];

/// The folder with what was generated for that many processes; none where there is nothing to generate it with.
pub fn folder(processes: usize) -> anyhow::Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).context("this program is in no target folder")?;
    let folder = target.join("bench-data").join(processes.to_string());
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    let generators = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench");
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !generators.is_dir() || !python.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let partial = folder.with_extension("partial");
    std::fs::create_dir_all(&partial)?;
    for generator in GENERATORS {
        let status = Command::new("python3")
            .arg(generators.join(generator))
            .args([processes.to_string(), (DELTAS + 1).to_string()])
            .env("OUT", &partial)
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "{generator} ended with {status}");
    }
    std::fs::rename(&partial, &folder)?;
    Ok(Some(folder))
}

/// A snapshot and what follows it.
#[derive(Debug)]
pub struct Series {
    /// The tables that the rules read go before the catalog's.
    pub catalog: Catalog,
    /// The first snapshot.
    pub processes: Records,
    /// The connections of its processes, which stay.
    pub connections: Records,
    /// What each further snapshot changes.
    pub deltas: Vec<Delta>,
}

/// What one snapshot changes.
#[derive(Debug)]
pub struct Delta {
    /// Processes that have gone.
    pub leaving: RecordBatch,
    /// Those that have come.
    pub appearing: RecordBatch,
}

impl Series {
    /// Reads it from a folder.
    pub fn load(folder: &Path) -> anyhow::Result<Self> {
        let processes = Records::read(&folder.join("snap0.jsonl"))?;
        let connections = Records::read(&folder.join("conn0.jsonl"))?;
        let deltas = (1..=DELTAS).map(|at| Delta::load(&folder.join(format!("delta{at}.jsonl")), &processes));
        let deltas = deltas.collect::<Result<Vec<_>, _>>()?;
        let catalog = Catalog::builtin()
            .with(processes.table("processes", Kind::State))
            .with(connections.table("connections", Kind::State));
        Ok(Self { catalog, processes, connections, deltas })
    }

    /// The snapshot that follows `before`.
    pub fn after(&self, before: &RecordBatch, delta: &Delta) -> anyhow::Result<RecordBatch> {
        let pid = self.processes.place("pid")?;
        let gone: HashSet<i64> =
            delta.leaving.column(pid).as_primitive::<Int64Type>().values().iter().copied().collect();
        let pids = before.column(pid).as_primitive::<Int64Type>().values();
        let stays: BooleanArray = pids.iter().map(|pid| Some(!gone.contains(pid))).collect();
        let rest = filter_record_batch(before, &stays)?;
        Ok(concat_batches(&before.schema(), [&rest, &delta.appearing])?)
    }

    /// The snapshot after all changes.
    pub fn last(&self) -> anyhow::Result<RecordBatch> {
        let first = self.processes.rows.clone();
        self.deltas.iter().try_fold(first, |before, delta| self.after(&before, delta))
    }
}

impl Delta {
    fn load(path: &Path, like: &Records) -> anyhow::Result<Self> {
        let records = Records::read(path)?;
        let weights = records.rows.column(records.place("w")?).as_primitive::<Int64Type>().values().to_vec();
        let places: Result<Vec<_>, _> = like.columns.iter().map(|column| records.place(&column.name)).collect();
        let rows = records.rows.project(&places?)?.with_schema(like.rows.schema())?;
        let part = |wanted: i64| {
            let chosen: BooleanArray = weights.iter().map(|weight| Some(*weight == wanted)).collect();
            filter_record_batch(&rows, &chosen)
        };
        Ok(Self { leaving: part(-1)?, appearing: part(1)? })
    }
}

/// A set of rules: the statements of one generated file, in order.
pub fn rules(folder: &Path, file: &str) -> anyhow::Result<Vec<String>> {
    let path = folder.join(file);
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rules: Vec<Json> = serde_json::from_slice(&text)?;
    let sql = |rule: &Json| Some(rule["sql"].as_str()?.to_owned());
    rules.iter().map(|rule| sql(rule).with_context(|| format!("a rule in {file} has no sql"))).collect()
}

/// The six queries that need state, with our spelling in the places that each engine fills.
pub fn stateful_queries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let queries: Json = serde_json::from_slice(&std::fs::read(folder.join("queries.json"))?)?;
    let queries = queries.as_object().context("queries.json has no queries")?;
    let spelled = |text: &str| text.replace("{LIKE}", "LIKE").replace("{BUCKET}", "start_time/60");
    let wanted = queries.iter().filter(|(name, _)| name.as_str() >= "q05");
    Ok(wanted.filter_map(|(_, text)| text.as_str()).map(spelled).collect())
}
