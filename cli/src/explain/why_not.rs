//! `explain --why-not`: what keeps a row of a rule's first table from being a match.

mod json;

use anstyle::Style as Paint;
use anyhow::{Context, bail};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::{Diagnostic, Severity, Source, nearest};
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_planner::{
    Alternative, Clause, Condition, FirstTable, Found, Named, Near, Stop, Verdict, WhyNot, first_table, why_not,
};
use serde_json::{Map, Value as Json, json};

use crate::page::Page;
use crate::render::Cell;
use crate::screen::count;
use crate::sources::Sources;

/// Spaces before a condition, and before what is said about it.
const INDENT: usize = 2;
/// Columns of the word before a condition.
const WORD: usize = 7;
/// Characters of a condition or a value that are shown; `--full` shows all.
const TEXT_MAX: usize = 160;
/// Columns that say which row it is, where the table has them.
const TELLING: [&str; 2] = ["name", "pid"];

/// A rule's answer about one row.
pub(super) struct Answer {
    table: FirstTable,
    why: WhyNot,
    /// The names of the result's columns.
    output: Vec<String>,
}

impl Answer {
    /// Asks a rule about a row, as somebody wrote it.
    pub(super) fn of(rule: &CheckedRule, row: &str, sources: &Sources<'_>) -> anyhow::Result<Self> {
        let table = first_table(&rule.query).context("the statement reads no table, so that no row can be missing")?;
        let asked = asked(row, &table)?;
        let why = sources.ask(|reader| why_not(&rule.query, &asked, reader, sources.now))?;
        if matches!(why.verdict, Verdict::NoRow) {
            let row = if row.trim().starts_with('{') { row.to_owned() } else { format!("pid {row}") };
            bail!("`{}` has no row with {row}; `daemoneye-cli query` shows those that there are", table.name);
        }
        let output = rule.query.output.iter().map(|output| output.name.clone()).collect();
        Ok(Self { table, why, output })
    }

    pub(super) fn completeness(&self) -> &Completeness {
        &self.why.completeness
    }

    fn is_several(&self) -> bool {
        self.why.rows.num_rows() > 1
    }

    /// `busybox (pid 21)`, or what else the first table says of it.
    fn subject(&self) -> String {
        let rows = &self.why.rows;
        if self.is_several() {
            return format!("{} of {}", count(rows.num_rows(), "row", "rows"), self.table.name);
        }
        let value = |name: &str| {
            let at = self.table.columns.iter().position(|(column, _)| column == name)?;
            Some(Value::at(rows.column(at), 0)).filter(|value| !value.is_null())
        };
        match TELLING.map(value) {
            [Some(name), Some(pid)] => format!("{} (pid {})", text(&name), text(&pid)),
            [Some(one), None] => text(&one),
            [None, Some(pid)] => format!("pid {}", text(&pid)),
            [None, None] => format!("the row of {}", self.table.name),
        }
    }

    pub(super) fn write(&self, page: &mut Page<'_>, source: &Source) {
        let bold = Paint::new().bold();
        match &self.why.verdict {
            Verdict::NoRow => {}
            Verdict::Matches { conditions, rows } => {
                let found = count(rows.num_rows(), "row", "rows");
                let matches = if self.is_several() { "match" } else { "matches" };
                page.line(0, &[Cell::painted(format!("{} {matches}: {found}", self.subject()), bold)]);
                write_conditions(page, INDENT, conditions);
            }
            Verdict::Stopped(stops) => {
                for stop in stops {
                    let does = if self.is_several() { "do" } else { "does" };
                    page.text(0, &format!("{} {does} not match: {}", self.subject(), because(stop)));
                    write_stop(page, stop, source);
                }
            }
        }
    }

    pub(super) fn to_json(&self, source: &Source) -> Json {
        let names: Vec<_> = self.table.columns.iter().map(|(name, _)| name.clone()).collect();
        let (matches, rest) = match &self.why.verdict {
            Verdict::NoRow => (false, json!({})),
            Verdict::Matches { conditions, rows } => (
                true,
                json!({"conditions": json::conditions(conditions, source), "rows": json::objects(rows, &self.output)}),
            ),
            Verdict::Stopped(stops) => {
                (false, json!({"stopped": stops.iter().map(|it| json::stop(it, source)).collect::<Vec<_>>()}))
            }
        };
        let mut object = json!({"matches": matches, "asked": json::objects(&self.why.rows, &names)});
        if let (Some(object), Json::Object(rest)) = (object.as_object_mut(), rest) {
            object.extend(rest);
        }
        object
    }
}

