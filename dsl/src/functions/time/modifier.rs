//! The modifiers of a moment: `-5 minutes`, `start of month`, `weekday 1` and the others.

use super::calendar::{Calendar, DAY, Digits, is_space};
use crate::convert;
use crate::types::Value;

/// Applies a modifier; nothing if it is none, or none for such a moment. Some must come first.
pub(super) fn apply(text: &str, moment: &mut Calendar, first: bool) -> Option<()> {
    let text = text.split('\0').next().unwrap_or_default();
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "auto" => first.then(|| adjust(moment)),
        "julianday" => {
            let is_day = first && moment.jd.is_some() && moment.raw.is_some();
            is_day.then(|| moment.raw = None)
        }
        "unixepoch" => {
            let seconds = moment.raw.filter(|_| first)?;
            let in_range = (-210_866_760_000.0..253_402_300_800.0).contains(&seconds);
            in_range.then(|| moment.count_seconds(seconds))
        }
        "ceiling" => settle(moment, 0),
        "floor" => settle(moment, -moment.excess * DAY),
        "subsec" | "subsecond" => {
            moment.subsec = true;
            Some(())
        }
        _ => {
            if let Some(unit) = lower.strip_prefix("start of ") {
                return start_of(unit, moment);
            }
            if let Some(unit) = lower.strip_prefix("end of ") {
                return end_of(unit, moment);
            }
            if let Some(day) = lower.strip_prefix("weekday ") {
                return weekday(day, moment);
            }
            lower.starts_with(|c: char| matches!(c, '+' | '-' | '0'..='9')).then(|| shift(&lower, moment))?
        }
    }
}

/// Whether there is a moment for which it is a modifier.
pub(super) fn is_known(text: &str) -> bool {
    let on = |mut moment: Calendar| apply(text, &mut moment, true).is_some();
    on(Calendar::from_micros(0)) || on(Calendar::from_number(0.0))
}

/// A number that is no Julian day counts seconds.
fn adjust(moment: &mut Calendar) {
    match moment.raw.filter(|_| moment.jd.is_none()) {
        None => moment.raw = None,
        Some(seconds) if (-210_866_760_000.0..=253_402_300_799.0).contains(&seconds) => moment.count_seconds(seconds),
        Some(_) => {}
    }
}

/// Moves, and brings the date into its month.
fn settle(moment: &mut Calendar, millis: i64) -> Option<()> {
    moment.shift(millis)?;
    moment.forget_civil();
    if millis == 0 {
        moment.excess = 0;
    }
    Some(())
}

fn is_dated(moment: &Calendar) -> bool {
    moment.jd.is_some() || moment.ymd.is_some() || moment.hms.is_some()
}

fn set(moment: &mut Calendar, ymd: (i64, i64, i64), hms: (i64, i64, f64)) {
    moment.ymd = Some(ymd);
    moment.hms = Some(hms);
    moment.raw = None;
    moment.offset = 0;
    moment.jd = None;
}

fn start_of(unit: &str, moment: &mut Calendar) -> Option<()> {
    let (year, month, day) = if is_dated(moment) { moment.ymd()? } else { return None };
    let ymd = match unit {
        "day" => (year, month, day),
        "month" => (year, month, 1),
        "year" => (year, 1, 1),
        _ => return None,
    };
    set(moment, ymd, (0, 0, 0.0));
    Some(())
}

fn end_of(unit: &str, moment: &mut Calendar) -> Option<()> {
    let (year, month, day) = if is_dated(moment) { moment.ymd()? } else { return None };
    let last = (23, 59, 59.999);
    match unit {
        "day" => set(moment, (year, month, day), last),
        "year" => set(moment, (year, 12, 31), last),
        "month" => {
            let next = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            set(moment, next, last);
            moment.measure_excess();
            moment.shift(-DAY)?;
            moment.forget_civil();
        }
        _ => return None,
    }
    Some(())
}

/// The next such day of the week, or with a minus the one before; today if it is one.
fn weekday(day: &str, moment: &mut Calendar) -> Option<()> {
    let number = number(day)?;
    if !(-6.0..=6.0).contains(&number) || number.fract() != 0.0 {
        return None;
    }
    let wanted = convert::saturate(number.abs());
    moment.make_civil()?;
    moment.offset = 0;
    let today = (moment.jd()? + 129_600_000) / DAY % 7;
    if today != wanted {
        let ahead = (wanted - today).rem_euclid(7);
        moment.shift((if day.contains('-') { ahead - 7 } else { ahead }) * DAY)?;
    }
    moment.forget_civil();
    Some(())
}

