//! Fixes applied until nothing more is offered, each only where it makes nothing worse.
//!
//! A fix is kept if the file has no more errors than before. A safe one must leave the query of a rule that compiles as
//! it was; that is checked and not believed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Further, lint};
use crate::check::Checked;
use crate::diagnostic::{Fix, Safety, Source, apply, error_count};
use crate::tables::Catalog;

/// Rounds for one file: one fix may make room for the next.
const ROUNDS_MAX: usize = 16;

/// A text after its fixes.
#[derive(Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The new text; the old one, where nothing applied.
    pub text: String,
    /// How many findings of which code were mended.
    pub applied: BTreeMap<&'static str, usize>,
    /// Codes whose fix would make things worse, or is called safe and would change what the rule finds.
    pub refused: BTreeSet<&'static str>,
}

/// Applies the fixes of `source` that are at least as safe as `safety`, the safe ones first.
pub fn fix(source: &Source, catalog: &Catalog, further: &Further, safety: Safety) -> Fixed {
    let mut mending = Mending {
        source: source.clone(),
        catalog,
        further,
        fixed: Fixed { text: String::new(), applied: BTreeMap::new(), refused: BTreeSet::new() },
    };
    mending.rounds(Safety::Safe);
    if safety > Safety::Safe {
        mending.rounds(safety);
    }
    Fixed { text: mending.source.text, ..mending.fixed }
}

struct Mending<'a> {
    source: Source,
    catalog: &'a Catalog,
    further: &'a Further,
    fixed: Fixed,
}

type Offered<'a> = (&'static str, &'a Fix);

impl Mending<'_> {
    fn rounds(&mut self, safety: Safety) {
        let mut seen = vec![self.source.text.clone()];
        for _ in 0..ROUNDS_MAX {
            let before = lint(&self.source, self.catalog, self.further);
            let offered = before.diagnostics.iter().filter_map(|it| Some((it.code, it.offered_fix()?)));
            let chosen = disjoint(&self.source.text, offered.filter(|(_, fix)| fix.safety <= safety));
            let kept = if self.is_better(&before, &chosen) { chosen } else { self.one_by_one(&before, &chosen) };
            let text = applied(&self.source.text, &kept);
            // Two fixes that undo each other come round again.
            if seen.contains(&text) {
                return;
            }
            for (code, _) in kept {
                *self.fixed.applied.entry(code).or_default() += 1;
            }
            seen.push(text.clone());
            self.source.text = text;
        }
    }

    /// Those that are good together with the good ones before them.
    fn one_by_one<'a>(&mut self, before: &Checked, chosen: &[Offered<'a>]) -> Vec<Offered<'a>> {
        let mut kept = Vec::new();
        for offered in chosen {
            kept.push(*offered);
            if !self.is_better(before, &kept) {
                kept.pop();
                self.fixed.refused.insert(offered.0);
            }
        }
        kept
    }

    fn is_better(&self, before: &Checked, fixes: &[Offered<'_>]) -> bool {
        let text = applied(&self.source.text, fixes);
        let after = lint(&Source { path: self.source.path.clone(), text }, self.catalog, self.further);
        let same_query = || match (&before.rule, &after.rule) {
            (Some(before), Some(after)) => before.query == after.query,
            (before, _) => before.is_none(),
        };
        let all_safe = fixes.iter().all(|(_, fix)| fix.safety == Safety::Safe);
        error_count(&after.diagnostics) <= error_count(&before.diagnostics) && (!all_safe || same_query())
    }
}

/// Those of which none overlaps another before it.
fn disjoint<'a>(text: &str, offered: impl Iterator<Item = Offered<'a>>) -> Vec<Offered<'a>> {
    let mut chosen: Vec<Offered<'a>> = Vec::new();
    for one in offered {
        let (_, fitting) = apply(text, chosen.iter().chain([&one]).map(|(_, fix)| *fix));
        if fitting > chosen.len() {
            chosen.push(one);
        }
    }
    chosen
}

fn applied(text: &str, fixes: &[Offered<'_>]) -> String {
    apply(text, fixes.iter().map(|(_, fix)| *fix)).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lints::{EXAMPLE_HEADER, NOTHING_FURTHER};

    fn fixed(sql: &str, safety: Safety) -> Fixed {
        let source = Source { path: "x.sql".to_owned(), text: format!("{EXAMPLE_HEADER}{sql}") };
        let fixed = fix(&source, &Catalog::builtin(), NOTHING_FURTHER, safety);
        let text = fixed.text.strip_prefix(EXAMPLE_HEADER).unwrap().to_owned();
        Fixed { text, ..fixed }
    }

    #[test]
    fn what_does_not_compile_is_mended_and_the_rest_stays_byte_for_byte() {
        let sql = "SELECT  proc_id,\tcomand_line\r\nFROM processes\r\nWHERE pidd = 1 -- é\r\n";
        let fixed = fixed(sql, Safety::Safe);
        assert_eq!(fixed.text, "SELECT  proc_id,\tcommand_line\r\nFROM processes\r\nWHERE pid = 1 -- é\r\n");
        assert_eq!(fixed.applied, BTreeMap::from([("DE201", 2)]));
    }

    #[test]
    fn what_changes_the_meaning_waits_to_be_asked_for() {
        let sql = "SELECT c.proc_id FROM processes c JOIN processes p ON p.pid = c.ppid";
        assert_eq!(fixed(sql, Safety::Safe).text, sql);
        let changed = fixed(sql, Safety::ChangesMeaning);
        assert_eq!(changed.text, "SELECT c.proc_id FROM processes c JOIN processes p ON p.proc_id = c.parent_id");
        assert_eq!(changed.applied, BTreeMap::from([("DE220", 1)]));
    }

    #[test]
    fn a_fix_that_only_claims_to_be_safe_is_refused() {
        let source = Source {
            path: "x.sql".to_owned(),
            text: format!("{EXAMPLE_HEADER}SELECT proc_id FROM processes WHERE pid = 1"),
        };
        let catalog = Catalog::builtin();
        let before = lint(&source, &catalog, NOTHING_FURTHER);
        let at = source.text.len() - 1..source.text.len();
        let mut mending = Mending {
            source,
            catalog: &catalog,
            further: NOTHING_FURTHER,
            fixed: Fixed { text: String::new(), applied: BTreeMap::new(), refused: BTreeSet::new() },
        };
        let liar = Fix { edits: vec![(at.clone(), "2".to_owned())], safety: Safety::Safe };
        let breaker = Fix { edits: vec![(at, "2,,".to_owned())], safety: Safety::ChangesMeaning };
        let honest = Fix { edits: vec![(0..0, "\n".to_owned())], safety: Safety::Safe };
        let offered = [("DE998", &liar), ("DE997", &honest), ("DE996", &breaker)];
        assert_eq!(mending.one_by_one(&before, &offered), [("DE997", &honest)]);
        assert_eq!(mending.fixed.refused, BTreeSet::from(["DE996", "DE998"]));
    }
}
