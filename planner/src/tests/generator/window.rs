//! Window functions.
//!
//! What depends on which of several rows comes first is asked over an order of all columns; all such calls of one SELECT
//! share it, since rows that are equal may stand in any order, but in one. Sums of moving frames are of small numbers:
//! SQLite takes leaving rows out of the sum again, which for large ones leaves a rest.

use daemoneye_dsl::types::Type;

use super::{Generator, Sql, quoted, sql};

pub(super) const FORMS: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "lag or lead by",
    "lag or lead otherwise",
    "first_value",
    "last_value",
    "nth_value",
    "window count",
    "window sum",
    "window avg",
    "window total",
    "window min",
    "window max",
    "window group_concat",
    "window filter",
    "partition by",
    "window order by",
    "rows",
    "range",
    "groups",
    "range distance",
    "unbounded preceding",
    "preceding",
    "current row",
    "following",
    "unbounded following",
    "one bound",
    "named window",
    "named window with frame",
    "frame on named window",
    "window over groups",
    "any order in a window",
];

/// Which order a call is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Equal rows may stand in any order.
    Peers,
    /// Every row has its place.
    Places,
}

impl Generator<'_> {
    /// A window call of the type.
    pub(in crate::tests) fn windowed(&mut self, ty: Type) -> Sql {
        if self.scope().group.is_some() {
            self.note("window over groups");
        }
        match (ty, self.random.below(10)) {
            (Type::Integer, 0..=3) => self.position(),
            (Type::Real, 0..=3) => {
                let name = *self.random.pick(&["percent_rank", "cume_dist"]);
                self.note(name);
                self.over(&format!("{name}()").into(), Needs::Peers, false)
            }
            (Type::Integer, 4..=6) => self.window_sum(&["count", "sum"]),
            (Type::Real, 4..=6) => self.window_sum(&["avg", "total"]),
            (Type::Text, 0..=2) => {
                self.note("window group_concat");
                let (of, separator) = (self.text(0), Sql::from(quoted(self.random.word(&[";", ""]))));
                // Of texts that are empty SQLite takes too much away when they leave the frame.
                let call = sql!("group_concat('<' || {}, {})", of, separator);
                self.aggregate_over(call, Needs::Places)
            }
            _ => self.window_value(ty),
        }
    }

    fn position(&mut self) -> Sql {
        let name = *self.random.pick(&["row_number", "rank", "dense_rank", "ntile"]);
        self.note(name);
        let needs = if matches!(name, "row_number" | "ntile") { Needs::Places } else { Needs::Peers };
        let parts = if name == "ntile" { *self.random.pick(&["1", "2", "3", "100"]) } else { "" };
        self.over(&format!("{name}({parts})").into(), needs, false)
    }

    fn window_sum(&mut self, names: &[&'static str]) -> Sql {
        let name = *self.random.pick(names);
        let of = self.integer(1);
        let call: Sql = match name {
            "count" => {
                self.note("window count");
                if self.random.percent(50) { sql!("count({})", of) } else { "count(*)".into() }
            }
            "sum" => {
                self.note("window sum");
                sql!("sum({} % 100)", of)
            }
            "avg" => {
                self.note("window avg");
                sql!("avg({} % 100)", of)
            }
            _ => {
                self.note("window total");
                sql!("total({} % 100)", of)
            }
        };
        self.aggregate_over(call, Needs::Peers)
    }

    /// A value of some row.
    fn window_value(&mut self, ty: Type) -> Sql {
        let of = self.of(ty, 1);
        match self.random.below(7) {
            0 => {
                self.note("first_value");
                self.over(&sql!("first_value({})", of), Needs::Places, true)
            }
            1 => {
                self.note("last_value");
                self.over(&sql!("last_value({})", of), Needs::Places, true)
            }
            2 => {
                self.note("nth_value");
                let nth: Sql = (*self.random.pick(&["1", "2", "3"])).into();
                self.over(&sql!("nth_value({}, {})", of, nth), Needs::Places, true)
            }
            3 | 4 => self.shift(ty, &of),
            5 => {
                self.note("window min");
                self.aggregate_over(sql!("min({})", of), Needs::Peers)
            }
            _ => {
                self.note("window max");
                self.aggregate_over(sql!("max({})", of), Needs::Peers)
            }
        }
    }

    fn shift(&mut self, ty: Type, of: &Sql) -> Sql {
        let name = *self.random.pick(&["lag", "lead"]);
        self.note(name);
        let mut args = of.clone();
        if self.random.percent(60) {
            self.note("lag or lead by");
            let by: Sql = (*self.random.pick(&["1", "2", "0", "3"])).into();
            args = sql!("{}, {}", args, by);
            if self.random.percent(50) {
                self.note("lag or lead otherwise");
                let otherwise = self.leaf(ty);
                args = sql!("{}, {}", args, otherwise);
            }
        }
        let name = Sql::from(name);
        self.over(&sql!("{}({})", name, args), Needs::Places, false)
    }

    fn aggregate_over(&mut self, call: Sql, needs: Needs) -> Sql {
        let call = if self.random.percent(20) {
            self.note("window filter");
            let filter = self.boolean(1);
            sql!("{} FILTER (WHERE {})", call, filter)
        } else {
            call
        };
        self.over(&call, needs, true)
    }

    fn over(&mut self, call: &Sql, needs: Needs, framed: bool) -> Sql {
        let needs = if framed && needs == Needs::Peers && self.random.percent(30) { Needs::Places } else { needs };
        if framed && needs == Needs::Peers && self.random.percent(25) {
            let spec = self.by_distance();
            return sql!("{} OVER ({})", call, spec);
        }
        let spec = match needs {
            Needs::Places => self.places(),
            Needs::Peers => {
                let terms: Vec<_> = (0..self.random.below(3)).map(|_| self.order_term(1)).collect();
                self.partitioned(&terms)
            }
        };
        let frame = if framed && self.random.percent(70) { self.frame(needs) } else { "".into() };
        // Without FROM the parser takes WINDOW for a name.
        let inline = self.scope().group.is_some() || self.scope().columns.is_empty();
        if inline || !self.random.percent(30) {
            return sql!("{} OVER ({}{})", call, spec, frame);
        }
        let name = self.name('w');
        let with_frame = frame.ours.is_empty() || self.random.percent(40);
        if frame.ours.is_empty() {
            self.note("named window");
        } else {
            self.note(if with_frame { "named window with frame" } else { "frame on named window" });
        }
        let named = if with_frame { sql!("{}{}", spec, frame) } else { spec };
        self.scope().windows.push((name.clone(), named));
        let name = Sql::from(name);
        if with_frame { sql!("{} OVER {}", call, name) } else { sql!("{} OVER ({}{})", call, name, frame) }
    }

    fn partitioned(&mut self, terms: &[Sql]) -> Sql {
        let keys: Vec<_> = (0..self.random.below(3))
            .map(|_| {
                let ty = self.any_type();
                self.of(ty, 1)
            })
            .collect();
        let mut spec: Sql = "".into();
        if !keys.is_empty() {
            self.note("partition by");
            let keys = Sql::joined(&keys, ", ");
            spec = sql!("PARTITION BY {}", keys);
        }
        if !terms.is_empty() {
            self.note("window order by");
            let terms = Sql::joined(terms, ", ");
            spec = sql!("{} ORDER BY {}", spec, terms);
        }
        spec
    }

    /// The SELECT's order of all rows.
    fn places(&mut self) -> Sql {
        if self.is_free() && self.random.percent(60) {
            self.note("any order in a window");
            let terms: Vec<_> = (0..self.random.below(2)).map(|_| self.order_term(1)).collect();
            return self.partitioned(&terms);
        }
        if let Some(total) = &self.scope().total {
            return total.clone();
        }
        let mut terms: Vec<_> = (0..self.random.below(2)).map(|_| self.order_term(1)).collect();
        let scope = self.scope();
        terms.extend(match &scope.group {
            Some(group) => group.keys.clone(),
            None => scope.columns.iter().map(|column| column.full().into()).collect(),
        });
        let made = self.partitioned(&terms);
        self.scope().total = Some(made.clone());
        made
    }

    fn frame(&mut self, needs: Needs) -> Sql {
        let mut units = vec!["RANGE", "GROUPS"];
        if needs == Needs::Places {
            units.push("ROWS");
        }
        let units = *self.random.pick(&units);
        self.note(match units {
            "RANGE" => "range",
            "GROUPS" => "groups",
            _ => "rows",
        });
        let bounds = self.bounds(units != "RANGE", &["0", "1", "2", "3"]);
        format!(" {units} {bounds}").into()
    }

    /// RANGE with distances along one number.
    fn by_distance(&mut self) -> Sql {
        self.note("range distance");
        let ty = *self.random.pick(&[Type::Integer, Type::Real]);
        let mut term = self.of(ty, 1);
        let direction = self.direction();
        // Downwards from the least INTEGER SQLite goes on in doubles, and gets nowhere.
        if ty == Type::Integer && direction.ours.contains("DESC") {
            term = sql!("({} % 1000000)", term);
        }
        // SQLite adds the distance, which beyond 2^53 may be lost; here it is exact.
        if ty == Type::Real {
            term = sql!("CASE WHEN abs({}) < 1e9 THEN {} END", term, term);
        }
        let spec = self.partitioned(&[sql!("{}{}", term, direction)]);
        let distances: &[&str] = if ty == Type::Real { &["0.5", "1.5", "0", "2"] } else { &["1", "2", "0", "7"] };
        let bounds: Sql = self.bounds(true, distances).into();
        sql!("{} RANGE {}", spec, bounds)
    }

    /// The bounds of a frame that does not end before it begins.
    fn bounds(&mut self, measured: bool, distances: &[&'static str]) -> String {
        let kinds = [
            ("unbounded preceding", "UNBOUNDED PRECEDING"),
            ("preceding", "PRECEDING"),
            ("current row", "CURRENT ROW"),
            ("following", "FOLLOWING"),
            ("unbounded following", "UNBOUNDED FOLLOWING"),
        ];
        let allowed = |at: &usize| measured || !matches!(at, 1 | 3);
        let starts: Vec<_> = (0..4).filter(allowed).collect();
        let start = *self.random.pick(&starts);
        let bound = |generator: &mut Self, at: usize| {
            let (form, words) = kinds[at];
            generator.note(form);
            if matches!(at, 1 | 3) { format!("{} {words}", generator.random.word(distances)) } else { words.to_owned() }
        };
        let first = bound(self, start);
        if start < 3 && self.random.percent(20) {
            self.note("one bound");
            return first;
        }
        let ends: Vec<_> = (start.max(1)..5).filter(allowed).collect();
        let end = *self.random.pick(&ends);
        let last = bound(self, end);
        format!("BETWEEN {first} AND {last}")
    }
}
