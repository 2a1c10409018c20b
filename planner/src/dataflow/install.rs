//! From a plan to operators that step.
//!
//! A filter at a scan becomes a leg, which the table's matcher answers; a join becomes arrangements, shared by all that
//! need the same, and a pair over them; a subquery in a condition becomes a semi-join or an anti-join. What has no step
//! is taken anew from its inputs, which step.

use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};
use daemoneye_dsl::query::{Aggregate, AggregateKind, JoinKind, SetOp};
use daemoneye_dsl::types::{Type, Value};

use super::delta::{Form, Layout, Origin};
use super::expiry::Until;
use super::graph::{Graph, NodeId};
use super::recipe::{Recipe, nameless};
use super::steps::aggregate::Grouping;
use super::steps::pair::PairKind;
use super::steps::temporal::Turning;
use crate::batch::batch;
use crate::eval::Evaluator;
use crate::operators::types;
use crate::plan::{Lookback, Plan, Question};

impl Graph {
    /// The operators of a plan; gives the one that gives its result.
    pub(crate) fn install(&mut self, plan: &Plan) -> NodeId {
        match plan {
            Plan::Scan { columns, .. } => self.scan(plan, columns),
            Plan::Filter { input, predicate } => self.filtered(input, predicate),
            Plan::Project { input, columns } => {
                if let Some(columns) = picked(input, columns) {
                    return self.scan(input, &columns);
                }
                let input = self.install(input);
                self.project(input, columns.iter().map(|(_, expr)| expr.clone()).collect())
            }
            Plan::Join { left, right, kind, keys, on } if !plan.exprs().into_iter().any(Expr::uses_now) => {
                let (left, right) = (self.install(left), self.install(right));
                self.pair(PairKind::Join(*kind), (left, right), keys, on.clone(), None)
            }
            Plan::Apply { input, subplan, params, question: Question::Value } => {
                match by_group(input, subplan, params) {
                    Some(join) => self.install(&join),
                    None if params.is_empty() && subplan.is_constant() => {
                        let (left, right) = (self.install(input), self.install(subplan));
                        self.pair(PairKind::Join(JoinKind::Left), (left, right), &[], None, None)
                    }
                    None => self.recomputed(plan),
                }
            }
            Plan::Aggregate { input, keys, aggregates, bare } if !plan.exprs().into_iter().any(Expr::uses_now) => {
                let input = self.install(input);
                let grouping = Grouping {
                    keys: keys.iter().cloned().map(nameless).collect(),
                    aggregates: aggregates.iter().cloned().map(nameless_call).collect(),
                    bare: bare.clone(),
                };
                self.add(Recipe::Aggregate(grouping.into()), vec![input], Layout::values(types(plan)))
            }
            Plan::Distinct { input } => {
                let input = self.install(input);
                self.distinct(input)
            }
            Plan::Set { op, left, right } => {
                let inputs = vec![self.install(left), self.install(right)];
                let layout = Layout::values(types(plan));
                match op {
                    SetOp::UnionAll => self.add(Recipe::Union, inputs, layout),
                    SetOp::Union => {
                        let all = self.add(Recipe::Union, inputs, layout);
                        self.distinct(all)
                    }
                    SetOp::Intersect | SetOp::Except => self.add(Recipe::Set(*op), inputs, layout),
                }
            }
            Plan::Recursive { base, step, id, distinct: false, limit: None } if is_linear(step, *id) => {
                self.recursion(base, step, *id)
            }
            Plan::Lineage { lineage, input, process, columns, kind, on, .. }
                if !plan.exprs().into_iter().any(Expr::uses_now) =>
            {
                let input = self.install(input);
                let ids = self.project(input, vec![process.clone()]);
                let ids = self.distinct(ids);
                let table = lineage.table();
                let types = columns.iter().map(|at| table.columns[*at].ty);
                let layout = Layout::values([Type::Text].into_iter().chain(types).collect());
                let kin = self.add(Recipe::Kin { lineage: *lineage, columns: columns.clone() }, vec![ids], layout);
                // The id that was asked about is the key, and no column of the result.
                let width = self.node(input).layout.types.len();
                let after = |column: usize| if column < width { column } else { column + 1 };
                let on = on.clone().map(|on| on.with_columns(&after));
                let keys = [(process.clone(), Expr::column(0, Type::Text, ""))];
                let pair = self.pair(PairKind::Join(*kind), (input, kin), &keys, on, None);
                let all = (0..width).chain(width + 1..width + 1 + columns.len()).collect::<Vec<_>>();
                let layout = self.node(pair).layout.project(&all);
                self.add(Recipe::Columns(all), vec![pair], layout)
            }
            Plan::Sort { input, limit: None, offset: 0, .. } => self.install(input),
            Plan::Sort { input, keys, limit, offset } => {
                let input = self.install(input);
                let recipe = Recipe::Top { keys: keys.clone(), limit: *limit, offset: *offset };
                self.add(recipe, vec![input], Layout::values(types(plan)))
            }
            Plan::Working { id, .. } if self.working.contains_key(id) => self.working[id],
            _ => self.recomputed(plan),
        }
    }

