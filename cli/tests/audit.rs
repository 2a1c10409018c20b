//! `audit` over a ledger's file: what is on record, whether it is what was signed, and what proves that elsewhere.

mod common;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use common::{Running, code, err, lines, out, path, program};
use daemoneye_dsl::audit::{Action, Actor, Event, EventId};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::Store;
use daemoneye_storage::ledger::{Ledger, public_path};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A ledger of twelve entries, of which ten are signed. It stays open, as the agent's does.
struct Scene {
    dir: TempDir,
    ledger: Ledger,
}

fn event(number: u64, action: Action, subject: &str) -> Event {
    Event {
        id: EventId { origin: "outbox/1".to_owned(), number },
        at: Timestamp(1_000_000),
        actor: Actor { name: "agent".to_owned(), uid: Some(7), pid: None },
        action,
        subject: subject.to_owned(),
        payload: json!({ "n": number }).to_string(),
    }
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path().join("events.redb")).unwrap());
        let ledger = Ledger::open(dir.path().join("ledger.redb")).unwrap();
        let scene = Self { dir, ledger };
        for n in 0..10 {
            let subject = if n == 6 { "\u{1b}[2J4".to_owned() } else { (n / 2).to_string() };
            let action = if n % 2 == 0 { Action::AlertRaised } else { Action::AlertChanged };
            scene.append(n, action, &subject);
        }
        scene.ledger.checkpoint(Timestamp(20_000_000)).unwrap().unwrap();
        scene.append(10, Action::Silenced, "a_rule");
        scene.append(11, Action::AlertRaised, "9");
        scene
    }

    fn append(&self, number: u64, action: Action, subject: &str) {
        let now = Timestamp(1_000_000 * i64::try_from(number).unwrap());
        self.ledger.append(&[event(number, action, subject)], now).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program().args(arguments).args(["--utc", "--data", path(&self.dir)]).output().unwrap()
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn key(&self) -> PathBuf {
        public_path(&self.dir.path().join("ledger.redb"))
    }
}

