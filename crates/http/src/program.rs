//! A program whose standard input and output are a connection: `ssh HOST docker system dial-stdio`.
//!
//! When it ends badly, reading gives an error with what it said on standard error: that is where ssh tells why.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How much of standard error is kept for the error.
const KEPT: usize = 4096;

/// A running program as a stream. Dropping it kills the program.
#[derive(Debug)]
pub struct Program {
    /// Nothing once the writing half is closed.
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// How it ended; nothing once that was told.
    end: Option<JoinHandle<io::Result<()>>>,
}

impl Program {
    /// Starts `command`; `shown` is its name in errors.
    pub(crate) fn start(command: &[String], shown: &str) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::other(format!("{shown}: {error}")))?;
        let gone = || io::Error::other("no pipe");
        let input = child.stdin.take().ok_or_else(gone)?;
        let output = child.stdout.take().ok_or_else(gone)?;
        let errors = child.stderr.take().ok_or_else(gone)?;
        let end = tokio::spawn(watch(child, errors, shown.to_owned()));
        Ok(Self {
            input: Some(input),
            output,
            end: Some(end),
        })
    }
}

/// Waits for the end; gives an error with the last words when it is a bad one.
async fn watch(mut child: Child, mut errors: ChildStderr, shown: String) -> io::Result<()> {
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    // A broken pipe tells no more than its end does.
    while let Ok(length @ 1..) = errors.read(&mut piece).await {
        said.extend_from_slice(&piece[..length]);
        let surplus = said.len().saturating_sub(KEPT);
        said.drain(..surplus);
    }
    let status = child.wait().await?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "command [{shown}] has exited with {}, make sure the URL is valid, and Docker 18.09 or later or onggi is installed on the remote host: stderr={}",
        ended(status),
        String::from_utf8_lossy(&said).trim_end()
    )))
}

/// `exit status 255`, or by which signal.
fn ended(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(end) = &self.end {
            end.abort();
        }
    }
}

impl AsyncRead for Program {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.output).poll_read(cx, buf))?;
        if buf.filled().len() > before || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Some(end) = &mut self.end else {
            return Poll::Ready(Ok(()));
        };
        let ended = ready!(Pin::new(end).poll(cx));
        self.end = None;
        Poll::Ready(ended.map_err(io::Error::other)?)
    }
}

impl AsyncWrite for Program {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => match ready!(Pin::new(input).poll_write(cx, bytes)) {
                // It has ended: reading tells why.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.end.is_some() => {
                    Poll::Ready(Ok(bytes.len()))
                }
                other => Poll::Ready(other),
            },
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    fn start(script: &str) -> Program {
        let command = ["sh", "-c", script].map(str::to_owned);
        Program::start(&command, "test").expect("sh starts")
    }

    #[tokio::test]
    async fn bytes_flow_both_ways_and_halves_close() {
        let mut program = start("cat; echo end");
        program.write_all(b"hello\n").await.expect("writes");
        program.shutdown().await.expect("closes");
        let mut text = String::new();
        program.read_to_string(&mut text).await.expect("reads");
        assert_eq!(text, "hello\nend\n");
    }

    #[tokio::test]
    async fn a_bad_end_is_told_with_its_reason() {
        let mut program = start("echo no such host >&2; exit 255");
        let error = program.read_u8().await.expect_err("nothing to read");
        let text = error.to_string();
        assert!(
            text.contains("command [test] has exited with exit status 255"),
            "{text}"
        );
        assert!(text.ends_with("stderr=no such host"), "{text}");
    }
}
