//! overlayfs: `upper` and `work` beside each other in the container's directory, layers below.

use std::path::Path;

use crate::furnish::furnish;
use crate::inherit::{Attributes, make_directory};
use crate::{Error, Rootfs};

/// What the container writes.
pub(crate) const UPPER: &str = "upper";
/// overlayfs's own.
const WORK: &str = "work";

/// What the kernel stacks: OVL_MAX_STACK in fs/overlayfs/params.h.
pub(crate) const MAX_LAYERS: usize = 500;

/// Whether the kernel can stack that many.
pub(crate) fn check(layers: &[std::path::PathBuf]) -> Result<(), Error> {
    if layers.len() > MAX_LAYERS {
        return Err(Error::TooDeep {
            found: layers.len(),
            limit: MAX_LAYERS,
        });
    }
    Ok(())
}

/// Makes the directories. The upper directory gets the attributes of the topmost layer's root, because overlayfs shows
/// those of the upper one as the attributes of `/`.
pub(crate) fn create(container: &Path, layers: &[std::path::PathBuf]) -> Result<(), Error> {
    make(container, layers, furnish)
}

/// As [`create`], without what every container has.
pub(crate) fn bare(container: &Path, layers: &[std::path::PathBuf]) -> Result<(), Error> {
    make(container, layers, |_, _| Ok(()))
}

fn make(
    container: &Path,
    layers: &[std::path::PathBuf],
    fill: impl FnOnce(&Path, &[std::path::PathBuf]) -> Result<(), Error>,
) -> Result<(), Error> {
    check(layers)?;
    let attributes = layers.first().map(|top| Attributes::of(top)).transpose()?;
    let upper = container.join(UPPER);
    make_directory(&upper, 0o755)?;
    fill(&upper, layers)?;
    if let Some(attributes) = attributes {
        attributes.apply(&upper)?;
    }
    make_directory(&container.join(WORK), 0o700)
}

/// The parts, topmost layer first.
pub(crate) fn rootfs(container: &Path, lower: Vec<std::path::PathBuf>) -> Rootfs {
    Rootfs::Overlay {
        lower,
        upper: container.join(UPPER),
        work: container.join(WORK),
    }
}
