//! Programs to their places: all in one folder, because the daemon looks for the others beside itself.

use crate::packages;
use crate::programs::{Build, HOST, STATIC, replace, stage};
use anyhow::{Context, Result};
use std::path::Path;

/// Builds and copies.
pub(crate) fn run(prefix: &Path) -> Result<()> {
    packages::install(&[packages::BUILD])?;
    let folder = stage(Build::Release)?;
    let bin = prefix.join("bin");
    std::fs::create_dir_all(&bin).with_context(|| bin.display().to_string())?;
    for name in HOST.iter().chain(STATIC) {
        replace(&folder.join(name), &bin.join(name))?;
    }
    println!(
        "installed {} to {}",
        HOST.iter()
            .chain(STATIC)
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
        bin.display()
    );
    Ok(())
}
