//! `regua hours`: shows and replaces a tenant's business hours, in which overdue and upcoming messages are sent.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::client::TenantArguments;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a tenant's business hours
    #[command(after_help = "Example:\n  regua hours show --tenant acme")]
    Show(TenantArguments),
    /// Replace a tenant's business hours; days that are not named are closed
    #[command(
        after_help = "Example:\n  regua hours set --tenant acme mon-fri=08:00-12:00 mon-fri=13:00-18:00 sat=09:00-12:00"
    )]
    Set {
        #[command(flatten)]
        target: TenantArguments,
        /// Days, the opening time and the closing time: mon-fri=08:00-18:00
        #[arg(required = true, value_name = "DAYS=OPENS-CLOSES")]
        hours: Vec<Hours>,
    },
}

/// The same hours on some days of a week. The API checks the times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hours(Vec<Open>);

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (days, hours) = text.split_once('=')?;
            let (first, last) = days.split_once('-').unwrap_or((days, days));
            let weekday = |name: &str| DAYS.iter().position(|day| name.eq_ignore_ascii_case(day)).map(|day| day + 1);
            let weekdays = weekday(first)?..=weekday(last)?;
            let (opens, closes) = hours.split_once('-')?;
            let open = |weekday| Open { weekday, opens: opens.to_owned(), closes: closes.to_owned() };
            (!weekdays.is_empty()).then(|| Self(weekdays.map(open).collect()))
        };
        read().ok_or("write it as mon-fri=08:00-18:00 or sat=09:00-12:00")
    }
}

/// The hours of a week: the answer, and the request.
#[derive(Deserialize, Serialize)]
struct Week {
    items: Vec<Open>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Open {
    /// 1 is Monday.
    weekday: usize,
    opens: String,
    closes: String,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let path = "/admin/hours";
    let (week, target): (Week, TenantArguments) = match command {
        Command::Show(target) => (target.client().await?.get(path).await?, target),
        Command::Set { target, hours } => {
            let week = Week { items: hours.into_iter().flat_map(|Hours(days)| days).collect() };
            (target.client().await?.put(path, &week).await?, target)
        }
    };
    target.format.listing(&week.items, ["DAY", "OPENS", "CLOSES"], |open| {
        let day = open.weekday.checked_sub(1).and_then(|day| DAYS.get(day)).unwrap_or(&"");
        [(*day).to_owned(), open.opens.clone(), open.closes.clone()]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_one_day_or_a_range_in_week_order() {
        let days = |text: &str| {
            let hours = text.parse::<Hours>()?;
            Ok::<_, &str>(hours.0.iter().map(|open| open.weekday).collect::<Vec<_>>())
        };
        assert_eq!(days("mon-fri=08:00-18:00").unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(days("SUN=08:00-18:00").unwrap(), [7]);
        for odd in ["", "mon", "mon=08:00", "fri-mon=08:00-18:00", "seg=08:00-18:00", "mon-=08:00-18:00"] {
            assert!(days(odd).is_err(), "{odd}");
        }
    }
}
