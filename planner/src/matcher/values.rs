//! Values that conditions ask for by name: equal ones in a hash table, bounds in a sorted list.

use std::hash::Hash;

use daemoneye_dsl::expr::{Collation, Comparison};
use daemoneye_dsl::types::Value;
use hashbrown::HashMap;

use super::guard::rounded;
use super::literals::Folded;
use crate::cell::{Cell, Cells};

/// Who asks for which values of a column.
#[derive(Default)]
pub(super) struct Values {
    /// Folded.
    texts: HashMap<Box<[u8]>, Vec<u32>>,
    /// By [`number`].
    numbers: HashMap<u64, Vec<u32>>,
    /// Ascending: those up to the value are met.
    at_least: Vec<(f64, u32)>,
    /// Descending: those down to the value are met.
    at_most: Vec<(f64, u32)>,
    null: Vec<u32>,
}

impl Values {
    pub(super) fn is_empty(&self) -> bool {
        !self.has_texts() && !self.has_numbers() && self.null.is_empty()
    }

    /// Whether [`Values::find`] needs the texts folded.
    pub(super) fn has_texts(&self) -> bool {
        !self.texts.is_empty()
    }

    fn has_numbers(&self) -> bool {
        !self.numbers.is_empty() || !self.at_least.is_empty() || !self.at_most.is_empty()
    }

    pub(super) fn add_equal(&mut self, value: &Value, asked_by: u32) {
        if let Value::Text(text) = value {
            self.texts.entry(folded(text)).or_default().push(asked_by);
        } else if let Some(number) = number(Cell::of(value)) {
            self.numbers.entry(number).or_default().push(asked_by);
        }
    }

    pub(super) fn remove_equal(&mut self, value: &Value, asked_by: u32) {
        if let Value::Text(text) = value {
            remove(&mut self.texts, &folded(text), asked_by);
        } else if let Some(number) = number(Cell::of(value)) {
            remove(&mut self.numbers, &number, asked_by);
        }
    }

    pub(super) fn add_at_least(&mut self, bound: f64, asked_by: u32) {
        let at = self.at_least.partition_point(|(other, _)| *other <= bound);
        self.at_least.insert(at, (bound, asked_by));
    }

    pub(super) fn add_at_most(&mut self, bound: f64, asked_by: u32) {
        let at = self.at_most.partition_point(|(other, _)| *other >= bound);
        self.at_most.insert(at, (bound, asked_by));
    }

    pub(super) fn add_null(&mut self, asked_by: u32) {
        self.null.push(asked_by);
    }

    /// Takes away every bound that it asks for, and the NULL.
    pub(super) fn remove_bounds(&mut self, asked_by: u32) {
        self.at_least.retain(|(_, other)| *other != asked_by);
        self.at_most.retain(|(_, other)| *other != asked_by);
        self.null.retain(|other| *other != asked_by);
    }

    /// Tells for each row who asks for its value.
    pub(super) fn find(&self, cells: Cells<'_>, texts: &Folded, mut found: impl FnMut(u32, u32)) {
        let len = u32::try_from(cells.len()).expect("a batch has fewer than 2^32 rows");
        for row in 0..len {
            match cells.at(row as usize) {
                Cell::Null => self.null.iter().for_each(|asked_by| found(row, *asked_by)),
                Cell::Text(_) if self.has_texts() => {
                    let asked_by = self.texts.get(texts.text(row as usize));
                    asked_by.into_iter().flatten().for_each(|asked_by| found(row, *asked_by));
                }
                Cell::Text(_) | Cell::Blob(_) => {}
                cell => self.find_number(cell, |asked_by| found(row, asked_by)),
            }
        }
    }

    fn find_number(&self, cell: Cell<'_>, mut found: impl FnMut(u32)) {
        if let Some(asked_by) = number(cell).and_then(|number| self.numbers.get(&number)) {
            for asked_by in asked_by {
                found(*asked_by);
            }
        }
        if let Some(value) = rounded(cell) {
            let below = self.at_least.iter().take_while(|(bound, _)| *bound <= value);
            let above = self.at_most.iter().take_while(|(bound, _)| *bound >= value);
            below.chain(above).for_each(|(_, asked_by)| found(*asked_by));
        }
    }
}

fn folded(text: &str) -> Box<[u8]> {
    text.to_ascii_lowercase().into_bytes().into()
}

fn remove<K: Eq + Hash>(lists: &mut HashMap<K, Vec<u32>>, key: &K, asked_by: u32) {
    if let Some(list) = lists.get_mut(key) {
        list.retain(|other| *other != asked_by);
        if list.is_empty() {
            lists.remove(key);
        }
    }
}

/// Equal for numbers that are, whether INTEGER or REAL; a few others may share it.
fn number(cell: Cell<'_>) -> Option<u64> {
    match cell {
        Cell::Integer(value) | Cell::Timestamp(value) | Cell::Interval(value) => Some(value.cast_unsigned()),
        Cell::Boolean(value) => Some(u64::from(value)),
        Cell::Real(value) => Some(whole(value).map_or_else(|| value.to_bits(), i64::cast_unsigned)),
        Cell::Null | Cell::Text(_) | Cell::Blob(_) => None,
    }
}

/// The INTEGER that a REAL is.
fn whole(real: f64) -> Option<i64> {
    let whole = daemoneye_dsl::convert::saturate(real);
    Cell::Integer(whole)
        .compare(Comparison::Equal, Cell::Real(real), Collation::Binary)
        .is_some_and(|equal| equal)
        .then_some(whole)
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::types::Type;

    use super::*;

    fn found(values: &Values, ty: Type, of: &[Value]) -> Vec<(u32, u32)> {
        let column = ty.array(of.iter().cloned());
        let mut found = Vec::new();
        values.find(Cells::of(&column), &Folded::default(), |row, asked_by| found.push((row, asked_by)));
        found
    }

    #[test]
    fn numbers_are_equal_across_types() {
        let mut values = Values::default();
        values.add_equal(&Value::Real(5.0), 1);
        values.add_equal(&Value::Integer(0), 2);
        values.add_equal(&Value::Real(0.5), 3);
        values.add_null(4);
        let integers = [Value::Integer(5), Value::Integer(0), Value::Null, Value::Integer(7)];
        assert_eq!(found(&values, Type::Integer, &integers), [(0, 1), (1, 2), (2, 4)]);
        let reals = [Value::Real(5.0), Value::Real(-0.0), Value::Real(0.5), Value::Real(f64::INFINITY)];
        assert_eq!(found(&values, Type::Real, &reals), [(0, 1), (1, 2), (2, 3)]);
        values.remove_equal(&Value::Integer(5), 1);
        values.remove_bounds(4);
        assert_eq!(found(&values, Type::Integer, &integers), [(1, 2)]);
    }

    /// What cannot be told apart as a double is let through.
    #[test]
    fn bounds_let_through_too_much_rather_than_too_little() {
        let mut values = Values::default();
        values.add_at_least(9_007_199_254_740_992.0, 1);
        values.add_at_least(-1.0, 2);
        values.add_at_most(-1.0, 3);
        let of = [Value::Integer(9_007_199_254_740_993), Value::Integer(-1), Value::Integer(i64::MIN), Value::Null];
        assert_eq!(found(&values, Type::Integer, &of), [(0, 2), (0, 1), (1, 2), (1, 3), (2, 3)]);
    }
}
