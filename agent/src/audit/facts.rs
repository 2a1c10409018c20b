//! One function for each thing that happens. No secret goes into a fact: settings have none, and those of keys are
//! paths.

use daemoneye_broker::payload::{Deed, Export, Notice, Statement};
use daemoneye_broker::{Delivery, SnapshotBatch};
use daemoneye_dsl::alert::Alert;
use daemoneye_dsl::audit::{Action, Actor, Fact};
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::status::AgentRun;
use daemoneye_dsl::types::Timestamp;
use serde_json::{Value, json};

use super::program::Program;
use super::{actor_of, agent, client_of};
use crate::agent::Wanted;

/// Bytes of a statement that are on record; of a longer one the hash is of all of it.
const STATEMENT_LEN_MAX: usize = 4096;
/// Parameters of a statement that are on record, and bytes of each.
const PARAMETERS_MAX: usize = 16;
const PARAMETER_LEN_MAX: usize = 128;

/// What the broker refused, as it told it.
pub(crate) fn of_broker(notice: &Notice, at: Timestamp) -> Option<Fact> {
    let actor = Actor { name: "broker".to_owned(), uid: notice.uid, pid: notice.pid };
    let payload = json!({"gid": notice.gid, "why": notice.text});
    Some(Fact::new(at, actor, Action::named(&notice.action)?, &notice.name, &payload))
}

/// A component began: what its program is, and what it may. No component takes or gives up anything after that.
pub(crate) fn started(at: Timestamp, component: &str, pid: Option<u32>, program: &Program) -> [Fact; 2] {
    stranger(at, Actor { pid, ..Actor::component(component) }, component, program)
}

/// A collector reports that was not started here: what the system says of its process.
pub(crate) fn stranger(at: Timestamp, actor: Actor, name: &str, program: &Program) -> [Fact; 2] {
    let Program { file, privileges } = program;
    let started = Fact::new(at, actor.clone(), Action::ComponentStarted, name, file);
    [started, Fact::new(at, actor, Action::PrivilegesChanged, name, privileges)]
}

/// A collector instance reports for the first time: the name that its snapshots, and the alerts of them, bear.
pub(crate) fn reports(batch: &SnapshotBatch) -> Fact {
    let pid = Some(batch.pid).filter(|pid| *pid > 0);
    let actor = Actor { pid, ..Actor::component("collector") };
    let payload = json!({
        "table": batch.table,
        "first_snapshot": batch.sequence,
        "interval_micros": batch.interval_micros,
        "version": Some(&batch.version).filter(|version| !version.is_empty()),
    });
    Fact::new(Timestamp(batch.collected_at), actor, Action::ComponentStarted, &batch.source, &payload)
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

/// Settings that were read again are wrong, and those before stay in force.
pub(crate) fn settings_refused(at: Timestamp, problems: &[String]) -> Fact {
    Fact::new(at, agent(), Action::ConfigurationRefused, "", &json!({"problems": problems}))
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

/// What an operator asked, as far as that is on record.
pub(crate) fn of_statement(statement: &Statement) -> Value {
    let Statement { text, parameters, .. } = statement;
    let beginning = &text[..text.floor_char_boundary(STATEMENT_LEN_MAX)];
    let hash = (beginning.len() < text.len()).then(|| blake3::hash(text.as_bytes()).to_hex().to_string());
    let given: Vec<_> = parameters.iter().take(PARAMETERS_MAX).collect();
    let given = given.iter().map(|given| &given[..given.floor_char_boundary(PARAMETER_LEN_MAX)]);
    json!({"statement": beginning, "blake3_of_all": hash, "parameters": given.collect::<Vec<_>>()})
}

/// An operator asked a statement.
pub(crate) fn asked(at: Timestamp, delivery: &Delivery, statement: &Statement) -> Fact {
    let mut payload = of_statement(statement);
    payload["client"] = client_of(delivery).into();
    Fact::new(at, actor_of(delivery), Action::CommandRun, "statement", &payload)
}

/// An operator told the ledger to do something.
pub(crate) fn ledger_ordered(at: Timestamp, delivery: &Delivery, what: &str, payload: &Value) -> Fact {
    let mut payload = payload.clone();
    payload["client"] = client_of(delivery).into();
    Fact::new(at, actor_of(delivery), Action::CommandRun, what, &payload)
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

/// Checkpoints do not leave the host any more.
pub(crate) fn not_exported(at: Timestamp, why: &str) -> Fact {
    Fact::new(at, agent(), Action::ExportFailed, "checkpoint", &json!({"why": why}))
}
