//! What an installed rule is made of: which operators, which of them step by themselves, and what they hold.
//!
//! This asks the operators themselves, so that `explain` and lint DE310 say what is done, not what was meant. Recipes
//! carry no names of columns, because rules that call them differently share operators; the names shown here are found
//! again from the tables upwards.

use std::collections::BTreeSet;

use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::tables::lineage::Lineage;
use daemoneye_dsl::types::display_interval;

use super::graph::{Graph, NodeId};
use super::recipe::Recipe;
use super::steps::aggregate::Grouping;
use super::steps::pair::PairKind;
use super::{Dataflow, RuleId, Size};
use crate::plan::{Field, Plan, sort_text};

/// One operator of an installed rule.
#[derive(Clone, Debug)]
pub struct Operator {
    /// What it does, on one line.
    pub text: String,
    /// The clause for which it is taken anew from all its input; none for one that steps on what changed.
    pub anew: Option<&'static str>,
    /// What it holds, apart from the rows that it only refers to.
    pub held: Size,
    /// How a row of its table is told to concern it; only of those that read a table.
    pub found_by: Option<String>,
    /// Where its inputs stand among the rule's operators.
    pub inputs: Vec<usize>,
    /// What it evaluates by itself, beside its inputs.
    pub within: Vec<Plan>,
}

impl Dataflow {
    /// The tables of events whose rows a rule holds for ever.
    pub fn held_for_ever(&self, rule: RuleId) -> Vec<String> {
        let nodes = self.rules.get(&rule).into_iter().flat_map(|rule| &rule.nodes).copied();
        let holding = nodes.filter(|id| self.graph.holds_for_ever(*id));
        let inputs = holding.flat_map(|id| self.graph.node(id).inputs.clone()).filter(|id| self.graph.only_grows(*id));
        let below = inputs.flat_map(|id| self.graph.below(id));
        let tables: BTreeSet<String> = below.filter_map(|id| Some(self.graph.found_by(id)?.0)).collect();
        tables.into_iter().collect()
    }

    /// The operators of a rule, inputs first: the last gives its result.
    pub fn operators(&self, rule: RuleId) -> Vec<Operator> {
        let Some(rule) = self.rules.get(&rule) else { return vec![] };
        let place = |id: &NodeId| rule.nodes.binary_search(id).expect("a rule has the inputs of its operators");
        let mut names: Vec<Vec<String>> = Vec::new();
        let describe = |id: &NodeId| {
            let inputs: Vec<usize> = self.graph.node(*id).inputs.iter().map(place).collect();
            let below: Vec<&[String]> = inputs.iter().map(|at| names[*at].as_slice()).collect();
            let (text, own) = self.graph.described(*id, &below);
            names.push(own);
            Operator {
                text,
                anew: self.graph.taken_anew(*id),
                held: self.graph.size(*id),
                found_by: self.graph.found_by(*id).map(|(_, found_by)| found_by),
                inputs,
                within: self.graph.within(*id),
            }
        };
        rule.nodes.iter().map(describe).collect()
    }
}

