//! FROM: tables, queries, common table expressions, VALUES, and every kind of join.

use daemoneye_dsl::types::Type;

use super::Place;
use crate::tests::generator::{Column, Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "no from",
    "one table",
    "two tables",
    "three tables",
    "self join",
    "inner join",
    "left join",
    "right join",
    "full join",
    "cross join",
    "comma join",
    "natural join",
    "using",
    "join in parentheses",
    "derived table",
    "derived table in a derived table",
    "cte",
    "cte twice",
];

const KINDS: &[(&str, &str)] = &[
    ("inner join", "JOIN"),
    ("left join", "LEFT JOIN"),
    ("right join", "RIGHT JOIN"),
    ("full join", "FULL JOIN"),
    ("inner join", "INNER JOIN"),
    ("left join", "LEFT OUTER JOIN"),
];

impl Generator<'_> {
    pub(super) fn from(&mut self) -> Sql {
        if self.random.percent(3) {
            self.note("no from");
            return Sql::default();
        }
        // Further in, fewer: the product of all is what both engines have to go through.
        let most = if self.scopes.len() > 1 { 5 } else { 7 };
        let count = [1, 1, 1, 2, 2, 2, 3][self.random.below(most)];
        self.note(["one table", "two tables", "three tables"][count - 1]);
        let mut from = self.relation();
        for at in 1..count {
            from = self.joined(&from, at + 1 < count);
        }
        self.shorten();
        sql!(" FROM {}", from)
    }

    /// From here on columns whose name is theirs alone can do without their table.
    fn shorten(&mut self) {
        let columns = &mut self.scope().columns;
        let names: Vec<_> = columns.iter().filter(|it| !it.away).map(|it| it.name.clone()).collect();
        for column in columns {
            column.short = !column.away && names.iter().filter(|name| **name == column.name).count() == 1;
        }
    }

    fn joined(&mut self, left: &Sql, may_nest: bool) -> Sql {
        let before = self.scope().columns.len();
        match self.random.below(12) {
            10 => {
                let (form, word) = *self.random.pick(&[("cross join", " CROSS JOIN "), ("comma join", ", ")]);
                self.note(form);
                let (word, right) = (Sql::from(word), self.relation());
                sql!("{}{}{}", left, word, right)
            }
            8 | 9 => self.natural(left),
            11 if may_nest => {
                self.note("join in parentheses");
                let (first, second) = (self.relation(), self.relation());
                let inner = self.on(before);
                let (form, word) = *self.random.pick(KINDS);
                self.note(form);
                let (word, on) = (Sql::from(word), self.on(0));
                sql!("{} {} ({} JOIN {} ON {}) ON {}", left, word, first, second, inner, on)
            }
            _ => {
                let (form, word) = *self.random.pick(KINDS);
                self.note(form);
                let right = self.relation();
                let (word, on) = (Sql::from(word), self.on(0));
                sql!("{} {} {} ON {}", left, word, right, on)
            }
        }
    }

    /// NATURAL and USING, where the columns of one name are one column on the left.
    fn natural(&mut self, left: &Sql) -> Sql {
        let before = self.scope().columns.len();
        let right = self.relation();
        let columns = self.scope().columns.clone();
        let (old, new) = columns.split_at(before);
        let shared = |column: &&Column| old.iter().any(|it| !it.away && it.name == column.name);
        let names: Vec<_> = new.iter().filter(shared).map(|it| it.name.clone()).collect();
        let once = |name: &String| old.iter().filter(|it| !it.away && it.name == *name).count() == 1;
        let alike = |name: &String| {
            let of = |columns: &[Column]| columns.iter().find(|it| !it.away && it.name == *name).map(|it| it.ty);
            of(old) == of(new)
        };
        let (_, word) = *self.random.pick(KINDS);
        if names.is_empty() || !names.iter().all(|name| once(name) && alike(name)) {
            let on = self.on(0);
            return sql!("{} LEFT JOIN {} ON {}", left, right, on);
        }
        let is_natural = self.random.percent(50);
        let used: Vec<_> = if is_natural {
            names
        } else {
            let one = self.random.pick(&names).clone();
            names.into_iter().filter(|name| *name == one || self.random.percent(30)).collect()
        };
        for column in &mut self.scope().columns[before..] {
            column.away = used.contains(&column.name);
        }
        if is_natural {
            self.note("natural join");
            let word = Sql::from(word);
            return sql!("{} NATURAL {} {}", left, word, right);
        }
        self.note("using");
        let (word, used) = (Sql::from(word), Sql::from(used.join(", ")));
        sql!("{} {} {} USING ({})", left, word, right, used)
    }

    /// Mostly an equality of two columns, with something else beside it; over the columns from `first` on.
    fn on(&mut self, first: usize) -> Sql {
        let hidden: Vec<_> = self.scope().columns.drain(..first).collect();
        let made = self.condition();
        self.scope().columns.splice(0..0, hidden);
        made
    }

    fn condition(&mut self) -> Sql {
        if self.random.percent(30) {
            return self.boolean(2);
        }
        let ty = *self.random.pick(&[Type::Integer, Type::Text, Type::Real, Type::Boolean]);
        let (Some(a), Some(b)) = (self.table_column(|it| it.ty == ty), self.table_column(|it| it.ty == ty)) else {
            return self.boolean(1);
        };
        let (a, b) = (Sql::from(a), Sql::from(b));
        if self.random.percent(40) {
            let rest = self.boolean(2);
            return sql!("{} = {} AND {}", a, b, rest);
        }
        sql!("{} = {}", a, b)
    }

    /// One table, with its columns in scope.
    fn relation(&mut self) -> Sql {
        if !self.ctes.is_empty() && self.random.percent(45) {
            return self.cte_named();
        }
        if self.queries > 0 && self.random.percent(18) {
            return self.derived();
        }
        let (table, _) = self.random.pick(&self.world.tables).clone();
        let alias = self.name('t');
        let declared =
            table.columns.iter().map(|column| (column.name.to_string(), column.ty, true)).collect::<Vec<_>>();
        let again = self.scope().columns.iter().any(|it| it.raw && it.name == declared[0].0);
        if again {
            self.note("self join");
        }
        self.visible(&alias, &declared);
        format!("{} AS {alias}", table.name).into()
    }

    fn visible(&mut self, table: &str, columns: &[(String, Type, bool)]) {
        let columns = columns.iter().map(|(name, ty, raw)| Column {
            table: table.to_owned(),
            name: name.clone(),
            ty: *ty,
            raw: *raw,
            away: false,
            short: false,
        });
        let columns: Vec<_> = columns.collect();
        self.scope().columns.extend(columns);
    }

    /// A query in FROM: it sees the rows around this one, not its neighbours.
    fn derived(&mut self) -> Sql {
        self.note("derived table");
        let own = self.scopes.pop().expect("inside a query");
        let before = self.forms.len();
        let made = self.query(None, Place::Table);
        self.scopes.push(own);
        if self.forms[before..].contains(&"derived table") {
            self.note("derived table in a derived table");
        }
        let alias = self.name('d');
        self.visible(&alias, &made.columns);
        let alias = Sql::from(alias);
        sql!("({}) AS {}", made.sql, alias)
    }

    fn cte_named(&mut self) -> Sql {
        self.note("cte");
        let at = self.random.below(self.ctes.len());
        self.ctes[at].used += 1;
        if self.ctes[at].used > 1 {
            self.note("cte twice");
        }
        let cte = self.ctes[at].clone();
        let alias = self.name('t');
        let columns: Vec<_> = cte.columns.iter().map(|(name, ty)| (name.clone(), *ty, false)).collect();
        self.visible(&alias, &columns);
        format!("{} AS {alias}", cte.name).into()
    }
}
