//! Layers on their way: each is fetched and unpacked once, however many pulls wait for it.
//!
//! A job lives as long as somebody holds it; when the last one lets go it is aborted, its threads see the end
//! of their channel, and what they wrote goes. A job waits for the layer below only at its very end, so that
//! all layers of an image come at the same time.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use onggi_model::Digest;
use onggi_oci::image::Descriptor;
use onggi_registry::{Chunk, Source, Verify};
use onggi_snapshot::LayerCommit;
use onggi_store::{ChainId, LayerRecord, Lease};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::task::AbortHandle;

use crate::Error;
use crate::images::Inner;
use crate::slots::Slots;
use crate::unpack::{Blocks, Keep, Reading, Unpacked, unpack};

/// Pieces of a blob that wait to be unpacked.
const DEPTH: usize = 32;

/// How often the progress of unpacking is told.
const TICK: Duration = Duration::from_millis(100);

/// How far a layer is.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// Others come first.
    Waiting,
    /// Bytes come in.
    Downloading(u64),
    /// The registry broke off; it goes on after this pause.
    Retrying(Duration),
    /// All bytes came; the rest of them is being unpacked.
    Extracting(u64),
    /// It is a layer.
    Done(LayerRecord),
    /// It did not work.
    Failed(Arc<Error>),
}

/// A layer to be had.
pub(crate) struct Order {
    /// Who has its blob; nobody where that must be here already.
    pub(crate) source: Option<Source>,
    pub(crate) blob: Descriptor,
    pub(crate) diff_id: Digest,
    pub(crate) chain_id: ChainId,
    pub(crate) parent: Below,
    pub(crate) lease: Arc<Lease>,
}

/// What a layer stands on.
#[derive(Clone)]
pub(crate) enum Below {
    /// Nothing.
    Nothing,
    /// A layer that is there.
    Layer(ChainId),
    /// A layer that is on its way.
    Job(Arc<Job>),
}

/// A layer on its way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) phase: watch::Receiver<Phase>,
    task: AbortHandle,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Job {
    /// The layer, once it is one.
    pub(crate) async fn done(&self) -> Result<LayerRecord, Error> {
        let mut phase = self.phase.clone();
        let end = phase
            .wait_for(|p| matches!(p, Phase::Done(_) | Phase::Failed(_)))
            .await;
        match end.as_deref() {
            Ok(Phase::Done(layer)) => Ok(layer.clone()),
            Ok(Phase::Failed(error)) => Err(Error::Shared(error.clone())),
            _ => Err(Error::Cancelled),
        }
    }

    fn has_failed(&self) -> bool {
        // A sender that is gone without a result was aborted, or panicked.
        matches!(&*self.phase.borrow(), Phase::Failed(_))
            || (self.phase.has_changed().is_err()
                && !matches!(&*self.phase.borrow(), Phase::Done(_)))
    }
}

/// All layers on their way.
#[derive(Debug)]
pub(crate) struct Jobs {
    running: Mutex<HashMap<ChainId, Weak<Job>>>,
    /// One transfer for one blob, also when it belongs to several layers.
    blobs: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
    pub(crate) downloads: Slots,
}

impl Jobs {
    pub(crate) fn new(concurrent: usize) -> Jobs {
        Jobs {
            running: Mutex::default(),
            blobs: Mutex::default(),
            downloads: Slots::new(concurrent),
        }
    }

    /// The job for a layer, and whether it was running already.
    pub(crate) fn start(&self, inner: &Arc<Inner>, order: Order) -> (Arc<Job>, bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = running.get(&order.chain_id).and_then(Weak::upgrade)
            && !job.has_failed()
        {
            return (job, true);
        }
        running.retain(|_, job| job.strong_count() > 0);
        let chain_id = order.chain_id.clone();
        let (sender, phase) = watch::channel(Phase::Waiting);
        let inner = inner.clone();
        let task = tokio::spawn(async move {
            let end = match run(&inner, &order, &sender).await {
                Ok(layer) => Phase::Done(layer),
                Err(Error::Shared(error)) => Phase::Failed(error),
                Err(error) => Phase::Failed(Arc::new(error)),
            };
            sender.send_replace(end);
        });
        let job = Arc::new(Job {
            phase,
            task: task.abort_handle(),
        });
        running.insert(chain_id, Arc::downgrade(&job));
        (job, false)
    }

