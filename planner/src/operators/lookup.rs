//! Rows that equal a subquery's parameters, by an index that is made once.

use std::collections::HashMap;
use std::rc::Rc;

use arrow_array::{Array, RecordBatch};
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::types::Type;

use super::moments::Moments;
use super::{Context, Meaning};
use crate::batch::{RowCodec, batch, take};
use crate::error::Error;

pub(super) struct Lookup {
    pub(super) keys: Vec<(Expr, Expr)>,
    pub(super) rest: Option<Expr>,
    /// What `rest` asks for by the parameters.
    pub(super) moments: Moments,
}

/// The rows of the input by their key; those with a NULL in it are in none.
pub(super) type Index = HashMap<Box<[u8]>, Vec<u32>>;

impl Lookup {
    fn codec(&self) -> RowCodec {
        let types: Vec<Type> = self.keys.iter().map(|(own, _)| own.ty).collect();
        RowCodec::new(&types)
    }

    fn index(&self, context: &Context<'_>, rows: &RecordBatch) -> Rc<Index> {
        let address = std::ptr::from_ref(self).addr();
        if let Some(known) = context.cache.as_ref().and_then(|cache| cache.indexes.borrow().get(&address).cloned()) {
            return known;
        }
        let evaluator = context.evaluator(rows);
        let columns: Vec<_> = self.keys.iter().map(|(own, _)| evaluator.values(own)).collect();
        let mut index = Index::new();
        for (row, key) in (0u32..).zip(self.codec().encode(&columns, rows.num_rows())) {
            if columns.iter().all(|column| column.is_valid(row as usize)) {
                index.entry(key).or_default().push(row);
            }
        }
        let index = Rc::new(index);
        if let Some(cache) = &context.cache {
            cache.indexes.borrow_mut().insert(address, index.clone());
        }
        index
    }
}

impl Meaning for Lookup {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let index = self.index(context, rows);
        let one = batch(vec![], 1);
        self.moments.ask(context, &one)?;
        let evaluator = context.evaluator(&one);
        let given: Vec<_> = self.keys.iter().map(|(_, given)| evaluator.values(given)).collect();
        let has_null = given.iter().any(|value| value.is_null(0));
        let key = self.codec().encode(&given, 1).swap_remove(0);
        let found = index.get(&key).filter(|_| !has_null).map(Vec::as_slice).unwrap_or_default();
        let found = take(rows, found);
        Ok(match &self.rest {
            Some(rest) => take(&found, &context.evaluator(&found).matching(rest)),
            None => found,
        })
    }
}