impl Graph {
    /// What a node does, and what its columns are called, where those of its inputs are.
    fn described(&self, id: NodeId, below: &[&[String]]) -> (String, Vec<String>) {
        let node = self.node(id);
        let input = || below.first().map(|names| names.to_vec()).unwrap_or_default();
        let all =
            |exprs: &[Expr], names: &[String]| -> Vec<String> { exprs.iter().map(|expr| named(expr, names)).collect() };
        match &node.recipe {
            Recipe::Leg { source, condition, columns } => {
                let source = &self.sources[*source];
                let table: Vec<String> = source.table.columns.iter().map(|column| column.name.to_string()).collect();
                let names = columns.iter().map(|at| table[*at].clone()).collect();
                let condition = condition.map(|number| format!(" ({})", named(source.expr(number), &table)));
                (format!("Table: {}{}", source.table.name, condition.unwrap_or_default()), names)
            }
            Recipe::Filter(condition) => (format!("Filter: {}", named(condition, below[0])), input()),
            Recipe::Project(exprs) => {
                let names = all(exprs, below[0]);
                (format!("Project: {}", names.join(", ")), names)
            }
            Recipe::Columns(columns) => {
                let names: Vec<String> = columns.iter().map(|at| below[0][*at].clone()).collect();
                (format!("Columns: {}", names.join(", ")), names)
            }
            Recipe::Union => ("Union".to_owned(), input()),
            Recipe::Arrange { keys, until } => {
                let rows = match keys.as_slice() {
                    [] => "All rows".to_owned(),
                    keys => format!("Rows by: {}", all(keys, below[0]).join(", ")),
                };
                let keep = until.as_ref().and_then(|until| Some((&until.moment, until.keep?)));
                let kept = match keep {
                    Some((moment, keep)) => kept(moment, keep, below[0]),
                    None if self.holds_for_ever(id) => ", for ever".to_owned(),
                    None => String::new(),
                };
                (rows + &kept, input())
            }
            Recipe::Pair { kind, on } => pair(*kind, on.as_deref(), below, node.layout.types.len()),
            Recipe::Aggregate(grouping) => aggregate(grouping, below[0]),
            Recipe::Distinct => ("Distinct".to_owned(), input()),
            Recipe::Set(op) => (format!("Set: {}", op.name()), input()),
            Recipe::Top { keys, limit, offset } => {
                let fields = below[0].iter().zip(&node.layout.types);
                let fields: Vec<_> = fields.map(|(name, ty)| Field { name: name.clone(), ty: *ty }).collect();
                (format!("Sort: {}", sort_text(&fields, keys, *limit, *offset)), input())
            }
            Recipe::Temporal(turning) => {
                let all = turning.iter().map(|it| named(&it.condition(), below[0]));
                (format!("Until its moment: {}", all.collect::<Vec<_>>().join(" AND ")), input())
            }
            Recipe::Kin { lineage, columns } => {
                let (word, table) = match lineage {
                    Lineage::Ancestors => ("Ancestors", lineage.table()),
                    Lineage::Descendants => ("Descendants", lineage.table()),
                };
                let names = columns.iter().map(|at| table.columns[*at].name.to_string());
                (format!("{word} of: {}", below[0].join(", ")), input().into_iter().chain(names).collect())
            }
            Recipe::Working => ("Rows of the round before".to_owned(), input()),
            Recipe::Recursion { .. } => ("Recursion".to_owned(), input()),
            Recipe::Recomputed(plan) if let Plan::Project { columns, .. } = &**plan => {
                let names: Vec<String> = columns.iter().map(|(_, expr)| named(expr, below[0])).collect();
                (format!("Project: {}", names.join(", ")), names)
            }
            Recipe::Recomputed(plan) => (plan.operation_text(), recomputed_names(plan, &node.layout.types, below)),
        }
    }

    fn within(&self, id: NodeId) -> Vec<Plan> {
        match &self.node(id).recipe {
            Recipe::Recomputed(plan) => plan.subplans().into_iter().cloned().collect(),
            _ => vec![],
        }
    }

    /// The clause for which a node is taken anew.
    fn taken_anew(&self, id: NodeId) -> Option<&'static str> {
        let Recipe::Recomputed(plan) = &self.node(id).recipe else { return None };
        let asks_time = plan.exprs().into_iter().any(Expr::uses_now);
        match &**plan {
            Plan::AutoJoin { .. } => Some("AUTO JOIN"),
            Plan::Lineage { lineage: Lineage::Ancestors, .. } => Some("ancestors()"),
            Plan::Lineage { lineage: Lineage::Descendants, .. } => Some("descendants()"),
            Plan::Apply { .. } => Some("subquery"),
            Plan::Recursive { .. } => Some("WITH RECURSIVE"),
            Plan::Window { .. } => Some("OVER"),
            Plan::Join { .. } if asks_time => Some("JOIN with now()"),
            Plan::Aggregate { .. } if asks_time => Some("GROUP BY with now()"),
            _ if asks_time => Some("now()"),
            Plan::Join { .. } => Some("JOIN"),
            Plan::Aggregate { .. } => Some("GROUP BY"),
            Plan::Distinct { .. } => Some("DISTINCT"),
            Plan::Sort { .. } => Some("ORDER BY/LIMIT"),
            Plan::Set { op, .. } => Some(op.name()),
            // Constants stand still once they were given: nothing that changes reaches them. The rest steps.
            Plan::Unit
            | Plan::Values { .. }
            | Plan::List { .. }
            | Plan::Working { .. }
            | Plan::Scan { .. }
            | Plan::Filter { .. }
            | Plan::Project { .. }
            | Plan::Lookup { .. } => None,
        }
    }
}