/// The columns that a row is asked for by: those of a JSON object, or `pid`.
fn asked(row: &str, table: &FirstTable) -> anyhow::Result<Vec<(usize, Value)>> {
    let values: Map<String, Json> = match row.trim().parse::<i64>() {
        Ok(pid) => Map::from_iter([("pid".to_owned(), pid.into())]),
        Err(_) => serde_json::from_str(row).with_context(|| {
            format!("--why-not {row}: neither a pid nor a JSON object; write --why-not 4821 or '{{\"name\": \"sh\"}}'")
        })?,
    };
    if values.is_empty() {
        bail!("--why-not {row}: it names no column; say which row, as in '{{\"name\": \"sh\"}}'");
    }
    values.iter().map(|(name, json)| column(name, json, table)).collect()
}

fn column(name: &str, json: &Json, table: &FirstTable) -> anyhow::Result<(usize, Value)> {
    let names = || table.columns.iter().map(|(column, _)| column.as_str());
    let Some(at) = names().position(|column| column.eq_ignore_ascii_case(name)) else {
        let near = nearest(name, names()).map(|near| format!("did you mean `{near}`?"));
        let next = near.unwrap_or_else(|| format!("it has {}", names().collect::<Vec<_>>().join(", ")));
        bail!("`{}`, the first table, has no column `{name}`; {next}", table.name);
    };
    let ty = table.columns[at].1;
    let value = value(json, ty).with_context(|| format!("{json} is no {ty}, which `{name}` is"))?;
    Ok((at, value))
}

fn value(json: &Json, ty: Type) -> Option<Value> {
    Some(match (json, ty) {
        (Json::Null, _) => Value::Null,
        (Json::String(text), Type::Text) => Value::Text(text.as_str().into()),
        (Json::String(text), Type::Timestamp) => Value::Timestamp(Timestamp::parse(text)?.0),
        (Json::String(text), Type::Interval) => Value::Interval(daemoneye_dsl::types::parse_interval(text)?),
        (Json::Bool(value), Type::Boolean) => Value::Boolean(*value),
        (Json::Number(number), Type::Integer) => Value::Integer(number.as_i64()?),
        (Json::Number(number), Type::Real) => Value::Real(number.as_f64()?),
        _ => return None,
    })
}

fn clause(clause: &Clause) -> String {
    match clause {
        Clause::Where => "WHERE turns it away".to_owned(),
        Clause::Having => "HAVING turns its group away".to_owned(),
        Clause::Join(table) => format!("the join finds no row of {table}"),
        Clause::Lineage(table) => format!("the process has no relative {table} that qualifies"),
        Clause::Limit { position, of, limit, offset } => {
            let rows = limit.map_or("the rows".to_owned(), |limit| format!("the first {limit}"));
            let after = if *offset > 0 { format!(" after {offset}") } else { String::new() };
            format!("it is number {position} of {of}, and {rows}{after} are kept")
        }
        Clause::Set(op @ "EXCEPT") => format!("{op} takes it away: the second query has it too"),
        Clause::Set(op) => format!("{op} leaves it out: the second query does not have it"),
    }
}

/// The clause, and how near the row came.
fn because(stop: &Stop) -> String {
    let of = stop.conditions.len();
    let held = stop.conditions.iter().filter(|it| it.holds == Some(true) && it.held_by.is_none()).count();
    match stop.clause {
        Clause::Where | Clause::Having if of > 1 => {
            format!("{} ({held} of {of} conditions hold)", clause(&stop.clause))
        }
        _ => clause(&stop.clause),
    }
}

fn write_stop(page: &mut Page<'_>, stop: &Stop, source: &Source) {
    write_conditions(page, INDENT, &stop.conditions);
    if stop.rows > 1 {
        page.text(INDENT, &format!("so far it led to {} rows; this is the one that came nearest", stop.rows));
    }
    write_nearest(page, INDENT, &stop.nearest, &stop.conditions);
    let failed = stop.failed().map(|at| &stop.conditions[at]);
    if let Some((condition, span)) = failed.and_then(|it| Some((it, it.span.clone()?))) {
        let message = match (condition.holds, condition.held_by) {
            (None, _) => "this is unknown, because of a NULL",
            (Some(_), Some((0, _))) => "no row satisfies this",
            (Some(_), Some(_)) => "no row satisfies this and the rest",
            (Some(_), None) => "this does not hold",
        };
        let blamed = Some(condition.blamed()).filter(|it| !std::ptr::eq(*it, condition)).and_then(|it| it.span.clone());
        let within = condition.subqueries.iter().flat_map(|found| &found.conditions);
        let within = within.filter(|it| it.held_by.is_some_and(|(held, _)| held == 0)).find_map(|it| it.span.clone());
        let finding = Diagnostic::new("", Severity::Note, span, message);
        let finding = match (blamed, within) {
            (Some(blamed), _) => Diagnostic::new("", Severity::Note, blamed, "the nearest alternative fails here"),
            (None, Some(within)) => finding.context(within, "no row satisfies this"),
            (None, None) => finding,
        };
        page.drawn(&finding.render(source, page.style()));
    }
}

