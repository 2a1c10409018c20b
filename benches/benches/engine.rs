//! How long does the engine take for a thousand rules, for ten thousand, for a change, and how much memory?
//!
//! The material is generated (`shared/bench/` beside the checkout) and kept in `target/bench-data/`; where the
//! generators are not, this says so and ends well. Before a part is timed, every rule's rows on the first snapshot, and
//! the sum of its steps after ten changes of 2 %, are compared with SQLite's (prepared statements, in memory, indexed);
//! over the largest snapshot SQLite would take ten minutes, and is asked for the first thousand rules and one in ten of
//! the others. SQLite's answer to a change is to run again. Figures are processor time, medians of the rounds.
//!
//! ```text
//! cargo bench --bench engine               all parts
//! cargo bench --bench engine -- 1 4        two of them
//! cargo bench --bench engine -- --quick    small sizes, which are checked the same and held to no bound
//! ```
//!
//! 1 a thousand rules, all of them; 2 ten thousand; 3 a 2 % change; 4 six stateful queries; 5 a thousand stateful rules;
//! 6 a thousand regular expressions; 7 Sigma's rules over recorded events; 8 compiling and adding; 9 memory; 10 a
//! hundred thousand processes; 11 the curve, drawn in `target/bench-report/engine.svg`; 12 the scan for literals beside
//! Aho–Corasick.
//!
//! What the hardware allows (one core): reading the 1.5 MB of command lines once takes 0.1 ms, finding 5,000 literals
//! in them 4 to 6 ms, parsing a thousand rules 25 ms. A wrong result is an error; a missed bound is said.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use anyhow::{Context, bail};
use daemoneye_benches::engine::parts::{self, PARTS, Parts};
use daemoneye_benches::engine::resident::{self, RESIDENT};
use daemoneye_benches::engine::sizes::Sizes;
use daemoneye_benches::engine::{material, report};
use daemoneye_benches::measure::Verdict;

fn main() -> anyhow::Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some((RESIDENT, sizes)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return resident::run(sizes);
    }
    let (parts, sizes) = chosen(&arguments)?;
    if material::folder(sizes.processes)?.is_none() {
        println!("skipped: the generators of the material are not at shared/bench beside the project, or no python3");
        return Ok(());
    }
    println!("{}", report::heading());
    let mut verdict = Verdict::default();
    let mut missed = Vec::new();
    let mut run = Parts::new(sizes);
    for part in parts {
        if let Some(why) = parts::impossible(part) {
            println!("part {part} skipped: {why}");
            continue;
        }
        match run.run(part) {
            Ok(lines) => {
                for line in &lines {
                    println!("{line}");
                }
                missed.extend(lines.into_iter().filter(report::Line::is_missed));
            }
            Err(error) => {
                println!("part {part} is wrong: {error:#}");
                verdict.expect(false, || format!("part {part}"));
            }
        }
    }
    if let Some(curve) = &run.curve {
        println!("\n{}", curve.growth());
        draw(&curve.svg())?;
    }
    if !missed.is_empty() {
        println!("\nnot reached yet:");
        for line in &missed {
            println!("{line}");
        }
    }
    verdict.finish()
}

fn chosen(arguments: &[String]) -> anyhow::Result<(Vec<usize>, Sizes)> {
    let mut parts = Vec::new();
    let mut sizes = Sizes::USUAL;
    for argument in arguments {
        match argument.parse() {
            Ok(part) if PARTS.contains(&part) => parts.push(part),
            Err(_) if argument == "--quick" => sizes = Sizes::QUICK,
            _ => bail!("`{argument}` is no part: name some of {} to {}, or --quick", PARTS.start(), PARTS.end()),
        }
    }
    if parts.is_empty() {
        parts.extend(PARTS);
    }
    Ok((parts, sizes))
}

fn draw(svg: &str) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).context("this program is in no target folder")?;
    let path = target.join("bench-report").join("engine.svg");
    std::fs::create_dir_all(target.join("bench-report"))?;
    std::fs::write(&path, svg)?;
    println!("drawn in {}", path.display());
    Ok(())
}
