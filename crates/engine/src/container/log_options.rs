//! `--log-driver` and `--log-opt`: read into what monitor and reader need.

use std::collections::BTreeMap;
use std::path::PathBuf;

use onggi_api::container::LogConfig;
use onggi_logs::{Driver, LogSpec};
use onggi_model::units::from_human_size;

use crate::error::{Error, Result};

/// Refuses what cannot be had.
pub(crate) fn check(log: &LogConfig) -> Result<()> {
    spec(log, PathBuf::new(), &[], &BTreeMap::new()).map(drop)
}

/// The log of a container: `env` and `labels` are those that `--log-opt env=..`, `labels=..` may choose from.
pub(crate) fn spec(
    log: &LogConfig,
    path: PathBuf,
    env: &[String],
    labels: &BTreeMap<String, String>,
) -> Result<LogSpec> {
    let name = if log.kind.is_empty() {
        "json-file"
    } else {
        &log.kind
    };
    let driver = Driver::from_name(name).ok_or_else(|| {
        Error::invalid(format!(
            "logger: no log driver named '{name}' is registered (json-file, local and none are)"
        ))
    })?;
    let mut spec = LogSpec {
        driver,
        path,
        ..LogSpec::default()
    };
    for (option, value) in log.config.iter().flatten() {
        let unknown =
            || Error::invalid(format!("unknown log opt '{option}' for {name} log driver"));
        match (driver, option.as_str()) {
            (Driver::None, _) => return Err(unknown()),
            (_, "max-size") => spec.max_size = size(value)?,
            (_, "max-file") => {
                let count = value.parse().ok().filter(|&count| count >= 1);
                spec.max_file = Some(count.ok_or_else(|| {
                    Error::invalid(format!("max-file cannot be less than 1: \"{value}\""))
                })?);
            }
            (_, "mode") if value == "blocking" => {}
            (_, "mode") => {
                return Err(Error::not_implemented(format!(
                    "log mode {value}: not there yet; blocking is"
                )));
            }
            (Driver::JsonFile, "tag") if !value.contains("{{") => {
                spec.attributes.insert("tag".to_owned(), value.clone());
            }
            (Driver::JsonFile, "labels") => {
                for name in value.split(',') {
                    if let Some(value) = labels.get(name) {
                        spec.attributes.insert(name.to_owned(), value.clone());
                    }
                }
            }
            (Driver::JsonFile, "env") => {
                for variable in env {
                    if let Some((name, set)) = variable.split_once('=')
                        && value.split(',').any(|wanted| wanted == name)
                    {
                        spec.attributes.insert(name.to_owned(), set.to_owned());
                    }
                }
            }
            (Driver::JsonFile, "tag" | "compress" | "labels-regex" | "env-regex")
            | (Driver::Local, "compress") => {
                return Err(Error::not_implemented(format!(
                    "log opt {option}={value}: not there yet; leave it away"
                )));
            }
            _ => return Err(unknown()),
        }
    }
    if driver == Driver::JsonFile && spec.max_file.is_some_and(|n| n > 1) && spec.max_size.is_none()
    {
        return Err(Error::invalid("max-file cannot be used without max-size"));
    }
    Ok(spec)
}

/// `10m`; `-1` is without limit.
fn size(text: &str) -> Result<Option<u64>> {
    if text == "-1" {
        return Ok(None);
    }
    let bytes = from_human_size(text)
        .ok()
        .and_then(|bytes| u64::try_from(bytes).ok());
    match bytes.filter(|&bytes| bytes > 0) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(Error::invalid(format!("invalid max-size: '{text}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, options: &[(&str, &str)]) -> Result<LogSpec> {
        let config = options
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let log = LogConfig {
            kind: kind.to_owned(),
            config: Some(config),
        };
        let labels = [("team".to_owned(), "kiln".to_owned())].into();
        spec(
            &log,
            PathBuf::new(),
            &["A=1".to_owned(), "B=2".to_owned()],
            &labels,
        )
    }

    #[test]
    fn options_are_read() {
        let spec = read(
            "json-file",
            &[
                ("max-size", "10m"),
                ("max-file", "3"),
                ("labels", "team,other"),
                ("env", "B"),
            ],
        );
        let spec = spec.expect("good options");
        assert_eq!((spec.max_size, spec.max_file), (Some(10_000_000), Some(3)));
        let attributes: Vec<_> = spec.attributes.into_iter().collect();
        assert_eq!(
            attributes,
            [("B".into(), "2".into()), ("team".into(), "kiln".into())]
        );
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for (kind, options) in [
            ("nope", &[][..]),
            ("json-file", &[("bogus", "1")]),
            ("json-file", &[("max-size", "much")]),
            ("json-file", &[("max-file", "0"), ("max-size", "1m")]),
            ("json-file", &[("max-file", "2")]),
            ("none", &[("max-size", "1m")]),
            ("json-file", &[("mode", "non-blocking")]),
        ] {
            assert!(read(kind, options).is_err(), "{kind} {options:?}");
        }
    }
}
