//! Keys: where they are, how one follows another, who else signs.

use std::fs;
use std::path::Path;

use daemoneye_dsl::types::Timestamp;

use super::{entries, events};
use crate::ledger::{Against, Ledger, Proof, PublicKey, SIGNATURES_MAX, SignedCheckpoint, SigningKey, public_path};

fn published(path: &Path) -> PublicKey {
    PublicKey::parse(&fs::read_to_string(public_path(path)).unwrap()).unwrap()
}

#[test]
fn a_new_key_is_named_by_an_entry_and_signed_for_by_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    let first = published(&path);
    ledger.append(&events(0..3), Timestamp(1)).unwrap();
    ledger.checkpoint(Timestamp(2)).unwrap().unwrap();
    let handed_over = ledger.rotate(Timestamp(3)).unwrap();
    let second = published(&path);
    assert_ne!(first, second);
    assert!(handed_over.note().is_signed_by(&first) && handed_over.note().is_signed_by(&second));
    ledger.append(&events(3..5), Timestamp(4)).unwrap();
    let by_second = ledger.checkpoint(Timestamp(5)).unwrap().unwrap();
    assert!(by_second.note().is_signed_by(&second) && !by_second.note().is_signed_by(&first));
    drop(ledger);
    let ledger = Ledger::open(&path).unwrap();
    ledger.rotate(Timestamp(6)).unwrap();
    let third = published(&path);
    let view = ledger.read().unwrap();
    let entry = view.entry(3).unwrap().unwrap();
    assert_eq!(entry.event.subject, second.to_string());
    assert_eq!(view.keys().unwrap(), [(0, first.clone()), (3, second.clone()), (6, third.clone())]);
    for key in [first, second, third.clone()] {
        let against = Against { key: Some(key), ..Against::default() };
        let verified = view.verify(&against, 2, &|_| {}).unwrap().unwrap();
        assert_eq!((verified.checkpoints, verified.keys.len()), (4, 3));
    }
    let other = SigningKey::generate().unwrap().public(&view.origin().unwrap());
    let against = Against { key: Some(other.clone()), ..Against::default() };
    let mismatch = view.verify(&against, 2, &|_| {}).unwrap().unwrap_err();
    assert_eq!(mismatch.what, "the key that was given is not one that signs this ledger");
    let proof = view.prove(0).unwrap();
    proof.check(Some(&third)).unwrap();
    assert!(proof.check(Some(&other)).unwrap_err().what.contains("is not signed by"));
}

#[test]
fn a_rotation_that_was_cut_off_is_finished_or_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    ledger.append(&events(0..3), Timestamp(1)).unwrap();
    let old = fs::read(path.with_extension("key")).unwrap();
    // The next key was written, and the entry that names it was not.
    SigningKey::generate().unwrap().save(&path.with_extension("key.next")).unwrap();
    drop(ledger);
    let ledger = Ledger::open(&path).unwrap();
    assert!(!path.with_extension("key.next").exists());
    assert_eq!(fs::read(path.with_extension("key")).unwrap(), old);
    ledger.rotate(Timestamp(2)).unwrap();
    drop(ledger);
    // The entry was written, and the file is still under its first name.
    fs::rename(path.with_extension("key"), path.with_extension("key.next")).unwrap();
    fs::write(path.with_extension("key"), &old).unwrap();
    fs::remove_file(public_path(&path)).unwrap();
    private(&path.with_extension("key"));
    let ledger = Ledger::open(&path).unwrap();
    ledger.append(&events(3..4), Timestamp(3)).unwrap();
    let signed = ledger.checkpoint(Timestamp(4)).unwrap().unwrap();
    assert!(signed.note().is_signed_by(&published(&path)));
    ledger.read().unwrap().verify(&Against::default(), 1, &|_| {}).unwrap().unwrap();
}

fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
    }
}

#[test]
fn a_key_that_is_lost_damaged_or_open_is_said_and_nothing_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.redb");
    drop(Ledger::open(&path).unwrap());
    let key = path.with_extension("key");
    let content = fs::read(&key).unwrap();
    let refusal = || Ledger::open(&path).err().unwrap().to_string();
    fs::remove_file(&key).unwrap();
    assert!(refusal().contains("restore it from a backup"), "{}", refusal());
    assert!(!key.exists());
    for damaged in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
        fs::write(&key, damaged).unwrap();
        private(&key);
        assert!(refusal().contains("64 hexadecimal digits"), "{}", refusal());
        fs::remove_file(&key).unwrap();
    }
    SigningKey::generate().unwrap().save(&key).unwrap();
    assert!(refusal().contains("is not the one that signs it"), "{}", refusal());
    fs::remove_file(&key).unwrap();
    fs::write(&key, &content).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o440)).unwrap();
        assert!(refusal().contains("others may read or write it"), "{}", refusal());
    }
    private(&key);
    Ledger::open(&path).unwrap();
    assert_eq!(format!("{:?}", SigningKey::generate().unwrap()), "SigningKey(…)");
}

