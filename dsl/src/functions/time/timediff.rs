//! `timediff`.

use super::calendar::Calendar;
use super::{load, moment};
use crate::functions::{Function, Takes};
use crate::types::Value;

pub(super) static TIMEDIFF: Function = Function {
    name: "timediff",
    args: &[("moment", Takes::Moment), ("other", Takes::Moment)],
    doc: "What must be added to the second moment to reach the first, as a modifier: years, months, days and time. For a \
          duration subtract TIMESTAMPs.",
    examples: &[
        ("timediff('2026-11-22', '2025-10-20 12:00')", "'+0001-01-01 12:00:00.000'"),
        ("timediff('10:00', '10:30')", "'-0000-00-00 00:30:00.000'"),
    ],
    load: |constants, _| {
        load(&constants[..1], 0)?;
        let second: [Option<&Value>; 2] = [None, constants[1]];
        load(&second, 1)
    },
    eval: |call| {
        call.text(|row| {
            let (first, second) = (moment(row.only(0), 0)?, moment(row.only(1), 0)?);
            difference(first, second)
        })
    },
    ..Function::BASE
};

fn difference(mut first: Calendar, mut second: Calendar) -> Option<String> {
    for moment in [&mut first, &mut second] {
        moment.ymd()?;
        moment.hms()?;
    }
    let forwards = first.jd()? >= second.jd()?;
    let ((year, month, _), (other_year, other_month, day)) = (first.ymd()?, second.ymd()?);
    let sign = if forwards { 1 } else { -1 };
    let mut years = sign * (year - other_year);
    let mut months = sign * (month - other_month);
    if months < 0 {
        years -= 1;
        months += 12;
    }
    let (mut at_year, mut at_month) = (year, month);
    if (year, month) != (other_year, other_month) {
        second.place((at_year, at_month, day));
    }
    // Whole months take it at most a little too far.
    while if forwards { first.jd()? < second.jd()? } else { first.jd()? > second.jd()? } {
        months -= 1;
        if months < 0 {
            months = 11;
            years -= 1;
        }
        at_month -= sign;
        if at_month < 1 {
            (at_month, at_year) = (12, at_year - 1);
        } else if at_month > 12 {
            (at_month, at_year) = (1, at_year + 1);
        }
        second.place((at_year, at_month, day));
    }
    let rest = (first.jd()? - second.jd()?).abs();
    // Days and time, counted from the start of a month.
    let mut rest = Calendar { jd: Some(rest + 148_699_540_800_000), ..Calendar::default() };
    let ((_, _, days), (hour, minute, second)) = (rest.ymd()?, rest.hms()?);
    let sign = if forwards { '+' } else { '-' };
    Some(format!("{sign}{years:04}-{months:02}-{:02} {hour:02}:{minute:02}:{second:06.3}", days - 1))
}
