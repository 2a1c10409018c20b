//! Texts of a page, compressed together.
//!
//! ```text
//! page    [bytes before compression: u32][zstd]
//! within  n × [0 for NULL, 1 for what is derived from another column, length + 2: varint] then the texts
//! ```

use std::cell::RefCell;

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use daemoneye_dsl::ipc::DECODED_LEN_MAX;
use zstd::bulk::{Compressor, Decompressor};

use super::bytes::{Bytes, Wrong, put_varint};

/// Bytes of the texts of a page, about.
pub(super) const PAGE_LEN: usize = 32 << 10;
/// Texts of a page at most.
pub(super) const PAGE_TEXTS_MAX: usize = 4096;
/// Higher takes longer to write and as long to read.
const LEVEL: i32 = 3;

/// What stands in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    Null,
    /// What another column's text makes it.
    Derived,
    Is(&'a str),
}

/// Writes pages.
pub(super) struct Pages {
    compressor: Compressor<'static>,
    raw: Vec<u8>,
}

impl Pages {
    pub(super) fn new() -> Self {
        Self { compressor: Compressor::new(LEVEL).expect("the level is valid"), raw: vec![] }
    }

    /// The bytes of a page.
    pub(super) fn encode(&mut self, texts: &[Text<'_>]) -> Vec<u8> {
        self.raw.clear();
        for text in texts {
            let code = match text {
                Text::Null => 0,
                Text::Derived => 1,
                Text::Is(text) => text.len() as u64 + 2,
            };
            put_varint(code, &mut self.raw);
        }
        for text in texts {
            if let Text::Is(text) = text {
                self.raw.extend_from_slice(text.as_bytes());
            }
        }
        let mut page = u32::try_from(self.raw.len()).expect("rows are bounded").to_le_bytes().to_vec();
        page.extend(self.compressor.compress(&self.raw).expect("the buffer is large enough"));
        page
    }
}

/// A page that is read.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Derived texts are NULL here.
    pub(super) texts: StringArray,
    /// Which are derived.
    pub(super) derived: Vec<u32>,
}

thread_local! {
    /// Making one takes longer than reading a page.
    static DECOMPRESSOR: RefCell<Decompressor<'static>> =
        RefCell::new(Decompressor::new().expect("memory for a decompressor"));
}

/// The page of so many texts in `bytes`.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Page, Wrong> {
    let mut bytes = Bytes(bytes);
    let len = bytes.u32()? as usize;
    if len > DECODED_LEN_MAX {
        return Err("its texts claim to be too long");
    }
    let raw = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress(bytes.0, len));
    let raw = raw.map_err(|_| "its texts do not decompress")?;
    let mut codes = Bytes(&raw);
    let mut lens = Vec::with_capacity(count.min(len));
    for _ in 0..count {
        lens.push(codes.varint()?);
    }
    let mut all = std::str::from_utf8(codes.0).map_err(|_| "its texts are not UTF-8")?;
    let mut texts = StringBuilder::with_capacity(count, all.len());
    let mut derived = Vec::new();
    for (row, len) in (0..).zip(lens) {
        match len {
            0 => texts.append_null(),
            1 => {
                texts.append_null();
                derived.push(row);
            }
            len => {
                let len = usize::try_from(len - 2).map_err(|_| "a text is too long")?;
                let (text, rest) = all.split_at_checked(len).ok_or("a text ends too early")?;
                texts.append_value(text);
                all = rest;
            }
        }
    }
    Ok(Page { texts: texts.finish(), derived })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_comes_back(texts in prop::collection::vec(prop_oneof![Just(None), "[a-zé ]{0,20}".prop_map(Some)], 0..50)) {
            let mut pages = Pages::new();
            let wrap = |text: &'_ Option<String>| text.clone();
            let owned: Vec<Option<String>> = texts.iter().map(wrap).collect();
            let given: Vec<Text<'_>> = owned.iter().enumerate().map(|(at, text)| match text {
                None if at % 2 == 0 => Text::Null,
                None => Text::Derived,
                Some(text) => Text::Is(text),
            }).collect();
            let page = decode(&pages.encode(&given), given.len()).unwrap();
            for (at, text) in given.iter().enumerate() {
                let derived = page.derived.contains(&u32::try_from(at).unwrap());
                prop_assert_eq!(derived, *text == Text::Derived);
                prop_assert_eq!(page.texts.is_valid(at).then(|| page.texts.value(at)), match text { Text::Is(text) => Some(*text), _ => None });
            }
        }

        #[test]
        fn no_bytes_make_it_panic(len in 0_u32..100, bytes: Vec<u8>, count in 0_usize..100) {
            let mut page = len.to_le_bytes().to_vec();
            page.extend_from_slice(&bytes);
            let _either = decode(&page, count);
            let mut page = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
            page.extend(zstd::bulk::compress(&bytes, 1).unwrap());
            let _either = decode(&page, count);
        }
    }
}