#[test]
fn cosignatures_of_known_witnesses_are_kept() {
    let ledger = Ledger::in_memory().unwrap();
    ledger.append(&events(0..3), Timestamp(1)).unwrap();
    let signed = ledger.checkpoint(Timestamp(2)).unwrap().unwrap();
    let (witness, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let known = [witness.witness("witness.example/w")];
    let mut seen = signed.clone();
    let lie = crate::ledger::Signature { bytes: vec![0; 72], ..witness.cosign("witness.example/w", signed.note(), 7) };
    for line in [witness.cosign("witness.example/w", signed.note(), 7), stranger.cosign("s", signed.note(), 7), lie] {
        assert!(seen.note_mut().add(line));
    }
    let seen = SignedCheckpoint::parse(&seen.note().to_string()).unwrap();
    assert_eq!(ledger.cosign(&seen, &known).unwrap(), 1);
    assert_eq!(ledger.cosign(&seen, &known).unwrap(), 0);
    let kept = ledger.read().unwrap().checkpoint().unwrap().unwrap();
    assert_eq!(kept.note().signatures().len(), 2);
    assert!(kept.note().is_signed_by(&known[0]));
    ledger.read().unwrap().verify(&Against::default(), 1, &|_| {}).unwrap().unwrap();
    // As many as there is room for, of which the first is there already, and then one more.
    let mut many = signed.clone();
    for time in 7..7 + SIGNATURES_MAX as u64 - 1 {
        assert!(many.note_mut().add(witness.cosign("witness.example/w", signed.note(), time)));
    }
    assert_eq!(ledger.cosign(&many, &known).unwrap(), SIGNATURES_MAX - 2);
    let mut late = signed.clone();
    assert!(late.note_mut().add(witness.cosign("witness.example/w", signed.note(), 1000)));
    let error = ledger.cosign(&late, &known).unwrap_err().to_string();
    assert!(error.contains("no room for more than 64 signatures"), "{error}");
    let other = Ledger::in_memory().unwrap();
    other.append(&events(0..3), Timestamp(1)).unwrap();
    let error = other.cosign(&seen, &known).unwrap_err().to_string();
    assert!(error.contains("did not sign that checkpoint over 3 entries"), "{error}");
}

#[test]
fn a_proof_holds_elsewhere_and_a_changed_one_does_not() {
    let ledger = Ledger::in_memory().unwrap();
    ledger.append(&events(0..300), Timestamp(1)).unwrap();
    ledger.checkpoint(Timestamp(2)).unwrap().unwrap();
    ledger.append(&events(300..301), Timestamp(3)).unwrap();
    let view = ledger.read().unwrap();
    let error = |sequence| view.prove(sequence).unwrap_err().to_string();
    assert_eq!(
        error(300),
        "refused: entry 300 is not signed yet: the newest checkpoint is over 300 entries; wait for the next"
    );
    assert_eq!(error(301), "refused: there is no entry 301: the ledger has 301, numbered from 0");
    let all = entries(&view);
    for sequence in [0, 1, 127, 128, 254, 255, 256, 299] {
        let proof = view.prove(sequence).unwrap();
        assert_eq!(proof.entry(), &all[usize::try_from(sequence).unwrap()]);
        let json = proof.to_json();
        let read = Proof::parse(&json).unwrap();
        assert_eq!(read, proof);
        read.check(None).unwrap();
        read.check(Some(proof.key())).unwrap();
        // Every character that says something.
        for at in (0..json.len()).step_by(7) {
            let mut changed = json.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let Some(changed) = String::from_utf8(changed).ok().and_then(|json| Proof::parse(&json).ok()) else {
                continue;
            };
            assert!(changed.check(None).is_err(), "{at}: {}", &json[at..]);
        }
    }
    let (short, long) = (r#"{"version": 2}"#, "x".repeat(2 << 20));
    assert!(Proof::parse(short).unwrap_err().to_string().starts_with("this is no proof: missing field"));
    assert!(Proof::parse(&long).unwrap_err().to_string().contains("bytes, and"));
}
