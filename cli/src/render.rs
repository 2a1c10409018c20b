//! Rows for people: a table fitted to the screen.
//!
//! Numbers and times are never cut, because a cut number reads as another number; text gives way, in the middle, the
//! widest first. Where even that leaves no room, each row becomes a block of `name  value` lines.

use std::io::{self, Write};

use anstyle::Style as Paint;
use daemoneye_dsl::diagnostic::Style;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value, display_interval};
use jiff::tz::TimeZone;

use crate::Globals;
use crate::output::Format;
use crate::screen::{Screen, glyphs, painted};
use crate::shown::Shown;

/// Spaces between two columns.
const GAP: usize = 2;
/// Columns that text keeps at least.
const TEXT_WIDTH_MIN: usize = 8;

/// Rows and what to call their columns.
pub(crate) struct Table {
    /// The columns.
    pub(crate) columns: Vec<Column>,
    /// One cell per column each.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Whether the names stand above.
    pub(crate) header: bool,
    /// Spaces before each line.
    pub(crate) indent: usize,
}

/// One column.
pub(crate) struct Column {
    name: String,
    align: Align,
}

/// On which side a column is even. What is text may be cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Numbers.
    Right,
    /// Times and words of ours.
    Left,
    /// Text from outside.
    Text,
}

/// A value as text. It reaches the screen through [`Shown`] only.
pub(crate) struct Cell {
    text: String,
    paint: Paint,
    is_null: bool,
}

/// Whether every value is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Nothing was cut.
    Whole,
    /// Some values were.
    Cut,
}

/// What stands around cells.
struct Lines {
    /// Left of, between and right of the cells of a row.
    cells: [&'static str; 3],
    /// The same of the lines above, below the names, and below.
    top: Option<[&'static str; 3]>,
    middle: Option<[&'static str; 3]>,
    bottom: Option<[&'static str; 3]>,
}

const OPEN: Lines = Lines { cells: ["", "  ", ""], top: None, middle: None, bottom: None };
const BOX: Lines = Lines {
    cells: ["│ ", " │ ", " │"],
    top: Some(["┌─", "─┬─", "─┐"]),
    middle: Some(["├─", "─┼─", "─┤"]),
    bottom: Some(["└─", "─┴─", "─┘"]),
};

impl Lines {
    /// The columns of a line that are not those of its cells.
    fn width(&self, cells: usize) -> usize {
        let [start, gap, end] = self.cells.map(|text| text.chars().count());
        start + gap * cells.saturating_sub(1) + end
    }
}

fn ruled(widths: &[usize], [start, gap, end]: [&str; 3]) -> String {
    let parts: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
    format!("{start}{}{end}\n", parts.join(gap))
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, align: Align) -> Self {
        Self { name: name.into(), align }
    }

    /// The column for values of a type.
    pub(crate) fn of(name: impl Into<String>, ty: Type) -> Self {
        let align = match ty {
            Type::Integer | Type::Real => Align::Right,
            Type::Boolean | Type::Timestamp | Type::Interval => Align::Left,
            Type::Text | Type::Blob => Align::Text,
        };
        Self::new(name, align)
    }
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::painted(text, Paint::new())
    }

    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint, is_null: false }
    }

    /// It as it goes to the screen, cut to that many columns, and the columns it takes.
    pub(crate) fn drawn(&self, style: Style, columns: usize) -> (String, usize) {
        let (text, width) = Shown::new(&self.text, style.ascii).fit(columns);
        (painted(style, self.paint, &text), width)
    }

    /// The columns that it takes whole.
    pub(crate) fn width(&self, style: Style) -> usize {
        Shown::new(&self.text, style.ascii).width()
    }

