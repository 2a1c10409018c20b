//! `julianday` and `unixepoch`.

use super::{MOMENT, load, moment};
use crate::functions::{Function, Gives};
use crate::types::Type;

pub(super) static JULIANDAY: Function = Function {
    name: "julianday",
    args: MOMENT,
    optional: 2,
    repeats: true,
    returns: Gives::One(Type::Real),
    doc: "The moment in days since noon in Greenwich on November 24th, 4714 BC.",
    examples: &[("julianday('2000-01-01 12:00')", "2451545.0"), ("julianday('x' || '')", "NULL")],
    load: |constants, _| load(constants, 0),
    eval: |call| {
        call.real(|row| {
            #[expect(clippy::cast_precision_loss, reason = "exact: less than 2^53")]
            let millis = moment(row, 0)?.jd()? as f64;
            Some(millis / 86_400_000.0)
        })
    },
};

pub(super) static UNIXEPOCH: Function = Function {
    name: "unixepoch",
    args: MOMENT,
    optional: 2,
    repeats: true,
    returns: Gives::One(Type::Integer),
    doc: "The moment in whole seconds since 1970; fractions are dropped also with `subsec`, which in SQLite changes the \
          type. For those subtract TIMESTAMPs, or use `julianday`.",
    examples: &[
        ("unixepoch('2026-11-22 10:30:00')", "1795343400"),
        ("unixepoch(TIMESTAMP '1970-01-01T00:00:01.5Z')", "1"),
    ],
    load: |constants, _| load(constants, 0),
    // SQLite drops the fraction before it subtracts, so that it is dropped downwards.
    eval: |call| call.integer(|row| Some(moment(row, 0)?.unix_millis()?.div_euclid(1000))),
};
