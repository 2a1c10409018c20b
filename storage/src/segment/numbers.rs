//! Whole numbers of a page, in as few bits as their range or their number of different values takes.
//!
//! ```text
//! page    [form: u8][width: u8][nulls: u8]
//! steps   [least: i64][step: u64]  [codes]     value = least + step × code      the step is what all differences share
//! table   [n: u16] n × [value: i64] [codes]    value = table[code]
//! ```
//!
//! Where there are NULLs, code 0 is NULL and the others are one more.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow_buffer::NullBufferBuilder;

use super::bits::{self, Packed};
use super::bytes::{Bytes, Wrong};

const STEPS: u8 = 0;
const TABLE: u8 = 1;

/// Different values that a table may have.
const TABLE_LEN_MAX: usize = 1024;

/// The bytes of a page.
pub(super) fn encode(values: &[Option<i64>]) -> Vec<u8> {
    let nulls = values.iter().any(Option::is_none);
    let present = || values.iter().flatten().copied();
    let (least, greatest) = (present().min().unwrap_or(0), present().max().unwrap_or(0));
    let step = present().fold(0, |step, value| gcd(step, value.abs_diff(least))).max(1);
    let extra = u64::from(nulls);
    let codes = (greatest.abs_diff(least) / step).saturating_add(extra);
    // All of the 64 bits and a NULL have one value too many for codes; a table has not.
    let fits = greatest.abs_diff(least) / step < u64::MAX;
    let width = bits::width(codes);

    let table = table(values, bits::len(values.len(), width), fits);
    let mut out = Vec::new();
    if let Some(table) = table {
        let width = bits::width(table.len() as u64 - 1 + extra);
        out.extend_from_slice(&[TABLE, width, u8::from(nulls)]);
        out.extend_from_slice(&u16::try_from(table.len()).expect("bounded").to_le_bytes());
        out.extend(table.iter().flat_map(|value| value.to_le_bytes()));
        let code = |value: &Option<i64>| {
            value.map_or(0, |value| table.binary_search(&value).expect("every value is in it") as u64 + extra)
        };
        bits::pack(values.iter().map(code), width, &mut out);
        return out;
    }
    out.extend_from_slice(&[STEPS, width, u8::from(nulls)]);
    out.extend_from_slice(&least.to_le_bytes());
    out.extend_from_slice(&step.to_le_bytes());
    let code = |value: &Option<i64>| value.map_or(0, |value| value.abs_diff(least) / step + extra);
    bits::pack(values.iter().map(code), width, &mut out);
    out
}

/// The different values in order, if a table of them takes less than `len`.
fn table(values: &[Option<i64>], len: usize, steps_fit: bool) -> Option<Vec<i64>> {
    let mut different = BTreeSet::new();
    for value in values.iter().flatten() {
        different.insert(*value);
        if different.len() > TABLE_LEN_MAX && steps_fit {
            return None;
        }
    }
    let nulls = usize::from(values.iter().any(Option::is_none));
    let width = bits::width((different.len() + nulls).saturating_sub(1) as u64);
    let shorter = !different.is_empty() && bits::len(values.len(), width) + 8 * different.len() < len;
    (shorter || !steps_fit).then(|| different.into_iter().collect())
}

fn gcd(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// A page that is read.
pub(super) struct Numbers<'a> {
    codes: Packed<'a>,
    nulls: bool,
    form: Form<'a>,
}

enum Form<'a> {
    Steps { least: i64, step: u64 },
    Table(&'a [[u8; 8]]),
}

