//! Sizes and durations as Docker prints and reads them.

use std::time::Duration;

use crate::{ErrorKind, Fault};

/// Why a text is no size or duration. Texts as Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitsError {
    /// No digit in it, or negative.
    #[error("invalid size: '{0}'")]
    Size(String),
    /// The number before the unit is none.
    #[error("strconv.ParseFloat: parsing {0:?}: invalid syntax")]
    Number(String),
    /// An unknown unit.
    #[error("invalid suffix: '{0}'")]
    Suffix(String),
    /// No duration of Go.
    #[error("time: invalid duration {0:?}")]
    Duration(String),
}

impl Fault for UnitsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// `4.27MB`: units of 1000, four significant digits.
pub fn human_size(size: f64) -> String {
    human_size_with_precision(size, 4)
}

/// [`human_size`] with that many significant digits (`docker images` has 3).
pub fn human_size_with_precision(size: f64, precision: usize) -> String {
    scale(size, 1000.0, precision, &DECIMAL)
}

/// `1.5GiB`: units of 1024, four significant digits.
pub fn bytes_size(size: f64) -> String {
    scale(size, 1024.0, 4, &BINARY)
}

fn scale(mut size: f64, base: f64, precision: usize, units: &[&str]) -> String {
    let mut unit = 0;
    while size >= base && unit < units.len() - 1 {
        size /= base;
        unit += 1;
    }
    format!("{}{}", general(size, precision), units[unit])
}

/// A number as C's and Go's `%.*g` print it.
pub fn general(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            value.to_string()
        };
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.decimals$}")).to_owned()
}

fn trim(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Reads `512m`, `1.5GiB`, `64 kb` in units of 1024.
///
/// # Errors
/// [`UnitsError`] with Docker's text.
pub fn ram_in_bytes(text: &str) -> Result<i64, UnitsError> {
    size(text, 1024.0)
}

/// Reads `10MB` in units of 1000.
///
/// # Errors
/// [`UnitsError`] with Docker's text.
pub fn from_human_size(text: &str) -> Result<i64, UnitsError> {
    size(text, 1000.0)
}

fn size(text: &str, base: f64) -> Result<i64, UnitsError> {
    let end = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
        .ok_or_else(|| UnitsError::Size(text.to_owned()))?;
    let (number, suffix) = (&text[..=end], &text[end + 1..]);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let well_formed = number
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let value: f64 = number
        .parse()
        .ok()
        .filter(|_| well_formed)
        .ok_or_else(|| UnitsError::Number(number.to_owned()))?;
    if value < 0.0 {
        return Err(UnitsError::Size(text.to_owned()));
    }
    let suffix = suffix.to_ascii_lowercase();
    let bad = || UnitsError::Suffix(suffix.clone());
    let power = match suffix.bytes().next() {
        None | Some(b'b') if suffix.len() <= 1 => 0,
        Some(b'k') => 1,
        Some(b'm') => 2,
        Some(b'g') => 3,
        Some(b't') => 4,
        Some(b'p') => 5,
        _ => return Err(bad()),
    };
    if power > 0 && !matches!(&suffix[1..], "" | "b" | "ib") {
        return Err(bad());
    }
    Ok((value * base.powi(power)) as i64)
}

/// `3 minutes`, `About an hour`, `Less than a second`: how long ago something was.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    let exact_hours = duration.as_secs_f64() / 3600.0;
    let hours = (exact_hours + 0.5) as u64;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", exact_hours as u64 / 24 / 365),
    }
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `100ms`, `0s`.
pub fn go_duration(duration: Duration) -> String {
    let fraction = |whole: u64, part: u64, digits: usize| match part {
        0 => whole.to_string(),
        part => {
            let text = format!("{part:0digits$}");
            format!("{whole}.{}", text.trim_end_matches('0'))
        }
    };
    let (seconds, nanos) = (duration.as_secs(), u64::from(duration.subsec_nanos()));
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
            _ => format!("{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
        };
    }
    let rest = fraction(seconds % 60, nanos, 9);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Reads a duration of Go: `300ms`, `1.5h`, `2h45m`, `0`. Negative ones are refused by the return type.
