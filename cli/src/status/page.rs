//! What `status` says to people: a word how each part is, then what is known of it, then what to do.

use anstyle::{AnsiColor, Style as Paint};
use daemoneye_dsl::completeness::{Reason, Scope};
use daemoneye_dsl::status::{CollectorHealth, CollectorStatus, LedgerHealth, RuleState, RuleStats, RuleStatus};
use daemoneye_dsl::types::MICROS_PER_SEC;
use daemoneye_storage::{Error, Kept, Report};

use super::Facts;
use crate::agent::{ANSWER, Reached, SAME_RELEASE};
use crate::page::Page;
use crate::render::{bytes, lasting, local_time};
use crate::screen::{Screen, count};
use crate::{Globals, live};

/// Rules that are named; `-o json` has all.
const NAMED_MAX: usize = 12;

/// Rules whose cost `-v` says; the table `rule_stats` has all.
const COSTLIEST: usize = 5;

/// Bytes that the disk should have left.
const ROOM_MIN: u64 = 16 << 20;

/// How a part is.
#[derive(Clone, Copy)]
enum Word {
    Ok,
    Warning,
    Error,
}

impl Word {
    fn painted(self) -> (&'static str, Paint) {
        match self {
            Self::Ok => ("ok", AnsiColor::Green.on_default()),
            Self::Warning => ("warning", AnsiColor::Yellow.on_default().bold()),
            Self::Error => ("error", AnsiColor::Red.on_default().bold()),
        }
    }
}

/// Writes it all; with `--quiet` only what is not well.
pub(super) fn write(facts: &Facts, globals: &Globals, screen: &Screen) -> anyhow::Result<()> {
    let mut page = Page::new(screen, globals.full);
    let mut say = |name: &str, (word, lines): (Word, Vec<String>)| {
        if !globals.quiet || !matches!(word, Word::Ok) {
            page.finding(word.painted(), name, &lines);
        }
    };
    say("agent", agent(facts, screen));
    if let Ok(stored) = &facts.stored {
        say("collector", collector(facts, stored));
        say("rules", rules(stored, globals));
    }
    say("store", store(facts, globals, screen));
    if let Some(health) = &facts.ledger {
        say("ledger", ledger(facts, health, screen));
    }
    if facts.stored.is_ok() {
        say("input", input(facts));
    }
    page.print()?;
    Ok(())
}

fn agent(facts: &Facts, screen: &Screen) -> (Word, Vec<String>) {
    let socket = facts.socket.display();
    let start = "next: start it with `daemoneye-agent`; as root it sees all processes".to_owned();
    let mut lines = match &facts.reached {
        Reached::Answers => return running(facts, screen),
        Reached::NoSocket => vec![format!("not running: there is no socket {socket}"), start],
        Reached::Deserted => {
            vec![format!("not running: nobody listens at {socket}, which a killed agent left behind"), start]
        }
        Reached::Denied => {
            let next = format!("next: ask as its owner, or with `{}`", facts.with_sudo());
            vec![format!("cannot be asked: permission to use {socket} or its key is denied"), next]
        }
        Reached::Refused(why) => vec![
            format!("lets nobody in from here, at {socket}: {why}"),
            "next: check that `key` names the agent's own, and restart the agent if it was replaced".to_owned(),
        ],
        Reached::OtherProtocol(spoken) => {
            vec![format!("does not speak as this program does, at {socket}: {spoken}"), format!("next: {SAME_RELEASE}")]
        }
        Reached::Silent => vec![
            format!("does not answer at {socket} within {} s", ANSWER.as_secs()),
            "next: read its log; if that stands still, restart it".to_owned(),
        ],
        Reached::Unanswered(why) => {
            vec![format!("{why}, at {socket}"), "next: read its log; if that stands still, restart it".to_owned()]
        }
        Reached::Failed(why) | Reached::Declined(why) => vec![
            format!("cannot be asked at {socket}: {why}"),
            "next: check that this program and the agent are of the same version, then restart the agent".to_owned(),
        ],
    };
    let last = facts.run().map(|run| match run.stopped {
        Some(stopped) => format!("the last one was stopped {} ago", lasting(facts.age(stopped))),
        None => format!(
            "the last one started {} ago as pid {} and did not say that it ended",
            lasting(facts.age(run.started)),
            run.pid
        ),
    });
    lines.splice(1..1, last);
    if facts.may_mean_root() && facts.reached != Reached::Denied {
        lines.push(format!("or ask root's agent: `{}`", facts.with_sudo()));
    }
    (Word::Error, lines)
}

