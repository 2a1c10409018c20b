//! The parts by their numbers, and what each asks for. The bounds are those of the sizes that they name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hint::black_box;

use anyhow::{Context, ensure};
use arrow_array::cast::AsArray;

use crate::engine::curve::{Curve, Point};
use crate::engine::material;
use crate::engine::report::{Bounds, Line, Unit};
use crate::engine::running::{Rule, Running};
use crate::engine::sizes::Sizes;
use crate::engine::world::{Peer, World};
use crate::engine::{literals, resident, sigma};
use crate::measure::Samples;
use crate::rows::{Rows, weighted};

/// The numbers of the parts.
pub const PARTS: std::ops::RangeInclusive<usize> = 1..=12;
/// Of more than a thousand rules over the largest snapshot, SQLite is asked for the first thousand and one in ten.
const SPARSE: usize = 10;
/// Rules that are added to those that run, one after the other.
const ADDED: usize = 50;

const RULES: &str = "rules_10000.json";
const REGEXES: &str = "regex_rules.json";
const STATEFUL: &str = "stateful_rules.json";

/// Why a part cannot be measured here, if so.
pub fn impossible(part: usize) -> Option<&'static str> {
    match part {
        7 if sigma::corpus().is_none() => Some("the Sigma corpus is not at shared/corpora/sigma beside the project"),
        9 if !cfg!(target_os = "linux") => Some("only Linux has /proc to read the memory from"),
        _ => None,
    }
}

/// The sizes, and what has been loaded so far.
pub struct Parts {
    sizes: Sizes,
    worlds: BTreeMap<usize, World>,
    /// What the last part has plotted.
    pub curve: Option<Curve>,
}

impl Parts {
    /// Nothing is loaded yet.
    pub fn new(sizes: Sizes) -> Self {
        Self { sizes, worlds: BTreeMap::new(), curve: None }
    }

