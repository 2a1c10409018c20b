//! `explain --state`: which operators a rule is made of once it is installed, and what they hold of the rows of now.

use anstyle::Style as Paint;
use anyhow::bail;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Catalog;
use daemoneye_planner::{Counted, Dataflow, Operator, Plan, Size};
use serde_json::{Value, json};

use crate::page::Page;
use crate::render::{Cell, bytes};
use crate::screen::count;
use crate::sources::{Sources, describe};

/// Spaces before the table of operators.
const INDENT: usize = 2;

/// A rule, installed and loaded with the tables as they are.
pub(super) struct State {
    operators: Vec<Operator>,
    held: Size,
    referred: Size,
    found_by: Vec<(String, String)>,
    matches: usize,
    read: String,
    pub(super) completeness: Completeness,
}

/// A column that a plan reads of the samples of a moment.
fn sample_of_then(plan: &Plan) -> Option<String> {
    let own = || {
        let Plan::Scan { table, columns, as_of: Some(_), .. } = plan else { return None };
        let catalog = Catalog::builtin();
        let versions = catalog.table(&table.name)?;
        let mut names = columns.iter().map(|at| &table.columns[*at].name);
        names.find(|name| versions.column(name).is_none()).map(ToString::to_string)
    };
    own().or_else(|| plan.children().into_iter().find_map(sample_of_then))
}

/// One line of the tree of operators.
struct Line<'a> {
    stem: String,
    text: String,
    /// None of what an operator evaluates within, or was drawn already.
    operator: Option<&'a Operator>,
}

impl State {
    /// Runs the rule once over what is there, as the agent does when it takes it up.
    pub(super) fn of(plan: &Plan, sources: &Sources<'_>) -> anyhow::Result<Self> {
        if let Some(column) = sample_of_then(plan) {
            bail!(
                "`{column}` of a past moment is a sample, which no rule can hold: leave it out, or see with --analyze what the \
                 statement reads"
            );
        }
        sources.ask(|reader| Self::loaded(plan, sources, reader))
    }

    fn loaded(plan: &Plan, sources: &Sources<'_>, reader: &Counted<'_>) -> anyhow::Result<Self> {
        let mut rules = Dataflow::default();
        let rule = rules.install(plan);
        let mut matches = 0;
        let mut completeness = Completeness::default();
        // One whose matches are events takes part at once and has nothing to load.
        for (_, outcome) in rules.load(reader, sources.now)? {
            let answer = outcome?;
            matches += answer.rows.rows.num_rows();
            completeness = completeness.and(&answer.completeness);
        }
        let operators = rules.operators(rule);
        let mut held = Size::default();
        for operator in &operators {
            held += operator.held;
        }
        Ok(Self {
            operators,
            held,
            referred: rules.rows_held(),
            found_by: rules.found_by(rule),
            matches,
            read: describe(&reader.by_table()),
            completeness,
        })
    }

    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("holds", self.summary())]
    }

    pub(super) fn write(&self, page: &mut Page<'_>) {
        let head = format!("{:>7}  {:>8}  {:5}  operator", "rows", "bytes", "runs");
        page.line(INDENT, &[Cell::painted(head, Paint::new().dimmed())]);
        for Line { stem, text, operator } in self.tree() {
            let cells = operator.map_or_else(
                || [(); 3].map(|()| String::new()),
                |it| {
                    let (rows, len) = (it.held.rows, bytes(it.held.bytes as u64));
                    let held = if rows == 0 { ["-".to_owned(), "-".to_owned()] } else { [rows.to_string(), len] };
                    let [rows, len] = held;
                    [rows, len, if it.anew.is_some() { "anew" } else { "steps" }.to_owned()]
                },
            );
            let [rows, len, runs] = cells;
            let paint = if operator.is_some_and(|it| it.anew.is_some()) { Paint::new().bold() } else { Paint::new() };
            let cells = [Cell::new(format!("{rows:>7}  {len:>8}")), Cell::painted(format!("{runs:5}"), paint)];
            page.outline_beside(INDENT, &cells, (&stem, &text));
        }
    }

    fn summary(&self) -> String {
        let of = |size: Size, what: &str| {
            format!("{} ({}) {what}", count(size.rows, "row", "rows"), bytes(size.bytes as u64))
        };
        let matches = count(self.matches, "match", "matches");
        if self.held.rows + self.referred.rows == 0 {
            return format!("nothing from one snapshot to the next; {matches}");
        }
        let read = if self.read.is_empty() { String::new() } else { format!("{matches} of {}; ", self.read) };
        format!("{read}{}, {}", of(self.held, "in its operators"), of(self.referred, "that they refer to"))
    }

    /// The operators from the last to those that read; one that feeds several is drawn once.
    fn tree(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        let mut drawn = vec![false; self.operators.len()];
        if let Some(last) = self.operators.len().checked_sub(1) {
            self.below(last, "", "", &mut drawn, &mut lines);
        }
        lines
    }

    fn below<'s>(&'s self, at: usize, own: &str, below: &str, drawn: &mut [bool], lines: &mut Vec<Line<'s>>) {
        let operator = &self.operators[at];
        let text = &operator.text;
        if std::mem::replace(&mut drawn[at], true) {
            lines.push(Line { stem: own.to_owned(), text: format!("{text} (as above)"), operator: None });
            return;
        }
        let found_by = operator.found_by.as_ref().map(|how| format!(", found by: {how}")).unwrap_or_default();
        lines.push(Line { stem: own.to_owned(), text: format!("{text}{found_by}"), operator: Some(operator) });
        let branches = operator.inputs.len() + operator.within.len();
        let stems = |branch: usize| if branch + 1 == branches { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        for (branch, input) in operator.inputs.iter().enumerate() {
            let (stem, goes_on) = stems(branch);
            self.below(*input, &format!("{below}{stem}"), &format!("{below}{goes_on}"), drawn, lines);
        }
        for (nth, plan) in operator.within.iter().enumerate() {
            let (stem, goes_on) = stems(operator.inputs.len() + nth);
            lines.extend(plan.outline().into_iter().enumerate().map(|(at, (within, text))| {
                let before = if at == 0 { stem } else { goes_on };
                Line { stem: format!("{below}{before}{within}"), text, operator: None }
            }));
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let found_by = self.found_by.iter().map(|(table, how)| json!({"table": table, "found_by": how}));
        let size = |size: Size| json!({"rows": size.rows, "bytes": size.bytes});
        let operators = self.operators.iter().map(|it| {
            json!({
                "operator": it.text,
                "recomputed": it.anew,
                "rows": it.held.rows,
                "bytes": it.held.bytes,
                "found_by": it.found_by,
                "inputs": it.inputs,
                "evaluates": it.within.iter().map(Plan::to_string).collect::<Vec<_>>(),
            })
        });
        json!({
            "matches": self.matches,
            "held": size(self.held),
            "rows_referred_to": size(self.referred),
            "tables": found_by.collect::<Vec<_>>(),
            "operators": operators.collect::<Vec<_>>(),
        })
    }
}
