//! What a connection has still to write: small messages in one buffer, and large parcels between them in the memory
//! that they came in, so that what goes to many is copied for none of them.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::connection::KEPT_LEN_MAX;
use crate::message::Message;
use crate::seal::Sealer;

/// The most that is encrypted ahead of what the other side takes.
const SEALED_AT_ONCE: usize = 256 << 10;
/// The most pieces that are written at once.
const SLICES_LEN_MAX: usize = 16;

/// Bytes in the order in which they go.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    /// What comes after the pieces.
    buffer: BytesMut,
    len: usize,
    /// What closes all that follows, where the connection is encrypted.
    sealer: Option<Sealer>,
    /// How many of the first pieces go as they are.
    ready_len: usize,
}

impl Outgoing {
    /// Appends a message.
    pub(crate) fn push(&mut self, message: &Message) {
        let before = self.buffer.len();
        let rest = message.encode_head(&mut self.buffer);
        self.len += self.buffer.len() - before;
        if let Some(rest) = rest {
            self.len += rest.len();
            self.pieces.push_back(self.buffer.split().freeze());
            self.pieces.push_back(rest);
        }
    }

    /// What is appended from now on goes encrypted.
    pub(crate) fn seal_from_here(&mut self, sealer: Sealer) {
        if !self.buffer.is_empty() {
            self.pieces.push_back(self.buffer.split().freeze());
        }
        self.ready_len = self.pieces.len();
        self.sealer = Some(sealer);
    }

    /// Encrypts what comes next, up to a bound, once everything that is ready has gone.
    fn seal_some(&mut self) {
        let Some(sealer) = self.sealer.as_mut().filter(|_| self.ready_len == 0) else { return };
        let mut plain = BytesMut::new();
        while let Some(piece) = self.pieces.front_mut() {
            plain.extend_from_slice(&piece.split_to(piece.len().min(SEALED_AT_ONCE - plain.len())));
            if !piece.is_empty() {
                break;
            }
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() {
            plain.extend_from_slice(&self.buffer.split_to(self.buffer.len().min(SEALED_AT_ONCE - plain.len())));
        }
        let mut sealed = BytesMut::with_capacity(plain.len() + plain.len() / 1024 + 64);
        sealer.seal(&plain, &mut sealed);
        self.len = self.len - plain.len() + sealed.len();
        self.pieces.push_front(sealed.freeze());
        self.ready_len = 1;
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes all of it. Takes out exactly what was written, even if this future is dropped midway.
    pub(crate) async fn write_to(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while self.len > 0 {
            self.seal_some();
            let mut slices = [IoSlice::new(&[]); SLICES_LEN_MAX];
            let pieces = self.pieces.iter().map(|piece| &piece[..]).chain([&self.buffer[..]]);
            let ready = if self.sealer.is_some() { self.ready_len } else { SLICES_LEN_MAX };
            let pieces = pieces.take(ready);
            let mut len = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
                len += 1;
            }
            match writer.write_vectored(&slices[..len]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.advance(written),
            }
        }
        if self.buffer.capacity() > KEPT_LEN_MAX {
            self.buffer = BytesMut::new();
        }
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while let Some(piece) = self.pieces.front_mut() {
            let taken = written.min(piece.len());
            piece.advance(taken);
            written -= taken;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
            self.ready_len = self.ready_len.saturating_sub(1);
        }
        self.buffer.advance(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Deliver, DeliverHead, Ping};
    use crate::parcel::{Entry, Parcel};
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, duplex};

    fn message((number, len): (u64, usize)) -> Message {
        let parcel = |len| Parcel::from(Entry { topic: "t".into(), payload: vec![7; len].into(), ..Entry::default() });
        let mut bytes = BytesMut::new();
        parcel(len).encode(&mut bytes);
        let read = Parcel::decode(bytes.freeze()).unwrap();
        let head = DeliverHead { subscription: number, first: number, gap: 0 };
        match number % 4 {
            0 => Ping {}.into(),
            1 => Message::Publish(read),
            2 => Message::Deliver(Deliver { head, parcel: read }),
            _ => Message::Deliver(Deliver { head, parcel: parcel(len) }),
        }
    }

    proptest! {
        /// In whatever steps it is written, and however often it is given up midway.
        #[test]
        fn the_bytes_are_those_of_the_messages(
            messages in prop::collection::vec((any::<u64>(), 0usize..20_000), 1..20),
            room in 1usize..30_000,
        ) {
            let mut expected = BytesMut::new();
            let mut outgoing = Outgoing::default();
            for message in messages.into_iter().map(message) {
                message.encode(&mut expected);
                outgoing.push(&message);
            }
            prop_assert_eq!(outgoing.len(), expected.len());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let came = runtime.block_on(async {
                let (mut near, mut far) = duplex(room);
                let mut came = BytesMut::new();
                while outgoing.len() > 0 {
                    let writing = outgoing.write_to(&mut near);
                    // Gives up when there is no room.
                    tokio::select! { biased; wrote = writing => wrote.unwrap(), () = std::future::ready(()) => {} }
                    let waits = expected.len() - outgoing.len() - came.len();
                    let end = came.len() + waits;
                    while came.len() < end {
                        far.read_buf(&mut came).await.unwrap();
                    }
                }
                came
            });
            prop_assert!(came == expected);
            prop_assert_eq!((outgoing.pieces.len(), outgoing.buffer.len()), (0, 0));
        }
    }
}
