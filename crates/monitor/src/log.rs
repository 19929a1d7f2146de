//! The container's log as the monitor sees it: written to as long as it works; when it does not, said once, and the container
//! runs on.

use jiff::Timestamp;
use onggi_logs::{Error, LogSpec, Stream, Writer};

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    writer: Writer,
    failing: bool,
    warning: Option<String>,
}

impl Log {
    pub(crate) fn open(spec: &LogSpec) -> Result<Self, Error> {
        Ok(Self {
            writer: Writer::open(spec)?,
            failing: false,
            warning: None,
        })
    }

    pub(crate) fn write(&mut self, stream: Stream, time: Timestamp, bytes: &[u8]) {
        let result = self.writer.write(stream, time, bytes);
        self.note(result);
    }

    /// Once a round.
    pub(crate) fn flush(&mut self) {
        let result = self.writer.flush();
        self.note(result);
    }

    /// Nothing more will be written.
    pub(crate) fn finish(&mut self, time: Timestamp) {
        let result = self.writer.finish(time);
        self.note(result);
        if self.writer.lost() > 0 {
            self.warning = Some(format!("the log lost {} records", self.writer.lost()));
        }
    }

    pub(crate) fn sync(&mut self) {
        let result = self.writer.sync();
        self.note(result);
    }

    /// Whether the container is to wait for somebody who takes the log on.
    pub(crate) fn is_ahead(&mut self) -> bool {
        self.writer.is_ahead()
    }

    pub(crate) fn shrink(&mut self) {
        self.writer.shrink();
    }

    /// What to tell, once.
    pub(crate) fn warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    fn note(&mut self, result: Result<(), Error>) {
        let Err(error) = result else { return };
        if !std::mem::replace(&mut self.failing, true) {
            let chain = onggi_model::chain(&error);
            self.warning = Some(format!("records are lost: {chain}"));
        }
    }
}
