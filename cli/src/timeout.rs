//! How long a statement may take.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use daemoneye_dsl::types::{display_interval, parse_interval};
use daemoneye_planner::Patience;

/// The shortest and the longest, in microseconds.
const TIMEOUT_MIN: i64 = 1_000;
const TIMEOUT_MAX: i64 = 24 * 3600 * 1_000_000;

const USUAL: &str = "1m";

/// `--timeout`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct TimeoutArgument {
    /// Stop a statement after this long; the answer is what was found by then, and is marked incomplete
    #[arg(long, value_name = "TIME", default_value = USUAL, value_parser = timeout)]
    timeout: Duration,
}

impl Default for TimeoutArgument {
    fn default() -> Self {
        Self { timeout: timeout(USUAL).expect("the usual time is one") }
    }
}

impl TimeoutArgument {
    /// How long that is.
    pub(crate) fn limit(self) -> Duration {
        self.timeout
    }

    /// It begins to count.
    pub(crate) fn begin(self) -> Patience {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        Patience { clock: || BEGAN.elapsed(), limit: self.timeout, stop: None }
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let micros = parse_interval(text).ok_or("write a number and a unit, such as 500ms, 10s or 5m")?;
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&micros) {
        let [least, most] = [TIMEOUT_MIN, TIMEOUT_MAX].map(display_interval);
        return Err(format!("it lies between {least} and {most}"));
    }
    Ok(Duration::from_micros(micros.unsigned_abs()))
}
