//! Is this text a value of that flag? Each check answers with Docker's words for what is wrong.

use crate::quote;

type Checked = Result<(), String>;

pub(crate) fn anything(_: &str) -> Checked {
    Ok(())
}

pub(crate) fn boolean(text: &str) -> Checked {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE"
        | "False" => Ok(()),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quote(text)
        )),
    }
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
pub(crate) fn parse_int(text: &str) -> Result<i64, String> {
    let fail = |what: &str| format!("strconv.ParseInt: parsing {}: {what}", quote(text));
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = magnitude(digits).map_err(fail)?;
    let signed = if negative {
        -i128::from(magnitude)
    } else {
        i128::from(magnitude)
    };
    i64::try_from(signed).map_err(|_| fail("value out of range"))
}

/// Go's `strconv.ParseUint(text, 0, bits)`.
pub(crate) fn parse_uint(text: &str, bits: u32) -> Result<u64, String> {
    let fail = |what: &str| format!("strconv.ParseUint: parsing {}: {what}", quote(text));
    let n = magnitude(text).map_err(fail)?;
    if bits < 64 && n >> bits != 0 {
        return Err(fail("value out of range"));
    }
    Ok(n)
}

/// Digits with Go's prefixes (0x, 0b, 0o, 0) and underscores between digits of prefixed numbers.
fn magnitude(text: &str) -> Result<u64, &'static str> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits, prefixed) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest, true)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest, true)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest, true)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..], true)
    } else {
        (10, lower.as_str(), false)
    };
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let underscores_fit = plain.len() == digits.len()
        || (prefixed && !digits.ends_with('_') && !digits.contains("__"));
    if plain.is_empty() || !underscores_fit || !plain.chars().all(|c| c.is_digit(radix)) {
        return Err("invalid syntax");
    }
    u64::from_str_radix(&plain, radix).map_err(|_| "value out of range")
}

pub(crate) fn int(text: &str) -> Checked {
    parse_int(text).map(drop)
}

pub(crate) fn uint(text: &str) -> Checked {
    parse_uint(text, 64).map(drop)
}

pub(crate) fn uint16(text: &str) -> Checked {
    parse_uint(text, 16).map(drop)
}

pub(crate) fn bytes(text: &str) -> Checked {
    onggi_model::units::ram_in_bytes(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// `-1` or a size.
pub(crate) fn swap_bytes(text: &str) -> Checked {
    if text == "-1" { Ok(()) } else { bytes(text) }
}

pub(crate) fn duration(text: &str) -> Checked {
    parse_duration(text).map(drop)
}

/// A duration of Go in nanoseconds, with a sign.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let (sign, bare) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    match onggi_model::units::parse_duration(bare) {
        Ok(duration) => i64::try_from(duration.as_nanos())
            .map(|nanos| sign * nanos)
            .map_err(|_| format!("time: invalid duration {}", quote(text))),
        Err(error) => {
            let tail = bare.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
            let unit = tail.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            Err(
                if !bare.is_empty() && bare.ends_with(|c: char| c.is_ascii_digit()) {
                    format!("time: missing unit in duration {}", quote(text))
                } else if !unit.is_empty() && bare.starts_with(|c: char| c.is_ascii_digit()) {
                    format!(
                        "time: unknown unit {} in duration {}",
                        quote(unit),
                        quote(text)
                    )
                } else {
                    error.to_string()
                },
            )
        }
    }
}

/// A decimal number of CPUs, with at most nine digits after the point.
pub(crate) fn cpus(text: &str) -> Checked {
    parse_cpus(text).map(drop)
}

