//! What rules cost: how long their operators took in the last step, and what they hold.
//!
//! Operators that several rules share count for each of them: a rule's numbers say what it would cost alone. Finding a
//! table's rows is done for all rules at once and counts for none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::delta::Form;
use super::steps::Size;
use super::{Dataflow, Rule, RuleId};

impl Dataflow {
    /// How long a rule's operators took in the last step, or while it was loaded after that.
    pub fn took(&self, rule: RuleId) -> Duration {
        self.rules.get(&rule).map_or(Duration::ZERO, |rule| self.rule_took(rule))
    }

    /// The same for every rule that took something.
    pub fn times(&self) -> Vec<(RuleId, Duration)> {
        if self.graph.last_took().is_zero() {
            return vec![];
        }
        let all = self.rules.iter().map(|(id, rule)| (*id, self.rule_took(rule)));
        all.filter(|(_, took)| !took.is_zero()).collect()
    }

    fn rule_took(&self, rule: &Rule) -> Duration {
        rule.nodes.iter().map(|node| self.graph.took(*node)).sum()
    }

    /// What a rule holds: the rows that its operators refer to, one for each operator that does, and about how many
    /// bytes these references and the rows themselves take.
    pub fn size(&self, rule: RuleId) -> Size {
        self.rules.get(&rule).map_or_else(Size::default, |rule| self.rule_size(rule))
    }

    /// The rules that hold more rows or more bytes than that. Where all rules together do not, none is looked at.
    pub fn larger_than(&self, most: Size) -> Vec<(RuleId, Size)> {
        let held = self.graph.held();
        if held.rows <= most.rows && held.bytes + self.rows_held().bytes <= most.bytes {
            return vec![];
        }
        let all = self.rules.iter().map(|(id, rule)| (*id, self.rule_size(rule)));
        all.filter(|(_, size)| size.rows > most.rows || size.bytes > most.bytes).collect()
    }

    fn rule_size(&self, rule: &Rule) -> Size {
        let mut size = Size::default();
        // The most rows of each store that one operator refers to: others mostly refer to the same.
        let mut stored: BTreeMap<usize, usize> = BTreeMap::new();
        for id in &rule.nodes {
            let own = self.graph.size(*id);
            if own.rows == 0 {
                continue;
            }
            size += own;
            if let Form::Slots { stores, .. } = &self.graph.node(*id).layout.form {
                for store in stores {
                    let rows = stored.entry(*store).or_default();
                    *rows = own.rows.max(*rows);
                }
            }
        }
        for (store, rows) in stored {
            let all = self.graph.stores[store].borrow().size();
            let mean = all.bytes.checked_div(all.rows).unwrap_or(0);
            size.bytes += mean * rows.min(all.rows);
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;
    use daemoneye_dsl::check::check_query;
    use daemoneye_dsl::diagnostic::Source;
    use daemoneye_dsl::tables::{Catalog, Process};
    use daemoneye_dsl::types::Timestamp;

    use super::*;
    use crate::batch::Batch;
    use crate::dataflow::Changes;
    use crate::view::View;

    fn snapshot(processes: u32) -> RecordBatch {
        let process = |number: u32| Process {
            proc_id: format!("{number:016x}"),
            parent_id: Some(format!("{:016x}", number / 2)),
            name: "x".repeat(100),
            command_line: Some(format!("{number}{}", "y".repeat(1000))),
            ..Process::default()
        };
        Process::batch(&(0..processes).map(process).collect::<Vec<_>>())
    }

    fn install(dataflow: &mut Dataflow, sql: &str) -> RuleId {
        let checked = check_query(&Source::query(sql), &Catalog::builtin());
        dataflow.install(&crate::plan(&checked.rule.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)).query))
    }

    fn step(dataflow: &mut Dataflow, before: &RecordBatch, after: &RecordBatch) {
        let mut changes = Changes::default();
        changes.add("processes", Batch::replacing(before, after));
        dataflow.step(&View::new(Some(after), None), &changes, Timestamp(1));
    }

    fn all_nodes(dataflow: &Dataflow, rules: &[RuleId]) -> Size {
        let mut nodes: Vec<_> = rules.iter().flat_map(|id| dataflow.rules[id].nodes.clone()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.iter().fold(Size::default(), |mut sum, node| {
            sum += dataflow.graph.size(*node);
            sum
        })
    }

    #[test]
    fn who_holds_more_than_a_bound_is_found_and_what_all_hold_is_known_without_asking_each() {
        let most = |rows, bytes| Size { rows, bytes };
        let mut dataflow = Dataflow::timed(|| {
            static NOW: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            Duration::from_micros(NOW.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        });
        let small = install(&mut dataflow, "SELECT proc_id FROM processes WHERE pid = 7");
        let join = "FROM processes a JOIN processes b ON b.proc_id = a.parent_id";
        let wide = install(&mut dataflow, &format!("SELECT a.proc_id, a.command_line, b.command_line {join}"));
        let group = install(&mut dataflow, &format!("SELECT b.proc_id, count(*) {join} GROUP BY 1"));
        let rules = [small, wide, group];
        let (few, many) = (snapshot(10), snapshot(500));
        dataflow.load(&View::new(Some(&few), None), Timestamp(0)).unwrap();
        assert!(dataflow.took(wide) > Duration::ZERO, "while it was loaded");
        assert_eq!(dataflow.graph.held(), all_nodes(&dataflow, &rules));
        assert!(dataflow.larger_than(most(1_000, 1 << 20)).is_empty());
        step(&mut dataflow, &few, &many);
        assert_eq!(dataflow.graph.held(), all_nodes(&dataflow, &rules));
        let ids = |found: Vec<(RuleId, Size)>| found.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(dataflow.larger_than(most(900, usize::MAX))), [wide, group]);
        let bytes = dataflow.size(wide).bytes;
        assert!(bytes > 500 * 1_000, "the command lines count: {bytes}");
        assert_eq!(ids(dataflow.larger_than(most(usize::MAX, bytes - 1)))[0], wide);
        assert_eq!(dataflow.size(small), Size::default());
        let times = dataflow.times();
        assert!(times.iter().any(|(id, took)| *id == group && *took == dataflow.took(group)), "{times:?}");
        assert_eq!(dataflow.took(small), Duration::ZERO, "nothing reached it");

        step(&mut dataflow, &many, &few);
        assert!(dataflow.larger_than(most(900, usize::MAX)).is_empty(), "what leaves is held no more");
        // One that shares operators which run, and have grown: they give their output again.
        let grouped = format!("SELECT b.proc_id, count(*) {join} GROUP BY 1 HAVING count(*) > 1");
        let late = install(&mut dataflow, &grouped);
        dataflow.load(&View::new(Some(&few), None), Timestamp(0)).unwrap();
        let rules = [small, wide, group, late];
        assert_eq!(dataflow.graph.held(), all_nodes(&dataflow, &rules));
        for id in rules {
            dataflow.remove(id);
        }
        assert_eq!(dataflow.graph.held(), Size::default());
    }
}
