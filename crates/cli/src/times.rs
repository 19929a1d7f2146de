//! Times on the command line: a moment, or how long ago.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time as the API wants it: seconds since the epoch with nine digits after the point, or what the daemon understands.
pub(crate) fn api(text: &str) -> Result<String, String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    at(text, now)
}

fn at(text: &str, now: Duration) -> Result<String, String> {
    // A bare 0 is the epoch.
    if text != "0"
        && let Ok(ago) = crate::args::check::parse_duration(text)
    {
        let now = i128::try_from(now.as_nanos()).unwrap_or_default();
        return Ok(seconds(now - i128::from(ago)));
    }
    let bad = || {
        format!(
            "failed to parse value as time or duration: {}",
            crate::quote(text)
        )
    };
    // A number is the epoch's already; so is one with a fraction.
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole_fits = whole.parse::<i64>().is_ok();
        return if whole_fits && !fraction.contains('.') {
            Ok(text.to_owned())
        } else {
            Err(bad())
        };
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(seconds(time.as_nanosecond()));
    }
    // Without a zone it is the one of this machine: a date, or a date with a time to the hour, minute or second.
    let normal = match text.len() {
        10 => format!("{text}T00:00:00"),
        13 => format!("{text}:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let civil: jiff::civil::DateTime = normal.parse().map_err(|_| bad())?;
    let zoned = civil
        .to_zoned(jiff::tz::TimeZone::system())
        .map_err(|_| bad())?;
    Ok(seconds(zoned.timestamp().as_nanosecond()))
}

fn seconds(nanoseconds: i128) -> String {
    let whole = nanoseconds.div_euclid(1_000_000_000);
    format!("{whole}.{:09}", nanoseconds.rem_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_durations_are_read() {
        let now = Duration::from_secs(1_000_000_000);
        assert_eq!(at("1m30s", now).unwrap(), "999999910.000000000");
        assert_eq!(at("1500000000.5", now).unwrap(), "1500000000.5");
        assert_eq!(at("0", now).unwrap(), "0");
        assert_eq!(
            at("2013-01-02T13:23:37Z", now).unwrap(),
            "1357133017.000000000"
        );
        assert_eq!(
            at("2013-01-02T13:23:37.5+01:00", now).unwrap(),
            "1357129417.500000000"
        );
        assert!(at("2013-01-02", now).is_ok() && at("2013-01-02T13:23", now).is_ok());
        assert_eq!(
            at("foo", now).unwrap_err(),
            r#"failed to parse value as time or duration: "foo""#
        );
    }
}
