//! The same thing again and again is two entries a minute: the first, and how often it came after that.
//!
//! Somebody who may connect could otherwise fill the disk with refusals, and who watches alerts asks the same every
//! second. What counts as the same differs in nothing but its time and its process.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use daemoneye_dsl::audit::{Action, Fact};
use serde_json::Value;

/// For how long the same is counted.
const WINDOW: Duration = Duration::from_mins(1);
/// Different facts that are counted at one time; the oldest gives way, and its count is told.
const DIFFERENT_MAX: usize = 256;

/// What came lately, the oldest first.
#[derive(Default)]
pub(super) struct Repeats(VecDeque<Repeated>);

struct Repeated {
    fact: Fact,
    since: Instant,
    /// How often it came again.
    again: u64,
}

impl Repeats {
    /// What is to be recorded now that this happened.
    pub(super) fn take(&mut self, fact: Fact, now: Instant) -> Vec<Fact> {
        if !is_at_will(fact.action) {
            return vec![fact];
        }
        if let Some(known) = self.0.iter_mut().find(|known| known.is_about(&fact)) {
            known.again += 1;
            known.fact.at = fact.at;
            known.fact.actor.pid = fact.actor.pid;
            return vec![];
        }
        let mut facts: Vec<_> = (self.0.len() >= DIFFERENT_MAX)
            .then(|| self.0.pop_front())
            .flatten()
            .and_then(Repeated::told)
            .into_iter()
            .collect();
        self.0.push_back(Repeated { fact: fact.clone(), since: now, again: 0 });
        facts.push(fact);
        facts
    }

    /// What came again, of that of which the minute is over.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Fact> {
        let over = self.0.iter().take_while(|known| now.saturating_duration_since(known.since) >= WINDOW).count();
        self.0.drain(..over).filter_map(Repeated::told).collect()
    }

    /// What came again, at the end.
    pub(super) fn all(&mut self) -> Vec<Fact> {
        self.0.drain(..).filter_map(Repeated::told).collect()
    }
}

/// Whether somebody outside can make it happen as often as they like.
fn is_at_will(action: Action) -> bool {
    matches!(
        action,
        Action::QueryRefused
            | Action::CommandRun
            | Action::ConnectionRefused
            | Action::ConnectionEnded
            | Action::SubscriptionRefused
    )
}

impl Repeated {
    fn is_about(&self, fact: &Fact) -> bool {
        let known = &self.fact;
        let whose = |fact: &Fact| (fact.actor.name.clone(), fact.actor.uid);
        known.action == fact.action
            && known.subject == fact.subject
            && known.payload == fact.payload
            && whose(known) == whose(fact)
    }

    /// The last of them, with the count.
    fn told(self) -> Option<Fact> {
        let Self { mut fact, again, .. } = self;
        let mut payload: Value = serde_json::from_str(&fact.payload).ok()?;
        payload["again"] = again.into();
        fact = Fact::new(fact.at, fact.actor, fact.action, &fact.subject, &payload);
        (again > 0).then_some(fact)
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::audit::Actor;
    use daemoneye_dsl::types::Timestamp;
    use serde_json::json;

    use super::*;

    fn fact(at: i64, pid: u32, why: &str) -> Fact {
        let actor = Actor { name: "broker".to_owned(), uid: Some(7), pid: Some(pid) };
        Fact::new(Timestamp(at), actor, Action::ConnectionRefused, "x", &json!({"why": why}))
    }

    #[test]
    fn the_same_is_told_once_and_then_how_often_it_came() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.take(fact(1, 1, "a"), now), [fact(1, 1, "a")]);
        assert_eq!(repeats.take(fact(2, 2, "a"), now), []);
        assert_eq!(repeats.take(fact(3, 3, "b"), now), [fact(3, 3, "b")]);
        assert_eq!(repeats.take(fact(4, 4, "a"), now + WINDOW / 2), []);
        assert_eq!(repeats.over(now + WINDOW / 2), []);
        let told = repeats.over(now + WINDOW);
        assert_eq!(told.len(), 1, "b came once: {told:?}");
        assert_eq!((told[0].at, told[0].actor.pid), (Timestamp(4), Some(4)));
        assert_eq!(serde_json::from_str::<Value>(&told[0].payload).unwrap(), json!({"why": "a", "again": 2}));
        assert_eq!(repeats.take(fact(5, 5, "a"), now + WINDOW), [fact(5, 5, "a")]);
        assert_eq!(repeats.all(), []);
    }

    #[test]
    fn of_too_many_different_ones_the_oldest_gives_way_and_its_count_is_told() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        repeats.take(fact(0, 0, "first"), now);
        repeats.take(fact(0, 0, "first"), now);
        let told: Vec<_> = (0..DIFFERENT_MAX).flat_map(|n| repeats.take(fact(0, 0, &n.to_string()), now)).collect();
        assert_eq!(told.len(), DIFFERENT_MAX + 1);
        assert!(told.iter().any(|fact| fact.payload.contains("\"again\":1")));
        assert_eq!(repeats.0.len(), DIFFERENT_MAX);
    }
}
