//! The parts of the benchmark `engine` agree with SQLite on small sizes. Nothing here is about time.

use daemoneye_benches::engine::material;
use daemoneye_benches::engine::parts::Parts;
use daemoneye_benches::engine::sizes::Sizes;

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn generated_rules_over_generated_snapshots_agree_with_sqlite() {
    // A few seconds even in a debug build: few rules, all kinds.
    let sizes = Sizes { rules: 20, rules_large: 40, rounds: 1, ..Sizes::QUICK };
    if material::folder(sizes.processes).unwrap().is_none() {
        eprintln!("skipped: the generators of the material are not beside the project");
        return;
    }
    let mut parts = Parts::new(sizes);
    // The others take longer or start the benchmark itself, and ask the same.
    for part in [1, 3, 4, 5, 6, 8] {
        let lines = parts.run(part).unwrap_or_else(|error| panic!("part {part}: {error:#}"));
        assert!(!lines.is_empty(), "part {part} measured nothing");
    }
}
