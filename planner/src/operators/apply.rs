//! Each row with a subquery's answer for it.
//!
//! The subquery is evaluated once for each different tuple of parameters, and once altogether where it has none. What in
//! it does not depend on them is read and computed once ([`Context::repeated`]).

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use arrow_array::{ArrayRef, RecordBatch};
use daemoneye_dsl::convert;
use daemoneye_dsl::expr::{Collation, Expr};
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Meaning, Node};
use crate::batch::{RowCodec, batch};
use crate::error::Error;
use crate::eval::compare_values;
use crate::plan::{Plan, Question};

pub(super) struct Apply {
    subplan: Node,
    params: Vec<Expr>,
    question: Question,
    answer: Type,
}

impl Apply {
    pub(super) fn new(node: Node, subplan: &Plan, params: Vec<Expr>, question: Question) -> Self {
        let answer = match question {
            Question::Value => subplan.fields()[0].ty,
            Question::Exists | Question::In(..) => Type::Boolean,
        };
        Self { subplan: node, params, question, answer }
    }
}

impl Meaning for Apply {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let evaluator = context.evaluator(rows);
        let params: Vec<_> = self.params.iter().map(|param| evaluator.values(param)).collect();
        let types: Vec<_> = self.params.iter().map(|param| param.ty).collect();
        let tuples = RowCodec::new(&types).encode(&params, rows.num_rows());
        let repeated = context.repeated();
        let mut answers: HashMap<&[u8], Answer> = HashMap::new();
        let asked = match &self.question {
            Question::In(values, collation) => {
                (values.iter().map(|value| evaluator.values(value)).collect(), *collation)
            }
            Question::Value | Question::Exists => (Vec::new(), Collation::Binary),
        };
        let mut column = Vec::with_capacity(rows.num_rows());
        for (row, tuple) in tuples.iter().enumerate() {
            let answer = match answers.entry(tuple) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let values = params.iter().map(|param| Value::at(param, row)).collect();
                    let found = self.subplan.meaning(&repeated.with_params(values))?;
                    new.insert(Answer::new(&self.question, &found, asked.1))
                }
            };
            column.push(answer.for_row(&asked.0, row));
        }
        let columns = rows.columns().iter().cloned().chain([self.answer.array(column)]).collect();
        Ok(batch(columns, rows.num_rows()))
    }
}

/// What one evaluation of the subquery says.
enum Answer {
    /// The same for every row that asks.
    Fixed(Value),
    /// Whether a row's values are among these.
    Members(Members),
}

/// The rows of a subquery, to be looked for in.
struct Members {
    /// Rows without NULL by their canonical bytes.
    whole: HashSet<Vec<u8>>,
    /// Rows with a NULL: they may equal what differs from them nowhere else.
    holed: Vec<Vec<Value>>,
    /// All of them, looked through where the value itself has a NULL.
    rows: Vec<Vec<Value>>,
    collation: Collation,
    /// Answers for values with a NULL.
    known: RefCell<HashMap<Vec<u8>, Value>>,
}

impl Answer {
    fn new(question: &Question, found: &RecordBatch, collation: Collation) -> Self {
        match question {
            Question::Value if found.num_rows() == 0 => Self::Fixed(Value::Null),
            Question::Value => Self::Fixed(Value::at(found.column(0), 0)),
            Question::Exists => Self::Fixed(Value::Boolean(found.num_rows() > 0)),
            Question::In(..) => Self::Members(Members::new(found, collation)),
        }
    }

    fn for_row(&self, values: &[ArrayRef], row: usize) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Members(members) => {
                members.holds(&values.iter().map(|column| Value::at(column, row)).collect::<Vec<_>>())
            }
        }
    }
}

impl Members {
    fn new(found: &RecordBatch, collation: Collation) -> Self {
        let row = |row: usize| found.columns().iter().map(|column| Value::at(column, row)).collect::<Vec<_>>();
        let rows: Vec<_> = (0..found.num_rows()).map(row).collect();
        let (holed, whole): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.iter().any(Value::is_null));
        let whole = whole.iter().map(|row| key(row, collation)).collect();
        Self { whole, holed, rows, collation, known: RefCell::default() }
    }

    fn holds(&self, values: &[Value]) -> Value {
        let key = key(values, self.collation);
        if !values.iter().any(Value::is_null) {
            if self.whole.contains(&key) {
                return Value::Boolean(true);
            }
            let unknown = self.holed.iter().any(|row| self.equal(row, values) != Some(false));
            return if unknown { Value::Null } else { Value::Boolean(false) };
        }
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let unknown = self.rows.iter().any(|row| self.equal(row, values) != Some(false));
        let answer = if unknown { Value::Null } else { Value::Boolean(false) };
        self.known.borrow_mut().insert(key, answer.clone());
        answer
    }

    /// Whether two rows are equal, where NULL is unknown.
    fn equal(&self, row: &[Value], values: &[Value]) -> Option<bool> {
        let mut equal = Some(true);
        for (one, other) in row.iter().zip(values) {
            if one.is_null() || other.is_null() {
                equal = None;
            } else if !compare_values(one, other, self.collation).is_eq() {
                return Some(false);
            }
        }
        equal
    }
}

/// A whole number as the INTEGER that it equals.
fn exact(real: f64) -> Value {
    let whole = convert::saturate(real);
    if compare_values(&Value::Integer(whole), &Value::Real(real), Collation::Binary).is_eq() {
        Value::Integer(whole)
    } else {
        Value::Real(real)
    }
}

/// Equal bytes exactly for rows that are equal by the collation.
fn key(values: &[Value], collation: Collation) -> Vec<u8> {
    let mut key = Vec::new();
    for value in values {
        match (value, collation) {
            (Value::Text(text), Collation::NoCase) => Value::Text(text.to_ascii_lowercase()).encode_key(&mut key),
            (Value::Real(real), _) => exact(*real).encode_key(&mut key),
            _ => value.encode_key(&mut key),
        }
    }
    key
}
