//! How long does it take from a collector that publishes a snapshot of 10,000 processes to its acknowledgement, which
//! comes when everything that it changes is stored?
//!
//! The release build of the agent runs as installed, with the product's rules; this program is the collector, in a
//! process of its own, and its processes are made up. Of each of several new stores the first snapshot is measured, in
//! which everything is new and the rules begin; in the last of them twenty more, each with 2 % of the processes others
//! than before, and a few in which all are others. Then the store must have every version, and those alive that the last
//! snapshot had.
//!
//! What the hardware allows: the rows of a snapshot are about 1 MB as they travel; to decode and compare them takes 6 ms
//! of processor time, the rules on 2 % some 2 ms (`rule_on_snapshot`), a commit that reaches the disk 2 to 10 ms
//! (`ingest` has a bare one beside it). The goal is 60 ms.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use arrow_array::{Array, RecordBatch};
use daemoneye_benches::host::{PROCESSES, process};
use daemoneye_benches::measure::{Samples, Verdict, number};
use daemoneye_benches::programs::{Running, build};
use daemoneye_broker::{Client, Credential, Encryption, Identity, Interest, Outcome, Role, SnapshotBatch, topic};
use daemoneye_dsl::ipc;
use daemoneye_dsl::tables::{Catalog, Process};
use daemoneye_settings::paths::DataDir;
use daemoneye_storage::{ReadStore, Reader, Scan};

/// New stores.
const STORES: usize = 5;
/// Snapshots after the first, in the last of them.
const SNAPSHOTS: usize = 20;
/// Snapshots after those, in which every process is another.
const WHOLE: usize = 5;
/// Processes that are others than in the snapshot before.
const CHANGED: usize = PROCESSES / 50;
const GOAL_MICROS: f64 = 60_000.0;
/// What it takes to make a snapshot of so many processes, about.
const FIRST_AFTER: Duration = Duration::from_millis(500);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let programs = build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut first, mut later, mut whole, mut encoded) = <(Samples, Samples, Samples, Samples)>::default();
    for store in 1..=STORES {
        let folder = tempfile::tempdir()?;
        let data = DataDir::new(folder.path().join("data"));
        let agent = Running(start(&programs.join("daemoneye-agent"), &data)?);
        let client = runtime.block_on(connect(&data))?;
        // While a collector makes its first snapshot the agent takes down which program it is.
        std::thread::sleep(FIRST_AFTER);
        let mut processes: Vec<_> = (0..PROCESSES).map(process).collect();
        let more = if store == STORES { SNAPSHOTS + WHOLE } else { 0 };
        for sequence in 1..=1 + more {
            match sequence {
                1 => {}
                _ if sequence <= 1 + SNAPSHOTS => exchange(&mut processes, sequence),
                _ => processes = others(sequence),
            }
            let payload = encoded.wall(|| snapshot(&processes, sequence))?;
            let into = match sequence {
                1 => &mut first,
                _ if sequence <= 1 + SNAPSHOTS => &mut later,
                _ => &mut whole,
            };
            let outcome =
                into.wall(|| runtime.block_on(client.request(&topic::events("processes"), payload, PATIENCE)));
            ensure!(matches!(outcome, Ok(Outcome::Accepted(_))), "snapshot {sequence} was not taken: {outcome:?}");
        }
        let changed = if store == STORES { SNAPSHOTS * CHANGED + WHOLE * PROCESSES } else { 0 };
        check(&data, PROCESSES + changed)?;
        drop(agent);
    }
    println!("{PROCESSES} processes, from publishing to the acknowledgement after the commit\n");
    println!("{:44} {:>10} {:>10}", "", "median ms", "p99 ms");
    for (what, samples) in [
        (format!("first snapshot, of {STORES} new stores"), &first),
        (format!("2 % others, of {SNAPSHOTS}"), &later),
        (format!("all others, of {WHOLE}"), &whole),
        ("(to encode one, which is not in the above)".to_owned(), &encoded),
    ] {
        let (median, most) = (samples.median_micros() / 1e3, samples.percentile_micros(99) / 1e3);
        println!("{what:44} {median:10.1} {most:10.1}");
    }
    let mut verdict = Verdict::default();
    for (what, samples) in [("the first snapshot", &first), ("2 % others", &later), ("all others", &whole)] {
        let median = samples.median_micros();
        verdict.expect(median <= GOAL_MICROS, || format!("{what}: {:.1} ms, the goal is 60", median / 1e3));
    }
    verdict.finish()
}

