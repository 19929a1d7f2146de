//! The two streams of the API: output of a process in frames, and messages of progress.
//!
//! A frame is eight bytes (stream, three zeros, length as big-endian u32) and its payload. A terminal's output
//! has no frames. Messages are JSON documents, each ended by CR LF.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::go::document;

/// Which stream of a process a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard input; dockerd echoes it never.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// An error of the daemon in the midst of a stream.
    System,
}

impl Stream {
    /// The first byte of a frame.
    pub fn number(self) -> u8 {
        match self {
            Stream::Stdin => 0,
            Stream::Stdout => 1,
            Stream::Stderr => 2,
            Stream::System => 3,
        }
    }

    /// The stream of a frame's first byte.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Stream::Stdin),
            1 => Some(Stream::Stdout),
            2 => Some(Stream::Stderr),
            3 => Some(Stream::System),
            _ => None,
        }
    }
}

/// Bytes before a frame's payload.
pub const HEADER: usize = 8;
/// The longest payload we read. dockerd writes at most 32 KiB at once; older log drivers whole lines.
pub const MAX_FRAME: usize = 16 << 20;

/// The eight bytes before a payload of this length.
pub fn header(stream: Stream, length: usize) -> [u8; HEADER] {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [
        stream.number(),
        0,
        0,
        0,
        length[0],
        length[1],
        length[2],
        length[3],
    ]
}

/// A payload with its header. Payloads above 4 GiB do not exist: callers read pieces.
pub fn frame(stream: Stream, payload: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(HEADER + payload.len());
    framed.put_slice(&header(stream, payload.len()));
    framed.put_slice(payload);
    framed.freeze()
}

/// Why frames cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No stream of that number: probably a terminal's output read as frames.
    #[error("Unrecognized input header: {0}")]
    Stream(u8),
    /// Longer than [`MAX_FRAME`].
    #[error("frame of {0} bytes is too long")]
    TooLong(usize),
}

impl onggi_model::Fault for FrameError {
    fn kind(&self) -> onggi_model::ErrorKind {
        onggi_model::ErrorKind::InvalidParameter
    }
}

/// Takes frames out of a byte stream. Pieces of a payload come out as they arrive: nothing is held back.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    open: Option<(Stream, usize)>,
}

impl Frames {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next payload or piece of one, if there is any.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are not frames.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end at the first pause"
    )]
    pub fn next(&mut self) -> Result<Option<(Stream, Bytes)>, FrameError> {
        loop {
            if let Some((stream, left)) = self.open {
                if left == 0 {
                    self.open = None;
                    continue;
                }
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                self.open = Some((stream, left - piece.len()));
                return Ok(Some((stream, piece)));
            }
            if self.buffer.len() < HEADER {
                return Ok(None);
            }
            let number = self.buffer[0];
            let stream = Stream::from_number(number).ok_or(FrameError::Stream(number))?;
            self.buffer.advance(4);
            let length = self.buffer.get_u32() as usize;
            if length > MAX_FRAME {
                return Err(FrameError::TooLong(length));
            }
            self.open = Some((stream, length));
        }
    }
}

document! {
    /// One message of a pull, load, push or build.
    pub struct Message {
        /// Output of a build step.
        pub stream: String => "stream" @omitempty;
        pub status: String => "status" @omitempty;
        pub progress: Option<Progress> => "progressDetail" @omitempty;
        /// The layer or image it speaks of.
        pub id: String => "id" @omitempty;
        /// The operation failed; the answer's status is 200 already.
        pub error: Option<MessageError> => "errorDetail" @omitempty;
        /// Data for programs.
        pub aux: Option<serde_json::Value> => "aux" @omitempty;
    }
}

document! {
    /// How far it has come.
    pub struct Progress {
        pub current: i64 => "current" @omitempty;
        pub total: i64 => "total" @omitempty;
        /// Seconds since the epoch.
        pub start: i64 => "start" @omitempty;
        /// No total is known, and no bar is drawn.
        pub hide_counts: bool => "hidecounts" @omitempty;
        /// `B` unless given.
        pub units: String => "units" @omitempty;
    }
}

document! {
    /// Why it failed.
    pub struct MessageError {
        pub code: i64 => "code" @omitempty;
        pub message: String => "message";
    }
}

