//! `schema`: what can be asked, from the declarations: tables, columns and functions.

use std::fmt::Write as _;

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_dsl::diagnostic::nearest;
use daemoneye_dsl::functions::aggregates::{AGGREGATES, WINDOWS};
use daemoneye_dsl::functions::forms::{FORMS, Form};
use daemoneye_dsl::functions::{self, Function, Known};
use daemoneye_dsl::tables::{self, Catalog, Column, Kind, Table, table_functions};
use daemoneye_dsl::types::Value::Null;
use serde_json::{Map, Value, json};

use crate::file_table::FileArguments;
use crate::output::{Format, print, write_json};
use crate::page::Page;
use crate::render::{self, Align, Cell};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, with_exit_codes};

/// Show tables, their columns, and functions.
///
/// Without a name, the tables. With the name of a table, its columns; with that of a function, how it is called;
/// `functions` lists these. Needs no agent, no rights and no configuration.
///
/// Behind a column: identity, names one process for its whole life; sample, changes without the process changing, and is
/// not recorded; owner, read only by the process's user and root; not collected, NULL so far.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Schema {
    /// A table, a function, or `functions`
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    files: FileArguments,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli schema                                 which tables are there?
  daemoneye-cli schema processes
  daemoneye-cli schema --table log=auth.jsonl log      what is in that file?
  daemoneye-cli schema has_flag
  daemoneye-cli schema processes -o ndjson | jq -r .column";

/// What was asked about, as lines of one kind.
struct Answer {
    /// What is said above the lines.
    head: Vec<String>,
    /// What the columns are called in a table.
    names: &'static [&'static str],
    lines: Vec<Line>,
    /// What the lines are.
    kinds: (&'static str, &'static str),
    /// What to do next.
    next: &'static str,
}

/// One table, column or call.
struct Line {
    /// The cells of a table.
    cells: Vec<String>,
    /// What people read behind the first cell.
    text: String,
    /// Examples below it, as lines.
    examples: Vec<String>,
    object: Map<String, Value>,
}

pub(crate) fn run(schema: &Schema, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let catalog = schema.files.load_unseen(screen)?.catalog();
    let answer = match schema.name.as_deref() {
        None => all_tables(&catalog),
        Some(name) => about(name, &catalog)?,
    };
    answer.write(globals, screen)?;
    Ok(Ending::Done { found: false, degraded: false })
}

/// What has that name: a table before a function.
fn about(name: &str, catalog: &Catalog) -> anyhow::Result<Answer> {
    if let Some(table) = catalog.table(name) {
        return Ok(of_table(table, &table.name));
    }
    if let Some((call, table)) = table_functions().into_iter().find(|(_, it)| it.name.eq_ignore_ascii_case(name)) {
        return Ok(of_table(&table, &call));
    }
    match name.to_ascii_lowercase().as_str() {
        "tables" => return Ok(all_tables(catalog)),
        "functions" => return Ok(all_functions()),
        _ => {}
    }
    let calls = calls(|own| own.eq_ignore_ascii_case(name));
    if calls.is_empty() {
        bail!("no table or function is called `{name}`; {}", advice(name, catalog));
    }
    Ok(of_functions(calls, ""))
}

/// What to do about a name that nothing has.
fn advice(name: &str, catalog: &Catalog) -> String {
    if let Some(table) = tables::table_synonym(name) {
        return format!("what others call so is `{table}` here");
    }
    match functions::known_elsewhere(name) {
        Some(Known::Same(ours)) => return format!("what others call so is `{ours}` here"),
        Some(Known::Instead(ours)) => return format!("write {ours}"),
        Some(Known::Never(why) | Known::Forbidden(why)) => return why.to_owned(),
        None => {}
    }
    let column = tables::synonym(name).unwrap_or(name);
    let holder = catalog.tables().iter().find(|table| table.column(column).is_some());
    if let Some(table) = holder {
        return format!("`{column}` is a column of `{0}`: `daemoneye-cli schema {0}`", table.name);
    }
    let tables = catalog.tables().iter().map(|table| &*table.name);
    let calls = table_functions();
    let all = tables
        .chain(calls.iter().map(|(_, it)| &*it.name))
        .chain(["functions"])
        .chain(functions::all().map(|it| it.name));
    match nearest(name, all.chain(forms().map(|form| form.name))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`daemoneye-cli schema` lists the tables, `daemoneye-cli schema functions` the functions".to_owned(),
    }
}

fn all_tables(catalog: &Catalog) -> Answer {
    let calls = table_functions();
    let tables = catalog.tables().iter().map(|table| (&**table, table.name.to_string()));
    let tables = tables.chain(calls.iter().map(|(call, table)| (table, call.clone())));
    let line = |(table, name): (&Table, String)| {
        let rows = match table.kind {
            Kind::State => "state",
            Kind::Events => "events",
            Kind::Records => "file",
        };
        let object = json!({"table": name, "rows": rows, "columns": table.columns.len(), "doc": table.doc});
        Line {
            cells: vec![name, rows.to_owned(), table.columns.len().to_string(), table.doc.to_string()],
            text: table.doc.to_string(),
            examples: vec![],
            object: object.as_object().cloned().unwrap_or_default(),
        }
    };
    Answer {
        head: vec![],
        names: &["table", "rows", "columns", "doc"],
        lines: tables.map(line).collect(),
        kinds: ("table", "tables"),
        next: " · `daemoneye-cli schema TABLE` shows its columns",
    }
}

