//! `date`, `time` and `datetime`.

use super::{MOMENT, load, moment};
use crate::convert;
use crate::functions::Function;

pub(super) static DATE: Function = Function {
    name: "date",
    args: MOMENT,
    optional: 2,
    repeats: true,
    doc: "The date of the moment, `YYYY-MM-DD`.",
    examples: &[
        ("date('2026-11-22 10:30:00', '+1 month')", "'2026-12-22'"),
        ("date('2026-11-22', 'weekday 1')", "'2026-11-23'"),
        ("date(TIMESTAMP '2026-11-22T23:30:00-01:00')", "'2026-11-23'"),
        ("date('now') = date(now())", "TRUE"),
    ],
    load: |constants, _| load(constants, 0),
    eval: |call| call.text(|row| Some(date_of(moment(row, 0)?.ymd()?))),
    ..Function::BASE
};

pub(super) static TIME: Function = Function {
    name: "time",
    args: MOMENT,
    optional: 2,
    repeats: true,
    doc: "The time of day of the moment, `HH:MM:SS`, with `subsec` `HH:MM:SS.SSS`.",
    examples: &[
        ("time('2026-11-22 10:30', '-45 minutes')", "'09:45:00'"),
        ("time('10:30:00.25', 'subsec')", "'10:30:00.250'"),
    ],
    load: |constants, _| load(constants, 0),
    eval: |call| {
        call.text(|row| {
            let mut moment = moment(row, 0)?;
            Some(time_of(moment.hms()?, moment.subsec))
        })
    },
    ..Function::BASE
};

pub(super) static DATETIME: Function = Function {
    name: "datetime",
    args: MOMENT,
    optional: 2,
    repeats: true,
    doc: "Date and time of the moment, `YYYY-MM-DD HH:MM:SS`, with `subsec` to the millisecond.",
    examples: &[
        ("datetime(1700000000, 'unixepoch')", "'2023-11-14 22:13:20'"),
        ("datetime('2026-11-22 10:30', 'start of day')", "'2026-11-22 00:00:00'"),
        ("datetime('2026-01-31', '+1 month')", "'2026-03-03 00:00:00'"),
        ("datetime(NULL)", "NULL"),
    ],
    load: |constants, _| load(constants, 0),
    eval: |call| {
        call.text(|row| {
            let mut moment = moment(row, 0)?;
            let date = date_of(moment.ymd()?);
            Some(format!("{date} {}", time_of(moment.hms()?, moment.subsec)))
        })
    },
    ..Function::BASE
};

fn date_of((year, month, day): (i64, i64, i64)) -> String {
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

fn time_of((hour, minute, second): (i64, i64, f64), subsec: bool) -> String {
    let millis = convert::saturate(second * 1000.0 + 0.5);
    if subsec {
        return format!("{hour:02}:{minute:02}:{:02}.{:03}", millis / 1000, millis % 1000);
    }
    format!("{hour:02}:{minute:02}:{:02}", convert::saturate(second))
}
