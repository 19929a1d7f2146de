//! Watches the changes of others to nftables and restores what is ours: the table on kernels where it cannot be owned,
//! the jump when someone empties FORWARD or makes it drop.

use std::sync::{Arc, Weak};
use std::time::Duration;

use onggi_netlink::nft::{self, Family};
use onggi_netlink::{Protocol, Reply, Socket};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::firewall::{FILTER_TABLE, TABLE};
use crate::inner::Inner;

/// Changes come in bursts; looked at together.
const BURST: Duration = Duration::from_millis(20);

/// The task that watches; dropped, it stops.
#[derive(Debug)]
pub(crate) struct Watch(JoinHandle<()>);

impl Watch {
    /// Starts to watch; changes that carry the netlink port `own` are ours.
    pub(crate) fn start(inner: &Arc<Inner>, own: u32) -> Result<Self> {
        let socket =
            Socket::open(Protocol::Nftables).map_err(Error::kernel("watch the firewall"))?;
        socket
            .join(nft::NOTIFICATIONS)
            .map_err(Error::kernel("watch the firewall"))?;
        let socket = register(socket).map_err(Error::io("watch the firewall"))?;
        Ok(Self(tokio::spawn(watch(
            Arc::downgrade(inner),
            socket,
            own,
        ))))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe to call; it is for descriptors that change, and ours is owned and stays"
)]
fn register(socket: Socket) -> std::io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, tokio::io::Interest::READABLE)
}

async fn watch(inner: Weak<Inner>, mut socket: AsyncFd<Socket>, own: u32) {
    loop {
        match socket.readable_mut().await {
            Ok(mut guard) => {
                let concerned = drain(guard.get_inner_mut(), own);
                guard.clear_ready();
                if !concerned {
                    continue;
                }
            }
            Err(error) => {
                warn!("stopped watching the firewall: {error}");
                return;
            }
        }
        tokio::time::sleep(BURST).await;
        drain(socket.get_mut(), own);
        let Some(inner) = inner.upgrade() else { return };
        match onggi_rt::blocking("restore the firewall", move || inner.restore()).await {
            Ok(Ok(true)) => info!("restored the firewall after a change by others"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => warn!(
                "cannot restore the firewall: {}",
                onggi_model::chain(&error)
            ),
            Err(error) => warn!("cannot restore the firewall: {error}"),
        }
    }
}

/// Reads all notifications; says whether one may concern us. Lost ones may.
fn drain(socket: &mut Socket, own: u32) -> bool {
    let ours = |reply: &Reply| {
        reply.port != own
            && [
                (Family::Ip, TABLE),
                (Family::Ip, FILTER_TABLE),
                (Family::Ip6, TABLE),
                (Family::Ip6, FILTER_TABLE),
                (Family::Bridge, TABLE),
            ]
            .into_iter()
            .any(|(family, table)| nft::concerns(reply, family, table))
    };
    let mut concerned = false;
    loop {
        match socket.notification() {
            Ok(Some(replies)) => concerned |= replies.iter().any(ours),
            Ok(None) => return concerned,
            Err(error) => {
                concerned = true;
                if error.errno() != Some(rustix::io::Errno::NOBUFS) {
                    return concerned;
                }
            }
        }
    }
}
