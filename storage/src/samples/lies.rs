//! Stretches whose checksums are right and whose content is a lie, as `segment/lies.rs` has segments.

use daemoneye_dsl::tables::{Catalog, processes_at};
use daemoneye_dsl::types::{Timestamp, Value};

use super::stretch::{PageAt, Taken, edition, header};
use super::{TABLE, check, draft, exchange};
use crate::reader::{Probe, Question};
use crate::segment::bytes::{Bytes, Wrong, put_varint};
use crate::segment::pieces::Chunks;
use crate::tables::SAMPLES;
use crate::{Error, Reader, Scan, Store};

/// Columns of a value for each sample.
const COLUMNS: usize = 5;
const ROUNDS_MAX: u8 = 20;
const PAGES_MAX: u8 = 4;
const PROCESSES_MAX: u8 = 4;

/// Reads a stretch made of the bytes, in every way in which one is read, and merges it with itself.
pub fn samples(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let Ok(one) = lie(1, &mut bytes) else { return };
    let other = lie(1 + u64::from(one.1), &mut bytes);
    let store = Store::in_memory().expect("memory");
    let read = || -> Result<(), Error> {
        store.write(|txn| {
            let mut table = txn.open_table(SAMPLES)?;
            let stretches = [Some((1, &one.0)), other.as_ref().ok().map(|other| (1 + u64::from(one.1), &other.0))];
            for (first, chunks) in stretches.into_iter().flatten() {
                super::stretch::put(&mut table, first, chunks)?;
            }
            Ok(())
        })?;
        ask(&store)?;
        let txn = store.reading()?;
        let table = txn.open_table(SAMPLES)?;
        let _samples_or_why = check(&table, 1);
        while let Some(draft) = draft(&store.reading()?, 2)? {
            store.write(|txn| exchange(txn, &draft))?;
        }
        ask(&store)
    };
    // Damage that is found is an answer that says so.
    read().expect("a lie is damage of one part");
}

fn ask(store: &Store) -> Result<(), Error> {
    let view = store.read()?;
    let table = Catalog::builtin().table(TABLE).expect("a table of the catalog").clone();
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let id = Question::Equal(Value::Text("0000000000000002".to_owned()));
    let required =
        [vec![Probe { column: 0, question: id }], vec![Probe { column: 2, question: Question::AtLeast(3.0) }]];
    view.scan(&Scan::all(&table, &columns))?;
    view.scan(&Scan { required: &required, dictionaries: &[0], ..Scan::all(&table, &columns) })?;
    let table = processes_at();
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    for moment in [0, 10, i64::MAX] {
        view.scan(&Scan { as_of: Some(Timestamp(moment)), ..Scan::all(&table, &columns) })?;
        super::at_moment(
            &store.reading()?,
            moment,
            &super::Wanted::of_scan(&Scan::all(&table, &columns)),
            &["threads"],
        )?;
    }
    Ok(())
}

/// The chunks of a stretch that says what the bytes say, and how many rounds it has.
fn lie(first: u64, bytes: &mut Bytes<'_>) -> Result<(Vec<Vec<u8>>, u8), Wrong> {
    let mut rounds = Vec::new();
    let mut time = 0_i64;
    let count = bytes.u8()? % ROUNDS_MAX;
    for _ in 0..count {
        let step = bytes.u8()?;
        // Rarely, as far as it goes.
        time = if step == 255 { i64::MAX } else { time.saturating_add(i64::from(step.cast_signed())) };
        rounds.push(Taken { time, whole: bytes.u8()? % 2 == 1 });
    }
    let mut chunks = Chunks::new(edition(first, &rounds));
    let mut pages = Vec::new();
    for _ in 0..bytes.u8()? % PAGES_MAX {
        let off = u64::from(bytes.u8()? == 255);
        let processes = 1 + usize::from(bytes.u8()? % PROCESSES_MAX);
        let ids = bytes.take(processes)?;
        let counts: Vec<u8> = bytes.take(processes)?.iter().map(|count| count % 3 + u8::from(*count < 250)).collect();
        let samples: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let claimed = samples + usize::from(bytes.u8()? == 255);
        let mut page = Vec::new();
        put_varint(claimed as u64, &mut page);
        for raw in [ids, bytes.take(processes)?, &counts] {
            column(bytes.u8()?, raw, &mut page);
        }
        for _ in 0..COLUMNS {
            let form = bytes.u8()?;
            column(form, bytes.take(samples)?, &mut page);
        }
        let (first, samples) = (u64::from(ids[0]) + off, u32::try_from(claimed).expect("a few"));
        pages.push(PageAt { first, samples, piece: chunks.add(&page) });
    }
    let bytes = chunks.bytes();
    Ok((chunks.finish(&header(&rounds, bytes, &pages)), count))
}

/// A column that is as it says or, rarely, is not.
fn column(form: u8, raw: &[u8], page: &mut Vec<u8>) {
    let is_true = form < 250;
    let stored = if form % 2 == 1 && is_true { zstd::bulk::compress(raw, 1).expect("short") } else { raw.to_vec() };
    page.push(if is_true { form % 4 } else { form });
    put_varint(raw.len() as u64 + u64::from(!is_true), page);
    put_varint(stored.len() as u64, page);
    page.extend(stored);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn no_lie_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            samples(&bytes);
        }

        #[test]
        fn no_little_lie_makes_a_reader_panic(bytes in prop::collection::vec(0_u8..5, 0..200)) {
            samples(&bytes);
        }
    }

    /// What makes the law worth something: lies get far.
    #[test]
    fn some_lies_are_read() {
        let (mut read, mut damaged) = (0, 0);
        for n in 0..1500_u32 {
            let bytes: Vec<u8> =
                (0..300).map(|at| (n.wrapping_mul(2_654_435_761).rotate_left(at) ^ at).to_le_bytes()[0] % 5).collect();
            let Ok((chunks, _)) = lie(1, &mut Bytes(&bytes)) else { continue };
            let store = Store::in_memory().unwrap();
            store.write(|txn| super::super::stretch::put(&mut txn.open_table(SAMPLES)?, 1, &chunks)).unwrap();
            match check(&store.reading().unwrap().open_table(SAMPLES).unwrap(), 1) {
                Ok((samples, _)) if samples > 0 => read += 1,
                Ok(_) => {}
                Err(_) => damaged += 1,
            }
        }
        assert!(read > 5 && damaged > 20, "{read} stretches were read, {damaged} were damaged");
    }
}
