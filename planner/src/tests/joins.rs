//! Chains of inner joins: in another order they give the same rows, and no pair that no condition asks for.

use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::types::Timestamp;

use super::case::checked;
use super::random::Random;
use super::setting;
use super::steps::whole;
use super::world::World;
use crate::plan::Plan;

const COLUMNS: [(&str, &[&str]); 3] = [("t0", &["i", "j"]), ("t1", &["i", "k", "v"]), ("t2", &["k"])];

/// A statement over `inputs` tables in any order, each linked with one before it; sometimes a link is missing.
fn chain(random: &mut Random, inputs: usize) -> (String, bool) {
    let tables: Vec<_> = (0..inputs).map(|_| *random.pick(&COLUMNS)).collect();
    let column = |random: &mut Random, at: usize| format!("x{at}.{}", random.pick(tables[at].1));
    let mut conditions = Vec::new();
    let mut whole = true;
    for at in 1..inputs {
        if random.percent(10) {
            whole = false;
            continue;
        }
        let other = random.below(at);
        let (one, other) = (column(random, at), column(random, other));
        conditions.push(if random.percent(50) { format!("{one} = {other}") } else { format!("{other} = {one}") });
    }
    if random.percent(60) {
        let at = random.below(inputs);
        conditions.push(format!("{} < 6", column(random, at)));
    }
    if random.percent(30) {
        let (one, other) = (random.below(inputs), random.below(inputs));
        conditions.push(format!("{} <= {}", column(random, one), column(random, other)));
    }
    let mut order: Vec<usize> = (0..inputs).collect();
    for at in 0..inputs {
        order.swap(at, random.below(inputs));
    }
    let from: Vec<_> = order.iter().map(|at| format!("{} AS x{at}", tables[*at].0)).collect();
    let joined = if random.percent(50) { " JOIN " } else { ", " };
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    (format!("SELECT * FROM {}{filter}", from.join(joined)), whole)
}

/// Joins that pair every row with every row.
fn products(plan: &Plan) -> usize {
    let own = matches!(plan, Plan::Join { kind: JoinKind::Inner, keys, .. } if keys.is_empty());
    usize::from(own) + plan.children().into_iter().map(products).sum::<usize>()
}

#[test]
fn another_order_gives_the_same_rows_and_no_product() {
    let (cases, seed) = (setting("CASES", 600), setting("SEED", 1));
    let mut reordered = 0;
    for number in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1 << 36).wrapping_add(number));
        let world = World::random(&mut random);
        let inputs = 2 + random.below(4);
        let (sql, linked) = chain(&mut random, inputs);
        let query = checked(&world, &sql).expect("a plain statement");
        let mut before = None;
        let mut after = None;
        crate::rewrites::apply(crate::lower::lower(&query), &mut |name, plan| match name {
            "PushFilters" => before = Some(plan.clone()),
            "ReorderJoins" => after = Some(plan.clone()),
            _ => {}
        });
        let (before, after) = (before.expect("the first rewrite"), after.expect("the second rewrite"));
        let now = Timestamp(0);
        assert!(
            whole(&before, &world, now) == whole(&after, &world, now),
            "seed {seed}, case {number}: {sql}\n{after}"
        );
        assert!(!linked || products(&crate::plan(&query)) == 0, "seed {seed}, case {number}: {sql}\n{after}");
        reordered += u64::from(before.to_string() != after.to_string());
    }
    assert!(reordered * 5 > cases, "{reordered} of {cases} chains were reordered");
}
