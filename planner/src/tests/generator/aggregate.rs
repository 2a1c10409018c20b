//! Aggregates, each with an answer that does not depend on the order of rows unless that is wanted.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, quoted, sql};

pub(super) const FORMS: &[&str] = &[
    "count *",
    "count",
    "count distinct",
    "count_if",
    "approx_count_distinct",
    "sum",
    "avg",
    "total",
    "min",
    "max",
    "any_value",
    "min_by",
    "max_by",
    "group_concat",
    "group_concat separator",
    "group_concat distinct",
    "string_agg",
    "order by in aggregate",
    "aggregate distinct",
    "filter",
    "any order",
];

/// An aggregate call.
pub(in crate::tests) struct Aggregate {
    pub(in crate::tests) sql: Sql,
    pub(in crate::tests) ty: Type,
    /// Its value is the same to the last digit.
    pub(in crate::tests) exact: bool,
}

impl Generator<'_> {
    /// A call of the wanted type, if one is wanted; `exact` where something is computed with it.
    pub(in crate::tests) fn aggregate(&mut self, wanted: Option<Type>, exact: bool) -> Aggregate {
        let before = std::mem::replace(&mut self.own_only, true);
        let made = self.aggregate_of(wanted, exact);
        self.own_only = before;
        made
    }

    fn aggregate_of(&mut self, wanted: Option<Type>, exact: bool) -> Aggregate {
        let ty = wanted.unwrap_or_else(|| self.any_type());
        let kinds: &[&'static str] = match ty {
            Type::Integer => &["count *", "count", "count distinct", "sum", "count_if", "approx_count_distinct"],
            Type::Real if exact => &["avg", "total"],
            Type::Real => &["avg", "sum", "total"],
            Type::Text => &["group_concat", "string_agg", "group_concat"],
            _ => &[],
        };
        let picking = ["min", "max", "any_value", "min_by", "max_by"];
        let kinds: Vec<_> = kinds.iter().chain(&picking).copied().collect();
        let kind = *self.random.pick(&kinds);
        self.note(kind);
        let (call, is_exact) = match kind {
            "count *" => ("count(*)".into(), true),
            "count_if" => {
                let of = self.boolean(1);
                let call = Sql {
                    ours: format!("count_if({})", of.ours),
                    theirs: format!("count(*) FILTER (WHERE {})", of.theirs),
                };
                return Aggregate { sql: call, ty, exact: true };
            }
            "count" | "count distinct" | "approx_count_distinct" => (self.count(kind), true),
            "sum" | "avg" | "total" => self.sum(kind, ty, exact),
            "group_concat" | "string_agg" => (self.concatenation(kind == "string_agg"), true),
            _ => (self.picked(kind, ty), true),
        };
        let call = if self.random.percent(20) {
            self.note("filter");
            let filter = self.boolean(1);
            sql!("{} FILTER (WHERE {})", call, filter)
        } else {
            call
        };
        Aggregate { sql: call, ty, exact: is_exact }
    }

    /// Mostly a column, as an argument.
    fn argument(&mut self, ty: Type) -> Sql {
        if self.random.percent(80)
            && let Some(column) = self.own_column(ty)
        {
            return column;
        }
        self.of(ty, 1)
    }

    fn count(&mut self, kind: &str) -> Sql {
        let ty = self.any_type();
        let of = self.argument(ty);
        match kind {
            "count" => sql!("count({})", of),
            "count distinct" => sql!("count(DISTINCT {})", of),
            _ => Sql {
                ours: format!("approx_count_distinct({})", of.ours),
                theirs: format!("count(DISTINCT {})", of.theirs),
            },
        }
    }

    fn sum(&mut self, kind: &'static str, ty: Type, exact: bool) -> (Sql, bool) {
        let of = match (kind, ty, exact) {
            ("sum", Type::Integer, _) => *self.random.pick(&[Type::Integer, Type::Integer, Type::Boolean]),
            ("sum", ..) => Type::Real,
            (_, _, true) => Type::Boolean,
            _ => *self.random.pick(&[Type::Integer, Type::Real, Type::Boolean]),
        };
        let arg = self.argument(of);
        let distinct: Sql = if self.random.percent(15) {
            self.note("aggregate distinct");
            "DISTINCT ".into()
        } else {
            "".into()
        };
        let name = Sql::from(kind);
        let mut call = sql!("{}({}{})", name, distinct, arg);
        // Half of the time SQLite's own, which fails where the sum does not fit, or does not fit in between.
        if ty == Type::Integer && self.random.percent(50) {
            call.theirs = format!("wide_{}", call.theirs);
        }
        (call, ty == Type::Integer || of == Type::Boolean)
    }

    /// What takes a value from one of the rows.
    fn picked(&mut self, kind: &'static str, ty: Type) -> Sql {
        let of = self.argument(ty);
        let name = Sql::from(kind);
        match kind {
            "any_value" => Sql { ours: format!("any_value({})", of.ours), theirs: format!("min({})", of.theirs) },
            "min" | "max" => {
                let distinct: Sql = if self.random.percent(10) {
                    self.note("aggregate distinct");
                    "DISTINCT ".into()
                } else {
                    "".into()
                };
                sql!("{}({}{})", name, distinct, of)
            }
            _ => {
                let by = self.any_type();
                let by = self.argument(by);
                sql!("{}({}, {})", name, of, by)
            }
        }
    }

    fn concatenation(&mut self, needs_separator: bool) -> Sql {
        let of = self.texty(1);
        if !needs_separator && self.random.percent(20) {
            self.note("group_concat distinct");
            return sql!("group_concat(DISTINCT {} ORDER BY {})", of, of);
        }
        let separator = (needs_separator || self.random.percent(50)).then(|| {
            self.note("group_concat separator");
            if self.random.percent(30) { self.text(0) } else { quoted(self.random.word(&[";", "", ", ", "ab"])).into() }
        });
        let name = Sql::from(if needs_separator { "string_agg" } else { "group_concat" });
        let mut terms = Vec::new();
        if self.random.percent(50) {
            terms.push(self.order_term(1));
        }
        let mut args = vec![of.clone()];
        terms.push(of);
        if let Some(separator) = separator {
            args.push(separator.clone());
            terms.push(separator);
        }
        let args = Sql::joined(&args, ", ");
        if self.is_free() && self.random.percent(50) {
            self.note("any order");
            return sql!("{}({})", name, args);
        }
        self.note("order by in aggregate");
        let terms = Sql::joined(&terms, ", ");
        sql!("{}({} ORDER BY {})", name, args, terms)
    }

    /// An expression to order by, with its direction.
    pub(in crate::tests) fn order_term(&mut self, depth: usize) -> Sql {
        let ty = self.any_type();
        let mut term = self.of(ty, depth);
        if ty == Type::Text && self.random.percent(20) {
            term = self.collated(&term);
        }
        let direction = self.direction();
        sql!("{}{}", term, direction)
    }
}
