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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::reader::StreamReader;
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
    // The reader checks lengths, offsets and UTF-8, yet some lies still reach its assertions; it shares nothing.
    let read = catch_unwind(AssertUnwindSafe(|| read_one(&stream, schema, columns)));
    let batch = read.map_err(|_| IpcError::Damaged("the stream contradicts itself".to_owned()))??;
    // Builds the batch anew so that the declared nullability is checked too.
    let schema = Arc::new(schema.project(columns)?);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
}

fn read_one(stream: &[u8], schema: &SchemaRef, columns: &[usize]) -> Result<RecordBatch, IpcError> {
    let mut reader = StreamReader::try_new(stream, None)?;
    let layout = |schema: &SchemaRef| -> Vec<_> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    if layout(&reader.schema()) != layout(schema) {
        return Err(IpcError::Layout { expected: describe(schema), found: describe(&reader.schema()) });
    }
    if columns.len() < schema.fields().len() {
        reader = StreamReader::try_new(stream, Some(columns.to_vec()))?;
    }
    let batch = reader.next().ok_or_else(|| IpcError::Damaged("the stream ends before its rows".to_owned()))?;
    Ok(batch?)
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
