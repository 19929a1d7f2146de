//! One pass over a layer: the bytes as they come are hashed and kept, inflated, hashed again and applied.
//!
//! Three threads, because hashing is slower than inflating: the caller's inflates and applies, one hashes and
//! writes the blob, one hashes the tar. All channels between them are bounded.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use aws_lc_rs::digest as hash;
use bytes::Bytes;
use onggi_archive::{Applied, ApplyOptions, Compression, apply_at, decompress};
use onggi_model::{Algorithm, Digest};
use onggi_snapshot::LayerDir;
use onggi_store::Ingest;

use crate::Error;
use crate::images::Inner;

/// Bytes read at a time.
const BLOCK: usize = 128 << 10;
/// Blocks that wait for a hash.
const DEPTH: usize = 16;

/// A source whose first bytes were looked at.
struct Looked<'a> {
    start: Bytes,
    told: bool,
    source: &'a mut dyn Blocks,
}

impl Looked<'_> {
    fn new(source: &mut dyn Blocks) -> io::Result<Looked<'_>> {
        let mut start = Vec::new();
        // Blocks may be short; six bytes tell all compressions apart.
        while start.len() < 6
            && let Some(block) = source.block()?
        {
            start.extend_from_slice(&block);
        }
        Ok(Looked {
            start: start.into(),
            told: false,
            source,
        })
    }
}

impl Blocks for Looked<'_> {
    fn block(&mut self) -> io::Result<Option<Bytes>> {
        if !self.told {
            self.told = true;
            if !self.start.is_empty() {
                return Ok(Some(self.start.clone()));
            }
        }
        self.source.block()
    }
}

/// A layer on the disk that is not yet one in the store.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) dir: LayerDir,
    /// Digest of the tar.
    pub(crate) diff_id: Digest,
    pub(crate) applied: Applied,
    pub(crate) compression: Compression,
    /// Digest and size of what came, when it was kept.
    pub(crate) blob: Option<(Digest, u64)>,
}

/// Whether to keep the bytes as they come.
#[derive(Debug)]
pub(crate) enum Keep<'a> {
    /// As a blob, which must have this digest. What came when the source breaks off is left for the next time.
    Exactly(&'a Digest, Ingest),
    /// As a blob; as a tar when they are compressed in a way that registries do not know.
    Any,
    /// They are kept already.
    Nothing,
}

/// Bytes from somewhere, block by block.
pub(crate) trait Blocks: Send {
    /// The next block; `None` at the end, an error when there is no end.
    fn block(&mut self) -> io::Result<Option<Bytes>>;
}

/// Blocks of any reader.
pub(crate) struct Reading<R>(pub(crate) R);

