//! A moment as SQLite computes with it: a Julian day number in milliseconds, a civil date and time, or both.
//!
//! The two are made from each other when they are asked for, which is where SQLite's answers for days such as
//! February 31st come from; so the order of the steps is SQLite's, too.

use crate::convert;
use crate::types::Value;

/// Milliseconds from the Julian day 0 to 1970.
const EPOCH_JD: i64 = 210_866_760_000_000;
/// The last millisecond of the year 9999.
const JD_MAX: i64 = 464_269_060_799_999;
pub(super) const DAY: i64 = 86_400_000;
const HALF_DAY: i64 = DAY / 2;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calendar {
    /// Milliseconds since the Julian day 0.
    pub(super) jd: Option<i64>,
    /// Year, month and day.
    pub(super) ymd: Option<(i64, i64, i64)>,
    /// Hour, minute and second.
    pub(super) hms: Option<(i64, i64, f64)>,
    /// Minutes to the east of UTC.
    pub(super) offset: i64,
    /// The number that it was given as, until it is known what it counts.
    pub(super) raw: Option<f64>,
    /// Days by which the day of the month lies beyond its end.
    pub(super) excess: i64,
    /// Whether fractions of a second are shown.
    pub(super) subsec: bool,
}

impl Calendar {
    pub(super) fn from_micros(micros: i64) -> Self {
        Self { jd: Some(micros.div_euclid(1000) + EPOCH_JD), ..Self::default() }
    }

    /// A Julian day, if it can be one.
    pub(super) fn from_number(number: f64) -> Self {
        let day = (0.0..5_373_484.5).contains(&number).then(|| convert::saturate(number * 86_400_000.0 + 0.5));
        Self { jd: day, raw: Some(number), ..Self::default() }
    }

    /// Reads a date, a time, both, or a number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A NUL ends the text for SQLite.
        let text = text.split('\0').next().unwrap_or_default();
        let number = || match convert::numeric(text)? {
            #[expect(clippy::cast_precision_loss, reason = "a moment is a REAL here, as in SQLite")]
            Value::Integer(number) => Some(Self::from_number(number as f64)),
            Value::Real(number) => Some(Self::from_number(number)),
            _ => None,
        };
        Self::parse_date(text).or_else(|| Self::parse_time(text)).or_else(number)
    }

    /// `YYYY-MM-DD`, and a time if one follows.
    fn parse_date(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let mut digits = Digits(text);
        let (mut year, mut month, mut day) =
            (digits.number(4, 0..=9999)?, digits.then('-')?.number(2, 1..=12)?, digits.then('-')?.number(2, 1..=31)?);
        let rest = digits.0.trim_start_matches(|c: char| is_space(c) || c == 'T');
        let mut parsed = Self::default();
        if !rest.is_empty() {
            parsed = Self::parse_time(rest)?;
        }
        if let Some((hour @ 24, ..)) = &mut parsed.hms {
            *hour = 0;
            day += 1;
            let last = days_of_month(year, month);
            if day > last {
                day -= last;
                month += 1;
            }
            if month > 12 {
                month = 1;
                year += 1;
            }
        }
        parsed.ymd = Some((if negative { -year } else { year }, month, day));
        parsed.measure_excess();
        if parsed.offset != 0 {
            parsed.jd()?;
        }
        Some(parsed)
    }

    /// `HH:MM[:SS[.SSS]]`, and an offset if one follows.
    pub(super) fn parse_time(text: &str) -> Option<Self> {
        let mut digits = Digits(text);
        let (hour, minute) = (digits.number(2, 0..=24)?, digits.then(':')?.number(2, 0..=59)?);
        let (mut second, mut fraction) = (0, 0.0);
        if digits.then(':').is_some() {
            second = digits.number(2, 0..=59)?;
            let after = digits.0.strip_prefix('.').unwrap_or_default();
            let len = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if len > 0 {
                let mut scale = 1.0;
                for digit in after[..len].bytes() {
                    fraction = fraction * 10.0 + f64::from(digit - b'0');
                    scale *= 10.0;
                }
                fraction /= scale;
                // More digits than a double holds are no number any more.
                fraction = if fraction > 0.999 || !fraction.is_finite() { 0.999 } else { fraction };
                digits.0 = &after[len..];
            }
        }
        if hour == 24 && (minute != 0 || second != 0 || fraction != 0.0) {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "less than 60")]
        let hms = (hour, minute, second as f64 + fraction);
        Some(Self { hms: Some(hms), offset: offset(digits.0)?, ..Self::default() })
    }

    /// The Julian day; nothing where the date lies outside what SQLite counts.
    pub(super) fn jd(&mut self) -> Option<i64> {
        if let Some(jd) = self.jd {
            return Some(jd);
        }
        let (mut year, mut month, mut day) = self.ymd.unwrap_or((2000, 1, 1));
        if self.ymd.is_none()
            && let Some((hour @ 24, ..)) = &mut self.hms
        {
            *hour = 0;
            day = 2;
        }
        if !(-4713..=9999).contains(&year) || self.raw.is_some() {
            return None;
        }
        if month <= 2 {
            year -= 1;
            month += 12;
        }
        let century = (year + 4800) / 100;
        let leap = 38 - century + century / 4;
        let days = 36_525 * (year + 4716) / 100 + 306_001 * (month + 1) / 10_000 + day + leap;
        let mut jd = days * DAY - 131_716_800_000;
        if let Some((hour, minute, second)) = self.hms {
            jd += hour * 3_600_000 + minute * 60_000 + convert::saturate(second * 1000.0 + 0.5);
            if self.offset != 0 {
                jd -= self.offset * 60_000;
                self.forget_civil();
            }
        }
        self.jd = Some(jd);
        self.jd
    }

    /// Year, month and day.
    pub(super) fn ymd(&mut self) -> Option<(i64, i64, i64)> {
        if self.ymd.is_none() {
            self.ymd = Some(match self.jd {
                None => (2000, 1, 1),
                Some(jd) if (0..=JD_MAX).contains(&jd) => civil(jd),
                Some(_) => return None,
            });
        }
        self.ymd
    }

    /// Hour, minute and second.
    pub(super) fn hms(&mut self) -> Option<(i64, i64, f64)> {
        if self.hms.is_none() {
            let in_day = (self.jd()? + HALF_DAY).rem_euclid(DAY);
            #[expect(clippy::cast_precision_loss, reason = "less than 60,000")]
            let second = (in_day % 60_000) as f64 / 1000.0;
            self.raw = None;
            self.hms = Some((in_day / 3_600_000, in_day / 60_000 % 60, second));
        }
        self.hms
    }

    /// Date and time as numbers that may be changed, the Julian day forgotten.
    pub(super) fn make_civil(&mut self) -> Option<(i64, i64, i64)> {
        let ymd = self.ymd()?;
        self.hms()?;
        self.jd = None;
        Some(ymd)
    }

    /// Another date with the same time of day.
    pub(super) fn place(&mut self, ymd: (i64, i64, i64)) {
        self.ymd = Some(ymd);
        self.jd = None;
    }

    pub(super) fn forget_civil(&mut self) {
        self.ymd = None;
        self.hms = None;
        self.offset = 0;
    }

    /// Notes by how many days the date lies beyond the end of its month.
    pub(super) fn measure_excess(&mut self) {
        if let Some((year, month, day)) = self.ymd {
            self.excess = (day - days_of_month(year, month)).max(0);
        }
    }

    /// Moves by so many milliseconds.
    pub(super) fn shift(&mut self, millis: i64) -> Option<()> {
        self.jd = Some(self.jd()?.checked_add(millis)?);
        Some(())
    }

    /// With its Julian day, if that is one SQLite counts. A bare date is brought into its month.
    pub(super) fn settled(mut self, bare: bool) -> Option<Self> {
        let jd = self.jd()?;
        if bare && self.ymd.is_some_and(|(.., day)| day > 28) {
            self.ymd = None;
        }
        (0..=JD_MAX).contains(&jd).then_some(self)
    }

    /// Milliseconds since 1970.
    pub(super) fn unix_millis(&mut self) -> Option<i64> {
        Some(self.jd()? - EPOCH_JD)
    }

    /// Takes the number that it was given as for seconds since 1970.
    pub(super) fn count_seconds(&mut self, seconds: f64) {
        self.forget_civil();
        #[expect(clippy::cast_precision_loss, reason = "exact: less than 2^53")]
        let millis = seconds * 1000.0 + EPOCH_JD as f64;
        self.jd = Some(convert::saturate(millis + 0.5));
        self.raw = None;
    }
}

