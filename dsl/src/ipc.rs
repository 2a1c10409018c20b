//! The one form in which rows leave a process or reach the disk: an Arrow IPC stream holding one `RecordBatch`, as one
//! LZ4 block.
//!
//! ```text
//! [length before compression: u32 little-endian, at most DECODED_LEN_MAX][LZ4 block of the stream]
//! ```
//!
//! Compressing the stream as a whole, not Arrow's buffers one by one, keeps every length that could be a lie under one
//! check and compresses better. Bytes that come back may be damaged or a lie: [`decode`] gives an error for them, never
//! a panic or an allocation beyond its bound, and a batch whose layout is exactly the one asked for.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};

/// Bytes that one batch may have when decoded.
pub const DECODED_LEN_MAX: usize = 512 << 20;

/// Bytes that are not the rows they should be.
#[derive(Debug, thiserror::Error)]
pub enum IpcError {
    /// Not an Arrow IPC stream, or a damaged one.
    #[error("damaged rows: {0}")]
    Damaged(String),
    /// Rows of another layout, such as another version's.
    #[error("rows of another layout: expected columns {expected}, found {found}")]
    Layout {
        /// Names and types that were asked for.
        expected: String,
        /// Names and types that the bytes hold.
        found: String,
    },
}

impl From<ArrowError> for IpcError {
    fn from(error: ArrowError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The bytes of `batch`.
pub fn encode(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a Vec takes every write");
    writer.write(batch).expect("a Vec takes every write");
    let stream = writer.into_inner().expect("a Vec takes every write");
    lz4_flex::block::compress_prepend_size(&stream)
}

/// The one batch in `bytes`, whose layout must be `schema`.
pub fn decode(bytes: &[u8], schema: &SchemaRef) -> Result<RecordBatch, IpcError> {
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    decode_columns(bytes, schema, &all)
}

/// Columns of the one batch in `bytes`, whose layout must be `schema`, by ascending position; the others cost nothing
/// but their decompression.
pub fn decode_columns(bytes: &[u8], schema: &SchemaRef, columns: &[usize]) -> Result<RecordBatch, IpcError> {
    let (len, _) = lz4_flex::block::uncompressed_size(bytes).map_err(|error| IpcError::Damaged(error.to_string()))?;
    if len > DECODED_LEN_MAX {
        return Err(IpcError::Damaged(format!("{len} bytes decoded, of which {DECODED_LEN_MAX} are allowed")));
    }
    let stream =
        lz4_flex::block::decompress_size_prepended(bytes).map_err(|error| IpcError::Damaged(error.to_string()))?;
    // The decoder checks lengths, offsets and UTF-8, yet some lies still reach its assertions; it shares nothing.
    let read = catch_unwind(AssertUnwindSafe(|| read_one(stream.into(), schema, columns)));
    let batch = read.map_err(|_| IpcError::Damaged("the stream contradicts itself".to_owned()))??;
    // Builds the batch anew so that the declared nullability is checked too.
    let schema = Arc::new(schema.project(columns)?);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
}

/// What the columns hold stays where it was decompressed: Arrow's own readers of streams copy it.
fn read_one(mut stream: Buffer, schema: &SchemaRef, columns: &[usize]) -> Result<RecordBatch, IpcError> {
    let (head, _) = next_message(&mut stream)?;
    let found = message(&head)?.header_as_schema().ok_or_else(|| damaged("the stream does not begin with a schema"))?;
    let found: SchemaRef = Arc::new(try_fb_to_schema(found)?);
    let layout = |schema: &SchemaRef| -> Vec<_> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    if layout(&found) != layout(schema) {
        return Err(IpcError::Layout { expected: describe(schema), found: describe(&found) });
    }
    let (head, body) = next_message(&mut stream)?;
    let message = message(&head)?;
    let rows = message.header_as_record_batch().ok_or_else(|| damaged("no rows follow the schema"))?;
    let (dictionaries, version) = (HashMap::new(), message.version());
    let decoder = RecordBatchDecoder::try_new(&body, rows, found, &dictionaries, &version)?;
    Ok(decoder.with_projection(Some(columns)).read_record_batch()?)
}

/// Takes one [encapsulated message] off the stream: its description, and its body.
///
/// [encapsulated message]: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
fn next_message(stream: &mut Buffer) -> Result<(Buffer, Buffer), IpcError> {
    let mut take = |len: Option<usize>| {
        let len = len.filter(|len| *len <= stream.len()).ok_or_else(|| damaged("the stream ends before its rows"))?;
        let taken = stream.slice_with_length(0, len);
        stream.advance(len);
        Ok::<_, IpcError>(taken)
    };
    let word = |bytes: Buffer| u32::from_le_bytes(bytes.as_slice().try_into().expect("these are four"));
    if word(take(Some(4))?) != u32::MAX {
        return Err(damaged("a message begins with something else"));
    }
    let len = word(take(Some(4))?);
    let head = take(usize::try_from(len).ok())?;
    let body_len = message(&head)?.bodyLength();
    Ok((head, take(usize::try_from(body_len).ok())?))
}

fn message(head: &Buffer) -> Result<arrow_ipc::Message<'_>, IpcError> {
    root_as_message(head).map_err(|error| damaged(&error.to_string()))
}

fn damaged(why: &str) -> IpcError {
    IpcError::Damaged(why.to_owned())
}

fn describe(schema: &SchemaRef) -> String {
    let columns: Vec<_> =
        schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    format!("({})", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Process;
    use proptest::prelude::*;

    fn sample() -> RecordBatch {
        let row = |pid: i64| Process { pid, name: format!("p{pid}"), ..Process::default() };
        Process::batch(&(0..50).map(row).collect::<Vec<_>>())
    }

    #[test]
    fn rows_come_back() {
        let batch = sample();
        assert_eq!(decode(&encode(&batch), &batch.schema()).unwrap(), batch);
        let empty = batch.slice(0, 0);
        assert_eq!(decode(&encode(&empty), &batch.schema()).unwrap(), empty);
    }

    #[test]
    fn another_layout_is_named() {
        let batch = sample().project(&[2]).unwrap();
        let error = decode(&encode(&batch), &sample().schema()).unwrap_err().to_string();
        assert!(error.contains("found (pid Int64)"), "{error}");
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), keep in any::<prop::sample::Index>()) {
            let batch = sample();
            let mut bytes = encode(&batch);
            let _either = decode(&bytes[..keep.index(bytes.len())], &batch.schema());
            let mut stream = lz4_flex::block::decompress_size_prepended(&bytes).unwrap();
            let inner = at.index(stream.len());
            stream[inner] = byte;
            let _either = decode(&lz4_flex::block::compress_prepend_size(&stream), &batch.schema());
            let outer = at.index(bytes.len());
            bytes[outer] = byte;
            let _either = decode(&bytes, &batch.schema());
        }
    }
}