impl Message {
    /// A line of status, about `id` unless that is empty.
    pub fn status(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status: status.into(),
            ..Self::default()
        }
    }

    /// A line of status with a bar.
    pub fn progress(
        id: impl Into<String>,
        status: impl Into<String>,
        current: i64,
        total: i64,
    ) -> Self {
        let progress = Progress {
            current,
            total,
            ..Progress::default()
        };
        Self {
            progress: Some(progress),
            ..Self::status(id, status)
        }
    }

    /// The end of an operation that failed.
    pub fn failure(message: impl Into<String>) -> Self {
        let error = MessageError {
            code: 0,
            message: message.into(),
        };
        Self {
            error: Some(error),
            ..Self::default()
        }
    }

    /// As [`Message::failure`], of a command with an exit code.
    pub fn failed(message: impl Into<String>, code: Option<i32>) -> Self {
        let mut failure = Self::failure(message);
        if let (Some(error), Some(code)) = (&mut failure.error, code) {
            error.code = i64::from(code);
        }
        failure
    }

    /// Data for programs, beside the lines for people.
    pub fn aux(data: serde_json::Value) -> Self {
        Self {
            progress: Some(Progress::default()),
            aux: Some(data),
            ..Self::default()
        }
    }

    /// The bytes of the message, CR LF included. `status` with an id always has `progressDetail`, as
    /// dockerd writes it. `legacy` adds the fields clients before 1.52 read: `progress` and `error`, texts.
    pub fn encode(&self, legacy: bool) -> Bytes {
        let mut fields = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        if !self.id.is_empty() && self.progress.is_none() && !self.status.is_empty() {
            let at = usize::from(!self.stream.is_empty()) + 1;
            fields.shift_insert(at, "progressDetail".to_owned(), serde_json::json!({}));
        }
        if legacy {
            if let Some(bar) = self
                .progress
                .as_ref()
                .map(bar)
                .filter(|bar| !bar.is_empty())
            {
                let at = fields
                    .keys()
                    .position(|k| k == "progressDetail")
                    .map_or(0, |at| at + 1);
                fields.shift_insert(at, "progress".to_owned(), bar.into());
            }
            if let Some(error) = &self.error {
                fields.insert("error".to_owned(), error.message.clone().into());
            }
        }
        let mut text = escape_html(&serde_json::Value::Object(fields).to_string());
        text.push_str("\r\n");
        Bytes::from(text)
    }
}

/// Go's `json.Marshal` escapes what HTML would read; clients see no difference, recordings do.
fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The bar as dockerd drew it for clients that do not: 50 wide, with sizes, without time left.
fn bar(progress: &Progress) -> String {
    use onggi_model::units::human_size;
    if progress.current <= 0 && progress.total <= 0 {
        return String::new();
    }
    let units = |value: i64| match progress.units.as_str() {
        "" => human_size(value as f64),
        units => format!("{value} {units}"),
    };
    let current = units(progress.current);
    if progress.total <= 0 {
        return format!("{current:>8}");
    }
    let percent = ((progress.current as f64 / progress.total as f64 * 100.0) as usize / 2).min(50);
    let spaces = " ".repeat(50usize.saturating_sub(percent));
    let bar = format!("[{}>{spaces}] ", "=".repeat(percent));
    if progress.hide_counts {
        return bar;
    }
    if progress.current > progress.total {
        return format!("{bar}{current:>8}");
    }
    format!("{bar}{current:>8}/{}", units(progress.total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_whatever_the_pieces() {
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(&frame(Stream::Stdout, b"hello"));
        bytes.extend_from_slice(&frame(Stream::Stderr, b""));
        bytes.extend_from_slice(&frame(Stream::Stderr, b"oops"));
        for step in 1..bytes.len() {
            let mut frames = Frames::new();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            for piece in bytes.chunks(step) {
                frames.push(piece);
                while let Some((stream, payload)) = frames.next().unwrap() {
                    match stream {
                        Stream::Stdout => out.extend_from_slice(&payload),
                        Stream::Stderr => err.extend_from_slice(&payload),
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!(
                (out.as_slice(), err.as_slice()),
                (&b"hello"[..], &b"oops"[..])
            );
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut frames = Frames::new();
        frames.push(b"hello world");
        assert_eq!(frames.next(), Err(FrameError::Stream(b'h')));
        let mut frames = Frames::new();
        frames.push(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(frames.next(), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn messages_are_dockers() {
        let text = |m: &Message, legacy| String::from_utf8(m.encode(legacy).to_vec()).unwrap();
        assert_eq!(
            text(
                &Message::status("latest", "Pulling from library/busybox"),
                true
            ),
            "{\"status\":\"Pulling from library/busybox\",\"progressDetail\":{},\"id\":\"latest\"}\r\n"
        );
        let half = Message::progress("abc", "Downloading", 50, 100);
        assert_eq!(
            text(&half, false),
            "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":50,\"total\":100},\"id\":\"abc\"}\r\n"
        );
        assert_eq!(
            text(&half, true),
            format!(
                "{{\"status\":\"Downloading\",\"progressDetail\":{{\"current\":50,\"total\":100}},\"progress\":\"[{}\\u003e{}]      50B/100B\",\"id\":\"abc\"}}\r\n",
                "=".repeat(25),
                " ".repeat(25)
            )
        );
        assert_eq!(
            text(&Message::failure("no <x>"), true),
            "{\"errorDetail\":{\"message\":\"no \\u003cx\\u003e\"},\"error\":\"no \\u003cx\\u003e\"}\r\n"
        );
        assert_eq!(
            text(&Message::status("", "Done"), true),
            "{\"status\":\"Done\"}\r\n"
        );
    }
}
