//! `printf` and `format`.
//!
//! SQLite's conversions (`sqlite3_str_vappendf` in its `printf.c`): flags, width and precision, `*` for either, then
//! one letter. A value of another type than the letter's is cast; a missing one is NULL.

use std::fmt::Write;

use crate::convert;
use crate::functions::call::{Growing, Row};
use crate::functions::{Function, Prepared, Refusal, TEXT, Takes};
use crate::types::{Type, Value};

const fn entry(name: &'static str, examples: &'static [(&'static str, &'static str)]) -> Function {
    Function {
        name,
        args: &[("format", TEXT), ("value", Takes::Any)],
        optional: 1,
        repeats: true,
        doc: "The format with its `%` conversions replaced by the values, as SQLite's: `%d %i %u %x %X %o %r %f %e %g \
              %c %s %z %q %Q %w %%`, flags `- + space 0 # , !`, width, precision and `*`. Width and precision of text \
              count characters (SQLite: bytes). `!` gives `%f`, `%e` and `%g` up to 19 digits instead of 16 (SQLite's 18th and \
              19th are not exact). What is wider than a result may be is NULL.",
        examples,
        load: |constants, _| match constants[0].and_then(Value::as_text).and_then(unknown_conversion) {
            None => Ok(Prepared::default()),
            Some(conversion) => Err(Refusal {
                code: "DE211",
                argument: 0,
                message: format!("`%{conversion}` is not a conversion of printf"),
                help: "conversions: %d %i %u %x %X %o %r %f %e %g %c %s %z %q %Q %w; a percent sign is written %%",
            }),
        },
        eval: |call| {
            call.with_nulls().text(|row| {
                let format = row.text_or_null(0)?;
                let mut printer = Printer { row, next: 1, out: Growing::default() };
                printer.print(format)?;
                Some(printer.out.finish())
            })
        },
        ..Function::BASE
    }
}

pub(super) static FORMAT: Function = entry("format", &[("format('%s is %d', 'pid', 7)", "'pid is 7'")]);
pub(super) static PRINTF: Function = entry(
    "printf",
    &[
        ("printf('%05d|%-4s|%.2f', 42, 'ab', 3.14159)", "'00042|ab  |3.14'"),
        ("printf('%x %,d', 255, 1234567)", "'ff 1,234,567'"),
        ("printf('%Q', 'it''s')", "'''it''''s'''"),
        ("printf('%s', NULL)", "''"),
    ],
);

const CONVERSIONS: &str = "diuxXorfeEgGcszqQwp%n";

/// The first conversion of a format that printf does not know.
fn unknown_conversion(format: &str) -> Option<char> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (spec, after) = Spec::read(&rest[at + 1..], |()| 0);
        if let Some(conversion) = spec.conversion.filter(|it| !CONVERSIONS.contains(*it)) {
            return Some(conversion);
        }
        rest = after;
    }
    None
}

/// What stands between `%` and the letter, and the letter.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of printf's")]
struct Spec {
    left: bool,
    sign: Option<char>,
    alternate: bool,
    exact: bool,
    zero: bool,
    thousands: bool,
    width: usize,
    precision: Option<usize>,
    conversion: Option<char>,
}

impl Spec {
    /// Reads a conversion whose `%` is gone; `star` gives the number for `*`.
    fn read(text: &str, mut star: impl FnMut(()) -> i64) -> (Self, &str) {
        let mut spec = Self::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '-' => spec.left = true,
                '+' | ' ' => spec.sign = Some(c),
                '#' => spec.alternate = true,
                '!' => spec.exact = true,
                '0' => spec.zero = true,
                ',' => spec.thousands = true,
                'l' => {}
                '1'..='9' => (spec.width, rest) = number(&text[text.len() - rest.len() - 1..]),
                '*' => {
                    let width = star(());
                    spec.left |= width < 0;
                    spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
                }
                '.' => {
                    if let Some(after) = rest.strip_prefix('*') {
                        rest = after;
                        spec.precision = usize::try_from(star(()).unsigned_abs()).ok();
                    } else {
                        let (precision, after) = number(rest);
                        spec.precision = Some(precision);
                        rest = after;
                    }
                }
                conversion => {
                    spec.conversion = Some(conversion);
                    break;
                }
            }
        }
        (spec, rest)
    }

    /// Spaces up to the width, on the side that the flags say.
    fn padded(&self, text: &str, out: &mut Growing) -> Option<()> {
        let missing = self.width.saturating_sub(text.chars().count());
        out.fill(' ', if self.left { 0 } else { missing })?;
        out.push(text)?;
        out.fill(' ', if self.left { missing } else { 0 })
    }
}

/// The digits at the start as a number, however many there are.
fn number(text: &str) -> (usize, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let digits = &text[..end];
    (if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) }, &text[end..])
}

struct Printer<'a> {
    row: Row<'a>,
    next: usize,
    out: Growing,
}

