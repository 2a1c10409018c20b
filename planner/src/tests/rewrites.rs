//! The law: a plan means the same before and after every rewrite, and installed.

use std::panic::AssertUnwindSafe;

use daemoneye_dsl::query::Query;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};

use super::case::{Case, checked};
use super::generator::Mode;
use super::random::Random;
use super::setting;
use super::statement::statement;
use super::steps::{relation, whole};
use super::world::{EPOCH, World};
use crate::batch::Batch;

#[test]
fn rewrites_change_nothing() {
    let (cases, seed) = (setting("CASES", 1_200), setting("SEED", 1));
    let mut compared = 0;
    for number in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1 << 35).wrapping_add(number));
        let world = World::random(&mut random);
        let mut random = Random::new(seed.wrapping_mul(1 << 36).wrapping_add(number));
        let sql = statement(&world, &mut random, Mode::Timed).ours;
        let Some(query) = checked(&world, &sql) else { continue };
        match rewritten(&query, &world) {
            Ok(plans) => compared += plans,
            Err(_) => {
                let case = Case { world, mode: Mode::Timed, statement: random.into_tape(), changes: vec![] };
                let law = |query: &Query, world: &World, _: &mut Random| rewritten(query, world).map(drop);
                panic!("seed {seed}, case {number}\n{}", case.reproducer(&law));
            }
        }
    }
    assert!(compared > cases, "{compared} plans were compared");
}

/// How many plans on the way to the last meant the same.
fn rewritten(query: &Query, world: &World) -> Result<u64, String> {
    let now = Timestamp(EPOCH + 60 * MICROS_PER_SEC);
    let (mut before, mut compared, mut failed) = (None, 0, None);
    let catch = AssertUnwindSafe(|| {
        crate::rewrites::apply(crate::lower::lower(query), &mut |name, plan| {
            let answer = crate::execute(plan, world, now).expect("small tables");
            let now = relation(&Batch::appearing(answer.rows));
            if let Some(before) = &before {
                compared += 1;
                if *before != now && failed.is_none() {
                    failed = Some(format!("{name}\nbefore: {before:?}\n after: {now:?}\n{plan}"));
                }
            }
            before = Some(now);
        })
    });
    match std::panic::catch_unwind(catch) {
        Ok(_) if failed.is_some() => Err(failed.unwrap_or_default()),
        // Installed, it finds the same.
        Ok(plan) if before.as_ref() != Some(&whole(&plan, world, now)?) => {
            Err(format!("installed\nexpected: {before:?}\n   found: {:?}\n{plan}", whole(&plan, world, now)))
        }
        Ok(_) => Ok(compared),
        Err(_) => Err("panic".to_owned()),
    }
}
