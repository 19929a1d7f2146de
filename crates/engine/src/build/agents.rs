//! `RUN --mount=type=ssh`: a socket that a command speaks with; whoever connects there speaks with an agent of the client,
//! through its session.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::task::{JoinHandle, JoinSet};

use super::session::Wire;
use crate::error::{Error, Result};

/// Streams to one agent at a time.
const MOST: usize = 64;

/// A socket that is listened to as long as this is there.
pub(super) struct Listening(JoinHandle<Option<()>>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a socket at `path` for an agent of the client's.
///
/// # Errors
/// What the kernel says.
pub(super) fn listen(
    wire: Arc<Wire>,
    id: String,
    path: &Path,
    mode: u32,
    owner: (u32, u32),
) -> Result<Listening> {
    let failed = |error| Error::io("make a socket for an agent", error);
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    chown(path, Some(owner.0), Some(owner.1)).map_err(failed)?;
    let task = async move {
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if streams.len() < MOST => {
                    let Ok((stream, _)) = accepted else { return };
                    let (wire, id) = (wire.clone(), id.clone());
                    streams.spawn(async move { wire.speak_with_agent(&id, stream).await });
                }
                Some(_) = streams.join_next() => {}
            }
        }
    };
    Ok(Listening(onggi_rt::spawn("listen for an agent", task)))
}
