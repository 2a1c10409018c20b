//! Comparisons of values, of rows, and with lists.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "compare",
    "compare mixed",
    "compare text",
    "collate",
    "is distinct",
    "in",
    "in null",
    "in columns",
    "in empty",
    "foreign literal",
    "foreign types",
    "row comparison",
    "row order",
    "row between",
    "row is",
];

impl Generator<'_> {
    pub(super) fn comparison(&mut self, next: usize) -> Sql {
        let numeric = [Type::Integer, Type::Real, Type::Boolean];
        let (left, right) = match self.random.below(10) {
            0..=3 => {
                self.note("compare text");
                (Type::Text, Type::Text)
            }
            4..=6 => {
                self.note("compare mixed");
                (*self.random.pick(&numeric), *self.random.pick(&numeric))
            }
            _ => {
                self.note("compare");
                let ty = self.any_type();
                (ty, ty)
            }
        };
        let (mut a, b) = (self.of(left, next), self.of(right, next));
        if left == Type::Text && self.random.percent(30) {
            a = self.collated(&a);
        }
        let op = *self.random.pick(&[
            "=",
            "==",
            "<>",
            "!=",
            "<",
            "<=",
            ">",
            ">=",
            "IS DISTINCT FROM",
            "IS NOT DISTINCT FROM",
        ]);
        // SQLite takes a constant TRUE or FALSE after any IS for the question whether a value counts as true.
        let op = if matches!(b.ours.as_str(), "TRUE" | "FALSE") || b.ours.contains("IN ()") { "=" } else { op };
        if op.starts_with("IS") {
            self.note("is distinct");
        }
        let op: Sql = op.into();
        sql!("({} {} {})", a, op, b)
    }

    pub(super) fn collated(&mut self, text: &Sql) -> Sql {
        self.note("collate");
        let collation: Sql = (*self.random.pick(&["NOCASE", "BINARY"])).into();
        sql!("{} COLLATE {}", text, collation)
    }

    /// `(a, b) < (c, d)`.
    pub(super) fn row_comparison(&mut self, next: usize) -> Sql {
        let types = self.row_types();
        let (a, b) = (self.row(&types, next), self.row(&types, next));
        if self.random.percent(10) {
            self.note("row between");
            let c = self.row(&types, next);
            return sql!("({} BETWEEN {} AND {})", a, b, c);
        }
        if self.random.percent(10) {
            self.note("row is");
            let not: Sql = (*self.random.pick(&["", "NOT "])).into();
            return sql!("({} IS {}DISTINCT FROM {})", a, not, b);
        }
        let op = *self.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
        self.note(if op.contains(['<', '>']) && op != "<>" { "row order" } else { "row comparison" });
        let op: Sql = op.into();
        sql!("({} {} {})", a, op, b)
    }

    /// The types of two or three values.
    pub(super) fn row_types(&mut self) -> Vec<Type> {
        (0..2 + self.random.below(2)).map(|_| self.any_type()).collect()
    }

    pub(super) fn row(&mut self, types: &[Type], next: usize) -> Sql {
        let values: Vec<_> = types.iter().map(|ty| self.of(*ty, next)).collect();
        let values = Sql::joined(&values, ", ");
        sql!("({})", values)
    }

    pub(super) fn in_list(&mut self, next: usize) -> Sql {
        let ty = self.any_type();
        let of = self.of(ty, next);
        let not: Sql = (*self.random.pick(&["", "NOT "])).into();
        let mut items: Vec<Sql> = (0..self.random.below(4)).map(|_| self.constant(ty)).collect();
        if self.random.percent(30) {
            self.note("in columns");
            items.push(self.of(ty, next));
        }
        if self.random.percent(20) {
            self.note("in null");
            items.push("NULL".into());
        }
        self.note(if items.is_empty() { "in empty" } else { "in" });
        let list = Sql::joined(&items, ", ");
        sql!("({} {}IN ({}))", of, not, list)
    }

    /// Whether SQLite says which type it compares with: of a column of several queries any of them may decide.
    fn is_settled(&self, text: &str) -> bool {
        let sets = ["union", "union all", "intersect", "except"];
        let column = |name: &str| {
            let mut columns = self.scopes.iter().flat_map(|scope| &scope.columns);
            columns.any(|it| it.raw && (it.full() == name || it.short && it.name == name))
        };
        let is_query = text.starts_with("(SELECT") || text.starts_with("(WITH");
        !self.forms.iter().any(|form| sets.contains(form)) || !is_query && text.contains('(') || column(text)
    }

    /// A column or an expression beside a literal of another type, or types that do not meet at all.
    pub(super) fn foreign(&mut self, next: usize) -> Sql {
        let op: Sql = (*self.random.pick(&["=", "<>", "<", ">=", "IS NOT DISTINCT FROM"])).into();
        let numeric = *self.random.pick(&[Type::Integer, Type::Real, Type::Boolean]);
        let (left, right) = if self.random.percent(50) { (numeric, Type::Text) } else { (Type::Text, numeric) };
        if self.random.percent(10) {
            self.note("foreign types");
            let (a, b) = (self.of(left, next), self.of(right, next));
            if a.ours.contains("CAST(") || b.ours.contains("CAST(") {
                return self.leaf(Type::Boolean);
            }
            return if right == Type::Boolean { sql!("({} = {})", a, b) } else { sql!("({} {} {})", a, op, b) };
        }
        self.note("foreign literal");
        let a = if self.random.percent(60) { self.column(left) } else { None };
        let a = a.unwrap_or_else(|| self.of(left, next));
        if !self.is_settled(&a.ours) {
            return self.leaf(Type::Boolean);
        }
        let op = if matches!(a.ours.as_str(), "TRUE" | "FALSE") { "=".into() } else { op };
        let b = self.constant(right);
        match self.random.below(6) {
            0 => sql!("({} IN ({}))", a, b),
            _ if right == Type::Boolean => sql!("({} = {})", a, b),
            2 => sql!("({} {} {})", b, op, a),
            _ => sql!("({} {} {})", a, op, b),
        }
    }
}
