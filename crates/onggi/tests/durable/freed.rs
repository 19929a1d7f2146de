//! Removal answers first and frees behind, and what was to be freed is freed after a crash.

use crate::{check, image, ours, start, swept, tags};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Image, LIMIT, wait_until};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::path::{Path, PathBuf};

/// The file of that name below.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let kind = entry.file_type().ok()?;
        if kind.is_file() && entry.file_name() == name {
            return Some(path);
        }
        if kind.is_dir()
            && let Some(found) = find(&path, name)
        {
            return Some(found);
        }
    }
    None
}

#[test]
fn a_removal_that_was_answered_is_finished_by_the_next_daemon() -> Result<()> {
    if !ours()? {
        return Ok(());
    }
    let mut daemon = start()?;
    daemon.load(&image(&[1], 1 << 20)?, &["doomed:latest"])?;
    daemon.load(&Image::busybox()?, &["kept:latest"])?;
    let layers = daemon.data_root().join("layers");
    // A file that cannot be deleted: whoever waits for all files to be gone waits for ever.
    let file = find(&layers, "noise").context("the file of the layer")?;
    mount_bind(&file, &file)?;
    daemon.delete("/images/doomed:latest")?.ok()?;
    wait_until("the layer to be moved away", LIMIT, || {
        find(&layers, "noise").is_none().then_some(())
    })?;
    daemon.kill()?;
    let trash = daemon.data_root().join("tmp/trash");
    let file = find(&trash, "noise").context("not freed yet")?;
    daemon.run()?;
    ensure!(tags(&daemon)? == ["kept:latest"], "{:?}", tags(&daemon)?);
    unmount(&file, UnmountFlags::DETACH)?;
    // What stood in the way is gone: with the next removal, or the next start, the rest goes too.
    daemon.kill()?;
    daemon.run()?;
    swept(&daemon)?;
    check(&daemon)?;
    wait_until("the bytes to be free", LIMIT, || {
        find(&daemon.data_root(), "noise").is_none().then_some(())
    })
}
