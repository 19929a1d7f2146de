//! Reading ahead on another thread, so that producing bytes (inflating) and using them (hashing, writing) overlap.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Bytes handed over at a time.
const CHUNK: usize = 256 << 10;
/// Chunks that wait: 2 MiB at most, whatever the source does.
const DEPTH: usize = 8;

/// A reader whose source is read by a thread of its own. Dropped early, it waits until the source returns from the
/// read it is in.
#[derive(Debug)]
pub struct ReadAhead {
    chunks: Option<Receiver<io::Result<Vec<u8>>>>,
    current: Vec<u8>,
    position: usize,
    /// Buffers on their way back.
    spare: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Starts to read `source`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(source: impl Read + Send + 'static) -> io::Result<ReadAhead> {
        let (send, chunks) = sync_channel(DEPTH);
        let (spare, returned) = sync_channel::<Vec<u8>>(DEPTH + 2);
        let thread = std::thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn(move || pump(source, &send, &returned))?;
        Ok(ReadAhead {
            chunks: Some(chunks),
            current: Vec::new(),
            position: 0,
            spare: Some(spare),
            thread: Some(thread),
        })
    }
}

fn pump(
    mut source: impl Read,
    send: &SyncSender<io::Result<Vec<u8>>>,
    returned: &Receiver<Vec<u8>>,
) {
    loop {
        let mut chunk = returned.try_recv().unwrap_or_default();
        chunk.clear();
        chunk.resize(CHUNK, 0);
        let mut filled = 0;
        let mut failure = None;
        while filled < CHUNK {
            match source.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        chunk.truncate(filled);
        let end = filled < CHUNK;
        if filled > 0 && send.send(Ok(chunk)).is_err() {
            return;
        }
        if let Some(error) = failure {
            // Nobody to tell when the reader is gone.
            let _ = send.send(Err(error));
            return;
        }
        if end {
            return;
        }
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len()
            && let Some(chunks) = &self.chunks
        {
            let used = std::mem::take(&mut self.current);
            self.position = 0;
            if let Some(spare) = &self.spare {
                // Full or closed: then the buffer is simply freed.
                let _ = spare.try_send(used);
            }
            match chunks.recv() {
                Ok(Ok(chunk)) => self.current = chunk,
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    self.chunks = None;
                    if let Some(thread) = self.thread.take()
                        && thread.join().is_err()
                    {
                        return Err(io::Error::other("the reading thread panicked"));
                    }
                }
            }
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position = (self.position + count).min(self.current.len());
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // First the channels, so that the thread finds nobody there, then the thread.
        self.chunks = None;
        self.spare = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_through_in_order() {
        let bytes: Vec<u8> = (0..3_000_001_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let mut read = Vec::new();
        ReadAhead::new(io::Cursor::new(bytes.clone()))
            .unwrap()
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, bytes);
    }

    #[test]
    fn errors_come_after_the_bytes_before_them() {
        struct Failing(usize);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::Error::other("gone"));
                }
                let count = self.0.min(buffer.len()).min(1000);
                self.0 -= count;
                Ok(count)
            }
        }
        let mut reader = ReadAhead::new(Failing(CHUNK + 5)).unwrap();
        let mut read = vec![0; CHUNK + 5];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(reader.read(&mut [0; 1]).unwrap_err().to_string(), "gone");
    }

    #[test]
    fn dropping_early_ends_the_thread() {
        let mut reader = ReadAhead::new(io::repeat(7)).unwrap();
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [7]);
    }
}