fn number(text: &str) -> Option<f64> {
    match convert::numeric(text)? {
        #[expect(clippy::cast_precision_loss, reason = "a modifier's number is a REAL, as in SQLite")]
        Value::Integer(number) => Some(number as f64),
        Value::Real(number) => Some(number),
        _ => None,
    }
}

/// `+1 day`, `-00:30`, `+0001-02-03 04:05`.
fn shift(text: &str, moment: &mut Calendar) -> Option<()> {
    let end = (1..text.len()).find(|at| ends_number(text, *at)).unwrap_or(text.len());
    if !text.is_char_boundary(end) {
        return None;
    }
    let count = number(&text[..end])?;
    let rest = &text[end..];
    if rest.starts_with('-') {
        return shift_by_date(text, moment);
    }
    if rest.starts_with(':') {
        let time = text.strip_prefix(['+', '-']).unwrap_or(text);
        return shift_by_time(time, text.starts_with('-'), moment);
    }
    shift_by_units(count, rest.trim_start_matches(is_space), moment)
}

fn ends_number(text: &str, at: usize) -> bool {
    let byte = text.as_bytes()[at];
    let year = |len| Digits(&text[1..]).number(len, 0..=14_712).is_some();
    byte == b':' || is_space(char::from(byte)) || byte == b'-' && (at == 5 && year(4) || at == 6 && year(5))
}

/// Years, months and days, then hours and minutes if they follow.
fn shift_by_date(text: &str, moment: &mut Calendar) -> Option<()> {
    let backwards = text.starts_with('-');
    let mut digits = Digits(text.strip_prefix(['+', '-'])?);
    let years = if text.as_bytes().get(5) == Some(&b'-') { 4 } else { 5 };
    let by_years = digits.number(years, 0..=14_712)?;
    let (by_months, by_days) = (digits.then('-')?.number(2, 0..=11)?, digits.then('-')?.number(2, 0..=30)?);
    let (year, month, day) = moment.make_civil()?;
    let sign = if backwards { -1 } else { 1 };
    moment.ymd = Some(in_year(year + sign * by_years, month + sign * by_months, day));
    moment.measure_excess();
    moment.jd()?;
    moment.ymd = None;
    moment.hms = None;
    moment.shift(sign * by_days * DAY)?;
    if digits.0.is_empty() {
        return Some(());
    }
    let time = digits.0.strip_prefix(is_space)?;
    shift_by_time(time, backwards, moment)
}

fn shift_by_time(text: &str, backwards: bool, moment: &mut Calendar) -> Option<()> {
    let since_noon = Calendar::parse_time(text)?.jd()? - DAY / 2;
    let millis = since_noon % DAY;
    moment.jd()?;
    moment.forget_civil();
    moment.shift(if backwards { -millis } else { millis })
}

fn shift_by_units(count: f64, unit: &str, moment: &mut Calendar) -> Option<()> {
    // Units with their milliseconds and the greatest count: SQLite's table, whose floats have 24 bits.
    const UNITS: [(&str, f32, f32); 6] = [
        ("second", 4.6427e14, 1.0),
        ("minute", 7.7379e12, 60.0),
        ("hour", 1.2897e11, 3_600.0),
        ("day", 5_373_485.0, 86_400.0),
        ("month", 176_546.0, 2_592_000.0),
        ("year", 14_713.0, 31_536_000.0),
    ];
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let (name, limit, seconds) = UNITS.into_iter().find(|(name, ..)| *name == unit)?;
    if count.abs() >= f64::from(limit) {
        return None;
    }
    moment.jd()?;
    moment.excess = 0;
    let mut rest = count;
    if matches!(name, "month" | "year") {
        let whole = convert::saturate(count);
        let (year, month, day) = moment.make_civil()?;
        moment.ymd = Some(if name == "month" { in_year(year, month + whole, day) } else { (year + whole, month, day) });
        moment.measure_excess();
        rest = count.fract();
    }
    let rounding = if count < 0.0 { -0.5 } else { 0.5 };
    moment.jd()?;
    moment.shift(convert::saturate(rest * 1000.0 * f64::from(seconds) + rounding))?;
    moment.forget_civil();
    Some(())
}

/// The same date with a month from 1 to 12.
fn in_year(year: i64, month: i64, day: i64) -> (i64, i64, i64) {
    (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1, day)
}
