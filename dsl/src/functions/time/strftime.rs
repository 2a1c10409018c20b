//! `strftime`.

use std::fmt::Write;

use super::calendar::{Calendar, DAY};
use super::{load, moment};
use crate::convert;
use crate::functions::{Function, Refusal, TEXT, Takes};
use crate::types::Value;

pub(super) static STRFTIME: Function = Function {
    name: "strftime",
    args: &[("format", TEXT), ("moment", Takes::Moment), ("modifier", TEXT)],
    optional: 2,
    repeats: true,
    doc: "The moment in a form of one's own: `%Y %m %d %H %M %S` and, as in SQLite, `%e %f %F %G %g %I %j %J %k %l %p %P \
          %R %s %T %u %U %V %w %W %%`. Any other conversion gives NULL.",
    examples: &[
        ("strftime('%H:%M on %d.%m.%Y', '2026-11-22 10:30:00')", "'10:30 on 22.11.2026'"),
        ("strftime('%j %w %V', '2026-11-22')", "'326 0 47'"),
        ("strftime('%s', '1970-01-02')", "'86400'"),
    ],
    load: |constants, _| match constants[0].and_then(Value::as_text).and_then(unknown) {
        None => load(constants, 1),
        Some(conversion) => Err(Refusal {
            code: "DE211",
            argument: 0,
            message: format!("`%{conversion}` is not a conversion of strftime"),
            help: "conversions: %Y %m %d %H %M %S %e %f %F %G %g %I %j %J %k %l %p %P %R %s %T %u %U %V %w %W %%",
        }),
    },
    eval: |call| {
        call.text(|row| {
            let mut moment = moment(row, 1)?;
            formatted(row.text(0).split('\0').next()?, &mut moment)
        })
    },
    ..Function::BASE
};

/// The first conversion that there is not.
fn unknown(format: &str) -> Option<String> {
    let mut parts = format.split('%').skip(1);
    while let Some(part) = parts.next() {
        match part.chars().next() {
            // `%%`: the part between the two is empty, and what follows is plain.
            None => {
                if parts.next().is_none() {
                    return Some(String::new());
                }
            }
            Some(c) if !"defFgGHkIljJmMpPRsSTuUVwWY".contains(c) => return Some(c.to_string()),
            Some(_) => {}
        }
    }
    None
}

fn formatted(format: &str, moment: &mut Calendar) -> Option<String> {
    let fields = Fields::of(moment)?;
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            fields.write(chars.next()?, &mut out)?;
        } else {
            out.push(c);
        }
        // Every conversion gives a few bytes for its two.
        if out.len() > crate::limits::RESULT_LEN_MAX {
            return None;
        }
    }
    Some(out)
}

struct Fields {
    ymd: (i64, i64, i64),
    hms: (i64, i64, f64),
    jd: i64,
    unix_millis: i64,
    /// Days after January 1st.
    day_of_year: i64,
    /// Sunday is 0.
    weekday: i64,
    subsec: bool,
}

impl Fields {
    fn of(moment: &mut Calendar) -> Option<Self> {
        let jd = moment.jd()?;
        let (ymd, hms) = (moment.ymd()?, moment.hms()?);
        Some(Self {
            ymd,
            hms,
            jd,
            unix_millis: moment.unix_millis()?,
            day_of_year: days_after_new_year(ymd.0, hms, jd)?,
            weekday: (jd + 129_600_000) / DAY % 7,
            subsec: moment.subsec,
        })
    }

    /// Monday is 0.
    fn after_monday(&self) -> i64 {
        (self.weekday + 6) % 7
    }

    /// The Thursday of the same week, which decides the week's year: that year, and the day in it from 0.
    fn thursday(&self) -> Option<(i64, i64)> {
        let jd = self.jd + (3 - self.after_monday()) * DAY;
        let year = Calendar { jd: Some(jd), ..Calendar::default() }.ymd()?.0;
        Some((year, days_after_new_year(year, self.hms, jd)?))
    }

    fn write(&self, conversion: char, out: &mut String) -> Option<()> {
        let ((year, month, day), (hour, minute, second)) = (self.ymd, self.hms);
        let half = if hour % 12 == 0 { 12 } else { hour % 12 };
        let whole = convert::saturate(second);
        let written = match conversion {
            'd' => write!(out, "{day:02}"),
            'e' => write!(out, "{day:2}"),
            'f' => write!(out, "{second:06.3}"),
            'F' => write!(out, "{year:04}-{month:02}-{day:02}"),
            'g' => write!(out, "{:02}", self.thursday()?.0 % 100),
            'G' => write!(out, "{:04}", self.thursday()?.0),
            'H' => write!(out, "{hour:02}"),
            'k' => write!(out, "{hour:2}"),
            'I' => write!(out, "{half:02}"),
            'l' => write!(out, "{half:2}"),
            'j' => write!(out, "{:03}", self.day_of_year + 1),
            'J' => write!(out, "{}", julian(self.jd)),
            'm' => write!(out, "{month:02}"),
            'M' => write!(out, "{minute:02}"),
            'p' => write!(out, "{}", if hour >= 12 { "PM" } else { "AM" }),
            'P' => write!(out, "{}", if hour >= 12 { "pm" } else { "am" }),
            'R' => write!(out, "{hour:02}:{minute:02}"),
            's' if self.subsec => {
                let sign = if self.unix_millis < 0 { "-" } else { "" };
                let millis = self.unix_millis.unsigned_abs();
                write!(out, "{sign}{}.{:03}", millis / 1000, millis % 1000)
            }
            's' => write!(out, "{}", self.unix_millis.div_euclid(1000)),
            'S' => write!(out, "{whole:02}"),
            'T' => write!(out, "{hour:02}:{minute:02}:{whole:02}"),
            'u' => write!(out, "{}", if self.weekday == 0 { 7 } else { self.weekday }),
            'w' => write!(out, "{}", self.weekday),
            'U' => write!(out, "{:02}", (self.day_of_year - self.weekday + 7) / 7),
            'V' => write!(out, "{:02}", self.thursday()?.1 / 7 + 1),
            'W' => write!(out, "{:02}", (self.day_of_year - self.after_monday() + 7) / 7),
            'Y' => write!(out, "{year:04}"),
            '%' => write!(out, "%"),
            _ => return None,
        };
        written.ok()
    }
}

fn days_after_new_year(year: i64, hms: (i64, i64, f64), jd: i64) -> Option<i64> {
    let new_year = Calendar { ymd: Some((year, 1, 1)), hms: Some(hms), ..Calendar::default() }.jd()?;
    Some((jd - new_year + DAY / 2) / DAY)
}

/// A Julian day with 16 digits at most.
fn julian(jd: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "exact: less than 2^53")]
    let days = jd as f64 / 86_400_000.0;
    let rounded = format!("{days:.15e}").parse().unwrap_or(days);
    let text = convert::real_to_text(rounded);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
