//! Encryption of a connection, where the broker asks for it: `Noise_NNpsk0_25519_ChaChaPoly_SHA256` through `snow`.
//!
//! The key of both sides ([`Key::for_seals`]) authenticates the exchange, fresh keys of both make what was recorded
//! unreadable for whoever learns that key later. The first of its two messages is in the broker's `Challenge`, the
//! second in the client's `Proof`; proofs cover that a client can do it, the first message, and, on the client's side,
//! the hash of the exchange: nobody in between can talk the two out of it, or into it.
//!
//! What the broker sends after `Challenge`, and the client after `Proof`, is a stream of records in place of the frames
//! themselves, which it carries one after the other:
//!
//! | offset | size | field      | meaning                                                                |
//! |-------:|-----:|------------|------------------------------------------------------------------------|
//! |      0 |    2 | length     | u16 little-endian: bytes after it, [`TAG_LEN`] + 1 to 65,535              |
//! |      2 |    … | ciphertext | a Noise transport message; its nonce is its number in this direction    |
//!
//! A record that was changed, repeated, left out or made by somebody else does not open, and ends the connection.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use snow::{Builder, HandshakeState, StatelessTransportState};

use crate::key::Key;
use crate::message::{Code, Fault};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
/// What a record has more than was put into it.
const TAG_LEN: usize = 16;
/// Bytes before the ciphertext.
const HEAD_LEN: usize = 2;
/// The most that goes into one record.
const PLAIN_LEN_MAX: usize = u16::MAX as usize - TAG_LEN;
/// Longer than either message of the exchange: a public key and a tag.
const EXCHANGE_LEN_MAX: usize = 128;

/// The keys of a connection.
#[derive(Clone)]
pub(crate) struct Seal(Arc<StatelessTransportState>);

/// An exchange that was begun.
pub(crate) struct Offer(HandshakeState);

/// Closes what one side sends.
pub(crate) struct Sealer {
    seal: Seal,
    sent: u64,
}

/// Opens what the other side sent.
pub(crate) struct Opener {
    seal: Seal,
    opened: u64,
    /// Records that are not yet whole.
    closed: BytesMut,
}

impl Offer {
    /// Begins an exchange; gives its first message.
    pub(crate) fn new(key: &Key) -> Result<(Self, Bytes), Fault> {
        let secret = key.for_seals();
        let builder = Builder::new(PATTERN.parse().expect("the pattern is one"));
        let state = builder.psk(0, &secret).and_then(Builder::build_initiator);
        let mut state = state.map_err(failed)?;
        let first = say(&mut state)?;
        Ok((Self(state), first))
    }

    /// The keys, and the hash of the exchange whose second message this is.
    pub(crate) fn complete(mut self, second: &[u8]) -> Result<(Seal, Bytes), Fault> {
        hear(&mut self.0, second)?;
        agreed(self.0)
    }
}

/// Answers the first message of an exchange: the second, the keys, and the hash of the exchange.
pub(crate) fn answer(key: &Key, first: &[u8]) -> Result<(Bytes, Seal, Bytes), Fault> {
    let secret = key.for_seals();
    let builder = Builder::new(PATTERN.parse().expect("the pattern is one"));
    let state = builder.psk(0, &secret).and_then(Builder::build_responder);
    let mut state = state.map_err(failed)?;
    hear(&mut state, first)?;
    let second = say(&mut state)?;
    let (seal, hash) = agreed(state)?;
    Ok((second, seal, hash))
}

fn say(state: &mut HandshakeState) -> Result<Bytes, Fault> {
    let mut message = [0; EXCHANGE_LEN_MAX];
    let len = state.write_message(&[], &mut message).map_err(failed)?;
    Ok(Bytes::copy_from_slice(&message[..len]))
}

fn hear(state: &mut HandshakeState, message: &[u8]) -> Result<(), Fault> {
    let heard = state.read_message(message, &mut [0; EXCHANGE_LEN_MAX]);
    heard.map(drop).map_err(|_| Fault::new(Code::Denied, "the exchange of keys was changed on its way"))
}

fn agreed(state: HandshakeState) -> Result<(Seal, Bytes), Fault> {
    let hash = Bytes::copy_from_slice(state.get_handshake_hash());
    let seal = state.into_stateless_transport_mode().map_err(failed)?;
    Ok((Seal(Arc::new(seal)), hash))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: snow::Error) -> Fault {
    Fault::new(Code::Busy, format!("cannot encrypt: {error}"))
}

