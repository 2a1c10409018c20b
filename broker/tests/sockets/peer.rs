//! A peer that writes what it likes, and proves itself by what the documentation says rather than by the crate.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use bytes::{BufMut, Bytes, BytesMut};
use daemoneye_broker::frame::{self, FRAME_LEN_MAX};
use daemoneye_broker::message::{Challenge, Hello, Message, Proof, Welcome};
use daemoneye_broker::{Entry, Key, KeyKind, Role};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::place::{PATIENCE, Place};

pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    unread: BytesMut,
}

impl Peer {
    pub(crate) fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, unread: BytesMut::new() }
    }

    pub(crate) fn connect(place: &Place) -> Self {
        Self::of(UnixStream::connect(&place.path).unwrap())
    }

    /// One that has proved itself.
    pub(crate) fn proved(place: &Place, role: Role) -> Self {
        let mut peer = Self::connect(place);
        let welcome = peer.prove(&place.key, &hello(role, KeyKind::Installation));
        assert!(matches!(welcome, Some(Message::Welcome(Welcome { credit: 1024, .. }))), "{welcome:?}");
        peer
    }

    /// What the broker says to such a proof.
    pub(crate) fn prove(&mut self, key: &Key, hello: &Hello) -> Option<Message> {
        self.say(hello.clone());
        let challenge = match self.heard() {
            Some(Message::Challenge(challenge)) => challenge,
            other => return other,
        };
        assert_eq!(challenge.proof, proof(key, "daemoneye broker", hello, &challenge));
        self.say(Proof { proof: proof(key, "daemoneye client", hello, &challenge), ..Proof::default() });
        self.heard()
    }

    pub(crate) fn say(&mut self, message: impl Into<Message>) {
        self.write(&encoded(message));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A broker that has heard enough may have closed already.
        let _closed = self.stream.write_all(bytes);
    }

    pub(crate) fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next message, or nothing at the end of the connection.
    pub(crate) fn heard(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = frame::decode(&mut self.unread, FRAME_LEN_MAX).unwrap() {
                return Some(Message::decode(frame).unwrap());
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(len) => self.unread.put_slice(&chunk[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The fault that ends the connection.
    pub(crate) fn fault(&mut self) -> String {
        loop {
            match self.heard().expect("a fault comes first") {
                Message::Fault(fault) => {
                    assert_eq!(self.heard(), None);
                    return fault.text;
                }
                Message::Challenge(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

pub(crate) fn hello(role: Role, kind: KeyKind) -> Hello {
    let nonce = Bytes::from_static(&[7; 32]);
    let (name, role, key) = ("peer".to_owned(), role.into(), kind.into());
    Hello { protocol_min: 1, protocol_max: 1, name, role, nonce, key, can_seal: false }
}

/// As `key.rs` describes it.
pub(crate) fn proof(key: &Key, label: &str, hello: &Hello, challenge: &Challenge) -> Bytes {
    let text = key.to_text();
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(label.as_bytes());
    let can_seal = u32::from(hello.can_seal).to_le_bytes();
    let numbers = [challenge.protocol.to_le_bytes(), hello.role.to_le_bytes(), hello.key.to_le_bytes(), can_seal];
    let [protocol, role, kind, can_seal] = &numbers;
    let said = [&protocol[..], role, kind, can_seal, hello.name.as_bytes(), &hello.nonce, &challenge.nonce];
    // Nobody here exchanges keys.
    for part in said.into_iter().chain([&challenge.seal[..], &[]]) {
        mac.update(&u64::try_from(part.len()).unwrap().to_le_bytes());
        mac.update(part);
    }
    Bytes::copy_from_slice(&mac.finalize().into_bytes())
}

pub(crate) fn publish(topic: &'static str, payload: impl Into<Bytes>) -> Message {
    Message::Publish(Entry { topic: topic.into(), payload: payload.into(), ..Entry::default() }.into())
}

pub(crate) fn encoded(message: impl Into<Message>) -> BytesMut {
    let mut bytes = BytesMut::new();
    message.into().encode(&mut bytes);
    bytes
}

/// A frame with a correct checksum and whatever else.
pub(crate) fn framed(kind: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 10);
    frame.extend_from_slice(&u32::try_from(body.len() + 2).unwrap().to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&[kind, version]);
    frame.extend_from_slice(body);
    let checksum = crc32c::crc32c(&frame[8..]).to_le_bytes();
    frame[4..8].copy_from_slice(&checksum);
    frame
}

/// The beginning of a frame that says to be so long.
pub(crate) fn claim(len: u32) -> Vec<u8> {
    [&len.to_le_bytes()[..], &[0; 60]].concat()
}
