//! The tables of one file, kept as SQLite would keep them, and the engine's view of them.
//!
//! Values are stored with SQLite's affinities. The engine wants one type for a column, so a column that really mixes
//! storage classes makes its table one that is not asked, and so does whatever the harness could not carry out.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use arrow_array::{Int64Array, RecordBatch, RecordBatchOptions};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Column, Kind, Table, schema_of};
use daemoneye_dsl::types::{Type, Value};
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::engine::{Refusal, ask};
use super::report::Verdict;
use super::value::Affinity;

pub(super) type Row = Vec<Value>;

/// What SQL has created so far.
#[derive(Default)]
pub(super) struct Database {
    pub(super) tables: Vec<Stored>,
    pub(super) views: Vec<View>,
    /// Tables that are not as SQLite has them, and why.
    pub(super) spoiled: BTreeMap<String, String>,
    /// As it was when the transaction began.
    pub(super) begun: Option<(Vec<Stored>, Vec<View>)>,
    pub(super) catalog: RefCell<Option<Catalog>>,
}

/// One table.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) columns: Vec<StoredColumn>,
    pub(super) rows: Vec<Row>,
    /// Columns that together name one row.
    pub(super) unique: Vec<Vec<usize>>,
    /// The INTEGER PRIMARY KEY, in whose order rows lie.
    pub(super) rowid: Option<usize>,
    /// As the engine sees it; nothing where a column mixes storage classes.
    seen: OnceCell<Option<(Table, RecordBatch)>>,
}

/// A column of one.
#[derive(Clone)]
pub(super) struct StoredColumn {
    pub(super) name: String,
    pub(super) affinity: Affinity,
    /// An expression.
    pub(super) default: Option<String>,
}

/// A SELECT with a name.
#[derive(Clone)]
pub(super) struct View {
    pub(super) name: String,
    /// Name and column names, as WITH takes them.
    pub(super) head: String,
    pub(super) sql: String,
}

impl Stored {
    pub(super) fn new(name: &str, columns: Vec<StoredColumn>) -> Self {
        let name = name.to_owned();
        Self { name, columns, rows: vec![], unique: vec![], rowid: None, seen: OnceCell::new() }
    }

    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    fn seen(&self) -> Option<&(Table, RecordBatch)> {
        self.seen.get_or_init(|| self.look()).as_ref()
    }

    fn look(&self) -> Option<(Table, RecordBatch)> {
        let types = self.columns.iter().enumerate().map(|(at, column)| {
            let values = self.rows.iter().map(|row| &row[at]);
            Some((column, column.affinity.type_of(values)?))
        });
        let types: Vec<_> = types.collect::<Option<_>>()?;
        let columns: Vec<_> =
            types.iter().map(|(column, ty)| Column::new(column.name.clone(), *ty, true, "A column.")).collect();
        let arrays =
            types.iter().enumerate().map(|(at, (_, ty))| ty.array(self.rows.iter().map(|row| row[at].clone())));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        let batch = RecordBatch::try_new_with_options(schema_of(&columns), arrays.collect(), &options);
        let batch = batch.expect("columns of one length");
        Some((Table { name: self.name.clone().into(), doc: "A table.".into(), kind: Kind::State, columns }, batch))
    }
}

impl Database {
    pub(super) fn table(&mut self, name: &str) -> Result<&mut Stored, String> {
        let found = self.tables.iter_mut().find(|table| table.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| "a table that the file did not create".to_owned())
    }

    /// What was seen of the table, and of the catalog, holds no longer.
    pub(super) fn changed(&mut self, name: &str) {
        for table in self.tables.iter_mut().filter(|table| table.name.eq_ignore_ascii_case(name)) {
            table.seen = OnceCell::new();
        }
        self.catalog.replace(None);
    }

    /// The rows of a SELECT.
    pub(super) fn rows(&self, sql: &str) -> Result<Vec<Row>, Verdict> {
        self.askable(sql)?;
        let catalog = self.catalog();
        ask(&with_series(&self.with_views(sql)), &catalog, self).map_err(verdict)
    }

    /// The rows of a SELECT over a table that has the number of each row as one more column.
    pub(super) fn numbered_rows(&self, sql: &str, table: &str) -> Result<Vec<Row>, Verdict> {
        self.askable(sql)?;
        let stored = self.tables.iter().find(|stored| stored.name.eq_ignore_ascii_case(table));
        let Some((declared, _)) = stored.and_then(Stored::seen) else {
            return Err(Verdict::NotApplicable("a table that the file did not create".to_owned()));
        };
        let mut declared = declared.clone();
        declared.columns.push(Column::new(ROW_NUMBER, Type::Integer, false, "The number of the row."));
        let name = declared.name.to_string();
        let catalog = self.catalog().with(declared);
        ask(&self.with_views(sql), &catalog, &Numbered { database: self, table: &name }).map_err(verdict)
    }

    /// Whether every table that it names is as SQLite has it.
    fn askable(&self, sql: &str) -> Result<(), Verdict> {
        let mut words = words(sql);
        for view in self.views_of(sql) {
            words.extend(self::words(&view.sql));
        }
        for word in &words {
            if let Some(reason) = self.spoiled.get(word) {
                return Err(Verdict::NotApplicable(format!("the harness could not do: {reason}")));
            }
        }
        let mixed = self.tables.iter().filter(|table| words.contains(&table.name.to_ascii_lowercase()));
        match mixed.into_iter().find(|table| table.seen().is_none()) {
            Some(_) => Err(Verdict::Refused("mixed column: one column holds several storage classes".to_owned())),
            None => Ok(()),
        }
    }

