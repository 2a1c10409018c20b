//! Records of a JSONL file as a table, typed as a file table is: integers are INTEGER, numbers REAL, any other mix TEXT.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use arrow_array::RecordBatch;
use daemoneye_dsl::tables::{Column, Kind, Table, schema_of};
use daemoneye_dsl::types::{Type, Value};
use serde_json::{Map, Value as Json};

/// The columns in the order in which the file first has them, and the rows.
#[derive(Debug)]
pub struct Records {
    /// The layout.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: RecordBatch,
}

impl Records {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::read_first(path, usize::MAX)
    }

    /// Reads at most so many of a file's records.
    pub fn read_first(path: &Path, records_max: usize) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut records = Cells::default();
        for line in BufReader::new(file).lines().take(records_max) {
            let record: Map<String, Json> =
                serde_json::from_str(&line?).with_context(|| format!("{} has no records", path.display()))?;
            records.add(record);
        }
        Ok(records.finish())
    }

    /// The table that these are the rows of.
    pub fn table(&self, name: &'static str, kind: Kind) -> Table {
        Table { name: name.into(), doc: "What a file has.".into(), kind, columns: self.columns.clone() }
    }

    /// The column of that name.
    pub fn place(&self, name: &str) -> anyhow::Result<usize> {
        self.columns.iter().position(|column| column.name == name).with_context(|| format!("there is no column {name}"))
    }
}

#[derive(Default)]
struct Cells {
    places: HashMap<String, usize>,
    names: Vec<String>,
    columns: Vec<Vec<Json>>,
    len: usize,
}

impl Cells {
    fn add(&mut self, record: Map<String, Json>) {
        for (name, cell) in record {
            let place = *self.places.entry(name).or_insert_with_key(|name| {
                self.names.push(name.clone());
                self.columns.push(vec![]);
                self.columns.len() - 1
            });
            self.columns[place].resize(self.len, Json::Null);
            self.columns[place].push(cell);
        }
        self.len += 1;
    }

    fn finish(self) -> Records {
        let mut columns = Vec::new();
        let mut arrays = Vec::new();
        for (name, mut cells) in self.names.into_iter().zip(self.columns) {
            cells.resize(self.len, Json::Null);
            let ty = type_of(&cells);
            columns.push(Column::new(name, ty, cells.iter().any(Json::is_null), "A field of the records."));
            arrays.push(ty.array(cells.into_iter().map(|cell| value(cell, ty))));
        }
        let rows = RecordBatch::try_new(schema_of(&columns), arrays).expect("every column has a cell for every record");
        Records { columns, rows }
    }
}

fn type_of(cells: &[Json]) -> Type {
    let is = |which: fn(&Json) -> bool| cells.iter().filter(|cell| !cell.is_null()).all(which);
    match () {
        () if is(|_| false) => Type::Text,
        () if is(Json::is_i64) => Type::Integer,
        () if is(Json::is_number) => Type::Real,
        () => Type::Text,
    }
}

fn value(cell: Json, ty: Type) -> Value {
    match (ty, cell) {
        (_, Json::Null) => Value::Null,
        (Type::Integer, cell) => cell.as_i64().map_or(Value::Null, Value::Integer),
        (Type::Real, cell) => cell.as_f64().map_or(Value::Null, Value::Real),
        (_, Json::String(text)) => Value::Text(text),
        (_, cell) => Value::Text(cell.to_string()),
    }
}
