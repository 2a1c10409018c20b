//! Bytes on disk that carry their own proof, and the blocks of rows made of them.
//!
//! ```text
//! sealed   [version: 1][CRC-32C of context and payload: u32 LE][payload]     the context is the key: a block that
//! rows     payload = dsl::ipc                                                 turns up elsewhere is damaged too
//! summary  payload = [rows: u32 LE][starts: u32 LE] then for each TIMESTAMP column [min: i64][max: i64][nulls: u8]
//! ```
//!
//! Reading checks everything and returns what is wrong in words; no bytes make it panic.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use daemoneye_dsl::ipc;
use redb::{ReadableTable, StorageError, WriteTransaction};

use crate::Error;
use crate::keys::ProcKey;
use crate::tables::{BLOCKS, Kind, META, NEXT_BLOCK_KEY, Place, STARTED, SUMMARIES, Tables};

/// Rows that one block has at most: what a scan holds at a time.
pub(crate) const BLOCK_ROWS_MAX: usize = 4096;
/// Bytes that a block of several rows may have when decoded.
const BLOCK_LEN_MAX: usize = 8 << 20;
const SEAL_VERSION: u8 = 1;
const SEAL_LEN: usize = 5;
const SPAN_LEN: usize = 17;

/// Seals `payload` for the place that `context` names.
pub(crate) fn seal(context: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_LEN + payload.len());
    sealed.push(SEAL_VERSION);
    sealed.extend_from_slice(&checksum(context, payload).to_le_bytes());
    sealed.extend_from_slice(payload);
    sealed
}

/// The payload of `sealed`, or what is wrong with it.
pub(crate) fn unseal<'a>(context: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], String> {
    let (&[version, ref sum @ ..], payload) =
        sealed.split_first_chunk::<SEAL_LEN>().ok_or("it is shorter than its header")?;
    if version != SEAL_VERSION {
        return Err(format!("its version is {version}, not {SEAL_VERSION}"));
    }
    if *sum != checksum(context, payload).to_le_bytes() {
        return Err("its checksum does not match".to_owned());
    }
    Ok(payload)
}

fn checksum(context: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(context), payload)
}

/// The context of a block or its summary.
fn context(part: &str, kind: Kind, number: u64) -> Vec<u8> {
    let mut context = part.as_bytes().to_vec();
    context.push(kind as u8);
    context.extend_from_slice(&number.to_be_bytes());
    context
}

/// The range of one TIMESTAMP column of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The least value; above `max` if every value is NULL.
    pub(crate) min: i64,
    /// The greatest value.
    pub(crate) max: i64,
    /// Whether a value is NULL.
    pub(crate) nulls: bool,
}

/// What is known of a block without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) rows: u32,
    /// Rows marked as starts.
    pub(crate) starts: u32,
    /// The TIMESTAMP columns in their order.
    pub(crate) times: Vec<Span>,
}

