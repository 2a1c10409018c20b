//! Random expressions and queries of wanted types, twice: as we write them, and as SQLite has to be asked for the same.
//!
//! The two differ where this dialect departs from SQLite on purpose: overflow is NULL, which SQLite is told through
//! functions of ours. A result of CASE or coalesce has one type, so all branches are drawn from one. Every table in a
//! statement has a name of its own, so that a query within others can name the rows around it.

mod aggregate;
mod boolean;
mod choice;
mod comparison;
mod integer;
mod pattern;
mod real;
mod subquery;
mod text;
mod window;

use daemoneye_dsl::types::Type;

use super::random::Random;
use super::world::{TEXTS, World};

/// One text for both engines, or one for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sql {
    pub(super) ours: String,
    pub(super) theirs: String,
}

impl From<&str> for Sql {
    fn from(text: &str) -> Self {
        Self { ours: text.to_owned(), theirs: text.to_owned() }
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self { ours: text.clone(), theirs: text }
    }
}

impl Sql {
    /// Whether it is more than a constant or the number of a column.
    pub(super) fn is_named(&self) -> bool {
        self.ours.contains(|c: char| c.is_ascii_lowercase()) && !self.ours.starts_with(|c| "'0123456789.-".contains(c))
    }

    /// Whether a column stands in it with its table.
    pub(super) fn has_column(&self) -> bool {
        self.ours.as_bytes().array_windows().any(|[one, other]| *one == b'.' && other.is_ascii_lowercase())
    }

    /// Several with `between` between them.
    pub(super) fn joined(parts: &[Self], between: &str) -> Self {
        let ours: Vec<_> = parts.iter().map(|part| part.ours.as_str()).collect();
        let theirs: Vec<_> = parts.iter().map(|part| part.theirs.as_str()).collect();
        Self { ours: ours.join(between), theirs: theirs.join(between) }
    }
}

macro_rules! sql {
    ($format:literal $(, $part:expr)* $(,)?) => {
        $crate::tests::generator::Sql {
            ours: format!($format $(, $part.ours)*),
            theirs: format!($format $(, $part.theirs)*),
        }
    };
}
pub(super) use sql;

/// What a statement may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only what SQLite can be asked, with one right answer.
    Shared,
    /// `now()` as well.
    Timed,
    /// `now()`, and answers that depend on which of several rows comes first.
    Free,
}

/// Every form that expressions have here; each must come up.
pub(super) fn forms() -> Vec<&'static str> {
    let own = ["column", "literal", "null literal", "result alias", "correlated", "correlated over two levels"];
    let parts = [
        aggregate::FORMS,
        boolean::FORMS,
        choice::FORMS,
        comparison::FORMS,
        integer::FORMS,
        pattern::FORMS,
        real::FORMS,
        subquery::FORMS,
        text::FORMS,
        window::FORMS,
    ];
    own.into_iter().chain(parts.concat()).collect()
}

/// The forms that SQLite cannot be asked for, or not with one right answer.
pub(super) const ONLY_OURS: &[&str] =
    &["time window", "any order", "any row", "any order in a window", "bare column of any row"];

/// A column that a name in FROM means.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) ty: Type,
    /// Straight from a table: it has an affinity, and a REAL few digits.
    pub(super) raw: bool,
    /// NATURAL or USING made its namesake stand for it.
    pub(super) away: bool,
    /// No other column here has the name.
    pub(super) short: bool,
}

impl Column {
    pub(super) fn full(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }
}

/// The rows of one query that is being written.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) columns: Vec<Column>,
    /// Columns of the result that can be named.
    pub(super) aliases: Vec<(String, Type)>,
    /// What a group's row has, once rows are grouped.
    pub(super) group: Option<Grouped>,
    /// An order of all rows, the same for every window that needs one.
    pub(super) total: Option<Sql>,
    /// WINDOW clauses: the name, what it stands for, and whether a frame may be added.
    pub(super) windows: Vec<(String, Sql)>,
}

/// Instead of columns, the values that a group's row has.
#[derive(Clone, Default)]
pub(super) struct Grouped {
    pub(super) values: Vec<(Sql, Type)>,
    /// Keys, all of them, and those of them that are columns.
    pub(super) keys: Vec<Sql>,
    pub(super) columns: Vec<(String, Type)>,
}

/// A common table expression that can be named.
#[derive(Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) columns: Vec<(String, Type)>,
    pub(super) used: usize,
}

/// Draws expressions over the rows in scope, and queries around them.
pub(super) struct Generator<'r> {
    pub(super) random: &'r mut Random,
    pub(super) world: &'r World,
    pub(super) mode: Mode,
    /// The forms drawn so far.
    pub(super) forms: Vec<&'static str>,
    /// The queries that are being written, the outermost first.
    pub(super) scopes: Vec<Scope>,
    pub(super) ctes: Vec<Cte>,
    /// How many names were given.
    pub(super) names: usize,
    /// How many more queries there may be.
    pub(super) queries: usize,
    /// Within an aggregate: only the query's own rows.
    pub(super) own_only: bool,
}

