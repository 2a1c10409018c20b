//! The matcher on rules and events that nobody here wrote: `SigmaHQ`'s rules for new processes over recorded ones. Skipped,
//! which is said, where that corpus is not beside the project.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use daemoneye_dsl::tables::{Catalog, Column, Kind, Table};
use daemoneye_dsl::types::{Type, Value};
use serde_json::{Map, Value as Json};

use super::differential::report;
use super::matcher::{condition, expected};
use crate::batch::batch;
use crate::matcher::Matcher;

/// Of the events every so many-th: all take long in a debug build.
const EVERY_EVENT: usize = 4;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its corpus from files")]
fn rules_of_others_are_matched_alike() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/sigma");
    let Ok(events) = fs::read_to_string(corpus.join("process_creation.events.jsonl")) else {
        return report(&format!("skipped: there is no corpus of Sigma rules at {}", corpus.display()));
    };
    let events: Vec<Map<String, Json>> =
        events.lines().step_by(EVERY_EVENT).map(|event| serde_json::from_str(event).expect("an event")).collect();
    let names: BTreeSet<&String> = events.iter().flat_map(Map::keys).collect();
    let columns = names.iter().map(|name| Column::new((*name).clone(), Type::Text, true, "A field."));
    let doc = "Events.".into();
    let table = Table { name: "process_creation".into(), doc, kind: Kind::Records, columns: columns.collect() };
    let catalog = Catalog::builtin().with(table);
    let value = |event: &Map<String, Json>, name: &str| match event.get(name) {
        None | Some(Json::Null) => Value::Null,
        Some(Json::String(text)) => Value::Text(text.clone()),
        Some(other) => Value::Text(other.to_string()),
    };
    let columns = names.iter().map(|name| Type::Text.array(events.iter().map(|event| value(event, name))));
    let rows = batch(columns.collect(), events.len());
    let mut files: Vec<_> = fs::read_dir(corpus.join("process_creation"))
        .expect("rules")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let rule = |file| condition(&fs::read_to_string(file).expect("a rule"), &catalog);
    let conditions: Vec<_> = files.iter().filter_map(rule).map(Some).collect();
    assert!(conditions.len() * 2 > files.len(), "only {} rules compiled", conditions.len());
    let mut matcher = Matcher::of(conditions.iter().flatten().cloned().collect());
    let unguarded = (0..conditions.len())
        .filter(|at| matcher.guard(*at, |column| column.to_string()) == "looked at for every row")
        .count();
    report(&format!("{} rules, of which {unguarded} have no guard", conditions.len()));
    assert!(unguarded * 10 < conditions.len(), "{unguarded} of {} rules have no guard", conditions.len());
    let wanted = expected(&conditions, &rows);
    assert!(wanted.len() > 5, "only {} rules matched", wanted.len());
    // Again, with the guards that were chosen meanwhile.
    for _ in 0..2 {
        assert_eq!(matcher.matching(&rows), wanted);
    }
}
