//! Texts of a page, compressed together.
//!
//! ```text
//! page    [bytes before compression: u32][bytes of the texts: u32][zstd]
//! within  the texts, one behind the other, then n × [length: varint]
//! ```

use std::cell::RefCell;

use daemoneye_dsl::ipc::DECODED_LEN_MAX;
use zstd::bulk::{Compressor, Decompressor};

use super::bytes::{Bytes, Wrong, put_varint};

/// Bytes of the texts of a page, about.
pub(super) const PAGE_LEN: usize = 16 << 10;
/// Texts of a page at most.
const PAGE_TEXTS_MAX: usize = 4096;
/// Higher takes longer to write and as long to read. What is small is soon written again with others.
const LEVEL: i32 = 6;
const LEVEL_SMALL: i32 = 3;
const SMALL_ROWS_MAX: u32 = 32 << 10;

/// Writes pages, one after the other.
pub(super) struct Pages {
    compressor: Compressor<'static>,
    /// The texts of the open page, and how long each is.
    texts: Vec<u8>,
    lens: Vec<u8>,
    count: usize,
}

impl Pages {
    /// Of a segment of so many rows.
    pub(super) fn new(rows: u32) -> Self {
        let level = if rows > SMALL_ROWS_MAX { LEVEL } else { LEVEL_SMALL };
        let compressor = Compressor::new(level).expect("the level is valid");
        Self { compressor, texts: vec![], lens: vec![], count: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the page should be closed before a text; each has at least one.
    pub(super) fn is_full(&self, text: &str) -> bool {
        self.count > 0 && (self.texts.len() + text.len() > PAGE_LEN || self.count == PAGE_TEXTS_MAX)
    }

    pub(super) fn add(&mut self, text: &str) {
        self.texts.extend_from_slice(text.as_bytes());
        put_varint(text.len() as u64, &mut self.lens);
        self.count += 1;
    }

    /// The bytes of the page; the next begins.
    pub(super) fn encode(&mut self) -> Vec<u8> {
        let bounded = |len: usize| u32::try_from(len).expect("rows are bounded").to_le_bytes();
        let len = self.texts.len();
        self.texts.append(&mut self.lens);
        let mut page = [bounded(self.texts.len()), bounded(len)].concat();
        page.extend(self.compressor.compress(&self.texts).expect("the buffer is large enough"));
        self.texts.clear();
        self.count = 0;
        page
    }
}

/// A page that is read.
#[derive(Debug)]
pub(super) struct Page {
    texts: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Page {
    /// The text at a place, if there is one.
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let from = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.texts.get(from as usize..*self.ends.get(at)? as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map_while(|at| self.get(at))
    }

    /// Bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.texts.len() + size_of::<u32>() * self.ends.len()
    }
}

thread_local! {
    /// Making one takes longer than reading a page.
    static DECOMPRESSOR: RefCell<Decompressor<'static>> =
        RefCell::new(Decompressor::new().expect("memory for a decompressor"));
}

/// The page of so many texts in `bytes`.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Page, Wrong> {
    let mut bytes = Bytes(bytes);
    let (len, texts_len) = (bytes.u32()? as usize, bytes.u32()? as usize);
    if len > DECODED_LEN_MAX {
        return Err("its texts claim to be too long");
    }
    let raw = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress(bytes.0, len));
    let mut raw = raw.map_err(|_| "its texts do not decompress")?;
    let mut lens = Bytes(raw.get(texts_len..).ok_or("its texts end too early")?);
    let mut ends = Vec::with_capacity(count.min(len));
    let mut end = 0_u64;
    for _ in 0..count {
        end = end.saturating_add(lens.varint()?);
        ends.push(u32::try_from(end).map_err(|_| "a text is too long")?);
    }
    raw.truncate(texts_len);
    let texts = String::from_utf8(raw).map_err(|_| "its texts are not UTF-8")?;
    let fits = |end: &u32| texts.is_char_boundary(*end as usize);
    if ends.iter().all(fits) { Ok(Page { texts, ends }) } else { Err("a text ends too early") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_comes_back(texts in prop::collection::vec("[a-zé ]{0,20}", 0..50)) {
            let given: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut pages = Pages::new(7);
            for _ in 0..2 {
                for text in &given {
                    pages.add(text);
                }
                let page = decode(&pages.encode(), given.len()).unwrap();
                prop_assert_eq!(page.iter().collect::<Vec<_>>(), given.clone());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(len in 0_u32..100, texts_len in 0_u32..40, bytes: Vec<u8>, count in 0_usize..100) {
            let mut page = [len.to_le_bytes(), texts_len.to_le_bytes()].concat();
            page.extend_from_slice(&bytes);
            let _either = decode(&page, count);
            let mut page = [u32::try_from(bytes.len()).unwrap().to_le_bytes(), texts_len.to_le_bytes()].concat();
            page.extend(zstd::bulk::compress(&bytes, 1).unwrap());
            if let Ok(page) = decode(&page, count) {
                prop_assert_eq!(page.iter().count(), count);
            }
        }
    }
}