impl Printer<'_> {
    fn print(&mut self, format: &str) -> Option<()> {
        // A NUL ends the format for SQLite.
        let mut rest = format.split('\0').next().unwrap_or_default();
        while let Some(at) = rest.find('%') {
            self.out.push(&rest[..at])?;
            let after = &rest[at + 1..];
            if after.is_empty() {
                return self.out.push("%");
            }
            let (spec, after) = Spec::read(after, |()| integer(&self.value()));
            // An unknown conversion ends the text, as in SQLite.
            let Some(conversion) = spec.conversion.filter(|it| CONVERSIONS.contains(*it)) else { return Some(()) };
            self.convert(&spec, conversion)?;
            rest = after;
        }
        self.out.push(rest)
    }

    /// The next argument, or NULL.
    fn value(&mut self) -> Value {
        let at = self.next;
        self.next += 1;
        if at < self.row.len() { self.row.value(at) } else { Value::Null }
    }

    fn convert(&mut self, spec: &Spec, conversion: char) -> Option<()> {
        match conversion {
            '%' => spec.padded("%", &mut self.out),
            'n' => Some(()),
            'd' | 'i' | 'u' | 'r' | 'x' | 'X' | 'o' | 'p' => {
                let value = integer(&self.value());
                let text = whole(spec, conversion, value)?;
                spec.padded(&text, &mut self.out)
            }
            'f' | 'e' | 'E' | 'g' | 'G' => {
                let value = match convert::cast(self.value(), Type::Real) {
                    Value::Real(value) => value,
                    _ => 0.0,
                };
                let text = real(spec, conversion, value)?;
                spec.padded(&text, &mut self.out)
            }
            'c' => {
                let text = self.text();
                // Of no text it is a NUL, as in SQLite.
                let c = text.as_deref().and_then(|text| text.chars().next()).unwrap_or_default();
                let mut repeated = Growing::default();
                repeated.fill(c, spec.precision.unwrap_or(1).max(1))?;
                spec.padded(&repeated.finish(), &mut self.out)
            }
            _ => {
                let text = self.text();
                let shown = quoted(spec, conversion, text.as_deref())?;
                spec.padded(&shown, &mut self.out)
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        let value = self.value();
        (!value.is_null()).then(|| convert::to_text(&value)).map(|mut text| {
            text.truncate(text.find('\0').unwrap_or(text.len()));
            text
        })
    }
}

fn integer(value: &Value) -> i64 {
    match convert::cast(value.clone(), Type::Integer) {
        Value::Integer(value) => value,
        _ => 0,
    }
}

/// `%s` and `%z`; `%q`, `%Q` and `%w`, which double quotes.
fn quoted(spec: &Spec, conversion: char, text: Option<&str>) -> Option<String> {
    let quote = if conversion == 'w' { '"' } else { '\'' };
    let absent = match conversion {
        's' | 'z' => "",
        'Q' => "NULL",
        _ => "(NULL)",
    };
    let mut out = Growing::default();
    let around = if conversion == 'Q' && text.is_some() { "'" } else { "" };
    out.push(around)?;
    let cut = text.unwrap_or(absent).chars().take(spec.precision.unwrap_or(usize::MAX));
    for c in cut {
        out.fill(c, if c == quote && text.is_some() && "qQw".contains(conversion) { 2 } else { 1 })?;
    }
    out.push(around)?;
    Some(out.finish())
}

/// An integer with its sign, prefix, separators and leading zeros.
fn whole(spec: &Spec, conversion: char, value: i64) -> Option<String> {
    let signed = matches!(conversion, 'd' | 'i' | 'r');
    let magnitude = if signed { value.unsigned_abs() } else { value.cast_unsigned() };
    let (digits, prefix) = match conversion {
        'x' => (format!("{magnitude:x}"), "0x"),
        'X' | 'p' => (format!("{magnitude:X}"), "0X"),
        'o' => (format!("{magnitude:o}"), "0"),
        _ => (magnitude.to_string(), ""),
    };
    let sign = match (signed, value < 0) {
        (true, true) => Some('-'),
        (true, false) => spec.sign,
        _ => None,
    };
    let ordinal = if conversion == 'r' { ordinal(magnitude) } else { "" };
    let mut least = spec.precision.unwrap_or(0);
    if spec.zero {
        least = least.max(spec.width.saturating_sub(usize::from(sign.is_some())));
    }
    let mut zeros = Growing::default();
    zeros.fill('0', least.saturating_sub(digits.len() + ordinal.len()))?;
    let digits = format!("{}{digits}", zeros.finish());
    let separated = spec.thousands && matches!(conversion, 'd' | 'i' | 'u');
    let digits = if separated { thousands(&digits) } else { digits };
    let prefix = if spec.alternate && magnitude != 0 { prefix } else { "" };
    let mut out = Growing::default();
    for part in [prefix, sign.map(String::from).as_deref().unwrap_or_default(), &digits, ordinal] {
        out.push(part)?;
    }
    Some(out.finish())
}

fn ordinal(number: u64) -> &'static str {
    match (number % 10, number / 10 % 10) {
        (_, 1) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

fn thousands(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Digits after the point that anybody can ask for: SQLite's limit is a hundred million.
const PLACES_MAX: usize = 1_000_000;

fn real(spec: &Spec, conversion: char, value: f64) -> Option<String> {
    if value.is_infinite() && !spec.zero {
        return Some(match (value < 0.0, spec.sign) {
            (true, _) => "-Inf".to_owned(),
            (false, sign) => format!("{}Inf", sign.map(String::from).unwrap_or_default()),
        });
    }
    let mut precision = spec.precision.unwrap_or(6).min(PLACES_MAX);
    let generic = matches!(conversion, 'g' | 'G');
    if generic {
        precision = precision.max(1);
    }
    let places = i64::try_from(precision).ok()?;
    let decimal = Decimal::of(
        value,
        match conversion {
            'f' => Round::After(places),
            'g' | 'G' => Round::Digits(places),
            _ => Round::Digits(places + 1),
        },
        if spec.exact { 20 } else { 16 },
    );
    let exponent = decimal.point - 1;
    let mut scientific = matches!(conversion, 'e' | 'E');
    let mut trimmed = spec.exact;
    if generic {
        trimmed = !spec.alternate;
        scientific = exponent < -4 || exponent >= places;
        precision = usize::try_from(if scientific { places - 1 } else { places - 1 - exponent }).ok()?;
    }
    let point = if scientific { 1 } else { decimal.point };
    let mut body = decimal.spelled(point, precision, spec.thousands && !scientific)?;
    if body.contains('.') && trimmed {
        body.truncate(body.trim_end_matches('0').len());
        if body.ends_with('.') && spec.exact {
            body.push('0');
        }
        body.truncate(body.trim_end_matches('.').len());
    } else if !body.contains('.') && (spec.alternate || spec.exact) {
        body.push_str(if spec.exact { ".0" } else { "." });
    }
    if scientific {
        let letter = if conversion.is_ascii_uppercase() { 'E' } else { 'e' };
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(body, "{letter}{sign}{:02}", exponent.unsigned_abs()).expect("a String takes every write");
    }
    // `%#f` shows no minus before what was rounded to nothing.
    let vanished = spec.alternate && spec.sign.is_none() && conversion == 'f' && decimal.point <= -places;
    let sign = if value < 0.0 && !vanished { "-".to_owned() } else { spec.sign.map(String::from).unwrap_or_default() };
    let sign = if value < 0.0 && vanished { String::new() } else { sign };
    let mut out = Growing::default();
    out.push(&sign)?;
    if spec.zero && !spec.left {
        out.fill('0', spec.width.saturating_sub(sign.len() + body.len()))?;
    }
    out.push(&body)?;
    Some(out.finish())
}

#[derive(Clone, Copy)]
enum Round {
    /// To so many places after the point.
    After(i64),
    /// To so many digits in all.
    Digits(i64),
}

/// `0.DIGITS × 10^point`, the digits without zeros at the end, but at least one.
struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// The decimal digits of a number without its sign, halves rounded up, no more than `most` of them.
    fn of(value: f64, round: Round, most: i64) -> Self {
        if value == 0.0 {
            return Self { digits: vec![0], point: 1 };
        }
        // Infinity is what does not fit a double.
        let text = if value.is_infinite() { "9e999".to_owned() } else { format!("{:.18e}", value.abs()) };
        let (mantissa, exponent) = text.split_once('e').expect("this format has an exponent");
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        let mut point = exponent.parse::<i64>().expect("the exponent is a number") + 1;
        let kept = match round {
            Round::After(places) => places + point,
            Round::Digits(count) => count,
        };
        let kept = kept.min(most);
        match usize::try_from(kept) {
            Err(_) => digits = vec![0],
            Ok(kept) if kept < digits.len() => {
                let up = digits[kept] >= 5;
                digits.truncate(kept);
                if up {
                    carry(&mut digits, &mut point);
                }
            }
            Ok(_) => {}
        }
        while digits.len() > 1 && digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            digits.push(0);
        }
        Self { digits, point }
    }

    /// The digits around a point, so many after it.
    fn spelled(&self, point: i64, places: usize, separated: bool) -> Option<String> {
        let digit = |at: i64| {
            usize::try_from(at).ok().and_then(|at| self.digits.get(at)).map_or('0', |it| char::from(b'0' + it))
        };
        let whole: String = if point <= 0 { "0".to_owned() } else { (0..point).map(digit).collect() };
        let whole = if separated { thousands(&whole) } else { whole };
        let mut out = Growing::default();
        out.push(&whole)?;
        if places > 0 {
            out.push(".")?;
            let fraction: String = (0..i64::try_from(places).ok()?).map(|at| digit(point + at)).collect();
            out.push(&fraction)?;
        }
        Some(out.finish())
    }
}

/// One more in the last place.
fn carry(digits: &mut Vec<u8>, point: &mut i64) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
    *point += 1;
}
