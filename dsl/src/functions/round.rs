//! `round`.

use super::{Function, by_row, integer};
use crate::types::{Type, Value};

pub(super) static ROUND: Function = Function {
    name: "round",
    args: &[Type::Real, Type::Integer],
    optional: 1,
    returns: Type::Real,
    doc: "The number rounded, halves away from zero, to that many digits after the point (0 to 30, default 0).",
    examples: &[("round(2.5)", "3.0"), ("round(-1.25, 1)", "-1.3"), ("round(7)", "7.0")],
    eval: |args| {
        by_row(args, Type::Real, |values| {
            let digits = values.get(1).map_or(0, |digits| integer(digits).clamp(0, 30));
            values[0].as_real().map_or(Value::Null, |number| Value::Real(round(number, digits)))
        })
    },
};

/// Through decimal digits, as SQLite does it: multiplying by a power of ten would round twice.
fn round(number: f64, digits: i64) -> f64 {
    // Beyond 2^52 a double has no fraction left.
    if number.abs() >= 4_503_599_627_370_496.0 {
        return number;
    }
    if digits == 0 {
        return number.round();
    }
    let digits = usize::try_from(digits).expect("clamped");
    // 15 significant digits first: 1.25 and -1.25 are halves to a person, whatever their last bit.
    let text = crate::convert::real_to_text(number.abs());
    let Some((whole, fraction)) = text.split_once('.').filter(|_| !text.contains('e')) else {
        return format!("{number:.digits$}").parse().unwrap_or(number);
    };
    if fraction.len() <= digits {
        return number;
    }
    let up = fraction.as_bytes()[digits] >= b'5';
    let kept: f64 = format!("{whole}.{}", &fraction[..digits]).parse().unwrap_or(number);
    let step = if up { format!("1e-{digits}").parse().unwrap_or(0.0) } else { 0.0 };
    let rounded: f64 = format!("{:.digits$}", kept + step).parse().unwrap_or(number);
    rounded.copysign(number)
}
