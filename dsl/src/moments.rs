//! What conditions say about how far apart moments may lie: `b.t BETWEEN a.t AND a.t + INTERVAL '5 minutes'`,
//! `b.t - a.t <= INTERVAL '5 minutes'`, `a.t >= datetime(b.t, '-5 minutes')`, `unixepoch(b.t) - unixepoch(a.t) < 300`.
//!
//! The lint about rules that remember for ever and the engine that forgets both read this, so that they agree. What must
//! hold: a bound is never narrower than the condition. Text that is cut to seconds makes it a second wider.

use crate::expr::{Arithmetic, Comparison, Expr, ExprKind};
use crate::types::{MICROS_PER_SEC, Type, Value};

/// What a moment is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The time of evaluation.
    Now,
    /// The TIMESTAMP in this column of the input row.
    Column(usize),
}

/// `earlier` is at most `micros` later than `later`, for every row that the condition lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What lies before, or not far behind.
    pub earlier: Base,
    /// What it is measured against.
    pub later: Base,
    /// How far behind, in microseconds.
    pub micros: i64,
}

/// One moment less another, moved by something between two constants.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    plus: Option<Base>,
    minus: Option<Base>,
    least: i64,
    most: i64,
}

/// The bounds that a condition says; what stands below OR and NOT binds no row.
pub fn bounds(condition: &Expr) -> Vec<Bound> {
    match &condition.kind {
        ExprKind::And(parts) => parts.iter().flat_map(bounds).collect(),
        ExprKind::Compare { op, left, right, .. } => compared(*op, left, right),
        _ => vec![],
    }
}

/// The bounds that a comparison says.
pub fn compared(op: Comparison, left: &Expr, right: &Expr) -> Vec<Bound> {
    let difference = moved(left).zip(moved(right)).and_then(|(left, right)| left.less(right));
    let Some(Moved { plus: Some(plus), minus: Some(minus), least, most }) = difference else { return vec![] };
    let up = least.checked_neg().map(|micros| Bound { earlier: plus, later: minus, micros });
    let down = Some(Bound { earlier: minus, later: plus, micros: most });
    let found = match op {
        Comparison::Less | Comparison::LessEqual => [up, None],
        Comparison::Greater | Comparison::GreaterEqual => [down, None],
        Comparison::Equal => [up, down],
        // NULL is NULL, however far apart.
        Comparison::NotEqual | Comparison::Is | Comparison::IsNot => [None, None],
    };
    found.into_iter().flatten().collect()
}

impl Moved {
    fn of(base: Base) -> Self {
        Self { plus: Some(base), ..Self::default() }
    }

    fn by(micros: i64) -> Self {
        Self { least: micros, most: micros, ..Self::default() }
    }

    /// Later by something between the two.
    fn between(self, least: i64, most: i64) -> Option<Self> {
        Some(Self { least: self.least.checked_add(least)?, most: self.most.checked_add(most)?, ..self })
    }

    fn and(self, other: Self) -> Option<Self> {
        let (plus, minus) = (either(self.plus, other.plus)?, either(self.minus, other.minus)?);
        Self { plus, minus, ..self }.between(other.least, other.most)
    }

    fn less(self, other: Self) -> Option<Self> {
        let (least, most) = (other.most.checked_neg()?, other.least.checked_neg()?);
        self.and(Self { plus: other.minus, minus: other.plus, least, most })
    }
}

/// The one that is there; nothing for two.
fn either(one: Option<Base>, other: Option<Base>) -> Option<Option<Base>> {
    (one.is_none() || other.is_none()).then(|| one.or(other))
}

fn moved(expr: &Expr) -> Option<Moved> {
    match &expr.kind {
        ExprKind::Now => Some(Moved::of(Base::Now)),
        ExprKind::Column { index, .. } if expr.ty == Type::Timestamp => Some(Moved::of(Base::Column(*index))),
        ExprKind::Literal(Value::Interval(micros)) => Some(Moved::by(*micros)),
        // Beside seconds since 1970.
        ExprKind::Literal(Value::Integer(seconds)) => seconds.checked_mul(MICROS_PER_SEC).map(Moved::by),
        ExprKind::Arithmetic { op: Arithmetic::Add, left, right } => moved(left)?.and(moved(right)?),
        ExprKind::Arithmetic { op: Arithmetic::Subtract, left, right } => moved(left)?.less(moved(right)?),
        ExprKind::Cast(of) if matches!(expr.ty, Type::Timestamp) => civil(of),
        ExprKind::Call { function, args, .. } if function.name == "unixepoch" => match args.as_slice() {
            [of] => moment(of)?.between(-MICROS_PER_SEC, 0),
            _ => None,
        },
        _ => None,
    }
}

