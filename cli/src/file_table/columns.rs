//! From what was read to the columns of a table: names that SQL can tell apart, types inferred or declared, and the
//! catalog's columns where the file stands in for one of its tables.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use daemoneye_dsl::tables::{Access, Column, Table, synonym};
use daemoneye_dsl::types::{Type, Value};

use super::infer;
use super::spec::Spec;
use super::spelled::{Records, Spelled};
use crate::bag::first_equal;

/// Characters of a value that an error quotes.
const QUOTED_LEN: usize = 60;

/// What a file holds.
pub(super) enum Content {
    /// As spelled; types are to be told.
    Spelled(Records),
    /// As the file's own types.
    Typed { columns: Vec<(String, ArrayRef)>, records: usize },
}

/// One column as read.
enum Cells {
    Spelled(Spelled),
    Typed(ArrayRef),
}

struct Read {
    name: String,
    cells: Cells,
}

/// The columns of a table and their cells.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) declared: Vec<Column>,
    pub(super) arrays: Vec<ArrayRef>,
    pub(super) records: usize,
    /// What whoever asks should know about the names.
    pub(super) notes: Vec<String>,
}

/// Where a record stands, for errors.
struct Places {
    lines: Vec<u64>,
}

impl Places {
    fn of(&self, record: usize) -> String {
        self.lines.get(record).map_or_else(|| format!("record {}", record + 1), |line| format!("line {line}"))
    }
}

/// Which records without a `proc_id` are of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// None: each is one of its own.
    Always,
    /// Those that are equal: they say that one came and went.
    UnlessEqual,
}

/// The columns of a table of their own, or of the catalog's `table`.
pub(super) fn columns(content: Content, spec: &Spec, table: Option<&Table>, apart: Apart) -> anyhow::Result<Columns> {
    let (mut read, places, records) = taken_apart(content);
    let mut made = Columns { records, ..Columns::default() };
    tell_apart(&mut read, &mut made.notes);
    let mut maker = Maker { spec, places, made };
    if let Some(table) = table {
        maker.stand_in(table, &mut read)?;
    }
    for it in read {
        maker.add(it)?;
    }
    maker.add_declared();
    if table.is_some() {
        maker.number_processes(apart);
    }
    Ok(maker.made)
}

fn taken_apart(content: Content) -> (Vec<Read>, Places, usize) {
    match content {
        Content::Spelled(records) => {
            let len = records.lines.len();
            let read = |mut it: Spelled| Read { name: std::mem::take(&mut it.name), cells: Cells::Spelled(it) };
            (records.columns.into_iter().map(read).collect(), Places { lines: records.lines }, len)
        }
        Content::Typed { columns, records } => {
            let read = columns.into_iter().map(|(name, array)| Read { name, cells: Cells::Typed(array) });
            (read.collect(), Places { lines: vec![] }, records)
        }
    }
}

/// SQL compares names without case and needs one: the second `a` or `A` becomes `A_2`, and that is said.
fn tell_apart(read: &mut [Read], notes: &mut Vec<String>) {
    let mut taken: HashSet<String> = read.iter().map(|it| it.name.to_ascii_lowercase()).collect();
    let mut met = HashSet::new();
    for (at, it) in read.iter_mut().enumerate() {
        let base = if it.name.is_empty() { format!("column_{}", at + 1) } else { it.name.clone() };
        if !it.name.is_empty() && met.insert(it.name.to_ascii_lowercase()) {
            continue;
        }
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let candidates = it.name.is_empty().then(|| base.clone()).into_iter().chain(numbered);
        let free = candidates.into_iter().find(|name| taken.insert(name.to_ascii_lowercase()));
        let free = free.expect("there is always another number");
        notes.push(match it.name.as_str() {
            "" => format!("the column without a name is called `{free}`"),
            name => format!("a further column `{name}` is called `{free}`: names compare without case"),
        });
        it.name = free;
    }
}

struct Maker<'a> {
    spec: &'a Spec,
    places: Places,
    made: Columns,
}

