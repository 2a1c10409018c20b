//! What is read is what was written, and nothing else is.

use daemoneye_dsl::audit::{Action, Actor, Event, EventId};
use daemoneye_dsl::types::Timestamp;
use proptest::prelude::*;

use super::event;
use crate::ledger::{Checkpoint, Entry, KeyKind, Note, PublicKey, SignedCheckpoint, SigningKey};

fn any_entry() -> impl Strategy<Value = Entry> {
    let actor = (".{0,9}", any::<Option<u32>>(), any::<Option<u32>>());
    let actor = actor.prop_map(|(name, uid, pid)| Actor { name, uid, pid });
    let action = (0..Action::ALL.len()).prop_map(|at| Action::ALL[at]);
    let texts = (".{0,20}", ".{0,20}", ".{0,60}");
    let numbers = (any::<u64>(), any::<i64>(), any::<i64>(), any::<u64>());
    (numbers, actor, action, texts).prop_map(|((sequence, recorded, at, number), actor, action, texts)| {
        let (origin, subject, payload) = texts;
        let id = EventId { origin, number };
        let event = Event { id, at: Timestamp(at), actor, action, subject, payload };
        Entry { sequence, recorded: Timestamp(recorded), event }
    })
}

proptest! {
    #[test]
    fn entries_come_back_from_their_bytes(entry in any_entry(), cut in any::<prop::sample::Index>(), flip in 0u8..8) {
        let bytes = entry.encode();
        prop_assert_eq!(Entry::decode(&bytes).unwrap(), entry.clone());
        let at = cut.index(bytes.len());
        prop_assert!(Entry::decode(&bytes[..at]).is_err());
        prop_assert!(Entry::decode(&[&bytes[..], &[0]].concat()).is_err());
        let mut changed = bytes;
        changed[at] ^= 1 << flip;
        if let Ok(other) = Entry::decode(&changed) {
            prop_assert_eq!(other.encode(), changed, "one entry, one encoding");
            prop_assert_ne!(other, entry);
        }
    }
}

#[test]
fn the_bytes_of_an_entry_are_these() {
    let event = Event { action: Action::Silenced, ..event("o", 258) };
    let entry = Entry { sequence: 1, recorded: Timestamp(2), event };
    let mut expected = vec![1];
    expected.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 2]);
    expected.extend([0, 0, 0, 0, 0, 0, 1, 2]);
    expected.extend([1, 0, 0, 0, 0]);
    expected.extend([0, 0, 0, 0, 0, 0, 1, 2]);
    for text in ["o", "agent", "silenced", "258", "{\"rule\":\"r6\"}"] {
        expected.extend([0, 0, 0, u8::try_from(text.len()).unwrap()]);
        expected.extend(text.as_bytes());
    }
    assert_eq!(entry.encode(), expected);
    let error = |bytes: &[u8]| Entry::decode(bytes).unwrap_err();
    assert_eq!(error(&[]), "it ends early");
    assert_eq!(error(&[2]), "it has version 2, and this program reads 1; use a newer one");
    assert_eq!(error(&[&expected[..], b"x"].concat()), "1 bytes follow its end");
    let mut unknown = expected.clone();
    unknown[25] = 5;
    assert_eq!(error(&unknown), "the byte that says what is known of the actor is 5");
    let other = String::from_utf8_lossy(&expected).replace("silenced", "silences").into_bytes();
    assert_eq!(error(&other), "this program knows no action \"silences\"");
}

/// The example key and note of the C2SP specification's Go implementation, `golang.org/x/mod/sumdb/note`.
#[test]
fn notes_of_others_are_read_and_verified() {
    let key = PublicKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\
                \n\
                — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let note = Note::parse(text).unwrap();
    assert!(note.is_signed_by(&key));
    assert_eq!(note.to_string(), text);
    assert_eq!((key.kind(), key.id()), (KeyKind::Text, 0xc74f_20a3));
    let other = Note::parse(&text.replace("answer", "Answer")).unwrap();
    assert!(!other.is_signed_by(&key));
}

#[test]
fn what_is_no_note_checkpoint_or_key_is_said() {
    let key = SigningKey::generate().unwrap();
    let checkpoint = Checkpoint::at("o/1", 7, [9; 32], Timestamp(0));
    let mut signed = SignedCheckpoint::unsigned(checkpoint.clone());
    let signature = key.sign("o/1", signed.note());
    signed.note_mut().add(signature);
    let text = signed.note().to_string();
    assert_eq!(SignedCheckpoint::parse(&text).unwrap(), signed);
    let error = |from: &str, to: &str| {
        assert!(text.contains(from), "{from:?}");
        SignedCheckpoint::parse(&text.replacen(from, to, 1)).unwrap_err()
    };
    assert_eq!(error("\n7\n", "\n07\n"), "it is not written as a checkpoint is");
    assert_eq!(error("\n7\n", "\n+7\n"), "it is not written as a checkpoint is");
    assert_eq!(error("\n7\n", "\nx\n"), "its second line is no number of entries");
    assert_eq!(error("\n7\n", "\n99999999999999999999\n"), "its second line is no number of entries");
    assert_eq!(error("CQ", "C"), "its third line is not base64 of 32 bytes");
    assert_eq!(error("\n\n", "\n"), "no empty line comes before its signatures");
    assert_eq!(error("— ", "- "), "a line below it is not written `— name signature`");
    assert_eq!(error("o/1", "o\u{1b}1"), "it has control characters");
    assert_eq!(error("— o/1", "— o+1"), "the name of a key below it is empty, too long, or has a space or a plus");
    assert_eq!(SignedCheckpoint::parse("").unwrap_err(), "no empty line comes before its signatures");
    assert!(SignedCheckpoint::parse(&"x".repeat(100_000)).unwrap_err().contains("65536 are possible"));
    let public = key.public("o/1").to_string();
    assert_eq!(PublicKey::parse(&public).unwrap(), key.public("o/1"));
    for (from, to) in [("o/1", "o/2"), ("+", "-"), ("+A", "+B"), ("o/1", "")] {
        assert!(PublicKey::parse(&public.replacen(from, to, 1)).is_err(), "{from} → {to}");
    }
    assert_eq!(PublicKey::parse(&key.witness("w").to_string()).unwrap().kind(), KeyKind::Cosignature);
}
