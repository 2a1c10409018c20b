//! Conditions.

use daemoneye_dsl::types::Type;

use super::{Generator, Mode, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "and",
    "or",
    "not",
    "is null",
    "is true",
    "between",
    "starts_with",
    "ends_with",
    "number as condition",
    "time window",
];

impl Generator<'_> {
    pub(in crate::tests) fn boolean(&mut self, depth: usize) -> Sql {
        if self.mode != Mode::Shared && self.random.percent(10) {
            return self.time_window();
        }
        if depth > 0 && self.may_ask() && self.random.percent(10) {
            return self.question(depth - 1);
        }
        if depth == 0 || !self.random.percent(90) {
            return if self.random.percent(40) { self.comparison(0) } else { self.leaf(Type::Boolean) };
        }
        let next = depth - 1;
        match self.random.below(23) {
            0..=3 => self.comparison(next),
            4 | 5 => {
                self.note("and");
                let (a, b) = (self.boolean(next), self.boolean(next));
                sql!("({} AND {})", a, b)
            }
            6 | 7 => {
                self.note("or");
                let (a, b) = (self.boolean(next), self.boolean(next));
                sql!("({} OR {})", a, b)
            }
            8 => {
                self.note("not");
                let of = self.boolean(next);
                sql!("(NOT {})", of)
            }
            9 => {
                self.note("is null");
                let ty = self.any_type();
                let of = self.of(ty, next);
                if self.random.percent(50) { sql!("({} IS NULL)", of) } else { sql!("({} IS NOT NULL)", of) }
            }
            10 => {
                self.note("is true");
                let of = if self.random.percent(20) { self.integer(next) } else { self.boolean(next) };
                let test: Sql = (*self.random.pick(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE"])).into();
                sql!("({} IS {})", of, test)
            }
            11 | 12 => self.in_list(next),
            13 => {
                self.note("between");
                let ty = self.any_type();
                let (of, low, high) = (self.of(ty, next), self.of(ty, next), self.of(ty, next));
                let not: Sql = (*self.random.pick(&["", "NOT "])).into();
                sql!("({} {}BETWEEN {} AND {})", of, not, low, high)
            }
            14..=17 => self.pattern(next),
            18 => {
                let name = *self.random.pick(&["starts_with", "ends_with"]);
                self.note(name);
                let (name, a, b) = (Sql::from(name), self.texty(next), self.text(next));
                sql!("{}({}, {})", name, a, b)
            }
            19 => {
                self.note("number as condition");
                let ty = *self.random.pick(&[Type::Integer, Type::Real]);
                let of = self.of(ty, next);
                sql!("(NOT {})", of)
            }
            20 => self.foreign(next),
            21 => self.row_comparison(next),
            _ => self.choice(Type::Boolean, next),
        }
    }

    /// A condition on time, which only we can be asked.
    fn time_window(&mut self) -> Sql {
        let grouped = self.scopes.last().is_none_or(|scope| scope.group.is_some());
        let time = if grouped { None } else { self.table_column(|column| column.ty == Type::Timestamp) };
        let Some(time) = time else { return self.leaf(Type::Boolean) };
        self.note("time window");
        let op = *self.random.pick(&[">=", ">", "=", "<", "<="]);
        let seconds = self.random.below(90);
        let text = match self.random.below(4) {
            0 => format!("(now() - INTERVAL '{seconds} seconds' {op} {time})"),
            1 => format!("(now() - {time} {op} INTERVAL '{seconds} seconds')"),
            _ => format!("({time} {op} now() - INTERVAL '{seconds} seconds')"),
        };
        text.into()
    }
}
