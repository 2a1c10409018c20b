//! The sum of doubles, exactly: it depends on the numbers alone, not on their order, and what was added can be taken
//! away again.
//!
//! A fixed-point number as wide as the range of doubles, in digits of 32 bits with room for carries (a "small
//! superaccumulator": Neal, "Fast exact summation using small and large superaccumulators", 2015). The sum is rounded
//! once, to the nearest double.

/// Digits of 32 bits from 2^-1074 on; the greatest double ends below 2^1024, and the rest is for carries.
const DIGITS: usize = 68;
/// Additions after which carries are carried: each adds less than 2^32 to a digit of 63 bits.
const CARRY_AFTER: u64 = 1 << 29;
/// So few at a time that their product with a digit fits.
const MANY: i64 = 1 << 20;
/// The exponent of the lowest digit.
const LOWEST: i32 = -1074;

/// A sum in the making.
#[derive(Clone, Debug)]
pub(crate) struct ExactSum {
    digits: Box<[i64; DIGITS]>,
    /// Additions since the carries were last carried.
    added: u64,
    /// How often each infinity is in it.
    infinite: [i64; 2],
}

impl ExactSum {
    /// Nothing added.
    pub(crate) fn new() -> Self {
        Self { digits: Box::new([0; DIGITS]), added: 0, infinite: [0; 2] }
    }

    /// Adds the number so often; takes it away where `times` is below 0. It is not NaN.
    pub(crate) fn add(&mut self, number: f64, times: i64) {
        if number.is_infinite() {
            self.infinite[usize::from(number < 0.0)] += times;
            return;
        }
        if times.abs() > MANY {
            let (whole, rest) = (times / MANY, times % MANY);
            (0..whole.abs()).for_each(|_| self.add(number, MANY * whole.signum()));
            return self.add(number, rest);
        }
        let bits = number.to_bits();
        let exponent = (bits >> 52) & 0x7ff;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, place) = if exponent == 0 {
            (fraction, 0)
        } else {
            (fraction | (1 << 52), usize::try_from(exponent).unwrap_or(0) - 1)
        };
        let shifted = u128::from(mantissa) << (place % 32);
        let signed = if number.is_sign_negative() { -times } else { times };
        for at in 0..3 {
            let digit = i64::try_from((shifted >> (32 * at)) & 0xffff_ffff).unwrap_or(0);
            self.digits[place / 32 + at] += digit * signed;
        }
        self.added += signed.unsigned_abs();
        if self.added >= CARRY_AFTER {
            carry(&mut self.digits);
            self.added = 0;
        }
    }

    /// The nearest double; infinite or NaN as its parts make it.
    pub(crate) fn value(&self) -> f64 {
        match self.infinite.map(|times| times > 0) {
            [true, true] => return f64::NAN,
            [true, false] => return f64::INFINITY,
            [false, true] => return f64::NEG_INFINITY,
            [false, false] => {}
        }
        let mut digits = self.digits.clone();
        carry(&mut digits);
        // After carrying, only the highest digit has a sign: the number's.
        let negative = digits[DIGITS - 1] < 0;
        if negative {
            digits.iter_mut().for_each(|digit| *digit = -*digit);
            carry(&mut digits);
        }
        let Some(top) = digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
        // 97 bits at least are looked at; what is below them only decides a tie.
        let low = top.saturating_sub(3);
        let mut window =
            digits[low..=top].iter().rev().fold(0u128, |all, digit| (all << 32) + u128::from(digit.cast_unsigned()));
        if digits[..low].iter().any(|digit| *digit != 0) {
            window |= 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "this is the one rounding")]
        let rounded = window as f64;
        let magnitude = scale(rounded, LOWEST + 32 * i32::try_from(low).unwrap_or(0));
        if negative { -magnitude } else { magnitude }
    }
}

/// Every digit but the highest between 0 and 2^32.
fn carry(digits: &mut [i64; DIGITS]) {
    let mut over = 0;
    for digit in &mut digits[..DIGITS - 1] {
        let all = *digit + over;
        over = all >> 32;
        *digit = all & 0xffff_ffff;
    }
    digits[DIGITS - 1] += over;
}

/// `number * 2^exponent`: exact, or infinite. What becomes subnormal has few enough bits.
fn scale(number: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    number * 2f64.powi(half) * 2f64.powi(exponent - half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut sum = ExactSum::new();
        for number in numbers {
            sum.add(*number, 1);
        }
        sum.value()
    }

    #[test]
    fn it_is_rounded_once() {
        assert_eq!(sum(&[]).to_bits(), 0.0f64.to_bits());
        assert_eq!(sum(&[0.1, 0.2, 0.3]).to_bits(), 0.6f64.to_bits());
        assert_eq!(sum(&[1e300, 1.0, -1e300]).to_bits(), 1.0f64.to_bits());
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).to_bits(), f64::MAX.to_bits());
        assert_eq!(sum(&[f64::MAX, f64::MAX]).to_bits(), f64::INFINITY.to_bits());
        assert_eq!(sum(&[5e-324, 5e-324]).to_bits(), 1e-323f64.to_bits());
        assert_eq!(sum(&[-1.5, -2.25]).to_bits(), (-3.75f64).to_bits());
        assert_eq!(sum(&[9_007_199_254_740_992.0, 1.0, 1e-300]).to_bits(), 9_007_199_254_740_994.0f64.to_bits());
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    proptest! {
        #[test]
        fn two_numbers_are_added_as_the_processor_adds_them(a: f64, b: f64) {
            prop_assume!(a.is_finite() && b.is_finite());
            prop_assert_eq!((sum(&[a, b]) + 0.0).to_bits(), (a + b + 0.0).to_bits());
        }

        #[test]
        fn what_is_taken_away_is_gone(kept: Vec<f64>, gone: Vec<f64>, times in 1i64..5_000_000) {
            let finite = |all: Vec<f64>| all.into_iter().filter(|it| it.is_finite()).collect::<Vec<_>>();
            let (kept, gone) = (finite(kept), finite(gone));
            let mut both = ExactSum::new();
            for number in &gone {
                both.add(*number, times);
            }
            kept.iter().rev().for_each(|number| both.add(*number, 1));
            for number in &gone {
                both.add(*number, -times);
            }
            prop_assert_eq!(both.value().to_bits(), sum(&kept).to_bits());
        }
    }
}