impl Summary {
    fn of(batch: &RecordBatch) -> Self {
        let starts = batch.column_by_name(STARTED).map_or(0, |started| started.as_boolean().true_count());
        Self {
            rows: u32::try_from(batch.num_rows()).expect("a block's rows are bounded"),
            starts: u32::try_from(starts).expect("a block's rows are bounded"),
            times: time_columns(&batch.schema()).map(|at| span(batch.column(at))).collect(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.times.len() * SPAN_LEN);
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.starts.to_le_bytes());
        for span in &self.times {
            out.extend_from_slice(&span.min.to_le_bytes());
            out.extend_from_slice(&span.max.to_le_bytes());
            out.push(u8::from(span.nulls));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (rows, rest) = bytes.split_first_chunk()?;
        let (starts, rest) = rest.split_first_chunk()?;
        let (spans, []) = rest.as_chunks::<SPAN_LEN>() else { return None };
        let times = spans.iter().map(|bytes| {
            let (min, rest) = bytes.split_first_chunk()?;
            let (max, nulls) = rest.split_first_chunk()?;
            Some(Span { min: i64::from_le_bytes(*min), max: i64::from_le_bytes(*max), nulls: nulls == [1] })
        });
        Some(Self {
            rows: u32::from_le_bytes(*rows),
            starts: u32::from_le_bytes(*starts),
            times: times.collect::<Option<_>>()?,
        })
    }
}

/// The positions of the TIMESTAMP columns.
pub(crate) fn time_columns(schema: &SchemaRef) -> impl Iterator<Item = usize> {
    let is_time = |(at, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
        matches!(field.data_type(), DataType::Timestamp(..)).then_some(at)
    };
    schema.fields().iter().enumerate().filter_map(is_time)
}

fn span(column: &dyn Array) -> Span {
    let empty = Span { min: i64::MAX, max: i64::MIN, nulls: column.null_count() > 0 };
    column.as_primitive::<TimestampMicrosecondType>().iter().flatten().fold(empty, |span, moment| Span {
        min: span.min.min(moment),
        max: span.max.max(moment),
        ..span
    })
}

/// Rows that fit into a block, as bytes.
pub(crate) struct Encoded {
    summary: Summary,
    payload: Vec<u8>,
}

/// Cuts rows into blocks within their bounds and encodes them.
pub(crate) fn encode(rows: &RecordBatch) -> Result<Vec<Encoded>, Error> {
    // The last piece is the next to encode.
    let mut pieces: Vec<_> = (0..rows.num_rows())
        .step_by(BLOCK_ROWS_MAX)
        .map(|from| rows.slice(from, BLOCK_ROWS_MAX.min(rows.num_rows() - from)))
        .rev()
        .collect();
    let mut encoded = Vec::new();
    while let Some(piece) = pieces.pop() {
        let payload = ipc::encode(&piece);
        let len = u32::from_le_bytes(*payload.first_chunk().expect("the form starts with its length")) as usize;
        let half = piece.num_rows() / 2;
        if len > BLOCK_LEN_MAX && half > 0 {
            pieces.push(piece.slice(half, piece.num_rows() - half));
            pieces.push(piece.slice(0, half));
        } else if len > ipc::DECODED_LEN_MAX {
            return Err(Error::Refused(format!("one row has {len} bytes, of which {} fit", ipc::DECODED_LEN_MAX)));
        } else {
            encoded.push(Encoded { summary: Summary::of(&piece), payload });
        }
    }
    Ok(encoded)
}

/// Appends new blocks; the answer is the place of each row.
pub(crate) fn append(txn: &WriteTransaction, kind: Kind, encoded: &[Encoded]) -> Result<Vec<Place>, Error> {
    let mut meta = txn.open_table(META)?;
    let mut number = meta.get(NEXT_BLOCK_KEY)?.map_or(1, |number| number.value());
    let mut blocks = txn.open_table(BLOCKS)?;
    let mut summaries = txn.open_table(SUMMARIES)?;
    let mut places = Vec::new();
    for Encoded { summary, payload } in encoded {
        let key = (kind as u8, number);
        blocks.insert(key, seal(&context("rows", kind, number), payload).as_slice())?;
        summaries.insert(key, seal(&context("summary", kind, number), &summary.encode()).as_slice())?;
        places.extend((0..summary.rows).map(|row| (number, row)));
        number += 1;
    }
    meta.insert(NEXT_BLOCK_KEY, number)?;
    Ok(places)
}

/// The rows of a block, or what is wrong with it; `Err` is a failure of the storage below.
pub(crate) fn read(
    blocks: &impl ReadableTable<(u8, u64), &'static [u8]>,
    kind: Kind,
    schema: &SchemaRef,
    number: u64,
) -> Result<Result<RecordBatch, String>, Error> {
    let sealed = match blocks.get((kind as u8, number)) {
        Ok(Some(sealed)) => sealed,
        Ok(None) => return Ok(Err("it is missing".to_owned())),
        Err(StorageError::Corrupted(detail)) => return Ok(Err(detail)),
        Err(error) => return Err(error.into()),
    };
    let payload = unseal(&context("rows", kind, number), sealed.value());
    Ok(payload.and_then(|payload| ipc::decode(payload, schema).map_err(|error| error.to_string())))
}

/// The summary in `sealed`; nothing if it is damaged, and then the block itself has to be read.
pub(crate) fn summary(kind: Kind, schema: &SchemaRef, number: u64, sealed: &[u8]) -> Option<Summary> {
    let summary = Summary::decode(unseal(&context("summary", kind, number), sealed).ok()?)?;
    (summary.times.len() == time_columns(schema).count()).then_some(summary)
}

/// One version row, with the check that the index did not lie about whose it is.
pub(crate) fn version_row(
    txn: &impl Tables,
    key: ProcKey,
    (number, row): Place,
) -> Result<Result<RecordBatch, String>, Error> {
    let rows = read(&txn.table(BLOCKS)?, Kind::Versions, &Kind::Versions.schema(), number)?;
    Ok(rows.and_then(|rows| {
        let row = row as usize;
        if !is_row_of(&rows, row, key) {
            return Err(format!("row {row} is not process {key}"));
        }
        Ok(rows.slice(row, 1))
    }))
}

/// Whether the row exists and is a version of that process.
pub(crate) fn is_row_of(rows: &RecordBatch, row: usize, key: ProcKey) -> bool {
    let ids = rows.column_by_name("proc_id").expect("a version has an id").as_string::<i32>();
    row < ids.len() && ProcKey::parse(ids.value(row)) == Some(key)
}

/// What the log and errors call a block.
pub(crate) fn name(kind: Kind, number: u64) -> String {
    format!("block {number} of {}", kind.table())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Span> {
        (any::<i64>(), any::<i64>(), any::<bool>()).prop_map(|(min, max, nulls)| Span { min, max, nulls })
    }

    proptest! {
        #[test]
        fn what_is_sealed_comes_back(context: Vec<u8>, payload: Vec<u8>) {
            let sealed = seal(&context, &payload);
            prop_assert_eq!(unseal(&context, &sealed), Ok(payload.as_slice()));
        }

        #[test]
        fn any_change_is_noticed(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8, keep: prop::sample::Index) {
            let mut sealed = seal(b"here", &payload);
            prop_assert!(unseal(b"there", &sealed).is_err());
            prop_assert!(unseal(b"here", &sealed[..keep.index(sealed.len())]).is_err());
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(unseal(b"here", &sealed).is_err());
        }

        #[test]
        fn summaries_come_back(rows: u32, starts: u32, times in prop::collection::vec(spans(), 0..5)) {
            let summary = Summary { rows, starts, times };
            prop_assert_eq!(Summary::decode(&summary.encode()), Some(summary));
        }

        #[test]
        fn no_bytes_make_a_summary_panic(bytes: Vec<u8>) {
            let _either = Summary::decode(&bytes);
        }
    }
}
