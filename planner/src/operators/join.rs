//! Pairs of rows, by a hash of their keys; without keys, every pair in turns.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::types::Type;

use super::moments::{self, Moments};
use super::{Context, Meaning, ROWS_MAX, within};
use crate::batch::{RowCodec, beside, stack, take, take_or_null};
use crate::error::Error;
use crate::plan::Plan;

/// Pairs that are looked at together.
const CHUNK: usize = 16_384;

pub(super) struct Join {
    pub(super) kind: JoinKind,
    pub(super) keys: Vec<(Expr, Expr)>,
    pub(super) on: Option<Expr>,
    /// What the rows of each side ask of the other.
    pub(super) moments: [Moments; 2],
}

/// What the rows on the left ask of the right, and the other way round.
pub(super) fn moments(left: &Plan, right: &Plan, keys: &[(Expr, Expr)], on: Option<&Expr>) -> [Moments; 2] {
    let width = left.width();
    let (lefts, rights) = (0..width, width..width + right.width());
    let to_right = |expr: &Expr| expr.clone().with_columns(&|column| column + width);
    let equal = |(left, right): &(Expr, Expr)| moments::equal(left.clone(), to_right(right));
    let keys = keys.iter().map(equal);
    let conditions: Vec<Expr> =
        on.cloned().map(Expr::into_conjuncts).unwrap_or_default().into_iter().chain(keys).collect();
    [
        Moments::of(&conditions, (right, rights.clone()), Some(&(left, lefts.clone()))),
        Moments::of(&conditions, (left, lefts), Some(&(right, rights))),
    ]
}

impl Meaning for Join {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let (left, right) = (&inputs[0], &inputs[1]);
        let [of_right, of_left] = &self.moments;
        of_right.ask(context, left)?;
        of_left.ask(context, right)?;
        let mut pairs = Pairs::new(left, right, self, context);
        if self.keys.is_empty() {
            let looks = left.num_rows().saturating_mul(right.num_rows());
            within(looks, ROWS_MAX * 10, "a join without an equality between its sides")?;
            context.spend(looks)?;
            for row in 0..row_number(left.num_rows()) {
                pairs.of_left(row, 0..row_number(right.num_rows()))?;
            }
        } else {
            let types: Vec<Type> = self.keys.iter().map(|(left, _)| left.ty).collect();
            let codec = RowCodec::new(&types);
            let mut index: HashMap<Box<[u8]>, Vec<u32>> = HashMap::new();
            for (row, key) in keys(&codec, right, self.keys.iter().map(|(_, right)| right), context).enumerate() {
                if let Some(key) = key {
                    index.entry(key).or_default().push(row_number(row));
                }
            }
            for (row, key) in keys(&codec, left, self.keys.iter().map(|(left, _)| left), context).enumerate() {
                let matches = key.and_then(|key| index.get(&key)).map(Vec::as_slice).unwrap_or_default();
                pairs.of_left(row_number(row), matches.iter().copied())?;
            }
        }
        pairs.finish()
    }
}

fn row_number(row: usize) -> u32 {
    u32::try_from(row).expect("a batch has fewer than 2^32 rows")
}

/// The key of each row; none where part of it is NULL, which equals nothing.
fn keys<'e>(
    codec: &RowCodec,
    rows: &RecordBatch,
    exprs: impl Iterator<Item = &'e Expr>,
    context: &Context<'_>,
) -> impl Iterator<Item = Option<Box<[u8]>>> {
    let evaluator = context.evaluator(rows);
    let columns: Vec<_> = exprs.map(|expr| evaluator.values(expr)).collect();
    let encoded = codec.encode(&columns, rows.num_rows());
    encoded.into_iter().enumerate().map(move |(row, key)| {
        let has_null = columns.iter().any(|column| column.is_null(row));
        (!has_null).then_some(key)
    })
}

/// Pairs on their way into the result: the condition is tried on many at a time.
struct Pairs<'a> {
    left: &'a RecordBatch,
    right: &'a RecordBatch,
    join: &'a Join,
    context: &'a Context<'a>,
    open: Vec<(u32, u32)>,
    /// Which left rows found a match.
    matched: Vec<bool>,
    /// Which right rows did.
    matched_right: Vec<bool>,
    done: Vec<RecordBatch>,
    /// The left row of each row done.
    lefts: Vec<u32>,
}

impl<'a> Pairs<'a> {
    fn new(left: &'a RecordBatch, right: &'a RecordBatch, join: &'a Join, context: &'a Context<'a>) -> Self {
        let (matched, matched_right) = (vec![false; left.num_rows()], vec![false; right.num_rows()]);
        Self { left, right, join, context, open: vec![], matched, matched_right, done: vec![], lefts: vec![] }
    }

    fn of_left(&mut self, left: u32, rights: impl Iterator<Item = u32>) -> Result<(), Error> {
        for right in rights {
            self.open.push((left, right));
            if self.open.len() >= CHUNK {
                self.look()?;
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Error> {
        self.context.work(self.open.len())?;
        let (lefts, rights): (Vec<_>, Vec<_>) = self.open.drain(..).unzip();
        let mut both = beside(&take(self.left, &lefts), &take(self.right, &rights));
        let kept = match &self.join.on {
            Some(on) => self.context.evaluator(&both).matching(on),
            None => (0..row_number(lefts.len())).collect(),
        };
        for at in &kept {
            self.matched[lefts[*at as usize] as usize] = true;
            self.matched_right[rights[*at as usize] as usize] = true;
            self.lefts.push(lefts[*at as usize]);
        }
        if kept.len() < lefts.len() {
            both = take(&both, &kept);
        }
        within(self.lefts.len(), ROWS_MAX, "a join")?;
        self.done.push(both);
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch, Error> {
        self.look()?;
        if self.join.kind.keeps_left() {
            let alone = unmatched(&self.matched);
            let nulls = take_or_null(self.right, &vec![None; alone.len()]);
            self.done.push(beside(&take(self.left, &alone), &nulls));
            if !alone.is_empty() {
                // Every left row in its turn, with or without a match.
                self.lefts.extend(alone);
                let all = stack(&self.done, &self.done[0]);
                let mut order: Vec<u32> = (0..row_number(self.lefts.len())).collect();
                order.sort_by_key(|row| self.lefts[*row as usize]);
                self.done = vec![take(&all, &order)];
            }
        }
        if self.join.kind.keeps_right() {
            let alone = unmatched(&self.matched_right);
            let nulls = take_or_null(self.left, &vec![None; alone.len()]);
            self.done.push(beside(&nulls, &take(self.right, &alone)));
        }
        let like = self.done[0].clone();
        Ok(stack(&self.done, &like))
    }
}

fn unmatched(matched: &[bool]) -> Vec<u32> {
    (0u32..).zip(matched).filter(|(_, matched)| !**matched).map(|(row, _)| row).collect()
}

/// An AUTO JOIN: no collector answers questions, so there is no answer rather than a wrong one.
pub(super) struct Asking {
    pub(super) collector: &'static str,
}

impl Meaning for Asking {
    fn meaning(&self, _: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        Err(Error::NobodyAnswers(self.collector))
    }
}
