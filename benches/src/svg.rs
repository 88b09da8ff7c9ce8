//! Curves as SVG: panels side by side, both axes logarithmic, readable on light and dark pages.

use std::fmt::Write;

use crate::report::shown;

/// Width and height of a panel, and the margins of its axes.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 46.0;

/// Colours for light and dark pages. The second curve is dashed, for readers who cannot tell the colours apart.
const STYLE: &str = "<style>\
    text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.g{stroke:#8886;stroke-width:1}\
    .a{stroke:#24292f;stroke-width:1}.c0,.c1{fill:none;stroke-width:2}.c0{stroke:#0969da}.c1{stroke:#bc4c00;stroke-dasharray:6 4}\
    .d0{fill:#0969da}.d1{fill:#bc4c00}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.a{stroke:#e6edf3}.c0{stroke:#58a6ff}.c1{stroke:#f0883e}\
    .d0{fill:#58a6ff}.d1{fill:#f0883e}}</style>";

pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// A point with a coordinate that is not above zero is not drawn.
    pub(crate) points: Vec<(f64, f64)>,
}

/// One pair of axes with at most two curves.
pub(crate) struct Panel {
    /// With the unit of the vertical axis.
    pub(crate) title: &'static str,
    /// The label of the horizontal axis.
    pub(crate) below: &'static str,
    pub(crate) curves: Vec<Curve>,
}

pub(crate) fn draw(panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" height=\"{HEIGHT}\">\n{STYLE}\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", WIDTH * place as f64);
        panel.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Whole decades on `length` pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    first: i32,
    last: i32,
    length: f64,
}

impl Axis {
    /// The shortest axis that holds all values.
    fn holding(values: impl Iterator<Item = f64>, length: f64) -> Self {
        let (mut first, mut last) = (i32::MAX, i32::MIN);
        for value in values {
            first = first.min(decade(value.log10().floor()));
            last = last.max(decade(value.log10().ceil()));
        }
        if first > last {
            return Self { first: 0, last: 1, length };
        }
        Self { first, last: last.max(first + 1), length }
    }

    /// The value's distance from the start of the axis, in pixels.
    fn position(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first) * self.length
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|decade| 10_f64.powi(decade))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a measured value is small")]
const fn decade(power: f64) -> i32 {
    power as i32
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let points = || self.curves.iter().flat_map(Curve::drawn);
        let across = Axis::holding(points().map(|point| point.0), WIDTH - LEFT - RIGHT);
        let up = Axis::holding(points().map(|point| point.1), HEIGHT - TOP - BOTTOM);
        let x = |value: f64| LEFT + across.position(value);
        let y = |value: f64| HEIGHT - BOTTOM - up.position(value);
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let _ = writeln!(svg, "<text class=\"t\" x=\"{LEFT}\" y=\"16\">{}</text>", self.title);
        for value in up.decades() {
            let _ = writeln!(svg, "<path class=\"g\" d=\"M{LEFT} {0:.1}H{right}\"/>", y(value));
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y(value) + 4.0,
                short(value)
            );
        }
        for value in across.decades() {
            let _ = writeln!(svg, "<path class=\"g\" d=\"M{0:.1} {TOP}V{bottom}\"/>", x(value));
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x(value),
                bottom + 16.0,
                short(value)
            );
        }
        let _ = writeln!(svg, "<path class=\"a\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        let _ =
            writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", bottom + 34.0, self.below);
        for (place, curve) in self.curves.iter().enumerate() {
            curve.draw(svg, place, &x, &y);
        }
    }
}

impl Curve {
    fn drawn(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(x, y)| *x > 0.0 && *y > 0.0)
    }

    fn draw(&self, svg: &mut String, place: usize, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
        let line: Vec<_> = self.drawn().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let _ = writeln!(svg, "<polyline class=\"c{place}\" points=\"{}\"/>", line.join(" "));
        for point in self.drawn() {
            let label = format!("{}: {}", shown(point.0), shown(point.1));
            let _ = writeln!(
                svg,
                "<circle class=\"d{place}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{label}</title></circle>",
                x(point.0),
                y(point.1)
            );
        }
        let at = LEFT + 8.0 + 110.0 * place as f64;
        let _ = writeln!(
            svg,
            "<circle class=\"d{place}\" cx=\"{at}\" cy=\"28\" r=\"4\"/><text x=\"{}\" y=\"32\">{}</text>",
            at + 8.0,
            self.name
        );
    }
}

/// The label of a decade.
fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", value / 1e6)
    } else if value >= 1e3 {
        format!("{}k", value / 1e3)
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_whole_decades_and_logarithmic() {
        let axis = Axis::holding([20.0, 5000.0].into_iter(), 300.0);
        assert_eq!((axis.first, axis.last), (1, 4));
        assert!((axis.position(10.0), axis.position(10_000.0)) == (0.0, 300.0));
        assert!((axis.position(100.0) - 100.0).abs() < 1e-9);
        let flat = Axis::holding([10.0].into_iter(), 1.0);
        assert_eq!((flat.first, flat.last), (1, 2), "one value still has an axis");
    }

    #[test]
    fn drawing_has_every_point_above_zero() {
        let points = vec![(10.0, 1.5), (100.0, 15.0), (1000.0, 0.0)];
        let panel = Panel { title: "claim, ms", below: "contacts", curves: vec![Curve { name: "p50", points }] };
        let svg = draw(&[panel]);
        assert_eq!(svg.matches("<title>").count(), 2);
        assert!(svg.contains("<title>100: 15</title>") && !svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