    /// Checks and measures one part.
    pub fn run(&mut self, part: usize) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, processes_large, rules, rules_large, .. } = self.sizes;
        let at = |what: &str, rules: usize, processes: usize| format!("{rules} {what} over {processes} processes");
        match part {
            1 => {
                let mut lines = self.full(at("rules, all of them", rules, processes), RULES, rules, (20.0, 6.0))?;
                let times = lines[0].peer.map_or(0.0, |peer| peer.value) / lines[0].ours;
                let bounds = Bounds { goal: None, ..self.sizes.bounds(150.0, 0.0) };
                lines.push(Line::new("  as often as that goes into SQLite's time", times, Unit::Times, bounds));
                Ok(lines)
            }
            2 => self.full(at("rules, all of them", rules_large, processes), RULES, rules_large, (40.0, 15.0)),
            3 => self.churn(),
            4 => {
                let queries = material::stateful_queries(&self.world(processes)?.folder)?;
                self.stateful("six stateful queries, 2 % change", &queries, (0.6, 0.2))
            }
            5 => {
                let statements = self.statements(processes, STATEFUL, rules)?;
                self.stateful(&format!("{rules} stateful rules, 2 % change"), &statements, (15.0, 5.0))
            }
            6 => self.full(at("regex rules, all of them", rules, processes), REGEXES, rules, (10.0, 4.0)),
            7 => self.sigma(),
            8 => self.compile(),
            9 => self.resident(),
            10 => self.large(processes_large),
            11 => self.plot(),
            12 => self.race(),
            _ => anyhow::bail!("there is no part {part}; the parts are {} to {}", PARTS.start(), PARTS.end()),
        }
    }

    fn world(&mut self, processes: usize) -> anyhow::Result<&mut World> {
        match self.worlds.entry(processes) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let folder = material::folder(processes)?.context("the generated material is not here")?;
                Ok(entry.insert(World::load(folder)?))
            }
        }
    }

    fn statements(&mut self, processes: usize, file: &str, rules: usize) -> anyhow::Result<Vec<String>> {
        let mut statements = material::rules(&self.world(processes)?.folder, file)?;
        ensure!(statements.len() >= rules, "{file} has {} rules, of which {rules} are wanted", statements.len());
        statements.truncate(rules);
        Ok(statements)
    }

    /// The rules, compiled.
    fn rules(&mut self, processes: usize, file: &str, rules: usize) -> anyhow::Result<Vec<Rule>> {
        let statements = self.statements(processes, file, rules)?;
        Rule::compile_all(&statements, &self.world(processes)?.series.catalog)
    }

    fn full(&mut self, what: String, file: &str, rules: usize, millis: (f64, f64)) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, rounds, .. } = self.sizes;
        let bounds = self.sizes.millis(millis.0, millis.1);
        let rules = self.rules(processes, file, rules)?;
        let world = self.world(processes)?;
        let peer = world.check(&rules, |_| true)?;
        let full = world.full(&rules, rounds)?;
        Ok(vec![
            Line::time(what, full.again.median_micros(), bounds).beside(peer.full, peer.estimated),
            Line::time("  the very first time", full.first.median_micros(), Bounds::NONE),
        ])
    }

    fn churn(&mut self) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, rules_large, rounds, .. } = self.sizes;
        let bounds = self.sizes.millis(3.0, 1.0);
        let slowest = Bounds { solid: None, ..self.sizes.millis(0.0, 2.0) };
        let rules = self.rules(processes, RULES, rules_large)?;
        let world = self.world(processes)?;
        let peer = world.check(&rules, |_| true)?;
        let steps = world.steps(&rules, rounds)?;
        let what = format!("{rules_large} rules over {processes} processes, 2 % change with its diff");
        Ok(vec![
            Line::time(what, steps.together.median_micros(), bounds).beside(peer.again, peer.estimated),
            Line::time("  which 99 of 100 do not exceed", steps.together.percentile_micros(99), slowest),
            Line::time("  only the diff", steps.difference.median_micros(), Bounds::NONE),
            Line::time("  only the step", steps.alone.median_micros(), Bounds::NONE),
        ])
    }

    fn stateful(&mut self, what: &str, statements: &[String], millis: (f64, f64)) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, rounds, .. } = self.sizes;
        let bounds = self.sizes.millis(millis.0, millis.1);
        let world = self.world(processes)?;
        let rules = Rule::compile_all(statements, &world.series.catalog)?;
        let peer = world.check(&rules, |_| true)?;
        let steps = world.steps(&rules, rounds)?;
        let first = world.full(&rules, rounds.min(3))?.again.median_micros();
        Ok(vec![
            Line::time(what, steps.alone.median_micros(), bounds).beside(peer.again, peer.estimated),
            Line::time("  which 99 of 100 do not exceed", steps.alone.percentile_micros(99), Bounds::NONE),
            Line::time("  all of them, everything new", first, Bounds::NONE).beside(peer.full, peer.estimated),
        ])
    }

    fn sigma(&self) -> anyhow::Result<Vec<Line>> {
        let corpus = sigma::corpus().context("the Sigma corpus is not beside the project")?;
        let bounds = self.sizes.bounds(100_000.0, 250_000.0);
        Ok(vec![sigma::measure(&corpus, self.sizes.sigma_nth, self.sizes.rounds, bounds)?])
    }

    fn compile(&mut self) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, rules, rounds, .. } = self.sizes;
        let (cold_bounds, add_bounds) = (self.sizes.millis(80.0, 45.0), self.sizes.millis(2.0, 0.5));
        let statements = self.statements(processes, RULES, rules + ADDED)?;
        let (statements, added) = statements.split_at(rules);
        let world = self.world(processes)?;
        let compiled = Rule::compile_all(statements, &world.series.catalog)?;
        world.check(&compiled, |_| true)?;
        let nothing = world.series.nothing();
        let (mut cold, mut prepare) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            cold.process_cpu(|| {
                let rules = Rule::compile_all(statements, &world.series.catalog)?;
                let mut running = Running::new(rules.iter().map(|rule| &rule.plan), &nothing)?;
                running.prime(&nothing).map(|()| black_box(running))
            })?;
            prepare.process_cpu(|| statements.iter().for_each(|sql| drop(black_box(world.sqlite().prepare(sql)))));
        }
        let what = format!("compile and install {rules} rules, cold");
        let mut lines =
            vec![Line::time(what, cold.median_micros(), cold_bounds).beside(prepare.median_micros(), false)];
        lines.extend(add(world, &compiled, added, add_bounds)?);
        Ok(lines)
    }

    fn resident(&mut self) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, rules, rules_large, .. } = self.sizes;
        let bounds = self.sizes.bounds(90.0, 50.0);
        let mut all = self.rules(processes, RULES, rules_large)?;
        all.extend(self.rules(processes, STATEFUL, rules)?);
        let world = self.world(processes)?;
        let peer = world.check(&all, |_| true)?;
        let resident = resident::measure(&world.folder, &world.series, &all)?;
        ensure!(resident.rows == peer.rows, "{} rows in the child, {} here", resident.rows, peer.rows);
        let what = format!("{processes} processes, {rules_large} rules and {rules} stateful ones, RSS");
        Ok(vec![
            Line::new(what, resident.now, Unit::Megabytes, bounds),
            Line::new("  the most ever", resident.most, Unit::Megabytes, Bounds::NONE),
        ])
    }

    fn large(&mut self, processes: usize) -> anyhow::Result<Vec<Line>> {
        let Sizes { rules_large, rounds, .. } = self.sizes;
        let (full_bounds, step_bounds) = (self.sizes.millis(400.0, 120.0), self.sizes.millis(20.0, 6.0));
        let rules = self.rules(processes, RULES, rules_large)?;
        let world = self.world(processes)?;
        let peer = world.check(&rules, |at| at < 1_000 || at % SPARSE == 0)?;
        let full = world.full(&rules, rounds.min(5))?.again.median_micros();
        let steps = world.steps(&rules, rounds.min(3))?;
        let what = format!("{rules_large} rules over {processes} processes");
        Ok(vec![
            Line::time(format!("{what}, all of them"), full, full_bounds).beside(peer.full, peer.estimated),
            Line::time(format!("{what}, 2 % change with its diff"), steps.together.median_micros(), step_bounds)
                .beside(peer.again, peer.estimated),
            Line::time("  only the diff", steps.difference.median_micros(), Bounds::NONE),
        ])
    }

    fn plot(&mut self) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, processes_large, rules, rules_large, .. } = self.sizes;
        let mut curve = Curve::default();
        let counts: Vec<_> = [1_000, 100, 10].map(|part| rules_large / part).into_iter().chain([rules_large]).collect();
        for rules in counts {
            let point = self.point(rules.max(1), processes)?;
            curve.by_rules.push(point);
        }
        let mut counts = vec![processes / 10, processes, processes_large];
        counts.dedup();
        for processes in counts {
            let point = self.point(rules, processes)?;
            curve.by_processes.push(point);
        }
        let lines = curve.lines();
        self.curve = Some(curve);
        Ok(lines)
    }

    fn race(&mut self) -> anyhow::Result<Vec<Line>> {
        let Sizes { processes, rules_large, rounds, .. } = self.sizes;
        let literals = literals::of_rules(&self.statements(processes, RULES, rules_large)?);
        let rows = &self.world(processes)?.series.processes.rows;
        let texts = rows.column_by_name("command_line").context("processes have no command lines")?;
        literals::race(&literals, texts.as_string(), rounds)
    }

    fn point(&mut self, rules: usize, processes: usize) -> anyhow::Result<Point> {
        let rounds = self.sizes.rounds.min(3);
        let compiled = self.rules(processes, RULES, rules)?;
        let world = self.world(processes)?;
        let Peer { full: sqlite, .. } = world.check(&compiled, |_| true)?;
        let full = world.full(&compiled, rounds)?.again.median_micros();
        let step = world.steps(&compiled, rounds)?.together.median_micros();
        Ok(Point { rules, processes, full, step, sqlite })
    }
}