/// The civil date of a Julian day (Meeus).
fn civil(jd: i64) -> (i64, i64, i64) {
    #[expect(clippy::cast_precision_loss, reason = "a number of days")]
    let (float, whole) = (|value: i64| value as f64, convert::saturate);
    let day = (jd + HALF_DAY) / DAY;
    let alpha = whole((float(day) + 32_044.75) / 36_524.25) - 52;
    let gregorian = day + 1 + alpha - (alpha + 100) / 4 + 25 + 1524;
    let years = whole((float(gregorian) - 122.1) / 365.25);
    let in_year = gregorian - 36_525 * (years & 32_767) / 100;
    let months = whole(float(in_year) / 30.6001);
    let month = if months < 14 { months - 1 } else { months - 13 };
    (if month > 2 { years - 4716 } else { years - 4715 }, month, in_year - whole(30.6001 * float(months)))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `+HH:MM`, `Z`, or nothing, in minutes.
fn offset(text: &str) -> Option<i64> {
    let text = text.trim_matches(is_space);
    let (sign, rest) = match text.chars().next() {
        None => return Some(0),
        Some('Z' | 'z') => return (text.len() == 1).then_some(0),
        Some('+') => (1, &text[1..]),
        Some('-') => (-1, &text[1..]),
        Some(_) => return None,
    };
    let mut digits = Digits(rest);
    let (hours, minutes) = (digits.number(2, 0..=14)?, digits.then(':')?.number(2, 0..=59)?);
    digits.0.is_empty().then_some(sign * (hours * 60 + minutes))
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Text that is read from its start.
pub(super) struct Digits<'a>(pub(super) &'a str);

impl Digits<'_> {
    /// Exactly so many digits, as a number within bounds.
    pub(super) fn number(&mut self, len: usize, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let digits = self.0.get(..len).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        let number = digits.parse().ok().filter(|number| bounds.contains(number))?;
        self.0 = &self.0[len..];
        Some(number)
    }

    /// Steps over a character that must stand next.
    pub(super) fn then(&mut self, c: char) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(c)?;
        Some(self)
    }
}
