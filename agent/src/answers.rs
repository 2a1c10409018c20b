//! Statements of operators, answered from the latest snapshot and the store, beside the engine.
//!
//! Each runs on a thread of its own, few at a time. Its rows go out in parts, each acknowledged before the next is made,
//! so what nobody reads is not computed; who gives up or goes away stops the work.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow_array::{RecordBatch, RecordBatchOptions};
use daemoneye_broker::message::PAYLOAD_LEN_MAX;
use daemoneye_broker::payload::{ListText, Statement, TableRead, Told};
use daemoneye_broker::{Client, Delivery, Error, Outcome};
use daemoneye_dsl::check::check_query_with;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::{Severity, Source};
use daemoneye_dsl::ipc;
use daemoneye_dsl::limits::Limits;
use daemoneye_dsl::lists::{List, Lists};
use daemoneye_dsl::parameters::Parameters;
use daemoneye_dsl::query::Query;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::tables::lineage::Lineage;
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Analysis, Counted, Patience, Plan, View, analyze, ask, layout, plan};
use daemoneye_storage::{Report, Store};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::audit::{self, Audit};
use crate::serve::now;

/// Statements that are answered at one time; further ones wait.
const AT_ONCE: usize = 2;
/// Rows of one part.
const PART_LEN: usize = 8192;
/// How long a reader may take for one part before it counts as gone.
const PART_TIME: Duration = Duration::from_mins(5);
/// The most that a statement may take, whatever it asks for.
const LIMIT_MAX: Duration = Duration::from_hours(24);

/// The latest snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its rows, in the layout of `processes`.
    pub(crate) rows: RecordBatch,
    /// When it was collected.
    pub(crate) time: Timestamp,
    /// How complete it is.
    pub(crate) completeness: Completeness,
}

/// What answers.
#[derive(Clone)]
pub(crate) struct Answers {
    store: Arc<Store>,
    /// Where the ledger is.
    ledger: PathBuf,
    client: Client,
    seen: watch::Receiver<Option<Seen>>,
    turns: Arc<Semaphore>,
    /// Turns of what is short, and does not wait for statements.
    short_turns: Arc<Semaphore>,
    audit: Audit,
}

impl Answers {
    pub(crate) fn new(
        (store, ledger): (Arc<Store>, PathBuf),
        client: Client,
        seen: watch::Receiver<Option<Seen>>,
        audit: Audit,
    ) -> Self {
        let turns = || Arc::new(Semaphore::new(AT_ONCE));
        Self { store, ledger, client, seen, turns: turns(), short_turns: turns(), audit }
    }

    /// Answers in the background.
    pub(crate) fn answer(&self, statement: Statement, limits: Limits, delivery: Delivery) {
        let answers = self.clone();
        let audit = self.audit.clone();
        audit.note(audit::asked(now(), &delivery, &statement));
        let asked = audit::of_statement(&statement);
        tokio::spawn(async move {
            let turn = tokio::select! {
                turn = answers.turns.clone().acquire_owned() => turn.expect("nobody closes it"),
                () = delivery.cancelled() => return,
            };
            let unwanted = Arc::new(AtomicBool::new(false));
            let work = Work {
                answers,
                statement,
                limits,
                unwanted: unwanted.clone(),
                runtime: Handle::current(),
                was_slow: Cell::new(false),
            };
            let mut working = tokio::task::spawn_blocking(move || (work.run(), turn));
            let told = tokio::select! {
                told = &mut working => told,
                () = delivery.cancelled() => {
                    unwanted.store(true, Ordering::Relaxed);
                    working.await
                }
            };
            match told {
                Ok((Ok(told), _turn)) => delivery.reply(told.to_payload()),
                Ok((Err(why), _turn)) => {
                    audit.note(audit::refused(now(), &delivery, &asked, &why));
                    delivery.refuse(&why);
                }
                Err(_) => delivery.refuse("the statement's thread failed; the agent's log says why"),
            }
        });
    }
}

impl Answers {
    /// Says how the system is, in the background.
    pub(crate) fn report(&self, delivery: Delivery) {
        self.tell(delivery, |store| {
            let report = store.read().and_then(|view| Report::read(&view)).map_err(|error| error.to_string())?;
            Some(json(&report))
                .filter(|json| fits(json))
                .ok_or_else(|| "there is more to say of it than a message holds".to_owned())
        });
    }

    /// Says which alerts were written after a turn, in the background.
    pub(crate) fn alerts_after(&self, turn: u64, delivery: Delivery) {
        self.tell(delivery, move |store| {
            let changes = store.read().and_then(|view| view.alert_changes(turn));
            let mut changes = changes.map_err(|error| error.to_string())?;
            // Whoever asks goes on from the last that it is told.
            loop {
                let said = json(&changes);
                if fits(&said) {
                    return Ok(said);
                }
                let half = changes.changed.len() / 2;
                if half == 0 {
                    return Err("an alert is larger than a message".to_owned());
                }
                changes.changed.truncate(half);
            }
        });
    }

    /// Reads the store on a thread of its own, and replies.
    fn tell(&self, delivery: Delivery, read: impl FnOnce(&Store) -> Result<Vec<u8>, String> + Send + 'static) {
        let answers = self.clone();
        tokio::spawn(async move {
            let turn = answers.short_turns.clone().acquire_owned().await.expect("nobody closes it");
            let reading = tokio::task::spawn_blocking(move || {
                let read = read(&answers.store);
                drop(turn);
                read
            });
            match reading.await {
                Ok(Ok(json)) => delivery.reply(json),
                Ok(Err(why)) => delivery.refuse(&why),
                Err(_) => delivery.refuse("the thread of the answer failed; the agent's log says why"),
            }
        });
    }
}

