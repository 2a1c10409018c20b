//! Rules that nobody here wrote, over events that nobody here recorded: `SigmaHQ`'s rules as `pySigma` turns them into
//! SELECTs, with the matches that SQLite finds. Skipped, which is said, where that corpus is not beside the project.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::{err, lines, path, run};
use serde_json::Value;

/// The largest set takes a minute in a debug build, so of the rules that match nothing every fortieth has to do.
const SPARSE: usize = 40;

type Matches = BTreeMap<String, BTreeSet<i64>>;

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn corpus() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/sigma");
    let there = place.is_dir();
    if !there {
        eprintln!("skipped: there is no corpus of Sigma rules at {}", place.display());
    }
    there.then_some(place)
}

fn expected(corpus: &Path, category: &str) -> Matches {
    let text = fs::read_to_string(corpus.join(format!("{category}.expected.json"))).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let events = |events: &Value| events.as_array().unwrap().iter().map(|event| event.as_i64().unwrap()).collect();
    expected["matches"].as_object().unwrap().iter().map(|(rule, of)| (rule.clone(), events(of))).collect()
}

fn check(category: &str, every: usize) {
    let Some(corpus) = corpus() else { return };
    let expected = expected(&corpus, category);
    let rules = tempfile::tempdir().unwrap();
    let mut taken = BTreeSet::new();
    let mut files: Vec<_> = fs::read_dir(corpus.join(category)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for (at, file) in files.iter().enumerate() {
        let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if at % every == 0 || expected.contains_key(&id) {
            let sql = fs::read_to_string(file).unwrap();
            let header = format!("-- @id: {id}\n-- @title: x\n-- @level: low\n-- @status: test\n-- @description: d\n");
            let header = format!("{header}-- @tags: attack.execution\n-- @platform: windows\n");
            fs::write(rules.path().join(format!("{id}.sql")), header + &sql).unwrap();
            taken.insert(id);
        }
    }
    let table = format!("{category}={}", corpus.join(format!("{category}.events.jsonl")).display());
    let hunt = run(&["hunt", "-o", "ndjson", "--rules", path(&rules), "--table", &table]);
    let ran = format!("{} rules from ", taken.len());
    assert!(err(&hunt).starts_with(&ran), "a rule was refused or stopped: {}", err(&hunt));
    let mut found = Matches::new();
    for finding in lines(&hunt) {
        let rule = finding["rule"].as_str().unwrap().to_owned();
        found.entry(rule).or_default().insert(finding["row"]["eid"].as_i64().unwrap());
    }
    for rule in taken {
        assert_eq!(found.get(&rule), expected.get(&rule), "{category}/{rule}.sql");
    }
}

#[test]
fn network_connections() {
    check("network_connection", 1);
}

#[test]
fn file_events() {
    check("file_event", SPARSE);
}

#[test]
fn process_creations() {
    check("process_creation", SPARSE);
}

#[test]
#[ignore = "takes more than a minute in a debug build"]
fn all_rules() {
    check("file_event", 1);
    check("process_creation", 1);
}
