//! Native: the layers copied on top of each other into one directory of the container's own.

use std::path::{Path, PathBuf};

use crate::furnish::furnish;
use crate::inherit::make_directory;
use crate::{Error, Rootfs, copy};

/// The container's root.
pub(crate) const ROOT: &str = "root";

/// Copies the layers, given topmost first, into the container's directory.
pub(crate) fn create(container: &Path, layers: &[PathBuf]) -> Result<(), Error> {
    let root = container.join(ROOT);
    make_directory(&root, 0o755)?;
    for layer in layers.iter().rev() {
        copy::layer(layer, &root)?;
    }
    furnish(&root, layers)
}

/// The directory.
pub(crate) fn rootfs(container: &Path) -> Rootfs {
    Rootfs::Directory(container.join(ROOT))
}
