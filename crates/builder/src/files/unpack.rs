//! ADD of archives: what is in them goes to the destination.

use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::os::fd::BorrowedFd;

use onggi_archive::{ApplyOptions, TarReader, apply_below, decompress};

use super::Error;

/// Whether a file is a tar, compressed or not, that has anything in it. Leaves it at its beginning.
pub(crate) fn is_archive(mut file: &File, path: &[u8]) -> Result<bool, Error> {
    let has_entry = match decompress(file) {
        Ok((_, reader)) => matches!(TarReader::new(BufReader::new(reader)).next(), Ok(Some(_))),
        Err(_) => false,
    };
    let rewound = file.seek(SeekFrom::Start(0));
    rewound.map_err(Error::file("read", path))?;
    Ok(has_entry)
}

/// Unpacks `file`, called `name`, below the directory `base`, a path without links below the root.
pub(crate) fn unpack(
    file: &File,
    name: &[u8],
    root: BorrowedFd<'_>,
    base: &[u8],
    options: &ApplyOptions,
) -> Result<(), Error> {
    let unpack = || apply_below(decompress(file)?.1, root, base, options);
    match unpack() {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Archive {
            path: String::from_utf8_lossy(name).into_owned(),
            source,
        }),
    }
}
