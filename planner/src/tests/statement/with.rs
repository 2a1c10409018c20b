//! WITH, and WITH RECURSIVE with an end.

use daemoneye_dsl::types::Type;

use super::Place;
use crate::tests::generator::{Cte, Generator, Sql, sql};

pub(super) const FORMS: &[&str] =
    &["cte with column names", "recursive counter", "recursive reach", "recursive depth", "recursive limit"];

impl Generator<'_> {
    /// `WITH …` with one or two queries that can be named from here on.
    pub(super) fn with(&mut self) -> Sql {
        let recursive = self.random.percent(40);
        let count = 1 + self.random.below(2);
        let mut parts = Vec::new();
        for at in 0..count {
            let part = if recursive && at == 0 { self.recursive() } else { self.plain_cte() };
            parts.push(part);
        }
        let word: Sql = if recursive { "WITH RECURSIVE " } else { "WITH " }.into();
        let parts = Sql::joined(&parts, ", ");
        sql!("{}{} ", word, parts)
    }

    fn plain_cte(&mut self) -> Sql {
        let made = self.query(None, Place::Table);
        let name = self.name('q');
        let mut columns: Vec<_> = made.columns.into_iter().map(|(name, ty, _)| (name, ty)).collect();
        let mut head = name.clone();
        if self.random.percent(30) {
            self.note("cte with column names");
            for (column, _) in &mut columns {
                *column = self.name('c');
            }
            let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
            head = format!("{name}({})", names.join(", "));
        }
        self.ctes.push(Cte { name, columns, used: 0 });
        let head = Sql::from(head);
        sql!("{} AS ({})", head, made.sql)
    }

    fn recursive(&mut self) -> Sql {
        let name = self.name('q');
        let (a, b) = (self.name('c'), self.name('c'));
        let columns = vec![(a.clone(), Type::Integer), (b.clone(), Type::Integer)];
        let plus = |what: &str| Sql { ours: format!("{what} + 1"), theirs: format!("plus({what}, 1)") };
        let sql = match self.random.below(4) {
            0 => {
                self.note("recursive counter");
                let (start, end) = (self.value(Type::Integer), self.random.below(7));
                let union: Sql = (*self.random.pick(&["UNION ALL", "UNION"])).into();
                let (head, next) = (Sql::from(format!("{name}({a}, {b}) AS (SELECT (")), plus(&a));
                let tail = Sql::from(format!("{a} & 1 FROM {name} WHERE {a} < {end})"));
                sql!("{}{}) & 7, 0 {} SELECT {}, {}", head, start, union, next, tail)
            }
            1 => {
                self.note("recursive reach");
                let filter = self.random.below(4);
                let edge = *self.random.pick(&["e.i = q.n", "q.n = e.i", "e.i <= q.n AND e.i > -2"]);
                let edge = edge.replace("q.n", &format!("{name}.{a}"));
                let text = format!(
                    "{name}({a}, {b}) AS (SELECT i, 0 FROM t0 WHERE j <> {filter} UNION \
                     SELECT e.k, 0 FROM {name} JOIN t1 AS e ON {edge})"
                );
                text.into()
            }
            2 => {
                self.note("recursive depth");
                let depth = self.random.below(4);
                let next = plus(&b);
                let head = Sql::from(format!("{name}({a}, {b}) AS (SELECT i, 0 FROM t0 UNION ALL SELECT e.k, "));
                let tail = Sql::from(format!(" FROM t1 AS e, {name} WHERE e.i = {a} AND {b} < {depth})"));
                sql!("{}{}{}", head, next, tail)
            }
            _ => {
                self.note("recursive limit");
                let limit = self.random.below(9);
                let next = plus(&a);
                let head = Sql::from(format!("{name}({a}, {b}) AS (SELECT 1, 0 UNION ALL SELECT "));
                let tail = Sql::from(format!(", {a} FROM {name} LIMIT {limit})"));
                sql!("{}{}{}", head, next, tail)
            }
        };
        self.ctes.push(Cte { name, columns, used: 0 });
        sql
    }
}
