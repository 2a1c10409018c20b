//! Conditions of many rules over one table.

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::types::Timestamp;

use crate::eval::Evaluator;

#[derive(Default)]
pub(crate) struct Matcher {
    conditions: Vec<Option<Arc<Expr>>>,
}

impl Matcher {
    pub(crate) fn add(&mut self, condition: Arc<Expr>) -> usize {
        self.conditions.push(Some(condition));
        self.conditions.len() - 1
    }

    pub(crate) fn remove(&mut self, number: usize) {
        self.conditions[number] = None;
    }

    pub(crate) fn matching(&mut self, rows: &RecordBatch) -> Vec<(usize, Vec<u32>)> {
        let all = (0..self.conditions.len()).filter(|it| self.conditions[*it].is_some());
        all.map(|number| (number, self.matching_one(number, rows))).filter(|(_, rows)| !rows.is_empty()).collect()
    }

    pub(crate) fn matching_one(&self, number: usize, rows: &RecordBatch) -> Vec<u32> {
        let condition = self.conditions[number].as_ref().expect("a condition that is there");
        Evaluator::new(rows, Timestamp(0), &[]).matching(condition)
    }
}
