//! Charts with two logarithmic axes, as SVG: light, plain, readable alone.

use std::fmt::Write;

/// One chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// Below the horizontal axis.
    pub x: &'static str,
    /// Beside the vertical one.
    pub y: &'static str,
    /// The lines in it.
    pub traces: Vec<Trace>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Trace {
    /// In the legend.
    pub name: &'static str,
    /// As CSS has it.
    pub color: &'static str,
    /// How far below its points their values stand; above them if negative.
    pub label: f64,
    /// From left to right; all above zero.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 90.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 55.0;
const INSET: f64 = 20.0;
/// Letters stay readable on a line.
const HALO: &str = "stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\"";

/// A logarithmic axis over whole decades: its ends as powers of ten, and where they lie.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs: Vec<_> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        if low.is_finite() {
            Self { low, high: high.max(low + 1.0), from, to }
        } else {
            Self { low: 0.0, high: 1.0, from, to }
        }
    }

    fn place(self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.low), |power| Some(power + 1.0))
            .take_while(move |power| *power <= self.high)
            .map(|power| 10_f64.powf(power))
    }
}

impl Chart {
    /// All charts side by side.
    pub fn page(charts: &[Self]) -> String {
        let width = charts.iter().fold(0.0, |width, _| width + WIDTH);
        let mut page = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let mut left = 0.0;
        for chart in charts {
            let _infallible = writeln!(page, "<g transform=\"translate({left} 0)\">");
            chart.draw(&mut page);
            page.push_str("</g>\n");
            left += WIDTH;
        }
        page.push_str("</svg>\n");
        page
    }

    fn draw(&self, page: &mut String) {
        let points = || self.traces.iter().flat_map(|trace| &trace.points);
        // The values beside the outermost points keep clear of the axis.
        let x = Axis::over(points().map(|point| point.0), LEFT + INSET, WIDTH - RIGHT - INSET);
        let y = Axis::over(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        text(page, LEFT, 24.0, "start", "font-size=\"14\" font-weight=\"bold\"", &self.title);
        self.draw_legend(page);
        for value in x.decades() {
            let at = x.place(value);
            line(page, (at, y.from), (at, y.to));
            text(page, at, y.from + 18.0, "middle", "", &short(value));
        }
        for value in y.decades() {
            let at = y.place(value);
            line(page, (LEFT, at), (WIDTH - RIGHT, at));
            text(page, LEFT - 8.0, at + 4.0, "end", "", &short(value));
        }
        text(page, f64::midpoint(x.from, x.to), HEIGHT - 12.0, "middle", "", self.x);
        let turned = format!("transform=\"rotate(-90 16 {0})\"", f64::midpoint(y.from, y.to));
        text(page, 16.0, f64::midpoint(y.from, y.to), "middle", &turned, self.y);
        for trace in &self.traces {
            let places: Vec<_> = trace.points.iter().map(|(a, b)| (x.place(*a), y.place(*b))).collect();
            let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let color = trace.color;
            let path = path.join(" ");
            let _infallible =
                writeln!(page, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>");
            for ((x, y), (_, value)) in places.into_iter().zip(&trace.points) {
                let _infallible = writeln!(page, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
                let style = format!("font-size=\"10\" style=\"fill:{color}\" {HALO}");
                text(page, x, y + trace.label, "middle", &style, &short(*value));
            }
        }
    }

    fn draw_legend(&self, page: &mut String) {
        let mut at = LEFT;
        for trace in &self.traces {
            let color = trace.color;
            let _infallible = writeln!(page, "<rect x=\"{at}\" y=\"42\" width=\"14\" height=\"4\" fill=\"{color}\"/>");
            text(page, at + 19.0, 48.0, "start", "", trace.name);
            at += 125.0;
        }
    }
}

fn line(page: &mut String, from: (f64, f64), to: (f64, f64)) {
    let (x1, y1, x2, y2) = (from.0, from.1, to.0, to.1);
    let _infallible = writeln!(
        page,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\" stroke-width=\"1\"/>"
    );
}

fn text(page: &mut String, x: f64, y: f64, anchor: &str, more: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _infallible = writeln!(page, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{text}</text>");
}

/// At most three digits, and thousands as `k`.
fn short(value: f64) -> String {
    match value {
        value if value >= 999.5 => format!("{}k", short(value / 1e3)),
        value if value >= 9.995 => format!("{value:.0}"),
        value => {
            let decimals = if value < 0.9995 { 3 } else { 2 };
            let text = format!("{value:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_lie_evenly_and_points_between_them() {
        let axis = Axis::over([12.0, 4_000.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.decades().map(short).collect::<Vec<_>>(), ["10", "100", "1k", "10k"]);
        let places: Vec<_> = axis.decades().map(|value| axis.place(value).round()).collect();
        assert_eq!(places, [0.0, 100.0, 200.0, 300.0]);
        assert!((100.0..200.0).contains(&axis.place(500.0)));
    }

    #[test]
    fn a_page_without_points_is_a_page() {
        let chart = Chart { title: "none < one".to_owned(), x: "x", y: "y", traces: vec![] };
        let page = Chart::page(&[chart.clone(), chart]);
        assert!(page.contains("none &lt; one") && page.ends_with("</svg>\n") && !page.contains("NaN"), "{page}");
    }
}
