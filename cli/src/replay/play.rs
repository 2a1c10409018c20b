//! Step after step: what the rules' results change by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::types::{Type, Value};
use daemoneye_planner::{Answer, Batch, Dataflow, Error, Plan, RuleId, plan, whole_result};

use super::world::World;
use crate::bag::{Bag, Rows};
use crate::file_table::{At, ChangeFile, Step};
use crate::hunt::cpu_time;

/// Rows of a difference that are named.
const NAMED_MAX: usize = 3;

/// A match that appears or disappears.
pub(super) struct Match<'f> {
    pub(super) at: &'f At,
    pub(super) rule: &'f CheckedRule,
    pub(super) appears: bool,
    pub(super) row: Vec<Value>,
}

/// The rules over a file, taken step by step: gives every match that appears or disappears.
pub(super) struct Play<'f> {
    file: &'f ChangeFile,
    world: World<'f>,
    dataflow: Dataflow,
    /// In the order of their names.
    rules: Vec<Running<'f>>,
    numbers: BTreeMap<RuleId, usize>,
    check: bool,
    next: usize,
    /// What the last step changed, as far as it was not given yet.
    changed: std::vec::IntoIter<Match<'f>>,
    pub(super) outcome: Outcome<'f>,
}

struct Running<'f> {
    rule: &'f CheckedRule,
    plan: Plan,
    id: RuleId,
    /// The sum of what was given; where that is checked.
    sum: Bag,
    runs: bool,
}

/// What it came to.
#[derive(Default)]
pub(super) struct Outcome<'f> {
    pub(super) steps: usize,
    pub(super) appeared: usize,
    pub(super) disappeared: usize,
    pub(super) completeness: Completeness,
    /// Rules that the engine gave up, with the reason.
    pub(super) stopped: Vec<(&'f str, String)>,
    /// Of the processor, for the steps.
    pub(super) run: Duration,
    /// The same for evaluating everything anew.
    pub(super) checked: Duration,
    pub(super) difference: Option<String>,
}

impl<'f> Play<'f> {
    pub(super) fn new(file: &'f ChangeFile, rules: Vec<&'f CheckedRule>, check: bool) -> Self {
        let mut dataflow = Dataflow::default();
        let run = |rule: &'f CheckedRule| {
            let plan = plan(&rule.query);
            let id = dataflow.install(&plan);
            Running { rule, plan, id, sum: Bag::new(&types(rule)), runs: true }
        };
        let mut rules: Vec<_> = rules.into_iter().map(run).collect();
        rules.sort_by(|a, b| a.rule.name().cmp(b.rule.name()));
        let numbers = rules.iter().enumerate().map(|(number, running)| (running.id, number)).collect();
        let (world, changed) = (World::new(file), vec![].into_iter());
        let outcome = Outcome::default();
        Self { file, world, dataflow, rules, numbers, check, next: 0, changed, outcome }
    }

    /// Takes the next step; none after the last, or after one whose answer was found wrong.
    fn step(&mut self) -> Option<()> {
        let step = self.file.steps.get(self.next).filter(|_| self.outcome.difference.is_none())?;
        let before = cpu_time();
        let mut bags: BTreeMap<usize, Bag> = BTreeMap::new();
        for (id, answer) in self.answers(step) {
            let Some(number) = self.numbers.get(&id).copied() else { continue };
            match answer {
                Ok(answer) => {
                    self.note(&answer.completeness);
                    let bag = bags.entry(number).or_insert_with(|| Bag::new(&types(self.rules[number].rule)));
                    let Batch { rows, weights } = &answer.rows;
                    bag.add(rows.columns(), rows.num_rows(), |row| weights[row]);
                }
                Err(error) => self.give_up(number, &error),
            }
        }
        self.outcome.run += cpu_time().saturating_sub(before);
        self.next += 1;
        self.outcome.steps += 1;
        self.changed = self.matches(&step.at, &bags).into_iter();
        if self.check {
            let before = cpu_time();
            for (number, bag) in &bags {
                self.rules[*number].sum.add_all(bag);
            }
            self.compare(step);
            self.outcome.checked += cpu_time().saturating_sub(before);
        }
        Some(())
    }

    /// What the rules say to a step. Before the first one the tables are empty, and what a rule finds in those it takes
    /// back at once where something came.
    fn answers(&mut self, step: &Step) -> Vec<(RuleId, Result<Answer<Batch>, Error>)> {
        let Self { file, world, dataflow, rules, next, .. } = self;
        let now = step.at.moment;
        let mut answers = Vec::new();
        if *next == 0 {
            match dataflow.load(world, now) {
                Ok(loaded) => answers.extend(loaded),
                Err(error) => {
                    let error = Arc::new(error);
                    answers.extend(rules.iter().map(|running| (running.id, Err(Error::Shared(error.clone())))));
                }
            }
        }
        let changes = world.take(file.changes(step));
        answers.extend(dataflow.step(world, &changes, now));
        answers
    }

    /// What disappears, then what appears; by rule, then by row.
    fn matches(&mut self, at: &'f At, bags: &BTreeMap<usize, Bag>) -> Vec<Match<'f>> {
        let mut matches = Vec::new();
        for (that, appears) in [(Rows::Gone, false), (Rows::There, true)] {
            for (number, bag) in bags {
                let rule = self.rules[*number].rule;
                for (row, times) in bag.rows(that) {
                    matches.extend((0..times).map(|_| Match { at, rule, appears, row: row.clone() }));
                }
            }
        }
        let appeared = matches.iter().filter(|it| it.appears).count();
        self.outcome.appeared += appeared;
        self.outcome.disappeared += matches.len() - appeared;
        matches
    }

    /// Compares the sums with what every rule finds in the tables as they are now.
    fn compare(&mut self, step: &Step) {
        for number in 0..self.rules.len() {
            let running = &self.rules[number];
            if !running.runs {
                continue;
            }
            match whole_result(&running.plan, &self.world, step.at.moment) {
                Ok(answer) => {
                    let whole = bag_of(&types(running.rule), &answer.rows);
                    if let Some(difference) = difference(running.rule, &running.sum, &whole) {
                        let (number, at) = (self.outcome.steps, &step.at.spelled);
                        self.outcome.difference = Some(format!("step {number}, at {at}: {difference}"));
                        return;
                    }
                }
                Err(error) => self.give_up(number, &error),
            }
        }
    }

    fn give_up(&mut self, number: usize, error: &Error) {
        let running = &mut self.rules[number];
        running.runs = false;
        self.dataflow.remove(running.id);
        self.outcome.stopped.push((running.rule.name(), error.to_string()));
        self.outcome.completeness.add(Reason::RuleQuarantined);
    }

    fn note(&mut self, completeness: &Completeness) {
        let known = std::mem::take(&mut self.outcome.completeness);
        self.outcome.completeness = known.and(completeness);
    }
}