impl Seal {
    /// The end that sends.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer { seal: self.clone(), sent: 0 }
    }

    /// The end that receives.
    pub(crate) fn opener(&self) -> Opener {
        Opener { seal: self.clone(), opened: 0, closed: BytesMut::new() }
    }
}

impl Sealer {
    /// Appends `plain` to `out`, in as many records as it takes.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut BytesMut) {
        for plain in plain.chunks(PLAIN_LEN_MAX) {
            let len = plain.len() + TAG_LEN;
            out.put_u16_le(u16::try_from(len).expect("records are short"));
            let start = out.len();
            out.resize(start + len, 0);
            let written = self.seal.0.write_message(self.sent, plain, &mut out[start..]);
            written.expect("a record has room, and nobody lives to send 2^64 of them");
            self.sent += 1;
        }
    }
}

impl Opener {
    /// Takes in what came, and appends what is whole of it to `out`; where a record does not open, what came before it.
    pub(crate) fn open(&mut self, came: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        self.closed.extend_from_slice(came);
        while let Some(head) = self.closed.first_chunk::<HEAD_LEN>() {
            let len = usize::from(u16::from_le_bytes(*head));
            let Some(plain_len) = len.checked_sub(TAG_LEN).filter(|len| *len > 0) else { return Err(broken()) };
            if self.closed.len() < HEAD_LEN + len {
                break;
            }
            let start = out.len();
            out.resize(start + plain_len, 0);
            let record = &self.closed[HEAD_LEN..HEAD_LEN + len];
            if self.seal.0.read_message(self.opened, record, &mut out[start..]).is_err() {
                out.truncate(start);
                return Err(broken());
            }
            self.opened += 1;
            self.closed.advance(HEAD_LEN + len);
        }
        Ok(())
    }

    /// Part of a record came, and not the rest.
    pub(crate) fn is_within(&self) -> bool {
        !self.closed.is_empty()
    }
}

fn broken() -> Fault {
    Fault::new(Code::Protocol, "what came was not encrypted by the other side, or was changed on its way")
}

impl Debug for Seal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Debug for Offer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Offer(…)")
    }
}

impl Debug for Sealer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Both ends of an exchange.
    pub(crate) fn pair() -> (Seal, Seal) {
        let key = Key::generate().unwrap();
        let (offer, first) = Offer::new(&key).unwrap();
        let (second, client, client_hash) = answer(&key, &first).unwrap();
        let (broker, hash) = offer.complete(&second).unwrap();
        assert_eq!(client_hash, hash);
        (broker, client)
    }

    #[test]
    fn another_key_opens_nothing() {
        let (_, first) = Offer::new(&Key::generate().unwrap()).unwrap();
        let fault = answer(&Key::generate().unwrap(), &first).unwrap_err();
        assert_eq!(fault.code(), Code::Denied);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_is_sealed_opens_once_and_in_order(
            lens in prop::collection::vec(0usize..200_000, 1..4),
            step in 1usize..100_000,
            at in any::<prop::sample::Index>(),
        ) {
            let (broker, client) = pair();
            let (mut sealer, mut sent, mut plain) = (broker.sealer(), BytesMut::new(), Vec::new());
            for (n, len) in (1u8..).zip(lens) {
                let part = vec![n; len];
                sealer.seal(&part, &mut sent);
                plain.extend(part);
            }
            let open = |bytes: &[u8]| {
                let (mut opener, mut out) = (client.opener(), BytesMut::new());
                let opened = bytes.chunks(step).try_for_each(|came| opener.open(came, &mut out));
                opened.map(|()| out)
            };
            prop_assert!(open(&sent).unwrap() == plain);
            if !sent.is_empty() {
                let mut changed = sent.clone();
                changed[at.index(sent.len())] ^= 1;
                let opened = open(&changed);
                prop_assert!(opened.is_err() || opened.unwrap().len() < plain.len(), "a changed length may be more than came");
                let mut before = BytesMut::new();
                let _fault = client.opener().open(&changed, &mut before);
                prop_assert!(before.len() < plain.len() && plain.starts_with(&before), "only what was sent");
                let record = HEAD_LEN + usize::from(u16::from_le_bytes([sent[0], sent[1]]));
                prop_assert!(open(&[&sent[..record], &sent[..]].concat()).is_err(), "repeated");
                if sent.len() > record {
                    prop_assert!(open(&sent[record..]).is_err(), "left out");
                }
                let mut own = BytesMut::new();
                prop_assert!(broker.opener().open(&sent, &mut own).is_err(), "sent back");
            }
        }
    }
}
