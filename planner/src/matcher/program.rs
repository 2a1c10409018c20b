//! The AND, OR and NOT of a condition, as tests of atoms and jumps between them.
//!
//! NOT is pushed down to the tests: `NOT (a AND b)` is true where `a` is false or `b` is, and false is not the same as
//! not true. So a test says which of the three truth values it accepts, and the rest is ALL and ANY, which can stop at
//! the first answer whatever the others would be.

use daemoneye_dsl::convert;
use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::types::{Type, Value};

/// A set of truth values; one alone is a truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truths(u8);

impl Truths {
    pub(super) const FALSE: Self = Self(1);
    pub(super) const TRUE: Self = Self(2);
    const NULL: Self = Self(4);
    const NOT_TRUE: Self = Self(1 | 4);
    const NOT_FALSE: Self = Self(2 | 4);

    pub(super) fn of(truth: Option<bool>) -> Self {
        match truth {
            Some(true) => Self::TRUE,
            Some(false) => Self::FALSE,
            None => Self::NULL,
        }
    }

    pub(super) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    fn has(self, truth: Self) -> bool {
        self.0 & truth.0 != 0
    }

    /// The same with true and false exchanged.
    fn swapped(self) -> Self {
        Self(self.0 & 4 | (self.0 & 1) << 1 | (self.0 & 2) >> 1)
    }
}

/// A condition without NOT. ALL of nothing is true, ANY of nothing is false.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    /// Whether the truth of the atom is one of these.
    Test(u32, Truths),
}

impl Tree {
    /// Where the condition is true; `atom` numbers what is neither AND, OR nor NOT.
    pub(super) fn of(condition: &Expr, atom: &mut impl FnMut(&Expr) -> u32) -> Self {
        Self::accepting(condition, Truths::TRUE, atom)
    }

    /// `accepts` is one of the four that [`Truths::swapped`] and NOT NULL lead to; of a test it may be any.
    fn accepting(expr: &Expr, accepts: Truths, atom: &mut impl FnMut(&Expr) -> u32) -> Self {
        match &expr.kind {
            ExprKind::Not(of) => Self::accepting(of, accepts.swapped(), atom),
            ExprKind::IsTrue(of) if accepts.has(Truths::TRUE) => Self::accepting(of, Truths::TRUE, atom),
            ExprKind::IsTrue(of) => Self::accepting(of, Truths::NOT_TRUE, atom),
            ExprKind::Cast(_) | ExprKind::Case { .. } if let Some((of, for_null)) = coalesced(expr) => {
                let accepts = match (accepts.has(Truths::TRUE), for_null) {
                    (true, false) => Truths::TRUE,
                    (true, true) => Truths::NOT_FALSE,
                    (false, false) => Truths::NOT_TRUE,
                    (false, true) => Truths::FALSE,
                };
                Self::accepting(of, accepts, atom)
            }
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                let trees = parts.iter().map(|part| Self::accepting(part, accepts, atom)).collect();
                // An AND is true, or not false, where all parts are; an OR is false, or not true, where all are.
                let is_and = matches!(expr.kind, ExprKind::And(_));
                let wants_true = accepts == Truths::TRUE || accepts == Truths::NOT_FALSE;
                if is_and == wants_true { Self::all(trees) } else { Self::any(trees) }
            }
            ExprKind::Literal(Value::Boolean(truth)) => Self::constant(accepts.has(Truths::of(Some(*truth)))),
            ExprKind::Literal(Value::Null) => Self::constant(accepts.has(Truths::NULL)),
            _ => Self::Test(atom(expr), accepts),
        }
    }

    fn constant(holds: bool) -> Self {
        if holds { Self::All(vec![]) } else { Self::Any(vec![]) }
    }

    fn all(trees: Vec<Self>) -> Self {
        let mut parts = Vec::with_capacity(trees.len());
        for tree in trees {
            match tree {
                Self::All(more) => parts.extend(more),
                Self::Any(none) if none.is_empty() => return Self::constant(false),
                other => parts.push(other),
            }
        }
        if parts.len() == 1 { parts.remove(0) } else { Self::All(parts) }
    }

    fn any(trees: Vec<Self>) -> Self {
        let mut parts = Vec::with_capacity(trees.len());
        for tree in trees {
            match tree {
                Self::Any(more) => parts.extend(more),
                Self::All(none) if none.is_empty() => return Self::constant(true),
                other => parts.push(other),
            }
        }
        if parts.len() == 1 { parts.remove(0) } else { Self::Any(parts) }
    }

    /// Puts what costs less first; gives what all of it costs.
    pub(super) fn sort_by_cost(&mut self, cost: &impl Fn(u32) -> u32) -> u32 {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                let mut costs: Vec<_> =
                    std::mem::take(parts).into_iter().map(|mut part| (part.sort_by_cost(cost), part)).collect();
                costs.sort_by_key(|(cost, _)| *cost);
                let sum = costs.iter().fold(0, |sum: u32, (cost, _)| sum.saturating_add(*cost));
                *parts = costs.into_iter().map(|(_, part)| part).collect();
                sum
            }
            Self::Test(atom, _) => cost(*atom),
        }
    }
}

