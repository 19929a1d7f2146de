//! Layer and `cp` tars: applied to a directory, made from one, compressed and not. Cannot escape its root (S1, S8).
//!
//! A tar is read once, from front to back. Names in it are walked component by component below descriptors of our own;
//! a symbolic link in the way is followed by us, inside the root, never by the kernel. What a layer is called and where
//! it lies is the business of `store` and `snapshot`.

mod ahead;
mod apply;
mod compression;
mod error;
mod header;
mod kernel;
mod pack;
mod pax;
mod reader;
mod rebase;
mod settle;
mod tree;
mod writer;

pub use ahead::ReadAhead;
pub use apply::{Applied, ApplyOptions, Conflicts, Limits, Owner, apply, apply_at, apply_below};
pub use compression::{Compression, decompress, gzip, zstd};
pub use error::Error;
pub use header::{Entry, Kind, Time, Xattrs};
pub use kernel::shows_the_kernel;
pub use pack::{PackOptions, Packed, Times, pack, pack_at, pack_one};
pub use reader::TarReader;
pub use rebase::rebase;
pub use settle::settle;
pub use tree::clean;
pub use writer::TarWriter;

/// How removals are told in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whiteouts {
    /// As overlayfs has them in an upper directory: a character device 0:0 for what is gone, the extended attribute
    /// `trusted.overlay.opaque` for a directory that hides those below. In tars they are `.wh.` names.
    Overlay,
    /// Files like any other: nothing is translated. For `cp`, `export` and build contexts.
    #[default]
    Literal,
}
