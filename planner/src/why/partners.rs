//! Joins on a row's way: its partners, and where it has none, who came nearest.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;

use super::conditions::{Judged, Pairs};
use super::trace::{Halt, Trace, leaf, name_of, stopped};
use super::{Clause, Condition};
use crate::batch::{beside, stack, take, take_or_null};
use crate::error::Error;
use crate::operators::{ROWS_MAX, within};
use crate::plan::Plan;

impl Trace<'_, '_> {
    pub(super) fn join(
        &mut self,
        rows: &RecordBatch,
        right: &RecordBatch,
        (kind, on, side): (JoinKind, Option<&Expr>, &Plan),
    ) -> Result<RecordBatch, Halt> {
        let conjuncts = on.cloned().map(Expr::into_conjuncts).unwrap_or_default();
        let (name, fields) = (name_of(leaf(side).unwrap_or(side)), side.fields());
        let mut done = Vec::new();
        let mut count = 0;
        for left in numbers(rows) {
            let pairs = self.pairs(rows, left, right)?;
            let kept = match on {
                Some(on) => take(&pairs, &self.context.evaluator(&pairs).matching(on)),
                None => pairs,
            };
            let alone = kept.num_rows() == 0 && kind.keeps_left();
            let kept = if alone { beside(&take(rows, &[left]), &take_or_null(right, &[None])) } else { kept };
            count += kept.num_rows();
            within(count, ROWS_MAX, "a join")?;
            done.push(kept);
        }
        let like = self.pairs(rows, 0, &right.slice(0, 0))?;
        let kept = stack(&done, &like);
        if count > 0 {
            // Of a row that stays without a partner nothing holds.
            if !kind.keeps_left() {
                self.hold(conjuncts, &Plan::Unit);
            }
            return Ok(kept);
        }
        let mut looked = Pairs { judged: vec![], width: rows.num_columns(), fields };
        for left in numbers(rows) {
            let pairs = self.pairs(rows, left, right)?;
            let judged = Judged::new(&conjuncts, &self.context.evaluator(&pairs));
            looked.judged.push((pairs, judged));
        }
        self.no_partner(rows, &looked, &conjuncts, Clause::Join(name))
    }

    /// Nothing among the pairs satisfies all conditions.
    fn no_partner<T>(
        &mut self,
        rows: &RecordBatch,
        pairs: &Pairs,
        conjuncts: &[Expr],
        clause: Clause,
    ) -> Result<T, Halt> {
        let row = rows.slice(0, 1);
        self.tell(Some(&row));
        let mut conditions = std::mem::take(&mut self.told);
        let mut nearest = pairs.nearest(conjuncts);
        for near in &mut nearest {
            near.fails += conditions.len();
        }
        for (at, conjunct) in conjuncts.iter().enumerate() {
            let condition = self.condition(conjunct, &row, &|_| false);
            conditions.push(if conjunct.columns().iter().all(|at| *at < pairs.width) {
                condition
            } else {
                let held_by = pairs.held_by(at);
                Condition { held_by: Some(held_by), holds: Some(held_by.0 > 0), ..condition }
            });
        }
        stopped(clause, conditions, rows.num_rows(), nearest)
    }

    /// One row beside each of the right ones.
    fn pairs(&self, rows: &RecordBatch, left: u32, right: &RecordBatch) -> Result<RecordBatch, Error> {
        self.context.spend(right.num_rows())?;
        Ok(beside(&take(rows, &vec![left; right.num_rows()]), right))
    }

    pub(super) fn lineage(&mut self, plan: &Plan) -> Result<RecordBatch, Halt> {
        let Plan::Lineage { input, on, kind, alias, .. } = plan else { unreachable!("a lineage") };
        let rows = self.rows(input)?;
        let kept = self.apply(plan, rows.clone())?;
        if kept.num_rows() > 0 {
            if !kind.keeps_left() {
                self.hold(on.iter().cloned().flat_map(Expr::into_conjuncts).collect(), &Plan::Unit);
            }
            return Ok(kept);
        }
        let mut all = plan.clone();
        if let Plan::Lineage { on, .. } = &mut all {
            *on = None;
        }
        let related = self.apply(&all, rows.clone())?;
        let conjuncts = on.iter().cloned().flat_map(Expr::into_conjuncts).collect::<Vec<_>>();
        let judged = Judged::new(&conjuncts, &self.context.evaluator(&related));
        let width = rows.num_columns();
        let fields = all.fields().split_off(width);
        let looked = Pairs { judged: vec![(related, judged)], width, fields };
        self.no_partner(&rows, &looked, &conjuncts, Clause::Lineage(alias.clone()))
    }
}

fn numbers(rows: &RecordBatch) -> std::ops::Range<u32> {
    0..u32::try_from(rows.num_rows()).expect("a batch has fewer than 2^32 rows")
}
