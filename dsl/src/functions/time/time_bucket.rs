//! `time_bucket`.

use crate::functions::{Function, Gives, Takes};
use crate::types::Type;

pub(super) static TIME_BUCKET: Function = Function {
    name: "time_bucket",
    args: &[("width", Takes::One(Type::Interval)), ("moment", Takes::One(Type::Timestamp))],
    returns: Gives::One(Type::Timestamp),
    doc: "The start of the stretch of that width, counted from 1970, in which the moment lies; NULL for a width of 0 or \
          less. Group by it to count per minute or hour.",
    examples: &[
        ("time_bucket(INTERVAL '5 minutes', TIMESTAMP '2026-11-22T10:33:20Z')", "TIMESTAMP '2026-11-22T10:30:00Z'"),
        ("time_bucket(INTERVAL '0 seconds', now())", "NULL"),
    ],
    eval: |call| {
        call.timestamp(|row| {
            let (width, moment) = (row.interval(0), row.timestamp(1));
            (width > 0).then(|| moment.checked_sub(moment.rem_euclid(width)))?
        })
    },
    ..Function::BASE
};