fn json(what: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(what).expect("it is JSON")
}

fn fits(json: &[u8]) -> bool {
    json.len() <= PAYLOAD_LEN_MAX
}

/// One statement on its thread.
struct Work {
    answers: Answers,
    statement: Statement,
    /// How large it may be.
    limits: Limits,
    unwanted: Arc<AtomicBool>,
    runtime: Handle,
    /// The reader took too long for a part.
    was_slow: Cell<bool>,
}

impl Work {
    fn run(&self) -> Result<Told, String> {
        let query = self.check()?;
        let seen = self.answers.seen.borrow().clone();
        let reads_present = reads_present(&query);
        if reads_present && seen.is_none() {
            return Ok(Told { is_too_early: true, ..Told::default() });
        }
        let view = self.answers.store.read().map_err(|error| error.to_string())?.with_ledger(&self.answers.ledger);
        let view = View::new(seen.as_ref().map(|seen| &seen.rows), Some(&view));
        let counted = Counted::new(&view);
        let now = self.statement.now_micros.map_or_else(now, Timestamp);
        let plan = plan(&query);
        if self.statement.analyze {
            return self.analyze(&plan, &counted, now, seen.as_ref().filter(|_| reads_present));
        }
        let layout = layout(&plan);
        let ended = ask(&plan, &counted, now, Some(&self.patience()), &mut |rows| {
            let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
            let rows = RecordBatch::try_new_with_options(layout.clone(), rows.columns().to_vec(), &options);
            self.send(&rows.expect("a plan's rows are of its types"))
        });
        let ended = ended.map_err(|error| error.to_string())?;
        let seen = seen.as_ref().filter(|_| reads_present);
        let mut completeness = seen.map(|seen| seen.completeness.clone()).unwrap_or_default();
        if self.was_slow.get() {
            completeness.add(Reason::StatementTimedOut);
        }
        let told = told(&counted, &completeness.and(&ended.completeness), seen);
        Ok(Told { before_limit: ended.before_limit.map(|rows| rows as u64), ..told })
    }

    /// Measures what each operation does; the rows are nobody's.
    fn analyze(&self, plan: &Plan, reader: &Counted<'_>, now: Timestamp, seen: Option<&Seen>) -> Result<Told, String> {
        let Analysis { answer, measured } = analyze(plan, reader, now, &self.patience());
        let completeness = answer.as_ref().map(|answer| answer.completeness.clone()).unwrap_or_default();
        let rows = answer.map(|answer| answer.rows.num_rows()).map_err(|error| error.to_string());
        let measured = serde_json::to_string(&(rows, measured)).map_err(|error| error.to_string())?;
        let missing = seen.map(|seen| seen.completeness.clone()).unwrap_or_default();
        Ok(Told { measured, ..told(reader, &missing.and(&completeness), seen) })
    }

    fn check(&self) -> Result<Query, String> {
        let mut parameters = Parameters::default();
        for text in &self.statement.parameters {
            parameters.bind(text).map_err(|error| format!("{error:#}"))?;
        }
        let mut lists = Lists::default();
        for ListText { name, text } in &self.statement.lists {
            let _one_too_many_is_unknown = lists.add(name, List::parse(name, text));
        }
        let catalog = Catalog::builtin().with_lists(lists).with_limits(self.limits);
        let checked = check_query_with(&Source::query(&self.statement.text), &catalog, &parameters);
        checked.rule.map(|rule| rule.query).ok_or_else(|| {
            let error = checked.diagnostics.iter().find(|it| it.severity == Severity::Error);
            error.map_or_else(|| "it does not compile".to_owned(), |it| format!("{}: {}", it.code, it.message))
        })
    }

    fn patience(&self) -> Patience {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let limit = Duration::from_micros(self.statement.limit_micros).min(LIMIT_MAX);
        Patience { clock: || BEGAN.elapsed(), limit, stop: Some(self.unwanted.clone()) }
    }

    /// Hands rows over, and waits until they are taken.
    fn send(&self, rows: &RecordBatch) -> ControlFlow<()> {
        for start in (0..rows.num_rows()).step_by(PART_LEN) {
            let part = ipc::encode(&rows.slice(start, PART_LEN.min(rows.num_rows() - start)));
            let sent = self.answers.client.request(&self.statement.rows_to, part, PART_TIME);
            match self.runtime.block_on(sent) {
                Ok(Outcome::Accepted(_)) => {}
                ended => {
                    self.was_slow.set(matches!(ended, Err(Error::TimedOut(_))));
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// What is said of every answer.
fn told(reader: &Counted<'_>, completeness: &Completeness, seen: Option<&Seen>) -> Told {
    let read = |(table, rows, _)| TableRead { table, rows: rows as u64 };
    Told {
        completeness: serde_json::to_string(completeness).expect("it is JSON"),
        read: reader.by_table().into_iter().map(read).collect(),
        snapshot_micros: seen.map(|seen| seen.time.0),
        ..Told::default()
    }
}

fn reads_present(query: &Query) -> bool {
    let is_present = |name: &str| name == "processes" || Lineage::named(name).is_some();
    query.tables().iter().any(|it| is_present(&it.table.name))
}
