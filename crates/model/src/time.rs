//! Points in time as Docker prints and reads them: RFC 3339 with up to nine digits, trailing zeros trimmed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ErrorKind, Fault};

/// A text that is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid timestamp: {0:?}")]
pub struct TimeError(pub String);

impl Fault for TimeError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// A point in time, in nanoseconds. `Default` is Go's zero time, `0001-01-01T00:00:00Z`, which Docker writes for
/// "never".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// Seconds from the epoch back to 0001-01-01T00:00:00Z.
const ZERO_SECOND: i64 = -62_135_596_800;

impl Timestamp {
    /// Go's zero time, `0001-01-01T00:00:00Z`.
    pub const ZERO: Timestamp = Timestamp(jiff::Timestamp::constant(ZERO_SECOND, 0));

    /// The present.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Whether this is Go's zero time.
    pub fn is_zero(self) -> bool {
        self.0.as_second() == ZERO_SECOND && self.0.subsec_nanosecond() == 0
    }

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// [`TimeError`] with the text.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(Self)
            .map_err(|_| TimeError(text.to_owned()))
    }

    /// The point that many seconds and nanoseconds after the epoch; `None` outside of the years -9999 to 9999.
    pub fn from_unix(seconds: i64, nanoseconds: i32) -> Option<Self> {
        jiff::Timestamp::new(seconds, nanoseconds).ok().map(Self)
    }

    /// Reads `seconds` or `seconds.nanoseconds` since the epoch: what clients put in `since` and `until`.
    ///
    /// # Errors
    /// [`TimeError`] with the text.
    pub fn parse_unix(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError(text.to_owned());
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = seconds.parse().map_err(|_| error())?;
        let mut nanoseconds = 0;
        if !fraction.is_empty() {
            if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return Err(error());
            }
            nanoseconds = format!("{fraction:0<9}").parse().map_err(|_| error())?;
        }
        Self::from_unix(seconds, nanoseconds).ok_or_else(error)
    }

    /// Reads a time as `until` filters have it: seconds since the epoch, RFC 3339, a date, a date and time of this
    /// machine's zone, or how long before `now` (`24h`).
    ///
    /// # Errors
    /// [`TimeError`] with the text.
    pub fn parse_relative(text: &str, now: Timestamp) -> Result<Self, TimeError> {
        let error = || TimeError(text.to_owned());
        if let Ok(ago) = crate::units::parse_duration(text) {
            let ago = jiff::SignedDuration::try_from(ago).map_err(|_| error())?;
            return now.0.checked_sub(ago).map(Self).map_err(|_| error());
        }
        if let Ok(time) = Self::parse_unix(text).or_else(|_| Self::parse(text)) {
            return Ok(time);
        }
        // A date, or a date with a time to the hour, the minute or the second.
        let full = match text.len() {
            10 => format!("{text}T00:00:00"),
            13 => format!("{text}:00:00"),
            16 => format!("{text}:00"),
            _ => text.to_owned(),
        };
        let civil: jiff::civil::DateTime = full.parse().map_err(|_| error())?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::system());
        zoned
            .map(|time| Self(time.timestamp()))
            .map_err(|_| error())
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Nanoseconds since the epoch, held at the ends of `i64` (the years 1677 and 2262).
    pub fn nanoseconds(self) -> i64 {
        let value = self.0.as_nanosecond();
        i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
    }

    /// The value of the time library.
    pub fn inner(self) -> jiff::Timestamp {
        self.0
    }

    /// What lies between an earlier point and this one; nothing when it is not earlier.
    pub fn since(self, earlier: Timestamp) -> std::time::Duration {
        self.0
            .duration_since(earlier.0)
            .try_into()
            .unwrap_or_default()
    }

    /// Without a fraction, as volumes show when they were made.
    pub fn whole_seconds(self) -> String {
        format!("{:.0}", self.0)
    }

    /// With exactly nine digits of fraction, as `docker logs --timestamps` prints.
    pub fn fixed(self) -> String {
        format!("{:.9}", self.0)
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(value: jiff::Timestamp) -> Self {
        Self(value)
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(value: std::time::SystemTime) -> Self {
        jiff::Timestamp::try_from(value).map_or_else(|_| Self::ZERO, Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // jiff prints RFC 3339 in UTC with as many digits as needed, which is Go's RFC3339Nano.
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_how_long_ago() {
        let now = Timestamp::parse("2026-08-05T10:00:00Z").unwrap();
        for (text, expected) in [
            ("24h", "2026-08-04T10:00:00Z"),
            ("10m30s", "2026-08-05T09:49:30Z"),
            ("1785924000", "2026-08-05T10:00:00Z"),
            ("2026-08-05T12:00:00+02:00", "2026-08-05T10:00:00Z"),
        ] {
            let time = Timestamp::parse_relative(text, now).unwrap();
            assert_eq!(time.to_string(), expected, "{text}");
        }
        for date in [
            "2026-08-05",
            "2026-08-05T10",
            "2026-08-05T10:11",
            "2026-08-05T10:11:12",
        ] {
            assert!(Timestamp::parse_relative(date, now).is_ok(), "{date}");
        }
        for bad in ["", "yesterday", "2026-13-01", "5 minutes"] {
            assert!(Timestamp::parse_relative(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn prints_as_go_does() {
        for text in [
            "0001-01-01T00:00:00Z",
            "2026-08-05T10:00:00.12Z",
            "2026-08-05T10:00:00.123456789Z",
            "1970-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Timestamp::parse("2026-08-05T12:00:00.120+02:00")
                .unwrap()
                .to_string(),
            "2026-08-05T10:00:00.12Z"
        );
        assert_eq!(Timestamp::default().to_string(), "0001-01-01T00:00:00Z");
        assert!(Timestamp::default().is_zero());
        assert!(!Timestamp::now().is_zero());
        assert_eq!(
            Timestamp::parse("2026-08-05T10:00:00.12Z").unwrap().fixed(),
            "2026-08-05T10:00:00.120000000Z"
        );
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn reads_decimal_seconds() {
        let time = Timestamp::parse_unix("1136073600.000000001").unwrap();
        assert_eq!(time.to_string(), "2006-01-01T00:00:00.000000001Z");
        assert_eq!(
            Timestamp::parse_unix("12.5").unwrap().nanoseconds(),
            12_500_000_000
        );
        for bad in ["", "x", "1.x", "1.0000000001", "99999999999999"] {
            assert!(Timestamp::parse_unix(bad).is_err(), "{bad}");
        }
    }
}
