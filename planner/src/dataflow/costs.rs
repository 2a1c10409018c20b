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
