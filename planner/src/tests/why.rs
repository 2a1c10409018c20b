//! The law of `why_not`: what it says of each row of the first table agrees with what the statement finds.

use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::{Body, JoinKind, Query};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value};

use super::case::checked;
use super::generator::Mode;
use super::random::Random;
use super::setting;
use super::statement::statement;
use super::world::{EPOCH, World, rows_of};
use crate::plan::Plan;
use crate::{Clause, Verdict, first_table, why_not};

const NOW: Timestamp = Timestamp(EPOCH + 60 * MICROS_PER_SEC);

/// How often each thing was said.
#[derive(Debug, Default)]
struct Said {
    matches: usize,
    at_where: usize,
    having: usize,
    join: usize,
    limit: usize,
    set: usize,
    whole: usize,
}

#[test]
fn rows_that_lead_to_matches_are_those_that_the_statement_finds() {
    let (cases, seed) = (setting("CASES", 600), setting("SEED", 1));
    let mut said = Said::default();
    for number in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1 << 37).wrapping_add(number));
        let world = World::random(&mut random);
        let sql = statement(&world, &mut random, Mode::Timed).ours;
        let Some(query) = checked(&world, &sql) else { continue };
        if let Err(wrong) = agrees(&query, &world, &mut said) {
            panic!("seed {seed}, case {number}\n{}\n{sql}\n{wrong}", world.script(&sql));
        }
    }
    let all = [said.matches, said.at_where, said.having, said.join, said.limit, said.set, said.whole];
    assert!(all.iter().all(|count| *count > 0), "{said:?}");
}

fn agrees(query: &Query, world: &World, said: &mut Said) -> Result<(), String> {
    if first_table(query).is_none() {
        return Ok(());
    }
    let found = texts(&crate::whole_result(&crate::plan(query), world, NOW).map_err(|it| it.to_string())?.rows);
    let all = why_not(query, &[], world, NOW).map_err(|it| it.to_string())?.rows;
    let mut led: BTreeSet<String> = BTreeSet::new();
    for row in rows_of(&all) {
        let asked: Vec<(usize, Value)> = row.into_iter().enumerate().collect();
        let why = why_not(query, &asked, world, NOW).map_err(|it| it.to_string())?;
        match why.verdict {
            Verdict::NoRow => return Err(format!("{asked:?} is not there")),
            Verdict::Matches { rows, conditions } => {
                said.matches += 1;
                if let Some(condition) = conditions.iter().find(|it| it.holds == Some(false)) {
                    return Err(format!("{asked:?} matches, and {} does not hold", condition.text));
                }
                led.extend(texts(&rows));
            }
            Verdict::Stopped(stops) => {
                for stop in stops {
                    let blames = stop.failed().is_some();
                    let (count, blameless) = match stop.clause {
                        Clause::Where => (&mut said.at_where, false),
                        Clause::Having => (&mut said.having, false),
                        Clause::Join(_) | Clause::Lineage(_) => (&mut said.join, true),
                        Clause::Limit { .. } => (&mut said.limit, true),
                        Clause::Set(_) => (&mut said.set, true),
                    };
                    *count += 1;
                    if !blames && !blameless {
                        return Err(format!("{asked:?} is turned away, and every condition holds: {stop:?}"));
                    }
                }
            }
        }
    }
    let lowered = crate::lower::lower(query);
    if let Some(more) = led.difference(&found).next() {
        return Err(format!("a row leads to {more}, which is not found\n{lowered}"));
    }
    if all.num_rows() > 0 && is_made_of_first_table(&lowered) {
        said.whole += 1;
        if let Some(less) = found.difference(&led).next() {
            return Err(format!("{less} is found, and no row leads to it\n{lowered}"));
        }
    }
    Ok(())
}

/// Whether every row of the result comes from some row of the first table.
fn is_made_of_first_table(plan: &Plan) -> bool {
    match plan {
        Plan::Join { kind: JoinKind::Right | JoinKind::Full, .. } | Plan::Set { .. } | Plan::Lineage { .. } => false,
        Plan::Aggregate { keys, .. } if keys.is_empty() => false,
        plan => plan.inputs().first().is_none_or(|input| is_made_of_first_table(input)),
    }
}

/// The rows; the two zeros are one value.
fn texts(rows: &RecordBatch) -> BTreeSet<String> {
    rows_of(rows).into_iter().map(|row| format!("{row:?}").replace("Real(-0.0)", "Real(0.0)")).collect()
}

/// That places are kept on the way into the plan.
#[test]
fn conditions_are_told_as_they_were_written() {
    let mut random = Random::new(1);
    let world = World::random(&mut random);
    let sql = "SELECT t0.i FROM t0 WHERE t0.i IS NOT NULL AND NOT EXISTS (SELECT 1 FROM t1 WHERE t1.i = t0.i + 1) \
               AND t0.i + 1 = 0";
    let query = checked(&world, sql).unwrap();
    let Body::Select(select) = &query.body else { panic!("a SELECT") };
    let conjuncts = select.filter.clone().map(Expr::into_conjuncts).unwrap();
    let why = why_not(&query, &[], &world, NOW).unwrap();
    let conditions = match why.verdict {
        Verdict::Stopped(mut stops) => stops.remove(0).conditions,
        Verdict::Matches { conditions, .. } => conditions,
        Verdict::NoRow => return,
    };
    let spans: Vec<_> = conditions.iter().filter_map(|it| it.span.clone()).collect();
    assert_eq!(spans, conjuncts.iter().map(|it| it.place.span()).collect::<Vec<_>>());
    assert_eq!(&sql[spans[2].clone()], "t0.i + 1 = 0");
    assert_eq!(conditions[1].text, "NOT EXISTS (SELECT …)");
}
