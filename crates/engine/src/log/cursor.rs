//! How far a record has been sent: one small file beside it, written in one go after each piece the peer has taken.
//!
//! It survives the death of the daemon at any moment; after a power cut it may be a little old, and what was sent in
//! between comes again: a line too many rather than one too few.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use onggi_logs::Place;

/// Longer than any cursor; the file always has this size, so that a new one covers the old one.
const SIZE: usize = 256;

/// The file.
pub(super) struct Cursor {
    file: File,
}

impl Cursor {
    /// Opens or makes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        Ok(Self { file })
    }

    /// Behind which record it stands; `None`: before the first.
    pub(super) fn place(&self) -> Option<Place> {
        let mut bytes = [0; SIZE];
        let count = self.file.read_at(&mut bytes, 0).ok()?;
        let text = bytes[..count].trim_ascii();
        serde_json::from_slice(text).ok()
    }

    /// Moves it.
    pub(super) fn save(&self, place: &Place) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(place)?;
        bytes.resize(SIZE - 1, b' ');
        bytes.push(b'\n');
        self.file.write_all_at(&bytes, 0)
    }
}
