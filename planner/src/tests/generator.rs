//! Random expressions of a wanted type, twice: as we write them, and as SQLite has to be asked for the same.
//!
//! The two differ where this dialect departs from SQLite on purpose: overflow is NULL, which SQLite is told through
//! functions of ours. A result of CASE or coalesce has one type, so all branches are drawn from one.

use daemoneye_dsl::types::Type;

use super::random::Random;
use super::world::TEXTS;

/// One text for both engines, or one for each.
#[derive(Clone)]
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

macro_rules! sql {
    ($format:literal $(, $part:expr)* $(,)?) => {
        $crate::tests::generator::Sql {
            ours: format!($format $(, $part.ours)*),
            theirs: format!($format $(, $part.theirs)*),
        }
    };
}
pub(super) use sql;

/// Every form that expressions have here; each must come up.
pub(super) const FORMS: &[&str] = &[
    "column",
    "literal",
    "null literal",
    "+ - *",
    "/",
    "%",
    "& |",
    "<< >>",
    "negate",
    "~",
    "cast",
    "case",
    "simple case",
    "coalesce",
    "ifnull",
    "nullif",
    "iif",
    "abs",
    "length",
    "instr",
    "unicode",
    "sign",
    "round",
    "||",
    "lower",
    "upper",
    "trim",
    "replace",
    "substr",
    "hex",
    "basename",
    "dirname",
    "starts_with",
    "ends_with",
    "compare",
    "compare mixed",
    "compare text",
    "collate",
    "is distinct",
    "is null",
    "is true",
    "in",
    "in null",
    "in columns",
    "in empty",
    "between",
    "like",
    "like escape",
    "like dynamic",
    "glob",
    "glob dynamic",
    "regexp",
    "and",
    "or",
    "not",
    "number as condition",
    "foreign literal",
    "foreign types",
    "aggregate",
    "boolean arithmetic",
    "window",
];

/// Draws expressions over the columns in scope.
pub(super) struct Generator<'r> {
    pub(super) random: &'r mut Random,
    /// Name, as the statement has to write it, and type.
    pub(super) columns: Vec<(String, Type)>,
    /// The forms drawn so far.
    pub(super) forms: Vec<&'static str>,
    /// Whether `now()` may appear, which SQLite cannot be asked.
    pub(super) timed: bool,
    /// Instead of columns, aggregates and group keys: the forms that a group's row has.
    pub(super) grouped: Option<Vec<(Sql, Type)>>,
}