    fn blob(&self, digest: &Digest) -> Arc<AsyncMutex<()>> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = blobs.get(digest).and_then(Weak::upgrade) {
            return lock;
        }
        blobs.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(AsyncMutex::new(()));
        blobs.insert(digest.clone(), Arc::downgrade(&lock));
        lock
    }
}

async fn run(
    inner: &Arc<Inner>,
    order: &Order,
    phase: &watch::Sender<Phase>,
) -> Result<LayerRecord, Error> {
    let unpacked = {
        let lock = inner.jobs.blob(&order.blob.digest);
        let _only = lock.lock().await;
        let kept = inner.store.has_blob(&order.blob.digest)?;
        if let Some(layer) = inner.store.layer(&order.chain_id)?
            && kept
        {
            return Ok(layer);
        }
        match &order.source {
            _ if kept => from_store(inner, order, phase).await?,
            None => {
                let layer = order.blob.digest.clone();
                return Err(Error::Incomplete { layer });
            }
            Some(source) => {
                let _slot = inner.jobs.downloads.one().await?;
                from_registry(inner, order, source, phase).await?
            }
        }
    };
    if unpacked.diff_id != order.diff_id {
        inner.store.forget_partial(&order.blob.digest);
        return Err(Error::DiffId {
            expected: order.diff_id.clone(),
            found: unpacked.diff_id,
        });
    }
    let parent = match &order.parent {
        Below::Nothing => None,
        Below::Layer(chain_id) => Some(chain_id.clone()),
        Below::Job(job) => Some(job.done().await?.chain_id),
    };
    let (inner, lease) = (inner.clone(), order.lease.clone());
    onggi_rt::blocking("commit layer", move || {
        let _lease = lease;
        commit(&inner, unpacked, parent.as_ref())
    })
    .await?
}

/// Makes an unpacked directory a layer.
pub(crate) fn commit(
    inner: &Inner,
    unpacked: Unpacked,
    parent: Option<&ChainId>,
) -> Result<LayerRecord, Error> {
    let commit = LayerCommit {
        parent,
        diff_id: &unpacked.diff_id,
        size: unpacked.applied.size,
        implied: &unpacked.applied.implied,
    };
    Ok(inner.snapshots.commit_layer(unpacked.dir, &commit)?)
}

async fn from_store(
    inner: &Arc<Inner>,
    order: &Order,
    phase: &watch::Sender<Phase>,
) -> Result<Unpacked, Error> {
    let used = Arc::new(AtomicU64::new(0));
    let work = {
        let (inner, lease) = (inner.clone(), order.lease.clone());
        let (digest, used) = (order.blob.digest.clone(), used.clone());
        onggi_rt::blocking("unpack layer", move || {
            let _lease = lease;
            let file = inner.store.blob(&digest)?;
            unpack(
                &inner,
                &mut Counted {
                    source: Reading(file),
                    used,
                },
                Keep::Nothing,
            )
        })
    };
    watched(work, &used, phase).await?
}

async fn from_registry(
    inner: &Arc<Inner>,
    order: &Order,
    source: &Source,
    phase: &watch::Sender<Phase>,
) -> Result<Unpacked, Error> {
    match fetch(inner, order, source, phase).await {
        // What an earlier transfer left was spoiled, by a power cut perhaps. It is gone now.
        (Err(Error::LayerDigest(digest)), 1..) => {
            tracing::info!(%digest, "what was left of a transfer is of no use: fetched anew");
            fetch(inner, order, source, phase).await.0
        }
        (unpacked, _) => unpacked,
    }
}

