//! One interval of open hours.

const DAY_MINUTES: u16 = 24 * 60;

/// An interval of open hours on one weekday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenInterval {
    weekday: u8,
    opens_minute: u16,
    closes_minute: u16,
}

/// Monday to Friday, 08:00 to 18:00 (the product's requirements).
pub const DEFAULT_HOURS: [OpenInterval; 5] = [work_day(1), work_day(2), work_day(3), work_day(4), work_day(5)];

const fn work_day(weekday: u8) -> OpenInterval {
    OpenInterval { weekday, opens_minute: 8 * 60, closes_minute: 18 * 60 }
}

impl OpenInterval {
    /// `weekday` is ISO (1 is Monday, 7 Sunday). Minutes count from midnight, up to 1440. The closing minute is closed.
    /// A night shift is two intervals, because an interval ends with its day.
    pub fn new(weekday: u8, opens_minute: u16, closes_minute: u16) -> Result<Self, OpenIntervalError> {
        if !(1..=7).contains(&weekday) {
            return Err(OpenIntervalError::Weekday { weekday });
        }
        if closes_minute > DAY_MINUTES {
            return Err(OpenIntervalError::PastMidnight);
        }
        if opens_minute >= closes_minute {
            return Err(OpenIntervalError::Empty);
        }
        Ok(Self { weekday, opens_minute, closes_minute })
    }

    pub(super) const fn whole_day(weekday: u8) -> Self {
        Self { weekday, opens_minute: 0, closes_minute: DAY_MINUTES }
    }

    /// 1 is Monday, 7 Sunday.
    pub const fn weekday(&self) -> u8 {
        self.weekday
    }

    /// The first open minute, from midnight.
    pub const fn opens_minute(&self) -> u16 {
        self.opens_minute
    }

    /// The first closed minute, from midnight; at most 1440.
    pub const fn closes_minute(&self) -> u16 {
        self.closes_minute
    }

    pub(super) fn contains(&self, minute: u32) -> bool {
        (u32::from(self.opens_minute)..u32::from(self.closes_minute)).contains(&minute)
    }
}

input_error! {
    /// Why values are not an interval.
    pub enum OpenIntervalError {
        Weekday { weekday: u8 } = "hours_weekday", "weekday {weekday} is not between 1 (Monday) and 7 (Sunday)";
        PastMidnight = "hours_past_midnight", "an interval ends at 24:00 (minute 1440) at the latest";
        Empty = "hours_empty", "an interval must open before it closes";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_is_within_one_day() {
        for (weekday, opens, closes, code) in [
            (0, 480, 1080, "hours_weekday"),
            (8, 480, 1080, "hours_weekday"),
            (1, 480, 1441, "hours_past_midnight"),
            (1, 480, 480, "hours_empty"),
            (1, 1080, 480, "hours_empty"),
        ] {
            assert_eq!(OpenInterval::new(weekday, opens, closes).unwrap_err().code(), code);
        }
        assert!(OpenInterval::new(7, 0, 1440).is_ok());
    }
}
