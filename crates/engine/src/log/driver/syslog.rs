//! syslog: RFC 3164, RFC 5424 and the form of the local socket, over unix sockets, UDP and TCP.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::tz::TimeZone;
use onggi_logs::{Record, Stream};

use super::{Sink, Source, refuse, text};
use crate::error::Result;
use crate::log::wire::{Address, Link};

pub(super) const OPTIONS: &[&str] = &["syslog-address", "syslog-facility", "syslog-format"];

/// Where the machine's own syslog is.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
const PORT: u16 = 514;

const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Unix,
    Rfc3164,
    Rfc5424,
    Rfc5424Micro,
}

pub(super) struct Syslog {
    source: Source,
    facility: usize,
    format: Format,
    link: Link,
    zone: TimeZone,
}

impl Syslog {
    pub(super) fn new(source: Source, options: &BTreeMap<String, String>) -> Result<Self> {
        let option = |name: &str| options.get(name).map_or("", String::as_str);
        let addresses = match option("syslog-address") {
            "" => LOCAL.map(|path| Address::Unix(path.into())).to_vec(),
            text if text.starts_with("tcp+tls://") => {
                return refuse(format!(
                    "syslog-address {text}: TLS is not there yet: send to a relay on this machine by tcp:// or unix://"
                ));
            }
            text => match Address::parse(text, Some(PORT)) {
                Some(address) => vec![address],
                None => {
                    return refuse(format!(
                        "unsupported syslog-address '{text}': use udp://host:port, tcp://host:port, unix://path or \
                         unixgram://path"
                    ));
                }
            },
        };
        let facility = match option("syslog-facility") {
            "" => 3,
            text => {
                let named = FACILITIES.iter().position(|name| *name == text);
                let number = || text.parse().ok().filter(|&number| number < 24);
                match named.or_else(number) {
                    Some(facility) => facility,
                    None => return refuse("invalid syslog facility"),
                }
            }
        };
        let format = match option("syslog-format") {
            "" => Format::Unix,
            "rfc3164" => Format::Rfc3164,
            "rfc5424" => Format::Rfc5424,
            "rfc5424micro" => Format::Rfc5424Micro,
            _ => return refuse("Invalid syslog format"),
        };
        Ok(Self {
            source,
            facility,
            format,
            link: Link::new(addresses),
            zone: TimeZone::system(),
        })
    }

    fn message(&self, record: &Record) -> Vec<u8> {
        let severity = match record.stream {
            Stream::Stderr => 3,
            Stream::Stdout => 6,
        };
        let priority = self.facility * 8 + severity;
        let time = record.time.to_zoned(self.zone.clone());
        let time = time.strftime(match self.format {
            Format::Unix | Format::Rfc3164 => "%b %e %H:%M:%S",
            Format::Rfc5424 => "%Y-%m-%dT%H:%M:%S%:z",
            Format::Rfc5424Micro => "%Y-%m-%dT%H:%M:%S.%6f%:z",
        });
        let (tag, host, pid) = (&self.source.tag, &self.source.hostname, std::process::id());
        let mut out = Vec::with_capacity(record.bytes.len() + 128);
        // Writing to memory cannot fail.
        let _ = match self.format {
            Format::Unix => write!(out, "<{priority}>{time} {tag}[{pid}]: "),
            Format::Rfc3164 => write!(out, "<{priority}>{time} {host} {tag}[{pid}]: "),
            Format::Rfc5424 | Format::Rfc5424Micro => {
                write!(out, "<{priority}>1 {time} {host} {tag} {pid} {tag} - ")
            }
        };
        out.extend_from_slice(text(record));
        out.push(b'\n');
        out
    }
}

impl Sink for Syslog {
    fn send(&mut self, records: &[&Record], taken: &mut dyn FnMut(usize)) -> io::Result<()> {
        let messages: Vec<_> = records.iter().map(|record| self.message(record)).collect();
        self.link.send(&messages, taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let source = Source {
            subject: Default::default(),
            tag: "web".to_owned(),
            attributes: BTreeMap::new(),
            hostname: "kiln".to_owned(),
        };
        let record = |stream| Record {
            time: "2026-01-02T03:04:05.678901Z".parse().expect("a time"),
            stream,
            bytes: b"hello\n".to_vec(),
            partial: false,
            attributes: BTreeMap::new(),
        };
        let pid = std::process::id();
        for (format, facility, wanted) in [
            ("", "", format!("<30>Jan  2 03:04:05 web[{pid}]: hello\n")),
            (
                "rfc3164",
                "local7",
                format!("<190>Jan  2 03:04:05 kiln web[{pid}]: hello\n"),
            ),
            (
                "rfc5424",
                "1",
                format!("<14>1 2026-01-02T03:04:05+00:00 kiln web {pid} web - hello\n"),
            ),
            (
                "rfc5424micro",
                "daemon",
                format!("<30>1 2026-01-02T03:04:05.678901+00:00 kiln web {pid} web - hello\n"),
            ),
        ] {
            let options = [("syslog-format", format), ("syslog-facility", facility)];
            let options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            let mut syslog = Syslog::new(source.clone(), &options).expect("options hold");
            syslog.zone = TimeZone::UTC;
            let message = syslog.message(&record(Stream::Stdout));
            assert_eq!(String::from_utf8_lossy(&message), wanted);
        }
        let syslog = Syslog::new(source, &BTreeMap::new()).expect("defaults hold");
        assert!(syslog.message(&record(Stream::Stderr)).starts_with(b"<27>"));
    }
}
