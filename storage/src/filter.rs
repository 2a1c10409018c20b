//! Which values a block may have in the key columns: who asks for one value, or for starts, reads only the blocks that
//! may have it.
//!
//! ```text
//! filter   [rows of the block: u32][bits]     each value sets BITS_SET of them
//! ```
//!
//! A value whose bits are not all set is in no row. Others may be anywhere, or nowhere.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use daemoneye_dsl::tables::version_columns;
use daemoneye_dsl::types::Value;

use crate::reader::Question;
use crate::tables::STARTED;

/// Bits that a row has for its keys, of which about three are its own.
const BITS_A_ROW: usize = 28;
const BITS_SET: u64 = 5;
const ROWS_LEN: usize = 4;

/// The columns whose values are in it.
fn keys() -> &'static BTreeSet<String> {
    static KEYS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let indexed = version_columns().into_iter().filter(|column| column.indexed);
        indexed.map(|column| column.name.to_string()).chain([STARTED.to_owned()]).collect()
    });
    &KEYS
}

/// The filter of a block of these rows.
pub(crate) fn encode(rows: &RecordBatch) -> Vec<u8> {
    let mut bits = vec![0_u8; (rows.num_rows() * BITS_A_ROW).div_ceil(8)];
    let mut set = |key: u32| {
        for bit in places(key, bits.len()) {
            bits[bit / 8] |= 1 << (bit % 8);
        }
    };
    let mut folded = Vec::new();
    for name in keys() {
        let Some(column) = rows.column_by_name(name) else { continue };
        let seed = crc32c::crc32c(name.as_bytes());
        match column.data_type() {
            DataType::Utf8 => {
                for text in column.as_string::<i32>().iter().flatten() {
                    folded.clear();
                    folded.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
                    set(crc32c::crc32c_append(seed, &folded));
                }
            }
            DataType::Int64 => {
                let numbers = column.as_primitive::<Int64Type>().iter().flatten();
                numbers.for_each(|number| set(crc32c::crc32c_append(seed, &number.to_le_bytes())));
            }
            DataType::Boolean => {
                let truths: BTreeSet<bool> = column.as_boolean().iter().flatten().collect();
                for truth in truths {
                    set(crc32c::crc32c_append(seed, &[truth.into()]));
                }
            }
            other => unreachable!("no key is {other}"),
        }
    }
    let rows = u32::try_from(rows.num_rows()).expect("a block's rows are bounded");
    [rows.to_le_bytes().as_slice(), &bits].concat()
}

/// The bits of a value.
fn places(key: u32, len: usize) -> impl Iterator<Item = usize> {
    // Fibonacci hashing, then steps of a second hash.
    let spread = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (first, step) = (spread >> 32, spread & 0xffff_ffff | 1);
    let bits = 8 * len as u64;
    (0..BITS_SET).map(move |n| usize::try_from((first + n * step) % bits).expect("within the bits"))
}

/// How many rows the block has, if the filter says it.
pub(crate) fn rows(filter: &[u8]) -> Option<u32> {
    filter.first_chunk().map(|rows| u32::from_le_bytes(*rows))
}

/// Whether a row of the block may answer a question about a column so; always, where that cannot be told.
pub(crate) fn may_have(filter: &[u8], column: &str, question: &Question) -> bool {
    let Question::Equal(value) = question else { return true };
    let Some(bits) = filter.get(ROWS_LEN..).filter(|_| keys().contains(column)) else { return true };
    let seed = crc32c::crc32c(column.as_bytes());
    let key = match value {
        Value::Text(text) => crc32c::crc32c_append(seed, text.to_ascii_lowercase().as_bytes()),
        Value::Integer(number) => crc32c::crc32c_append(seed, &number.to_le_bytes()),
        Value::Boolean(truth) => crc32c::crc32c_append(seed, &[(*truth).into()]),
        _ => return true,
    };
    !bits.is_empty() && places(key, bits.len()).all(|bit| bits[bit / 8] & 1 << (bit % 8) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daemoneye_dsl::tables::Process;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_found(pids in prop::collection::vec(any::<i64>(), 1..60), names in prop::collection::vec("[a-zA-Z]{0,8}", 1..60)) {
            let row = |(pid, name): (&i64, &String)| Process { pid: *pid, name: name.clone(), ..Process::default() };
            let rows: Vec<_> = pids.iter().zip(&names).map(row).collect();
            let filter = encode(&Process::batch(&rows));
            for row in &rows {
                prop_assert!(may_have(&filter, "pid", &Question::Equal(Value::Integer(row.pid))));
                let name = row.name.to_ascii_uppercase();
                prop_assert!(may_have(&filter, "name", &Question::Equal(Value::Text(name))));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(filter: Vec<u8>, pid: i64) {
            let _either = may_have(&filter, "pid", &Question::Equal(Value::Integer(pid)));
            let _some = rows(&filter);
        }
    }

    #[test]
    fn most_of_what_is_not_there_is_told() {
        let row = |pid: i64| Process { pid, proc_id: format!("{pid:016x}"), ..Process::default() };
        let filter = encode(&Process::batch(&(0..1000).map(row).collect::<Vec<_>>()));
        let found = |pid: i64| may_have(&filter, "pid", &Question::Equal(Value::Integer(pid)));
        assert!((0..1000).all(found));
        let wrong = (1000..11_000).filter(|pid| found(*pid)).count();
        assert!(wrong < 500, "{wrong} of 10,000");
        // It tells nothing of other columns and other questions.
        assert!(may_have(&filter, "ppid", &Question::Equal(Value::Integer(7))));
        assert!(may_have(&filter, "pid", &Question::Null));
    }
}
