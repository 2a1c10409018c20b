//! Functions of dates and times, after SQLite's `date.c`.

mod calendar;
mod datetime;
mod modifier;
mod numbers;
mod strftime;
mod time_bucket;
mod timediff;
mod to_timestamp;

use super::call::Row;
use super::{Group, Prepared, Refusal, TEXT, Takes};
use crate::types::{Type, Value};
use calendar::Calendar;

pub(super) static TIMES: Group = Group {
    title: "Dates and times",
    doc: "A moment is a TIMESTAMP, a text such as `2026-11-22 10:30:00` or `10:30`, or a number: a Julian day, or with \
          the modifier `unixepoch` seconds since 1970. The text `'now'` and a missing moment are `now()`, the time of \
          evaluation; 'now' that comes from a row gives NULL. Modifiers apply one after the other: `-5 minutes`, \
          `+1 month`, `start of day`, `weekday 1`, `unixepoch`, `auto`, `subsec` and so on. There is no time zone here, \
          so `localtime` and `utc` are errors (DE211): add the offset, as in `'+01:00'`. To compare moments, compare \
          TIMESTAMPs: `start_time > now() - INTERVAL '5 minutes'`.",
    functions: &[
        &datetime::DATE,
        &datetime::DATETIME,
        &numbers::JULIANDAY,
        &strftime::STRFTIME,
        &datetime::TIME,
        &time_bucket::TIME_BUCKET,
        &timediff::TIMEDIFF,
        &to_timestamp::TO_TIMESTAMP,
        &to_timestamp::TO_TIMESTAMP_REAL,
        &numbers::UNIXEPOCH,
    ],
};

/// A moment and what is done to it.
const MOMENT: &[(&str, Takes)] = &[("moment", Takes::Moment), ("modifier", TEXT)];

/// The moment that the arguments from `first` on give.
fn moment(row: Row<'_>, first: usize) -> Option<Calendar> {
    let mut moment = match row.ty(first) {
        Type::Timestamp => Calendar::from_micros(row.timestamp(first)),
        Type::Text => Calendar::parse(row.text(first))?,
        _ => match crate::convert::cast(row.value(first), Type::Real) {
            Value::Real(number) => Calendar::from_number(number),
            _ => return None,
        },
    };
    for (nth, argument) in (first + 1..row.len()).enumerate() {
        modifier::apply(row.text(argument), &mut moment, nth == 0)?;
    }
    moment.settled(row.len() - first == 1)
}

/// Refuses constants that are no moment or no modifier; the moment is the argument at `first`.
fn load(constants: &[Option<&Value>], first: usize) -> Result<Prepared, Refusal> {
    for (argument, constant) in constants.iter().enumerate().skip(first) {
        let Some(text) = constant.and_then(Value::as_text) else { continue };
        let refusal = |message, help| Err(Refusal { code: "DE211", argument, message, help });
        if argument == first && Calendar::parse(text).is_none() {
            let help = "write it as '2026-11-22 10:30:00', or 'now' for the time of evaluation";
            return refusal(format!("`{text}` is not a moment"), help);
        }
        if argument == first || modifier::is_known(text) {
            continue;
        }
        if ["localtime", "utc"].iter().any(|it| text.eq_ignore_ascii_case(it)) {
            let help = "times are UTC here, as rules give one answer on every host: add the offset, as in '+01:00'";
            return refusal(format!("`{text}` needs a time zone, and rules read none"), help);
        }
        let help = "modifiers: '-5 minutes', '+1 month', 'start of day', 'weekday 1', 'unixepoch', 'auto', 'subsec', …";
        return refusal(format!("`{text}` is not a modifier of moments"), help);
    }
    Ok(Prepared::default())
}
