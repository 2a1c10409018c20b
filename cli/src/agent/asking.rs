//! Statements that the agent answers: the rows in parts, as it makes them, and what it says of them.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use arrow_array::RecordBatch;
use daemoneye_broker::payload::{Ask, ListText, Statement, TableRead, Told, Wish};
use daemoneye_broker::{Client, Error, Event, Interest, Subscription, topic};
use daemoneye_dsl::alert::AlertChanges;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::ipc;
use daemoneye_dsl::query::{CheckedRule, Query};
use daemoneye_dsl::status::AgentHealth;
use daemoneye_dsl::tables::{Catalog, Kind, Process, schema_of};
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Measured, layout, plan, stacked};
use daemoneye_settings::Settings;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{ANSWER, Door, Reached, answer, request, unreached};
use crate::render::lasting;
use crate::screen::{Mark, Screen};
use crate::sources::Seen;
use crate::{live, store};

/// A statement bounds itself.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_hours(48);

/// What handing over the processes may take.
const PROCESSES: Duration = Duration::from_mins(1);

/// The agent's ear.
pub(crate) struct Asking {
    /// Has a thread of its own: the connection lives on while nobody reads what we print.
    pub(super) runtime: Runtime,
    pub(super) client: Client,
}

/// What the agent says to a statement.
pub(crate) enum Reply {
    /// These were its rows.
    Answered(Answered),
    /// It has not seen a snapshot yet.
    TooEarly,
    /// It does not answer it; why, as it says.
    Refused(String),
}

/// What there is to say of an answer beside its rows.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// How many came.
    pub(crate) rows: usize,
    pub(crate) completeness: Completeness,
    /// Of a statement with a LIMIT, how many there would be without; nothing if it did not wait for all.
    pub(crate) before_limit: Option<usize>,
    /// The rows that were looked at, by table.
    pub(crate) read: Vec<(String, usize, Kind)>,
    /// When the processes that were looked at were collected.
    pub(crate) snapshot: Option<Timestamp>,
    /// Where it was analyzed: the rows or why there are none, and what each operation did.
    pub(crate) analysis: Option<(Result<usize, String>, Vec<Measured>)>,
}

/// A statement to the agent, with the lists that it asks for.
pub(crate) fn statement(rule: &CheckedRule, limit: Duration, now: Option<Timestamp>) -> Statement {
    let lists = rule.query.lists().into_iter();
    Statement {
        text: rule.source.text.clone(),
        limit_micros: u64::try_from(limit.as_micros()).unwrap_or(u64::MAX),
        now_micros: now.map(|now| now.0),
        lists: lists.map(|list| ListText { name: list.name.clone(), text: list.values.join("\n") }).collect(),
        ..Statement::default()
    }
}

impl Asking {
    /// The agent that works on this data, if it lets this user in. Says so where it is there and does not understand.
    pub(crate) fn find(data: Option<&PathBuf>, settings: &Settings, screen: &Screen) -> Option<Self> {
        let door = Door::find(settings, &store::data_dir(data, settings));
        let reached = match Self::open(&door) {
            Ok(asking) => return Some(asking),
            Err(reached) => reached,
        };
        if matches!(reached, Reached::OtherProtocol(_)) {
            screen.say(Mark::Warning, &format!("the agent is not asked: {}", reached.why(&door)));
        }
        None
    }

    /// Connects.
    pub(crate) fn open(door: &Door) -> Result<Self, Reached> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Reached::Failed(error.to_string()))?;
        let connected = runtime.block_on(async { timeout(ANSWER, door.connect()).await });
        let client = connected.unwrap_or(Err(Error::TimedOut(ANSWER))).map_err(unreached)?;
        Ok(Self { runtime, client })
    }

    /// Whether the connection is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.client.connection() == 0
    }

    /// Asks a statement that compiled here as `query`; hands over its rows in parts, as they come and until told to
    /// stop. The next part is made when the last was handed over.
    pub(crate) fn ask(
        &self,
        query: &Query,
        statement: Statement,
        each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
    ) -> anyhow::Result<Reply> {
        let (mut rows, layout) = (0, layout(&plan(query)));
        let outcome = self.runtime.block_on(async {
            let rows_to = topic::reply(self.client.connection(), 1);
            let mut parts = self.client.subscribe(&Interest::new(rows_to.as_str()).answering()).await?;
            let ask = Ask::from(Wish::Statement(Statement { rows_to, ..statement })).to_payload();
            let control = topic::control("agent");
            let mut asked = pin!(self.client.request(&control, ask, AS_LONG_AS_IT_TAKES));
            loop {
                tokio::select! {
                    biased;
                    part = parts.recv() => match part {
                        Some(Event::Message(part)) => {
                            let batch = ipc::decode(&part.payload, &layout).context("the agent sent rows that are none")?;
                            rows += batch.num_rows();
                            match each(batch) {
                                ControlFlow::Continue(()) => part.acknowledge(),
                                ControlFlow::Break(()) => part.refuse("no more is wanted"),
                            }
                        }
                        Some(Event::Gap(_)) => bail!("rows of the answer were lost on the way; ask again"),
                        None => return Err(self.client.closed().await.into()),
                    },
                    outcome = &mut asked => return Ok(outcome?),
                }
            }
        });
        match answer(outcome?) {
            Ok(told) => {
                let told = Told::from_payload(told)?;
                Ok(if told.is_too_early { Reply::TooEarly } else { Reply::Answered(Answered::new(rows, told)?) })
            }
            Err(reached) => Ok(Reply::Refused(why(reached))),
        }
    }
}

