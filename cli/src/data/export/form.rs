//! The forms of a file of rows.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::{Type, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Map;

use crate::render::Cell;

/// Rows of one group of Parquet, and the bytes that one may take before it is written.
const GROUP_ROWS: usize = 128 << 10;
const GROUP_LEN_MAX: usize = 64 << 20;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// One object a line
    Ndjson,
    /// RFC 4180, as `query -o csv` writes it
    Csv,
    /// Apache Parquet, compressed
    Parquet,
    /// The Arrow IPC file format
    Arrow,
}

impl Form {
    /// What a file's name says.
    pub(super) fn of(file: &Path) -> Option<Self> {
        match &*super::ending(file)? {
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            "arrow" | "feather" => Some(Self::Arrow),
            _ => None,
        }
    }
}

/// A file of rows in the making.
pub(super) enum Writer<W: Write + Send> {
    Ndjson { out: W, names: Vec<String> },
    Csv { out: W, numbers: Vec<bool>, safe: bool },
    Parquet { writer: Box<ArrowWriter<W>>, schema: SchemaRef },
    Arrow { writer: Box<FileWriter<W>>, schema: SchemaRef },
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn begin(form: Form, csv_safe: bool, table: &Table, mut out: W) -> anyhow::Result<Self> {
        let names = table.columns.iter().map(|column| column.name.to_string());
        Ok(match form {
            Form::Ndjson => Self::Ndjson { out, names: names.collect() },
            Form::Csv => {
                let names: Vec<_> = names.map(|name| Cell::new(name).csv(false)).collect();
                write!(out, "{}\r\n", names.join(","))?;
                let is_number = |ty| matches!(ty, Type::Integer | Type::Real);
                let numbers = table.columns.iter().map(|column| is_number(column.ty)).collect();
                Self::Csv { out, numbers, safe: csv_safe }
            }
            Form::Parquet => {
                let schema = in_utc(&table.schema());
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(GROUP_ROWS))
                    .set_created_by(format!("daemoneye-cli {}", env!("CARGO_PKG_VERSION")))
                    .build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
                Self::Parquet { writer: Box::new(writer), schema }
            }
            Form::Arrow => {
                let schema = in_utc(&table.schema());
                Self::Arrow { writer: Box::new(FileWriter::try_new(out, &schema)?), schema }
            }
        })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Self::Ndjson { out, names } => {
                for row in 0..rows.num_rows() {
                    let cells = names.iter().zip(rows.columns());
                    let object: Map<_, _> =
                        cells.map(|(name, column)| (name.clone(), Value::at(column, row).to_json())).collect();
                    serde_json::to_writer(&mut *out, &object)?;
                    out.write_all(b"\n")?;
                }
            }
            Self::Csv { out, numbers, safe } => {
                for row in 0..rows.num_rows() {
                    // A number is what it looks like.
                    let cells = numbers
                        .iter()
                        .zip(rows.columns())
                        .map(|(is_number, column)| Cell::exact(&Value::at(column, row)).csv(*safe && !is_number));
                    write!(out, "{}\r\n", cells.collect::<Vec<_>>().join(","))?;
                }
            }
            Self::Parquet { writer, schema } => {
                writer.write(&as_schema(rows, schema)?)?;
                if writer.in_progress_size() > GROUP_LEN_MAX {
                    writer.flush()?;
                }
            }
            Self::Arrow { writer, schema } => writer.write(&as_schema(rows, schema)?)?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Ndjson { mut out, .. } | Self::Csv { mut out, .. } => out.flush()?,
            Self::Parquet { writer, .. } => writer.into_inner()?.flush()?,
            Self::Arrow { mut writer, .. } => {
                writer.finish()?;
                writer.into_inner()?.flush()?;
            }
        }
        Ok(())
    }
}

/// The layout with moments that say that they are in UTC, as they are.
fn in_utc(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Timestamp(unit, None) => {
            let utc = DataType::Timestamp(*unit, Some("UTC".into()));
            debug_assert_eq!(*unit, TimeUnit::Microsecond);
            Arc::new(Field::new(field.name(), utc, field.is_nullable()))
        }
        _ => field.clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// The rows in that layout, which differs in what their moments say.
fn as_schema(rows: &RecordBatch, schema: &SchemaRef) -> anyhow::Result<RecordBatch> {
    let column = |(column, field): (&ArrayRef, &Arc<Field>)| -> ArrayRef {
        let DataType::Timestamp(_, Some(zone)) = field.data_type() else { return column.clone() };
        Arc::new(column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone(zone.clone()))
    };
    Ok(RecordBatch::try_new(schema.clone(), rows.columns().iter().zip(schema.fields()).map(column).collect())?)
}
