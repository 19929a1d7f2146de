//! `--log-driver` and `--log-opt`: read into what monitor, reader and shipping need.

use std::collections::BTreeMap;
use std::path::PathBuf;

use onggi_api::container::LogConfig;
use onggi_logs::{Behind, Driver, LogSpec};
use onggi_model::units::from_human_size;

use super::Subject;
use super::driver::{self, Kind};
use super::ship::cursor_path;
use crate::error::{Error, Result};

/// Options that every driver has.
const COMMON: &[&str] = &["mode", "max-buffer-size"];
/// Those of the record of a driver that ships: as Docker's "dual logging".
const CACHE: &[&str] = &[
    "cache-disabled",
    "cache-max-size",
    "cache-max-file",
    "cache-compress",
];
/// Chosen attributes.
const ATTRIBUTES: &[&str] = &["labels", "labels-regex", "env", "env-regex", "tag"];

/// A container's log, read.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// What the monitor writes.
    pub(crate) record: LogSpec,
    /// Whether `logs` may read it.
    pub(crate) readable: bool,
    /// Where it is sent.
    pub(crate) ships: Option<Kind>,
}

/// Refuses what cannot be had.
pub(crate) fn check(log: &LogConfig) -> Result<()> {
    read(log, PathBuf::new(), &Subject::default()).map(drop)
}

/// The log of a container, its record at `path`.
pub(crate) fn read(log: &LogConfig, path: PathBuf, subject: &Subject) -> Result<Log> {
    let name = match log.kind.as_str() {
        "" => "json-file",
        name => name,
    };
    let empty = BTreeMap::new();
    let options = log.config.as_ref().unwrap_or(&empty);
    let waits = mode(options)?;
    let known = |lists: &[&[&str]]| {
        let known = |option: &&String| lists.iter().any(|list| list.contains(&option.as_str()));
        match options.keys().find(|option| !known(option)) {
            None => Ok(()),
            Some(option) => Err(Error::invalid(format!(
                "unknown log opt '{option}' for {name} log driver"
            ))),
        }
    };
    let mut record = LogSpec {
        path,
        ..LogSpec::default()
    };
    if let Some(kind) = Kind::by_name(name) {
        known(&[COMMON, CACHE, ATTRIBUTES, kind.options()])?;
        record.driver = Driver::Local;
        bounds(&mut record, options, "cache-")?;
        if waits {
            record.behind = Some(behind(&record)?);
        }
        driver::check(kind, options, subject)?;
        let disabled = boolean(options, "cache-disabled")?;
        return Ok(Log {
            record,
            readable: !disabled,
            ships: Some(kind),
        });
    }
    record.driver = Driver::from_name(name).ok_or_else(|| {
        Error::invalid(format!(
            "logger: no log driver named '{name}' is registered ({} are)",
            names().join(", ")
        ))
    })?;
    match record.driver {
        Driver::None => {
            if let Some(option) = options.keys().next() {
                return Err(Error::invalid(format!(
                    "unknown log opt '{option}' for none log driver"
                )));
            }
        }
        Driver::Local => {
            known(&[COMMON, &["max-size", "max-file", "compress"]])?;
            bounds(&mut record, options, "")?;
        }
        Driver::JsonFile => {
            known(&[COMMON, ATTRIBUTES, &["max-size", "max-file", "compress"]])?;
            bounds(&mut record, options, "")?;
            record.attributes = subject.attributes(options)?;
            if let Some(tag) = options.get("tag").filter(|tag| !tag.is_empty()) {
                record
                    .attributes
                    .insert("tag".to_owned(), subject.tag(tag)?);
            }
        }
    }
    Ok(Log {
        readable: record.driver != Driver::None,
        record,
        ships: None,
    })
}

/// All drivers, as `info` shows them.
pub(crate) fn names() -> Vec<&'static str> {
    let shipped = Kind::ALL.iter().map(|kind| kind.name());
    let mut names: Vec<_> = ["json-file", "local", "none"]
        .into_iter()
        .chain(shipped)
        .collect();
    names.sort_unstable();
    names
}

/// How far a peer may be behind before a container in `mode=blocking` waits for it.
const MOST_BEHIND: u64 = 1 << 20;

/// When the container waits. The record must hold what the peer has not taken, rotation or not.
fn behind(record: &LogSpec) -> Result<Behind> {
    let kept = record.kept();
    if kept < 2 * MOST_BEHIND {
        return Err(Error::invalid(format!(
            "logger: mode=blocking needs a record that keeps 2MiB behind the current file, and this one keeps {kept} bytes: \
             raise cache-max-size or cache-max-file"
        )));
    }
    Ok(Behind {
        cursor: cursor_path(record.path.parent().unwrap_or(&record.path)),
        most: MOST_BEHIND,
    })
}

/// `mode` and `max-buffer-size`: whether the container is to wait for the peer. Only who says `blocking` wants that: the
/// record on disk is the buffer of all others.
fn mode(options: &BTreeMap<String, String>) -> Result<bool> {
    let mode = options.get("mode").map_or("", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(Error::invalid(format!(
            "logger: logging mode not supported: {mode}"
        )));
    }
    let Some(text) = options.get("max-buffer-size") else {
        return Ok(mode == "blocking");
    };
    if mode != "non-blocking" {
        return Err(Error::invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ));
    }
    match onggi_model::units::ram_in_bytes(text) {
        Ok(_) => Ok(false),
        Err(_) => Err(Error::invalid(format!(
            "error parsing option max-buffer-size: invalid size: '{text}'"
        ))),
    }
}

