//! Alerts on standard output: a few lines for a person, or the JSON record.

use std::io::{self, Write};

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Style};
use daemoneye_dsl::alert::{Alert, Level};
use daemoneye_dsl::types::Timestamp;
use daemoneye_dsl::untrusted::Untrusted;
use serde_json::{Map, Value};

/// What standard output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// To be read.
    Human,
    /// One JSON record per line.
    Ndjson,
}

/// Writes one alert.
pub(super) fn write(alert: &Alert, form: Form) -> io::Result<()> {
    let mut out = AutoStream::auto(io::stdout());
    match form {
        Form::Human => out.write_all(human(alert).as_bytes())?,
        Form::Ndjson => writeln!(out, "{}", serde_json::to_string(alert).map_err(io::Error::other)?)?,
    }
    out.flush()
}

fn human(alert: &Alert) -> String {
    let style = style(alert.level);
    let level = alert.level.name().to_uppercase();
    let title = Untrusted(&alert.title).terminal();
    let initial = if alert.initial { "  initial" } else { "" };
    let incomplete = if alert.completeness.complete { "" } else { "  incomplete" };
    let rule = Untrusted(&alert.rule.name).terminal();
    let tags: Vec<_> = alert.tags.iter().map(|tag| tag.trim_start_matches("attack.")).collect();
    let tags = if tags.is_empty() { String::new() } else { format!(" · {}", tags.join(" ")) };
    let process = alert.process.as_ref().map(|process| format!("          {}\n", lineage(process, &alert.ancestors)));
    format!(
        "{style}{level:<8}{style:#}  {title}  #{id}{initial}{incomplete}\n          {time} · {rule}@{rev}{tags}\n{process}",
        id = alert.id,
        time = local(alert.time),
        rev = alert.rule.rev,
        process = process.unwrap_or_default(),
    )
}

/// `systemd[1] › bash[200] › sleep[4711] /tmp/x 5`, oldest first.
fn lineage(process: &Map<String, Value>, ancestors: &[Map<String, Value>]) -> String {
    let mut chain: Vec<String> = ancestors.iter().rev().map(label).collect();
    chain.push(label(process));
    let command = process.get("command_line").and_then(Value::as_str).unwrap_or_default();
    let shortened: String = command.chars().take(160).collect();
    let more = if shortened.len() < command.len() { "…" } else { "" };
    format!("{}  {}{more}", chain.join(" › "), Untrusted(&shortened).terminal())
}

fn label(process: &Map<String, Value>) -> String {
    let name = process.get("name").and_then(Value::as_str).unwrap_or("?");
    let pid = process.get("pid").and_then(Value::as_i64).unwrap_or_default();
    format!("{}[{pid}]", Untrusted(name).terminal())
}

fn local(moment: Timestamp) -> String {
    let zoned = jiff::Timestamp::from_microsecond(moment.0).map(|it| it.to_zoned(jiff::tz::TimeZone::system()));
    zoned.map_or_else(|_| moment.rfc3339(), |it| it.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
}

fn style(level: Level) -> Style {
    let colour = match level {
        Level::Critical => AnsiColor::Magenta,
        Level::High => AnsiColor::Red,
        Level::Medium => AnsiColor::Yellow,
        Level::Low => AnsiColor::Cyan,
        Level::Informational => AnsiColor::Blue,
    };
    colour.on_default().bold()
}