/// Adds rules one by one to those that run over the whole snapshot.
fn add(world: &mut World, compiled: &[Rule], added: &[String], bounds: Bounds) -> anyhow::Result<Vec<Line>> {
    let first = world.series.processes.rows.clone();
    let there = world.series.tables(&first);
    let mut running = Running::new(compiled.iter().map(|rule| &rule.plan), &world.series.nothing())?;
    let stepped = running.step(&there, &world.series.everything());
    running.answers(stepped)?;
    let (mut before, mut install, mut load, mut after) =
        (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    for sql in added {
        before.process_cpu(|| running.prime(&there))?;
        let (at, rule) = install.process_cpu(|| {
            let rule = Rule::compile(sql, &world.series.catalog)?;
            Ok::<_, anyhow::Error>((running.install(&rule.plan), rule))
        })?;
        let loaded = load.process_cpu(|| running.load(&there))?;
        after.process_cpu(|| running.prime(&there))?;
        let mut sum = Rows::default();
        for (number, rows) in loaded {
            ensure!(number == at, "rule {number} is loaded once more");
            sum.add(&weighted(&rows, rule.columns.len()));
        }
        let right = world.expected(sql)?;
        ensure!(sum == *right, "`{sql}`, added, differs from SQLite:\n{}", sum.against(right));
    }
    // What the next step takes longer belongs to the rule that made it so.
    let later = (after.median_micros() - before.median_micros()).max(0.0);
    let what = format!("add one to {} that run", compiled.len());
    Ok(vec![
        Line::time(what, install.median_micros() + later, bounds),
        Line::time("  what of it the step after it takes more", later, Bounds::NONE),
        Line::time("  and its first answer, over all that is there", load.median_micros(), Bounds::NONE),
    ])
}
