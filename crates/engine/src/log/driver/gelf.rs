//! GELF 1.1: JSON over UDP, compressed and cut into chunks, or over TCP, each message ended by a zero byte.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use onggi_logs::{Record, Stream};
use serde_json::{Map, Value};

use super::{Sink, Source, refuse, text};
use crate::error::Result;
use crate::log::wire::{Address, Link};

pub(super) const OPTIONS: &[&str] = &[
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];

/// What a datagram carries through every network, head included.
const CHUNK: usize = 1420;
const HEAD: usize = 12;
/// The specification's.
const MOST_CHUNKS: usize = 128;

#[derive(Clone, Copy, Debug)]
enum Packing {
    None,
    Gzip,
    Zlib,
}

pub(super) struct Gelf {
    source: Source,
    udp: bool,
    packing: Packing,
    level: Compression,
    link: Link,
}

impl Gelf {
    pub(super) fn new(source: Source, options: &BTreeMap<String, String>) -> Result<Self> {
        let option = |name: &str| options.get(name).map_or("", String::as_str);
        let address = match option("gelf-address") {
            "" => return refuse("gelf-address is a required parameter"),
            text => Address::parse(text, None),
        };
        let Some(address @ (Address::Udp(_) | Address::Tcp(_))) = address else {
            return refuse(
                "gelf: endpoint should be in form proto://host:port, proto being udp or tcp",
            );
        };
        let udp = matches!(address, Address::Udp(_));
        for name in ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"] {
            let text = option(name);
            if text.is_empty() {
                continue;
            }
            if udp {
                return refuse(format!("{name} is only supported for TCP"));
            }
            if text.parse::<u32>().is_err() {
                return refuse(format!("\"{name}\" must be a positive integer"));
            }
        }
        for name in ["gelf-compression-type", "gelf-compression-level"] {
            if !udp && !option(name).is_empty() {
                return refuse("compression is only supported on UDP");
            }
        }
        let packing = match option("gelf-compression-type") {
            "" | "gzip" => Packing::Gzip,
            "zlib" => Packing::Zlib,
            "none" => Packing::None,
            other => return refuse(format!("gelf: invalid compression type: {other}")),
        };
        let level = match option("gelf-compression-level") {
            "" | "-1" => Compression::fast(),
            text => match text.parse() {
                Ok(level @ 0..=9) => Compression::new(level),
                _ => return refuse(format!("gelf: invalid compression level: {text}")),
            },
        };
        Ok(Self {
            source,
            udp,
            packing,
            level,
            link: Link::new(vec![address]),
        })
    }

    fn document(&self, record: &Record) -> Vec<u8> {
        let subject = &self.source.subject;
        let level = match record.stream {
            Stream::Stderr => 3,
            Stream::Stdout => 6,
        };
        let short = String::from_utf8_lossy(text(record)).into_owned();
        let fields: [(&str, Value); 13] = [
            ("version", "1.1".into()),
            ("host", self.source.hostname.clone().into()),
            ("short_message", short.into()),
            (
                "timestamp",
                (record.time.as_millisecond() as f64 / 1000.0).into(),
            ),
            ("level", level.into()),
            ("_command", subject.command.clone().into()),
            ("_container_id", subject.id.clone().into()),
            ("_container_name", subject.name.clone().into()),
            ("_created", subject.created.clone().into()),
            ("_image_id", subject.image_id.clone().into()),
            ("_image_name", subject.image_name.clone().into()),
            ("_tag", self.source.tag.clone().into()),
            ("_partial", record.partial.into()),
        ];
        let mut document: Map<String, Value> = fields
            .into_iter()
            // Docker does not mark pieces; a line that is whole looks like Docker's.
            .filter(|(name, value)| *name != "_partial" || *value == Value::Bool(true))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, value) in &self.source.attributes {
            document.insert(format!("_{name}"), value.clone().into());
        }
        Value::Object(document).to_string().into_bytes()
    }

    fn packed(&self, document: &[u8]) -> io::Result<Vec<u8>> {
        match self.packing {
            Packing::None => Ok(document.to_vec()),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), self.level);
                encoder.write_all(document)?;
                encoder.finish()
            }
            Packing::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), self.level);
                encoder.write_all(document)?;
                encoder.finish()
            }
        }
    }
}

/// The datagrams of a message.
fn chunks(message: Vec<u8>) -> Vec<Vec<u8>> {
    if message.len() <= CHUNK {
        return vec![message];
    }
    let pieces: Vec<_> = message.chunks(CHUNK - HEAD).collect();
    if pieces.len() > MOST_CHUNKS {
        // No receiver would take it; lines of 16 KiB never come to this.
        return Vec::new();
    }
    let id = rand::random::<[u8; 8]>();
    let head = |index: usize| {
        let mut head = vec![0x1e, 0x0f];
        head.extend_from_slice(&id);
        head.extend_from_slice(&[index as u8, pieces.len() as u8]);
        head
    };
    let datagram = |(index, piece): (usize, &&[u8])| [&head(index)[..], piece].concat();
    pieces.iter().enumerate().map(datagram).collect()
}

impl Sink for Gelf {
    fn send(&mut self, records: &[&Record], taken: &mut dyn FnMut(usize)) -> io::Result<()> {
        if !self.udp {
            let message = |record: &&Record| {
                let mut message = self.document(record);
                message.push(0);
                message
            };
            let messages: Vec<_> = records.iter().map(message).collect();
            return self.link.send(&messages, taken);
        }
        for (index, record) in records.iter().enumerate() {
            let message = self.packed(&self.document(record))?;
            self.link.send(&chunks(message), &mut |_| {})?;
            taken(index + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_into_chunks_of_one_id() {
        assert_eq!(chunks(vec![1; CHUNK]).len(), 1);
        let message: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
        let datagrams = chunks(message.clone());
        assert_eq!(datagrams.len(), 4);
        let mut whole = Vec::new();
        for (index, datagram) in datagrams.iter().enumerate() {
            assert!(datagram.len() <= CHUNK);
            assert_eq!(datagram[..2], [0x1e, 0x0f]);
            assert_eq!(datagram[2..10], datagrams[0][2..10]);
            assert_eq!(datagram[10..12], [index as u8, 4]);
            whole.extend_from_slice(&datagram[HEAD..]);
        }
        assert_eq!(whole, message);
    }
}
