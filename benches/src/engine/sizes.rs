//! How much of everything a run has.

use crate::engine::report::Bounds;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Processes of the usual snapshot.
    pub processes: usize,
    /// Processes of a large one.
    pub processes_large: usize,
    /// A set of rules.
    pub rules: usize,
    /// A large one.
    pub rules_large: usize,
    /// How often everything is done.
    pub rounds: usize,
    /// Every which Sigma rule takes part.
    pub sigma_nth: usize,
    /// Whether the bounds are meant for these sizes.
    pub bounded: bool,
}

impl Sizes {
    /// Those that the goals are for.
    pub const USUAL: Self = Self {
        processes: 10_000,
        processes_large: 100_000,
        rules: 1_000,
        rules_large: 10_000,
        rounds: 10,
        sigma_nth: 1,
        bounded: true,
    };
    /// Those that show in a minute whether all is well.
    pub const QUICK: Self = Self {
        processes: 1_000,
        processes_large: 2_000,
        rules: 100,
        rules_large: 1_000,
        rounds: 2,
        sigma_nth: 20,
        bounded: false,
    };

    /// Bounds in the unit of what is measured.
    pub(crate) fn bounds(self, solid: f64, goal: f64) -> Bounds {
        if self.bounded { Bounds::new(solid, goal) } else { Bounds::NONE }
    }

    /// Bounds in milliseconds, of what is measured in microseconds.
    pub(crate) fn millis(self, solid: f64, goal: f64) -> Bounds {
        self.bounds(solid * 1e3, goal * 1e3)
    }
}
