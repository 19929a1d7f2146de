//! `HEALTHCHECK [flags] CMD command` or `HEALTHCHECK NONE`

use std::time::Duration;

use onggi_model::units;
use serde::Serialize;

use super::at_least_one;
use crate::flags::{Flags, Takes};
use crate::{Error, Form, Statement};
use onggi_model::quote;

/// How containers of the image are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Healthcheck {
    /// The check; `None` for none, not even that of the base.
    pub probe: Option<Probe>,
}

/// A check; times of zero are Docker's default ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// `CMD` or `CMD-SHELL`, and the command.
    pub test: Vec<String>,
    /// From the end of one to the next.
    pub interval: Duration,
    /// For one.
    pub timeout: Duration,
    /// While failures do not count.
    pub start_period: Duration,
    /// As `interval`, while failures do not count.
    pub start_interval: Duration,
    /// How many failures in a row are too many; 0 for Docker's default.
    pub retries: u32,
}

/// The shortest time that Docker takes.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) fn parse(statement: &Statement) -> Result<Healthcheck, Error> {
    let (kind, command) = match at_least_one(statement, "HEALTHCHECK")? {
        [kind, command @ ..] => (kind.to_uppercase(), command),
        [] => (String::new(), [].as_slice()),
    };
    if kind == "NONE" {
        return if command.is_empty() {
            Ok(Healthcheck { probe: None })
        } else {
            Err(Error::new("HEALTHCHECK NONE takes no arguments"))
        };
    }
    let flags = Flags::of(
        statement,
        &[
            ("interval", Takes::Value),
            ("timeout", Takes::Value),
            ("start-period", Takes::Value),
            ("start-interval", Takes::Value),
            ("retries", Takes::Value),
        ],
    )?;
    if kind != "CMD" {
        return Err(Error::new(format!(
            "unknown type {} in HEALTHCHECK (try CMD)",
            quote(&kind)
        )));
    }
    if command.is_empty() {
        return Err(Error::new("missing command after HEALTHCHECK CMD"));
    }
    let how = match statement.form {
        Form::Exec => "CMD",
        Form::Shell => "CMD-SHELL",
    };
    Ok(Healthcheck {
        probe: Some(Probe {
            test: [how.to_owned()]
                .into_iter()
                .chain(command.iter().cloned())
                .collect(),
            interval: time(&flags, "interval")?,
            timeout: time(&flags, "timeout")?,
            start_period: time(&flags, "start-period")?,
            start_interval: time(&flags, "start-interval")?,
            retries: retries(&flags)?,
        }),
    })
}

fn time(flags: &Flags, name: &str) -> Result<Duration, Error> {
    let Some(text) = flags.value(name) else {
        return Ok(Duration::ZERO);
    };
    let time = match text.strip_prefix('-') {
        // Negative ones are times too, and too short.
        Some(rest) => units::parse_duration(rest).map(|_| Duration::ZERO),
        None => units::parse_duration(&text),
    };
    match time {
        Ok(time) if time >= SHORTEST => Ok(time),
        Ok(_) => Err(Error::new(format!(
            "Interval {} cannot be less than 1ms",
            quote(name)
        ))),
        Err(_) => Err(Error::new(format!(
            "time: invalid duration {}",
            quote(&text)
        ))),
    }
}

fn retries(flags: &Flags) -> Result<u32, Error> {
    let Some(text) = flags.value("retries") else {
        return Ok(0);
    };
    let retries: i32 = text.parse().map_err(|_| {
        Error::new(format!(
            "strconv.ParseInt: parsing {}: invalid syntax",
            quote(&text)
        ))
    })?;
    u32::try_from(retries)
        .map_err(|_| Error::new(format!("--retries cannot be negative ({retries})")))
}