fn running(facts: &Facts, screen: &Screen) -> (Word, Vec<String>) {
    let Some(run) = facts.run() else {
        return (Word::Ok, vec![format!("answers at {}", facts.socket.display())]);
    };
    let started = local_time(run.started.0 / 1_000_000 * 1_000_000, &screen.zone);
    let mut lines = vec![format!("running for {}, since {started}, pid {}", lasting(facts.age(run.started)), run.pid)];
    let waiting = facts.heard.agent.as_ref().map_or(0, |health| health.waiting);
    let mut word = Word::Ok;
    if waiting > 0 {
        let snapshots = count(usize::try_from(waiting).unwrap_or(usize::MAX), "snapshot waits", "snapshots wait");
        lines.push(format!("{snapshots} in its memory for the disk: nothing is detected until it can be written to"));
        word = Word::Warning;
    }
    let own = env!("CARGO_PKG_VERSION");
    if run.version == own {
        lines.push(format!("version {own}, as this program"));
        lines.push(run.socket.clone());
        return (word, lines);
    }
    lines.push(format!("version {}, and this program is {own}", run.version));
    lines.push("next: install both from the same release, and restart the agent".to_owned());
    (Word::Warning, lines)
}

fn collector(facts: &Facts, stored: &Report) -> (Word, Vec<String>) {
    let is_running = facts.reached == Reached::Answers;
    let Some(last) = stored.collectors.first() else {
        let lines = vec!["no snapshot has come since the agent started".to_owned()];
        return if is_running && facts.is_overdue() { silent(lines) } else { (Word::Ok, lines) };
    };
    let mut lines = vec![heard(facts, last), reported(last)];
    lines.extend(facts.heard.collectors.iter().filter(|(_, health)| health.not_taken > 0).map(not_taken));
    let others = stored.collectors.len() - 1;
    if others > 0 {
        lines.push(format!("{} before it since the agent started", count(others, "collector", "collectors")));
    }
    if is_running && facts.is_overdue() { silent(lines) } else { (Word::Ok, lines) }
}

fn silent(mut lines: Vec<String>) -> (Word, Vec<String>) {
    lines.push("overdue: nothing is detected while nobody reports".to_owned());
    lines.push("next: read the agent's log; a collector that is not the agent's own has to be started".to_owned());
    (Word::Warning, lines)
}

/// `last snapshot 4 s ago, every 30 s, by pid 4712`.
fn heard(facts: &Facts, collector: &CollectorStatus) -> String {
    let age = match facts.age(collector.last_snapshot) {
        ..MICROS_PER_SEC => "less than 1 s".to_owned(),
        age => lasting(age),
    };
    let period = collector.interval_micros.map(|period| format!(", one every {}", lasting(period)));
    let pid = collector.pid.map(|pid| format!(", by procmond, pid {pid}"));
    format!("last snapshot {age} ago{}{}", period.unwrap_or_default(), pid.unwrap_or_default())
}

/// `312 processes, 120 snapshots, 1 missed`.
fn reported(collector: &CollectorStatus) -> String {
    let processes = collector.processes;
    let parts = [
        format!("{processes} {}", if processes == 1 { "process" } else { "processes" }),
        format!("{} stored, {} missed", collector.snapshots, collector.missed),
        format!("rules took {}", lasting(collector.evaluation_micros)),
    ];
    parts.join(" · ")
}

/// `procmond, pid 4712, made 120 snapshots, of which 3 were not taken in time`.
fn not_taken((name, health): (&String, &CollectorHealth)) -> String {
    let CollectorHealth { pid, snapshots, not_taken, .. } = health;
    format!("{name}, pid {pid}, made {snapshots} snapshots, of which {not_taken} were not taken or not in time")
}

