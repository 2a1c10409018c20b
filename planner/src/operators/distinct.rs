//! Equal rows once, in the order of their first.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use daemoneye_dsl::types::Type;

use super::{Context, Meaning};
use crate::batch::{RowCodec, take};
use crate::error::Error;

pub(super) struct Distinct;

impl Meaning for Distinct {
    fn meaning(&self, _: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let types: Vec<_> = rows.columns().iter().filter_map(|it| Type::from_arrow(it.data_type())).collect();
        let keys = RowCodec::new(&types).encode(rows.columns(), rows.num_rows());
        let mut seen = HashSet::new();
        let first: Vec<u32> = (0u32..).zip(keys).filter(|(_, key)| seen.insert(key.clone())).map(|it| it.0).collect();
        Ok(take(rows, &first))
    }
}
