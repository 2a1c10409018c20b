//! `to_timestamp`.

use crate::convert;
use crate::functions::{Function, Gives, INTEGER, REAL};
use crate::types::{MICROS_PER_SEC, Type};

pub(super) static TO_TIMESTAMP: Function = Function {
    name: "to_timestamp",
    args: &[("seconds", INTEGER)],
    returns: Gives::One(Type::Timestamp),
    doc: "The TIMESTAMP so many seconds after 1970.",
    examples: &[("to_timestamp(1700000000)", "TIMESTAMP '2023-11-14T22:13:20Z'")],
    eval: |call| call.timestamp(|row| row.integer(0).checked_mul(MICROS_PER_SEC)),
    ..Function::BASE
};

pub(super) static TO_TIMESTAMP_REAL: Function = Function {
    name: "to_timestamp",
    args: &[("seconds", REAL)],
    returns: Gives::One(Type::Timestamp),
    doc: "The same with fractions, to the microsecond.",
    examples: &[("to_timestamp(0.5)", "TIMESTAMP '1970-01-01T00:00:00.5Z'"), ("to_timestamp(1e300)", "NULL")],
    eval: |call| {
        call.timestamp(|row| {
            let micros = (row.real(0) * 1e6).round();
            (micros.abs() < 9.2e18).then(|| convert::saturate(micros))
        })
    },
    ..Function::BASE
};
