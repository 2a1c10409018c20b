//! How the cost grows with the rules and with the processes.

use std::fmt::Write;

use crate::engine::chart::{Chart, Trace};
use crate::engine::report::{Bounds, Line};
use crate::measure::number;

/// What one size takes, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// How many rules.
    pub rules: usize,
    /// Over how many processes.
    pub processes: usize,
    /// A step in which everything appears.
    pub full: f64,
    /// A 2 % change, with finding out what changed.
    pub step: f64,
    /// SQLite's time for the whole.
    pub sqlite: f64,
}

/// Two series of sizes, both from small to large.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// More and more rules over the usual processes.
    pub by_rules: Vec<Point>,
    /// The usual rules over more and more processes.
    pub by_processes: Vec<Point>,
}

impl Curve {
    /// The figures.
    pub fn lines(&self) -> Vec<Line> {
        let points = self.by_rules.iter().chain(&self.by_processes);
        let lines = points.flat_map(|point| {
            let what = format!("{} rules over {} processes", point.rules, point.processes);
            [
                Line::time(format!("{what}, all of them"), point.full, Bounds::NONE).beside(point.sqlite, false),
                Line::time(format!("{what}, 2 % change"), point.step, Bounds::NONE),
            ]
        });
        lines.collect()
    }

    /// Whether more rules cost less than in proportion: the exponent between neighbouring sizes.
    pub fn growth(&self) -> String {
        let costs: [fn(&Point) -> f64; 2] = [|point| point.full, |point| point.step];
        let mut text = String::new();
        for (name, cost) in ["a full step", "a 2 % step"].into_iter().zip(costs) {
            for pair in self.by_rules.windows(2) {
                let (from, to) = (pair[0].rules, pair[1].rules);
                let exponent = (cost(&pair[1]) / cost(&pair[0])).ln() / (number(to) / number(from)).ln();
                let verdict = if exponent < 0.95 { "sub-linear" } else { "not sub-linear" };
                let times = cost(&pair[1]) / cost(&pair[0]);
                let _infallible = writeln!(
                    text,
                    "  from {from} to {to} rules {name} costs {times:.1} times as much: rules^{exponent:.2}, {verdict}"
                );
            }
        }
        text
    }

    /// Both as a picture.
    pub fn svg(&self) -> String {
        let over = self.by_rules.first().map_or(0, |point| point.processes);
        let of = self.by_processes.first().map_or(0, |point| point.rules);
        let traces = |points: &[Point], x: fn(&Point) -> usize| {
            let trace = |name, color, label, cost: fn(&Point) -> f64| Trace {
                name,
                color,
                label,
                points: points.iter().map(|point| (number(x(point)), cost(point) / 1e3)).collect(),
            };
            vec![
                trace("SQLite, all rules", "#8a8a8a", -8.0, |point| point.sqlite),
                trace("all rows new", "#c2410c", -8.0, |point| point.full),
                trace("2 % change", "#1d4ed8", 16.0, |point| point.step),
            ]
        };
        Chart::page(&[
            Chart {
                title: format!("by rules, over {over} processes"),
                x: "rules",
                y: "ms of processor time",
                traces: traces(&self.by_rules, |point| point.rules),
            },
            Chart {
                title: format!("by processes, {of} rules"),
                x: "processes",
                y: "ms of processor time",
                traces: traces(&self.by_processes, |point| point.processes),
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_proportion() {
        let point = |rules, full, step| Point { rules, processes: 10_000, full, step, sqlite: 1.0 };
        let by_rules = vec![point(10, 100.0, 50.0), point(100, 1_000.0, 100.0)];
        let text = Curve { by_rules, by_processes: vec![] }.growth();
        assert!(text.contains("a full step costs 10.0 times as much: rules^1.00, not sub-linear"), "{text}");
        assert!(text.contains("a 2 % step costs 2.0 times as much: rules^0.30, sub-linear"), "{text}");
    }
}
