//! What is looked up in each column, for all conditions at once.

use std::collections::BTreeMap;

use daemoneye_dsl::pattern::Literal;

use super::atoms::Rows;
use super::guard::Probe;
use super::literals::{Edge, Folded, Literals};
use super::values::Values;
use crate::cell::Cells;

/// The probes of all guards, by column.
#[derive(Default)]
pub(super) struct Columns {
    columns: BTreeMap<usize, Column>,
    /// The texts of the column at hand.
    texts: Folded,
}

struct Column {
    within: Widths,
    at_start: Widths,
    at_end: Widths,
    values: Values,
}

/// Literals by length: short ones would make the search for long ones slow.
struct Widths {
    two: Literals<2>,
    three: Literals<3>,
    four: Literals<4>,
}

impl Columns {
    pub(super) fn add(&mut self, probe: &Probe, asked_by: u32) {
        let column = self.columns.entry(probe.column()).or_default();
        match probe {
            Probe::Literal(_, literal) => column.widths(literal).add(literal, asked_by),
            Probe::Equal(_, value) => column.values.add_equal(value, asked_by),
            Probe::AtLeast(_, bound) => column.values.add_at_least(*bound, asked_by),
            Probe::AtMost(_, bound) => column.values.add_at_most(*bound, asked_by),
            Probe::Null(_) => column.values.add_null(asked_by),
        }
    }

    pub(super) fn remove(&mut self, probe: &Probe, asked_by: u32) {
        let Some(column) = self.columns.get_mut(&probe.column()) else { return };
        match probe {
            Probe::Literal(_, literal) => column.widths(literal).remove(literal, asked_by),
            Probe::Equal(_, value) => column.values.remove_equal(value, asked_by),
            Probe::AtLeast(..) | Probe::AtMost(..) | Probe::Null(_) => column.values.remove_bounds(asked_by),
        }
        if column.is_empty() {
            self.columns.remove(&probe.column());
        }
    }

    /// Tells row and condition for every probe that is met; the same pair may come again.
    pub(super) fn find(&mut self, rows: &Rows<'_>, mut found: impl FnMut(u32, u32)) {
        for (at, column) in &mut self.columns {
            let cells = rows.cells[*at];
            if let Cells::Text(texts) = cells
                && column.reads_texts()
            {
                self.texts.fill(texts.value_data(), texts.value_offsets());
                column.find_literals(&self.texts, |row, asked_by| {
                    if !cells.at(row as usize).is_null() {
                        found(row, asked_by);
                    }
                });
            }
            if !column.values.is_empty() {
                column.values.find(cells, &self.texts, &mut found);
            }
        }
    }
}

impl Default for Column {
    fn default() -> Self {
        let [within, at_start, at_end] = [Edge::None, Edge::Start, Edge::End].map(Widths::new);
        Self { within, at_start, at_end, values: Values::default() }
    }
}

impl Column {
    fn widths(&mut self, literal: &Literal) -> &mut Widths {
        match Edge::of(literal) {
            Edge::None => &mut self.within,
            Edge::Start => &mut self.at_start,
            Edge::End => &mut self.at_end,
        }
    }

    fn is_empty(&self) -> bool {
        !self.reads_texts() && self.values.is_empty()
    }

    fn reads_texts(&self) -> bool {
        let all = [&self.within, &self.at_start, &self.at_end];
        all.into_iter().any(|widths| !widths.is_empty()) || self.values.has_texts()
    }

    fn find_literals(&mut self, texts: &Folded, mut found: impl FnMut(u32, u32)) {
        for widths in [&mut self.within, &mut self.at_start, &mut self.at_end] {
            widths.find(texts, &mut found);
        }
    }
}

impl Widths {
    fn new(edge: Edge) -> Self {
        Self { two: Literals::new(edge), three: Literals::new(edge), four: Literals::new(edge) }
    }

    fn is_empty(&self) -> bool {
        self.two.is_empty() && self.three.is_empty() && self.four.is_empty()
    }

    fn add(&mut self, literal: &Literal, asked_by: u32) {
        match literal.bytes.len() {
            ..=2 => self.two.add(literal, asked_by),
            3 => self.three.add(literal, asked_by),
            4.. => self.four.add(literal, asked_by),
        }
    }

    fn remove(&mut self, literal: &Literal, asked_by: u32) {
        match literal.bytes.len() {
            ..=2 => self.two.remove(literal, asked_by),
            3 => self.three.remove(literal, asked_by),
            4.. => self.four.remove(literal, asked_by),
        }
    }

    fn find(&mut self, texts: &Folded, found: &mut impl FnMut(u32, u32)) {
        if !self.two.is_empty() {
            self.two.find(texts, &mut *found);
        }
        if !self.three.is_empty() {
            self.three.find(texts, &mut *found);
        }
        if !self.four.is_empty() {
            self.four.find(texts, &mut *found);
        }
    }
}
