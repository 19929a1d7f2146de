//! fluentd: the forward protocol, MessagePack over TCP or a unix socket.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onggi_logs::Record;
use onggi_model::units::{parse_duration, ram_in_bytes};

use super::{Sink, Source, refuse, text};
use crate::error::Result;
use crate::log::options::boolean;
use crate::log::wire::{Address, Link};

/// Connections are always made when there is something to send, and nobody waits for them: what Docker calls `async`.
pub(super) const OPTIONS: &[&str] = &[
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-connect",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-read-timeout",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
];

const PORT: u16 = 24_224;
/// How long a peer may take to acknowledge.
const ACKNOWLEDGE: Duration = Duration::from_secs(60);

pub(super) struct Fluentd {
    source: Source,
    precise: bool,
    acknowledged: Option<Duration>,
    link: Link,
}

impl Fluentd {
    pub(super) fn new(source: Source, options: &BTreeMap<String, String>) -> Result<Self> {
        let option = |name: &str| options.get(name).map_or("", String::as_str);
        let address = match option("fluentd-address") {
            "" => Some(Address::Tcp(format!("127.0.0.1:{PORT}"))),
            text if text.starts_with("tls://") => {
                return refuse(format!(
                    "fluentd-address {text}: TLS is not there yet: send to a forwarder on this machine by tcp:// or unix://"
                ));
            }
            text if !text.contains("://") => Address::parse(&format!("tcp://{text}"), Some(PORT)),
            text => Address::parse(text, Some(PORT)),
        };
        let Some(address @ (Address::Tcp(_) | Address::Unix(_))) = address else {
            return refuse(format!(
                "invalid fluentd-address ({}): use tcp://host:port or unix://path",
                option("fluentd-address")
            ));
        };
        for name in ["fluentd-async", "fluentd-async-connect"] {
            boolean(options, name)?;
        }
        for name in [
            "fluentd-async-reconnect-interval",
            "fluentd-retry-wait",
            "fluentd-write-timeout",
        ] {
            duration(name, option(name))?;
        }
        let max_retries = option("fluentd-max-retries");
        if !max_retries.is_empty() && max_retries.parse::<u32>().is_err() {
            return refuse(format!(
                "invalid value for fluentd-max-retries: {max_retries}"
            ));
        }
        let limit = option("fluentd-buffer-limit");
        if !limit.is_empty() && ram_in_bytes(limit).is_err() {
            return refuse(format!("invalid value for fluentd-buffer-limit: {limit}"));
        }
        let read = duration("fluentd-read-timeout", option("fluentd-read-timeout"))?;
        let acknowledged = boolean(options, "fluentd-request-ack")?;
        Ok(Self {
            source,
            precise: boolean(options, "fluentd-sub-second-precision")?,
            acknowledged: acknowledged.then_some(read.unwrap_or(ACKNOWLEDGE)),
            link: Link::new(vec![address]),
        })
    }

    /// `[tag, time, record]`, or with `{"chunk": id}` behind.
    fn message(&self, record: &Record, chunk: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(record.bytes.len() + 256);
        array(&mut out, if chunk.is_some() { 4 } else { 3 });
        string(&mut out, self.source.tag.as_bytes());
        if self.precise {
            // EventTime: an extension of type 0, seconds and nanoseconds.
            out.extend_from_slice(&[0xd7, 0x00]);
            let seconds = u32::try_from(record.time.as_second()).unwrap_or(u32::MAX);
            let nanoseconds = u32::try_from(record.time.subsec_nanosecond()).unwrap_or(0);
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&nanoseconds.to_be_bytes());
        } else {
            out.push(0xd3);
            out.extend_from_slice(&record.time.as_second().to_be_bytes());
        }
        let subject = &self.source.subject;
        let name = format!("/{}", subject.name);
        let mut fields: Vec<(&str, &[u8])> = vec![
            ("container_id", subject.id.as_bytes()),
            ("container_name", name.as_bytes()),
            ("source", record.stream.name().as_bytes()),
            ("log", text(record)),
        ];
        if record.partial {
            fields.push(("partial_message", b"true"));
        }
        let attributes = self.source.attributes.iter();
        fields.extend(attributes.map(|(key, value)| (key.as_str(), value.as_bytes())));
        map(&mut out, fields.len());
        for (key, value) in fields {
            string(&mut out, key.as_bytes());
            string(&mut out, value);
        }
        if let Some(chunk) = chunk {
            map(&mut out, 1);
            string(&mut out, b"chunk");
            string(&mut out, chunk.as_bytes());
        }
        out
    }

    /// Waits for `{"ack": id}`.
    fn acknowledge(&mut self, chunk: &str, limit: Duration) -> io::Result<()> {
        let mut wanted = vec![0x81];
        string(&mut wanted, b"ack");
        string(&mut wanted, chunk.as_bytes());
        let mut answer = Vec::new();
        let mut buffer = [0; 256];
        while answer.len() < wanted.len() {
            let count = self.link.read(&mut buffer, limit)?;
            answer.extend_from_slice(&buffer[..count]);
        }
        // The text may come in any of MessagePack's forms: what counts is that it is ours.
        if answer
            .windows(chunk.len())
            .any(|part| part == chunk.as_bytes())
        {
            return Ok(());
        }
        self.link.drop_connection();
        Err(io::Error::other("the peer acknowledges something else"))
    }
}

fn duration(name: &str, text: &str) -> Result<Option<Duration>> {
    if text.is_empty() {
        return Ok(None);
    }
    match parse_duration(text) {
        Ok(duration) => Ok(Some(duration)),
        Err(_) => refuse(format!("invalid value for {name}: {text}")),
    }
}

impl Sink for Fluentd {
    fn send(&mut self, records: &[&Record], taken: &mut dyn FnMut(usize)) -> io::Result<()> {
        let Some(limit) = self.acknowledged else {
            let messages: Vec<_> = records
                .iter()
                .map(|record| self.message(record, None))
                .collect();
            return self.link.send(&messages, taken);
        };
        for (index, record) in records.iter().enumerate() {
            let chunk = STANDARD.encode(rand::random::<[u8; 16]>());
            let message = self.message(record, Some(&chunk));
            self.link.send(&[message], &mut |_| {})?;
            self.acknowledge(&chunk, limit)?;
            taken(index + 1);
        }
        Ok(())
    }
}

/// MessagePack: the few forms that are needed.
fn array(out: &mut Vec<u8>, length: u8) {
    out.push(0x90 | length);
}

fn map(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(length @ 0..=15) => out.push(0x80 | length),
        _ => {
            out.push(0xde);
            out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    match u16::try_from(text.len()) {
        Ok(length @ 0..=31) => out.push(0xa0 | length as u8),
        Ok(length @ 32..=255) => out.extend_from_slice(&[0xd9, length as u8]),
        Ok(length) => {
            out.push(0xda);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length() {
        for (length, head) in [
            (0, &[0xa0][..]),
            (31, &[0xbf]),
            (32, &[0xd9, 32]),
            (255, &[0xd9, 255]),
            (256, &[0xda, 1, 0]),
            (65_536, &[0xdb, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            string(&mut out, &vec![b'x'; length]);
            assert_eq!(&out[..head.len()], head);
            assert_eq!(out.len(), head.len() + length);
        }
    }
}
