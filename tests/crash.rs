//! Why: an alert that was lost in a crash is an intruder who got away, and one that comes twice teaches people to look
//! away. The agent is killed at random moments while matching processes come and go; after every restart it must go on
//! where the store left off. `CRASH_ROUNDS` sets how often it is killed, `CRASH_SEED` replays a failure.

#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use daemoneye_dsl::alert::AlertStatus;
use daemoneye_tests::{Program, Stage, Suspect};

const ROUNDS: u64 = 15;
/// The longest life of an agent: from before it opens its store to after some snapshots.
const LIFE_MAX_MS: u64 = 1200;
const SUSPECTS_MAX: usize = 12;

/// A sequence that looks random and is the same for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// What the agents of all rounds printed: which process each alert was about.
#[derive(Default)]
struct Printed(BTreeMap<u64, String>);

impl Printed {
    fn take(&mut self, agent: &Program) {
        for alert in agent.alerts() {
            let about = alert["row"]["proc_id"].as_str().unwrap().to_owned();
            let before = self.0.insert(alert["id"].as_u64().unwrap(), about.clone());
            assert!(
                before.is_none_or(|before| before == about),
                "alert {} was printed before it was kept",
                alert["id"]
            );
        }
    }
}

/// The last snapshot of each collector that an agent said it had committed.
fn committed(agent: &Program) -> BTreeMap<String, u64> {
    let lines = agent.stderr().into_iter().filter(|line| line.contains("snapshot committed"));
    let field = |line: &str, name: &str| {
        let value = line.split_whitespace().find_map(|word| word.strip_prefix(name).map(str::to_owned));
        value.unwrap_or_else(|| panic!("no {name} in {line}"))
    };
    lines.map(|line| (field(&line, "source="), field(&line, "sequence=").parse().unwrap())).collect()
}

#[test]
fn every_match_has_exactly_one_alert_whenever_the_agent_is_killed() {
    let (rounds, seed) = (number("CRASH_ROUNDS", ROUNDS), number("CRASH_SEED", 0x5eed));
    let mut chance = Chance(seed);
    let stage = Stage::new();
    let program = stage.copy("/bin/sleep", "suspect");
    let mut alive: Vec<Suspect> = Vec::new();
    let mut printed = Printed::default();
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds {
        let agent = Program::start(stage.agent());
        let mut left = chance.below(LIFE_MAX_MS);
        while left > 0 {
            if alive.len() == SUSPECTS_MAX || chance.below(4) == 0 && !alive.is_empty() {
                let ended = chance.below(alive.len() as u64);
                alive.swap_remove(usize::try_from(ended).unwrap()).end();
            } else {
                alive.push(Suspect::sleeping(&program));
            }
            let step = left.min(1 + chance.below(120));
            sleep(Duration::from_millis(step));
            left -= step;
        }
        agent.kill();
        stage.no_collector_is_left();
        assert_eq!(agent.said("snapshot refused"), 0, "round {round} of seed {seed}\n{}", agent.log());
        printed.take(&agent);
        acknowledged.extend(committed(&agent));
    }
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    agent.stop();
    printed.take(&agent);
    stage.no_collector_is_left();

    let context = format!("seed {seed}, {rounds} rounds\n{}", agent.log());
    let alerts = stage.stored();
    let about: Vec<_> = alerts.iter().map(|alert| alert.row["proc_id"].as_str().unwrap()).collect();
    assert_eq!(
        about.iter().collect::<BTreeSet<_>>().len(),
        about.len(),
        "a match was raised twice: {about:?}, {context}"
    );
    let open = alerts.iter().filter(|alert| alert.status == AlertStatus::Open);
    let open: BTreeSet<_> = open.map(|alert| alert.row["pid"].as_u64().unwrap()).collect();
    let living: BTreeSet<_> = alive.iter().map(|suspect| u64::from(suspect.pid())).collect();
    assert_eq!(open, living, "open alerts are those of the living: {context}");
    let stored: BTreeMap<_, _> =
        alerts.iter().map(|alert| alert.id).zip(about.iter().map(ToString::to_string)).collect();
    assert_eq!(printed.0, stored, "every alert is printed at least once, and nothing else is: {context}");
    for table in ["process_starts", "process_exits"] {
        let twice = stage.query(&format!("SELECT proc_id FROM {table} GROUP BY proc_id HAVING count(*) > 1"));
        assert!(twice.is_empty(), "twice in {table}: {twice:?}, {context}");
    }
    // Those that were heard longest ago are forgotten.
    let stored = stage.query("SELECT source, sequence FROM collectors");
    for row in &stored {
        let said = acknowledged.get(row["source"].as_str().unwrap()).copied().unwrap_or(0);
        assert!(row["sequence"].as_u64().unwrap() >= said, "snapshot {said} of {row:?} was acknowledged: {context}");
    }
    assert!(stored.len() > 1, "agents lived long enough to commit: {context}");
    assert!(alerts.len() >= living.len() && !living.is_empty(), "the test found something to do: {context}");
}
