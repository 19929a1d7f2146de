//! What an async reader gives, for sync code. It is read ahead: a thread is woken for what has come together, not for
//! each piece.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncRead;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::io::poll_read_buf;

/// Bytes that may wait to be read. The reader has as many in hand.
const WINDOW: usize = 512 << 10;
/// Room for a piece.
const PIECE: usize = 64 << 10;

/// Reads on a thread for blocking work what a task takes from an async reader.
#[derive(Debug)]
pub struct Reader {
    pipe: Arc<Pipe>,
    bytes: BytesMut,
    task: AbortHandle,
}

impl Reader {
    /// Starts to read `from`. It is dropped at its end, or with this.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(from: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let pipe = Arc::new(Pipe::default());
        let task = tokio::spawn(fill(from, Filler(pipe.clone())));
        Self {
            pipe,
            bytes: BytesMut::new(),
            task: task.abort_handle(),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.pipe.take(&mut self.bytes)?;
        }
        let count = to.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut to[..count]);
        Ok(count)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    /// Something is there, or nothing more will be.
    came: Condvar,
    /// There is room again.
    went: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    end: Option<io::Result<()>>,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all that is there for `to`, which is empty; nothing at the end. An error is told once.
    fn take(&self, to: &mut BytesMut) -> io::Result<()> {
        let nothing = |state: &mut State| state.bytes.is_empty() && state.end.is_none();
        let mut state = self
            .came
            .wait_while(self.state(), nothing)
            .unwrap_or_else(PoisonError::into_inner);
        if state.bytes.is_empty() {
            return state.end.replace(Ok(())).unwrap_or(Ok(()));
        }
        // Their room comes back for what is next.
        to.clear();
        std::mem::swap(to, &mut state.bytes);
        drop(state);
        self.went.notify_one();
        Ok(())
    }

    /// Takes what is there, until there is no room (true) or no more (false).
    fn poll_fill(
        &self,
        mut from: Pin<&mut impl AsyncRead>,
        context: &mut Context<'_>,
    ) -> Poll<bool> {
        let mut state = self.state();
        let before = state.bytes.len();
        let filled = loop {
            if state.bytes.len() >= WINDOW {
                break Poll::Ready(true);
            }
            state.bytes.reserve(PIECE);
            match poll_read_buf(from.as_mut(), context, &mut state.bytes) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(end) => {
                    state.end = Some(end.map(drop));
                    break Poll::Ready(false);
                }
            }
        };
        if state.bytes.len() > before || state.end.is_some() {
            self.came.notify_one();
        }
        filled
    }
}

/// Who fills a pipe. Gone before the end, it says so: the runtime ends.
struct Filler(Arc<Pipe>);

impl Drop for Filler {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.end.is_none() {
            let gone = io::Error::other("the daemon is shutting down");
            state.end = Some(Err(gone));
            self.0.came.notify_one();
        }
    }
}

async fn fill(mut from: impl AsyncRead + Unpin, filler: Filler) {
    let pipe = &filler.0;
    while poll_fn(|context| pipe.poll_fill(Pin::new(&mut from), context)).await {
        pipe.went.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    /// Gives bytes in pieces of many sizes, then fails or ends.
    struct Pieces {
        left: Vec<u8>,
        turn: usize,
        failure: Option<&'static str>,
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            to: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.turn += 1;
            if this.turn.is_multiple_of(7) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(failure) = this.failure.take_if(|_| this.left.is_empty()) {
                return Poll::Ready(Err(io::Error::other(failure)));
            }
            let count = (this.turn * 997 % 70_000 + 1)
                .min(this.left.len())
                .min(to.remaining());
            to.put_slice(&this.left[..count]);
            this.left.drain(..count);
            Poll::Ready(Ok(()))
        }
    }

    fn bytes() -> Vec<u8> {
        (0..3_000_000_u32)
            .flat_map(u32::to_le_bytes)
            .take(2_999_999)
            .collect()
    }

    #[tokio::test]
    async fn all_bytes_come_in_their_order() {
        for failure in [None, Some("the line is cut")] {
            let left = bytes();
            let mut reader = Reader::new(Pieces {
                left,
                turn: 0,
                failure,
            });
            let read = crate::blocking("read", move || {
                let mut all = Vec::new();
                let ended = reader.read_to_end(&mut all);
                (
                    all,
                    ended.map_err(|error| error.to_string()),
                    reader.read(&mut [0; 9]).ok(),
                )
            });
            let (all, ended, after) = read.await.unwrap();
            assert!(all == bytes());
            assert_eq!(ended.err().as_deref(), failure);
            assert_eq!(after, Some(0));
        }
    }

    #[tokio::test]
    async fn what_nobody_reads_waits() {
        let (mut to, from) = tokio::io::duplex(1024);
        let mut reader = Reader::new(from);
        let more = vec![1; WINDOW + PIECE + 4096];
        let written =
            tokio::time::timeout(std::time::Duration::from_millis(50), to.write_all(&more));
        assert!(written.await.is_err(), "all of it was taken");
        let read = crate::blocking("read", move || (reader.read(&mut [0; 10]).unwrap(), reader));
        assert_eq!(read.await.unwrap().0, 10);
    }

    #[tokio::test]
    async fn the_source_goes_with_the_reader() {
        let (mut to, from) = tokio::io::duplex(16);
        drop(Reader::new(from));
        // It ends when the other side is gone.
        while to.write_all(b"anybody?").await.is_ok() {}
    }

    #[test]
    fn the_end_of_the_runtime_is_an_error() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (_to, from) = tokio::io::duplex(16);
        let mut reader = {
            let _inside = runtime.enter();
            Reader::new(from)
        };
        runtime.shutdown_background();
        let error = reader.read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.to_string(), "the daemon is shutting down");
    }
}