fn start(program: &Path, data: &DataDir) -> anyhow::Result<std::process::Child> {
    Command::new(program)
        .arg("--rules")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules"))
        .arg("--data")
        .arg(data.path())
        .args(["--collector", "wait", "--output", "ndjson"])
        .env_remove("DAEMONEYE_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Connects as a collector that nobody started.
async fn connect(data: &DataDir) -> anyhow::Result<Client> {
    let socket = data.socket();
    let identity = Identity {
        name: "made-up".to_owned(),
        role: Role::Collector,
        key: Credential::File(socket.with_file_name("agent.key")),
        encryption: Encryption::IfAsked,
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::connect(&socket, &identity).await {
            Ok(client) => {
                // It says how it is once it takes snapshots.
                let mut health = client.subscribe(&Interest::new(topic::health("agent")).retained()).await?;
                health.message().await.context("the agent ended")?;
                return Ok(client);
            }
            Err(error) if Instant::now() > deadline => bail!("the agent does not listen: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Ends some of the processes that have no children, and starts as many.
fn exchange(processes: &mut [Process], sequence: usize) {
    let leaves = PROCESSES / 8 + 1;
    let from = leaves + (sequence * CHANGED) % (PROCESSES - leaves - CHANGED);
    for (at, slot) in processes[from..from + CHANGED].iter_mut().enumerate() {
        *slot = process(PROCESSES + sequence * CHANGED + at);
    }
}

/// As many processes that were never there, with parents among them.
fn others(sequence: usize) -> Vec<Process> {
    let mut others: Vec<_> = (0..PROCESSES).map(|at| process(sequence * PROCESSES + at)).collect();
    for at in 0..PROCESSES {
        let parent = (at > 0).then(|| others[at / 8].proc_id.clone());
        others[at].parent_id = parent;
    }
    others
}

fn snapshot(processes: &[Process], sequence: usize) -> anyhow::Result<bytes::Bytes> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let batch = SnapshotBatch {
        source: "made-up".to_owned(),
        sequence: sequence as u64,
        table: "processes".to_owned(),
        collected_at: i64::try_from(now.as_micros())?,
        scope_visible: false,
        reasons: Vec::new(),
        rows: ipc::encode(&Process::batch(processes)).into(),
        pid: std::process::id(),
        interval_micros: 0,
        version: String::new(),
    };
    Ok(batch.to_payload())
}

/// Whether the store has every version, and those alive that the last snapshot had.
fn check(data: &DataDir, versions: usize) -> anyhow::Result<()> {
    let store = ReadStore::open(data.events())?;
    let catalog = Catalog::builtin();
    let table = catalog.table("processes_history").context("no such table")?;
    let (ends, _) = table.column("seen_to").context("no such column")?;
    let scanned = store.scan(&Scan::all(table, &[ends]))?;
    let rows: usize = scanned.batches.iter().map(RecordBatch::num_rows).sum();
    let alive: usize = scanned.batches.iter().map(|rows| rows.column(0).null_count()).sum();
    let expected = (versions, PROCESSES);
    ensure!((rows, alive) == expected, "{rows} versions and {alive} alive are stored, not {expected:?}");
    ensure!(number(rows) > 0.0 && scanned.completeness.is_complete(), "what is stored is not complete");
    Ok(())
}