#[test]
fn entries_are_shown_the_newest_last() {
    let scene = Scene::new();
    let all = scene.run(&["audit", "show"]);
    assert_eq!((code(&all), lines(&all).len()), (0, 12), "{}", err(&all));
    assert!(err(&all).starts_with("12 entries of 12 · ledger "), "{}", err(&all));
    let silenced = &lines(&all)[10];
    assert_eq!(silenced["recorded_at"], "1970-01-01T00:00:10Z");
    let named = ["seq", "actor", "uid", "action", "subject"].map(|name| silenced[name].clone());
    assert_eq!(named, [json!(10), json!("agent"), json!(7), json!("silenced"), json!("a_rule")]);
    assert_eq!(silenced["payload"], json!({ "n": 10 }));
    assert_eq!(silenced["leaf_hash"].as_str().unwrap().len(), 64);

    let seqs = |arguments: &[&str]| -> Vec<u64> {
        let shown = scene.run(&[&["audit", "show"], arguments].concat());
        assert_eq!(code(&shown), 0, "{}", err(&shown));
        lines(&shown).iter().map(|entry| entry["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs(&["-n", "2"]), [10, 11]);
    assert_eq!(seqs(&["--action", "alert_raised", "-n", "3"]), [6, 8, 11]);
    assert_eq!(seqs(&["--subject", "2"]), [4, 5]);
    assert_eq!(seqs(&["--actor", "broker"]), [0; 0]);
    let (since, until) = ("1970-01-01T00:00:03Z", "1970-01-01T00:00:05Z");
    assert_eq!(seqs(&["--since", since, "--until", until]), [3, 4]);
    assert_eq!(seqs(&["--since", "1h"]), [0; 0]);
    let table = scene.run(&["audit", "show", "-o", "table", "-n", "6"]);
    assert!(out(&table).starts_with("seq  recorded +00:00 "), "{}", out(&table));
    assert!(!out(&table).contains('\u{1b}') && out(&table).contains("⟦\\e⟧[2J4"), "{}", out(&table));
    let csv = scene.run(&["audit", "show", "-o", "csv", "-n", "1"]);
    let expected =
        "seq,recorded_at,actor,uid,action,subject,payload\r\n11,1970-01-01T00:00:11Z,agent,7,alert_raised,9,";
    assert!(out(&csv).starts_with(expected), "{}", out(&csv));
    let unknown = scene.run(&["audit", "show", "--action", "alert"]);
    assert!(code(&unknown) == 2 && err(&unknown).contains("alert_raised, alert_changed"), "{}", err(&unknown));
}

#[test]
fn what_is_recorded_meanwhile_is_shown_too() {
    let scene = Scene::new();
    let mut command = program();
    command.args(["audit", "show", "--follow", "-n", "1", "-o", "ndjson", "--data", path(&scene.dir)]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut shown = running.0.stdout.take().unwrap();
    let mut next = || -> Value {
        let mut line = Vec::new();
        let mut byte = [0];
        while byte != *b"\n" {
            shown.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        serde_json::from_slice(&line).unwrap()
    };
    assert_eq!(next()["seq"], 11);
    scene.append(12, Action::Unsilenced, "a_rule");
    let asked = Instant::now();
    assert_eq!(next()["action"], "unsilenced");
    assert!(asked.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_ledger_is_a_table() {
    let scene = Scene::new();
    let sql = "SELECT action, count(*) AS n, min(seq) AS first FROM audit GROUP BY action ORDER BY n DESC";
    let counted = scene.run(&["query", "--live", sql]);
    assert_eq!(code(&counted), 0, "{}", err(&counted));
    let expected = [
        json!({ "action": "alert_raised", "n": 6, "first": 0 }),
        json!({ "action": "alert_changed", "n": 5, "first": 1 }),
        json!({ "action": "silenced", "n": 1, "first": 10 }),
    ];
    assert_eq!(lines(&counted), expected);
    let row = scene.run(&["query", "--live", "SELECT * FROM audit WHERE seq = 10"]);
    let mut shown = lines(&scene.run(&["audit", "show", "--action", "silenced"]))[0].clone();
    shown["payload"] = json!("{\"n\":10}");
    assert_eq!(lines(&row), [shown]);
}

#[test]
fn a_ledger_is_what_was_signed_or_what_is_wrong_is_named() {
    let scene = Scene::new();
    let (key, kept) = (scene.key(), scene.file("kept"));
    let whole = scene.run(&["audit", "verify"]);
    assert_eq!(code(&whole), 0, "{}", err(&whole));
    assert!(out(&whole).starts_with("12 entries, 1 checkpoint, root"), "{}", out(&whole));
    for note in ["compare it with one from elsewhere", "2 entries since the last checkpoint", "cut off the end"] {
        assert!(err(&whole).replace("\n  ", " ").contains(note), "{note}: {}", err(&whole));
    }
    let checkpoint = scene.run(&["audit", "checkpoint", "--out", &kept]);
    assert!(
        err(&checkpoint).starts_with("no agent runs: the last checkpoint, over 10 of 12 entries, 2 came since"),
        "{}",
        err(&checkpoint)
    );
    let printed = scene.run(&["audit", "checkpoint"]);
    let note = fs::read_to_string(&kept).unwrap();
    assert_eq!(out(&printed), note);
    // As the agent exports them: one after the other.
    fs::write(&kept, format!("{}\n{note}\n", note.replace("\n10\n", "\n9\n"))).unwrap();
    let held = ["audit", "verify", "--checkpoint", &kept, "--key", key.to_str().unwrap(), "-o", "json"];
    let whole = scene.run(&held);
    assert_eq!(code(&whole), 0, "{}{}", out(&whole), err(&whole));
    let said: Value = serde_json::from_str(out(&whole)).unwrap();
    assert_eq!((&said["ok"], &said["size"], &said["last_checkpoint"]["size"]), (&json!(true), &json!(12), &json!(10)));
    assert_eq!(said["keys"], json!([fs::read_to_string(&key).unwrap().trim_end()]));
    for from in ["10", &kept] {
        assert_eq!(code(&scene.run(&["audit", "verify", "--from-checkpoint", from])), 0, "{from}");
    }
    let none = scene.run(&["audit", "verify", "--from-checkpoint", "9"]);
    assert!(code(&none) == 2 && err(&none).contains("no checkpoint over 9 entries"), "{}", err(&none));

    // Another ledger put in its place, with its own key.
    let other = Scene::new();
    let swapped = other.run(&held);
    assert_eq!(code(&swapped), 1, "{}", err(&swapped));
    let said: Value = serde_json::from_str(out(&swapped)).unwrap();
    assert_eq!(said["mismatch"]["what"], "the key that was given is not one that signs this ledger");
    let swapped = other.run(&["audit", "verify", "--checkpoint", &kept]);
    assert_eq!((code(&swapped), out(&swapped)), (1, ""));
    assert!(err(&swapped).starts_with("error: the checkpoint that was given is of another ledger: expected "));

    // A byte of an entry, in the file.
    drop(scene.ledger);
    let file = scene.dir.path().join("ledger.redb");
    let mut bytes = fs::read(&file).unwrap();
    for at in 0..bytes.len() - 7 {
        if bytes[at..].starts_with(b"{\"n\":3}") {
            bytes[at + 5] = b'4';
        }
    }
    fs::write(&file, bytes).unwrap();
    let run = |arguments: &[&str]| program().args(arguments).args(["--data", path(&scene.dir)]).output().unwrap();
    let changed = run(&["audit", "verify"]);
    assert_eq!((code(&changed), out(&changed)), (1, ""));
    let said = err(&changed).replace("\n  ", " ");
    assert!(said.starts_with("error: entry 3 does not match its leaf hash: expected "), "{said}");
    assert!(said.contains("; no checkpoint before it is known to be good"), "{said}");
    let shown = run(&["audit", "show"]);
    assert_eq!(code(&shown), 2);
    assert!(err(&shown).contains("the ledger is damaged: entry 3 does not match"), "{}", err(&shown));
}

#[test]
fn a_proof_is_checked_with_nothing_else() {
    let scene = Scene::new();
    let (proof, key) = (scene.file("4.proof"), fs::read_to_string(scene.key()).unwrap());
    let made = scene.run(&["audit", "prove", "--alert", "2", "--out", &proof]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    assert!(
        err(&made).starts_with("alert 2, which is entry 4, is proven to be one of the first 10, signed by daemoneye/")
    );
    assert_eq!(out(&scene.run(&["audit", "prove", "--seq", "4"])), fs::read_to_string(&proof).unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("p");
    fs::copy(&proof, &copy).unwrap();
    let check = |arguments: &[&str]| {
        let mut command = program();
        command.args(["audit", "verify", "--proof"]).arg(&copy).args(arguments).output().unwrap()
    };
    let holds = check(&["--key", key.trim_end()]);
    assert_eq!(code(&holds), 0, "{}", err(&holds));
    let said = out(&holds).replace('\n', " ");
    assert!(said.starts_with("entry 4 (alert_raised 2) is one of the first 10 of daemoneye/"), "{said}");
    assert!(said.contains(key.trim_end()), "{said}");
    assert!(!err(&holds).contains("compare"), "{}", err(&holds));
    let alone = check(&[]);
    assert!(code(&alone) == 0 && err(&alone).contains("the key is the one that the proof names"), "{}", err(&alone));
    let other = fs::read_to_string(Scene::new().key()).unwrap();
    let by_other = check(&["--key", &other]);
    assert_eq!((code(&by_other), out(&by_other)), (1, ""));
    assert!(err(&by_other).starts_with("error: the checkpoint of the proof is not signed by"), "{}", err(&by_other));
    let unwitnessed = check(&["--witness", key.trim_end(), "--witness", &other]);
    assert_eq!(code(&unwitnessed), 1);
    assert!(err(&unwitnessed).contains("is not cosigned by"), "{}", err(&unwitnessed));
    let text = fs::read_to_string(&copy).unwrap();
    fs::write(&copy, text.replacen("\"index\": 4", "\"index\": 5", 1)).unwrap();
    let changed = check(&[]);
    assert_eq!(code(&changed), 2);
    assert!(err(&changed).contains("this is no proof: its index and size are not those"), "{}", err(&changed));

    let later = scene.run(&["audit", "prove", "--seq", "11"]);
    assert!(code(&later) == 2 && err(&later).contains("entry 11 is not signed yet"), "{}", err(&later));
    let never = scene.run(&["audit", "prove", "--alert", "77"]);
    assert!(code(&never) == 2 && err(&never).contains("no entry says that alert 77 was raised"), "{}", err(&never));
}

#[test]
fn without_a_ledger_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["show"][..], &["verify"], &["prove", "--seq", "1"], &["checkpoint"]] {
        let none = program().arg("audit").args(arguments).args(["--data", path(&dir)]).output().unwrap();
        assert_eq!(code(&none), 2);
        assert!(err(&none).contains("ledger.redb: it is created when the agent first runs"), "{}", err(&none));
    }
    let none = program().args(["audit", "verify", "--key", "x+y+z"]).output().unwrap();
    assert!(code(&none) == 2 && err(&none).contains("this is no public key"), "{}", err(&none));
}