/// The same in billionths.
pub(crate) fn parse_cpus(text: &str) -> Result<i64, String> {
    let fail = || format!("failed to parse {text} as a rational number");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some((over, under)) = digits.split_once('/') {
        let (over, under): (i128, i128) = (
            over.parse().map_err(|_| fail())?,
            under.parse().map_err(|_| fail())?,
        );
        if under == 0 {
            return Err(fail());
        }
        if (over * 1_000_000_000) % under != 0 {
            return Err("value is too precise".to_owned());
        }
        return i64::try_from(sign * over * 1_000_000_000 / under).map_err(|_| fail());
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits_only = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits_only(whole) || !digits_only(fraction) {
        return Err(fail());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err("value is too precise".to_owned());
    }
    let padded = format!("{whole}{fraction:0<9}");
    padded
        .parse::<i64>()
        .map(|nano| sign as i64 * nano)
        .map_err(|_| fail())
}

pub(crate) fn filter(text: &str) -> Checked {
    if text.is_empty() || text.contains('=') {
        return Ok(());
    }
    Err("bad format of filter (expected name=value)".to_owned())
}

/// `KEY=VALUE` or `KEY` of a label.
pub(crate) fn label(text: &str) -> Checked {
    let key = text.split('=').next().unwrap_or_default();
    if key.trim().is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    Ok(())
}

/// `KEY=VALUE` or `KEY` of an environment.
pub(crate) fn env(text: &str) -> Checked {
    if text.split('=').next().unwrap_or_default().is_empty() {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

pub(crate) fn attach(text: &str) -> Checked {
    match text.to_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

pub(crate) fn ip(text: &str) -> Checked {
    text.trim()
        .parse::<std::net::IpAddr>()
        .map(drop)
        .map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

pub(crate) fn dns_search(text: &str) -> Checked {
    let trimmed = text.trim();
    if trimmed == "." {
        return Ok(());
    }
    let label = |part: &str| {
        let alphanumeric = |c: char| c.is_ascii_alphanumeric();
        !part.is_empty()
            && part.len() <= 63
            && part.starts_with(alphanumeric)
            && part.ends_with(alphanumeric)
            && part
                .chars()
                .all(|c| alphanumeric(c) || c == '-' || c == '_')
    };
    let has_letter = trimmed.contains(|c: char| c.is_ascii_alphabetic());
    if has_letter && trimmed.len() < 255 && trimmed.trim_end_matches('.').split('.').all(label) {
        return Ok(());
    }
    Err(format!("{text} is not a valid domain"))
}

pub(crate) fn extra_host(text: &str) -> Checked {
    parse_extra_host(text).map(drop)
}

/// `name:ip` or `name=ip`, with an address in brackets or `host-gateway`, as the API wants it: `name:ip`.
pub(crate) fn parse_extra_host(text: &str) -> Result<String, String> {
    let bad = || format!("bad format for add-host: {}", quote(text));
    let (name, address, assigned) = match text.split_once('=') {
        Some((name, address)) => (name, address, true),
        None => {
            let (name, address) = text.split_once(':').ok_or_else(bad)?;
            (name, address, false)
        }
    };
    if name.is_empty() || (assigned && name.contains(':')) {
        return Err(bad());
    }
    let bare = match address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner,
        None => address,
    };
    if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!(
            "invalid IP address in add-host: {}",
            quote(address)
        ));
    }
    Ok(format!("{name}:{bare}"))
}

/// One line of comma-separated values, as Go reads it.
pub(crate) fn strings(text: &str) -> Checked {
    let wrong =
        |column: usize, what: &str| Err(format!("parse error on line 1, column {column}: {what}"));
    const OPEN: &str = "extraneous or missing \" in quoted-field";
    let mut quoted = false;
    let mut start = true;
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        let next = letters.peek().map(|(_, c)| *c);
        match c {
            '"' if quoted => match next {
                Some('"') => drop(letters.next()),
                Some(',') | None => quoted = false,
                Some(_) => return wrong(at + 1, OPEN),
            },
            '"' if start => quoted = true,
            '"' => return wrong(at + 1, "bare \" in non-quoted-field"),
            _ => {}
        }
        start = c == ',' && !quoted;
    }
    if quoted {
        return wrong(text.len() + 1, OPEN);
    }
    Ok(())
}

pub(crate) fn link(text: &str) -> Checked {
    let parts = text.split(':').count();
    if text.is_empty() {
        return Err("empty string specified for links".to_owned());
    }
    if parts > 2 {
        return Err(format!("bad format for links: {text}"));
    }
    Ok(())
}

pub(crate) fn sysctl(text: &str) -> Checked {
    const EXACT: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.domainname",
    ];
    let refused = || format!("sysctl '{text}' is not allowed");
    let (key, _) = text.split_once('=').ok_or_else(refused)?;
    if EXACT.contains(&key) || key.starts_with("net.") || key.starts_with("fs.mqueue.") {
        return Ok(());
    }
    Err(refused())
}

