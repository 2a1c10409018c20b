//! CASE and the functions that are one.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &["case", "simple case", "coalesce", "ifnull", "nullif", "iif"];

impl Generator<'_> {
    pub(super) fn choice(&mut self, ty: Type, next: usize) -> Sql {
        let (a, b) = (self.of(ty, next), self.of(ty, next));
        match self.random.below(6) {
            0 => {
                self.note("case");
                let when = self.boolean(next);
                if self.random.percent(70) {
                    let second = self.boolean(next);
                    let c = self.of(ty, next);
                    return sql!("CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END", when, a, second, b, c);
                }
                sql!("CASE WHEN {} THEN {} END", when, a)
            }
            1 => {
                self.note("simple case");
                let of = self.any_type();
                let (operand, when) = (self.of(of, next), self.of(of, next));
                sql!("CASE {} WHEN {} THEN {} ELSE {} END", operand, when, a, b)
            }
            2 => {
                self.note("coalesce");
                let c = self.of(ty, next);
                sql!("coalesce({}, {}, {})", a, b, c)
            }
            3 => {
                self.note("ifnull");
                sql!("ifnull({}, {})", a, b)
            }
            4 => {
                self.note("nullif");
                sql!("nullif({}, {})", a, b)
            }
            _ => {
                self.note("iif");
                let when = self.boolean(next);
                sql!("iif({}, {}, {})", when, a, b)
            }
        }
    }
}
