//! What is fuzzed: whatever comes in, an answer or an error comes out; no panic, no overflow of the stack, no hang.
//!
//! The programs of `fuzz/` call these functions with what libFuzzer makes up; a test calls them with `tests/corpus/`,
//! where what was once found is kept, and with the golden scripts.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use daemoneye_broker::core::{ConnectionId, Core, Limits};
use daemoneye_broker::frame::{self, FRAME_LEN_MAX};
use daemoneye_broker::message::Message;
use daemoneye_broker::{Gate, Key, Peer, tree};
use daemoneye_dsl::check::{Checked, check_query};
use daemoneye_dsl::diagnostic::{Safety, Source, Style};
use daemoneye_dsl::format::format;
use daemoneye_dsl::ipc::decode;
use daemoneye_dsl::lints::{fix, lint};
use daemoneye_dsl::tables::{Catalog, Process, schema_of};
use daemoneye_planner::plan;
use daemoneye_settings::{Form, check_text};
use daemoneye_storage::ledger::{Entry, Note, Proof, PublicKey, SignedCheckpoint, last_note};
use daemoneye_storage::lies;

/// One thing that is fuzzed, by the name of its folder and program.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("query", query),
    ("header", header),
    ("format", formatted),
    ("settings", settings),
    ("frame", frames),
    ("rows", rows),
    ("block", block),
    ("segment", segment),
    ("samples", samples),
    ("entry", entry),
    ("proof", proof),
    ("note", note),
];

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn drawn(source: &Source, checked: &Checked) {
    for diagnostic in &checked.diagnostics {
        let _drawn = diagnostic.render(source, Style::default());
    }
}

/// Any text is a statement with a plan, or has diagnostics that can be drawn.
pub fn query(bytes: &[u8]) {
    let source = Source::query(&text(bytes));
    let checked = check_query(&source, &Catalog::builtin());
    drawn(&source, &checked);
    if let Some(rule) = &checked.rule {
        let _shown = plan(&rule.query).to_string();
    }
}

fn file(text: String) -> Source {
    Source { path: "rule.sql".to_owned(), text }
}

/// Any text is a rule file, or has findings; what follows the header is a statement that compiles.
pub fn header(bytes: &[u8]) {
    let catalog = Catalog::builtin();
    let below = format!("{}\nSELECT proc_id, pid, name FROM processes", text(bytes));
    for source in [file(text(bytes).into_owned()), file(below)] {
        drawn(&source, &lint(&source, &catalog, &daemoneye_planner::lint));
    }
}

/// A rule file that is formatted parses as before and is formatted for good; its fixes come to an end.
pub fn formatted(bytes: &[u8]) {
    let catalog = Catalog::builtin();
    let source = file(text(bytes).into_owned());
    if let Ok(text) = format(&source, &catalog) {
        let again = format(&file(text.clone()), &catalog).expect("what was formatted parses");
        assert_eq!(again, text, "formatting is not final");
    }
    let fixed = fix(&source, &catalog, &daemoneye_planner::lint, Safety::ChangesMeaning);
    let left = file(fixed.text);
    drawn(&left, &lint(&left, &catalog, &daemoneye_planner::lint));
}

/// Any text is a file of settings in each form, or has findings that can be drawn.
pub fn settings(bytes: &[u8]) {
    let source = Source { path: "daemoneye".to_owned(), text: text(bytes).into_owned() };
    for form in [Form::Toml, Form::Yaml, Form::Json] {
        for diagnostic in check_text(form, &source.text) {
            let _drawn = diagnostic.render(&source, Style::default());
        }
    }
}

/// Whatever peers send, and whenever: the bytes are once the stream of somebody who has not proved who it is, and once
/// a script of what two clients do that have.
pub fn frames(bytes: &[u8]) {
    let mut core = core();
    let stranger = core.connect(Peer::default(), Duration::ZERO);
    let mut stream = BytesMut::from(bytes);
    while let Ok(Some(frame)) = frame::decode(&mut stream, FRAME_LEN_MAX) {
        let Ok(message) = Message::decode(frame) else { break };
        if core.receive(stranger, message, Duration::ZERO).is_err() {
            break;
        }
        while core.take(stranger, Duration::ZERO).is_some() {}
    }
    assert!(!core.is_proved(stranger), "nobody guesses the key");
    Talk::new().run(bytes);
}

const QUEUED_BYTES_MAX: usize = 4096;

fn core() -> Core {
    let gate = Gate::new(Key::generate().expect("the system has random bytes"), None);
    Core::new(gate, tree::OPEN, Limits { queued_bytes: QUEUED_BYTES_MAX, ..Limits::default() })
}

/// Two clients: frames with a sound checksum and any body, taking, leaving, and time that passes in between.
struct Talk {
    core: Core,
    clients: [ConnectionId; 2],
    /// The number after the last that came, of each subscription.
    next: HashMap<(ConnectionId, u64), u64>,
    now: Duration,
}

