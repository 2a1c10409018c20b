//! What a subquery found for one row, and where it found nothing, what came nearest.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::types::Value;

use super::conditions::{Judged, names, telling, told, values_of};
use super::trace::whole;
use super::{Condition, Found, NEAREST_MAX, Named, Near};
use crate::error::Error;
use crate::operators::Context;
use crate::plan::{Plan, Question};

/// A subquery whose answer stands in a column of the row.
pub(super) struct Asked<'p> {
    column: usize,
    subplan: &'p Plan,
    params: &'p [Expr],
    question: &'p Question,
}

impl<'p> Asked<'p> {
    /// What the subqueries found that a condition which does not hold asks; `input` has them at its top.
    pub(super) fn below(
        input: &'p Plan,
        conjunct: &Expr,
        condition: &Condition,
        row: &RecordBatch,
        context: &Context<'_>,
    ) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        if condition.holds == Some(true) {
            return Ok(found);
        }
        let columns = conjunct.columns();
        let mut plan = input;
        while let Plan::Apply { input, subplan, params, question } = plan {
            let asked = Asked { column: input.width(), subplan, params, question };
            if columns.contains(&asked.column) {
                found.push(asked.found(row, context)?);
            }
            plan = input;
        }
        Ok(found)
    }

    fn found(&self, row: &RecordBatch, context: &Context<'_>) -> Result<Found, Error> {
        let evaluator = context.evaluator(row);
        let values: Vec<Value> = self.params.iter().map(|it| Value::at(&evaluator.values(it), 0)).collect();
        let mut given: Vec<Named> = self.params.iter().map(ToString::to_string).zip(values.iter().cloned()).collect();
        if let Question::In(asked, _) = self.question {
            given.extend(asked.iter().flat_map(|it| values_of(it, row, |_| true)));
        }
        let context = context.with_params(values);
        // Whether there is a row does not depend on its columns: what it was made of says more.
        let shown = if *self.question == Question::Exists { made_of(self.subplan) } else { self.subplan };
        let rows = whole(shown, &context)?;
        let names = match shown {
            Plan::Filter { input, predicate } => {
                telling(&input.fields(), names(std::slice::from_ref(predicate), 0).into_iter())
            }
            _ => shown.fields().into_iter().map(|field| field.name).enumerate().collect(),
        };
        let first = (0..rows.num_rows().min(NEAREST_MAX)).map(|row| told(&rows, row, &names)).collect();
        let mut found = Found {
            question: self.question.to_string(),
            given,
            rows: rows.num_rows(),
            first,
            conditions: vec![],
            nearest: vec![],
        };
        if rows.num_rows() == 0 {
            // That the answer is empty is known; how nearly it is not may cost more than it is worth.
            if let Ok((conditions, nearest)) = nearest(self.subplan, &context) {
                (found.conditions, found.nearest) = (conditions, nearest);
            }
        }
        Ok(found)
    }
}

/// What the rows of a plan are made of, where it makes them one by one.
fn made_of(plan: &Plan) -> &Plan {
    match plan {
        Plan::Project { input, .. }
        | Plan::Distinct { input }
        | Plan::Window { input, .. }
        | Plan::Sort { input, limit: None, offset: 0, .. } => made_of(input),
        _ => plan,
    }
}

/// The conditions of a subquery that gave nothing, and the rows that satisfy all but one.
fn nearest(subplan: &Plan, context: &Context<'_>) -> Result<(Vec<Condition>, Vec<Near>), Error> {
    let Plan::Filter { input, predicate } = made_of(subplan) else { return Ok((vec![], vec![])) };
    let rows = whole(input, context)?;
    let conjuncts = predicate.clone().into_conjuncts();
    let judged = Judged::new(&conjuncts, &context.evaluator(&rows));
    let condition = |(at, expr): (usize, &Expr)| {
        let held = judged.held_by(at);
        Condition {
            holds: Some(held > 0),
            values: params_of(expr, context, &rows),
            held_by: Some((held, rows.num_rows())),
            ..Condition::new(expr)
        }
    };
    let conditions = conjuncts.iter().enumerate().map(condition).collect();
    let names = telling(&input.fields(), names(&conjuncts, 0).into_iter());
    let near = judged.all_but_one().map(|(row, fails)| Near { row: told(&rows, row as usize, &names), fails });
    let near = if conjuncts.len() > 1 { near.take(NEAREST_MAX).collect() } else { vec![] };
    Ok((conditions, near))
}

/// What a condition reads of the row that asks.
fn params_of(expr: &Expr, context: &Context<'_>, rows: &RecordBatch) -> Vec<Named> {
    let mut values: Vec<Named> = Vec::new();
    let one = rows.slice(0, rows.num_rows().min(1));
    if one.num_rows() == 0 {
        return values;
    }
    let evaluator = context.evaluator(&one);
    expr.walk(&mut |expr| {
        if let ExprKind::Parameter { name, .. } = &expr.kind
            && !values.iter().any(|(known, _)| **known == **name)
        {
            values.push((name.to_string(), Value::at(&evaluator.values(expr), 0)));
        }
    });
    values
}