/// `coalesce(condition, constant)` as a condition, which is how rules say that NULL is false: the condition, and what its
/// NULL stands for.
fn coalesced(expr: &Expr) -> Option<(&Expr, bool)> {
    let ExprKind::Case { branches, otherwise } = &uncast(expr).kind else { return None };
    let ([(when, then)], ExprKind::Literal(constant)) = (&branches[..], &otherwise.kind) else { return None };
    let ExprKind::Not(is_null) = &when.kind else { return None };
    let ExprKind::IsNull(condition) = &is_null.kind else { return None };
    let Value::Boolean(for_null) = convert::cast(constant.clone(), Type::Boolean) else { return None };
    (condition.ty == Type::Boolean && uncast(then) == &**condition).then_some((condition, for_null))
}

/// Without a cast between numbers, which leaves what is true so.
fn uncast(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Cast(of) if [expr.ty, of.ty].iter().all(|ty| ty.is_numeric() && *ty != Type::Real) => of,
        _ => expr,
    }
}

/// A tree to be run: each test names the next for either answer.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The last is the first to run.
    steps: Box<[Step]>,
    start: u32,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    atom: u32,
    accepts: Truths,
    yes: u32,
    no: u32,
}

/// Where in a program one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u32);

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Whether the condition is true.
    Ends(bool),
    /// The truth of an atom was not told.
    Waits { at: Place, atom: u32 },
}

const TRUE: u32 = u32::MAX;
const FALSE: u32 = u32::MAX - 1;

impl Step {
    fn next(&self, truth: Truths) -> u32 {
        if self.accepts.has(truth) { self.yes } else { self.no }
    }
}

impl Program {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut steps = Vec::new();
        let start = emit(tree, TRUE, FALSE, &mut steps);
        Self { steps: steps.into(), start }
    }

    /// Where it starts.
    pub(super) fn start(&self) -> Place {
        Place(self.start)
    }

    /// Runs on from a place, as far as the atoms' truths are told.
    pub(super) fn run(&self, from: Place, mut truth: impl FnMut(u32) -> Option<Truths>) -> Ran {
        let mut at = from.0;
        while let Some(step) = self.steps.get(at as usize) {
            let Some(truth) = truth(step.atom) else { return Ran::Waits { at: Place(at), atom: step.atom } };
            at = step.next(truth);
        }
        Ran::Ends(at == TRUE)
    }

    /// The place behind the one at hand, where its atom has this truth.
    pub(super) fn after(&self, at: Place, truth: Truths) -> Place {
        self.steps.get(at.0 as usize).map_or(at, |step| Place(step.next(truth)))
    }
}

