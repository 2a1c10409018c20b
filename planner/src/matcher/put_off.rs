//! Conditions that wait for what a regular expression says of a row.
//!
//! Each regular expression is asked about all the rows that wait for it, and about each of them once. What the conditions
//! need beside it they ask for themselves: what was known of the row at hand is gone.

use std::collections::BTreeSet;

use super::Matcher;
use super::atoms::Rows;
use super::program::{Place, Ran, Truths};

/// So many wait at most before they are taken up.
pub(super) const PUT_OFF_MAX: usize = 1 << 18;

/// A run that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PutOff {
    /// For what.
    pub(super) atom: u32,
    /// In all the rows.
    pub(super) row: u32,
    /// The condition.
    pub(super) number: u32,
    /// Where in its program.
    pub(super) at: Place,
}

impl Matcher {
    /// Runs on what was put off, round after round, since one condition may wait for several things.
    pub(super) fn take_up(&mut self, rows: &Rows<'_>, matched: &mut BTreeSet<usize>) {
        let mut waiting = std::mem::take(&mut self.put_off);
        while !waiting.is_empty() {
            waiting.sort_unstable();
            let mut last: Option<(u32, u32, Truths)> = None;
            for PutOff { atom, row, number, at } in waiting.drain(..) {
                let known = last.filter(|(of, about, _)| (*of, *about) == (atom, row));
                let (.., truth) = *last.insert(known.unwrap_or_else(|| (atom, row, self.atoms.ask(atom, rows, row))));
                let Some(condition) = &self.conditions[number as usize] else { continue };
                let from = condition.program.after(at, truth);
                let ran = condition.program.run(from, |atom| self.atoms.ask_now(atom, rows, row));
                self.note(number, row, ran, matched);
            }
            std::mem::swap(&mut waiting, &mut self.put_off);
        }
        // The room is kept.
        self.put_off = waiting;
        self.choose_again();
    }

    /// What becomes of a condition that ran for a row.
    pub(super) fn note(&mut self, number: u32, row: u32, ran: Ran, matched: &mut BTreeSet<usize>) {
        let at = number as usize;
        let Some(condition) = &mut self.conditions[at] else { return };
        match ran {
            Ran::Waits { at, atom } => self.put_off.push(PutOff { atom, row, number, at }),
            Ran::Ends(true) => {
                if condition.found.is_empty() {
                    matched.insert(at);
                }
                condition.found.push(row);
            }
            Ran::Ends(false) => {
                if condition.guard.waste(self.rows_seen) {
                    self.wasteful.insert(at);
                }
            }
        }
    }
}
