//! Where changes enter: a table, the conditions that rules put on its rows, and what of it operators keep.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::ArrayRef;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::{Kind, Table};
use daemoneye_dsl::types::Type;
use smallvec::SmallVec;

use super::delta::Run;
use super::graph::{Graph, NodeId};
use super::keyed::{KeyId, Nulls};
use super::keys::cells;
use super::recipe::{Recipe, fingerprint};
use super::store::{Slot, Store};
use crate::batch::{Batch, take};
use crate::eval::Evaluator;
use crate::matcher::Matcher;
use crate::plan::Lookback;

/// One table, with or without the changes that samples make.
pub(crate) struct Source {
    pub(crate) table: Arc<Table>,
    /// Whether rules here read volatile columns: then every sample is a change.
    pub(crate) samples: bool,
    /// The conditions of all legs.
    matcher: Matcher,
    conditions: Vec<Condition>,
    /// Conditions by the hash of what they do.
    known: HashMap<u64, SmallVec<[usize; 1]>>,
    /// Legs without a condition.
    open: SmallVec<[NodeId; 1]>,
    /// What of the table is kept, the newest last.
    pub(crate) kept: Vec<Kept>,
    /// The keys that joins and groups ask for: lists of expressions over the table's columns.
    keyed: Vec<(Vec<Expr>, Nulls)>,
    /// How far back the rows of a leg can matter to all that share it, where that is bounded.
    lookbacks: HashMap<NodeId, Option<Lookback>>,
    change: Option<Batch>,
    /// The slots that rows of the change were given, by store.
    slots: RefCell<HashMap<usize, Vec<Option<Slot>>>>,
    /// The keys that rows of the change were given, by their number.
    keys: RefCell<HashMap<usize, KeysOf>>,
}

/// What legs ask of a row.
struct Condition {
    expr: Arc<Expr>,
    /// Those whose condition it is; one for each list of columns.
    legs: SmallVec<[NodeId; 1]>,
}

/// Keys of the rows of a change.
struct KeysOf {
    /// What they are made of.
    columns: Vec<ArrayRef>,
    /// By row, once it was asked for.
    ids: Vec<Option<Option<KeyId>>>,
}

/// Columns of a table in a store.
pub(crate) struct Kept {
    pub(crate) store: usize,
    /// Positions in the table.
    pub(crate) columns: Vec<usize>,
    /// Rows are in it: it cannot get another column.
    used: Cell<bool>,
}