/// How large the record may become.
fn bounds(record: &mut LogSpec, options: &BTreeMap<String, String>, prefix: &str) -> Result<()> {
    let option = |name: &str| options.get(&format!("{prefix}{name}"));
    if let Some(text) = option("max-size") {
        record.max_size = Some(size(text)?);
    }
    if let Some(text) = option("max-file") {
        let count = text.parse().ok().filter(|&count| count >= 1);
        record.max_file = Some(count.ok_or_else(|| {
            Error::invalid(format!("max-file cannot be less than 1: \"{text}\""))
        })?);
    }
    record.compress = match option("compress") {
        None => record.driver == Driver::Local,
        Some(_) => boolean(options, &format!("{prefix}compress"))?,
    };
    let alone = match record.max_file {
        Some(count) => count == 1,
        None => record.driver == Driver::JsonFile && record.max_size.is_some(),
    };
    let wanted = record.compress && option("compress").is_some();
    if wanted && (alone || record.max_size == Some(u64::MAX)) {
        return Err(Error::invalid(
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ));
    }
    Ok(())
}

/// `10m`; `-1` is without limit.
fn size(text: &str) -> Result<u64> {
    if text == "-1" {
        return Ok(u64::MAX);
    }
    let bytes = from_human_size(text)
        .ok()
        .and_then(|bytes| u64::try_from(bytes).ok());
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| Error::invalid(format!("invalid max-size: '{text}'")))
}

/// An option that is a truth, by Go's words for it.
pub(super) fn boolean(options: &BTreeMap<String, String>, name: &str) -> Result<bool> {
    match options.get(name).map_or("false", String::as_str) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Ok(false),
        other => Err(Error::invalid(format!(
            "invalid value for log opt '{name}': \"{other}\" is neither true nor false"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, options: &[(&str, &str)]) -> Result<Log> {
        let config = options
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let log = LogConfig {
            kind: kind.to_owned(),
            config: Some(config),
        };
        let subject = Subject {
            id: "0".repeat(64),
            labels: [("team".to_owned(), "kiln".to_owned())].into(),
            env: vec!["A=1".to_owned(), "B=2".to_owned()],
            ..Subject::default()
        };
        read(&log, PathBuf::new(), &subject)
    }

    #[test]
    fn options_are_read() {
        let log = parse(
            "json-file",
            &[
                ("max-size", "10m"),
                ("max-file", "3"),
                ("compress", "true"),
                ("labels", "team,other"),
                ("env", "B"),
                ("tag", "{{.ID}}"),
            ],
        );
        let record = log.expect("good options").record;
        assert_eq!(
            (record.max_size, record.max_file),
            (Some(10_000_000), Some(3))
        );
        assert!(record.compress);
        let attributes: Vec<_> = record.attributes.into_iter().collect();
        assert_eq!(
            attributes,
            [
                ("B".into(), "2".into()),
                ("tag".into(), "0".repeat(12)),
                ("team".into(), "kiln".into())
            ]
        );
        let log = parse("json-file", &[("max-size", "-1")]).expect("unbounded");
        assert_eq!(log.record.max_size, Some(u64::MAX));
        let log = parse(
            "json-file",
            &[("mode", "non-blocking"), ("max-buffer-size", "4m")],
        );
        assert!(log.is_ok());
    }

    #[test]
    fn what_is_shipped_has_a_record_of_its_own() {
        let address = ("syslog-address", "udp://127.0.0.1:514");
        let log = parse("syslog", &[address, ("cache-max-size", "1m")]).expect("good options");
        assert_eq!(log.record.driver, Driver::Local);
        assert_eq!(log.record.max_size, Some(1_000_000));
        assert!(log.readable && log.ships == Some(Kind::Syslog));
        let log = parse("syslog", &[address, ("cache-disabled", "true")]).expect("good options");
        assert!(!log.readable);
    }

    #[test]
    fn only_who_says_blocking_waits_for_a_peer() {
        let address = ("syslog-address", "udp://127.0.0.1:514");
        for (mode, waits) in [("", false), ("non-blocking", false), ("blocking", true)] {
            let log = parse("syslog", &[address, ("mode", mode)]).expect("good options");
            assert_eq!(log.record.behind.is_some(), waits, "{mode}");
        }
        let log = parse("json-file", &[("mode", "blocking")]).expect("good options");
        assert!(log.record.behind.is_none());
        let small = [address, ("mode", "blocking"), ("cache-max-size", "100k")];
        let text = parse("syslog", &small).expect_err("too small").to_string();
        assert!(text.contains("raise cache-max-size"), "{text}");
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for (kind, options) in [
            ("nope", &[][..]),
            ("awslogs", &[]),
            ("json-file", &[("bogus", "1")]),
            ("json-file", &[("syslog-address", "udp://h:1")]),
            ("json-file", &[("max-size", "much")]),
            ("json-file", &[("max-file", "0"), ("max-size", "1m")]),
            ("json-file", &[("compress", "true"), ("max-size", "1m")]),
            ("json-file", &[("compress", "yes")]),
            ("json-file", &[("mode", "sometimes")]),
            ("json-file", &[("max-buffer-size", "1m")]),
            ("json-file", &[("tag", "{{")]),
            ("local", &[("tag", "x")]),
            ("none", &[("max-size", "1m")]),
            ("syslog", &[("syslog-address", "carrier-pigeon://h")]),
            ("syslog", &[("syslog-facility", "none")]),
            ("syslog", &[("syslog-format", "rfc1")]),
            ("gelf", &[]),
            ("gelf", &[("gelf-address", "udp://h")]),
            ("fluentd", &[("fluentd-retry-wait", "soon")]),
            ("journald", &[("syslog-format", "rfc3164")]),
        ] {
            assert!(parse(kind, options).is_err(), "{kind} {options:?}");
        }
    }
}