/// How long rows are kept.
fn kept(moment: &Expr, keep: i64, below: &[String]) -> String {
    let moment = named(moment, below);
    match keep {
        ..=0 => format!(", until {moment}"),
        _ => format!(", until {} after {moment}", display_interval(keep)),
    }
}

fn pair(kind: PairKind, on: Option<&Expr>, below: &[&[String]], width: usize) -> (String, Vec<String>) {
    let [left, right] = below else { unreachable!("a pair has two inputs") };
    let both = side_by_side(left, right);
    let text = match kind {
        PairKind::Join(JoinKind::Inner) => "Join",
        PairKind::Join(JoinKind::Left) => "LeftJoin",
        PairKind::Join(JoinKind::Right) => "RightJoin",
        PairKind::Join(JoinKind::Full) => "FullJoin",
        PairKind::Semi => "With a match",
        PairKind::Anti => "Without a match",
        PairKind::NotIn => "Not among",
    };
    let on = on.map(|on| format!(": {}", named(on, &both))).unwrap_or_default();
    let mut names = match kind {
        PairKind::Join(_) => both,
        PairKind::Semi | PairKind::Anti | PairKind::NotIn => left.to_vec(),
    };
    // The answer to the subquery that it stands for.
    let answer = if kind == PairKind::Semi { "TRUE" } else { "FALSE" };
    names.resize_with(width, || answer.to_owned());
    (format!("{text}{on}"), names)
}

/// Names that both sides have are told apart.
fn side_by_side(left: &[String], right: &[String]) -> Vec<String> {
    let of = |side: &str, names: &[String], others: &[String]| -> Vec<String> {
        let one = |name: &String| if others.contains(name) { format!("{side}.{name}") } else { name.clone() };
        names.iter().map(one).collect()
    };
    [of("left", left, right), of("right", right, left)].concat()
}

fn aggregate(grouping: &Grouping, below: &[String]) -> (String, Vec<String>) {
    let keys: Vec<String> = grouping.keys.iter().map(|key| named(key, below)).collect();
    let call = |call: &daemoneye_dsl::query::Aggregate| {
        let mut call = call.clone();
        call.exprs_mut().into_iter().for_each(|expr| *expr = with_names(expr.clone(), below));
        call.to_string()
    };
    let calls: Vec<String> = grouping.aggregates.iter().map(call).collect();
    let bare: Vec<String> = grouping.bare.columns.iter().map(|column| named(column, below)).collect();
    let shown = calls.iter().cloned().chain(bare.iter().map(|column| format!("some {column}")));
    let text = format!("Aggregate: {} by [{}]", shown.collect::<Vec<_>>().join(", "), keys.join(", "));
    (text, [keys, calls, bare].concat())
}

/// What is taken anew kept its plan, and with it the author's names; a condition alone has those below it.
fn recomputed_names(plan: &Plan, types: &[daemoneye_dsl::types::Type], below: &[&[String]]) -> Vec<String> {
    let fields = plan.fields();
    match below {
        [only] if fields.len() != types.len() => only.to_vec(),
        _ => fields.into_iter().map(|field| field.name).collect(),
    }
}

fn named(expr: &Expr, names: &[String]) -> String {
    with_names(expr.clone(), names).to_string()
}

fn with_names(mut expr: Expr, names: &[String]) -> Expr {
    if let ExprKind::Column { index, name } = &mut expr.kind
        && let Some(known) = names.get(*index)
    {
        *name = known.as_str().into();
    }
    for operand in expr.operands_mut() {
        let own = std::mem::replace(operand, Expr::null());
        *operand = with_names(own, names);
    }
    expr
}
