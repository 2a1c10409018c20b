//! The catalog: every table, declared once.
//!
//! The checker, the collectors' row builder, the store and the generated reference all read these declarations. A
//! table is a file here, a `mod` line and an entry in [`Catalog::builtin`]. A collector fills the row struct that
//! [`row!`] makes from the declaration, so a new column is a compile error until every platform supplies it.

mod alerts;
mod audit;
mod collectors;
pub mod lineage;
mod process_samples;
mod processes;
mod rule_stats;
mod rules;
mod silences;
mod synonyms;

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::{Field as ArrowField, Schema, SchemaRef};

pub use processes::{Process, STATUSES, processes_at};
pub use synonyms::{synonym, table_synonym};

use crate::limits::Limits;
use crate::lists;
use crate::lists::Lists;
use crate::tables::lineage::Lineage;
use crate::types::{Timestamp, Type};

/// A relation that queries can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name as SQL writes it; the catalog's are lower case.
    pub name: Cow<'static, str>,
    /// What one row is.
    pub doc: Cow<'static, str>,
    /// Whether rows come and go or are only added.
    pub kind: Kind,
    /// The columns in the order of `SELECT *`.
    pub columns: Vec<Column>,
}

/// How a table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rows are facts that hold now; they appear, change and leave.
    State,
    /// Rows are things that happened; they are only added (and dropped by retention).
    Events,
    /// Rows are the records of a file, which need not have the same fields: a column that no record has is NULL, with a
    /// warning (DE212).
    Records,
}

/// One column of a [`Table`].
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a declaration")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name as SQL writes it.
    pub name: Cow<'static, str>,
    /// What it holds, in a sentence.
    pub doc: Cow<'static, str>,
    /// The type of every value.
    pub ty: Type,
    /// Whether a value may be NULL.
    pub nullable: bool,
    /// A sample that changes without the thing itself changing; it is not part of a version and no reason for one.
    pub volatile: bool,
    /// Names a process for its whole life (`proc_id` and the columns that point to one).
    pub identity: bool,
    /// The store keeps an index on it.
    pub indexed: bool,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// In a table of events, a moment that may lie any time before the event.
    pub earlier: bool,
    /// What it takes to read it.
    pub access: Access,
}

/// What it takes to read a column of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any user may.
    Open,
    /// The process's own user, or root.
    Owner,
    /// No collector reports it yet; it is always NULL.
    Uncollected,
    /// None of the records that stand in for the table has it; it is always NULL.
    Absent,
}

impl Column {
    /// A plain column; the methods below add what is special about it.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        ty: Type,
        nullable: bool,
        doc: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            name: name.into(),
            doc: doc.into(),
            ty,
            nullable,
            volatile: false,
            identity: false,
            indexed: false,
            unit: None,
            earlier: false,
            access: Access::Open,
        }
    }

    /// What is special about it, in words.
    pub fn notes(&self) -> Vec<&'static str> {
        let access = match self.access {
            Access::Open => None,
            Access::Owner => Some("owner"),
            Access::Uncollected => Some("not collected"),
            Access::Absent => Some("absent"),
        };
        let notes = [
            self.identity.then_some("identity"),
            self.volatile.then_some("sample"),
            self.nullable.then_some("may be NULL"),
            self.indexed.then_some("indexed"),
            access,
        ];
        notes.into_iter().flatten().collect()
    }

    fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    fn identity(mut self) -> Self {
        self.identity = true;
        self
    }

    fn indexed(mut self) -> Self {
        self.indexed = true;
        self
    }

    fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }
}

impl Table {
    /// The position and declaration of a column; names compare without case, as in SQLite.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name.eq_ignore_ascii_case(name))
    }

    /// The program that collects its rows and can be asked for them (AUTO JOIN).
    pub fn collector(&self) -> Option<&'static str> {
        let collected = matches!(&*self.name, "processes" | "process_starts" | "process_exits");
        (collected && self.kind != Kind::Records).then_some("procmond")
    }

    /// The layout of a `RecordBatch` of this table.
    pub fn schema(&self) -> SchemaRef {
        schema_of(&self.columns)
    }
}

/// The layout of a `RecordBatch` with these columns.
pub fn schema_of(columns: &[Column]) -> SchemaRef {
    let fields: Vec<_> =
        columns.iter().map(|column| ArrowField::new(&*column.name, column.ty.arrow(), column.nullable)).collect();
    Arc::new(Schema::new(fields))
}

/// The tables and lists that a statement may name, and how large it may be.
#[derive(Clone, Debug)]
pub struct Catalog {
    tables: Vec<Arc<Table>>,
    lists: Lists,
    limits: Limits,
}