impl Maker<'_> {
    /// A column that the catalog does not know.
    fn add(&mut self, read: Read) -> anyhow::Result<()> {
        let declared = self.spec.declared.iter().find(|(name, _)| name.eq_ignore_ascii_case(&read.name));
        let (ty, array) = match declared {
            Some((_, ty)) => (*ty, self.of_type(read.cells, *ty, &read.name)?),
            None => match read.cells {
                Cells::Spelled(cells) => {
                    let ty = infer::infer(&cells);
                    (ty, infer::array(cells, ty))
                }
                Cells::Typed(array) => {
                    let ty =
                        Type::from_arrow(array.data_type()).ok_or_else(|| anyhow!("`{}` has no type", read.name))?;
                    (ty, array)
                }
            },
        };
        self.push(Column::new(read.name, ty, true, "A field of the records."), array);
        Ok(())
    }

    /// Columns that were declared and that no record has.
    fn add_declared(&mut self) {
        for (name, ty) in &self.spec.declared {
            if !self.made.declared.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
                let column = Column::new(name.clone(), *ty, true, "Declared, and in no record.");
                self.push_absent(column);
            }
        }
    }

    /// The catalog's columns, from the fields that have their names, or names that mean them.
    fn stand_in(&mut self, table: &Table, read: &mut Vec<Read>) -> anyhow::Result<()> {
        for (name, _) in &self.spec.declared {
            if let Some((_, column)) = table.column(name) {
                bail!(
                    "`{}` of `{}` is {} for every rule; declare other columns only",
                    column.name,
                    table.name,
                    column.ty
                );
            }
        }
        for column in &table.columns {
            match position(read, &column.name) {
                Some(at) => {
                    let it = read.remove(at);
                    let array = self.of_type(it.cells, column.ty, &it.name)?;
                    self.push(Column { nullable: true, access: Access::Open, ..column.clone() }, array);
                }
                None => self.push_absent(Column { nullable: true, ..column.clone() }),
            }
        }
        self.fill("name", |maker, record| maker.text("executable_path", record).map(|path| last_component(&path)));
        Ok(())
    }

    /// A process without an id gets the number of its record for one.
    fn number_processes(&mut self, apart: Apart) {
        let equal = match apart {
            Apart::Always => None,
            Apart::UnlessEqual => Some(first_equal(&self.made.arrays, self.made.records)),
        };
        let number = |record: usize| equal.as_ref().map_or(record, |equal| equal[record] as usize);
        self.fill("proc_id", |_, record| Some(format!("{:016x}", number(record) + 1)));
    }

    /// Fills a column of text where it is NULL, or absent altogether.
    fn fill(&mut self, name: &str, with: impl Fn(&Self, usize) -> Option<String>) {
        let Some(at) = self.made.declared.iter().position(|column| column.name == name) else { return };
        let own = self.made.arrays[at].clone();
        if own.null_count() == 0 {
            return;
        }
        let own = own.as_string::<i32>();
        let filled = (0..own.len())
            .map(|record| if own.is_null(record) { with(self, record) } else { Some(own.value(record).to_owned()) });
        let filled: StringArray = filled.collect();
        if filled.null_count() < filled.len() {
            self.made.declared[at].access = Access::Open;
        }
        self.made.arrays[at] = Arc::new(filled);
    }

    fn text(&self, name: &str, record: usize) -> Option<String> {
        let at = self.made.declared.iter().position(|column| column.name == name)?;
        Value::at(&self.made.arrays[at], record).as_text().map(str::to_owned)
    }

    fn push(&mut self, column: Column, array: ArrayRef) {
        self.made.declared.push(column);
        self.made.arrays.push(array);
    }

    fn push_absent(&mut self, column: Column) {
        let nothing = arrow_array::new_null_array(&column.ty.arrow(), self.made.records);
        self.push(Column { access: Access::Absent, ..column }, nothing);
    }

    fn of_type(&self, cells: Cells, ty: Type, name: &str) -> anyhow::Result<ArrayRef> {
        let converted = match cells {
            Cells::Spelled(cells) => infer::declared(cells, ty),
            Cells::Typed(array) if *array.data_type() == ty.arrow() => Ok(array),
            Cells::Typed(array) => infer::retyped(&array, ty),
        };
        converted.map_err(|(record, value)| {
            let place = self.places.of(record);
            anyhow!("{place}: column `{name}`: `{}` is not {}", short(&value), with_article(ty))
        })
    }
}

/// The field that has the column's name, else the first whose name means it.
fn position(read: &[Read], column: &str) -> Option<usize> {
    let named = read.iter().position(|it| it.name.eq_ignore_ascii_case(column));
    named.or_else(|| read.iter().position(|it| synonym(&it.name) == Some(column)))
}

/// The last component of a path of any system.
fn last_component(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

fn short(value: &str) -> String {
    match value.char_indices().nth(QUOTED_LEN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn with_article(ty: Type) -> String {
    format!("{} {ty}", if ty == Type::Integer { "an" } else { "a" })
}

/// What the file is called in a sentence.
pub(super) fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}
