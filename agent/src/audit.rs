//! What the agent puts on record, and the way there.
//!
//! What is part of a transaction of the event store waits in its outbox ([`Transaction::put_event`]); everything else is
//! handed to the ledger's thread ([`Audit::note`]), which never holds anybody up: where it does not follow, what it was
//! not given is counted, and the count is an entry.
//!
//! Each function below makes the fact about one thing that happens. No secret goes into one: settings have none, and
//! the settings of keys are paths.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use daemoneye_broker::payload::{Deed, Export, Notice, Statement};
use daemoneye_broker::{Delivery, Role};
use daemoneye_dsl::alert::Alert;
use daemoneye_dsl::audit::{Action, Actor, Fact};
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::status::{AgentRun, RuleState, RuleStatus};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::Transaction;
use serde_json::{Value, json};

use crate::agent::Wanted;

/// What may wait for the ledger's thread.
pub(crate) const NOTED_LEN: usize = 4096;

/// What the ledger's thread is told.
pub(crate) enum Noted {
    /// Something happened that is in no transaction.
    Fact(Fact),
    /// There may be something in the event store's outbox.
    Wake,
    /// Everything else has ended: record what there is, and end.
    End,
}

/// The way to the ledger.
#[derive(Clone)]
pub(crate) struct Audit {
    noted: SyncSender<Noted>,
    shared: Arc<Shared>,
}

/// What both ends know.
#[derive(Default)]
pub(crate) struct Shared {
    /// Facts that there was no room for.
    pub(crate) shed: AtomicU64,
    /// The last number of the event store's outbox that is durable in the ledger.
    pub(crate) recorded: AtomicU64,
}

/// A way to the ledger, and its end there.
pub(crate) fn channel() -> (Audit, Receiver<Noted>, Arc<Shared>) {
    let (noted, heard) = sync_channel(NOTED_LEN);
    let shared = Arc::<Shared>::default();
    (Audit { noted, shared: shared.clone() }, heard, shared)
}

