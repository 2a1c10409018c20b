//! The parts of the benchmark `engine`: what it measures, against what, and how it says so.
//!
//! One engine never sees a text twice: a round begins with a new one, so that nothing it remembers of the last round
//! helps it. What it prepares when the first row comes is asked for with a row that is nobody's, before the clock runs.

pub mod chart;
pub mod curve;
pub mod difference;
pub mod literals;
pub mod material;
pub mod parts;
pub mod records;
pub mod report;
pub mod resident;
pub mod running;
pub mod sigma;
pub mod sizes;
pub mod world;