impl<'r> Generator<'r> {
    pub(super) fn new(world: &'r World, random: &'r mut Random, mode: Mode) -> Self {
        let queries = *random.pick(&[1, 1, 2, 3, 5]);
        Self { random, world, mode, forms: vec![], scopes: vec![], ctes: vec![], names: 0, queries, own_only: false }
    }

    pub(super) fn note(&mut self, form: &'static str) {
        self.forms.push(form);
    }

    /// A name that nothing else in the statement has.
    pub(super) fn name(&mut self, first: char) -> String {
        self.names += 1;
        format!("{first}{}", self.names)
    }

    pub(super) fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("inside a query")
    }

    pub(super) fn is_free(&self) -> bool {
        self.mode == Mode::Free
    }

    pub(super) fn of(&mut self, ty: Type, depth: usize) -> Sql {
        if depth > 0
            && self.may_ask()
            && self.random.percent(8)
            && let Some(asked) = self.scalar(ty)
        {
            return asked;
        }
        match ty {
            Type::Integer => self.integer(depth),
            Type::Real => self.real(depth),
            Type::Text => self.text(depth),
            _ => self.boolean(depth),
        }
    }

    pub(super) fn any_type(&mut self) -> Type {
        *self.random.pick(&[Type::Integer, Type::Integer, Type::Real, Type::Text, Type::Text, Type::Boolean])
    }

    /// A column of the type, or a constant where there is none.
    pub(super) fn leaf(&mut self, ty: Type) -> Sql {
        if self.random.percent(75)
            && let Some(column) = self.column(ty)
        {
            return column;
        }
        self.constant(ty)
    }

    /// A column in scope, of the query's own rows or of those around it.
    pub(super) fn column(&mut self, ty: Type) -> Option<Sql> {
        if self.scopes.len() > 1
            && !self.own_only
            && self.random.percent(25)
            && let Some(column) = self.column_around(ty)
        {
            return Some(column.into());
        }
        self.own_column(ty)
    }

    pub(super) fn own_column(&mut self, ty: Type) -> Option<Sql> {
        let scope = self.scopes.last()?;
        if let Some(group) = &scope.group {
            let fitting: Vec<_> = group.values.iter().filter(|(_, own)| *own == ty).map(|(sql, _)| sql).collect();
            return (!fitting.is_empty()).then(|| (*self.random.pick(&fitting)).clone());
        }
        let aliases: Vec<_> = scope.aliases.iter().filter(|(_, own)| *own == ty).map(|it| it.0.clone()).collect();
        if !aliases.is_empty() && self.random.percent(20) {
            self.note("result alias");
            return Some(self.random.pick(&aliases).clone().into());
        }
        let column = self.table_column(|column| column.ty == ty)?;
        self.note("column");
        Some(column.into())
    }

    /// The text of one of the query's own columns.
    pub(super) fn table_column(&mut self, fits: impl Fn(&Column) -> bool) -> Option<String> {
        let columns = &self.scopes.last()?.columns;
        let fitting: Vec<_> = columns.iter().filter(|column| fits(column)).cloned().collect();
        if fitting.is_empty() {
            return None;
        }
        let column = self.random.pick(&fitting).clone();
        Some(if column.short && self.random.percent(50) { column.name } else { column.full() })
    }

    /// A column of the row that this query is evaluated for, or of one further out.
    fn column_around(&mut self, ty: Type) -> Option<String> {
        let around = self.scopes.len() - 1;
        let level = if around > 1 && self.random.percent(40) { 2 } else { 1 };
        let scope = &self.scopes[around - level];
        let columns: Vec<String> = match &scope.group {
            Some(group) => group.columns.iter().filter(|(_, own)| *own == ty).map(|(name, _)| name.clone()).collect(),
            None => scope.columns.iter().filter(|column| column.ty == ty).map(Column::full).collect(),
        };
        if columns.is_empty() {
            return None;
        }
        self.note(["correlated", "correlated over two levels"][level - 1]);
        Some(self.random.pick(&columns).clone())
    }

    pub(super) fn constant(&mut self, ty: Type) -> Sql {
        if self.random.percent(6) {
            self.note("null literal");
            return "NULL".into();
        }
        self.note("literal");
        match ty {
            Type::Integer => (*self.random.pick(INTEGERS)).into(),
            Type::Real => (*self.random.pick(REALS)).into(),
            Type::Text => quoted(self.random.word(TEXTS)).into(),
            _ => (*self.random.pick(&["TRUE", "FALSE"])).into(),
        }
    }
}

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "5",
    "7",
    "10",
    "65",
    "0x1F",
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
];

const REALS: &[&str] =
    &["0.0", "-0.0", "1.0", "0.5", "5.0", "2.5", "-1.5", "1e300", "0.1", ".5", "1e-7", "9223372036854775808.0", "3.25"];

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
