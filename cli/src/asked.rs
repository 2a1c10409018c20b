//! Statements that the program makes for its own commands: asked of the agent if it answers, else of the store.
//!
//! Who may talk to the agent need not be allowed to read its store; and without an agent the store still knows.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use arrow_array::RecordBatch;
use daemoneye_dsl::alert::AlertChanges;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::query::{CheckedRule, Query};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::Value;
use daemoneye_planner::{Patience, View, ask, plan};
use daemoneye_settings::Settings;

use crate::agent::{Answered, Asking, statement};
use crate::live;
use crate::screen::Screen;
use crate::store::{self, Stored};

/// What one of these statements may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Who answers.
pub(crate) enum Place {
    Agent(Asking),
    Store(Stored),
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) completeness: Completeness,
    /// Of a statement with a LIMIT, how many rows there would be without.
    pub(crate) before_limit: Option<usize>,
}

impl Place {
    /// Looks for the agent, then for its store.
    pub(crate) fn find(data: Option<&PathBuf>, settings: &Settings, screen: &Screen) -> anyhow::Result<Self> {
        match Asking::find(data, settings, screen) {
            Some(asking) => Ok(Self::Agent(asking)),
            None => Ok(Self::Store(store::open(data, settings)?)),
        }
    }

    /// Where the rows come from.
    pub(crate) fn note(&self) -> String {
        match self {
            Self::Agent(_) => "agent".to_owned(),
            Self::Store(stored) => store::note(stored),
        }
    }

    /// Asks a statement that compiles; gives all rows.
    pub(crate) fn ask(&self, sql: &str) -> anyhow::Result<Answer> {
        let mut rows = Vec::new();
        let answer = self.each(sql, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(Answer { rows, ..answer })
    }

    /// Asks a statement that compiles; hands over its rows as they come.
    pub(crate) fn each(
        &self,
        sql: &str,
        each: &mut dyn FnMut(Vec<Value>) -> ControlFlow<()>,
    ) -> anyhow::Result<Answer> {
        let checked = check_query(&Source::query(sql), &Catalog::builtin());
        let rule = checked.rule.ok_or_else(|| anyhow!("cannot ask `{sql}`"))?;
        let mut cells = |part: RecordBatch| {
            let row = |row| part.columns().iter().map(|column| Value::at(column, row)).collect();
            (0..part.num_rows()).try_for_each(|at| each(row(at)))
        };
        match self {
            Self::Agent(asking) => ask_agent(asking, &rule, &mut cells),
            Self::Store(stored) => ask_store(stored, &rule.query, &mut cells),
        }
    }

    /// The alerts that were written after a turn.
    pub(crate) fn alerts_after(&self, turn: u64) -> anyhow::Result<AlertChanges> {
        match self {
            Self::Agent(asking) => asking.alerts_after(turn),
            Self::Store(stored) => Ok(stored.view.alert_changes(turn)?),
        }
    }
}

type Each<'e> = &'e mut dyn FnMut(RecordBatch) -> ControlFlow<()>;

fn ask_agent(asking: &Asking, rule: &CheckedRule, each: Each<'_>) -> anyhow::Result<Answer> {
    let reply = asking.ask(&rule.query, statement(rule, LIMIT, None), each)?;
    let Answered { completeness, before_limit, .. } =
        reply.answered()?.context("the agent has seen no snapshot yet: try again")?;
    Ok(Answer { rows: Vec::new(), completeness, before_limit })
}

fn ask_store(stored: &Stored, query: &Query, each: Each<'_>) -> anyhow::Result<Answer> {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let view = View::new(None, Some(&stored.view));
    let patience = Patience { clock: || BEGAN.elapsed(), limit: LIMIT, stop: None };
    let ended = ask(&plan(query), &view, live::now(), Some(&patience), each)?;
    Ok(Answer { rows: Vec::new(), completeness: ended.completeness, before_limit: ended.before_limit })
}

/// A text as it stands in a statement.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
