//! A pull that ended early goes on where it was: after `kill -9`, after a restart, after a connection that was lost.

use crate::{check, image, on_disk, ours, pull, start, swept};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Metered, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of each of the layers.
const LAYER: usize = 6 << 20;
/// Bytes that may be on their way, for each layer: what is not on the disk is lost with the daemon.
const AHEAD: u64 = 64 << 10;

/// How far the layers come, and what happens there.
#[derive(Default)]
struct Border {
    /// Bytes of each blob.
    limit: AtomicU64,
    /// The connection is lost, instead of waiting for more.
    breaks: AtomicBool,
}

/// A registry that sends no more than the daemon writes down, and nothing beyond the border.
fn registry(daemon: &Daemon, border: &Arc<Border>) -> Result<Metered> {
    let (data, border) = (daemon.data_root(), border.clone());
    Metered::start(daemon.namespace(), move |digest, to| {
        // A daemon that is gone writes nothing, and its connection ends.
        let may = wait_until("the daemon to write, and the border to move", LIMIT, || {
            let within = to <= border.limit.load(Ordering::Relaxed);
            if !within && border.breaks.load(Ordering::Relaxed) {
                return Some(false);
            }
            (within && on_disk(&data, digest) + AHEAD >= to).then_some(true)
        });
        may.unwrap_or(false)
    })
}

/// What ends a pull early.
#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Restart,
    Lost,
}

#[test]
fn at_most_a_twentieth_is_fetched_twice() -> Result<()> {
    if !ours()? {
        return Ok(());
    }
    let mut daemon = start()?;
    for (number, end) in [End::Kill, End::Restart, End::Lost].into_iter().enumerate() {
        // Three layers, which come at the same time.
        let first = number as u64 * 10;
        let image = image(&[first + 1, first + 2, first + 3], LAYER)?;
        let border = Arc::new(Border::default());
        border
            .breaks
            .store(matches!(end, End::Lost), Ordering::Relaxed);
        let registry = registry(&daemon, &border)?;
        let size = registry.add("app", &image)?;
        let name = format!("{}/app", registry.address());
        for share in [1, 2] {
            // The layers come to this point and no further, and there they are broken off.
            let limit = LAYER as u64 * share / 3;
            border.limit.store(limit, Ordering::Relaxed);
            interrupt(&mut daemon, &registry, &name, end, 3 * limit)?;
        }
        border.limit.store(u64::MAX, Ordering::Relaxed);
        pull(&daemon.api(), &name)?;
        let twice = registry.sent().saturating_sub(size);
        ensure!(
            twice * 20 <= size,
            "{end:?}: {twice} of {size} bytes came twice"
        );
        check(&daemon)?;
        // A second name of what is in the image now is no byte of its own, and gone.
        let left = std::fs::read_dir(daemon.data_root().join("partial/sha256"))?.count();
        ensure!(left == 0, "{end:?}: {left} partial blobs are left");
        daemon.delete(&format!("/images/{name}:latest"))?.ok()?;
        swept(&daemon)?;
    }
    Ok(())
}

/// Pulls until about so much was sent in all, and ends that.
fn interrupt(
    daemon: &mut Daemon,
    registry: &Metered,
    name: &str,
    end: End,
    enough: u64,
) -> Result<()> {
    let api = daemon.api();
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| pull(&api, name));
        if matches!(end, End::Lost) {
            // It tries again a few times, and is told every time that there is no more for now.
            let pulled = pulling.join();
            ensure!(matches!(pulled, Ok(Err(_))), "the pull worked: {pulled:?}");
            return Ok(());
        }
        // Each layer ends at the last whole piece before the border.
        let almost = enough.saturating_sub(3 * (64 << 10));
        wait_until("bytes", Duration::from_secs(120), || {
            (registry.sent() >= almost || pulling.is_finished()).then_some(())
        })?;
        match end {
            End::Kill => daemon.kill()?,
            _ => drop(daemon.stop()?),
        }
        let _ = pulling.join();
        daemon.run()
    })
}

/// A pull that failed leaves what came; pruning takes it away.
#[test]
fn pruning_takes_what_is_left_of_a_pull() -> Result<()> {
    if !ours()? {
        return Ok(());
    }
    let daemon = start()?;
    let border = Arc::new(Border::default());
    border.limit.store(LAYER as u64 / 2, Ordering::Relaxed);
    border.breaks.store(true, Ordering::Relaxed);
    let registry = registry(&daemon, &border)?;
    registry.add("app", &image(&[7], LAYER)?)?;
    let name = format!("{}/app", registry.address());
    ensure!(pull(&daemon.api(), &name).is_err(), "it broke off");
    let told = check(&daemon)?;
    ensure!(told.contains("; 1 blobs came in part ("), "{told}");
    let pruned = daemon.cli(&["image", "prune", "-f"])?;
    ensure!(!pruned.ok()?.contains("space: 0B"), "{pruned:?}");
    let told = check(&daemon)?;
    ensure!(!told.contains("in part"), "{told}");
    Ok(())
}