    /// A value of a row. NULL is dimmed, so that it differs from the text.
    pub(crate) fn of(value: &Value, zone: &TimeZone) -> Self {
        match value {
            Value::Null => Self { is_null: true, ..Self::painted("NULL", Paint::new().dimmed()) },
            Value::Text(text) => Self::new(text.as_str()),
            Value::Timestamp(micros) => Self::new(local_time(*micros, zone)),
            Value::Interval(micros) => Self::new(display_interval(*micros).replace('µ', "u")),
            Value::Integer(_) | Value::Real(_) | Value::Blob(_) | Value::Boolean(_) => Self::exact(value),
        }
    }

    /// A value as JSON has it, times in UTC.
    pub(crate) fn exact(value: &Value) -> Self {
        let json = value.to_json();
        let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        Self { is_null: json.is_null(), ..Self::new(text) }
    }

    /// A field of CSV. An empty text is quoted, so that it differs from NULL. If `safe`, a quote keeps a spreadsheet
    /// from taking the text for a formula.
    pub(crate) fn csv(&self, safe: bool) -> String {
        if self.is_null {
            return String::new();
        }
        let guard = if safe && self.text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        let shown = format!("{guard}{}", Shown::new(&self.text, false));
        let is_plain = !shown.is_empty() && shown.trim() == shown && !shown.contains([',', '"']);
        if is_plain { shown } else { format!("\"{}\"", shown.replace('"', "\"\"")) }
    }
}

/// A moment with the zone's offset, or as a number where no calendar has it.
pub(crate) fn local_time(micros: i64, zone: &TimeZone) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(
        |_| micros.to_string(),
        |moment| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.f%:z").to_string(),
    )
}

/// How far the zone is from UTC at present: said once above the times, so that a line of 80 columns has room.
pub(crate) fn offset(zone: &TimeZone) -> String {
    jiff::Timestamp::now().to_zoned(zone.clone()).strftime("%:z").to_string()
}

