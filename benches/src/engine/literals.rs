//! The scan for literals against Aho–Corasick: the same literals in the same texts, with the same answers.

use std::collections::BTreeSet;
use std::hint::black_box;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::{Context, ensure};
use arrow_array::StringArray;
use daemoneye_planner::LiteralScan;

use crate::engine::report::{Bounds, Line, Unit};
use crate::measure::Samples;

/// The shortest literal that is raced for.
const LEN_MIN: usize = 4;

/// Literals of LIKE patterns, each once whatever the case of its letters.
pub fn of_rules(statements: &[String]) -> Vec<String> {
    let patterns = statements.iter().flat_map(|sql| sql.split("LIKE '").skip(1));
    let patterns = patterns.filter_map(|rest| rest.split('\'').next());
    let literals = patterns.flat_map(|pattern| pattern.split(['%', '_']));
    let literals = literals.filter(|it| it.len() >= LEN_MIN && it.is_ascii()).map(str::to_ascii_lowercase);
    literals.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Finds the literals in all texts with both, and says how long each takes.
pub fn race(literals: &[String], texts: &StringArray, rounds: usize) -> anyhow::Result<Vec<Line>> {
    let mut own =
        LiteralScan::of(literals.iter().map(String::as_str)).context("a literal is too short to be scanned for")?;
    let mut found = Vec::new();
    own.find(texts, |text, literal| found.push((text, literal)));
    found.sort_unstable();
    let mut times = Samples::default();
    for _ in 0..rounds {
        let mut count = 0_usize;
        times.process_cpu(|| own.find(texts, |_, _| count += 1));
        ensure!(count == found.len(), "{count} literals are found, and {} the first time", found.len());
    }
    let mut lines = Vec::new();
    let mut best = f64::INFINITY;
    for (kind, name) in [(AhoCorasickKind::ContiguousNFA, "its contiguous NFA"), (AhoCorasickKind::DFA, "its DFA")] {
        let theirs = AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(kind)).build(literals)?;
        let right = found_by(&theirs, texts);
        ensure!(right == found, "{name} finds {} literals, the scan {}", right.len(), found.len());
        let mut samples = Samples::default();
        for _ in 0..rounds {
            samples.process_cpu(|| black_box(count_by(&theirs, texts)));
        }
        best = best.min(samples.median_micros());
        lines.push(Line::time(format!("  {name}"), samples.median_micros(), Bounds::NONE));
        let megabytes = f64::from(u32::try_from(theirs.memory_usage())?) / f64::from(1 << 20);
        lines.push(Line::new("  and what it takes", megabytes, Unit::Megabytes, Bounds::NONE));
    }
    let what = format!("{} literals in {} texts, beside Aho–Corasick", literals.len(), texts.iter().flatten().count());
    lines.insert(0, Line::time(what, times.median_micros(), Bounds::NONE).beside(best, false));
    Ok(lines)
}

/// The literals in each text, each once, in order.
fn found_by(theirs: &AhoCorasick, texts: &StringArray) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    for (number, text) in (0u32..).zip(texts) {
        let found = theirs.find_overlapping_iter(text.unwrap_or_default());
        all.extend(found.map(|it| (number, it.pattern().as_u32())));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// How many there are in all texts: less than what an engine would have to do with them.
fn count_by(theirs: &AhoCorasick, texts: &StringArray) -> usize {
    texts.iter().flatten().map(|text| theirs.find_overlapping_iter(text).count()).sum()
}
