//! What does the audit ledger cost: to append, to prove, to verify, in memory and on the disk, as it grows?
//!
//! Alerts, one entry each, appended a thousand at a time as the agent's writer does under load, with a checkpoint after
//! each thousand, to ten million (`-- 1000000` for fewer). Memory is that of this process at each power of ten. Rates of
//! what computes are by processor time; what waits for the disk is by the clock. Every proof is checked, and the whole
//! verified, before figures are printed. Beside it: one more leaf in `rs_merkle` with a million, which keeps the tree in
//! memory.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use daemoneye_benches::measure::{Samples, Verdict, number, size_or};
use daemoneye_dsl::audit::{Action, Actor, Event, EventId};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::ledger::{
    Against, Blake3, Digest, Entry, Frontier, Hash, Ledger, LedgerView, PublicKey, ReadLedger, public_path,
    verify_consistency, verify_inclusion,
};

const BATCH: u64 = 1000;
const PROOFS: u64 = 500;

fn main() -> anyhow::Result<()> {
    let entries = u64::try_from(size_or(10_000_000))?;
    let folder = tempfile::tempdir()?;
    let mut verdict = Verdict::default();
    compute(entries.min(1_000_000), &mut verdict)?;
    let path = folder.path().join("ledger.redb");
    append(&path, entries, &mut verdict)?;
    let view = ReadLedger::open(&path)?.read()?;
    prove(&view, entries, &mut verdict)?;
    verify(&path, &view, entries, &mut verdict)?;
    theirs(entries.min(1_000_000))?;
    verdict.finish()
}

/// An alert as the agent puts it on record.
fn event(n: u64) -> Event {
    let hash = Blake3::digest(&n.to_be_bytes()).map(|byte| format!("{byte:02x}")).concat();
    let payload = format!(r#"{{"rule":"webserver_shell","rev":"0123456789ab","level":"high","hash":"{hash}"}}"#);
    Event {
        id: EventId { origin: "outbox/0123456789abcdef".to_owned(), number: n },
        at: time(n),
        actor: Actor { name: "agent".to_owned(), uid: Some(0), pid: Some(4711) },
        action: Action::AlertRaised,
        subject: n.to_string(),
        payload,
    }
}

fn time(n: u64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + n.cast_signed() * 1000)
}

fn count(entries: u64) -> f64 {
    number(usize::try_from(entries).expect("a bench's size"))
}

/// Encoding and hashing alone, into the tree.
fn compute(entries: u64, verdict: &mut Verdict) -> anyhow::Result<()> {
    let all: Vec<_> = (0..entries).map(|n| Entry { sequence: n, recorded: time(n), event: event(n) }).collect();
    let bytes: usize = all.iter().map(|entry| entry.encode().len()).sum();
    let (mut tree, mut taken) = (Frontier::<Blake3>::default(), Samples::default());
    taken.cpu(|| all.iter().for_each(|entry| tree.push(entry.leaf())));
    ensure!(tree.size() == entries, "every leaf is in");
    let rate = count(entries) / taken.sum_micros() * 1e6;
    println!("an entry is {:.0} bytes", number(bytes) / count(entries));
    println!("encode and hash into the tree   {rate:>12.0} entries/s (of processor time)");
    verdict.expect(rate >= 500_000.0, || format!("{rate:.0} entries/s into the tree"));
    Ok(())
}

fn append(path: &Path, entries: u64, verdict: &mut Verdict) -> anyhow::Result<()> {
    let ledger = Ledger::open(path)?;
    let (mut wall, mut cpu, mut signing) = (Samples::default(), Samples::default(), Samples::default());
    let (mut memory, mut due) = (Vec::new(), 10_000);
    for first in (0..entries).step_by(usize::try_from(BATCH)?) {
        let events: Vec<_> = (first..entries.min(first + BATCH)).map(event).collect();
        let appended = cpu.cpu(|| wall.wall(|| ledger.append(&events, time(first))))?;
        ensure!(appended.repeated == 0, "each is new");
        signing.wall(|| ledger.checkpoint(time(first)))?.context("entries came")?;
        if appended.entries.end == due || appended.entries.end == entries {
            memory.push((appended.entries.end, resident()?));
            due *= 10;
        }
    }
    let rate = count(entries) / wall.sum_micros() * 1e6;
    let busy = count(entries) / cpu.sum_micros() * 1e6;
    println!("append, a thousand a commit     {rate:>12.0} entries/s ({busy:.0} of processor time)");
    println!(
        "a commit of a thousand          {:>12.2} ms, {:.2} at most of 99 in 100",
        wall.median_micros() / 1e3,
        wall.percentile_micros(99) / 1e3
    );
    println!("a checkpoint                    {:>12.2} ms", signing.median_micros() / 1e3);
    println!(
        "with all checkpoints            {:>12.0} entries/s",
        count(entries) / (wall.sum_micros() + signing.sum_micros()) * 1e6
    );
    verdict.expect(rate >= 20_000.0, || format!("{rate:.0} entries/s appended"));
    for (entries, kilobytes) in &memory {
        println!("memory at {entries:>12}          {:>12.1} MB", count(*kilobytes) / 1024.0);
    }
    let (first, last) = (memory.first().map_or(0, |it| it.1), memory.last().map_or(0, |it| it.1));
    // redb fills its cache of 32 MiB while there is little; beyond that nothing may grow with the ledger.
    verdict.expect(last < first + (48 << 10), || format!("memory grew from {first} to {last} kB"));
    drop(ledger);
    let bytes = std::fs::metadata(path)?.len();
    println!("the file                        {:>12.1} bytes/entry", count(bytes / 1000) * 1e3 / count(entries));
    Ok(())
}