impl Generator<'_> {
    fn note(&mut self, form: &'static str) {
        self.forms.push(form);
    }

    pub(super) fn of(&mut self, ty: Type, depth: usize) -> Sql {
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
    fn leaf(&mut self, ty: Type) -> Sql {
        if self.random.percent(75)
            && let Some(column) = self.column(ty)
        {
            return column;
        }
        self.constant(ty)
    }

    pub(super) fn column(&mut self, ty: Type) -> Option<Sql> {
        if let Some(values) = &self.grouped {
            let fitting: Vec<_> = values.iter().filter(|(_, own)| *own == ty).map(|(sql, _)| sql.clone()).collect();
            return (!fitting.is_empty()).then(|| self.random.pick(&fitting).clone());
        }
        let fitting: Vec<_> = self.columns.iter().filter(|(_, own)| *own == ty).map(|(name, _)| name.clone()).collect();
        if fitting.is_empty() {
            return None;
        }
        self.note("column");
        Some(self.random.pick(&fitting).clone().into())
    }

    fn constant(&mut self, ty: Type) -> Sql {
        if self.random.percent(6) {
            self.note("null literal");
            return "NULL".into();
        }
        self.note("literal");
        match ty {
            Type::Integer => (*self.random.pick(&[
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
            ]))
            .into(),
            Type::Real => (*self.random.pick(&[
                "0.0",
                "-0.0",
                "1.0",
                "0.5",
                "5.0",
                "2.5",
                "-1.5",
                "1e300",
                "0.1",
                ".5",
                "1e-7",
                "9223372036854775808.0",
                "3.25",
            ]))
            .into(),
            Type::Text => quoted(self.random.word(TEXTS)).into(),
            _ => (*self.random.pick(&["TRUE", "FALSE"])).into(),
        }
    }

    fn integer(&mut self, depth: usize) -> Sql {
        if depth == 0 || self.random.percent(25) {
            return self.leaf(Type::Integer);
        }
        let next = depth - 1;
        match self.random.below(16) {
            0 | 1 => {
                self.note("+ - *");
                let (symbol, name) = *self.random.pick(&[("+", "plus"), ("-", "minus"), ("*", "times")]);
                let (a, b) = (self.integer(next), self.integer(next));
                Sql {
                    ours: format!("({} {symbol} {})", a.ours, b.ours),
                    theirs: format!("{name}({}, {})", a.theirs, b.theirs),
                }
            }
            2 => {
                self.note("/");
                let (a, b) = (self.integer(next), self.integer(next));
                Sql {
                    ours: format!("({} / {})", a.ours, b.ours),
                    theirs: format!("quotient({}, {})", a.theirs, b.theirs),
                }
            }
            3 => {
                self.note("%");
                let (a, b) = (self.integer(next), self.integer(next));
                sql!("({} % {})", a, b)
            }
            4 => {
                self.note("& |");
                let (a, b) = (self.integer(next), self.integer(next));
                if self.random.percent(50) { sql!("({} & {})", a, b) } else { sql!("({} | {})", a, b) }
            }
            5 => {
                self.note("<< >>");
                let (a, b) = (self.integer(next), self.integer(next));
                if self.random.percent(50) { sql!("({} << {})", a, b) } else { sql!("({} >> {})", a, b) }
            }
            6 => {
                self.note("negate");
                let of = self.integer(next);
                Sql { ours: format!("(- {})", of.ours), theirs: format!("neg({})", of.theirs) }
            }
            7 => {
                self.note("~");
                let of = self.integer(next);
                sql!("(~ {})", of)
            }
            8 => {
                self.note("cast");
                let ty = self.any_type();
                let of = self.of(ty, next);
                sql!("CAST({} AS INTEGER)", of)
            }
            9 => {
                self.note("abs");
                let of = self.integer(next);
                Sql { ours: format!("abs({})", of.ours), theirs: format!("absolute({})", of.theirs) }
            }
            10 => {
                self.note("length");
                let of = self.texty(next);
                sql!("length({})", of)
            }
            11 => {
                self.note("instr");
                let (a, b) = (self.texty(next), self.text(next));
                sql!("instr({}, {})", a, b)
            }
            12 => {
                self.note("unicode");
                let of = self.text(next);
                sql!("unicode({})", of)
            }
            13 => {
                self.note("sign");
                let of = if self.random.percent(50) { self.real(next) } else { self.integer(next) };
                sql!("sign({})", of)
            }
            14 => {
                self.note("boolean arithmetic");
                let (a, b) = (self.boolean(next), self.boolean(next));
                Sql { ours: format!("({} + {})", a.ours, b.ours), theirs: format!("plus({}, {})", a.theirs, b.theirs) }
            }
            _ => self.choice(Type::Integer, next),
        }
    }

    fn real(&mut self, depth: usize) -> Sql {
        if depth == 0 || self.random.percent(30) {
            return self.leaf(Type::Real);
        }
        let next = depth - 1;
        match self.random.below(9) {
            0..=2 => {
                self.note("+ - *");
                let symbol = *self.random.pick(&["+", "-", "*", "/"]);
                let (a, b) =
                    (self.real(next), if self.random.percent(50) { self.real(next) } else { self.integer(next) });
                let (a, b) = if self.random.percent(50) { (a, b) } else { (b, a) };
                let symbol: Sql = symbol.into();
                sql!("({} {} {})", a, symbol, b)
            }
            3 => {
                self.note("%");
                let (a, b) = (self.real(next), self.integer(next));
                sql!("({} % {})", a, b)
            }
            4 => {
                self.note("negate");
                let of = self.real(next);
                sql!("(- {})", of)
            }
            5 => {
                self.note("cast");
                let ty = self.any_type();
                let of = self.of(ty, next);
                sql!("CAST({} AS REAL)", of)
            }
            6 => {
                self.note("abs");
                let of = self.real(next);
                sql!("abs({})", of)
            }
            7 => {
                self.note("round");
                let of = if self.random.percent(80) { self.real(next) } else { self.integer(next) };
                if self.random.percent(40) {
                    return sql!("round({})", of);
                }
                let digits: Sql = (*self.random.pick(&["0", "1", "2", "-1", "15", "NULL", "31"])).into();
                sql!("round({}, {})", of, digits)
            }
            _ => self.choice(Type::Real, next),
        }
    }

    /// Text, or a number where text is wanted.
    fn texty(&mut self, depth: usize) -> Sql {
        match if self.random.percent(75) { Type::Text } else { self.any_type() } {
            Type::Real => self.short_real(),
            ty => self.of(ty, depth),
        }
    }

    /// A REAL of at most 15 digits, or 16 that are exact: with more, SQLite prints another last digit.
    fn short_real(&mut self) -> Sql {
        self.column(Type::Real).filter(|it| !it.ours.contains('(')).unwrap_or_else(|| "-2.5e-3".into())
    }

    /// Without a COLLATE anywhere inside: in SQLite it would reach the comparison around it, here it does not.
    fn text(&mut self, depth: usize) -> Sql {
        let made = self.any_text(depth);
        if made.ours.contains("COLLATE") { self.leaf(Type::Text) } else { made }
    }

    fn any_text(&mut self, depth: usize) -> Sql {
        if depth == 0 || self.random.percent(30) {
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
                    return sql!("{}({})", name, of);
                }
                let set = self.text(next);
                sql!("{}({}, {})", name, of, set)
            }
            5 => {
                self.note("replace");
                let (a, b, c) = (self.texty(next), self.text(next), self.text(next));
                sql!("replace({}, {}, {})", a, b, c)
            }
            6 => {
                self.note("substr");
                let name: Sql = (*self.random.pick(&["substr", "substring"])).into();
                // SQLite's own arithmetic overflows for places near the ends of 64 bits.
                let (of, start) = (self.texty(next), self.integer(next));
                if self.random.percent(40) {
                    return sql!("{}({}, {} % 100)", name, of, start);
                }
                let len = self.integer(next);
                sql!("{}({}, {} % 100, {} % 100)", name, of, start, len)
            }
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
                self.note("cast");
                let of = match self.any_type() {
                    Type::Real => self.short_real(),
                    ty => self.of(ty, next),
                };
                sql!("CAST({} AS TEXT)", of)
            }
            _ => self.choice(Type::Text, next),
        }
    }

    /// CASE and the functions that are one.
    fn choice(&mut self, ty: Type, next: usize) -> Sql {
        let (a, b) = (self.of(ty, next), self.of(ty, next));
        match self.random.below(6) {
            0 => {
                self.note("case");
                let when = self.boolean(next);
                if self.random.percent(30) {
                    return sql!("CASE WHEN {} THEN {} END", when, a);
                }
                let second = self.boolean(next);
                let c = self.of(ty, next);
                sql!("CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END", when, a, second, b, c)
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

    pub(super) fn boolean(&mut self, depth: usize) -> Sql {
        if self.timed && self.random.percent(12) {
            return self.window();
        }
        if depth == 0 || self.random.percent(10) {
            return if self.random.percent(40) { self.comparison(0) } else { self.leaf(Type::Boolean) };
        }
        let next = depth - 1;
        match self.random.below(22) {
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
                let of = if self.random.percent(80) { self.boolean(next) } else { self.integer(next) };
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
                let of = if self.random.percent(50) { self.integer(next) } else { self.real(next) };
                sql!("(NOT {})", of)
            }
            20 => self.foreign(next),
            _ => self.choice(Type::Boolean, next),
        }
    }

    fn comparison(&mut self, next: usize) -> Sql {
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
            self.note("collate");
            let collation: Sql = (*self.random.pick(&["NOCASE", "BINARY"])).into();
            a = sql!("{} COLLATE {}", a, collation);
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

    fn in_list(&mut self, next: usize) -> Sql {
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
        let ours: Vec<_> = items.iter().map(|item| item.ours.as_str()).collect();
        let theirs: Vec<_> = items.iter().map(|item| item.theirs.as_str()).collect();
        let list = Sql { ours: ours.join(", "), theirs: theirs.join(", ") };
        sql!("({} {}IN ({}))", of, not, list)
    }

    fn pattern(&mut self, next: usize) -> Sql {
        let of = self.texty(next);
        let not: Sql = (*self.random.pick(&["", "NOT "])).into();
        match self.random.below(8) {
            0..=2 => {
                self.note("like");
                let pattern: Sql = quoted(self.random.word(&[
                    "%", "", "a%", "%A", "%b%", "_", "%_%", "a\\%", "É", "%é%", "5%", "%.0", "a%b", "__", "%a%b%c%",
                ]))
                .into();
                sql!("({} {}LIKE {})", of, not, pattern)
            }
            3 => {
                self.note("like escape");
                let pattern: Sql = quoted(self.random.word(&["a\\%b", "a\\_b", "%\\%%", "\\", "a\\", "a\\\\b"])).into();
                sql!("({} {}LIKE {} ESCAPE '\\')", of, not, pattern)
            }
            4 => {
                self.note("like dynamic");
                let pattern = self.text(next);
                sql!("({} {}LIKE {})", of, not, pattern)
            }
            5 => {
                self.note("glob");
                let pattern: Sql = quoted(self.random.word(&[
                    "*", "a*", "[a-c]*", "?", "[^a]*", "*[0-9]", "[", "[]]", "*sh", "[[]x]", "[é]", "a?c", "/*/sh", "",
                    "[^]]*", "[a-]", "[-a]", "*[", "[x",
                ]))
                .into();
                sql!("({} GLOB {})", of, pattern)
            }
            6 => {
                self.note("glob dynamic");
                let pattern = self.text(next);
                sql!("({} GLOB {})", of, pattern)
            }
            _ => {
                self.note("regexp");
                let pattern: Sql =
                    quoted(self.random.word(&["a", "^a", "[0-9]+", "b$", "(?i)ABC", "^$", ".", "é|5", "^/usr"])).into();
                sql!("({} REGEXP {})", of, pattern)
            }
        }
    }

    /// A column or an expression beside a literal of another type, or types that do not meet at all.
    fn foreign(&mut self, next: usize) -> Sql {
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
        // A CAST of a constant is a constant here; in SQLite it stays a CAST and brings its type into the comparison.
        if a.ours.starts_with("CAST(") {
            return self.leaf(Type::Boolean);
        }
        let b = self.constant(right);
        match self.random.below(6) {
            0 => sql!("({} IN ({}))", a, b),
            _ if right == Type::Boolean => sql!("({} = {})", a, b),
            2 => sql!("({} {} {})", b, op, a),
            _ => sql!("({} {} {})", a, op, b),
        }
    }

    /// A condition on time, which only we can be asked.
    fn window(&mut self) -> Sql {
        let times: Vec<_> =
            self.columns.iter().filter(|(_, ty)| *ty == Type::Timestamp).map(|(name, _)| name.clone()).collect();
        if times.is_empty() || self.grouped.is_some() {
            return self.leaf(Type::Boolean);
        }
        self.note("window");
        let (time, op) = (self.random.pick(&times).clone(), *self.random.pick(&[">=", ">", "=", "<", "<="]));
        let seconds = self.random.below(90);
        let text = match self.random.below(4) {
            0 => format!("(now() - INTERVAL '{seconds} seconds' {op} {time})"),
            1 => format!("(now() - {time} {op} INTERVAL '{seconds} seconds')"),
            _ => format!("({time} {op} now() - INTERVAL '{seconds} seconds')"),
        };
        text.into()
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