/// Adds the steps of a tree, the last first; gives where it starts.
fn emit(tree: &Tree, yes: u32, no: u32, steps: &mut Vec<Step>) -> u32 {
    match tree {
        Tree::All(parts) => parts.iter().rev().fold(yes, |next, part| emit(part, next, no, steps)),
        Tree::Any(parts) => parts.iter().rev().fold(no, |next, part| emit(part, yes, next, steps)),
        Tree::Test(atom, accepts) => {
            steps.push(Step { atom: *atom, accepts: *accepts, yes, no });
            u32::try_from(steps.len() - 1).expect("a statement has fewer tests")
        }
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::types::Type;

    use super::*;

    fn column(index: usize) -> Expr {
        Expr::new(ExprKind::Column { index, name: "c".into() }, Type::Boolean)
    }

    fn boolean(kind: ExprKind) -> Expr {
        Expr::new(kind, Type::Boolean)
    }

    /// The truth by SQL's rules, said once more.
    fn truth(expr: &Expr, row: &[Option<bool>]) -> Option<bool> {
        match &expr.kind {
            ExprKind::Column { index, .. } => row[*index],
            ExprKind::Not(of) => truth(of, row).map(|it| !it),
            ExprKind::IsTrue(of) => Some(truth(of, row) == Some(true)),
            ExprKind::Literal(Value::Integer(number)) => Some(*number != 0),
            ExprKind::Literal(value) => value.as_boolean(),
            ExprKind::Cast(of) => truth(of, row),
            ExprKind::IsNull(of) => Some(truth(of, row).is_none()),
            ExprKind::Case { branches, otherwise } => {
                let (when, then) = &branches[0];
                truth(if truth(when, row) == Some(true) { then } else { otherwise }, row)
            }
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                let wins = Some(matches!(expr.kind, ExprKind::Or(_)));
                let truths: Vec<_> = parts.iter().map(|part| truth(part, row)).collect();
                if truths.contains(&wins) {
                    wins
                } else if truths.contains(&None) {
                    None
                } else {
                    wins.map(|it| !it)
                }
            }
            _ => unreachable!("not drawn here"),
        }
    }

    #[test]
    fn programs_hold_where_conditions_are_true() {
        let not = |expr: &Expr| boolean(ExprKind::Not(Box::new(expr.clone())));
        let is_true = |expr: &Expr| boolean(ExprKind::IsTrue(Box::new(expr.clone())));
        let cast = |expr: Expr, ty| Expr::new(ExprKind::Cast(Box::new(expr)), ty);
        let coalesce = |expr: &Expr, for_null| {
            let is_null = boolean(ExprKind::IsNull(Box::new(expr.clone())));
            let branches = vec![(not(&is_null), cast(expr.clone(), Type::Integer))];
            let otherwise = Box::new(Expr::literal(Value::Integer(for_null), Type::Integer));
            cast(Expr::new(ExprKind::Case { branches, otherwise }, Type::Integer), Type::Boolean)
        };
        let leaves = [column(0), column(1), Expr::literal(Value::Boolean(true), Type::Boolean), Expr::null()];
        let mut all: Vec<Expr> = leaves.to_vec();
        for round in 0..2 {
            let some: Vec<_> = all.iter().step_by(if round == 0 { 1 } else { 7 }).cloned().collect();
            for one in &some {
                all.extend([not(one), is_true(one)]);
                if one.ty == Type::Boolean {
                    all.extend([coalesce(one, 0), coalesce(one, 1)]);
                }
                for other in &some {
                    all.push(boolean(ExprKind::And(vec![one.clone(), other.clone()])));
                    all.push(boolean(ExprKind::Or(vec![one.clone(), not(other), column(1)])));
                }
            }
        }
        let values = [Some(true), Some(false), None];
        for expr in all {
            let mut tree = Tree::of(&expr, &mut |atom| {
                let ExprKind::Column { index, .. } = atom.kind else { unreachable!("the others are no atoms") };
                u32::try_from(index).unwrap()
            });
            tree.sort_by_cost(&|atom| 9 - atom);
            let program = Program::of(&tree);
            for row in values.into_iter().flat_map(|one| values.map(|other| [one, other])) {
                let told = |atom: u32| Truths::of(row[atom as usize]);
                let expected = Ran::Ends(truth(&expr, &row) == Some(true));
                assert_eq!(program.run(program.start(), |atom| Some(told(atom))), expected, "{expr} {row:?} {tree:?}");
                let mut from = program.start();
                let ran = loop {
                    match program.run(from, |atom| (atom == 0).then(|| told(atom))) {
                        Ran::Waits { at, atom } => from = program.after(at, told(atom)),
                        ends @ Ran::Ends(_) => break ends,
                    }
                };
                assert_eq!(ran, expected, "{expr} {row:?} {tree:?}, told bit by bit");
            }
        }
    }
}
