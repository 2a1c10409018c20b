//! What of a process is sampled, as exactly as it is kept.
//!
//! Four small numbers, of which 0 stands for NULL, so that a process that idles has the same ones for days: the share of
//! a processor in tenths of a percent, memory with eight significant bits, threads, and the status by its place in the
//! catalog's list. The numbers of memory order as the memory does, and neighbours differ by 1.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use daemoneye_dsl::tables::STATUSES;

/// Columns of a sample: `cpu_usage`, `memory_usage`, `threads` and `status`.
pub(super) const COLUMNS: usize = 4;
const CPU: usize = 0;
const MEMORY: usize = 1;
const THREADS: usize = 2;
/// Their names.
pub(super) const NAMES: [&str; COLUMNS] = ["cpu_usage", "memory_usage", "threads", "status"];

/// Bits of memory that are kept.
const BITS: u32 = 8;

/// The greatest code of each column.
pub(super) const GREATEST: [u32; COLUMNS] = [u32::MAX, memory_code(i64::MAX.cast_unsigned()) + 1, u32::MAX, 8];

/// One process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample(pub(super) [u32; COLUMNS]);

impl Sample {
    /// Of what a collector reported. A share of a processor that is no number, and a status that is none, are NULL.
    pub(super) fn of(cpu: Option<f64>, memory: Option<i64>, threads: Option<i64>, status: Option<&str>) -> Self {
        let memory = memory.map_or(0, |bytes| memory_code(bytes.max(0).cast_unsigned()) + 1);
        let threads = threads.map_or(0, |threads| u32::try_from(threads.max(0)).unwrap_or(u32::MAX).saturating_add(1));
        let status = status.and_then(|status| STATUSES.iter().position(|known| *known == status));
        let status = status.map_or(0, |at| u32::try_from(at).expect("few words") + 1);
        Self([cpu.map_or(0, cpu_code), memory, threads, status])
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast to an integer saturates")]
fn cpu_code(percent: f64) -> u32 {
    if percent.is_nan() { 0 } else { ((percent * 10.0).round() as u32).saturating_add(1) }
}

/// The leading bits, and how many follow them.
#[expect(clippy::cast_possible_truncation, reason = "at most 57 times 128 and 255")]
const fn memory_code(bytes: u64) -> u32 {
    let below = (u64::BITS - bytes.leading_zeros()).saturating_sub(BITS);
    let half = if below == 0 { 0 } else { 1 << (below - 1) };
    let rounded = bytes.saturating_add(half);
    let below = (u64::BITS - rounded.leading_zeros()).saturating_sub(BITS);
    // A number with more bits begins with one, which therefore need not be told: its code continues those below.
    ((rounded >> below) + (below as u64) * (1 << (BITS - 1))) as u32
}

fn memory_of(code: u32) -> i64 {
    let half = 1 << (BITS - 1);
    let below = (code / half).saturating_sub(1);
    let leading = i64::from(code - below * half);
    leading.checked_shl(below).filter(|bytes| *bytes >> below == leading).unwrap_or(i64::MAX)
}

/// What codes of a column stand for.
pub(super) fn array(column: usize, codes: impl Iterator<Item = u32>) -> ArrayRef {
    let codes = codes.map(|code| code.checked_sub(1));
    match column {
        CPU => Arc::new(codes.map(|tenths| Some(f64::from(tenths?) / 10.0)).collect::<Float64Array>()),
        MEMORY => Arc::new(codes.map(|code| Some(memory_of(code?))).collect::<Int64Array>()),
        THREADS => Arc::new(codes.map(|threads| Some(threads?.into())).collect::<Int64Array>()),
        _ => Arc::new(codes.map(|at| STATUSES.get(at? as usize).copied()).collect::<StringArray>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use daemoneye_dsl::types::Value;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn memory_is_nearly_what_it_was_and_orders_alike(one in 0..i64::MAX, shift in 0..63, other in 0..i64::MAX) {
            let one = one >> shift;
            let code = |bytes: i64| memory_code(bytes.cast_unsigned());
            let back = memory_of(code(one));
            prop_assert!(one.abs_diff(back) <= one.cast_unsigned() / 256, "{one} became {back}");
            prop_assert_eq!(code(back), code(one));
            prop_assert_eq!(code(one).cmp(&code(other)).is_gt(), memory_of(code(one)) > memory_of(code(other)));
            prop_assert!(code(one) < GREATEST[MEMORY]);
        }

        #[test]
        fn any_code_stands_for_something(column in 0..COLUMNS, code: u32) {
            let values = array(column, [code.min(GREATEST[column])].into_iter());
            prop_assert_eq!(values.is_null(0), code == 0);
        }
    }

    #[test]
    fn values_come_back_as_exactly_as_the_catalog_says() {
        let value = |at: usize, code: u32| Value::at(array(at, [code].into_iter()).as_ref(), 0);
        let back = |sample: Sample| (0..COLUMNS).map(|at| value(at, sample.0[at])).collect::<Vec<_>>();
        let (cpu, status) = (Value::Real(12.3), Value::Text("idle".to_owned()));
        let sample = Sample::of(Some(12.34), Some(10_000_000), Some(7), Some("idle"));
        assert_eq!(back(sample), [cpu, Value::Integer(10_027_008), Value::Integer(7), status]);
        assert_eq!(Sample::of(Some(f64::NAN), None, None, Some("dancing")), Sample::default());
        let odd = Sample::of(Some(f64::INFINITY), Some(-1), Some(i64::MAX), Some("running"));
        assert_eq!(back(odd)[1], Value::Integer(0));
        assert_eq!(odd.0[CPU], u32::MAX);
        // Every length up to 2^8 and the powers of two are kept as they are.
        for bytes in (0..=256).chain((9..62).map(|bits| 1 << bits)) {
            assert_eq!(memory_of(memory_code(bytes)).cast_unsigned(), bytes);
        }
    }
}