impl Audit {
    /// Puts on record what is in no transaction. Never waits.
    pub(crate) fn note(&self, fact: Fact) {
        if self.noted.try_send(Noted::Fact(fact)).is_err() {
            self.shared.shed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A transaction with events was committed.
    pub(crate) fn wake(&self) {
        // A full queue wakes it too.
        let _it_wakes_anyhow = self.noted.try_send(Noted::Wake);
    }

    /// Nothing comes any more. Waits for room.
    pub(crate) fn end(&self) {
        let _it_ended_already = self.noted.send(Noted::End);
    }

    /// The last number of the outbox that is durable in the ledger.
    pub(crate) fn recorded(&self) -> u64 {
        self.shared.recorded.load(Ordering::Acquire)
    }
}

fn agent() -> Actor {
    Actor::component("agent")
}

/// Whose doing a message is, by what they have proved and the system says of them.
pub(crate) fn actor_of(delivery: &Delivery) -> Actor {
    let Some(publisher) = delivery.publisher() else { return agent() };
    let name = match publisher.role {
        Role::Operator => "operator",
        Role::Collector => "collector",
        Role::Agent => "agent",
    };
    Actor { name: name.to_owned(), uid: publisher.peer.uid, pid: publisher.peer.pid }
}

/// The name that a client gave itself.
pub(crate) fn client_of(delivery: &Delivery) -> &str {
    delivery.publisher().map_or("", |publisher| &publisher.name)
}

/// What the broker refused, as it told it.
pub(crate) fn of_broker(notice: &Notice, at: Timestamp) -> Option<Fact> {
    let actor = Actor { name: "broker".to_owned(), uid: notice.uid, pid: notice.pid };
    let payload = json!({"gid": notice.gid, "why": notice.text});
    Some(Fact::new(at, actor, Action::named(&notice.action)?, &notice.name, &payload))
}

/// A component began: what its program is, and what it may. No component takes or gives up anything after that.
pub(crate) fn started(at: Timestamp, component: &str, pid: Option<u32>, program: &Program) -> [Fact; 2] {
    let actor = Actor { pid, ..Actor::component(component) };
    let Program { file, privileges } = program;
    let started = Fact::new(at, actor.clone(), Action::ComponentStarted, component, file);
    [started, Fact::new(at, actor, Action::PrivilegesChanged, component, privileges)]
}

/// A component ended, and how.
pub(crate) fn stopped(at: Timestamp, component: &str, pid: Option<u32>, in_order: bool, how: &str) -> Fact {
    let actor = Actor { pid, ..Actor::component(component) };
    Fact::new(at, actor, Action::ComponentStopped, component, &json!({"in_order": in_order, "how": how}))
}

/// The run before did not end in order, which only the next can say.
pub(crate) fn was_killed(at: Timestamp, run: &AgentRun) -> Fact {
    let how = "it was killed, or the host went down";
    let payload = json!({"in_order": false, "how": how, "version": run.version, "started": run.started, "noticed_by": "the next start"});
    let actor = Actor { pid: Some(run.pid), ..agent() };
    Fact::new(at, actor, Action::ComponentStopped, "agent", &payload)
}

/// The settings, or those of them that changed.
pub(crate) fn in_force(at: Timestamp, settings: &Value) -> Fact {
    Fact::new(at, agent(), Action::ConfigurationInForce, "", settings)
}

/// An alert was raised.
pub(crate) fn raised(at: Timestamp, alert: &Alert) -> Fact {
    let payload = json!({
        "rule": alert.rule.name,
        "rule_id": alert.rule.id,
        "revision": alert.rule.rev,
        "level": alert.level.name(),
        "silenced": alert.silenced,
        "hash": alert.hash(),
    });
    Fact::new(at, agent(), Action::AlertRaised, &alert.id.to_string(), &payload)
}

/// The state of an alert became another: that of its match, or what an operator makes of it.
pub(crate) fn changed(at: Timestamp, actor: Actor, alert: &Alert) -> Fact {
    let note = alert.handled.last().filter(|_| actor.name != "agent").and_then(|last| last.note.as_deref());
    let payload = json!({
        "status": alert.status.name(),
        "handling": alert.handling.name(),
        "note": note,
        "hash": alert.hash(),
    });
    Fact::new(at, actor, Action::AlertChanged, &alert.id.to_string(), &payload)
}

/// An operator made a silence.
pub(crate) fn silenced(at: Timestamp, actor: Actor, silence: &Silence) -> Fact {
    let Silence { number, rule, rule_id, key, ends, note, .. } = silence;
    let payload = json!({"rule": rule, "rule_id": rule_id, "key": key, "ends": ends, "note": note});
    Fact::new(at, actor, Action::Silenced, &number.to_string(), &payload)
}

/// A silence is over, by an operator or by the time.
pub(crate) fn unsilenced(at: Timestamp, by: Option<Actor>, number: u64) -> Fact {
    let payload = json!({"by": if by.is_some() { "an operator" } else { "its end" }});
    Fact::new(at, by.unwrap_or_else(agent), Action::Unsilenced, &number.to_string(), &payload)
}

/// Nobody looked between two snapshots.
pub(crate) fn gap(source: &str, from: Timestamp, to: Timestamp) -> Fact {
    Fact::new(to, agent(), Action::CollectionGap, source, &json!({"from": from, "to": to}))
}

/// What an operator wanted done.
pub(crate) fn of_deed(deed: &Deed) -> Value {
    match deed {
        Deed::Release(release) => json!({"release": release.rules}),
        Deed::Handle(handle) => json!({"alerts": handle.alerts, "handling": handle.handling, "note": handle.note}),
        Deed::Silence(wish) => json!({
            "silence": {"rule": wish.rule, "key": wish.key, "alert": wish.alert, "for_micros": wish.for_micros},
            "note": wish.note,
        }),
        Deed::Unsilence(number) => json!({"unsilence": number}),
        Deed::Export(export) => json!({"export": export.table}),
    }
}

/// A program takes a table out of the store.
pub(crate) fn exported(export: &Export, wanted: Wanted) -> Fact {
    let Export { table, file, from_micros, to_micros } = export;
    let (from, to) = (from_micros.map(Timestamp), to_micros.map(Timestamp));
    Fact::new(wanted.at, wanted.by, Action::Exported, table, &json!({"file": file, "from": from, "to": to}))
}

/// An operator asked a statement.
pub(crate) fn asked(at: Timestamp, delivery: &Delivery, statement: &Statement) -> Fact {
    let Statement { text, parameters, .. } = statement;
    let payload = json!({"client": client_of(delivery), "statement": text, "parameters": parameters});
    Fact::new(at, actor_of(delivery), Action::CommandRun, "statement", &payload)
}

/// A question or an order that was not obeyed.
pub(crate) fn refused(at: Timestamp, delivery: &Delivery, what: &Value, why: &str) -> Fact {
    let payload = json!({"client": client_of(delivery), "asked": what, "why": why});
    Fact::new(at, actor_of(delivery), Action::QueryRefused, "", &payload)
}

/// A component runs in a state that hides or spoils something.
pub(crate) fn damage(at: Timestamp, part: &str, why: &str) -> Fact {
    Fact::new(at, agent(), Action::DamageFound, part, &json!({"why": why}))
}

/// Facts about rules that are otherwise than before.
pub(crate) fn of_rules(at: Timestamp, actor: &Actor, before: &[RuleStatus], after: &[RuleStatus]) -> Vec<Fact> {
    let known: HashMap<_, _> = before.iter().map(|rule| (identity(rule), rule)).collect();
    let there: HashMap<_, _> = after.iter().map(|rule| (identity(rule), rule)).collect();
    let became = after.iter().filter_map(|rule| Some((what_became(known.get(identity(rule)).copied(), rule)?, rule)));
    // The last good version of a file that cannot be used goes on.
    let is_kept = |rule: &RuleStatus| after.iter().any(|it| it.path == rule.path && it.state == RuleState::Refused);
    let gone = before.iter().filter(|rule| {
        let is_there = there.contains_key(identity(rule)) || is_kept(rule);
        !is_there && (runs(rule) || rule.state == RuleState::Quarantined)
    });
    let all = became.chain(gone.map(|rule| (Action::RuleRemoved, rule)));
    all.map(|(action, rule)| {
        let was = known.get(identity(rule)).and_then(|it| it.revision.as_deref());
        let payload = json!({
            "id": rule.id,
            "revision": rule.revision,
            "before": was.filter(|_| action == Action::RuleChanged),
            "level": rule.level,
            "detail": rule.detail,
            "path": rule.path,
        });
        Fact::new(at, actor.clone(), action, &rule.name, &payload)
    })
    .collect()
}

fn what_became(before: Option<&RuleStatus>, rule: &RuleStatus) -> Option<Action> {
    let was = |state| before.is_some_and(|before| before.state == state);
    match rule.state {
        RuleState::Refused if before.is_some_and(|it| it.state == rule.state && it.detail == rule.detail) => None,
        RuleState::Refused => Some(Action::RuleRefused),
        RuleState::Quarantined => (!was(RuleState::Quarantined)).then_some(Action::RuleQuarantined),
        RuleState::OtherSystem => None,
        RuleState::Running | RuleState::Limited => match before {
            Some(before) if before.revision != rule.revision => Some(Action::RuleChanged),
            Some(before) if before.state == RuleState::Quarantined => Some(Action::RuleReleased),
            Some(before) if runs(before) => None,
            _ => Some(Action::RuleLoaded),
        },
    }
}

fn runs(rule: &RuleStatus) -> bool {
    matches!(rule.state, RuleState::Running | RuleState::Limited)
}

/// What a rule file is known by: the rule's UUID, or where nothing can be read of it, its path.
fn identity(rule: &RuleStatus) -> &str {
    rule.id.as_deref().unwrap_or(&rule.path)
}

/// Notes what became of a rule, with the event where that is new.
pub(crate) fn set_rule(
    transaction: &mut Transaction,
    at: Timestamp,
    actor: &Actor,
    rule: &RuleStatus,
) -> Result<(), daemoneye_storage::Error> {
    let before = transaction.rule(&rule.path)?;
    transaction.set_rule(rule)?;
    let facts = of_rules(at, actor, before.as_slice(), std::slice::from_ref(rule));
    facts.iter().try_for_each(|fact| transaction.put_event(fact))
}

/// What a running program is.
pub(crate) struct Program {
    /// Its file's path and BLAKE3.
    pub(crate) file: Value,
    /// Its users, groups and capabilities, as the system writes them.
    pub(crate) privileges: Value,
}

/// What the system says of a process, by its folder in `/proc`.
pub(crate) fn program(process: &Path) -> Program {
    let path = std::fs::read_link(process.join("exe"));
    let file = std::fs::File::open(process.join("exe"));
    let hash = file.and_then(|file| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok(hasher.finalize().to_hex().to_string())
    });
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let said = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let file = json!({
        "path": path.map(|path| path.display().to_string()).ok(),
        "blake3": hash.as_deref().ok(),
        "unread": hash.as_ref().err().map(ToString::to_string),
    });
    let names = ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"];
    let privileges = names.iter().map(|name| ((*name).to_owned(), json!(said(name)))).collect();
    Program { file, privileges: Value::Object(privileges) }
}