impl Asking {
    /// The processes as the agent last saw them; nothing before it has.
    pub(crate) fn processes(&self) -> anyhow::Result<Option<Seen>> {
        let all = check_query(&Source::query("SELECT * FROM processes"), &Catalog::builtin());
        let all = all.rule.expect("it compiles");
        let mut parts = Vec::new();
        let reply = self.ask(&all.query, statement(&all, PROCESSES, None), &mut |part| {
            parts.push(part);
            ControlFlow::Continue(())
        })?;
        let Some(answered) = reply.answered()? else { return Ok(None) };
        let columns = stacked(&plan(&all.query), &parts).columns().to_vec();
        let rows =
            RecordBatch::try_new(schema_of(&Process::columns()), columns).context("rows that are no processes")?;
        Ok(Some(Seen { rows, origin: answered.origin(), completeness: answered.completeness }))
    }
}

/// What the agent says of its alerts: which turn was the last.
pub(crate) struct AlertTurns<'a> {
    asking: &'a Asking,
    health: Subscription,
}

impl AlertTurns<'_> {
    /// The last, when the agent has said it anew; nothing where it is gone.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let said = self.asking.runtime.block_on(self.health.message())?;
        let health: Option<AgentHealth> = serde_json::from_slice(&said.payload).ok();
        health.map(|health| health.alert_turn)
    }
}

impl Asking {
    /// Listens which turn of the alerts is the last, from now on.
    pub(crate) fn alert_turns(&self) -> anyhow::Result<AlertTurns<'_>> {
        let interest = Interest::new(topic::health("agent")).retained();
        let health = self.runtime.block_on(self.client.subscribe(&interest))?;
        Ok(AlertTurns { asking: self, health })
    }

    /// The alerts that were written after a turn.
    pub(crate) fn alerts_after(&self, turn: u64) -> anyhow::Result<AlertChanges> {
        let asked = self.runtime.block_on(request(&self.client, Wish::AlertsAfter(turn)));
        let told =
            asked.map_err(|reached| anyhow!("the agent does not say which alerts there are: {}", why(reached)))?;
        serde_json::from_slice(&told).context("the agent sent alerts that are none")
    }
}

/// Why an agent that was reached does not answer.
fn why(reached: Reached) -> String {
    match reached {
        Reached::Declined(why) | Reached::Failed(why) => why,
        Reached::Unanswered(why) => format!("it {why}"),
        other => other.name().to_owned(),
    }
}

impl Reply {
    /// The answer; nothing where it is too early for one, and an error where there will be none.
    pub(crate) fn answered(self) -> anyhow::Result<Option<Answered>> {
        match self {
            Self::Answered(answered) => Ok(Some(answered)),
            Self::TooEarly => Ok(None),
            Self::Refused(why) => bail!("the agent did not answer: {why}; with --live this program does"),
        }
    }
}

impl Answered {
    fn new(rows: usize, told: Told) -> anyhow::Result<Self> {
        let Told { completeness, before_limit, read, snapshot_micros, measured, .. } = told;
        let size = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let read = read.into_iter().map(|TableRead { table, rows }| {
            let kind = Catalog::builtin().table(&table).map_or(Kind::State, |table| table.kind);
            (table, size(rows), kind)
        });
        let completeness = serde_json::from_str(&completeness);
        let analysis = (!measured.is_empty()).then(|| serde_json::from_str(&measured)).transpose();
        Ok(Self {
            rows,
            completeness: completeness.context("the agent does not say how complete its answer is")?,
            before_limit: before_limit.map(size),
            read: read.collect(),
            snapshot: snapshot_micros.map(Timestamp),
            analysis: analysis.context("the agent does not say what each operation did")?,
        })
    }

    /// Where the rows come from.
    pub(crate) fn origin(&self) -> String {
        let age = self.snapshot.map(|at| live::now().0.saturating_sub(at.0).max(0));
        let snapshot = age.map(|age| format!(", snapshot {} ago", lasting(age)));
        format!("agent{}", snapshot.unwrap_or_default())
    }
}
