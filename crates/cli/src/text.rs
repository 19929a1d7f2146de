//! Short ids, ellipses and ages: texts for people.

/// The first twelve digits of an id, without its algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let digits = id.split_once(':').map_or(id, |(_, digits)| digits);
    digits.get(..12).unwrap_or(digits)
}

/// At most `room` characters; what is left out shows as an ellipsis, which is one of them.
pub(crate) fn ellipsis(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('\u{2026}');
    short
}

/// `3 minutes ago`.
pub(crate) fn ago(seconds: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    // Clocks differ: what is not made yet was made just now.
    let since = now.saturating_sub(seconds).max(0).unsigned_abs();
    format!(
        "{} ago",
        onggi_model::units::human_duration(std::time::Duration::from_secs(since))
    )
}

/// The time between two moments, for people: `3 minutes`.
pub(crate) fn span(from: jiff::Timestamp, to: jiff::Timestamp) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0);
    let span = std::time::Duration::from_secs(seconds.unsigned_abs());
    let text = onggi_model::units::human_duration(span);
    // It goes on in the middle of a line.
    text.replacen("Less", "less", 1)
        .replacen("About", "about", 1)
}

/// A word for a shell: quoted where it has to be.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `2026-11-21 03:56:14 +0000 UTC`, in the zone of this machine.
pub(crate) fn local_time(seconds: i64) -> String {
    let timestamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    timestamp
        .to_zoned(zone())
        .strftime("%Y-%m-%d %H:%M:%S %z %Z")
        .to_string()
}

/// A time of the API as Go prints one: `2026-11-21 19:26:10.195213265 +0000 UTC`; what is no time, as it is.
pub(crate) fn go_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time
            .to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%Y-%m-%d %H:%M:%S%.f %z %Z")
            .to_string(),
        Err(_) => text.to_owned(),
    }
}

/// `2026-11-21T03:56:14Z`, in the zone of this machine.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let timestamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    with_zone(&timestamp.to_zoned(zone()), "%Y-%m-%dT%H:%M:%S")
}

/// `2026-11-21T03:56:14.123456789Z`, always with nine digits, in the zone of this machine.
pub(crate) fn rfc3339_nano(nanoseconds: i64) -> String {
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default();
    with_zone(&timestamp.to_zoned(zone()), "%Y-%m-%dT%H:%M:%S.%9f")
}

fn with_zone(time: &jiff::Zoned, format: &str) -> String {
    if time.offset().is_zero() {
        return format!("{}Z", time.strftime(format));
    }
    time.strftime(&format!("{format}%:z")).to_string()
}

/// The zone of this machine; one without a name is UTC, as for Go.
fn zone() -> jiff::tz::TimeZone {
    let zone = jiff::tz::TimeZone::system();
    if zone.is_unknown() {
        jiff::tz::TimeZone::UTC
    } else {
        zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened() {
        assert_eq!(short_id("sha256:9597bd77e3a77461"), "9597bd77e3a7");
        assert_eq!(short_id("busybox"), "busybox");
        assert_eq!(
            ellipsis("sh -c 'echo out; echo err'", 20),
            "sh -c 'echo out; ec\u{2026}"
        );
        assert_eq!(ellipsis("short", 20), "short");
    }
}
