//! journald: datagrams of fields to the journal's own socket (systemd's native protocol).

use std::io;
use std::path::Path;

use onggi_logs::{Record, Stream};

use super::{Sink, Source, text};
use crate::log::wire::{Address, Link};

/// systemd's.
const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) struct Journald {
    /// What is the same for all lines.
    fields: Vec<u8>,
    link: Link,
}

impl Journald {
    pub(super) fn new(source: Source) -> Self {
        Self::at(source, Path::new(SOCKET))
    }

    fn at(source: Source, socket: &Path) -> Self {
        let subject = &source.subject;
        let mut fields = Vec::new();
        for (name, value) in [
            ("CONTAINER_ID", subject.short()),
            ("CONTAINER_ID_FULL", &subject.id),
            ("CONTAINER_NAME", &subject.name),
            ("CONTAINER_TAG", &source.tag),
            ("IMAGE_NAME", &subject.image_name),
            ("SYSLOG_IDENTIFIER", &source.tag),
        ] {
            field(&mut fields, name, value.as_bytes());
        }
        for (name, value) in &source.attributes {
            field(&mut fields, &sanitized(name), value.as_bytes());
        }
        Self {
            fields,
            link: Link::new(vec![Address::Unixgram(socket.to_owned())]),
        }
    }

    fn message(&self, record: &Record) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.fields.len() + record.bytes.len() + 128);
        field(&mut out, "MESSAGE", text(record));
        let priority: &[u8] = match record.stream {
            Stream::Stderr => b"3",
            Stream::Stdout => b"6",
        };
        field(&mut out, "PRIORITY", priority);
        let time = record.time.to_string();
        field(&mut out, "SYSLOG_TIMESTAMP", time.as_bytes());
        if record.partial {
            field(&mut out, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        out.extend_from_slice(&self.fields);
        out
    }
}

/// `NAME=value`, or with the length where the value has line ends.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// A name as the journal takes it: capital letters, digits, underscores, none in front.
fn sanitized(name: &str) -> String {
    let letter = |c: char| match c.to_ascii_uppercase() {
        c @ ('A'..='Z' | '0'..='9') => c,
        _ => '_',
    };
    let name: String = name.chars().map(letter).collect();
    name.trim_start_matches('_').to_owned()
}

impl Sink for Journald {
    fn send(&mut self, records: &[&Record], taken: &mut dyn FnMut(usize)) -> io::Result<()> {
        let messages: Vec<_> = records.iter().map(|record| self.message(record)).collect();
        self.link.send(&messages, taken)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::log::Subject;

    #[test]
    fn fields_reach_the_socket() {
        let path = std::env::temp_dir().join(format!("onggi-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let journal = UnixDatagram::bind(&path).expect("a socket");
        let source = Source {
            subject: Subject {
                id: "0123456789abcdef".to_owned(),
                name: "web".to_owned(),
                image_name: "busybox".to_owned(),
                ..Subject::default()
            },
            tag: "tag".to_owned(),
            attributes: [("com.example.team".to_owned(), "a\nb".to_owned())].into(),
            hostname: String::new(),
        };
        let record = Record {
            time: "2026-01-02T03:04:05Z".parse().expect("a time"),
            stream: Stream::Stderr,
            bytes: b"hello\n".to_vec(),
            partial: false,
            attributes: Default::default(),
        };
        let mut driver = Journald::at(source, &path);
        let mut count = 0;
        let sent = driver.send(&[&record, &record], &mut |n| count = n);
        sent.expect("sent");
        assert_eq!(count, 2);
        let mut buffer = [0; 4096];
        let size = journal.recv(&mut buffer).expect("a datagram");
        let text = String::from_utf8_lossy(&buffer[..size]);
        assert!(text.starts_with("MESSAGE=hello\nPRIORITY=3\n"), "{text}");
        for line in [
            "CONTAINER_ID=0123456789ab\n",
            "CONTAINER_NAME=web\n",
            "IMAGE_NAME=busybox\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(
            text.contains("COM_EXAMPLE_TEAM\n\u{3}\0\0\0\0\0\0\0a\nb\n"),
            "{text}"
        );
        std::fs::remove_file(path).expect("removed");
    }
}
