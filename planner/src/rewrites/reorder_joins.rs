//! A chain of inner joins in an order in which each input meets an equality with those before it: a lookup instead of
//! every pair.
//!
//! `FROM a, b, c WHERE a.x = c.x AND b.y = c.y` pairs every a with every b as it is written; a, c, b pairs none in vain.
//! The written order stays where it has no such product, or where no other has fewer. Another order begins with an input
//! that a filter makes small and goes on with such inputs where it can. A projection puts the columns back.

use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};
use daemoneye_dsl::query::JoinKind;

use crate::plan::Plan;

pub(super) fn apply(plan: Plan) -> Plan {
    match plan {
        Plan::Project { input, columns } if is_chain(&input) => match reordered(*input) {
            (input, None) => Plan::Project { input: input.into(), columns },
            (input, Some(places)) => {
                let moved = |(name, expr): (String, Expr)| (name, expr.with_columns(&|column| places[column]));
                Plan::Project { columns: columns.into_iter().map(moved).collect(), input: input.into() }
            }
        },
        plan if is_chain(&plan) => {
            let fields = plan.fields();
            let (plan, places) = reordered(plan);
            let Some(places) = places else { return plan };
            let columns = fields.into_iter().zip(places).map(|(field, place)| {
                let column = Expr::column(place, field.ty, field.name.as_str());
                (field.name, column)
            });
            Plan::Project { columns: columns.collect(), input: plan.into() }
        }
        plan => plan.map_children(&mut apply),
    }
}

fn is_chain(plan: &Plan) -> bool {
    matches!(plan, Plan::Join { kind: JoinKind::Inner, keys, .. } if keys.is_empty())
}

/// The joins, and where each column is now unless the order is the written one.
fn reordered(plan: Plan) -> (Plan, Option<Vec<usize>>) {
    let mut chain = Chain::default();
    chain.take(plan, 0);
    let order = chain.order();
    let written = order.iter().enumerate().all(|(at, input)| at == *input);
    let (plan, places) = chain.join(&order);
    (plan, (!written).then_some(places))
}

/// Joins laid flat: what they join, and what must hold over all of it.
#[derive(Default)]
struct Chain {
    inputs: Vec<Input>,
    conjuncts: Vec<Expr>,
}

struct Input {
    plan: Plan,
    /// The position of its first column in the row of the whole chain, as it is written.
    start: usize,
    width: usize,
}

/// An equality between one input and others.
struct Link {
    input: usize,
    others: Vec<usize>,
}

impl Chain {
    fn take(&mut self, plan: Plan, start: usize) {
        match plan {
            Plan::Join { left, right, kind: JoinKind::Inner, keys, on } if keys.is_empty() => {
                let middle = start + left.width();
                self.take(*left, start);
                self.take(*right, middle);
                let own = on.map(Expr::into_conjuncts).unwrap_or_default().into_iter();
                self.conjuncts.extend(own.map(|conjunct| conjunct.with_columns(&|column| column + start)));
            }
            plan => {
                let plan = apply(plan);
                self.inputs.push(Input { start, width: plan.width(), plan });
            }
        }
    }

    fn order(&self) -> Vec<usize> {
        let links = self.links();
        let written: Vec<usize> = (0..self.inputs.len()).collect();
        let products = self.products(&written, &links);
        if products == 0 {
            return written;
        }
        let found = self.linked_order(&links);
        if self.products(&found, &links) < products { found } else { written }
    }

    /// Each input after another that it is linked with, where there is one.
    fn linked_order(&self, links: &[Link]) -> Vec<usize> {
        let mut open: Vec<usize> = (0..self.inputs.len()).collect();
        // Small inputs first, otherwise as written.
        open.sort_by_key(|input| !is_filtered(&self.inputs[*input].plan));
        let mut placed = vec![false; self.inputs.len()];
        let mut order = Vec::new();
        while !open.is_empty() {
            let next = open.iter().position(|input| is_linked(*input, &placed, links)).unwrap_or(0);
            let input = open.remove(next);
            placed[input] = true;
            order.push(input);
        }
        order
    }

    /// How many joins of the order pair everything with everything.
    fn products(&self, order: &[usize], links: &[Link]) -> usize {
        let mut placed = vec![false; self.inputs.len()];
        let alone = order.iter().enumerate().filter(|(at, input)| {
            let alone = *at > 0 && !is_linked(**input, &placed, links);
            placed[**input] = true;
            alone
        });
        alone.count()
    }

    fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for conjunct in &self.conjuncts {
            let ExprKind::Compare { op: Comparison::Equal, left, right, collation: Collation::Binary } = &conjunct.kind
            else {
                continue;
            };
            let (lefts, rights) = (self.read_by(left), self.read_by(right));
            for (one, others) in [(&lefts, &rights), (&rights, &lefts)] {
                if let [input] = one.as_slice()
                    && left.ty == right.ty
                    && !others.is_empty()
                    && !others.contains(input)
                {
                    links.push(Link { input: *input, others: others.clone() });
                }
            }
        }
        links
    }

    /// The inputs whose columns an expression reads, ascending.
    fn read_by(&self, expr: &Expr) -> Vec<usize> {
        let of = |column: usize| self.inputs.partition_point(|input| input.start <= column) - 1;
        let mut inputs: Vec<_> = expr.columns().into_iter().map(of).collect();
        inputs.dedup();
        inputs
    }

    /// The joins in that order, and where each column of the chain as it is written is now.
    fn join(mut self, order: &[usize]) -> (Plan, Vec<usize>) {
        let total = self.inputs.iter().map(|input| input.width).sum();
        let mut places = vec![usize::MAX; total];
        let mut joined: Option<Plan> = None;
        let mut width = 0;
        for at in order {
            let input = &mut self.inputs[*at];
            for own in 0..input.width {
                places[input.start + own] = width + own;
            }
            width += input.width;
            let right = std::mem::replace(&mut input.plan, Plan::Unit);
            let Some(left) = joined.take() else {
                joined = Some(right);
                continue;
            };
            let known = |conjunct: &Expr| conjunct.columns().iter().all(|column| places[*column] < width);
            let (own, rest) = self.conjuncts.into_iter().partition(known);
            self.conjuncts = rest;
            let on = Expr::all(own).map(|on| on.with_columns(&|column| places[column]));
            joined =
                Some(Plan::Join { left: left.into(), right: right.into(), kind: JoinKind::Inner, keys: vec![], on });
        }
        (joined.expect("a join has inputs"), places)
    }
}

fn is_linked(input: usize, placed: &[bool], links: &[Link]) -> bool {
    links.iter().any(|link| link.input == input && link.others.iter().all(|other| placed[*other]))
}

fn is_filtered(plan: &Plan) -> bool {
    matches!(plan, Plan::Scan { filter: Some(_), .. } | Plan::Filter { .. })
}
