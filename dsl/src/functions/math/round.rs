//! `round`.

use crate::functions::{Function, Gives, INTEGER, REAL};
use crate::types::Type;

pub(super) static ROUND: Function = Function {
    name: "round",
    args: &[("number", REAL), ("digits", INTEGER)],
    optional: 1,
    returns: Gives::One(Type::Real),
    doc: "The number rounded, halves away from zero, to that many digits after the point (0 to 30, default 0).",
    examples: &[("round(2.5)", "3.0"), ("round(-1.25, 1)", "-1.3"), ("round(7)", "7.0")],
    eval: |call| call.real(|row| Some(round(row.real(0), row.given_integer(1).unwrap_or(0).clamp(0, 30)))),
    ..Function::BASE
};

/// Through the exact decimal digits, as SQLite does it: multiplying by a power of ten would round twice.
fn round(number: f64, digits: i64) -> f64 {
    // Beyond 2^52 a double has no fraction left.
    if number.abs() >= 4_503_599_627_370_496.0 {
        return number;
    }
    let digits = usize::try_from(digits).expect("clamped");
    let rounded = match half(number.abs(), digits) {
        Some(below) => one_more(&below),
        None => format!("{:.digits$}", number.abs()),
    };
    rounded.parse().map_or(number, |rounded: f64| rounded.copysign(number))
}

/// The decimal below, where the number lies exactly between two: formatting would take the even one.
fn half(number: f64, digits: usize) -> Option<String> {
    // A half has one decimal digit more, so at most as many binary ones. The scaling only moves the exponent.
    let scale = i32::try_from(digits + 1).expect("a few digits");
    let exact = (number * 2f64.powi(scale)).fract() == 0.0;
    let text = exact.then(|| format!("{number:.*}", digits + 1))?;
    text.strip_suffix('5').map(|below| below.trim_end_matches('.').to_owned())
}

/// A decimal with its last digit one higher.
fn one_more(decimal: &str) -> String {
    let mut carry = true;
    let bumped = |c: char| match c {
        '9' if carry => '0',
        '0'..='8' if carry => {
            carry = false;
            char::from(c as u8 + 1)
        }
        c => c,
    };
    let mut reversed: Vec<char> = decimal.chars().rev().map(bumped).collect();
    if carry {
        reversed.push('1');
    }
    reversed.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn the_exact_number_is_rounded() {
        for (number, digits, expected) in [
            (2.5, 0, 3.0),
            (-0.5, 0, -1.0),
            (0.499_999_999_999_999_94, 0, 0.0),
            (1.25, 1, 1.3),
            (2.675, 2, 2.67),
            (1.005, 2, 1.0),
            (7.0, 2, 7.0),
            (0.125, 2, 0.13),
            (1e-7, 6, 0.0),
            (0.5, 30, 0.5),
            (1.0, 30, 1.0),
            (99.5, 0, 100.0),
            (9.995, 2, 9.99),
            (0.375, 2, 0.38),
        ] {
            assert!((round(number, digits) - expected).abs() == 0.0, "round({number}, {digits})");
        }
    }
}
