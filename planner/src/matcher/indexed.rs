//! What a store's indexes can tell of a condition: the guards that it could have, as probes of the store.

use daemoneye_dsl::expr::Expr;
use daemoneye_storage::{Probe as Asked, Question};

use super::atoms::{Atom, Atoms};
use super::guard::{Guard, Probe};
use super::program::Tree;

/// For each thing that the condition requires, the probes of which one must be met. Columns are those of the condition.
pub(crate) fn probes(condition: &Expr) -> Vec<Vec<Asked>> {
    let mut atoms = Atoms::default();
    let tree = Tree::of(condition, &mut |expr| atoms.take(Atom::of(expr)));
    let guards = Guard::all(&tree, &atoms);
    guards.into_iter().map(|guard| guard.any.into_iter().map(asked).collect()).collect()
}

fn asked(probe: Probe) -> Asked {
    let (column, question) = match probe {
        Probe::Literal(column, literal) => (column, Question::Contains(literal)),
        Probe::Equal(column, value) => (column, Question::Equal(value)),
        Probe::AtLeast(column, bound) => (column, Question::AtLeast(bound)),
        Probe::AtMost(column, bound) => (column, Question::AtMost(bound)),
        Probe::Null(column) => (column, Question::Null),
    };
    Asked { column, question }
}
