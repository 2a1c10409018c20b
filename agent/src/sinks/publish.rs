//! Alerts on the broker, topic `alerts.<level>.<rule>`, as the JSON record.

use daemoneye_broker::{Client, topic};
use daemoneye_dsl::alert::Alert;

/// Publishes the record for whoever listens.
pub(super) async fn publish(client: &Client, alert: &Alert) -> anyhow::Result<()> {
    let topic = topic::alerts(alert.level.name(), &alert.rule.name);
    client.publish(&topic, serde_json::to_vec(alert)?).await?;
    Ok(())
}
