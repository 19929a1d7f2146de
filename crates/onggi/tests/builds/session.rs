//! A session with the daemon, byte by byte.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;

pub(crate) const KEY: u8 = 1;
pub(crate) const CONTEXT: u8 = 2;
pub(crate) const ENTRIES: u8 = 3;
pub(crate) const ARCHIVE: u8 = 4;
pub(crate) const SECRET: u8 = 5;
pub(crate) const READY: u8 = 7;
pub(crate) const DATA: u8 = 8;
pub(crate) const END: u8 = 9;
pub(crate) const MESSAGE: u8 = 10;
pub(crate) const WANT: u8 = 11;

/// One that has begun.
pub(crate) struct Session(UnixStream);

impl Session {
    pub(crate) fn begin(daemon: &Daemon, query: &str) -> Result<Session> {
        let mut stream = UnixStream::connect(daemon.socket())?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        write!(
            stream,
            "POST /build?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: onggi.build.v1\r\n\r\n"
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).context("the answer")?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        ensure!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Ok(Session(stream))
    }

    pub(crate) fn say(&mut self, word: u8, number: u32, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())?;
        let header = [&[word][..], &number.to_be_bytes(), &length.to_be_bytes()].concat();
        self.0.write_all(&[&header, payload].concat())?;
        Ok(())
    }

    /// What the daemon says next; nothing at the end.
    pub(crate) fn hear(&mut self) -> Result<Option<(u8, u32, Vec<u8>)>> {
        let mut header = [0; 9];
        if self.0.read(&mut header[..1])? == 0 {
            return Ok(None);
        }
        self.0.read_exact(&mut header[1..])?;
        let number = |at: usize| header[at..at + 4].try_into().map(u32::from_be_bytes);
        let mut payload = vec![0; number(5)? as usize];
        self.0.read_exact(&mut payload)?;
        Ok(Some((header[0], number(1)?, payload)))
    }

    /// The connection, on which frames go on.
    pub(crate) fn into_stream(self) -> UnixStream {
        self.0
    }

    /// All messages; `other` answers what else is said.
    pub(crate) fn messages(
        mut self,
        mut other: impl FnMut(&mut Session, u32, &[u8]) -> Result<()>,
    ) -> Result<String> {
        let mut messages = String::new();
        while let Some((word, number, payload)) = self.hear()? {
            match word {
                MESSAGE => messages += &String::from_utf8(payload)?,
                _ => other(&mut self, number, &payload)?,
            }
        }
        Ok(messages)
    }
}