    /// The rows of a scan, with these columns of the table.
    fn scan(&mut self, scan: &Plan, picked: &[usize]) -> NodeId {
        let Plan::Scan { table, columns, filter, lookback, .. } = scan else { unreachable!("a scan is installed") };
        let samples = columns.iter().any(|at| table.columns[*at].volatile);
        let source = self.source(table, samples);
        let (timed, plain) = split(filter.iter().cloned().flat_map(Expr::into_conjuncts), Expr::uses_now);
        let condition = Expr::all(plain).map(|it| nameless(it.with_columns(&|at| columns[at])));
        let leg = self.leg(source, condition, picked, *lookback);
        self.filter(leg, timed)
    }

    fn leg(&mut self, source: usize, condition: Option<Expr>, columns: &[usize], lookback: Option<Lookback>) -> NodeId {
        let condition = condition.map(|it| self.sources[source].condition(it));
        let layout = Layout {
            types: columns.iter().map(|at| self.sources[source].table.columns[*at].ty).collect(),
            form: Form::Picked { source, columns: columns.to_vec() },
        };
        let leg = self.add(Recipe::Leg { source, condition, columns: columns.to_vec() }, vec![], layout);
        self.sources[source].enter(leg, condition, lookback);
        leg
    }

    /// A subquery's answer that a condition asks for becomes a semi-join or an anti-join.
    fn filtered(&mut self, input: &Plan, predicate: &Expr) -> NodeId {
        let conjuncts = predicate.clone().into_conjuncts();
        if let Plan::Apply { input, subplan, params, question } = input {
            let answer = input.width();
            for (at, conjunct) in conjuncts.iter().enumerate() {
                let Some(anti) = asks_for(conjunct, answer) else { continue };
                let Some(asked) = Asked::of(subplan, params, question, anti, answer) else { continue };
                let left = self.install(input);
                let right = self.install(&asked.inner);
                let kind = match question {
                    _ if !anti => PairKind::Semi,
                    Question::In(..) => PairKind::NotIn,
                    Question::Exists | Question::Value => PairKind::Anti,
                };
                let pair = self.pair(kind, (left, right), &asked.keys, asked.on, Some(!anti));
                let rest = conjuncts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, it)| it.clone());
                return self.filter(pair, rest.collect());
            }
        }
        let input = self.install(input);
        self.filter(input, conjuncts)
    }

    /// The rows for which all conjuncts hold.
    fn filter(&mut self, input: NodeId, conjuncts: Vec<Expr>) -> NodeId {
        let (timed, plain) = split(conjuncts.into_iter(), Expr::uses_now);
        let mut node = input;
        if let Some(condition) = Expr::all(plain) {
            let layout = self.node(node).layout.clone();
            node = self.add(Recipe::Filter(nameless(condition)), vec![node], layout);
        }
        let (turning, other): (Vec<_>, Vec<_>) = timed.into_iter().map(turning).partition(Result::is_ok);
        let turning: Vec<_> = turning.into_iter().filter_map(Result::ok).collect();
        if !turning.is_empty() {
            let layout = self.kept(node);
            node = self.add(Recipe::Temporal(turning), vec![node], layout);
        }
        match Expr::all(other.into_iter().filter_map(Result::err)) {
            Some(predicate) => {
                let layout = Layout::values(self.node(node).layout.types.clone());
                let plan = Plan::Filter { input: Plan::Unit.into(), predicate };
                self.add(Recipe::Recomputed(plan.into()), vec![node], layout)
            }
            None => node,
        }
    }

    fn project(&mut self, input: NodeId, exprs: Vec<Expr>) -> NodeId {
        let types: Vec<Type> = exprs.iter().map(|expr| expr.ty).collect();
        let layout = self.node(input).layout.clone();
        let plain = exprs.iter().map(|expr| match expr.kind {
            ExprKind::Column { index, .. } => Some(index),
            _ => None,
        });
        if let Some(columns) = plain.collect::<Option<Vec<_>>>().filter(|_| layout.form != Form::Values) {
            return self.add(Recipe::Columns(columns.clone()), vec![input], layout.project(&columns));
        }
        if exprs.iter().any(Expr::uses_now) {
            let columns = exprs.into_iter().map(|expr| (String::new(), expr)).collect();
            let plan = Plan::Project { input: Plan::Unit.into(), columns };
            return self.add(Recipe::Recomputed(plan.into()), vec![input], Layout::values(types));
        }
        let exprs = exprs.into_iter().map(nameless).collect();
        self.add(Recipe::Project(exprs), vec![input], Layout::values(types))
    }

    fn distinct(&mut self, input: NodeId) -> NodeId {
        let layout = self.node(input).layout.clone();
        self.add(Recipe::Distinct, vec![input], layout)
    }

    /// Two inputs arranged by their keys and paired. `answer` is one column more, the same for every row.
    fn pair(
        &mut self,
        kind: PairKind,
        (left, right): (NodeId, NodeId),
        keys: &[(Expr, Expr)],
        on: Option<Expr>,
        answer: Option<bool>,
    ) -> NodeId {
        let (left_keys, right_keys) = keys.iter().cloned().map(|(one, other)| (nameless(one), nameless(other))).unzip();
        let [left_until, right_until] = self.untils(kind, (left, right), keys, on.as_ref());
        let (left, right) = (self.arrange(left, left_keys, left_until), self.arrange(right, right_keys, right_until));
        let (one, other) = (&self.node(left).layout, &self.node(right).layout);
        let mut layout = match kind {
            PairKind::Join(_) => beside(one, other),
            PairKind::Semi | PairKind::Anti | PairKind::NotIn => one.clone(),
        };
        if let (Some(answer), Form::Slots { columns, .. }) = (answer, &mut layout.form) {
            columns.push(Origin::Constant(Value::Boolean(answer)));
            layout.types.push(Type::Boolean);
        }
        self.add(Recipe::Pair { kind, on: on.map(nameless).map(Box::new) }, vec![left, right], layout)
    }

    fn arrange(&mut self, input: NodeId, keys: Vec<Expr>, until: Option<Until>) -> NodeId {
        let layout = self.kept(input);
        self.add(Recipe::Arrange { keys, until }, vec![input], layout)
    }

    /// A node's rows as slots.
    fn kept(&mut self, input: NodeId) -> Layout {
        let layout = self.node(input).layout.clone();
        let form = match layout.form {
            Form::Slots { .. } => layout.form,
            Form::Picked { source, columns } => {
                let kept = self.keep(source, &columns);
                let kept = &self.sources[source].kept[kept];
                let place = |at: &usize| kept.columns.iter().position(|other| other == at).expect("it is kept");
                let columns = columns.iter().map(|at| Origin::Stored { part: 0, column: place(at) }).collect();
                Form::Slots { stores: vec![kept.store], columns }
            }
            Form::Values => {
                let columns = (0..layout.types.len()).map(|column| Origin::Stored { part: 0, column }).collect();
                Form::Slots { stores: vec![self.store_of(input)], columns }
            }
        };
        Layout { form, types: layout.types }
    }

    /// An operation that is taken anew when its inputs, or what it reads, changed.
    fn recomputed(&mut self, plan: &Plan) -> NodeId {
        let inputs = plan.inputs().into_iter().map(|input| self.install(input)).collect();
        let layout = Layout::values(types(plan));
        // The inputs are operators of their own; only their widths and types are looked at.
        self.add(Recipe::Recomputed(plan.clone().into()), inputs, layout)
    }

    fn recursion(&mut self, base: &Plan, step: &Plan, id: usize) -> NodeId {
        let base = self.install(base);
        let layout = Layout::values(self.node(base).layout.types.clone());
        // Its rows come from the base and from the step, whose forms differ: values are what both can be.
        let base = self.add(Recipe::Union, vec![base], layout.clone());
        let working = self.add(Recipe::Working, vec![base], layout.clone());
        let around = self.working.insert(id, working);
        let step = self.install(step);
        let step = self.add(Recipe::Union, vec![step], layout.clone());
        match around {
            Some(around) => self.working.insert(id, around),
            None => self.working.remove(&id),
        };
        let mut rounds: Vec<NodeId> = vec![working];
        for node in self.below(step) {
            if self.node(node).inputs.iter().any(|input| rounds.contains(input)) {
                rounds.push(node);
            }
        }
        rounds.remove(0);
        self.add(Recipe::Recursion { working, rounds }, vec![base, step], layout)
    }
}

