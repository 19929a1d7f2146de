//! Rotated files, compressed: gzip, with the identity that the file had before in the header, so that a reader that was in
//! the middle of it finds its place in the set.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::Error;
use crate::files::{failed, packed};

const BUFFER: usize = 64 * 1024;

/// A file on its way to its compressed form.
pub(crate) struct Packer {
    path: PathBuf,
    source: File,
    target: GzEncoder<File>,
}

impl Packer {
    /// Begins with a file that nobody writes to any more.
    pub(crate) fn begin(path: &Path) -> Result<Self, Error> {
        let source = File::open(path).map_err(failed("open log", path))?;
        let meta = source.metadata().map_err(failed("read log", path))?;
        let unfinished = unfinished(path);
        let target = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(&unfinished)
            .map_err(failed("compress log", &unfinished))?;
        // Fast: 20 MiB of text are a fraction of a second, and come out at a tenth.
        let target = GzBuilder::new()
            .comment(format!("{}:{}", meta.dev(), meta.ino()))
            .write(target, Compression::fast());
        Ok(Self {
            path: path.to_owned(),
            source,
            target,
        })
    }

    /// Compresses up to `most` bytes more; `true`: that was all.
    pub(crate) fn go_on(&mut self, most: u64) -> Result<bool, Error> {
        let copied = io::copy(&mut (&mut self.source).take(most), &mut self.target)
            .map_err(failed("compress log", &self.path))?;
        Ok(copied < most)
    }

    /// The compressed file takes the place of the plain one.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let unfinished = unfinished(&self.path);
        let file = self
            .target
            .finish()
            .map_err(failed("compress log", &self.path))?;
        // After a power cut one of the two is whole.
        file.sync_data()
            .and_then(|()| std::fs::rename(&unfinished, packed(&self.path)))
            .and_then(|()| std::fs::remove_file(&self.path))
            .map_err(failed("compress log", &self.path))
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn unfinished(path: &Path) -> PathBuf {
    packed(path).with_extension("gz.new")
}

/// The identity that a compressed file had when it was plain; its own where somebody else compressed it.
pub(crate) fn identity(file: &File) -> io::Result<(u64, u64)> {
    let meta = file.metadata()?;
    let mut head = [0; 512];
    let count = file.read_at(&mut head, 0)?;
    let decoder = GzDecoder::new(&head[..count]);
    let comment = decoder.header().and_then(|header| header.comment());
    let numbers = comment.and_then(|comment| {
        let (device, inode) = str::from_utf8(comment).ok()?.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    Ok(numbers.unwrap_or((meta.dev(), meta.ino())))
}

/// The plain contents in a file without a name. What a torn file still gives is better than nothing.
pub(crate) fn unpacked(file: &File) -> io::Result<File> {
    let memory = rustix::fs::memfd_create("onggi-log", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut plain = File::from(memory);
    let mut source = file;
    source.seek(SeekFrom::Start(0))?;
    let mut decoder = GzDecoder::new(io::BufReader::with_capacity(BUFFER, source));
    let mut buffer = vec![0; BUFFER];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => plain.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    plain.seek(SeekFrom::Start(0))?;
    Ok(plain)
}
