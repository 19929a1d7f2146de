//! Pull policies that say how old an image may become: `daily`, `weekly`, `every_12h`, `refresh`.

use std::time::Duration;

use crate::error::Problem;
use crate::service::Service;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// How old the image of a service may become; nothing where its policy is none of these.
///
/// # Errors
/// A time that is none.
pub(super) fn period(service: &Service, policy: &str) -> Result<Option<Duration>, Problem> {
    let (key, text) = match policy {
        "daily" => return Ok(Some(Duration::from_secs(DAY))),
        "weekly" => return Ok(Some(Duration::from_secs(WEEK))),
        "refresh" => ("pull_refresh_after", service.pull_refresh_after.as_str()),
        policy => match policy.strip_prefix("every_") {
            Some(text) => ("pull_policy", text),
            None => return Ok(None),
        },
    };
    let period = parse(text).ok_or_else(|| {
        let mut problem = Problem::general(format!(
            "\"{text}\" is no time after which an image is pulled"
        ));
        problem.path = format!("services.{}.{key}", service.name);
        problem.hint("write it like 12h, 3d or 1w2d")
    })?;
    Ok(Some(period))
}

/// `1w2d`, `12h30m`
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes()[end] {
            b'w' => WEEK,
            b'd' => DAY,
            b'h' => HOUR,
            b'm' => MINUTE,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_say_how_old_an_image_may_become() {
        for (policy, after, wanted) in [
            ("daily", "", Some(DAY)),
            ("weekly", "", Some(WEEK)),
            ("every_12h", "", Some(12 * HOUR)),
            (
                "every_1w2d3h4m5s",
                "",
                Some(WEEK + 2 * DAY + 3 * HOUR + 4 * MINUTE + 5),
            ),
            ("refresh", "90m", Some(90 * MINUTE)),
            ("always", "90m", None),
            ("", "", None),
        ] {
            let service = Service {
                pull_refresh_after: after.to_owned(),
                ..Service::default()
            };
            let wanted = wanted.map(Duration::from_secs);
            assert_eq!(period(&service, policy), Ok(wanted), "{policy}");
        }
        for (policy, after) in [
            ("refresh", ""),
            ("refresh", "soon"),
            ("every_12", ""),
            ("every_", ""),
            ("every_1y", ""),
        ] {
            let service = Service {
                pull_refresh_after: after.to_owned(),
                ..Service::default()
            };
            assert!(period(&service, policy).is_err(), "{policy} {after}");
        }
    }
}
