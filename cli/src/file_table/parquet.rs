//! Parquet records: the file knows its types, and each is turned into the one of ours that holds it.
//!
//! | theirs | ours |
//! |---|---|
//! | signed and unsigned integers | INTEGER; REAL where one needs more than 63 bits |
//! | floating point, decimals | REAL; NaN is NULL |
//! | strings, enums, dictionaries of them | TEXT |
//! | binary of any kind | BLOB |
//! | timestamps of any unit and zone, dates | TIMESTAMP, to the microsecond |
//! | times of day | INTERVAL since midnight |
//! | lists, structs, maps | TEXT: JSON |
//!
//! The decoder checks what it reads; should a lie reach one of its assertions, the file is called damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use daemoneye_dsl::types::{Type, Value};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
use serde_json::Value as Json;

use super::spelled::{BYTES_MAX, COLUMNS_MAX, RECORDS_MAX};
use crate::progress::Progress;

/// Records that are decoded together.
const BATCH_LEN: usize = 65_536;

/// The columns by name, and the number of records.
pub(super) struct Columns {
    pub(super) columns: Vec<(String, ArrayRef)>,
    pub(super) records: usize,
}

pub(super) fn read(input: impl ChunkReader + 'static, progress: &Progress) -> anyhow::Result<Columns> {
    let read = catch_unwind(AssertUnwindSafe(|| read_all(input, progress)));
    read.unwrap_or_else(|_| bail!("it is damaged: it contradicts itself"))
}

fn read_all(input: impl ChunkReader + 'static, progress: &Progress) -> anyhow::Result<Columns> {
    let file = ParquetRecordBatchReaderBuilder::try_new(input).context("not a Parquet file, or a damaged one")?;
    let names: Vec<_> = file.schema().fields().iter().map(|field| field.name().clone()).collect();
    if names.len() > COLUMNS_MAX {
        bail!("more than {COLUMNS_MAX} columns; leave out those that are not asked for");
    }
    let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); names.len()];
    let (mut records, mut bytes) = (0, 0);
    for batch in file.with_batch_size(BATCH_LEN).build()? {
        let batch = batch.with_context(|| format!("damaged after record {records}"))?;
        records += batch.num_rows();
        progress.advance(batch.get_array_memory_size() as u64);
        for ((part, column), name) in parts.iter_mut().zip(batch.columns()).zip(&names) {
            let column = ours(column).with_context(|| format!("column `{name}`"))?;
            bytes += column.get_array_memory_size();
            part.push(column);
        }
        if bytes > BYTES_MAX || records > RECORDS_MAX {
            let gib = BYTES_MAX >> 30;
            bail!("more than {gib} GiB of cells or {RECORDS_MAX} records; take a part of the file");
        }
    }
    let columns = names.into_iter().zip(parts).map(|(name, parts)| Ok((name, join(&parts)?)));
    Ok(Columns { columns: columns.collect::<anyhow::Result<_>>()?, records })
}

/// The parts of a column as one; unsigned integers may have become REAL in some of them.
fn join(parts: &[ArrayRef]) -> anyhow::Result<ArrayRef> {
    let mixed = parts.windows(2).any(|pair| pair[0].data_type() != pair[1].data_type());
    let parts: Vec<_> = if mixed {
        parts.iter().map(|part| to(part, &DataType::Float64)).collect::<Result<_, _>>()?
    } else {
        parts.to_vec()
    };
    let arrays: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
    if arrays.is_empty() {
        return Ok(Arc::new(StringArray::new_null(0)));
    }
    Ok(arrow_select::concat::concat(&arrays)?)
}

fn to(array: &dyn Array, ty: &DataType) -> anyhow::Result<ArrayRef> {
    Ok(cast_with_options(array, ty, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// The cells in a layout of ours.
fn ours(array: &ArrayRef) -> anyhow::Result<ArrayRef> {
    use DataType as D;
    match array.data_type() {
        D::Boolean => Ok(array.clone()),
        D::Null | D::Utf8 | D::LargeUtf8 | D::Utf8View => to(array, &D::Utf8),
        D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 => to(array, &D::Int64),
        D::UInt64 => to(array, &D::Int64).or_else(|_| to(array, &D::Float64)),
        D::Float16 | D::Float32 | D::Float64 => Ok(without_nan(&to(array, &D::Float64)?)),
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => to(array, &D::Float64),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => to(array, &D::Binary),
        D::Timestamp(_, zone) => {
            let micros = to(array, &D::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Arc::new(micros.with_timezone_opt::<Arc<str>>(None)))
        }
        D::Date32 | D::Date64 => to(array, &Type::Timestamp.arrow()),
        D::Time32(_) | D::Time64(_) => {
            let micros = to(array, &D::Time64(TimeUnit::Microsecond))?;
            to(&to(&micros, &D::Int64)?, &Type::Interval.arrow())
        }
        D::Duration(_) => to(array, &Type::Interval.arrow()),
        D::Dictionary(_, values) => ours(&to(array, values)?),
        D::List(_) | D::LargeList(_) | D::FixedSizeList(..) | D::Struct(_) | D::Map(..) => {
            let cells = (0..array.len()).map(|row| match json(array, row)? {
                Json::Null => Ok(None),
                value => Ok(Some(value.to_string())),
            });
            Ok(Arc::new(cells.collect::<anyhow::Result<StringArray>>()?))
        }
        other => bail!("no type of ours holds {other}; write the file without that column"),
    }
}

/// A REAL is never NaN.
fn without_nan(array: &ArrayRef) -> ArrayRef {
    let reals = array.as_primitive::<Float64Type>();
    if reals.values().iter().any(|real| real.is_nan()) {
        Arc::new(reals.iter().map(|real| real.filter(|real| !real.is_nan())).collect::<Float64Array>())
    } else {
        array.clone()
    }
}

/// A nested cell as JSON; the scalars within it as those of a column.
fn json(array: &ArrayRef, row: usize) -> anyhow::Result<Json> {
    if array.is_null(row) {
        return Ok(Json::Null);
    }
    let elements =
        |elements: &ArrayRef| (0..elements.len()).map(|at| json(elements, at)).collect::<anyhow::Result<_>>();
    match array.data_type() {
        DataType::List(_) => Ok(Json::Array(elements(&array.as_list::<i32>().value(row))?)),
        DataType::LargeList(_) => Ok(Json::Array(elements(&array.as_list::<i64>().value(row))?)),
        DataType::FixedSizeList(..) => Ok(Json::Array(elements(&array.as_fixed_size_list().value(row))?)),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let members = columns.map(|(field, column)| Ok((field.name().clone(), json(column, row)?)));
            Ok(Json::Object(members.collect::<anyhow::Result<_>>()?))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let members = (0..entries.len()).map(|at| {
                let key = match json(entries.column(0), at)? {
                    Json::String(key) => key,
                    other => other.to_string(),
                };
                Ok((key, json(entries.column(1), at)?))
            });
            Ok(Json::Object(members.collect::<anyhow::Result<_>>()?))
        }
        _ => Ok(Value::at(&ours(&array.slice(row, 1))?, 0).to_json()),
    }
}