/// The columns of the table that a projection over a scan picks, if that is all it does and the time turns no row.
fn picked(input: &Plan, columns: &[(String, Expr)]) -> Option<Vec<usize>> {
    let Plan::Scan { columns: own, filter, .. } = input else { return None };
    let plain = columns.iter().map(|(_, expr)| match expr.kind {
        ExprKind::Column { index, .. } => Some(own[index]),
        _ => None,
    });
    if filter.as_ref().is_some_and(Expr::uses_now) { None } else { plain.collect() }
}

/// Whether each row of the round before makes its rows by itself: then what changes in the base or in the tables runs
/// through the rounds like the rows themselves.
fn is_linear(step: &Plan, id: usize) -> bool {
    match step {
        Plan::Working { id: own, .. } => *own == id,
        Plan::Filter { input, .. } | Plan::Project { input, .. } => {
            !step.exprs().into_iter().any(Expr::uses_now) && is_linear(input, id)
        }
        Plan::Join { left, right, kind: JoinKind::Inner, .. } if !step.exprs().into_iter().any(Expr::uses_now) => {
            (is_linear(left, id) && right.is_constant()) || (left.is_constant() && is_linear(right, id))
        }
        _ => false,
    }
}

/// The layout of the rows of two side by side, both slots.
pub(crate) fn beside(left: &Layout, right: &Layout) -> Layout {
    let (Form::Slots { stores, columns }, Form::Slots { stores: more, columns: right_columns }) =
        (&left.form, &right.form)
    else {
        unreachable!("what is paired is arranged")
    };
    let moved = right_columns.iter().map(|origin| match origin {
        Origin::Stored { part, column } => Origin::Stored { part: part + stores.len(), column: *column },
        Origin::Constant(value) => Origin::Constant(value.clone()),
    });
    Layout {
        form: Form::Slots {
            stores: stores.iter().chain(more).copied().collect(),
            columns: columns.iter().cloned().chain(moved).collect(),
        },
        types: left.types.iter().chain(&right.types).copied().collect(),
    }
}