pub(crate) fn device_weight(text: &str) -> Checked {
    let (path, weight) = device_pair(text)?;
    match weight.parse::<u16>() {
        Ok(0 | 10..=1000) if path.starts_with("/dev/") => Ok(()),
        Ok(_) if !path.starts_with("/dev/") => Err(format!("bad format for device path: {text}")),
        _ => Err(format!("invalid weight for device: {text}")),
    }
}

pub(crate) fn device_bytes(text: &str) -> Checked {
    let (path, rate) = device_pair(text)?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    match onggi_model::units::ram_in_bytes(rate) {
        Ok(n) if n >= 0 => Ok(()),
        _ => Err(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )),
    }
}

pub(crate) fn device_iops(text: &str) -> Checked {
    let (path, rate) = device_pair(text)?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    rate.parse::<u64>().map(drop).map_err(|_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    })
}

/// `PATH:VALUE`.
fn device_pair(text: &str) -> Result<(&str, &str), String> {
    match text.split_once(':') {
        Some((path, value)) if !path.is_empty() => Ok((path, value)),
        _ => Err(format!("bad format: {text}")),
    }
}

pub(crate) fn device_cgroup_rule(text: &str) -> Checked {
    let bad = || Err(format!("invalid device cgroup format '{text}'"));
    let mut parts = text.split(' ');
    let (Some(kind), Some(numbers), Some(access), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return bad();
    };
    let Some((major, minor)) = numbers.split_once(':') else {
        return bad();
    };
    let number = |n: &str| n == "*" || (!n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    let modes = (1..=3).contains(&access.len()) && access.chars().all(|c| "rwm".contains(c));
    if !matches!(kind, "a" | "b" | "c") || !number(major) || !number(minor) || !modes {
        return bad();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_go() {
        assert_eq!(parse_int("-12"), Ok(-12));
        assert_eq!(parse_int("0x1F"), Ok(31));
        assert_eq!(parse_int("010"), Ok(8));
        assert_eq!(parse_int("0b1_1"), Ok(3));
        assert_eq!(
            parse_int("1_000").unwrap_err(),
            r#"strconv.ParseInt: parsing "1_000": invalid syntax"#
        );
        assert_eq!(
            parse_int("").unwrap_err(),
            r#"strconv.ParseInt: parsing "": invalid syntax"#
        );
        assert_eq!(
            parse_int("9223372036854775808").unwrap_err(),
            r#"strconv.ParseInt: parsing "9223372036854775808": value out of range"#
        );
        assert!(uint16("65535").is_ok() && uint16("65536").is_err() && uint16("-1").is_err());
    }

    #[test]
    fn cpus_are_billionths() {
        for (text, nano) in [
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (".25", 250_000_000),
            ("1/2", 500_000_000),
        ] {
            assert_eq!(parse_cpus(text), Ok(nano), "{text}");
        }
        assert_eq!(
            parse_cpus("x").unwrap_err(),
            "failed to parse x as a rational number"
        );
        assert_eq!(
            parse_cpus("0.0000000001").unwrap_err(),
            "value is too precise"
        );
    }

    #[test]
    fn hosts_devices_and_sysctls() {
        assert_eq!(parse_extra_host("a:1.2.3.4"), Ok("a:1.2.3.4".to_owned()));
        assert_eq!(parse_extra_host("a=[::1]"), Ok("a:::1".to_owned()));
        assert_eq!(
            parse_extra_host("a:host-gateway"),
            Ok("a:host-gateway".to_owned())
        );
        assert_eq!(
            parse_extra_host("x").unwrap_err(),
            r#"bad format for add-host: "x""#
        );
        assert_eq!(
            parse_extra_host("a:x").unwrap_err(),
            r#"invalid IP address in add-host: "x""#
        );
        assert!(device_cgroup_rule("c 42:* rwm").is_ok());
        assert!(device_cgroup_rule("d 42:* rwm").is_err());
        assert!(device_weight("/dev/sda:100").is_ok() && device_weight("/dev/sda:5").is_err());
        assert!(sysctl("net.core.somaxconn=1").is_ok());
        assert_eq!(sysctl("x").unwrap_err(), "sysctl 'x' is not allowed");
    }
}