/// A moment to the second, without the zone's offset.
pub(crate) fn local_second(moment: Timestamp, zone: &TimeZone) -> String {
    let shown = jiff::Timestamp::from_microsecond(moment.0).map(|it| it.to_zoned(zone.clone()));
    shown.map_or_else(|_| moment.rfc3339(), |it| it.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A length of time as people say it: `4 s`, `2 h 13 m`.
pub(crate) fn lasting(micros: i64) -> String {
    let seconds = micros / MICROS_PER_SEC;
    match seconds {
        ..1 => format!("{:.1} ms", micros_as_ms(micros)),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[expect(clippy::cast_precision_loss, reason = "less than a second")]
fn micros_as_ms(micros: i64) -> f64 {
    micros as f64 / 1e3
}

/// A size as people say it: `12.3 MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(len: u64) -> String {
    let (mut size, mut units) = (len as f64, ["B", "kB", "MB", "GB", "TB"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    while size >= 1000.0
        && let Some(next) = units.next()
    {
        (size, unit) = (size / 1000.0, next);
    }
    if unit == "B" { format!("{len} B") } else { format!("{size:.1} {unit}") }
}

impl Table {
    /// Writes the table, no wider than the screen unless `--full`; CSV is always whole. JSON keeps the types and is not
    /// made from cells: [`crate::output::write_json`].
    pub(crate) fn write(
        &self,
        out: &mut dyn Write,
        form: Format,
        screen: &Screen,
        globals: &Globals,
    ) -> io::Result<Extent> {
        if form == Format::Csv {
            return self.write_csv(out, globals.csv_safe);
        }
        let lines = if form == Format::Box { &BOX } else { &OPEN };
        let natural = self.natural_widths(screen.out);
        let room = screen.width.saturating_sub(self.indent);
        let room_of_cells = room.saturating_sub(lines.width(natural.len()));
        let widths = if globals.full { Some(natural.clone()) } else { self.fit(&natural, room_of_cells) };
        let Some(widths) = widths else {
            return self.write_blocks(out, screen.out, room);
        };
        let rule = |out: &mut dyn Write, ends: Option<[&str; 3]>| match ends {
            Some(ends) => out.write_all(glyphs(screen.out, &ruled(&widths, ends)).as_bytes()),
            None => Ok(()),
        };
        rule(out, lines.top)?;
        if self.header {
            let names = self.columns.iter().map(|column| (column.name.as_str(), Paint::new().bold()));
            self.write_line(out, screen.out, lines, &widths, names)?;
            rule(out, lines.middle)?;
        }
        for row in &self.rows {
            let cells = row.iter().map(|cell| (cell.text.as_str(), cell.paint));
            self.write_line(out, screen.out, lines, &widths, cells)?;
        }
        rule(out, lines.bottom)?;
        Ok(if widths == natural { Extent::Whole } else { Extent::Cut })
    }

    fn natural_widths(&self, style: Style) -> Vec<usize> {
        let width = |text: &str| Shown::new(text, style.ascii).width();
        let mut widths: Vec<_> =
            self.columns.iter().map(|column| if self.header { width(&column.name) } else { 0 }).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        widths
    }

    /// Widths that fit in `room`, what stands between the cells aside, if text can give way so far.
    fn fit(&self, natural: &[usize], room: usize) -> Option<Vec<usize>> {
        let is_text = |at: &usize| self.columns[*at].align == Align::Text;
        let rigid: usize = (0..natural.len()).filter(|at| !is_text(at)).map(|at| natural[at]).sum();
        let mut texts: Vec<_> = (0..natural.len()).filter(is_text).collect();
        texts.sort_by_key(|at| natural[*at]);
        let least: usize = texts.iter().map(|at| natural[*at].min(TEXT_WIDTH_MIN)).sum();
        let mut rest = room.checked_sub(rigid).filter(|rest| *rest >= least)?;
        let mut widths = natural.to_vec();
        // The narrowest first: what it leaves of its share goes to the wider ones.
        for (done, at) in texts.iter().enumerate() {
            widths[*at] = natural[*at].min(rest / (texts.len() - done));
            rest -= widths[*at];
        }
        Some(widths)
    }

    fn write_line<'a>(
        &self,
        out: &mut dyn Write,
        style: Style,
        lines: &Lines,
        widths: &[usize],
        cells: impl Iterator<Item = (&'a str, Paint)>,
    ) -> io::Result<()> {
        let [start, gap, end] = lines.cells.map(|text| glyphs(style, text));
        let mut line = " ".repeat(self.indent) + &start;
        let last = self.columns.len().saturating_sub(1);
        for (at, ((text, paint), column)) in cells.zip(&self.columns).enumerate() {
            let (text, width) = Shown::new(text, style.ascii).fit(widths[at]);
            let pad = " ".repeat(widths[at] - width);
            let text = painted(style, paint, &text);
            match column.align {
                Align::Right => line.extend([pad, text]),
                Align::Left | Align::Text => line.extend([text, pad]),
            }
            if at < last {
                line.push_str(&gap);
            }
        }
        line.push_str(&end);
        line.truncate(line.trim_end().len());
        line.push('\n');
        out.write_all(line.as_bytes())
    }

    /// The rows as CSV; if `safe`, no text is one that a spreadsheet computes.
    fn write_csv(&self, out: &mut dyn Write, safe: bool) -> io::Result<Extent> {
        if self.header {
            let names = self.columns.iter().map(|column| Cell::new(column.name.as_str()).csv(safe));
            write!(out, "{}\r\n", names.collect::<Vec<_>>().join(","))?;
        }
        for row in &self.rows {
            // A number is what it looks like.
            let cells = self.columns.iter().zip(row);
            let cells = cells.map(|(column, cell)| cell.csv(safe && column.align != Align::Right));
            write!(out, "{}\r\n", cells.collect::<Vec<_>>().join(","))?;
        }
        Ok(Extent::Whole)
    }

    /// One `name  value` line per column, and a line between rows.
    fn write_blocks(&self, out: &mut dyn Write, style: Style, room: usize) -> io::Result<Extent> {
        let shown = |text| Shown::new(text, style.ascii);
        let names = self.columns.iter().map(|column| shown(&column.name).width()).max().unwrap_or(0);
        let values = room.saturating_sub(names + GAP).max(TEXT_WIDTH_MIN);
        let mut extent = Extent::Whole;
        for (at, row) in self.rows.iter().enumerate() {
            let title = format!("row {}\n", at + 1);
            out.write_all(painted(style, Paint::new().bold(), &title).as_bytes())?;
            for (column, cell) in self.columns.iter().zip(row) {
                let value = shown(&cell.text);
                let is_cut = column.align == Align::Text && value.width() > values;
                let value = if is_cut { value.fit(values).0 } else { value.to_string() };
                if is_cut {
                    extent = Extent::Cut;
                }
                let pad = " ".repeat(self.indent + names - shown(&column.name).width());
                let value = painted(style, cell.paint, &value);
                writeln!(out, "{pad}{}{}{value}", shown(&column.name), " ".repeat(GAP))?;
            }
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(width: usize, ascii: bool) -> Screen {
        let style = Style { ascii, ..Style::default() };
        let (zone, shows) = (TimeZone::UTC, crate::progress::Shows::Nothing);
        Screen { out: style, err: style, width, err_width: None, zone, shows, quiet: false, pager: None }
    }

    fn drawn(table: &Table, screen: &Screen, full: bool) -> (String, Extent) {
        drawn_as(Format::Table, table, screen, full)
    }

    fn drawn_as(form: Format, table: &Table, screen: &Screen, full: bool) -> (String, Extent) {
        let mut out = Vec::new();
        let extent = table.write(&mut out, form, screen, &Globals { full, ..Globals::default() }).unwrap();
        (String::from_utf8(out).unwrap(), extent)
    }

    #[test]
    fn csv_is_quoted_where_it_must_be_and_whole() {
        let long = "a".repeat(200);
        let mut table = processes(&[(1, "a,\"b\"", "\u{1b}x\r\ny"), (2, "", &long), (3, " x", "é")]);
        table.rows.push([Value::Integer(4), Value::Null, Value::Null].iter().map(Cell::exact).collect());
        let (text, extent) = drawn_as(Format::Csv, &table, &screen(20, true), false);
        let expected = format!(
            "pid,name,command_line\r\n1,\"a,\"\"b\"\"\",⟦\\e⟧x⟦\\r\\n⟧y\r\n2,\"\",{long}\r\n3,\" x\",é\r\n4,,\r\n"
        );
        assert_eq!((text, extent), (expected, Extent::Whole));
    }

    #[test]
    fn safe_csv_has_no_formulas() {
        let table = processes(&[(-1, "=1+1", "+x"), (2, "-x,y", "@SUM(A1)"), (3, "\tx", "\rx"), (4, "a=b", "")]);
        let mut out = Vec::new();
        table.write_csv(&mut out, true).unwrap();
        let expected = "pid,name,command_line\r\n-1,'=1+1,'+x\r\n2,\"'-x,y\",'@SUM(A1)\r\n\
                        3,'⟦\\t⟧x,'⟦\\r⟧x\r\n4,a=b,\"\"\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_box_is_even_and_no_wider_than_the_screen() {
        let table = processes(&[(7, "sh", "sh -c x"), (12345, "漢\n", "")]);
        let (text, _) = drawn_as(Format::Box, &table, &screen(80, false), false);
        let expected = "\
┌───────┬────────┬──────────────┐
│   pid │ name   │ command_line │
├───────┼────────┼──────────────┤
│     7 │ sh     │ sh -c x      │
│ 12345 │ 漢⟦\\n⟧ │              │
└───────┴────────┴──────────────┘
";
        assert_eq!(text, expected);
        let long = "a".repeat(200);
        let (text, extent) = drawn_as(Format::Box, &processes(&[(1, &long, &long)]), &screen(60, true), false);
        assert!(text.is_ascii() && text.lines().all(|line| line.len() == 60), "{text}");
        assert_eq!(extent, Extent::Cut);
    }

    fn processes(rows: &[(i64, &str, &str)]) -> Table {
        let columns = [("pid", Type::Integer), ("name", Type::Text), ("command_line", Type::Text)];
        let cells = |(pid, name, line): &(i64, &str, &str)| {
            let values = [Value::Integer(*pid), Value::Text((*name).to_owned()), Value::Text((*line).to_owned())];
            values.iter().map(|value| Cell::of(value, &TimeZone::UTC)).collect()
        };
        Table {
            columns: columns.map(|(name, ty)| Column::of(name, ty)).into(),
            rows: rows.iter().map(cells).collect(),
            header: true,
            indent: 0,
        }
    }

    #[test]
    fn numbers_stand_right_and_text_left() {
        let table = processes(&[(7, "sh", "sh -c x"), (12345, "bash", "bash")]);
        let expected = "  pid  name  command_line\n    7  sh    sh -c x\n12345  bash  bash\n";
        assert_eq!(drawn(&table, &screen(80, false), false), (expected.to_owned(), Extent::Whole));
    }

    #[test]
    fn a_hostile_name_keeps_the_columns_even() {
        let hostile = "\u{1b}[2Jx\ny漢\\xff";
        let long = "a".repeat(200);
        let table = processes(&[(1, hostile, &long), (99999, "plain", "short")]);
        let (text, extent) = drawn(&table, &screen(80, false), false);
        assert_eq!(extent, Extent::Cut);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("    1  ⟦\\e⟧[2Jx⟦\\n⟧y漢\\xff  aaa"), "{text}");
        // 漢 is two columns wide.
        assert_eq!(lines[1].chars().count() + 1, 80, "{text}");
        assert_eq!(lines[2].find("short"), Some(lines[0].find("command_line").unwrap()));
        let (ascii, _) = drawn(&table, &screen(80, true), false);
        assert!(ascii.is_ascii() && ascii.contains("[[\\u{6f22}]]") && ascii.contains("..."), "{ascii}");
        assert!(ascii.lines().all(|line| line.len() <= 80), "{ascii}");
    }

    #[test]
    fn times_and_sizes_are_said_as_people_do() {
        let second = MICROS_PER_SEC;
        for (micros, said) in [
            (0, "0.0 ms"),
            (1_500, "1.5 ms"),
            (4 * second, "4 s"),
            (125 * second, "2 m 5 s"),
            (7_980 * second, "2 h 13 m"),
            (273_600 * second, "3 d 4 h"),
        ] {
            assert_eq!(lasting(micros), said);
        }
        for (len, said) in [(999, "999 B"), (1_000, "1.0 kB"), (12_345_678, "12.3 MB")] {
            assert_eq!(bytes(len), said);
        }
    }

    #[test]
    fn full_cuts_nothing() {
        let long = "a".repeat(200);
        let (text, extent) = drawn(&processes(&[(1, "x", &long)]), &screen(40, false), true);
        assert!(text.contains(&long));
        assert_eq!(extent, Extent::Whole);
    }

    #[test]
    fn without_room_rows_become_blocks_and_numbers_stay_whole() {
        let (text, _) = drawn(&processes(&[(123_456_789, "x", "y z")]), &screen(20, false), false);
        assert_eq!(text, "row 1\n         pid  123456789\n        name  x\ncommand_line  y z\n");
    }

    #[test]
    fn values_are_written_by_type() {
        let shown = |value: Value| Cell::of(&value, &TimeZone::UTC).text;
        assert_eq!(shown(Value::Null), "NULL");
        assert_eq!(shown(Value::Real(1.0)), "1.0");
        assert_eq!(shown(Value::Boolean(true)), "true");
        assert_eq!(shown(Value::Blob(vec![0, 255])), "00ff");
        assert_eq!(shown(Value::Timestamp(1_500_000)), "1970-01-01 00:00:01.5+00:00");
        assert_eq!(shown(Value::Interval(90_000_000)), "1m 30s");
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(local_time(0, &berlin), "1970-01-01 01:00:00+01:00");
        assert_eq!(local_time(i64::MAX, &berlin), i64::MAX.to_string());
    }
}
