//! The wire format: a stream of frames in each direction.
//!
//! | offset | size | field    | meaning                                                            |
//! |-------:|-----:|----------|--------------------------------------------------------------------|
//! |      0 |    4 | length   | u32 little-endian: bytes after the checksum, 2 to `FRAME_LEN_MAX`   |
//! |      4 |    4 | checksum | u32 little-endian: CRC-32C of everything after it                   |
//! |      8 |    1 | type     | which message, see [`crate::message::Message`]                      |
//! |      9 |    1 | version  | [`VERSION`]                                                         |
//! |     10 |    … | body     | the message                                                         |
//!
//! The length is checked before anything relies on it, and memory grows only with bytes that have arrived. A stream
//! that breaks a rule is over: there is no way to find the next frame.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::message::{Code, Fault};

/// The version of this format and of the messages in it.
pub const VERSION: u8 = 1;
/// The most that `length` may say.
pub const FRAME_LEN_MAX: usize = 64 << 20;
/// Bytes before the counted part: length and checksum.
pub const PREFIX_LEN: usize = 8;

/// Frames below this are copied out of the buffer that they were read into: so that little cannot hold much, and the
/// buffer, warm, takes in what comes next.
const SHARED_LEN_MIN: usize = 128 << 10;
/// Type and version.
const KIND_LEN: usize = 2;

/// One frame, its checksum verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which message the body is.
    pub kind: u8,
    /// The message, in memory of about its size.
    pub body: Bytes,
}

/// Appends a frame to `out`, whose body `write` appends.
pub fn encode(kind: u8, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    encode_head(kind, out, write, &[]);
}

/// [`encode`] but for the end of the body, which is `rest`.
pub(crate) fn encode_head(kind: u8, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut), rest: &[u8]) {
    let start = out.len();
    out.put_u64_le(0);
    out.put_u8(kind);
    out.put_u8(VERSION);
    write(out);
    let counted = &out[start + PREFIX_LEN..];
    let checksum = crc32c::crc32c_append(crc32c::crc32c(counted), rest);
    let len = u32::try_from(counted.len() + rest.len()).expect("bodies are bounded below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + PREFIX_LEN].copy_from_slice(&checksum.to_le_bytes());
}

/// Takes the first frame out of `buffer`, or nothing while it is incomplete. `len_max` is at most [`FRAME_LEN_MAX`];
/// a peer that has not yet said who it is gets less.
pub fn decode(buffer: &mut BytesMut, len_max: usize) -> Result<Option<Frame>, Fault> {
    let Some(prefix) = buffer.first_chunk::<PREFIX_LEN>() else { return Ok(None) };
    let [len @ .., c0, c1, c2, c3] = *prefix;
    let len = u32::from_le_bytes(len) as usize;
    if !(KIND_LEN..=len_max).contains(&len) {
        let text = format!("frame of {len} bytes, between {KIND_LEN} and {len_max} are allowed");
        return Err(Fault::new(Code::Protocol, text));
    }
    if buffer.len() < PREFIX_LEN + len {
        return Ok(None);
    }
    buffer.advance(PREFIX_LEN);
    let mut body = if len < SHARED_LEN_MIN {
        let body = Bytes::copy_from_slice(&buffer[..len]);
        buffer.advance(len);
        body
    } else {
        buffer.split_to(len).freeze()
    };
    if crc32c::crc32c(&body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(Fault::new(Code::Protocol, "frame with a wrong checksum"));
    }
    let (kind, version) = (body.get_u8(), body.get_u8());
    if version != VERSION {
        return Err(Fault::new(Code::Version, format!("frame of version {version}, this side speaks {VERSION}")));
    }
    Ok(Some(Frame { kind, body }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(frames: &[(u8, Vec<u8>)]) -> BytesMut {
        let mut out = BytesMut::new();
        for (kind, body) in frames {
            encode(*kind, &mut out, |out| out.extend_from_slice(body));
        }
        out
    }

    fn frames() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..200)), 1..4)
    }

    /// Decodes what arrives in pieces of `step` bytes until nothing is left or a frame is at fault.
    fn read(stream: &[u8], step: usize) -> Result<Vec<Frame>, Fault> {
        let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = decode(&mut buffer, FRAME_LEN_MAX)? {
                read.push(frame);
            }
        }
        Ok(read)
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let bytes = framed(&[(7, b"ab".to_vec())]);
        assert_eq!(bytes[..4], [4, 0, 0, 0]);
        assert_eq!(bytes[4..8], crc32c::crc32c(&bytes[8..]).to_le_bytes());
        assert_eq!(bytes[8..], [7, VERSION, b'a', b'b']);
    }

    #[test]
    fn lengths_are_checked_before_memory_is_taken() {
        for len in [0, 1, u32::try_from(FRAME_LEN_MAX).unwrap() + 1, u32::MAX] {
            let mut buffer = BytesMut::from(&[len.to_le_bytes(), [0; 4]].concat()[..]);
            let fault = decode(&mut buffer, FRAME_LEN_MAX).unwrap_err();
            assert!(fault.text.contains(&format!("frame of {len} bytes")), "{fault}");
        }
        let claim = u32::try_from(FRAME_LEN_MAX).unwrap();
        let mut buffer = BytesMut::from(&[claim.to_le_bytes(), [0; 4]].concat()[..]);
        assert_eq!(decode(&mut buffer, FRAME_LEN_MAX), Ok(None));
        assert!(buffer.capacity() < 1024, "nothing is taken for a claim");
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = framed(&[(1, vec![])]);
        bytes[9] = 9;
        let checksum = crc32c::crc32c(&bytes[8..]).to_le_bytes();
        bytes[4..8].copy_from_slice(&checksum);
        let fault = decode(&mut bytes, FRAME_LEN_MAX).unwrap_err();
        assert_eq!((fault.code(), fault.text.as_str()), (Code::Version, "frame of version 9, this side speaks 1"));
    }

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(frames in frames(), step in 1usize..300) {
            let read = read(&framed(&frames), step).unwrap();
            prop_assert_eq!(read.len(), frames.len());
            for (frame, (kind, body)) in read.into_iter().zip(frames) {
                prop_assert_eq!(frame.kind, kind);
                prop_assert_eq!(frame.body, body);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
            let _either = read(&bytes, step);
        }

        #[test]
        fn truncation_gives_only_whole_frames(frames in frames(), cut in any::<prop::sample::Index>()) {
            let bytes = framed(&frames);
            let whole = read(&bytes, 64).unwrap();
            let cut = read(&bytes[..cut.index(bytes.len())], 64).unwrap();
            prop_assert!(cut.len() < whole.len() && whole.starts_with(&cut));
        }

        #[test]
        fn a_flipped_bit_never_gives_a_frame(body in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = framed(&[(3, body)]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes, 64).is_ok_and(|frames| frames.is_empty()) || read(&bytes, 64).is_err());
        }
    }
}