impl<'a> Numbers<'a> {
    /// The page of so many values in `bytes`.
    pub(super) fn decode(bytes: &'a [u8], count: usize) -> Result<Self, Wrong> {
        let mut bytes = Bytes(bytes);
        let (form, width, nulls) = (bytes.u8()?, bytes.u8()?, bytes.u8()? != 0);
        let form = match form {
            STEPS => Form::Steps { least: bytes.i64()?, step: bytes.u64()? },
            TABLE => {
                let len = usize::from(bytes.u8()?) | usize::from(bytes.u8()?) << 8;
                let (values, _) = bytes.take(8 * len)?.as_chunks();
                Form::Table(values)
            }
            _ => return Err("its numbers have an unknown form"),
        };
        let codes = Packed::new(bytes.0, count, width).ok_or("its numbers end too early")?;
        Ok(Self { codes, nulls, form })
    }

    /// Appends what `make` makes of the values at places within the count, and whether each is one; what is NULL has any
    /// value. A code that stands for nothing, which no checksum lets through, is NULL.
    pub(super) fn append<V>(
        &self,
        places: Range<usize>,
        make: impl Fn(i64) -> V,
        values: &mut Vec<V>,
        present: &mut NullBufferBuilder,
    ) {
        match (&self.form, self.nulls) {
            (Form::Steps { least, step }, nulls) => {
                // Code 0 is NULL, and stands for any value.
                let least = least.wrapping_sub_unsigned(if nulls { *step } else { 0 });
                let value = |at| make(least.wrapping_add_unsigned(step.wrapping_mul(self.codes.get(at))));
                values.extend(places.clone().map(value));
                if nulls {
                    places.for_each(|at| present.append(self.codes.get(at) > 0));
                } else {
                    present.append_n_non_nulls(places.len());
                }
            }
            (Form::Table(table), nulls) => {
                let from = values.len();
                let mut absent = Vec::new();
                for at in places {
                    let place = self.codes.get(at).wrapping_sub(u64::from(nulls));
                    let value = usize::try_from(place).ok().and_then(|place| table.get(place));
                    if value.is_none() {
                        absent.push(values.len() - from);
                    }
                    values.push(make(value.map_or(0, |value| i64::from_le_bytes(*value))));
                }
                let mut next = 0;
                for place in absent {
                    present.append_n_non_nulls(place - next);
                    present.append_null();
                    next = place + 1;
                }
                present.append_n_non_nulls(values.len() - from - next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<Option<i64>>> {
        let value = prop_oneof![
            prop::option::of(any::<i64>()),
            prop::option::of(-3_i64..3),
            (0_i64..5).prop_map(|n| Some(1_760_000_000_000_000 + n * 30_000_000)),
            Just(Some(i64::MIN)),
            Just(Some(i64::MAX)),
        ];
        prop::collection::vec(value, 0..200)
    }

    fn read(numbers: &Numbers<'_>, places: Range<usize>) -> Vec<Option<i64>> {
        let (mut values, mut present) = (Vec::new(), NullBufferBuilder::new(0));
        numbers.append(places, |value| value, &mut values, &mut present);
        let present = present.finish();
        values
            .into_iter()
            .enumerate()
            .map(|(at, value)| present.as_ref().is_none_or(|present| present.is_valid(at)).then_some(value))
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(values in values()) {
            let bytes = encode(&values);
            let numbers = Numbers::decode(&bytes, values.len()).unwrap();
            prop_assert_eq!(read(&numbers, 0..values.len()), values.clone());
            let half = values.len() / 2;
            prop_assert_eq!(read(&numbers, half..values.len()), &values[half..]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, count in 0_usize..300) {
            if let Ok(numbers) = Numbers::decode(&bytes, count) {
                prop_assert_eq!(read(&numbers, 0..count).len(), count);
            }
        }
    }

    #[test]
    fn what_is_regular_is_short() {
        let ticks: Vec<_> = (0..1000).map(|n| Some(1_760_000_000_000_000 + n * 10_000)).collect();
        assert!(encode(&ticks).len() < 1000 * 10 / 8 + 48);
        let few: Vec<_> = (0..1000).map(|n| Some([i64::MIN, 7, 1 << 40][n % 3])).collect();
        assert!(encode(&few).len() < 1000 * 2 / 8 + 48);
    }
}
