//! `onggi-monitor` and `onggi-init`, found beside this program and copied into sealed memory.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use onggi_engine::Programs;

/// Where packages put programs that are not for users.
const LIBEXEC: &str = "/usr/libexec/onggi";

/// Finds both programs and copies them; `init` takes the place of ours.
///
/// # Errors
/// The text for the user: which program is missing, and where it was looked for.
pub(crate) fn load(init: Option<&Path>) -> Result<Programs, String> {
    let own = std::env::current_exe().map_err(|e| format!("find this program: {e}"))?;
    let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
    let places = [beside, PathBuf::from(LIBEXEC)];
    Ok(Programs {
        monitor: sealed("onggi-monitor", &places)?,
        init: match init {
            Some(path) => copy(path)?,
            None => sealed("onggi-init", &places)?,
        },
    })
}

fn sealed(name: &str, places: &[PathBuf]) -> Result<OwnedFd, String> {
    let Some(path) = places
        .iter()
        .map(|place| place.join(name))
        .find(|path| path.exists())
    else {
        let places: Vec<_> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        return Err(format!("{name} is not in {}", places.join(" or ")));
    };
    copy(&path)
}

fn copy(path: &Path) -> Result<OwnedFd, String> {
    onggi_sys::memfd::sealed_copy(path).map_err(|e| format!("copy {}: {e}", path.display()))
}
