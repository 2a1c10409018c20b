//! Rows of constants, or of what a subquery is evaluated for; the values of a list.

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::lists;
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Meaning};
use crate::batch::batch;
use crate::error::Error;

pub(super) struct Values {
    pub(super) rows: Vec<Vec<Expr>>,
    pub(super) types: Vec<Type>,
}

impl Meaning for Values {
    fn meaning(&self, context: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let one = batch(vec![], 1);
        let evaluator = context.evaluator(&one);
        let columns = self
            .types
            .iter()
            .enumerate()
            .map(|(at, ty)| ty.array(self.rows.iter().map(|row| Value::at(&evaluator.values(&row[at]), 0))));
        Ok(batch(columns.collect(), self.rows.len()))
    }
}

pub(super) struct List(pub(super) Arc<lists::List>);

impl Meaning for List {
    fn meaning(&self, _: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let values = self.0.values.iter().map(|value| Value::Text(value.clone()));
        Ok(batch(vec![Type::Text.array(values)], self.0.values.len()))
    }
}