impl Catalog {
    /// Every table of the product, in the order of the reference.
    pub fn builtin() -> Self {
        let tables = [
            processes::processes(),
            processes::process_starts(),
            processes::process_exits(),
            processes::processes_history(),
            process_samples::process_samples(),
            alerts::alerts(),
            silences::silences(),
            rules::rules(),
            rule_stats::rule_stats(),
            collectors::collectors(),
            audit::audit(),
        ];
        Self { tables: tables.into_iter().map(Arc::new).collect(), lists: Lists::default(), limits: Limits::default() }
    }

    /// The catalog with these lists.
    #[must_use]
    pub fn with_lists(self, lists: Lists) -> Self {
        Self { lists, ..self }
    }

    /// The catalog with these bounds for what may be written.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What bounds statements.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The lists.
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The catalog with one more table, which goes before one of the same name.
    #[must_use]
    pub fn with(mut self, table: Table) -> Self {
        self.tables.insert(0, Arc::new(table));
        self
    }

    /// The table of that name, without regard to case.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// All tables in order.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }
}

/// What else can stand in FROM: how each is called, and its columns.
pub fn table_functions() -> Vec<(String, Table)> {
    let lineage = Lineage::ALL.into_iter().map(|it| (format!("{it}(proc_id)"), it.table()));
    lineage.chain([(format!("{}('name')", lists::NAME), lists::table())]).collect()
}

/// The columns of a process that make its version: all but the volatile ones, in the table's order. The columns that
/// `process_starts`, `process_exits` and `processes_history` share.
pub fn version_columns() -> Vec<Column> {
    Process::columns().into_iter().filter(|column| !column.volatile).collect()
}

/// A Rust type that a row struct's field may have.
pub trait Field: Sized {
    /// The column's type.
    const TYPE: Type;
    /// Whether the column takes NULL.
    const NULLABLE: bool;
    /// The column of these values.
    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;
}

macro_rules! fields {
    ($($rust:ty => $ty:ident, $array:ty, $get:expr;)*) => {$(
        impl Field for $rust {
            const TYPE: Type = Type::$ty;
            const NULLABLE: bool = false;
            fn array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
                let get: fn(&'a Self) -> _ = $get;
                Arc::new(values.map(|value| Some(get(value))).collect::<$array>())
            }
        }

        impl Field for Option<$rust> {
            const TYPE: Type = Type::$ty;
            const NULLABLE: bool = true;
            fn array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
                let get: fn(&'a $rust) -> _ = $get;
                Arc::new(values.map(|value| value.as_ref().map(get)).collect::<$array>())
            }
        }
    )*};
}

fields! {
    i64 => Integer, Int64Array, |value| *value;
    f64 => Real, Float64Array, |value| *value;
    bool => Boolean, BooleanArray, |value| *value;
    String => Text, StringArray, |value| value.as_str();
    Timestamp => Timestamp, TimestampMicrosecondArray, |value| value.0;
}

/// Declares a table's columns and makes the row struct that collectors fill: per line the field, its type (`Option`
/// where NULL is possible), its doc, and what is special about the column.
macro_rules! row {
    (
        $(#[$meta:meta])*
        pub struct $row:ident { $( $name:ident : $ty:ty = $doc:literal $(. $special:ident ( $($arg:expr)? ))*; )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $row {
            $( #[doc = $doc] pub $name: $ty, )*
        }

        impl $row {
            /// The declared columns, in order.
            pub fn columns() -> Vec<$crate::tables::Column> {
                use $crate::tables::Field;
                vec![$(
                    $crate::tables::Column::new(stringify!($name), <$ty>::TYPE, <$ty>::NULLABLE, $doc)
                        $(.$special($($arg)?))*
                ),*]
            }

            /// These rows as one `RecordBatch`.
            pub fn batch(rows: &[Self]) -> arrow_array::RecordBatch {
                use $crate::tables::Field;
                let arrays = vec![$( <$ty as Field>::array(rows.iter().map(|row| &row.$name)) ),*];
                arrow_array::RecordBatch::try_new($crate::tables::schema_of(&Self::columns()), arrays)
                    .expect("the struct's fields are the schema's columns")
            }
        }
    };
}
pub(crate) use row;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lower_case() {
        let catalog = Catalog::builtin();
        for table in catalog.tables() {
            assert!(std::ptr::eq(catalog.table(&table.name).unwrap(), table));
            for (at, column) in table.columns.iter().enumerate() {
                assert_eq!(table.column(&column.name).unwrap().0, at, "{}.{}", table.name, column.name);
                assert_eq!(column.name, column.name.to_lowercase());
                assert!(column.doc.ends_with('.'), "{}.{} has no sentence", table.name, column.name);
            }
        }
    }
}