/// Fetches and unpacks a blob, beginning with what an earlier transfer left of it: so many bytes.
async fn fetch(
    inner: &Arc<Inner>,
    order: &Order,
    source: &Source,
    phase: &watch::Sender<Phase>,
) -> (Result<Unpacked, Error>, u64) {
    let resume = {
        let (inner, lease) = (inner.clone(), order.lease.clone());
        let (digest, size) = (order.blob.digest.clone(), order.blob.size);
        onggi_rt::blocking("resume a blob", move || {
            let _lease = lease;
            let ingest = inner.store.resume(&digest, size)?;
            let (known, left) = ingest.known()?;
            Ok::<_, Error>((ingest, known, left))
        })
    };
    let (ingest, known, left) = match resume.await.map_err(Error::from).flatten() {
        Ok(resumed) => resumed,
        Err(error) => return (Err(error), 0),
    };
    let (pieces, coming) = mpsc::channel(DEPTH);
    let used = Arc::new(AtomicU64::new(0));
    let work = {
        let (inner, lease) = (inner.clone(), order.lease.clone());
        let (digest, used) = (order.blob.digest.clone(), used.clone());
        onggi_rt::blocking("unpack layer", move || {
            let _lease = lease;
            let source = Coming {
                left: Some(Reading(left)),
                pieces: coming,
                ended: false,
            };
            unpack(
                &inner,
                &mut Counted { source, used },
                Keep::Exactly(&digest, ingest),
            )
        })
    };
    let transfer = transfer(order, source, known, pieces, phase);
    let mut work = std::pin::pin!(work);
    let unpacked = async {
        tokio::select! {
            sent = transfer => match sent {
                Ok(()) => watched(work, &used, phase).await?,
                Err(error) => {
                    // The thread has seen the end of its channel; what it says about it does not matter.
                    let unpacked = work.await?;
                    Err(error.or(unpacked.err()).unwrap_or(Error::Cancelled))
                }
            },
            unpacked = &mut work => match unpacked? {
                // It cannot be done before all came, so something is wrong with the disk or the tar.
                Ok(_) => Err(Error::Cancelled),
                Err(error) => Err(error),
            },
        }
    };
    (unpacked.await, known)
}

/// Sends a blob piece by piece, from there on. Fails with nothing to say when the other end has gone.
async fn transfer(
    order: &Order,
    source: &Source,
    known: u64,
    pieces: mpsc::Sender<Piece>,
    phase: &watch::Sender<Phase>,
) -> Result<(), Option<Error>> {
    // The thread that writes the blob hashes it.
    let mut blob = source.blob(&order.blob, Verify::ByCaller);
    blob.skip_to(known);
    phase.send_replace(Phase::Downloading(known));
    while let Some(chunk) = blob.next().await.map_err(|error| Some(error.into()))? {
        match chunk {
            Chunk::Data(data) => {
                pieces.send(Piece::Data(data)).await.map_err(|_| None)?;
                phase.send_replace(Phase::Downloading(blob.position()));
            }
            Chunk::Retrying { after, error } => {
                let digest = &order.blob.digest;
                tracing::info!(%digest, ?after, %error, "a transfer broke off");
                phase.send_replace(Phase::Retrying(after));
            }
        }
    }
    pieces.send(Piece::End).await.map_err(|_| None)
}

/// Waits for a thread that unpacks and tells how far it is.
async fn watched<T>(
    work: impl Future<Output = T>,
    used: &AtomicU64,
    phase: &watch::Sender<Phase>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        phase.send_replace(Phase::Extracting(used.load(Ordering::Relaxed)));
        if let Ok(done) = tokio::time::timeout(TICK, &mut work).await {
            phase.send_replace(Phase::Extracting(used.load(Ordering::Relaxed)));
            return done;
        }
    }
}

/// A piece of a blob on its way from the network to the disk. The end is said: a channel that just closes
/// means that nobody waits any more.
enum Piece {
    Data(Bytes),
    End,
}

struct Coming<R> {
    /// What came earlier, until it is read.
    left: Option<Reading<R>>,
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

impl<R: Read + Send> Blocks for Coming<R> {
    fn block(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(left) = &mut self.left {
            match left.block()? {
                Some(block) => return Ok(Some(block)),
                None => self.left = None,
            }
        }
        if self.ended {
            return Ok(None);
        }
        match self.pieces.blocking_recv() {
            Some(Piece::Data(data)) => Ok(Some(data)),
            Some(Piece::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the transfer ended early",
            )),
        }
    }
}

struct Counted<B> {
    source: B,
    used: Arc<AtomicU64>,
}

impl<B: Blocks> Blocks for Counted<B> {
    fn block(&mut self) -> io::Result<Option<Bytes>> {
        let block = self.source.block()?;
        let count = block.as_ref().map_or(0, |block| block.len() as u64);
        self.used.fetch_add(count, Ordering::Relaxed);
        Ok(block)
    }
}