impl<'f> Iterator for Play<'f> {
    type Item = Match<'f>;

    fn next(&mut self) -> Option<Match<'f>> {
        loop {
            if let Some(next) = self.changed.next() {
                return Some(next);
            }
            self.step()?;
        }
    }
}

fn types(rule: &CheckedRule) -> Vec<Type> {
    rule.query.output.iter().map(|output| output.ty).collect()
}

fn bag_of(types: &[Type], rows: &RecordBatch) -> Bag {
    let mut bag = Bag::new(types);
    bag.add(rows.columns(), rows.num_rows(), |_| 1);
    bag
}

/// How the sum of the changes differs from the whole answer, if it does.
fn difference(rule: &CheckedRule, sum: &Bag, whole: &Bag) -> Option<String> {
    let difference = sum.missing_from(whole);
    if difference.is_empty() {
        return None;
    }
    let said = |that, what: &str| {
        let rows = difference.rows(that);
        let named: Vec<_> = rows.iter().take(NAMED_MAX).map(|(row, times)| named(rule, row, *times)).collect();
        let more = rows.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!rows.is_empty()).then(|| format!("{what} {}{more}", named.join(", ")))
    };
    let said: Vec<_> = [said(Rows::There, "missing"), said(Rows::Gone, "too many")].into_iter().flatten().collect();
    Some(format!("the changes of rule {} do not add up to its answer: {}", rule.name(), said.join("; ")))
}

fn named(rule: &CheckedRule, row: &[Value], times: u64) -> String {
    let json = super::show::object(rule, row);
    let row = serde_json::Value::Object(json).to_string();
    if times == 1 { row } else { format!("{times} × {row}") }
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::diagnostic::Source;
    use daemoneye_dsl::ruleset::RuleSet;
    use daemoneye_dsl::tables::Catalog;

    use super::*;

    fn compiled(text: &str, catalog: &Catalog) -> RuleSet {
        RuleSet::check_once(vec![Source { path: "r.sql".to_owned(), text: text.to_owned() }], catalog)
    }

    #[test]
    fn a_check_ends_at_the_first_difference() {
        let line = |at: i64| format!("{{\"at\":{at},\"table\":\"t\",\"op\":\"+\",\"row\":{{\"a\":{at}}}}}\n");
        let file = ChangeFile::parse(&[line(1), line(2), line(3)].concat()).unwrap();
        let set = compiled("SELECT a FROM t", &file.catalog());
        let play = || Play::new(&file, set.rules().collect(), true);
        let mut right = play();
        assert_eq!((right.by_ref().count(), right.outcome.difference), (3, None));
        let mut wrong = play();
        assert!(wrong.next().is_some());
        wrong.rules[0].sum.add(&[Type::Integer.array([Value::Integer(7)])], 1, |_| 1);
        assert_eq!(wrong.by_ref().count(), 1, "the matches of the step that is wrong are given, and no more");
        let said = "step 2, at 2: the changes of rule r do not add up to its answer: too many {\"a\":7}";
        assert_eq!(wrong.outcome.difference.as_deref(), Some(said));
    }

    #[test]
    fn a_sum_that_is_not_the_answer_is_found() {
        let set = compiled("SELECT 1 AS a, 'x' AS b", &Catalog::builtin());
        let rule = set.rules().next().unwrap();
        let bag = |rows: &[(i64, i64)]| {
            let mut bag = Bag::new(&types(rule));
            for (a, weight) in rows {
                let columns =
                    [Type::Integer.array([Value::Integer(*a)]), Type::Text.array([Value::Text("x".to_owned())])];
                bag.add(&columns, 1, |_| *weight);
            }
            bag
        };
        assert_eq!(difference(rule, &bag(&[(1, 2)]), &bag(&[(1, 1), (1, 1)])), None);
        let said = difference(rule, &bag(&[(1, 1), (2, 1)]), &bag(&[(1, 3), (3, 1), (4, 1), (5, 1)])).unwrap();
        assert_eq!(
            said,
            "the changes of rule r do not add up to its answer: missing 2 × {\"a\":1,\"b\":\"x\"}, \
             {\"a\":3,\"b\":\"x\"}, {\"a\":4,\"b\":\"x\"} and 1 more; too many {\"a\":2,\"b\":\"x\"}"
        );
        assert!(difference(rule, &bag(&[(1, -1)]), &bag(&[])).unwrap().ends_with("missing {\"a\":1,\"b\":\"x\"}"));
    }
}
