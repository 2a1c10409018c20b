//! Whole queries: one SELECT, VALUES, or several joined by UNION and its like, behind WITH.

use daemoneye_dsl::types::Type;

use super::tail::Column;
use super::{Made, Place};
use crate::tests::generator::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] =
    &["union", "union all", "intersect", "except", "chain of four", "mixed numbers", "values", "with"];

impl Generator<'_> {
    /// A query with columns of those types, or of any.
    pub(in crate::tests) fn query(&mut self, types: Option<&[Type]>, place: Place) -> Made {
        self.queries = self.queries.saturating_sub(1);
        let known = self.ctes.len();
        let with = (self.queries > 0 && self.random.percent(15)).then(|| {
            self.note("with");
            self.with()
        });
        let mut made = self.body(types, place);
        self.ctes.truncate(known);
        if let Some(with) = with {
            made.sql = sql!("{}{}", with, made.sql);
        }
        made
    }

    fn body(&mut self, types: Option<&[Type]>, place: Place) -> Made {
        if place == Place::Aggregate {
            return self.select(types, place);
        }
        if self.queries > 1 && self.random.percent(14) {
            return self.set(types, place);
        }
        if self.random.percent(if place == Place::Table { 12 } else { 3 }) {
            return self.values(types, place);
        }
        self.select(types, place)
    }

    fn some_types(&mut self, types: Option<&[Type]>) -> Vec<Type> {
        match types {
            Some(types) => types.to_vec(),
            None => (0..=self.random.below(3)).map(|_| self.any_type()).collect(),
        }
    }

    /// Two to four queries; a column may be INTEGER here and REAL there.
    fn set(&mut self, types: Option<&[Type]>, place: Place) -> Made {
        let types = self.some_types(types);
        let count = 2 + self.random.below(3);
        self.queries = self.queries.saturating_sub(1);
        let mut sql: Sql = "".into();
        let (mut names, mut aliased) = (Vec::new(), Vec::new());
        for at in 0..count {
            if at > 0 {
                let op = *self.random.pick(&["union all", "union", "intersect", "except"]);
                self.note(op);
                let op = Sql::from(format!(" {} ", op.to_uppercase()));
                sql = sql!("{}{}", sql, op);
            }
            // The names of the first are the names of all; it decides the types, unless it is NULL.
            let own_place = if at == 0 && place == Place::Table { Place::Table } else { Place::Members };
            let may_mix = at > 0 && !sql.ours.contains("NULL");
            let operand = self.operand(&types, own_place, may_mix, at + 1 == count);
            if at == 0 {
                (names, aliased) = (operand.columns, operand.aliases);
            }
            sql = sql!("{}{}", sql, operand.sql);
        }
        if count == 4 {
            self.note("chain of four");
        }
        let columns: Vec<_> = names.into_iter().zip(&types).map(|((name, ..), ty)| (name, *ty, false)).collect();
        let alias = |name: &str| aliased.contains(&name.to_owned()).then(|| name.to_owned());
        let shown = columns.iter().map(|(name, ..)| Column { text: None, alias: alias(name), exact: true });
        let shown: Vec<_> = shown.collect();
        let (tail, ordered) = self.tail(&shown, place, false);
        Made { sql: sql!("{}{}", sql, tail), columns, aliases: aliased, ordered }
    }

    fn operand(&mut self, types: &[Type], place: Place, may_mix: bool, is_last: bool) -> Made {
        // After VALUES SQLite takes no ORDER BY.
        if !is_last && self.random.percent(8) {
            return self.constants(types);
        }
        if may_mix && types.contains(&Type::Real) && self.random.percent(20) {
            return self.select_mixed(types);
        }
        self.select_bare(types, place)
    }

    /// A SELECT that has INTEGER where REAL is wanted, which SQLite is told to convert.
    fn select_mixed(&mut self, types: &[Type]) -> Made {
        self.note("mixed numbers");
        let given: Vec<_> = types.iter().map(|ty| if *ty == Type::Real { Type::Integer } else { *ty }).collect();
        let made = self.select_bare(&given, Place::Table);
        let alias = self.name('d');
        let item = |(at, (name, ty, _)): (usize, &(String, Type, bool))| match (ty, types[at]) {
            (Type::Integer, Type::Real) => Sql {
                ours: format!("{alias}.{name} AS {name}"),
                theirs: format!("CAST({alias}.{name} AS REAL) AS {name}"),
            },
            _ => format!("{alias}.{name} AS {name}").into(),
        };
        let items: Vec<_> = made.columns.iter().enumerate().map(item).collect();
        let (items, alias) = (Sql::joined(&items, ", "), Sql::from(alias.as_str()));
        let columns = made.columns.into_iter().zip(types).map(|((name, ..), ty)| (name, *ty, false)).collect();
        let aliases = vec![];
        Made { sql: sql!("SELECT {} FROM ({}) AS {}", items, made.sql, alias), columns, aliases, ordered: false }
    }

    fn values(&mut self, types: Option<&[Type]>, place: Place) -> Made {
        let types = self.some_types(types);
        let made = if place == Place::Members { self.values_of(&types) } else { self.constants(&types) };
        let shown: Vec<_> = made.columns.iter().map(|_| Column { text: None, alias: None, exact: true }).collect();
        // SQLite takes no ORDER BY after VALUES.
        if matches!(place, Place::Value) {
            let (alias, list) = (Sql::from(self.name('d')), Sql::from("*"));
            let (tail, ordered) = self.tail(&shown, place, false);
            return Made { sql: sql!("SELECT {} FROM ({}) AS {}{}", list, made.sql, alias, tail), ordered, ..made };
        }
        made
    }

    /// VALUES with names that SQLite knows in FROM: it loses them where a value looks at a row around.
    fn constants(&mut self, types: &[Type]) -> Made {
        let own_only = std::mem::replace(&mut self.own_only, true);
        let made = self.values_of(types);
        self.own_only = own_only;
        made
    }

    fn values_of(&mut self, types: &[Type]) -> Made {
        self.note("values");
        let rows: Vec<_> = (0..=self.random.below(3))
            .map(|_| {
                let row: Vec<_> = types.iter().map(|ty| self.value(*ty)).collect();
                let row = Sql::joined(&row, ", ");
                sql!("({})", row)
            })
            .collect();
        let rows = Sql::joined(&rows, ", ");
        let columns = types.iter().enumerate().map(|(at, ty)| (format!("column{}", at + 1), *ty, false)).collect();
        Made { sql: sql!("VALUES {}", rows), columns, aliases: vec![], ordered: false }
    }

    /// A constant, or something of a row around.
    pub(in crate::tests) fn value(&mut self, ty: Type) -> Sql {
        self.scopes.push(crate::tests::generator::Scope::default());
        let made = self.of(ty, 1);
        self.scopes.pop();
        made
    }
}
