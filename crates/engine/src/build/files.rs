//! The files that steps work on: a root of their own over the layers before, mounted where nobody else sees it.

use std::os::fd::{AsFd, BorrowedFd};

use onggi_archive::{PackOptions, Time, Times, Whiteouts};
use onggi_builder::files::Tree;
use onggi_builder::{Ground, View as Files};
use onggi_image::Layer;
use onggi_store::ChainId;
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::Engine;
use crate::container::view::{Access, Stopped, View};
use crate::error::{Error, Result};

/// How what a step changed is packed.
pub(super) fn packing(time: Option<i64>, without: Vec<Vec<u8>>) -> PackOptions {
    PackOptions {
        times: match time {
            None => Times::Seconds,
            Some(seconds) => Times::Fixed(Time {
                seconds,
                nanoseconds: 0,
            }),
        },
        without,
        ..PackOptions::layer()
    }
}

impl Engine {
    /// Has `change` change files: the layer of that, or none. Blocks.
    pub(super) fn build_change(
        &self,
        on: Ground<'_>,
        time: Option<i64>,
        change: impl FnOnce(BorrowedFd<'_>) -> Result<(), onggi_builder::Error>,
    ) -> Result<Option<Layer>> {
        let scratch = self.inner.snapshots.scratch(on.seen)?;
        let mut options = packing(time, Vec::new());
        match on.seen {
            Some(_) => {
                let stopped = Stopped::of(scratch.rootfs(), scratch.path().to_path_buf());
                let view = View::stopped(stopped.volatile(), Access::Write)?;
                change(view.root())?;
            }
            // What is written is all there is: nothing need be mounted, and nothing is removed from below.
            None => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let upper = openat(CWD, scratch.upper(), flags, Mode::empty())
                    .map_err(|e| Error::io("open the files of a step", e))?;
                change(upper.as_fd())?;
                options.whiteouts = Whiteouts::Literal;
            }
        }
        let written = scratch.into_layer()?;
        let images = &self.inner.images;
        Ok(images.settle_layer(on.parent, written, &options)?)
    }

    /// The files of `top` and all below, to be read. Blocks.
    pub(super) fn build_view(&self, top: Option<&ChainId>, name: &str) -> Result<Files> {
        let scratch = self.inner.snapshots.scratch(top)?;
        let stopped = Stopped::of(scratch.rootfs(), scratch.path().to_path_buf());
        let view = View::stopped(stopped, Access::Read)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(view.root(), ".", flags, Mode::empty())
            .map_err(|e| Error::io("open the files of a stage", e))?;
        // The view before the root it shows.
        Ok(Files::new(
            Tree::new(root, name).keeping_owners(),
            (view, scratch),
        ))
    }
}
