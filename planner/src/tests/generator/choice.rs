//! CAST, CASE and the functions that are one.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &["cast", "case", "simple case", "coalesce", "ifnull", "nullif", "iif"];

impl Generator<'_> {
    /// A CAST of a constant is a constant here; in SQLite it brings its type into comparisons, unless a sign takes it away.
    pub(super) fn cast(&mut self, of: &Sql, ty: Type) -> Sql {
        self.note("cast");
        let ty = Sql::from(ty.name());
        let made = sql!("CAST({} AS {})", of, ty);
        let mut within = of.ours.trim_start_matches("(+ ");
        while let Some(rest) = within.strip_prefix("CAST(") {
            within = rest;
        }
        let is_constant = !within.contains('(') && !within.starts_with(|c: char| c.is_ascii_lowercase());
        if is_constant { Sql { theirs: format!("(+ {})", made.theirs), ..made } } else { made }
    }

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
