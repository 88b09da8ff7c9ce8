//! What was measured, as one table and as JSON. The only place that prints.

use comfy_table::{Cell, Table, presets};
use serde_json::{Value, json};

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
    /// At least this part of the limit.
    ShareOfLimit(f64),
    /// At most so many times the limit.
    TimesLimit(f64),
}

/// One figure, beside its limit where it has one.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// How much of it.
    pub(crate) value: f64,
    /// In what.
    pub(crate) unit: &'static str,
    /// What bounds it, measured in the same run: its name and its value in the same unit.
    pub(crate) limit: Option<(&'static str, f64)>,
    /// What it must be; all of them.
    pub(crate) goals: Vec<Goal>,
    /// Sizes, and how it was measured.
    pub(crate) note: String,
}

impl Figure {
    /// A figure without limit and goal.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, note: impl Into<String>) -> Self {
        Self { name: name.into(), value, unit, limit: None, goals: Vec::new(), note: note.into() }
    }

    /// Beside its limit.
    pub(crate) fn beside(mut self, limit: &'static str, value: f64) -> Self {
        self.limit = Some((limit, value));
        self
    }

    /// With one more goal.
    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    /// Whether it is what it must be; none where nothing is asked.
    fn is_met(&self) -> Option<bool> {
        let met = |goal: &Goal| match *goal {
            Goal::AtLeast(least) => self.value >= least,
            Goal::AtMost(most) => self.value <= most,
            Goal::ShareOfLimit(share) => self.share().is_some_and(|reached| reached >= share),
            Goal::TimesLimit(times) => self.share().is_some_and(|reached| reached <= times),
        };
        (!self.goals.is_empty()).then(|| self.goals.iter().all(met))
    }

    fn share(&self) -> Option<f64> {
        self.limit.map(|(_, limit)| self.value / limit)
    }

    fn wanted(&self) -> String {
        let words = |goal: &Goal| match *goal {
            Goal::AtLeast(least) => format!(">= {}", shown(least)),
            Goal::AtMost(most) => format!("<= {}", shown(most)),
            Goal::ShareOfLimit(share) => format!(">= {share} x limit"),
            Goal::TimesLimit(times) => format!("<= {times} x limit"),
        };
        self.goals.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    fn verdict(&self) -> &'static str {
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
            "share_of_limit": self.share(), "goal": self.wanted(), "met": self.is_met(), "note": self.note,
        })
    }
}

/// All figures as a table.
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
            Cell::new(figure.share().map_or_else(String::new, |share| format!("{share:.2}"))),
            Cell::new(figure.wanted()),
            Cell::new(figure.verdict()),
            Cell::new(&figure.note),
        ]);
    }
    table.to_string()
}

/// All figures as JSON, with the machine and the sizes.
pub(crate) fn document(figures: &[Figure], sizes: &str) -> Value {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({"sizes": sizes, "cores": cores, "figures": figures.iter().map(Figure::json).collect::<Vec<_>>()})
}

/// A number as people read it: three digits that count.
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

/// Prints a result.
#[expect(clippy::print_stdout, reason = "this is where the results are printed")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// Says what is being done.
#[expect(clippy::print_stderr, reason = "beside the results, for whoever waits")]
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        let cases = [(1_234_567.4, "1,234,567"), (1000.0, "1,000"), (123.4, "123"), (12.34, "12.3"), (0.034, "0.034")];
        for (value, expected) in cases {
            assert_eq!(shown(value), expected);
        }
        assert_eq!((shown(3.0), shown(-1500.0)), ("3".to_owned(), "-1,500".to_owned()));
    }

    #[test]
    fn a_figure_is_met_when_all_its_goals_are() {
        let figure = Figure::new("sends", 9000.0, "/s", "").beside("bare loop", 20_000.0);
        assert_eq!(figure.is_met(), None);
        let share = figure.goal(Goal::ShareOfLimit(0.3));
        assert_eq!(share.is_met(), Some(true));
        assert_eq!(share.goal(Goal::AtLeast(10_000.0)).verdict(), "MISSED");
        let slower = Figure::new("claim", 3.0, "ms", "").beside("small", 1.0).goal(Goal::TimesLimit(2.0));
        assert_eq!(slower.is_met(), Some(false));
    }
}
