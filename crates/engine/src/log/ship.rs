//! The thread that sends: one for each container whose log is shipped, while there is something to send.
//!
//! Kept true: at most one thread reads behind a cursor; the cursor moves only over what the peer's kernel, or the peer
//! itself where it says so, has taken; a peer that does not take anything is tried again, less and less often.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onggi_logs::{LogSpec, Options, Place, Reader, Record, Wait, Waker};
use onggi_model::ContainerId;

use super::cursor::Cursor;
use super::driver::Sink;

/// The first pause after a failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Records are handed to the driver in pieces of this size.
const BATCH: usize = 64 * 1024;
/// A peer that takes nothing for so long is not waited for at the end.
const STUCK: Duration = Duration::from_secs(1);
/// How often somebody who waits looks whether there is still something to hope for.
const LOOK: Duration = Duration::from_millis(50);
/// A thread's stack: readers and drivers keep their buffers elsewhere.
const STACK: usize = 256 * 1024;

/// All threads that send.
#[derive(Clone, Default)]
pub(crate) struct Shipping {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    threads: Mutex<HashMap<ContainerId, Thread>>,
    ended: Condvar,
}

struct Thread {
    cancelled: Arc<Cancelled>,
    peer: Arc<Peer>,
    waker: Option<Waker>,
    /// It is to look once more before it ends: the container was started again.
    again: bool,
}

/// The container goes, or the daemon: nothing more is sent.
#[derive(Default)]
struct Cancelled {
    flag: Mutex<bool>,
    set: Condvar,
}

/// How the peer takes what it is sent.
#[derive(Default)]
struct Peer(Mutex<Taking>);

#[derive(Default)]
struct Taking {
    /// It was tried last without success.
    failing: bool,
    /// Since when it has been taking nothing of what it is being sent.
    since: Option<Instant>,
}

impl Peer {
    fn begins(&self) {
        lock(&self.0).since = Some(Instant::now());
    }

    fn ends(&self, failing: bool) {
        *lock(&self.0) = Taking {
            failing,
            since: None,
        };
    }

    /// Nobody should wait for it.
    fn is_hopeless(&self) -> bool {
        let taking = lock(&self.0);
        taking.failing || taking.since.is_some_and(|since| since.elapsed() > STUCK)
    }
}

impl Cancelled {
    fn is(&self) -> bool {
        *lock(&self.flag)
    }

    fn cancel(&self) {
        *lock(&self.flag) = true;
        self.set.notify_all();
    }

    /// Waits for this time or until it is set.
    fn pause(&self, time: Duration) {
        let flag = lock(&self.flag);
        let _ = self.set.wait_timeout_while(flag, time, |set| !*set);
    }
}

/// What is sent, and where.
pub(crate) struct Job {
    pub(crate) id: ContainerId,
    pub(crate) record: LogSpec,
    pub(crate) cursor: PathBuf,
    pub(crate) sink: Box<dyn Sink>,
    /// Whether the container may still write.
    pub(crate) running: Box<dyn Fn() -> bool + Send>,
}

impl Shipping {
    /// Sends what the record has and will have, until the container no longer runs and all is sent.
    ///
    /// # Errors
    /// No thread, no cursor.
    pub(crate) fn start(&self, job: Job) -> std::io::Result<()> {
        let mut threads = lock(&self.shared.threads);
        if let Some(thread) = threads.get_mut(&job.id) {
            thread.again = true;
            return Ok(());
        }
        let cursor = Cursor::open(&job.cursor)?;
        let cancelled = Arc::new(Cancelled::default());
        let peer = Arc::new(Peer::default());
        let thread = Thread {
            cancelled: cancelled.clone(),
            peer: peer.clone(),
            waker: None,
            again: false,
        };
        let shared = self.shared.clone();
        let id = job.id.clone();
        threads.insert(id.clone(), thread);
        let begun = std::thread::Builder::new()
            .name("log-shipping".to_owned())
            .stack_size(STACK)
            .spawn(move || shared.run(job, &cursor, &cancelled, &peer));
        if let Err(error) = begun {
            threads.remove(&id);
            return Err(error);
        }
        Ok(())
    }

    /// The container changed its state: readers ask again whether it runs.
    pub(crate) fn wake(&self, id: &ContainerId) {
        if let Some(Thread {
            waker: Some(waker), ..
        }) = lock(&self.shared.threads).get(id)
        {
            waker.wake();
        }
    }

    /// Whether something is still being sent.
    pub(crate) fn is_busy(&self, id: &ContainerId) -> bool {
        lock(&self.shared.threads).contains_key(id)
    }

