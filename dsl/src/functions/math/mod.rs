//! Functions of numbers.

mod abs;
mod ceil;
mod exp;
mod floor;
mod ln;
mod log;
mod log10;
mod log2;
mod modulo;
mod pi;
mod pow;
mod round;
mod sign;
mod sqrt;
mod trigonometry;
mod trunc;

use super::Group;

pub(super) static NUMBERS: Group = Group {
    title: "Numbers",
    doc: "What has no real result, or none that fits, is NULL. Angles are in radians.",
    functions: &[
        &abs::ABS,
        &abs::ABS_REAL,
        &trigonometry::ACOS,
        &trigonometry::ACOSH,
        &trigonometry::ASIN,
        &trigonometry::ASINH,
        &trigonometry::ATAN,
        &trigonometry::ATAN2,
        &trigonometry::ATANH,
        &ceil::CEIL,
        &ceil::CEIL_REAL,
        &ceil::CEILING,
        &ceil::CEILING_REAL,
        &trigonometry::COS,
        &trigonometry::COSH,
        &trigonometry::DEGREES,
        &exp::EXP,
        &floor::FLOOR,
        &floor::FLOOR_REAL,
        &ln::LN,
        &log::LOG,
        &log::LOG_BASE,
        &log10::LOG10,
        &log2::LOG2,
        &modulo::MOD,
        &pi::PI_NUMBER,
        &pow::POW,
        &pow::POWER,
        &trigonometry::RADIANS,
        &round::ROUND,
        &sign::SIGN,
        &trigonometry::SIN,
        &trigonometry::SINH,
        &sqrt::SQRT,
        &trigonometry::TAN,
        &trigonometry::TANH,
        &trunc::TRUNC,
        &trunc::TRUNC_REAL,
    ],
};