/// The aggregate without what only people read.
fn nameless_call(mut call: Aggregate) -> Aggregate {
    for expr in call.exprs_mut() {
        *expr = nameless(expr.clone());
    }
    call
}

fn split(conjuncts: impl Iterator<Item = Expr>, is_first: impl Fn(&Expr) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    conjuncts.partition(is_first)
}

/// A condition that the time turns at one moment of the row, or the condition back.
fn turning(condition: Expr) -> Result<Turning, Expr> {
    let ExprKind::Compare { op, left, right, .. } = &condition.kind else { return Err(condition) };
    let is_moment = |expr: &Expr| expr.ty == Type::Timestamp && !expr.uses_now() && !expr.columns().is_empty();
    let is_bound = |expr: &Expr| expr.ty == Type::Timestamp && expr.columns().is_empty();
    let ordered = !matches!(op, Comparison::NotEqual | Comparison::Is | Comparison::IsNot);
    let (op, moment, bound) = if is_moment(left) && is_bound(right) {
        (*op, left, right)
    } else if is_moment(right) && is_bound(left) {
        (op.flipped(), right, left)
    } else {
        return Err(condition);
    };
    if !ordered {
        return Err(condition);
    }
    Ok(Turning { op, moment: nameless((**moment).clone()), bound: (**bound).clone() })
}