fn prove(view: &LedgerView, entries: u64, verdict: &mut Verdict) -> anyhow::Result<()> {
    let root = view.root(entries)?.context("it has as many")?;
    let (mut made, mut checked) = (Samples::default(), Samples::default());
    let (mut joined, mut held) = (Samples::default(), Samples::default());
    for n in 0..PROOFS {
        let index = (n * 7_919_399) % entries;
        let leaf = view.entry(index)?.context("it is there")?.leaf();
        let path = made.wall(|| view.inclusion(index, entries))?.context("it is there")?;
        let holds = checked.cpu(|| verify_inclusion::<Blake3>(index, entries, leaf, &path, &root));
        ensure!(holds, "entry {index} is proven");
        let old_root = view.root(index + 1)?.context("it has as many")?;
        let path = joined.wall(|| view.consistency(index + 1, entries))?.context("it grew")?;
        let holds = held.cpu(|| verify_consistency::<Blake3>((index + 1, &old_root), (entries, &root), &path));
        ensure!(holds, "the first {index} are proven");
    }
    for (name, made, checked) in [("inclusion", &made, &checked), ("consistency", &joined, &held)] {
        let (made_99, checked_99) = (made.percentile_micros(99), checked.percentile_micros(99));
        println!(
            "a proof of {name:<12}          {:>9.0} µs made ({made_99:.0} of 99 in 100), {:.1} µs checked ({checked_99:.1})",
            made.median_micros(),
            checked.median_micros()
        );
        verdict.expect(made.median_micros() < 1000.0, || format!("{name}: made in {:.0} µs", made.median_micros()));
        verdict
            .expect(checked.median_micros() < 50.0, || format!("{name}: checked in {:.0} µs", checked.median_micros()));
    }
    Ok(())
}

fn verify(path: &Path, view: &LedgerView, entries: u64, verdict: &mut Verdict) -> anyhow::Result<()> {
    let key = PublicKey::parse(&std::fs::read_to_string(public_path(path))?).map_err(|why| anyhow!(why))?;
    let against = Against { key: Some(key), checkpoint: view.checkpoint()?, ..Against::default() };
    let (mut wall, mut cpu) = (Samples::default(), Samples::default());
    let threads = std::thread::available_parallelism()?.get();
    let verified = cpu.process_cpu(|| wall.wall(|| view.verify(&against, threads, &|_| {})))?;
    let verified = verified.map_err(|mismatch| anyhow!("{mismatch:?}"))?;
    ensure!(verified.entries == (0..entries), "all were read");
    let rate = count(entries) / cpu.sum_micros() * 1e6;
    println!(
        "verify all, {threads} threads           {rate:>12.0} entries/s of processor time, {:.1} s, {} checkpoints",
        wall.sum_micros() / 1e6,
        verified.checkpoints
    );
    verdict.expect(rate >= 1_500_000.0, || format!("{rate:.0} entries/s verified per core"));
    Ok(())
}

/// `rs_merkle` with our hashes.
#[derive(Clone)]
struct Theirs;

impl rs_merkle::Hasher for Theirs {
    type Hash = Hash;

    fn hash(data: &[u8]) -> Hash {
        Blake3::leaf(data)
    }

    fn concat_and_hash(left: &Hash, right: Option<&Hash>) -> Hash {
        right.map_or(*left, |right| Blake3::node(left, right))
    }
}

fn theirs(entries: u64) -> anyhow::Result<()> {
    let leaves: Vec<_> = (0..entries).map(|n| Blake3::leaf(&n.to_be_bytes())).collect();
    let mut ours = Frontier::<Blake3>::default();
    leaves.iter().for_each(|leaf| ours.push(*leaf));
    let mut tree = rs_merkle::MerkleTree::<Theirs>::from_leaves(&leaves);
    ensure!(tree.root() == Some(ours.root()), "the roots are the same");
    let (mut one, mut own) = (Samples::default(), Samples::default());
    for n in 0..10 {
        one.cpu(|| tree.insert([n; 32]).commit());
        own.cpu(|| ours.push([n; 32]));
    }
    ensure!(tree.root() == Some(ours.root()), "the roots are the same");
    println!("one more of {entries}: rs_merkle {:.0} µs, ours {:.2} µs", one.median_micros(), own.median_micros());
    Ok(())
}

/// Kilobytes of memory that this process has now.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux says it")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it says how much")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
