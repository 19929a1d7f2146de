//! From a tar to an index: each file's bytes are hashed as they come and go to one file, the spool.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use onggi_archive::{Entry, Error, TarReader};
use sha2::{Digest as _, Sha256};

use super::index::{Bounds, Content, Contents, Index};
use super::listing::Listing;

/// Read and written at a time.
const BUFFER: usize = 256 << 10;
/// Bytes after the end of an archive that are read, so that whoever sends it is not cut off.
const TRAILER: u64 = 64 << 20;

/// One file with the bytes of all.
#[derive(Debug)]
struct Spool(Arc<File>);

impl Contents for Spool {
    fn fetch(&self, _: &[Content]) -> Result<(), super::Error> {
        Ok(())
    }

    fn open(&self, content: &Content) -> Result<(Arc<File>, u64), super::Error> {
        Ok((self.0.clone(), content.at))
    }
}

/// Reads a tar, not compressed, to its end. The bytes of its files go to `spool`, which is empty; it may have no name.
///
/// # Errors
/// Archives that are broken, lead out of their root or hold more than `bounds`; what the disk says.
pub fn receive(tar: impl Read, spool: File, bounds: Bounds) -> Result<Index, Error> {
    let kept = spool
        .try_clone()
        .map_err(|error| written("keep the build context")(error))?;
    let contents = Arc::new(Spool(Arc::new(kept)));
    let mut listing = Listing::new(contents, bounds);
    let mut receiver = Receiver {
        spool: BufWriter::with_capacity(BUFFER, spool),
        at: 0,
    };
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, tar));
    while let Some(entry) = tar.next()? {
        listing.entry(&entry, || receiver.file(&entry, &mut tar))?;
    }
    receiver
        .spool
        .flush()
        .map_err(written("keep the build context"))?;
    tar.drain(TRAILER)?;
    Ok(listing.finish())
}

struct Receiver {
    spool: BufWriter<File>,
    /// Where in the spool the next file goes.
    at: u64,
}

impl Receiver {
    /// Takes in the bytes of a file.
    fn file<R: BufRead>(
        &mut self,
        entry: &Entry,
        tar: &mut TarReader<R>,
    ) -> Result<(Content, bool), Error> {
        let begin = self.at;
        let mut hash = Sha256::new();
        let mut has_holes = false;
        loop {
            let hole = tar.hole();
            if hole > 0 {
                has_holes = true;
                let zeros = [0; 16 << 10];
                let mut left = hole;
                while left > 0 {
                    let count = left.min(zeros.len() as u64);
                    hash.update(&zeros[..usize::try_from(count).unwrap_or(0)]);
                    left -= count;
                }
                self.at += hole;
                self.spool
                    .seek(SeekFrom::Start(self.at))
                    .map_err(written(&entry.path))?;
                continue;
            }
            let bytes = tar.data()?;
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            self.spool.write_all(bytes).map_err(written(&entry.path))?;
            let count = bytes.len();
            self.at += count as u64;
            tar.consume(count);
        }
        if has_holes {
            // One at the end is none until the spool has its size.
            let grown = self.spool.flush();
            let grown = grown.and_then(|()| self.spool.get_ref().set_len(self.at));
            grown.map_err(written(&entry.path))?;
        }
        let content = Content {
            digest: hash.finalize().into(),
            size: self.at - begin,
            at: begin,
        };
        Ok((content, has_holes))
    }
}

fn written(path: impl AsRef<[u8]>) -> impl FnOnce(std::io::Error) -> Error {
    let name = String::from_utf8_lossy(path.as_ref()).into_owned();
    move |source| Error::File {
        what: "write",
        name,
        source,
    }
}
