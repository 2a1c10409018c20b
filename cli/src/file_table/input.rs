//! A file or standard input, opened, and the form that it has.
//!
//! The end of the name tells the form, else the first bytes do. A file that cannot be read as it is gets an error that
//! says how it can.

use std::fs::File;
use std::io::{self, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, bail};

use crate::progress::{Progress, Unit};

/// Bytes that the first look is at.
const LOOK_LEN: u64 = 4_096;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv { delimiter: u8 },
    Parquet,
}

/// Something to read records from.
pub(super) struct Input<'p> {
    pub(super) form: Form,
    /// The file itself, where there is one: Parquet is read from its end.
    pub(super) file: Option<File>,
    /// Everything, without a byte order mark.
    pub(super) bytes: Box<dyn Read + 'p>,
}

pub(super) fn open<'p>(path: &Path, progress: &'p Progress) -> anyhow::Result<Input<'p>> {
    let (file, raw): (_, Box<dyn Read>) = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            bail!("standard input is a terminal; pipe the records in, or name a file");
        }
        progress.step("reading standard input", Unit::Bytes, None);
        (None, Box::new(io::stdin().lock()))
    } else {
        let file = File::open(path).context("cannot open it")?;
        let about = file.metadata().context("cannot open it")?;
        if about.is_dir() {
            bail!("it is a folder; name one file");
        }
        progress.step(&format!("reading {}", path.display()), Unit::Bytes, Some(about.len()).filter(|len| *len > 0));
        (Some(file.try_clone()?), Box::new(file))
    };
    let mut bytes = Counted { inner: raw, progress };
    let mut first = Vec::new();
    bytes.by_ref().take(LOOK_LEN).read_to_end(&mut first).context("cannot read it")?;
    let form = match by_content(&first)? {
        Some(Form::Parquet) => Form::Parquet,
        found => by_name(path).or(found).unwrap_or(Form::Csv { delimiter: b',' }),
    };
    if first.starts_with(b"\xef\xbb\xbf") {
        first.drain(..3);
    }
    Ok(Input { form, file, bytes: Box::new(Cursor::new(first).chain(bytes)) })
}

impl<'p> Input<'p> {
    /// The records, for a form that is read line by line.
    pub(super) fn buffered(self) -> BufReader<Box<dyn Read + 'p>> {
        BufReader::with_capacity(1 << 20, self.bytes)
    }
}

fn by_name(path: &Path) -> Option<Form> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" | "json" => Form::Json,
        "csv" => Form::Csv { delimiter: b',' },
        "tsv" => Form::Csv { delimiter: b'\t' },
        "parquet" => Form::Parquet,
        _ => return None,
    })
}

/// The form that the first bytes show; an error where they show one that is not read.
fn by_content(first: &[u8]) -> anyhow::Result<Option<Form>> {
    let compressed = |with: &str, program: &str| -> anyhow::Result<Option<Form>> {
        bail!("it is compressed with {with}; unpack it into a pipe, and name `-`: {program} FILE | daemoneye-cli …")
    };
    match first {
        [0x1f, 0x8b, ..] => compressed("gzip", "zcat"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd", "zstdcat"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => compressed("xz", "xzcat"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => bail!("it is UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8 FILE"),
        [b'P', b'A', b'R', b'1', ..] => Ok(Some(Form::Parquet)),
        _ => {
            let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
            Ok((text.starts_with(b"{") || text.starts_with(b"[")).then_some(Form::Json))
        }
    }
}

/// A reader that says how far it is.
struct Counted<'p> {
    inner: Box<dyn Read>,
    progress: &'p Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(into)?;
        self.progress.advance(len as u64);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_or_else_the_first_bytes_tell_the_form() {
        assert_eq!(by_name(Path::new("a/b.JSONL")), Some(Form::Json));
        assert_eq!(by_name(Path::new("b.tsv")), Some(Form::Csv { delimiter: b'\t' }));
        assert_eq!(by_name(Path::new("b.log")), None);
        assert_eq!(by_content(b"\xef\xbb\xbf \n{").unwrap(), Some(Form::Json));
        assert_eq!(by_content(b"PAR1").unwrap(), Some(Form::Parquet));
        assert_eq!(by_content(b"a,b").unwrap(), None);
        assert_eq!(by_content(b"").unwrap(), None);
        for first in [&b"\x1f\x8b\x08"[..], b"\xff\xfea\0"] {
            assert!(by_content(first).is_err());
        }
    }
}