fn write_nearest(page: &mut Page<'_>, indent: usize, nearest: &[Near], conditions: &[Condition]) {
    for near in nearest {
        let fails = conditions.get(near.fails).map_or("", |it| it.text.as_str());
        let row = named(&near.row, page.is_full());
        beside(page, indent, ("nearest", Paint::new()), &format!("{row}: all but {fails}"));
    }
}

fn write_conditions(page: &mut Page<'_>, indent: usize, conditions: &[Condition]) {
    for condition in conditions {
        write_condition(page, indent, condition);
    }
}

fn write_condition(page: &mut Page<'_>, indent: usize, condition: &Condition) {
    let failed = Paint::new().bold();
    let (word, paint) = match (condition.holds, condition.held_by) {
        (Some(true), None) => ("yes", Paint::new()),
        (Some(false), None) => ("NO", failed),
        (None, None) => ("unknown", failed),
        (_, Some((0, _))) => ("none", failed),
        (_, Some(_)) => ("some", Paint::new()),
    };
    beside(page, indent, (word, paint), &cut(&condition.text, page.is_full()));
    let mut about = named(&condition.values, page.is_full());
    if let Some((held, of)) = condition.held_by {
        let rows = format!("{held} of {} satisfy it", count(of, "row", "rows"));
        about = if about.is_empty() { rows } else { format!("{about}; {rows}") };
    }
    if !about.is_empty() {
        beside(page, indent, ("", Paint::new()), &about);
    }
    if let Some(Alternative { number, of, conditions }) = &condition.alternative {
        let held = conditions.iter().filter(|it| it.holds == Some(true)).count();
        let indent = indent + WORD + 2;
        let nearest = format!("alternative {number} of {of} comes nearest ({held} of {} hold)", conditions.len());
        page.text(indent, &nearest);
        write_conditions(page, indent, conditions);
    }
    for found in &condition.subqueries {
        write_found(page, indent + WORD + 2, found);
    }
}

fn write_found(page: &mut Page<'_>, indent: usize, found: &Found) {
    let full = page.is_full();
    let given = if found.given.is_empty() { String::new() } else { format!(" where {}", named(&found.given, full)) };
    page.text(indent, &format!("the subquery gives {}{given}", count(found.rows, "row", "rows")));
    for row in &found.first {
        page.text(indent + INDENT, &named(row, full));
    }
    if found.rows > found.first.len() {
        page.text(indent + INDENT, &format!("… {} more", found.rows - found.first.len()));
    }
    write_conditions(page, indent, &found.conditions);
    write_nearest(page, indent, &found.nearest, &found.conditions);
}

/// A word, and beside it text that goes on below itself.
fn beside(page: &mut Page<'_>, indent: usize, (word, paint): (&str, Paint), text: &str) {
    page.outline_beside(indent, &[Cell::painted(format!("{word:WORD$}"), paint)], ("", text));
}

/// `c.name is 'busybox', c.pid is 21`.
fn named(values: &[Named], full: bool) -> String {
    let one = |(name, value): &Named| format!("{name} is {}", cut(&literal(value), full));
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A text without its middle, where it is long.
fn cut(text: &str, full: bool) -> String {
    let len = text.chars().count();
    if full || len <= TEXT_MAX {
        return text.to_owned();
    }
    let (head, tail): (String, String) =
        (text.chars().take(TEXT_MAX / 2).collect(), text.chars().skip(len - TEXT_MAX / 2).collect());
    format!("{head}…{tail}")
}

fn literal(value: &Value) -> String {
    Expr::literal(value.clone(), Type::Text).to_string()
}

fn text(value: &Value) -> String {
    value.as_text().map_or_else(|| literal(value), str::to_owned)
}