///
/// # Errors
/// [`UnitsError::Duration`] with Go's text.
pub fn parse_duration(text: &str) -> Result<Duration, UnitsError> {
    let error = || UnitsError::Duration(text.to_owned());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(error());
    }
    let mut total: f64 = 0.0;
    let mut whole: u128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(error)?;
        let number = &rest[..end];
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let nanoseconds: u64 = match &rest[..end] {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(error()),
        };
        rest = &rest[end..];
        let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (integer.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(error());
        }
        if !integer.is_empty() {
            let integer: u64 = integer.parse().map_err(|_| error())?;
            whole += u128::from(integer) * u128::from(nanoseconds);
        }
        if !fraction.is_empty() {
            let fraction: f64 = format!("0.{fraction}").parse().map_err(|_| error())?;
            total += fraction * nanoseconds as f64;
        }
    }
    let whole = u64::try_from(whole)
        .ok()
        .filter(|n| *n <= i64::MAX as u64)
        .ok_or_else(error)?;
    Ok(Duration::from_nanos(whole) + Duration::from_nanos(total as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_as_docker_prints_them() {
        assert_eq!(human_size(0.0), "0B");
        assert_eq!(human_size(4_268_000.0), "4.268MB");
        assert_eq!(human_size_with_precision(4_268_000.0, 3), "4.27MB");
        assert_eq!(human_size_with_precision(1000.0, 3), "1kB");
        assert_eq!(human_size_with_precision(999_900.0, 3), "1e+03kB");
        assert_eq!(human_size_with_precision(77_800_000.0, 3), "77.8MB");
        assert_eq!(human_size(-1.0), "-1B");
        assert_eq!(bytes_size(1024.0 * 1024.0 * 1024.0 * 1.5), "1.5GiB");
        assert_eq!(bytes_size(1023.0), "1023B");
        assert_eq!(general(0.0001234, 3), "0.000123");
        assert_eq!(general(0.00001234, 3), "1.23e-05");
        assert_eq!(general(100.0, 3), "100");
    }

    #[test]
    fn sizes_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32 << 10),
            ("32KB", 32 << 10),
            ("32 kib", 32 << 10),
            ("512m", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("0.5g", 1 << 29),
            ("1t", 1 << 40),
            ("32.5kB", 33280),
        ] {
            assert_eq!(ram_in_bytes(text).unwrap(), bytes, "{text}");
        }
        assert_eq!(from_human_size("10MB").unwrap(), 10_000_000);
        for bad in [
            "", "hello", "-32", " 32 ", "32m b", "32bm", "32kbi", "32 mib b", "1e", ".",
        ] {
            assert!(ram_in_bytes(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            ram_in_bytes("1x").unwrap_err().to_string(),
            "invalid suffix: 'x'"
        );
        assert_eq!(
            ram_in_bytes("x").unwrap_err().to_string(),
            "invalid size: 'x'"
        );
    }

    #[test]
    fn durations_print_as_docker_prints_them() {
        let h = 3600;
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (180, "3 minutes"),
            (h, "About an hour"),
            (h + 40 * 60, "2 hours"),
            (47 * h, "47 hours"),
            (48 * h, "2 days"),
            (24 * 13 * h, "13 days"),
            (24 * 14 * h, "2 weeks"),
            (24 * 60 * h, "2 months"),
            (24 * 365 * 2 * h, "2 years"),
        ] {
            assert_eq!(
                human_duration(Duration::from_secs(seconds)),
                text,
                "{seconds}"
            );
        }
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), expected);
        }
    }

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            ("1us", 1_000),
            ("+5s", 5_000_000_000),
        ] {
            assert_eq!(
                parse_duration(text).unwrap().as_nanos(),
                nanoseconds,
                "{text}"
            );
        }
        for bad in ["", "5", "s", "-5s", "1x", ".s", "1..5s", "99999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }
}