    /// The container is removed: waits at most `limit` for what is under way, and not at all for a peer that is dead or does
    /// not read, then gives it up.
    pub(crate) fn finish(&self, id: &ContainerId, limit: Duration) {
        self.wake(id);
        let end = Instant::now() + limit;
        let mut threads = lock(&self.shared.threads);
        while let Some(thread) = threads.get(id) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || thread.peer.is_hopeless() {
                break;
            }
            threads = match self.shared.ended.wait_timeout(threads, left.min(LOOK)) {
                Ok((threads, _)) => threads,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        if let Some(thread) = threads.get(id) {
            thread.cancelled.cancel();
            if let Some(waker) = &thread.waker {
                waker.cancel();
            }
        }
    }
}

impl Shared {
    fn run(&self, mut job: Job, cursor: &Cursor, cancelled: &Arc<Cancelled>, peer: &Peer) {
        let running: Arc<dyn Fn() -> bool + Send + Sync> = {
            let running = Mutex::new(std::mem::replace(&mut job.running, Box::new(|| false)));
            Arc::new(move || lock(&running)())
        };
        loop {
            let wait = Wait::new({
                let running = running.clone();
                move || running()
            });
            if let Some(thread) = lock(&self.threads).get_mut(&job.id) {
                thread.waker = Some(wait.waker());
            }
            send_all(&mut job, cursor, wait, cancelled, peer);
            let mut threads = lock(&self.threads);
            match threads.get_mut(&job.id) {
                Some(thread) if thread.again && !cancelled.is() => thread.again = false,
                _ => {
                    threads.remove(&job.id);
                    break;
                }
            }
        }
        self.ended.notify_all();
    }
}

/// Reads behind the cursor to the end and sends.
fn send_all(job: &mut Job, cursor: &Cursor, wait: Wait, cancelled: &Cancelled, peer: &Peer) {
    let options = Options {
        from: cursor.place(),
        follow: Some(wait),
        ..Options::default()
    };
    let mut reader = match Reader::open(&job.record, options) {
        Ok(reader) => reader,
        Err(fault) => {
            let text = onggi_model::chain(&fault);
            tracing::warn!(container = %job.id, "its log cannot be read and is not sent: {text}");
            return;
        }
    };
    while let Some(first) = reader.next() {
        let batch = gather(&mut reader, first);
        if !deliver(job, cursor, &batch, cancelled, peer) {
            return;
        }
    }
    if let Some(fault) = reader.error() {
        tracing::warn!(container = %job.id, "{}", onggi_model::chain(&fault));
    }
}

/// What is there at once, and where each record ends.
fn gather(reader: &mut Reader, first: Record) -> Vec<(Record, Option<Place>)> {
    let mut size = first.bytes.len();
    let place = reader.place(&first);
    let mut batch = vec![(first, place)];
    while size < BATCH
        && let Some(record) = reader.try_next()
    {
        size += record.bytes.len();
        let place = reader.place(&record);
        batch.push((record, place));
    }
    batch
}

/// Sends until all of it is taken; `false`: given up.
fn deliver(
    job: &mut Job,
    cursor: &Cursor,
    batch: &[(Record, Option<Place>)],
    cancelled: &Cancelled,
    peer: &Peer,
) -> bool {
    let mut sent = 0;
    let mut pause = FIRST_PAUSE;
    while sent < batch.len() {
        if cancelled.is() {
            return false;
        }
        let (id, begin) = (&job.id, sent);
        let records: Vec<_> = batch[begin..].iter().map(|(record, _)| record).collect();
        peer.begins();
        let result = job.sink.send(&records, &mut |count| {
            sent = begin + count;
            if let Some((_, Some(place))) = sent.checked_sub(1).and_then(|last| batch.get(last))
                && let Err(error) = cursor.save(place)
            {
                tracing::warn!(container = %id, "remember what was sent: {error}");
            }
            peer.begins();
        });
        peer.ends(result.is_err());
        if sent > begin {
            pause = FIRST_PAUSE;
        }
        if let Err(error) = result {
            // Said once for each time it begins to fail.
            if pause == FIRST_PAUSE {
                tracing::warn!(container = %job.id, "its log waits: {error}");
            }
            cancelled.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
    true
}

/// Where the cursor of a record is.
pub(crate) fn cursor_path(folder: &Path) -> PathBuf {
    folder.join("log-cursor")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use onggi_logs::{Driver, Stream, Writer};

    use super::*;

    /// A peer that is not there.
    struct Dead;

    impl Sink for Dead {
        fn send(&mut self, _: &[&Record], _: &mut dyn FnMut(usize)) -> std::io::Result<()> {
            Err(std::io::ErrorKind::ConnectionRefused.into())
        }
    }

    #[test]
    fn nobody_waits_for_the_dead() {
        let folder = std::env::temp_dir().join(format!("onggi-ship-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("can make a folder");
        let record = LogSpec {
            driver: Driver::Local,
            path: folder.join("log"),
            ..LogSpec::default()
        };
        let mut writer = Writer::open(&record).expect("can be opened");
        writer
            .write(Stream::Stdout, jiff::Timestamp::now(), b"line\n")
            .expect("can be written");
        writer.flush().expect("can be written");
        let id = ContainerId::random().expect("random bytes");
        let shipping = Shipping::default();
        let job = Job {
            id: id.clone(),
            record,
            cursor: cursor_path(&folder),
            sink: Box::new(Dead),
            running: Box::new(|| true),
        };
        shipping.start(job).expect("a thread");
        // Without end where it waits for the peer.
        shipping.finish(&id, Duration::from_secs(1 << 20));
        while shipping.is_busy(&id) {
            std::thread::yield_now();
        }
        std::fs::remove_dir_all(&folder).expect("can be removed");
    }
}
