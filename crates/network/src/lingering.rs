//! Links that outlive their container. They die with its namespace, and that lives on while the kernel still tries to
//! hand over the last bytes of a TCP connection: minutes, where the other side does not read. Until then it would answer
//! to an address that somebody else may have by now.

use std::sync::Arc;
use std::time::Duration;

use onggi_netlink::{Batch, link};
use tracing::{debug, warn};

use crate::error::{Error, Result};
use crate::inner::Inner;

/// How long a namespace has to go by itself: deleting a link costs more than letting it die.
const PATIENCE: Duration = Duration::from_secs(1);

/// Deletes these links of the host if they are there after a while.
pub(crate) fn see_off(inner: &Arc<Inner>, links: Vec<String>) {
    if links.is_empty() {
        return;
    }
    let inner = Arc::clone(inner);
    onggi_rt::spawn("see links off", async move {
        tokio::time::sleep(PATIENCE).await;
        let work = move || {
            for name in links {
                match inner.delete_lingering(&name) {
                    Ok(true) => debug!(link = name, "deleted a link that outlived its container"),
                    Ok(false) => {}
                    Err(error) => warn!(link = name, %error, "left to the next daemon"),
                }
            }
        };
        if let Err(error) = onggi_rt::blocking("delete lingering links", work).await {
            warn!(%error, "links are left to the next daemon");
        }
    });
}

impl Inner {
    /// Whether the link was there.
    fn delete_lingering(&self, name: &str) -> Result<bool> {
        let mut kernel = self.kernel();
        let Some(kernel) = kernel.as_mut() else {
            return Ok(false);
        };
        let mut batch = Batch::new();
        batch.push("delete the link", link::delete_by_name(name));
        match kernel.route.transact(batch) {
            Ok(()) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(Error::kernel("delete a lingering link")(error)),
        }
    }
}
