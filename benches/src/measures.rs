//! The measures, one file each.

pub(crate) mod claim;
mod doorbell;
pub(crate) mod intake;
mod lanes;
mod latency;
mod pause;
pub(crate) mod sends;
pub(crate) mod stored;

use crate::report::Figure;
use crate::sizes::Sizes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Intake,
    Latency,
    Sends,
    OneInstance,
    Lanes,
    Doorbell,
    Pause,
    Stored,
}

impl Measure {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::Intake,
        Self::Latency,
        Self::Sends,
        Self::OneInstance,
        Self::Lanes,
        Self::Doorbell,
        Self::Pause,
        Self::Stored,
    ];

    /// The name for `--only`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Latency => "latency",
            Self::Sends => "sends",
            Self::OneInstance => "one-number",
            Self::Lanes => "lanes",
            Self::Doorbell => "doorbell",
            Self::Pause => "pause",
            Self::Stored => "stored",
        }
    }

    pub(crate) async fn run(self, sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
        match self {
            Self::Intake => intake::measure(sizes).await,
            Self::Latency => latency::measure(sizes).await,
            Self::Sends => sends::many_instances(sizes).await,
            Self::OneInstance => sends::one_instance(sizes).await,
            Self::Lanes => lanes::measure(sizes).await,
            Self::Doorbell => doorbell::measure(sizes).await,
            Self::Pause => pause::measure(sizes).await,
            Self::Stored => stored::measure(sizes).await,
        }
    }
}