impl Source {
    pub(crate) fn new(table: Arc<Table>, samples: bool) -> Self {
        Self {
            table,
            samples,
            matcher: Matcher::default(),
            conditions: vec![],
            known: HashMap::new(),
            open: SmallVec::new(),
            lookbacks: HashMap::new(),
            kept: vec![],
            keyed: vec![],
            change: None,
            slots: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// The number of a condition over the table's columns.
    pub(crate) fn condition(&mut self, expr: Expr) -> usize {
        let known = self.known.entry(fingerprint(&expr)).or_default();
        if let Some(number) = known.iter().find(|it| *self.conditions[**it].expr == expr) {
            return *number;
        }
        let expr = Arc::new(self.matcher.tightened(expr));
        let number = self.matcher.add(expr.clone());
        known.push(number);
        self.conditions.resize_with(number + 1, || Condition { expr: expr.clone(), legs: SmallVec::new() });
        number
    }

    /// A leg asks for rows: those for which the condition holds, or all.
    pub(crate) fn enter(&mut self, leg: NodeId, condition: Option<usize>, lookback: Option<Lookback>) {
        let legs = condition.map_or(&mut self.open, |number| &mut self.conditions[number].legs);
        if !legs.contains(&leg) {
            legs.push(leg);
        }
        let known = self.lookbacks.entry(leg).or_insert(lookback);
        *known = known.zip(lookback).and_then(|(one, other)| one.farther(other));
    }

    /// A leg is no more.
    pub(crate) fn leave(&mut self, leg: NodeId, condition: Option<usize>) {
        self.lookbacks.remove(&leg);
        let Some(number) = condition else { return self.open.retain(|other| *other != leg) };
        let Condition { expr, legs } = &mut self.conditions[number];
        legs.retain(|other| *other != leg);
        if legs.is_empty() {
            if let Some(known) = self.known.get_mut(&fingerprint(expr)) {
                known.retain(|other| *other != number);
            }
            self.matcher.remove(number);
        }
    }

    /// How many conditions there are and have been.
    pub(crate) fn conditions_len(&self) -> usize {
        self.conditions.len()
    }

    /// The rows of the change that each leg asks for, where there are any.
    pub(crate) fn matching(&mut self) -> Vec<(NodeId, Vec<u32>)> {
        let change = self.change.as_ref().expect("a change was taken up");
        let found = self.matcher.matching(&change.rows);
        let conditions = &self.conditions;
        let legs = found.into_iter().flat_map(|(number, rows)| {
            conditions[number].legs.iter().map(move |leg| (*leg, rows.clone())).collect::<Vec<_>>()
        });
        let all = || (0u32..).take(change.rows.num_rows()).collect::<Vec<_>>();
        legs.chain(self.open.iter().map(|leg| (*leg, all()))).collect()
    }

    /// The rows of the change for which a condition holds; all without one.
    pub(crate) fn matching_one(&self, condition: Option<usize>) -> Vec<u32> {
        let rows = &self.change().rows;
        match condition {
            Some(number) => self.matcher.matching_one(number, rows),
            None => (0u32..).take(rows.num_rows()).collect(),
        }
    }

    /// A condition by its number.
    pub(crate) fn expr(&self, number: usize) -> &Expr {
        &self.conditions[number].expr
    }

    /// How rows are found for which a condition holds, for people.
    pub(crate) fn found_by(&self, condition: Option<usize>) -> String {
        let name = |at: usize| self.table.columns[at].name.to_string();
        condition.map_or_else(|| "every row".to_owned(), |number| self.matcher.guard(number, name))
    }

    /// The columns that these legs read.
    pub(crate) fn columns_read(&self, legs: &[NodeId], graph: &Graph) -> Vec<usize> {
        let mut read = BTreeSet::new();
        for leg in legs {
            let Recipe::Leg { condition, columns, .. } = &graph.node(*leg).recipe else { continue };
            read.extend(columns);
            read.extend(condition.iter().flat_map(|number| self.conditions[*number].expr.columns()));
        }
        // What is kept of a row is kept whole.
        read.extend(self.kept.iter().flat_map(|kept| &kept.columns));
        read.into_iter().collect()
    }

    /// How far back the rows of these legs can matter, if that is bounded and by the same column for all.
    pub(crate) fn lookback(&self, legs: &[NodeId]) -> Option<Lookback> {
        let mut farthest: Option<Lookback> = None;
        for leg in legs {
            let own = (*self.lookbacks.get(leg)?)?;
            farthest = Some(farthest.map_or(Some(own), |known| known.farther(own))?);
        }
        farthest
    }

    /// The number of a store that has these columns; `begin` makes a store for columns, or makes one anew.
    pub(crate) fn keep(&mut self, columns: &[usize], begin: &mut dyn FnMut(Option<usize>, &[Type]) -> usize) -> usize {
        let has = |kept: &Kept| columns.iter().all(|column| kept.columns.contains(column));
        if let Some(at) = self.kept.iter().rposition(has) {
            return at;
        }
        let types = |columns: &[usize]| columns.iter().map(|at| self.table.columns[*at].ty).collect::<Vec<_>>();
        if let Some(last) = self.kept.last_mut().filter(|last| !last.used.get()) {
            last.columns
                .extend(columns.iter().filter(|column| !last.columns.contains(column)).copied().collect::<Vec<_>>());
            begin(Some(last.store), &types(&last.columns));
            return self.kept.len() - 1;
        }
        let store = begin(None, &types(columns));
        self.kept.push(Kept { store, columns: columns.to_vec(), used: Cell::new(false) });
        self.kept.len() - 1
    }

    /// What this step changes.
    pub(crate) fn change(&self) -> &Batch {
        self.change.as_ref().expect("rows are picked from a change")
    }

    /// What happened stays so: that a store's retention ends is no change of it.
    pub(crate) fn begin(&mut self, change: Batch) {
        let leaves = self.table.kind == Kind::Events && change.weights.iter().any(|weight| *weight < 0);
        self.change = Some(if leaves { appearing(&change) } else { change });
    }

    pub(crate) fn end(&mut self) {
        self.change = None;
        self.slots.get_mut().clear();
        self.keys.get_mut().clear();
    }

    /// The number of a list of expressions, for [`Source::keys`].
    pub(crate) fn keyed_by(&mut self, exprs: Vec<Expr>, nulls: Nulls) -> usize {
        let asked = (exprs, nulls);
        self.keyed.iter().position(|known| *known == asked).unwrap_or_else(|| {
            self.keyed.push(asked);
            self.keyed.len() - 1
        })
    }

    /// The keys of rows of the change, each made once for all who ask.
    pub(crate) fn keys(&self, number: usize, rows: &[u32], run: &Run<'_>) -> Vec<Option<KeyId>> {
        let (exprs, nulls) = &self.keyed[number];
        let change = &self.change().rows;
        let mut known = self.keys.borrow_mut();
        let KeysOf { columns, ids } = known.entry(number).or_insert_with(|| {
            let evaluator = Evaluator::new(change, run.now, &[]);
            let columns = exprs.iter().map(|expr| evaluator.values(expr)).collect();
            KeysOf { columns, ids: vec![None; change.num_rows()] }
        });
        let mut keys = run.keys.borrow_mut();
        let columns = cells(columns);
        let mut of = |row: usize| *ids[row].get_or_insert_with(|| keys.of_row(&columns, row, *nulls));
        rows.iter().map(|row| of(*row as usize)).collect()
    }

    /// The slots of rows of the change.
    pub(crate) fn slots(&self, kept: usize, rows: &[u32], stores: &[RefCell<Store>]) -> Vec<Slot> {
        let Kept { store, columns, used } = &self.kept[kept];
        used.set(true);
        let change = &self.change().rows;
        let mut known = self.slots.borrow_mut();
        let known = known.entry(*store).or_insert_with(|| vec![None; change.num_rows()]);
        let missing: Vec<u32> = rows.iter().copied().filter(|row| known[*row as usize].is_none()).collect();
        if !missing.is_empty() {
            let columns: Vec<ArrayRef> = columns.iter().map(|at| change.column(*at).clone()).collect();
            let slots = stores[*store].borrow_mut().slots(&columns, &missing);
            for (row, slot) in missing.into_iter().zip(slots) {
                known[row as usize] = Some(slot);
            }
        }
        rows.iter().map(|row| known[*row as usize].expect("it was just given")).collect()
    }
}

/// The rows that appear.
fn appearing(change: &Batch) -> Batch {
    let rows: Vec<u32> = (0u32..).zip(&change.weights).filter(|(_, weight)| **weight > 0).map(|(row, _)| row).collect();
    Batch { weights: rows.iter().map(|row| change.weights[*row as usize]).collect(), rows: take(&change.rows, &rows) }
}