/// Whether a conjunct asks that an answer be false, or true.
fn asks_for(conjunct: &Expr, answer: usize) -> Option<bool> {
    let is_answer = |expr: &Expr| matches!(expr.kind, ExprKind::Column { index, .. } if index == answer);
    match &conjunct.kind {
        _ if is_answer(conjunct) => Some(false),
        ExprKind::IsTrue(of) if is_answer(of) => Some(false),
        ExprKind::Not(of) if is_answer(of) => Some(true),
        _ => None,
    }
}

/// A subquery as the right side of a semi-join.
struct Asked {
    inner: Plan,
    /// Over the row that asks and over the inner row.
    keys: Vec<(Expr, Expr)>,
    /// Over both.
    on: Option<Expr>,
}

impl Asked {
    /// `width` is that of the row that asks.
    fn of(subplan: &Plan, params: &[Expr], question: &Question, anti: bool, width: usize) -> Option<Self> {
        let mut plan = subplan;
        let mut values: Vec<(Expr, Expr)> = Vec::new();
        match question {
            Question::Exists => {
                // Whether there is a row does not depend on its columns, their order or repetition.
                while let Plan::Project { input, .. } | Plan::Distinct { input } = plan {
                    plan = input;
                }
            }
            // NULL in one of several values, or in some of the rows that a row asks about: more than counts decide.
            Question::In(asked, _) if anti && (asked.len() > 1 || !subplan.is_constant()) => return None,
            Question::In(asked, collation) => {
                let types = types(subplan);
                if *collation != Collation::Binary || asked.iter().zip(&types).any(|(one, ty)| one.ty != *ty) {
                    return None;
                }
                let found = match plan {
                    Plan::Project { input, columns } if !subplan.is_constant() => {
                        plan = input;
                        columns.iter().map(|(_, expr)| expr.clone()).collect()
                    }
                    _ => types.iter().enumerate().map(|(at, ty)| Expr::column(at, *ty, "")).collect::<Vec<_>>(),
                };
                values = asked.iter().cloned().zip(found).collect();
            }
            Question::Value => return None,
        }
        let mut asked = Self { inner: plan.clone(), keys: values, on: None };
        let rest = match plan {
            _ if plan.is_constant() => None,
            Plan::Lookup { input, keys, rest } => {
                asked.keys.extend(keys.iter().map(|(own, given)| (given.clone(), own.clone())));
                asked.inner = (**input).clone();
                rest.clone()
            }
            Plan::Filter { input, predicate } => {
                asked.inner = (**input).clone();
                Some(predicate.clone())
            }
            _ => return None,
        };
        let given = |expr: Expr| with_params(expr, params);
        asked.on = rest.map(|rest| given(rest.with_columns(&|column| column + width)));
        asked.keys = asked.keys.into_iter().map(|(one, other)| (given(one), other)).collect();
        let has_params = |expr: &Expr| crate::plan::has_parameter(expr);
        let usable = asked.inner.is_constant()
            && !asked.on.iter().any(Expr::uses_now)
            && !asked.keys.iter().any(|(one, other)| has_params(one) || has_params(other) || one.columns().is_empty())
            && !asked.keys.iter().any(|(one, other)| one.uses_now() || other.uses_now());
        usable.then_some(asked)
    }
}

