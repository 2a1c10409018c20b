//! The circular and hyperbolic functions: one kind of thing, so one file.

use crate::functions::{Eval, Function, Gives, REAL};
use crate::types::Type;

const fn entry(
    name: &'static str,
    doc: &'static str,
    examples: &'static [(&'static str, &'static str)],
    eval: Eval,
) -> Function {
    Function { name, args: &[("number", REAL)], returns: Gives::One(Type::Real), doc, examples, eval, ..Function::BASE }
}

pub(super) static ACOS: Function = entry(
    "acos",
    "The angle with this cosine; NULL outside -1 to 1.",
    &[("acos(1)", "0.0"), ("acos(2)", "NULL")],
    |call| call.real(|row| Some(row.real(0).acos())),
);
pub(super) static ACOSH: Function = entry(
    "acosh",
    "The inverse hyperbolic cosine; NULL below 1.",
    &[("acosh(1)", "0.0"), ("acosh(0)", "NULL")],
    |call| call.real(|row| Some(row.real(0).acosh())),
);
pub(super) static ASIN: Function = entry(
    "asin",
    "The angle with this sine; NULL outside -1 to 1.",
    &[("asin(0)", "0.0"), ("asin(2)", "NULL")],
    |call| call.real(|row| Some(row.real(0).asin())),
);
pub(super) static ASINH: Function = entry("asinh", "The inverse hyperbolic sine.", &[("asinh(0)", "0.0")], |call| {
    call.real(|row| Some(row.real(0).asinh()))
});
pub(super) static ATAN: Function = entry("atan", "The angle with this tangent.", &[("atan(0)", "0.0")], |call| {
    call.real(|row| Some(row.real(0).atan()))
});
pub(super) static ATAN2: Function = Function {
    name: "atan2",
    args: &[("y", REAL), ("x", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The angle of the point (x, y), in the right quadrant; y comes first.",
    examples: &[("atan2(0, 1)", "0.0"), ("round(atan2(0, -1), 3)", "3.142")],
    eval: |call| call.real(|row| Some(row.real(0).atan2(row.real(1)))),
    ..Function::BASE
};
pub(super) static ATANH: Function = entry(
    "atanh",
    "The inverse hyperbolic tangent; NULL outside -1 to 1.",
    &[("atanh(0)", "0.0"), ("atanh(2)", "NULL")],
    |call| call.real(|row| Some(row.real(0).atanh())),
);
pub(super) static COS: Function = entry("cos", "The cosine of an angle in radians.", &[("cos(0)", "1.0")], |call| {
    call.real(|row| Some(row.real(0).cos()))
});
pub(super) static COSH: Function =
    entry("cosh", "The hyperbolic cosine.", &[("cosh(0)", "1.0")], |call| call.real(|row| Some(row.real(0).cosh())));
pub(super) static DEGREES: Function =
    entry("degrees", "Radians as degrees.", &[("round(degrees(pi()), 6)", "180.0")], |call| {
        call.real(|row| Some(row.real(0).to_degrees()))
    });
pub(super) static RADIANS: Function =
    entry("radians", "Degrees as radians.", &[("round(radians(180), 3)", "3.142")], |call| {
        call.real(|row| Some(row.real(0).to_radians()))
    });
pub(super) static SIN: Function = entry("sin", "The sine of an angle in radians.", &[("sin(0)", "0.0")], |call| {
    call.real(|row| Some(row.real(0).sin()))
});
pub(super) static SINH: Function =
    entry("sinh", "The hyperbolic sine.", &[("sinh(0)", "0.0")], |call| call.real(|row| Some(row.real(0).sinh())));
pub(super) static TAN: Function = entry("tan", "The tangent of an angle in radians.", &[("tan(0)", "0.0")], |call| {
    call.real(|row| Some(row.real(0).tan()))
});
pub(super) static TANH: Function =
    entry("tanh", "The hyperbolic tangent.", &[("tanh(0)", "0.0")], |call| call.real(|row| Some(row.real(0).tanh())));
