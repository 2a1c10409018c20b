//! Expressions of INTEGER.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, sql};

pub(super) const FORMS: &[&str] = &[
    "+ - *",
    "/",
    "%",
    "& |",
    "<< >>",
    "negate",
    "~",
    "abs",
    "length",
    "instr",
    "unicode",
    "sign",
    "boolean arithmetic",
];

impl Generator<'_> {
    pub(super) fn integer(&mut self, depth: usize) -> Sql {
        if depth == 0 || !self.random.percent(75) {
            return self.leaf(Type::Integer);
        }
        let next = depth - 1;
        match self.random.below(15) {
            0..=7 => self.integer_operator(next),
            8 => {
                let ty = self.any_type();
                let of = self.of(ty, next);
                self.cast(&of, Type::Integer)
            }
            9 => {
                self.note("abs");
                let of = self.of(Type::Integer, next);
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
                let ty = *self.random.pick(&[Type::Integer, Type::Real]);
                let of = self.of(ty, next);
                sql!("sign({})", of)
            }
            _ => self.choice(Type::Integer, next),
        }
    }

    fn integer_operator(&mut self, next: usize) -> Sql {
        let kind = self.random.below(8);
        let ty = if kind == 6 { Type::Boolean } else { Type::Integer };
        let a = self.of(ty, next);
        if kind == 5 {
            self.note("negate");
            return Sql { ours: format!("(- {})", a.ours), theirs: format!("neg({})", a.theirs) };
        }
        if kind == 7 {
            self.note("~");
            return sql!("(~ {})", a);
        }
        let b = self.of(ty, next);
        let called = |symbol: &str, name: &str| Sql {
            ours: format!("({} {symbol} {})", a.ours, b.ours),
            theirs: format!("{name}({}, {})", a.theirs, b.theirs),
        };
        match kind {
            0 => {
                self.note("+ - *");
                let (symbol, name) = *self.random.pick(&[("+", "plus"), ("-", "minus"), ("*", "times")]);
                called(symbol, name)
            }
            1 => {
                self.note("/");
                called("/", "quotient")
            }
            2 => {
                self.note("%");
                sql!("({} % {})", a, b)
            }
            3 => {
                self.note("& |");
                if self.random.percent(50) { sql!("({} & {})", a, b) } else { sql!("({} | {})", a, b) }
            }
            4 => {
                self.note("<< >>");
                if self.random.percent(50) { sql!("({} << {})", a, b) } else { sql!("({} >> {})", a, b) }
            }
            _ => {
                self.note("boolean arithmetic");
                called("+", "plus")
            }
        }
    }
}