impl Talk {
    fn new() -> Self {
        let mut core = core();
        let clients = [(); 2].map(|()| core.connect_local("client"));
        Self { core, clients, next: HashMap::new(), now: Duration::ZERO }
    }

    fn run(mut self, mut script: &[u8]) {
        while let [what, rest @ ..] = script {
            script = rest;
            let client = usize::from(what & 1);
            match what >> 1 & 7 {
                0..4 => {
                    let [kind, len, rest @ ..] = script else { break };
                    let (body, rest) = rest.split_at(rest.len().min(usize::from(*len)));
                    script = rest;
                    self.say(client, *kind, body);
                }
                4 => drop(self.hear(client)),
                5 => while self.hear(client).is_some() {},
                6 => {
                    self.now += Duration::from_millis(u64::from(*what) << 4);
                    self.core.expire(self.now);
                }
                _ => self.leave(client),
            }
            let _woken = self.core.woken();
            assert!(self.core.queued_bytes() <= QUEUED_BYTES_MAX);
        }
        (0..2).for_each(|client| self.leave(client));
        self.core.expire(self.now + Duration::from_hours(1));
        assert_eq!(self.core.queued_bytes(), 0, "nobody is left for whom anything waits");
    }

    fn say(&mut self, client: usize, kind: u8, body: &[u8]) {
        // Whoever is held is not read.
        if self.core.is_held(self.clients[client]) {
            return;
        }
        let mut stream = BytesMut::new();
        frame::encode(kind, &mut stream, |out| out.extend_from_slice(body));
        let frame = frame::decode(&mut stream, FRAME_LEN_MAX).expect("its checksum is sound").expect("it is whole");
        let Ok(message) = Message::decode(frame) else { return };
        assert_eq!(through_a_frame(&message), message);
        if let Message::Unsubscribe(body) = &message {
            self.next.remove(&(self.clients[client], body.subscription));
        }
        if self.core.receive(self.clients[client], message, self.now).is_err() {
            self.leave(client);
        }
    }

    fn hear(&mut self, client: usize) -> Option<Message> {
        let client = self.clients[client];
        let message = self.core.take(client, self.now)?;
        assert_eq!(through_a_frame(&message), message);
        if let Message::Deliver(deliver) = &message {
            let next = self.next.entry((client, deliver.head.subscription)).or_default();
            assert!(deliver.head.first >= *next, "numbers only grow");
            *next = deliver.head.first + deliver.parcel.len() as u64;
        }
        Some(message)
    }

    fn leave(&mut self, client: usize) {
        self.core.disconnect(self.clients[client], self.now);
        self.clients[client] = self.core.connect_local("client");
    }
}

fn through_a_frame(message: &Message) -> Message {
    let mut stream = BytesMut::new();
    message.encode(&mut stream);
    let frame = frame::decode(&mut stream, FRAME_LEN_MAX).expect("it is sound").expect("it is whole");
    Message::decode(frame).expect("what is said can be read")
}

/// Bytes from a peer or the disk are rows of the layout asked for, or an error.
pub fn rows(bytes: &[u8]) {
    let _rows_or_error = decode(bytes, &schema_of(&Process::columns()));
}

/// What is stored in a block is rows, or damage.
pub fn block(bytes: &[u8]) {
    lies::block(bytes);
}

/// What is stored in a segment has values, or is damage, whatever it says of itself.
pub fn segment(bytes: &[u8]) {
    lies::segment(bytes);
}

/// What is stored in a stretch is samples, or damage, whatever it says of itself.
pub fn samples(bytes: &[u8]) {
    lies::samples(bytes);
}

/// Any bytes are no entry, or the bytes of one.
pub fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes, "an entry has one encoding");
    }
}

/// Any text is no proof, or one that holds or says what is wrong with it, and that reads back as itself.
pub fn proof(bytes: &[u8]) {
    if let Ok(proof) = Proof::parse(&text(bytes)) {
        let _holds_or_not = proof.check(None);
        assert_eq!(Proof::parse(&proof.to_json()).expect("it was one"), proof);
    }
}

/// Any text is no note, checkpoint or key, or one that is written so.
pub fn note(bytes: &[u8]) {
    let text = text(bytes);
    let last = last_note(&text);
    if let Ok(note) = Note::parse(last) {
        assert_eq!(note.to_string().len(), last.len());
        assert_eq!(Note::parse(&note.to_string()).expect("it was one"), note);
    }
    if let Ok(signed) = SignedCheckpoint::parse(&text) {
        assert_eq!(signed.checkpoint().to_text(), signed.note().text());
    }
    if let Ok(key) = PublicKey::parse(&text) {
        assert_eq!(PublicKey::parse(&key.to_string()).expect("it was one"), key);
    }
}
