//! ADD of archives: what is in them goes to the destination.

use std::io::{BufReader, Read};
use std::os::fd::BorrowedFd;

use onggi_archive::{ApplyOptions, TarReader, apply_below, decompress};

use super::Error;

/// Whether this is a tar, compressed or not, that has anything in it.
pub(crate) fn is_archive(bytes: impl Read + Send) -> bool {
    match decompress(bytes) {
        Ok((_, reader)) => matches!(TarReader::new(BufReader::new(reader)).next(), Ok(Some(_))),
        Err(_) => false,
    }
}

/// Unpacks `bytes`, called `name`, below the directory `base`, a path without links below the root.
pub(crate) fn unpack(
    bytes: impl Read + Send,
    name: &[u8],
    root: BorrowedFd<'_>,
    base: &[u8],
    options: &ApplyOptions,
) -> Result<(), Error> {
    let unpack = || apply_below(decompress(bytes)?.1, root, base, options);
    match unpack() {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Archive {
            path: String::from_utf8_lossy(name).into_owned(),
            source,
        }),
    }
}
