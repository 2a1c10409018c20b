//! Statements that the program makes for its own commands: asked of the agent if it answers, else of the store.
//!
//! Who may talk to the agent need not be allowed to read its store; and without an agent the store still knows.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use arrow_array::RecordBatch;
use daemoneye_broker::payload::Statement;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::ipc;
use daemoneye_dsl::query::Query;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::Value;
use daemoneye_planner::{Patience, View, ask, layout, plan};
use daemoneye_settings::Settings;

use crate::agent::{Asking, Door, Reached};
use crate::live;
use crate::screen::{Mark, Screen};
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
        let door = Door::find(settings, &store::data_dir(data, settings));
        let reached = match Asking::open(&door) {
            Ok(asking) => return Ok(Self::Agent(asking)),
            Err(reached) => reached,
        };
        if matches!(reached, Reached::OtherProtocol(_)) {
            screen.say(Mark::Warning, &format!("the agent is not asked: {}", reached.why(&door)));
        }
        Ok(Self::Store(store::open(data, settings)?))
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
        let checked = check_query(&Source::query(sql), &Catalog::builtin());
        let query = checked.rule.map(|rule| rule.query).ok_or_else(|| anyhow!("cannot ask `{sql}`"))?;
        match self {
            Self::Agent(asking) => ask_agent(asking, sql, &query),
            Self::Store(stored) => ask_store(stored, &query),
        }
    }
}

fn ask_agent(asking: &Asking, sql: &str, query: &Query) -> anyhow::Result<Answer> {
    let statement = Statement {
        text: sql.to_owned(),
        limit_micros: u64::try_from(LIMIT.as_micros()).unwrap_or(u64::MAX),
        ..Statement::default()
    };
    let (mut rows, layout) = (Vec::new(), layout(&plan(query)));
    let told = asking.ask(&statement, &mut |part| {
        let part = ipc::decode(&part, &layout).context("the agent sent rows that are none")?;
        rows.extend(cells(&part));
        Ok(ControlFlow::Continue(()))
    })?;
    let completeness = serde_json::from_str(&told.completeness).context("the agent does not say how complete it is")?;
    let before_limit = told.before_limit.and_then(|rows| usize::try_from(rows).ok());
    Ok(Answer { rows, completeness, before_limit })
}

fn ask_store(stored: &Stored, query: &Query) -> anyhow::Result<Answer> {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let view = View::new(None, Some(&stored.view));
    let patience = Patience { clock: || BEGAN.elapsed(), limit: LIMIT, stop: None };
    let mut rows = Vec::new();
    let ended = ask(&plan(query), &view, live::now(), Some(&patience), &mut |part| {
        rows.extend(cells(&part));
        ControlFlow::Continue(())
    })?;
    Ok(Answer { rows, completeness: ended.completeness, before_limit: ended.before_limit })
}

fn cells(part: &RecordBatch) -> impl Iterator<Item = Vec<Value>> + '_ {
    (0..part.num_rows()).map(|row| part.columns().iter().map(|column| Value::at(column, row)).collect())
}

/// A text as it stands in a statement.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
