//! Expressions of TEXT, and what is taken for text.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &["||", "lower", "upper", "trim", "replace", "substr", "hex", "basename", "dirname"];

impl Generator<'_> {
    /// Text, or a number where text is wanted.
    pub(super) fn texty(&mut self, depth: usize) -> Sql {
        match if self.random.percent(25) { self.any_type() } else { Type::Text } {
            Type::Real => self.short_real(),
            ty => self.of(ty, depth),
        }
    }

    /// A REAL of at most 15 digits, or 16 that are exact: with more, SQLite prints another last digit.
    fn short_real(&mut self) -> Sql {
        let grouped = self.scopes.last().is_none_or(|scope| scope.group.is_some());
        let column = if grouped { None } else { self.table_column(|column| column.ty == Type::Real && column.raw) };
        column.map_or_else(|| "-2.5e-3".into(), Sql::from)
    }

    /// Without a COLLATE anywhere inside: in SQLite it would reach the comparison around it, here it does not.
    pub(super) fn text(&mut self, depth: usize) -> Sql {
        let made = self.any_text(depth);
        if made.ours.contains("COLLATE") { self.leaf(Type::Text) } else { made }
    }

    fn any_text(&mut self, depth: usize) -> Sql {
        if depth == 0 || !self.random.percent(70) {
            return self.leaf(Type::Text);
        }
        let next = depth - 1;
        match self.random.below(11) {
            0 | 1 => {
                self.note("||");
                let (a, b) = (self.texty(next), self.texty(next));
                sql!("({} || {})", a, b)
            }
            2 => {
                let name = *self.random.pick(&["lower", "upper"]);
                self.note(name);
                let (name, of) = (Sql::from(name), self.texty(next));
                sql!("{}({})", name, of)
            }
            3 | 4 => {
                self.note("trim");
                let name: Sql = (*self.random.pick(&["trim", "ltrim", "rtrim"])).into();
                let of = self.texty(next);
                if self.random.percent(50) {
                    let set = self.text(next);
                    return sql!("{}({}, {})", name, of, set);
                }
                sql!("{}({})", name, of)
            }
            5 => {
                self.note("replace");
                let (a, b, c) = (self.texty(next), self.text(next), self.text(next));
                sql!("replace({}, {}, {})", a, b, c)
            }
            6 => self.substr(next),
            7 => {
                self.note("hex");
                let of = self.texty(next);
                sql!("hex({})", of)
            }
            8 => {
                let name = *self.random.pick(&["basename", "dirname"]);
                self.note(name);
                let (name, of) = (Sql::from(name), self.text(next));
                sql!("{}({})", name, of)
            }
            9 => {
                let of = match self.any_type() {
                    Type::Real => self.short_real(),
                    ty => self.of(ty, next),
                };
                self.cast(&of, Type::Text)
            }
            _ => self.choice(Type::Text, next),
        }
    }

    fn substr(&mut self, next: usize) -> Sql {
        self.note("substr");
        let name: Sql = (*self.random.pick(&["substr", "substring"])).into();
        // SQLite's own arithmetic overflows for places near the ends of 64 bits.
        let (of, start) = (self.texty(next), self.of(Type::Integer, next));
        if self.random.percent(60) {
            let len = self.of(Type::Integer, next);
            return sql!("{}({}, {} % 100, {} % 100)", name, of, start, len);
        }
        sql!("{}({}, {} % 100)", name, of, start)
    }
}