fn of_table(table: &Table, name: &str) -> Answer {
    Answer {
        head: vec![name.to_owned(), table.doc.to_string()],
        names: &["column", "type", "unit", "notes", "doc"],
        lines: table.columns.iter().map(|column| of_column(table, column)).collect(),
        kinds: ("column", "columns"),
        next: "",
    }
}

fn of_column(table: &Table, column: &Column) -> Line {
    let (name, ty, notes) = (column.name.to_string(), column.ty.to_string(), column.notes());
    let mut text = ty.clone();
    for part in column.unit.iter().chain(&notes) {
        let _ = write!(text, ", {part}");
    }
    let doc = &*column.doc;
    if !doc.is_empty() {
        let _ = write!(text, ": {doc}");
    }
    let object = json!({
        "table": table.name, "column": name, "type": ty, "unit": column.unit, "notes": notes, "doc": doc,
    });
    Line {
        cells: vec![name, ty, column.unit.unwrap_or_default().to_owned(), notes.join(", "), doc.to_owned()],
        text,
        examples: vec![],
        object: object.as_object().cloned().unwrap_or_default(),
    }
}

fn all_functions() -> Answer {
    let mut lines = calls(|_| true);
    for line in &mut lines {
        line.examples.clear();
    }
    of_functions(lines, " · `daemoneye-cli schema NAME` shows examples")
}

fn of_functions(lines: Vec<Line>, next: &'static str) -> Answer {
    Answer { head: vec![], names: &["function", "gives", "group", "doc"], lines, kinds: ("call", "calls"), next }
}

fn forms() -> impl Iterator<Item = &'static Form> {
    FORMS.iter().chain(AGGREGATES).chain(WINDOWS)
}

/// Every way to call what has such a name.
fn calls(is_meant: impl Fn(&str) -> bool) -> Vec<Line> {
    let groups = functions::GROUPS.iter().flat_map(|group| group.functions.iter().map(|it| (group.title, *it)));
    let mut calls: Vec<_> =
        groups.filter(|(_, it)| is_meant(it.name)).map(|(group, function)| of_function(group, function)).collect();
    let forms = [("Forms", FORMS), ("Aggregates", AGGREGATES), ("Window functions", WINDOWS)];
    let forms = forms.into_iter().flat_map(|(group, forms)| forms.iter().map(move |form| (group, form)));
    calls.extend(
        forms
            .filter(|(_, form)| is_meant(form.name))
            .map(|(group, form)| call(form.name, form.signature.to_owned(), None, (group, form.doc), form.examples)),
    );
    calls
}

fn of_function(group: &str, function: &Function) -> Line {
    let (signature, gives) = (function.signature(), function.gives());
    call(function.name, signature, Some(gives), (group, function.doc), function.examples)
}

fn call(
    name: &str,
    signature: String,
    gives: Option<String>,
    (group, doc): (&str, &str),
    examples: &[(&str, &str)],
) -> Line {
    let object = json!({
        "function": name, "signature": signature, "gives": gives, "group": group, "doc": doc,
        "examples": examples.iter().map(|(call, result)| json!({"call": call, "result": result})).collect::<Vec<_>>(),
    });
    let text = gives.as_ref().map_or_else(|| doc.to_owned(), |gives| format!("gives {gives}. {doc}"));
    Line {
        cells: vec![signature, gives.unwrap_or_default(), group.to_owned(), doc.to_owned()],
        text,
        examples: examples.iter().map(|(call, result)| format!("{call}  -- {result}")).collect(),
        object: object.as_object().cloned().unwrap_or_default(),
    }
}

impl Answer {
    fn write(self, globals: &Globals, screen: &Screen) -> anyhow::Result<()> {
        let form = Format::of_data(globals.output);
        let lines = count(self.lines.len(), self.kinds.0, self.kinds.1);
        let next = self.next;
        if let Some(form) = form.json() {
            print(screen, |out| write_json(out, form, self.lines.into_iter().map(|line| line.object)))?;
        } else if form == Format::Table {
            self.page(globals, screen).print()?;
        } else {
            let table = self.table(form);
            print(screen, |out| table.write(out, form, screen, globals))?;
        }
        screen.say(Mark::Note, &format!("{lines}{next}"));
        Ok(())
    }

    /// For people: texts break between words instead of being cut.
    fn page<'a>(&self, globals: &Globals, screen: &'a Screen) -> Page<'a> {
        let mut page = Page::new(screen, globals.full);
        let bold = |text: &str| Cell::painted(text, Paint::new().bold());
        if let [name, rest @ ..] = self.head.as_slice() {
            page.line(0, &[bold(name)]);
            for text in rest {
                page.text(0, text);
            }
        }
        if self.kinds.0 != "call" {
            page.fields(&self.lines.iter().map(|line| (line.cells[0].as_str(), &*line.text)).collect::<Vec<_>>());
            return page;
        }
        for line in &self.lines {
            page.line(0, &[bold(&line.cells[0])]);
            page.text(2, &line.text);
            for example in &line.examples {
                page.text(4, example);
            }
        }
        page
    }

    fn table(&self, form: Format) -> render::Table {
        let columns = self.names.iter().enumerate().map(|(at, name)| {
            // A name that is cut could not be typed.
            render::Column::new(*name, if at == 0 { Align::Left } else { Align::Text })
        });
        // What is not there is nothing in CSV, and an empty text would be quoted.
        let is_null = |text: &str| text.is_empty() && form == Format::Csv;
        let cell = |text: &String| if is_null(text) { Cell::exact(&Null) } else { Cell::new(text.as_str()) };
        let rows = self.lines.iter().map(|line| line.cells.iter().map(cell).collect());
        render::Table { columns: columns.collect(), rows: rows.collect(), header: true, indent: 0 }
    }
}
