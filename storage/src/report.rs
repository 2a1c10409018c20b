//! How the system is, as the agent has put it on record: what `status` is made of, whoever reads the store for it.

use std::ops::ControlFlow;

use daemoneye_dsl::alert::AlertStatus;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleState, RuleStats, RuleStatus};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::{Contents, Dropped, Error, Gap, Kept, Reader, Scan, View};

/// What the store says of the agent, its rules, its collectors and itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The last agent that ran; nothing if none did.
    pub run: Option<AgentRun>,
    /// What became of its rule files.
    pub rules: Vec<RuleStatus>,
    /// What these cost, the costliest first.
    pub costs: Vec<RuleStats>,
    /// The collectors of the last run, the one that was heard last first.
    pub collectors: Vec<CollectorStatus>,
    /// How much of history there is.
    pub contents: Contents,
    /// What retention dropped.
    pub drops: Vec<Dropped>,
    /// When nobody looked.
    pub gaps: Vec<Gap>,
    /// Alerts that still match.
    pub alerts_open: usize,
    /// All alerts.
    pub alerts: usize,
    /// Silences that are stored; some may be over.
    pub silences: Vec<Silence>,
    /// Whether damage hides some of this.
    pub completeness: Completeness,
}

impl Report {
    /// Reads it all, as of one moment.
    pub fn read(view: &View) -> Result<Self, Error> {
        let run = view.run()?;
        let (rules, of_rules) = view.rules()?;
        let (mut costs, of_costs) = view.rule_stats()?;
        costs.sort_by_key(|rule| std::cmp::Reverse(rule.total_micros));
        let (mut collectors, of_collectors) = view.collectors()?;
        let started = run.as_ref().map_or(Timestamp::default(), |run| run.started);
        collectors.retain(|collector| collector.last_snapshot >= started);
        collectors.sort_by_key(|collector| std::cmp::Reverse(collector.last_snapshot));
        let (silences, of_silences) = view.silences()?;
        let ((alerts_open, alerts), of_alerts) = count_alerts(view)?;
        let completeness = of_rules.and(&of_costs).and(&of_collectors).and(&of_silences).and(&of_alerts);
        Ok(Self {
            run,
            rules,
            costs,
            collectors,
            contents: view.contents()?,
            drops: view.drops()?,
            gaps: view.gaps()?,
            alerts_open,
            alerts,
            silences,
            completeness,
        })
    }

    /// Rules of which that became.
    pub fn count(&self, state: RuleState) -> usize {
        self.rules.iter().filter(|rule| rule.state == state).count()
    }

    /// The moment before which history is no longer whole.
    pub fn dropped_to(&self) -> Option<Timestamp> {
        self.drops.iter().filter(|dropped| dropped.of == Kept::Versions).map(|dropped| dropped.to).max()
    }
}

/// How many alerts still match, and how many there are.
fn count_alerts(view: &View) -> Result<((usize, usize), Completeness), Error> {
    let catalog = Catalog::builtin();
    let table = catalog.table("alerts").expect("a table of the catalog");
    let (status, _) = table.column("status").expect("a column of the catalog");
    let (mut open, mut all) = (0, 0);
    let completeness = view.visit(&Scan::all(table, &[status]), &mut |batch| {
        let is_open = |row: &usize| Value::at(batch.column(0), *row).as_text() == Some(AlertStatus::Open.name());
        all += batch.num_rows();
        open += (0..batch.num_rows()).filter(is_open).count();
        ControlFlow::Continue(())
    })?;
    Ok(((open, all), completeness))
}
