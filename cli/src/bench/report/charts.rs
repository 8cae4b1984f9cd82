//! Two kinds of charts as SVG: groups of horizontal bars, and lines over a logarithmic axis.
//!
//! Colours come from the page's classes (`f0` fills, `s0` strokes, by number of the series), so that a chart is right in
//! light and dark.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
/// Room for the names at the left of bars.
const NAMES: f64 = 120.0;
/// Room for the figures at the right of bars.
const FIGURES: f64 = 90.0;
const BAR: f64 = 15.0;
const GAP: f64 = 11.0;
const LEGEND: f64 = 26.0;

/// Groups of horizontal bars, each with its figure.
pub(super) struct Bars<'a> {
    pub(super) series: &'a [&'a str],
    /// A name, and a value for each series.
    pub(super) bars: Vec<(String, Vec<f64>)>,
    pub(super) is_log: bool,
    pub(super) label: fn(f64) -> String,
}

impl Bars<'_> {
    pub(super) fn draw(&self) -> String {
        let group = self.series.len() as f64 * BAR + GAP;
        let top = if self.series.len() > 1 { LEGEND } else { 0.0 };
        let mut svg = Svg::new(top + group * self.bars.len() as f64);
        if self.series.len() > 1 {
            svg.legend(self.series);
        }
        for (i, (name, values)) in self.bars.iter().enumerate() {
            let y = top + group * i as f64;
            svg.text(NAMES - 10.0, y + (group - GAP) / 2.0 + 5.0, "end", "", name);
            for (series, value) in values.iter().enumerate() {
                self.bar(&mut svg, y + series as f64 * BAR, series, *value);
            }
        }
        svg.end()
    }

    fn bar(&self, svg: &mut Svg, y: f64, series: usize, value: f64) {
        let width = self.share(value) * (WIDTH - NAMES - FIGURES);
        svg.put(format_args!(
            "<rect class=\"f{series}\" x=\"{NAMES}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\"/>",
            BAR - 2.0
        ));
        svg.text(NAMES + width + 6.0, y + BAR - 4.0, "start", "soft", &(self.label)(value));
    }

    /// How much of the width a value takes. A logarithmic scale begins a decade below the least value.
    fn share(&self, value: f64) -> f64 {
        let values = self.bars.iter().flat_map(|(_, values)| values).copied().filter(|value| *value > 0.0);
        let (least, most) = values
            .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| (least.min(value), most.max(value)));
        match self.is_log {
            _ if value <= 0.0 => 0.0,
            true => (value / least * 10.0).log10() / (most / least * 10.0).log10(),
            false => value / most,
        }
    }
}

/// Shares over a logarithmic axis in percent.
pub(super) struct Lines {
    pub(super) x: Vec<f64>,
    pub(super) lines: Vec<(&'static str, Vec<f64>)>,
}

const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const BELOW: f64 = 46.0;

impl Lines {
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::new(LEGEND + HEIGHT + BELOW);
        svg.legend(&self.lines.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for step in 0..=5 {
            let y = Self::y(f64::from(step) / 5.0);
            svg.put(format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            ));
            svg.text(LEFT - 8.0, y + 4.0, "end", "soft", &format!("{} %", step * 20));
        }
        for x in &self.x {
            svg.text(self.x(*x), LEGEND + HEIGHT + 20.0, "middle", "soft", &format!("{x} %"));
        }
        svg.text((LEFT + WIDTH) / 2.0, LEGEND + HEIGHT + 42.0, "middle", "soft", "capacity");
        // The first is ours: drawn last, above the others.
        for (series, (_, values)) in self.lines.iter().enumerate().rev() {
            self.line(&mut svg, series, values);
        }
        svg.end()
    }

    fn line(&self, svg: &mut Svg, series: usize, values: &[f64]) {
        let points = self.x.iter().zip(values).map(|(x, y)| (self.x(*x), Self::y(*y)));
        let path: Vec<String> = points.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        svg.put(format_args!("<polyline class=\"s{series}\" points=\"{}\"/>", path.join(" ")));
        for (x, y) in points {
            svg.put(format_args!("<circle class=\"f{series}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"));
        }
    }

    fn x(&self, value: f64) -> f64 {
        const MARGIN: f64 = 40.0;
        let (first, last) = (self.x[0], self.x[self.x.len() - 1]);
        let share = if last > first { (value / first).log10() / (last / first).log10() } else { 0.5 };
        LEFT + MARGIN + share * (WIDTH - LEFT - 2.0 * MARGIN)
    }

    fn y(share: f64) -> f64 {
        LEGEND + HEIGHT * (1.0 - share)
    }
}

/// Markup in the making.
struct Svg(String);

impl Svg {
    fn new(height: f64) -> Self {
        Self(format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n"))
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{element}").expect("a String takes whatever is written to it");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn legend(&mut self, series: &[&str]) {
        for (i, name) in series.iter().enumerate() {
            let x = NAMES + 110.0 * i as f64;
            self.put(format_args!(
                "<rect class=\"f{i}\" x=\"{x}\" y=\"2\" width=\"12\" height=\"12\" rx=\"2\"/>"
            ));
            self.text(x + 18.0, 13.0, "start", "soft", name);
        }
    }

    fn end(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }
}

/// Text as markup: a file's name may hold anything.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bars = |is_log| Bars {
            series: &["one"],
            bars: vec![("a".into(), vec![10.0]), ("b".into(), vec![1000.0])],
            is_log,
            label: |value| value.to_string(),
        };
        assert_eq!([bars(false).share(10.0), bars(false).share(1000.0)], [0.01, 1.0]);
        let [least, most] = [bars(true).share(10.0), bars(true).share(1000.0)];
        assert!((least - 1.0 / 3.0).abs() < 1e-9 && (most - 1.0).abs() < 1e-9, "{least} {most}");
        assert_eq!(bars(true).share(0.0), 0.0, "nothing is no bar");
    }

    #[test]
    fn names_cannot_break_the_markup() {
        let bars = Bars {
            series: &["one"],
            bars: vec![("<script>&\"".into(), vec![1.0])],
            is_log: false,
            label: |value| value.to_string(),
        };
        assert!(bars.draw().contains("&lt;script&gt;&amp;&quot;"));
    }
}