impl<R: Read + Send> Blocks for Reading<R> {
    fn block(&mut self) -> io::Result<Option<Bytes>> {
        let mut block = vec![0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.0.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        block.truncate(filled);
        Ok((filled > 0).then(|| block.into()))
    }
}

/// Unpacks a layer into a directory of its own.
///
/// When both the tar and the digest are wrong, the digest is reported: it is the reason.
pub(crate) fn unpack(
    inner: &Inner,
    source: &mut dyn Blocks,
    keep: Keep<'_>,
) -> Result<Unpacked, Error> {
    if !matches!(keep, Keep::Any) {
        return unpack_as_it_is(inner, source, keep);
    }
    let mut source = Looked::new(source).map_err(Error::Read)?;
    if Compression::detect(&source.start).is_of_layers() {
        return unpack_as_it_is(inner, &mut source, keep);
    }
    let mut tee = Tee {
        source: &mut source,
        keep: None,
        block: Bytes::new(),
        failure: None,
    };
    let unpacked = {
        let (_, plain) = decompress(&mut tee).map_err(Error::Layer)?;
        unpack_as_it_is(inner, &mut Reading(plain), keep)
    };
    match (tee.failure, unpacked) {
        (Some(error), _) => Err(Error::Read(error)),
        // The source was fine, what is in it is not.
        (None, Err(Error::Read(error))) => Err(Error::Layer(match error.kind() {
            io::ErrorKind::UnexpectedEof => onggi_archive::Error::Truncated,
            _ => onggi_archive::Error::Read(error),
        })),
        (None, unpacked) => unpacked,
    }
}

fn unpack_as_it_is(
    inner: &Inner,
    source: &mut dyn Blocks,
    keep: Keep<'_>,
) -> Result<Unpacked, Error> {
    let dir = inner.snapshots.begin_layer()?;
    let any = matches!(keep, Keep::Any);
    let (ingest, expected) = match keep {
        Keep::Exactly(digest, ingest) => (Some(ingest), Some(digest)),
        Keep::Any => (Some(inner.store.ingest()?), None),
        Keep::Nothing => (None, None),
    };
    thread::scope(|scope| {
        let (to_blob, blobs) = sync_channel(DEPTH);
        let writer = ingest.map(|ingest| scope.spawn(move || write(ingest, &blobs)));
        let mut tee = Tee {
            source,
            keep: writer.is_some().then_some(to_blob),
            block: Bytes::new(),
            failure: None,
        };
        let unpacked: Result<_, Error> = (|| {
            let (compression, tar) = decompress(&mut tee).map_err(Error::Layer)?;
            let (to_hash, tars) = sync_channel(DEPTH);
            // What is not compressed has one hash, which the writer takes.
            let twice = compression != Compression::None || !any;
            let hasher = twice.then(|| scope.spawn(move || hash_all(&tars)));
            let mut tar = Hashing {
                source: tar,
                to: twice.then_some(to_hash),
                block: Bytes::new(),
            };
            let applied = apply_at(&mut tar, &dir.path, &ApplyOptions::layer());
            drop(tar);
            let diff_id = hasher.map(join).transpose()?;
            Ok((compression, applied.map_err(Error::Layer)?, diff_id))
        })();
        // A tar that ends early, or is none, must not hide that the bytes are wrong.
        let worthwhile = match &unpacked {
            Ok(_) => true,
            Err(error) => expected.is_some() && !error.is_full(),
        };
        let drained = if worthwhile { tee.drain() } else { Ok(()) };
        let failure = tee.failure.take();
        drop(tee);
        let ingest = writer
            .map(join)
            .transpose()?
            .transpose()
            .map_err(Error::Write)?;
        if let Some(error) = failure {
            if let Some(ingest) = ingest {
                ingest.leave();
            }
            return Err(Error::Read(error));
        }
        drained.map_err(Error::Read)?;
        let blob = match (ingest, expected) {
            (Some(ingest), Some(digest)) if worthwhile => Some(commit(ingest, Some(digest))?),
            (Some(ingest), _) if unpacked.is_ok() => Some(commit(ingest, None)?),
            _ => None,
        };
        if let (Err(_), Some(digest)) = (&unpacked, expected) {
            // The bytes are right, and no layer: nobody shall begin with them.
            inner.store.forget_partial(digest);
        }
        let (compression, applied, diff_id) = unpacked?;
        let diff_id = match (diff_id, &blob) {
            (Some(diff_id), _) => diff_id,
            (None, Some((digest, _))) => digest.clone(),
            (None, None) => return Err(Error::Cancelled),
        };
        Ok(Unpacked {
            dir,
            diff_id,
            applied,
            compression,
            blob,
        })
    })
}

fn commit(ingest: Ingest, expected: Option<&Digest>) -> Result<(Digest, u64), Error> {
    let size = ingest.size();
    match ingest.commit(expected) {
        Ok(digest) => Ok((digest, size)),
        Err(onggi_store::Error::Digest { expected, .. }) => Err(Error::LayerDigest(expected)),
        Err(error) => Err(error.into()),
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T, Error> {
    thread
        .join()
        .map_err(|_| Error::Read(io::Error::other("a thread that unpacks panicked")))
}

fn write(mut ingest: Ingest, blocks: &Receiver<Bytes>) -> io::Result<Ingest> {
    for block in blocks {
        ingest.write_all(&block)?;
    }
    Ok(ingest)
}

fn hash_all(blocks: &Receiver<Bytes>) -> Digest {
    let mut context = hash::Context::new(&hash::SHA256);
    for block in blocks {
        context.update(&block);
    }
    sha256_of(&context.finish())
}

/// A finished SHA-256 as a digest.
pub(crate) fn sha256_of(finished: &hash::Digest) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(finished.as_ref());
    Digest::sha256(bytes)
}

/// The digest of bytes at hand.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let function = match algorithm {
        Algorithm::Sha256 => &hash::SHA256,
        Algorithm::Sha512 => &hash::SHA512,
    };
    let finished = hash::digest(function, bytes);
    Digest::from_bytes(algorithm, finished.as_ref()).unwrap_or_else(|_| sha256_of(&finished))
}

/// Reads the source and sends what it reads to the thread that keeps it.
struct Tee<'a> {
    source: &'a mut dyn Blocks,
    keep: Option<SyncSender<Bytes>>,
    block: Bytes,
    /// What the source said, which the readers above wrap beyond recognition.
    failure: Option<io::Error>,
}

impl Tee<'_> {
    fn fill(&mut self) -> io::Result<bool> {
        let block = match self.source.block() {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(false),
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.failure = Some(error);
                return Err(told);
            }
        };
        if let Some(keep) = &self.keep
            && keep.send(block.clone()).is_err()
        {
            // It failed, and says why when it is joined.
            return Err(io::Error::other("the blob cannot be kept"));
        }
        self.block = block;
        Ok(true)
    }

    fn drain(&mut self) -> io::Result<()> {
        if self.failure.is_some() {
            return Ok(());
        }
        while self.fill()? {}
        Ok(())
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        Ok(take(&mut self.block, buffer))
    }
}

/// Reads the tar and sends it to the thread that hashes it.
struct Hashing<'a> {
    source: Box<dyn Read + Send + 'a>,
    to: Option<SyncSender<Bytes>>,
    block: Bytes,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(to) = &self.to else {
            return self.source.read(buffer);
        };
        if self.block.is_empty() {
            let Some(block) = Reading(&mut self.source).block()? else {
                return Ok(0);
            };
            if to.send(block.clone()).is_err() {
                return Err(io::Error::other("the tar cannot be hashed"));
            }
            self.block = block;
        }
        Ok(take(&mut self.block, buffer))
    }
}

fn take(block: &mut Bytes, buffer: &mut [u8]) -> usize {
    let count = block.len().min(buffer.len());
    buffer[..count].copy_from_slice(&block.split_to(count));
    count
}