fn rules(stored: &Report, globals: &Globals) -> (Word, Vec<String>) {
    let counts = RuleState::ALL.into_iter().map(|state| (stored.count(state), state));
    let counts: Vec<_> = counts.filter(|(number, state)| *number > 0 || *state == RuleState::Running).collect();
    let said = counts.iter().map(|(number, state)| format!("{number} {}", state.name().replace('_', " ")));
    let mut lines = vec![said.collect::<Vec<_>>().join(", ")];
    let is_named = |rule: &&RuleStatus| match rule.state {
        RuleState::Running => false,
        RuleState::OtherSystem => globals.verbose,
        RuleState::Limited | RuleState::Refused | RuleState::Quarantined => true,
    };
    let mut named: Vec<_> = stored.rules.iter().filter(is_named).collect();
    named.sort_by_key(|rule| std::cmp::Reverse(rule.state));
    let shown = if globals.verbose { named.len() } else { named.len().min(NAMED_MAX) };
    for rule in &named[..shown] {
        let detail = rule.detail.as_deref().unwrap_or("no reason is on record");
        let name = &rule.name;
        match rule.state {
            RuleState::Limited => lines.push(format!("limited: {name}: nothing collects {detail} yet")),
            RuleState::OtherSystem => lines.push(format!("not for here: {name}: {detail}")),
            RuleState::Quarantined => {
                lines.push(format!("quarantined: {name}: {detail}"));
                lines.push(format!("next: see what it does with `daemoneye-cli explain {name}`"));
            }
            RuleState::Refused => {
                lines.push(format!("refused: {name}: {detail}"));
                // Of a file that cannot be read, the reason is all there is.
                let mend = if rule.detail.as_ref() == Some(&rule.path) {
                    "let the agent read it".to_owned()
                } else {
                    format!("mend it (`daemoneye-cli lint {}`)", rule.path)
                };
                lines.push(format!("next: {mend}; the agent takes it up by itself, or on SIGHUP"));
            }
            RuleState::Running => {}
        }
    }
    if shown < named.len() {
        lines.push(format!("and {} more: -v names all", named.len() - shown));
    }
    if globals.verbose {
        lines.extend(stored.costs.iter().filter(|rule| rule.total_micros > 0).take(COSTLIEST).map(cost));
        lines.extend(stored.costs.iter().filter(|rule| rule.late_rows > 0).map(late));
    }
    let missing = stored.rules.iter().any(|rule| rule.state.is_missing());
    (if missing { Word::Warning } else { Word::Ok }, lines)
}

/// `cost: webshell: 1.2 s for 120 snapshots, 31.0 ms at most, 412 rows in 96.1 KB held`.
fn cost(rule: &RuleStats) -> String {
    let micros = |micros: u64| lasting(i64::try_from(micros).unwrap_or(i64::MAX));
    let snapshots = usize::try_from(rule.snapshots).unwrap_or(usize::MAX);
    format!(
        "cost: {}: {} for {}, {} at most, {} in {} held",
        rule.rule,
        micros(rule.total_micros),
        count(snapshots, "snapshot", "snapshots"),
        micros(rule.slowest_micros),
        count(usize::try_from(rule.state_rows).unwrap_or(usize::MAX), "row", "rows"),
        bytes(rule.state_bytes),
    )
}

/// `late: piped: 3 rows came too late and were discarded; rules.grace says how late they may come`.
fn late(rule: &RuleStats) -> String {
    let rows = count(usize::try_from(rule.late_rows).unwrap_or(usize::MAX), "row", "rows");
    format!("late: {}: {rows} came too late and were discarded; rules.grace says how late they may come", rule.rule)
}

