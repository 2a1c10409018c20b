//! `health.agent`: how the agent is, for whoever listens, and the last for whoever comes later.

use daemoneye_broker::{Client, topic};
use daemoneye_dsl::status::{AgentHealth, AgentRun, LedgerHealth};
use tokio::sync::watch::Receiver;

use crate::agent::Health;

/// Publishes each change, until there are no more.
pub(crate) async fn tell(
    client: Client,
    run: AgentRun,
    mut health: Receiver<Health>,
    mut ledger: Receiver<LedgerHealth>,
) {
    loop {
        let Health { last_snapshot, rules, waiting, alert_turn } = health.borrow_and_update().clone();
        let ledger_now = ledger.borrow_and_update().clone();
        let AgentRun { version, pid, started, .. } = run.clone();
        let said = AgentHealth { version, pid, started, last_snapshot, rules, waiting, alert_turn, ledger: ledger_now };
        let json = serde_json::to_vec(&said).expect("health is JSON");
        if let Err(error) = client.publish_retained(&topic::health("agent"), json).await {
            tracing::debug!(%error, "nobody can be told how the agent is");
            return;
        }
        tokio::select! {
            Ok(()) = health.changed() => {}
            Ok(()) = ledger.changed() => {}
            else => return,
        }
    }
}
