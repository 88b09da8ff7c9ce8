//! The figures as one table and as JSON. Only this module prints.

use comfy_table::{Cell, Table, presets};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// At least this fraction of the limit.
    FractionOfLimit(f64),
    /// At most this multiple of the limit.
    TimesLimit(f64),
}

#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The limit's name and value, measured in the same run and unit.
    pub(crate) limit: Option<(&'static str, f64)>,
    pub(crate) goals: Vec<Goal>,
    /// Sizes, and how the figure was measured.
    pub(crate) how: String,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, how: impl Into<String>) -> Self {
        Self { name: name.into(), value, unit, limit: None, goals: Vec::new(), how: how.into() }
    }

    pub(crate) fn beside(mut self, limit: &'static str, value: f64) -> Self {
        self.limit = Some((limit, value));
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    /// Whether all goals are met; none without goals.
    fn is_met(&self) -> Option<bool> {
        let met = |goal: &Goal| match *goal {
            Goal::AtLeast(least) => self.value >= least,
            Goal::AtMost(most) => self.value <= most,
            Goal::FractionOfLimit(fraction) => self.of_limit().is_some_and(|reached| reached >= fraction),
            Goal::TimesLimit(times) => self.of_limit().is_some_and(|reached| reached <= times),
        };
        (!self.goals.is_empty()).then(|| self.goals.iter().all(met))
    }

    /// The value as a multiple of the limit.
    fn of_limit(&self) -> Option<f64> {
        self.limit.map(|(_, limit)| self.value / limit)
    }

    fn goals_text(&self) -> String {
        let words = |goal: &Goal| match *goal {
            Goal::AtLeast(least) => format!(">= {}", shown(least)),
            Goal::AtMost(most) => format!("<= {}", shown(most)),
            Goal::FractionOfLimit(fraction) => format!(">= {fraction} x limit"),
            Goal::TimesLimit(times) => format!("<= {times} x limit"),
        };
        self.goals.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    fn met_text(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        }
    }

    fn json(&self) -> Value {
        json!({
            "figure": self.name, "value": self.value, "unit": self.unit,
            "limit": self.limit.map(|(_, value)| value), "limit_is": self.limit.map(|(name, _)| name),
            "share_of_limit": self.of_limit(), "goal": self.goals_text(), "met": self.is_met(), "note": self.how,
        })
    }
}

pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["measure", "figure", "limit beside it", "share", "goal", "", "how"]);
    for figure in figures {
        let limit = figure.limit.map_or_else(String::new, |(name, value)| format!("{} ({name})", shown(value)));
        table.add_row(vec![
            Cell::new(&figure.name),
            Cell::new(format!("{} {}", shown(figure.value), figure.unit)),
            Cell::new(limit),
            Cell::new(figure.of_limit().map_or_else(String::new, |fraction| format!("{fraction:.2}"))),
            Cell::new(figure.goals_text()),
            Cell::new(figure.met_text()),
            Cell::new(&figure.how),
        ]);
    }
    table.to_string()
}

/// All figures as JSON, with the number of cores and the sizes.
pub(crate) fn document(figures: &[Figure], sizes: &str) -> Value {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({"sizes": sizes, "cores": cores, "figures": figures.iter().map(Figure::json).collect::<Vec<_>>()})
}

/// A number with three significant digits.
pub(crate) fn shown(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let digits = format!("{size:.0}");
        let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
        return if value < 0.0 { format!("-{grouped}") } else { grouped };
    }
    let decimals = if size >= 100.0 || size.fract() == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}

#[expect(clippy::print_stdout, reason = "results go to stdout")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "progress goes to stderr, apart from the results")]
pub(crate) fn progress(text: &str) {
    eprintln!("bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let cases = [(1_234_567.4, "1,234,567"), (1000.0, "1,000"), (123.4, "123"), (12.34, "12.3"), (0.034, "0.034")];
        for (value, expected) in cases {
            assert_eq!(shown(value), expected);
        }
        assert_eq!((shown(3.0), shown(-1500.0)), ("3".to_owned(), "-1,500".to_owned()));
    }

    #[test]
    fn figure_is_met_when_all_its_goals_are() {
        let figure = Figure::new("sends", 9000.0, "/s", "").beside("bare loop", 20_000.0);
        assert_eq!(figure.is_met(), None);
        let fraction = figure.goal(Goal::FractionOfLimit(0.3));
        assert_eq!(fraction.is_met(), Some(true));
        assert_eq!(fraction.goal(Goal::AtLeast(10_000.0)).met_text(), "MISSED");
        let slower = Figure::new("claim", 3.0, "ms", "").beside("small", 1.0).goal(Goal::TimesLimit(2.0));
        assert_eq!(slower.is_met(), Some(false));
    }
}
