//! Why: what is fuzzed goes on holding for everything that was ever of interest: the seeds and findings in
//! `tests/corpus/`, the golden scripts, the rules, and each of them cut short and with a byte changed.

use std::path::Path;

use daemoneye_tests::fuzz::{TARGETS, formatted, frames, header, query};
use daemoneye_tests::project;

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let paths = entries.map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { vec![std::fs::read(path).unwrap()] };
    paths.flat_map(read).collect()
}

/// The input, halves of it, and it with single bytes changed.
fn variants(input: &[u8]) -> Vec<Vec<u8>> {
    let mut variants = vec![input.to_vec(), input[..input.len() / 2].to_vec(), input[input.len() / 2..].to_vec()];
    for step in 1..8 {
        let mut changed = input.to_vec();
        if let Some(byte) = changed.get_mut(input.len() * step / 8) {
            *byte = byte.wrapping_add(1 << step);
            variants.push(changed);
        }
    }
    variants
}

#[test]
fn seeds_and_findings() {
    for (name, target) in TARGETS {
        let inputs = files(&project().join("tests/corpus").join(name));
        assert!(!inputs.is_empty(), "tests/corpus/{name} has no seed");
        inputs.iter().flat_map(|input| variants(input)).for_each(|input| target(&input));
    }
}

#[test]
fn scripts_and_rules() {
    let scripts = files(&project().join("tests/golden/check"));
    assert!(scripts.len() > 5);
    for script in scripts {
        String::from_utf8(script).unwrap().lines().for_each(|line| query(line.as_bytes()));
    }
    let rules = files(&project().join("rules"));
    assert!(rules.len() > 40);
    for rule in rules.iter().flat_map(|rule| variants(rule)) {
        header(&rule);
        formatted(&rule);
    }
}

#[test]
fn frames_of_every_kind_come_through() {
    // A frame that is cut off at every byte, and one after the other without a gap.
    let corpus = files(&project().join("tests/corpus/frame"));
    for frame in &corpus {
        (0..frame.len().min(512)).for_each(|end| frames(&frame[..end]));
    }
    frames(&corpus.concat());
}