/// Parameters as what they stand for in the row that asks.
fn with_params(mut expr: Expr, params: &[Expr]) -> Expr {
    if let ExprKind::Parameter { index, .. } = expr.kind {
        return params[index].clone();
    }
    for operand in expr.operands_mut() {
        let own = std::mem::replace(operand, Expr::null());
        *operand = with_params(own, params);
    }
    expr
}

/// `(SELECT count(*) FROM t WHERE t.a = row.b)` for each row: the groups of `t` by `a`, and what there is of none where
/// there is no group.
fn by_group(input: &Plan, subplan: &Plan, params: &[Expr]) -> Option<Plan> {
    let Plan::Project { input: aggregate, columns } = subplan else { return None };
    let Plan::Aggregate { input: lookup, keys: none, aggregates, bare } = &**aggregate else { return None };
    let Plan::Lookup { input: inner, keys, rest: None } = &**lookup else { return None };
    let [(name, value)] = columns.as_slice() else { return None };
    let reads_params = |expr: &Expr| crate::plan::has_parameter(expr);
    let exprs = aggregates.iter().flat_map(|call| call.exprs()).chain(&bare.columns).chain([value]);
    if !none.is_empty() || !bare.columns.is_empty() || exprs.into_iter().any(reads_params) || !inner.is_constant() {
        return None;
    }
    let of_none = batch(
        aggregates
            .iter()
            .map(|call| {
                let value = match call.kind {
                    AggregateKind::Count => Value::Integer(0),
                    AggregateKind::Total => Value::Real(0.0),
                    _ => Value::Null,
                };
                call.ty.array([value])
            })
            .collect(),
        1,
    );
    if value.uses_now() {
        return None;
    }
    let nothing = Value::at(&Evaluator::new(&of_none, daemoneye_dsl::types::Timestamp(0), &[]).values(value), 0);
    let groups = Plan::Aggregate {
        input: inner.clone(),
        keys: keys.iter().map(|(own, _)| own.clone()).collect(),
        aggregates: aggregates.clone(),
        bare: bare.clone(),
    };
    let given = keys
        .iter()
        .enumerate()
        .map(|(at, (own, given))| (with_params(given.clone(), params), Expr::column(at, own.ty, "")));
    let width = input.width();
    let own = input.fields().into_iter().enumerate().map(|(at, field)| {
        let column = Expr::column(at, field.ty, field.name.as_str());
        (field.name, column)
    });
    let first_key = Expr::column(width, keys[0].0.ty, "");
    let found = value.clone().with_columns(&|column| width + keys.len() + column);
    let answer = Expr::new(
        ExprKind::Case {
            branches: vec![(Expr::boolean(ExprKind::IsNull(first_key.into())), Expr::literal(nothing, value.ty))],
            otherwise: found.into(),
        },
        value.ty,
    );
    let columns = own.chain([(name.clone(), answer)]).collect();
    let join = Plan::Join {
        left: input.clone().into(),
        right: groups.into(),
        kind: JoinKind::Left,
        keys: given.collect(),
        on: None,
    };
    Some(Plan::Project { input: join.into(), columns })
}
