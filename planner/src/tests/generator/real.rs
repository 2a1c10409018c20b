//! Expressions of REAL.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &["round"];

impl Generator<'_> {
    pub(super) fn real(&mut self, depth: usize) -> Sql {
        if depth == 0 || !self.random.percent(70) {
            return self.leaf(Type::Real);
        }
        let next = depth - 1;
        match self.random.below(9) {
            0..=2 => {
                self.note("+ - *");
                let symbol: Sql = (*self.random.pick(&["+", "-", "*", "/"])).into();
                let other = *self.random.pick(&[Type::Real, Type::Integer]);
                let (a, b) = (self.of(Type::Real, next), self.of(other, next));
                let (a, b) = if self.random.percent(50) { (b, a) } else { (a, b) };
                sql!("({} {} {})", a, symbol, b)
            }
            3 => {
                self.note("%");
                let (a, b) = (self.of(Type::Real, next), self.of(Type::Integer, next));
                sql!("({} % {})", a, b)
            }
            4 => {
                self.note("negate");
                let of = self.of(Type::Real, next);
                sql!("(- {})", of)
            }
            5 => {
                let ty = self.any_type();
                let of = self.of(ty, next);
                self.cast(&of, Type::Real)
            }
            6 => {
                self.note("abs");
                let of = self.of(Type::Real, next);
                sql!("abs({})", of)
            }
            7 => {
                self.note("round");
                let ty = if self.random.percent(20) { Type::Integer } else { Type::Real };
                let of = self.of(ty, next);
                if self.random.percent(60) {
                    let digits: Sql = (*self.random.pick(&["0", "1", "2", "-1", "15", "NULL", "31"])).into();
                    return sql!("round({}, {})", of, digits);
                }
                sql!("round({})", of)
            }
            _ => self.choice(Type::Real, next),
        }
    }
}