/// A TIMESTAMP, or a text that stands for one.
fn moment(expr: &Expr) -> Option<Moved> {
    match &expr.kind {
        ExprKind::Cast(of) if expr.ty == Type::Text && of.ty == Type::Timestamp => moved(of),
        _ if expr.ty == Type::Timestamp => moved(expr),
        _ => civil(expr),
    }
}

/// `datetime(moment, '+5 minutes')`, cut to its second.
fn civil(expr: &Expr) -> Option<Moved> {
    let ExprKind::Call { function, args, .. } = &expr.kind else { return None };
    let (first, modifiers) = args.split_first().filter(|_| function.name == "datetime")?;
    let base = moment(first)?;
    let steps = modifiers.iter().map(|modifier| fixed(modifier.as_literal()?.as_text()?));
    let by = steps.sum::<Option<i64>>()?;
    base.between(by.checked_sub(MICROS_PER_SEC)?, by)
}

/// A modifier that always moves equally far.
fn fixed(modifier: &str) -> Option<i64> {
    let lower = modifier.to_ascii_lowercase();
    let (number, unit) = lower.split_once(' ')?;
    let unit = unit.trim();
    let seconds = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(seconds * MICROS_PER_SEC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_query;
    use crate::diagnostic::Source;
    use crate::lints::Subject;
    use crate::tables::Catalog;

    /// The bounds between the `start_time` of `a` (column 0) and of `b`, in seconds, of a condition.
    fn said(condition: &str) -> Vec<(usize, usize, i64)> {
        let sql = format!(
            "SELECT a.pid FROM (SELECT start_time AS t, pid FROM process_starts) AS a \
             JOIN (SELECT start_time AS t, pid FROM process_starts) AS b ON {condition}"
        );
        let checked = check_query(&Source::query(&sql), &Catalog::builtin());
        let rule = checked.rule.unwrap_or_else(|| panic!("{condition}: {:?}", checked.diagnostics));
        let side = |base| match base {
            Base::Column(column) => column,
            Base::Now => usize::MAX,
        };
        let seconds = |bound: Bound| (side(bound.earlier), side(bound.later), bound.micros / MICROS_PER_SEC);
        let subject = Subject::new(&rule);
        let outer = &subject.selects()[0];
        outer.conditions().into_iter().flat_map(bounds).map(seconds).collect()
    }

    #[test]
    fn bounds_are_read_in_every_form_and_never_too_narrow() {
        let (a, b) = (0, 2);
        let five = [(a, b, 0), (b, a, 300)];
        assert_eq!(said("b.t BETWEEN a.t AND a.t + INTERVAL '5 minutes'"), five);
        assert_eq!(said("a.t <= b.t AND b.t < a.t + INTERVAL '5 minutes'"), five);
        assert_eq!(said("b.t >= a.t AND b.t - a.t <= INTERVAL '5 minutes'"), five);
        assert_eq!(said("b.t - INTERVAL '5 minutes' <= a.t"), [(b, a, 300)]);
        assert_eq!(said("INTERVAL '5 minutes' >= b.t - a.t"), [(b, a, 300)]);
        assert_eq!(said("a.t >= datetime(b.t, '-5 minutes')"), [(b, a, 301)]);
        assert_eq!(said("a.t < datetime(b.t, '+5 minutes')"), [(a, b, 300)]);
        assert_eq!(said("unixepoch(b.t) - unixepoch(a.t) < 300"), [(b, a, 301)]);
        assert_eq!(said("unixepoch(b.t) <= unixepoch(a.t) + 300"), [(b, a, 301)]);
        assert_eq!(said("a.t = b.t"), [(a, b, 0), (b, a, 0)]);
        assert_eq!(said("a.t + INTERVAL '1 minute' = b.t"), [(a, b, -60), (b, a, 60)]);
        for none in [
            "a.t <> b.t",
            "a.t IS b.t",
            "a.t <= b.t OR a.pid = 1",
            "NOT (a.t <= b.t)",
            "a.pid <= b.pid",
            "a.t <= datetime(b.t, '+1 month')",
            "a.t <= datetime(b.t, 'start of day')",
        ] {
            assert_eq!(said(none), [], "{none}");
        }
    }
}
