//! One line of the report: a figure, its peer of the same run, and how far it is from what is wanted.

use std::fmt;

/// A figure beside what it is compared with.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub what: String,
    /// How much it was.
    pub ours: f64,
    /// Of what.
    pub unit: Unit,
    /// The peer's figure, in the same unit.
    pub peer: Option<Figure>,
    /// What is wanted.
    pub bounds: Bounds,
}

/// A peer's figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// How much.
    pub value: f64,
    /// Not everything was asked.
    pub estimated: bool,
}

/// What figures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds of processor time.
    Micros,
    /// Things per second of processor time.
    PerSecond,
    /// Megabytes of memory.
    Megabytes,
    /// How often the one goes into the other.
    Times,
}

/// What is wanted: `solid` is what has to be, `goal` what is striven for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// None where nothing is asked.
    pub solid: Option<f64>,
    /// None where nothing is striven for.
    pub goal: Option<f64>,
}

impl Bounds {
    /// Nothing is asked.
    pub const NONE: Self = Self { solid: None, goal: None };

    /// Both.
    pub const fn new(solid: f64, goal: f64) -> Self {
        Self { solid: Some(solid), goal: Some(goal) }
    }
}

impl Unit {
    fn is_better(self, figure: f64, bound: f64) -> bool {
        match self {
            Self::Micros | Self::Megabytes => figure <= bound,
            Self::PerSecond | Self::Times => figure >= bound,
        }
    }

    fn say(self, figure: f64) -> String {
        match self {
            Self::Micros if figure < 1e3 => format!("{figure:.0} µs"),
            Self::Micros if figure < 1e6 => format!("{} ms", three_digits(figure / 1e3)),
            Self::Micros => format!("{} s", three_digits(figure / 1e6)),
            Self::PerSecond => format!("{figure:.0}/s"),
            Self::Megabytes => format!("{} MB", three_digits(figure)),
            Self::Times => format!("{}×", three_digits(figure)),
        }
    }
}

fn three_digits(figure: f64) -> String {
    let decimals = if figure < 9.995 { 2 } else { usize::from(figure < 99.95) };
    format!("{figure:.decimals$}")
}

impl Line {
    /// A time without a peer.
    pub fn time(what: impl Into<String>, micros: f64, bounds: Bounds) -> Self {
        Self { what: what.into(), ours: micros, unit: Unit::Micros, peer: None, bounds }
    }

    /// A figure without a peer.
    pub fn new(what: impl Into<String>, ours: f64, unit: Unit, bounds: Bounds) -> Self {
        Self { what: what.into(), ours, unit, peer: None, bounds }
    }

    /// With the peer's figure.
    #[must_use]
    pub fn beside(self, value: f64, estimated: bool) -> Self {
        Self { peer: Some(Figure { value, estimated }), ..self }
    }

    /// Whether something is asked that is not there.
    pub fn is_missed(&self) -> bool {
        self.bounds.solid.or(self.bounds.goal).is_some_and(|bound| !self.unit.is_better(self.ours, bound))
    }

    fn verdict(&self) -> &'static str {
        let meets = |bound: Option<f64>| bound.is_some_and(|bound| self.unit.is_better(self.ours, bound));
        match self.bounds {
            Bounds { solid: None, goal: None } => "",
            Bounds { goal, .. } if meets(goal) => "goal",
            Bounds { solid, .. } if meets(solid) => "solid",
            _ => "MISSED",
        }
    }

    fn ratio(&self, peer: f64) -> f64 {
        match self.unit {
            Unit::Micros | Unit::Megabytes => peer / self.ours,
            Unit::PerSecond | Unit::Times => self.ours / peer,
        }
    }
}

/// The names of the columns.
pub fn heading() -> String {
    columns(["", "ours", "SQLite", "ratio", "solid", "goal", "verdict"])
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |bound: Option<f64>| bound.map(|bound| self.unit.say(bound)).unwrap_or_default();
        let about = |peer: &Figure| if peer.estimated { "~" } else { "" };
        let peer = self.peer.as_ref().map(|peer| format!("{}{}", about(peer), self.unit.say(peer.value)));
        let ratio =
            self.peer.as_ref().map(|peer| format!("{}{}", about(peer), Unit::Times.say(self.ratio(peer.value))));
        f.write_str(&columns([
            &self.what,
            &self.unit.say(self.ours),
            &peer.unwrap_or_default(),
            &ratio.unwrap_or_default(),
            &bound(self.bounds.solid),
            &bound(self.bounds.goal),
            self.verdict(),
        ]))
    }
}

fn columns([what, ours, peer, ratio, solid, goal, verdict]: [&str; 7]) -> String {
    let line = format!("{what:58} {ours:>10} {peer:>10} {ratio:>8} {solid:>10} {goal:>10}  {verdict}");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_time_and_more_of_the_rest_is_better() {
        let bounds = Bounds::new(20_000.0, 6_000.0);
        let verdict = |micros| Line::time("a step", micros, bounds).verdict();
        assert_eq!([verdict(6_000.0), verdict(20_000.0), verdict(20_001.0)], ["goal", "solid", "MISSED"]);
        let fast = |rate| Line::new("events", rate, Unit::PerSecond, Bounds::new(100.0, 250.0));
        assert_eq!(fast(250.0).verdict(), "goal");
        assert!(!fast(100.0).is_missed() && fast(99.0).is_missed());
        let only_goal = Bounds { solid: None, goal: Some(2.0) };
        assert!(Line::time("the slowest", 3.0, only_goal).is_missed());
        assert!(!Line::time("free", 3.0, Bounds::NONE).is_missed());
    }

    #[test]
    fn a_line_says_the_ratio_to_the_peer() {
        let line = Line::time("1,000 rules", 12_340.0, Bounds::new(20_000.0, 6_000.0)).beside(3_400_000.0, false);
        let text = line.to_string();
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words, "1,000 rules 12.3 ms 3.40 s 276× 20.0 ms 6.00 ms solid".split(' ').collect::<Vec<_>>());
        assert!(Line::time("x", 10.0, Bounds::NONE).beside(50.0, true).to_string().contains("~5.00×"));
    }
}