    fn catalog(&self) -> Catalog {
        let mut catalog = self.catalog.borrow_mut();
        let seen = self.tables.iter().filter_map(Stored::seen);
        let made = || seen.fold(Catalog::builtin(), |catalog, (table, _)| catalog.with(table.clone()));
        catalog.get_or_insert_with(made).clone()
    }

    /// The views that it names, and those that these name, in the order of their making.
    fn views_of(&self, sql: &str) -> Vec<&View> {
        let mut words = words(sql);
        let mut used: Vec<&View> = Vec::new();
        for view in self.views.iter().rev() {
            if words.contains(&view.name.to_ascii_lowercase()) {
                words.extend(self::words(&view.sql));
                used.insert(0, view);
            }
        }
        used
    }

    /// The statement with its views as common table expressions before it.
    fn with_views(&self, sql: &str) -> String {
        let views: Vec<_> = self.views_of(sql).iter().map(|view| format!("{} AS ({})", view.head, view.sql)).collect();
        if views.is_empty() {
            return sql.to_owned();
        }
        let views = views.join(", ");
        let after = |rest: &str, word: &str| {
            let rest = rest.trim_start();
            let (head, tail) = rest.split_at_checked(word.len())?;
            (head.eq_ignore_ascii_case(word) && tail.starts_with(char::is_whitespace)).then(|| tail.to_owned())
        };
        match after(sql, "WITH") {
            None => format!("WITH {views} {sql}"),
            Some(rest) => match after(&rest, "RECURSIVE") {
                None => format!("WITH {views}, {rest}"),
                Some(rest) => format!("WITH RECURSIVE {views}, {rest}"),
            },
        }
    }
}

fn verdict(refusal: Refusal) -> Verdict {
    match refusal {
        Refusal::Unsupported(reason) => Verdict::Refused(reason),
        Refusal::NoTable => Verdict::NotApplicable("a table that the file did not create".to_owned()),
        Refusal::Fault(why) => Verdict::Failed(why),
    }
}

/// The words of a statement in lower case.
pub(super) fn words(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&SQLiteDialect {}, sql).tokenize().unwrap_or_default();
    let word = |token| match token {
        Token::Word(word) => Some(word.value.to_ascii_lowercase()),
        Token::SingleQuotedString(text) => Some(text.to_ascii_lowercase()),
        _ => None,
    };
    tokens.into_iter().filter_map(word).collect()
}

/// `generate_series(1, 9)`, with which files fill their tables, as a recursive query.
fn with_series(sql: &str) -> String {
    let Some(at) = sql.to_ascii_lowercase().find(SERIES) else { return sql.to_owned() };
    let Some((args, rest)) = sql[at + SERIES.len()..].split_once(')') else { return sql.to_owned() };
    let bounds: Vec<_> = args.split(',').map(|arg| arg.trim().parse::<i64>()).collect();
    let [Ok(first), Ok(last)] = bounds.as_slice() else { return sql.to_owned() };
    let step = format!("SELECT value + 1 FROM series WHERE value < {last}");
    let series = format!("WITH RECURSIVE series(value) AS (SELECT {first} UNION ALL {step}) SELECT value FROM series");
    format!("{}({series}){}", &sql[..at], with_series(rest))
}

const SERIES: &str = "generate_series(";

impl Reader for Database {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let seen = self.tables.iter().filter_map(Stored::seen).find(|(table, _)| table.name == scan.table.name);
        let Some((_, batch)) = seen else {
            return Err(Error::Refused(format!("`{}` is no table of the file", scan.table.name)));
        };
        let rows = batch.project(scan.columns).map_err(|error| Error::Refused(error.to_string()))?;
        let _only_one = each(rows);
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, Error> {
        Ok(None)
    }
}

/// The column that [`Database::numbered_rows`] adds.
pub(super) const ROW_NUMBER: &str = "number_of_the_row";

struct Numbered<'a> {
    database: &'a Database,
    table: &'a str,
}

impl Reader for Numbered<'_> {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        if scan.table.name != self.table {
            return self.database.visit(scan, each);
        }
        let last = scan.table.columns.len() - 1;
        let own: Vec<_> = (0..last).collect();
        let scanned = self.database.scan(&Scan { columns: &own, ..*scan })?;
        let batch = &scanned.batches[0];
        let numbers = Int64Array::from_iter_values((0..).take(batch.num_rows()));
        let of = |at: &usize| match *at {
            at if at == last => std::sync::Arc::new(numbers.clone()),
            at => batch.column(at).clone(),
        };
        let columns: Vec<Column> = scan.columns.iter().map(|at| scan.table.columns[*at].clone()).collect();
        let arrays = scan.columns.iter().map(of).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(schema_of(&columns), arrays, &options);
        let _only_one = each(rows.map_err(|error| Error::Refused(error.to_string()))?);
        Ok(scanned.completeness)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        self.database.process(proc_id)
    }
}