fn store(facts: &Facts, globals: &Globals, screen: &Screen) -> (Word, Vec<String>) {
    let size = facts.store_len.map(|len| format!(" · {}", bytes(len))).unwrap_or_default();
    let stored = match &facts.stored {
        Ok(stored) => stored,
        Err(Error::Denied(path)) => {
            let next = format!("next: ask as its owner, or with `{}`", facts.with_sudo());
            return (Word::Error, vec![format!("permission to read {} is denied", path.display()), next]);
        }
        Err(error) => return (Word::Error, vec![error.to_string()]),
    };
    let told = if facts.told_by_agent { " · cannot be read from here: this is the agent's answer" } else { "" };
    let mut lines = vec![format!("{}{size}{told}", facts.data.events().display())];
    let contents = &stored.contents;
    let rows = format!("{} versions of processes, {} exits", contents.versions, contents.exits);
    let since = contents.oldest.map(|oldest| local_time(oldest.0 / 1_000_000 * 1_000_000, &screen.zone));
    lines.push(format!("{rows}{}", since.map(|since| format!(", since {since}")).unwrap_or_default()));
    let parts = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let sealed = count(parts(contents.segments), "segment", "segments");
    lines.push(format!("{sealed}, {} not sealed yet", count(parts(contents.blocks), "block", "blocks")));
    let silences = match facts.silences(stored) {
        0 => String::new(),
        number => format!(", {} in force", count(number, "silence", "silences")),
    };
    lines.push(format!("{}, {} open{silences}", count(stored.alerts, "alert", "alerts"), stored.alerts_open));
    if let Some(gap) = stored.gaps.last() {
        let gaps = count(stored.gaps.len(), "gap", "gaps");
        let (long, end) = (lasting(gap.to.0.saturating_sub(gap.from.0)), gap.to.0 / 1_000_000 * 1_000_000);
        lines.push(format!("{gaps} without snapshots, the last of {long} until {}", local_time(end, &screen.zone)));
    }
    if let Some(to) = stored.dropped_to().filter(|_| globals.verbose) {
        let rows: u64 =
            stored.drops.iter().filter(|dropped| dropped.of == Kept::Versions).map(|dropped| dropped.rows).sum();
        let to = local_time(to.0 / 1_000_000 * 1_000_000, &screen.zone);
        lines.push(format!("{rows} versions dropped that ended up to {to}: `daemoneye-cli data stats` says why"));
    }
    if contents.damaged > 0 {
        let damaged = count(parts(contents.damaged), "damaged part is", "damaged parts are");
        lines.push(format!("{damaged} set aside: answers over that time are incomplete, and the log names them"));
        return (Word::Error, lines);
    }
    if let Some(left) = facts.available.filter(|left| *left < ROOM_MIN) {
        lines
            .push(format!("the disk has {} left; while it is full, snapshots wait in the agent's memory", bytes(left)));
        lines.push("next: free space there; the agent goes on by itself".to_owned());
        return (Word::Warning, lines);
    }
    (Word::Ok, lines)
}

fn ledger(facts: &Facts, health: &LedgerHealth, screen: &Screen) -> (Word, Vec<String>) {
    let LedgerHealth { path, entries, bytes: len, waiting, signed, signed_at, error } = health;
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut lines = vec![format!("{path} · {}", bytes(*len))];
    let last = signed_at.map(|at| format!(" at {}", local_time(at.0 / 1_000_000 * 1_000_000, &screen.zone)));
    let checkpoint = match signed {
        0 => "no checkpoint yet".to_owned(),
        signed => format!("the last checkpoint{} is over {signed}", last.unwrap_or_default()),
    };
    lines.push(format!("{}, {checkpoint}", count(number(*entries), "entry", "entries")));
    if *waiting > 0 {
        lines.push(format!("behind by {}", count(number(*waiting), "event", "events")));
    }
    let Some(why) = error else { return (Word::Ok, lines) };
    lines.push(why.clone());
    if facts.reached == Reached::Answers {
        lines.push("next: mend that; what waits is recorded as soon as it can be".to_owned());
    }
    (Word::Error, lines)
}

fn input(facts: &Facts) -> (Word, Vec<String>) {
    let completeness = facts.completeness();
    if !completeness.is_complete() {
        let reasons: Vec<_> = completeness.reasons.iter().copied().map(Reason::text).collect();
        return (Word::Warning, vec![format!("incomplete: {}", reasons.join(", "))]);
    }
    if facts.collector().is_none() {
        return (Word::Ok, vec!["nothing yet".to_owned()]);
    }
    let said = match completeness.scope {
        Scope::All => "complete".to_owned(),
        Scope::Visible => {
            format!("complete for what the collector may see{}", live::remedy().replace("shows", "would show"))
        }
    };
    (Word::Ok, vec![said])
}
