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
/// What failed is tried again, first after this time, then after twice as long, and so on.
const AGAIN: Duration = Duration::from_millis(50);
/// But at least so often.
const AGAIN_AT_LAST: Duration = Duration::from_secs(10);

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
        let restore = || {
            let inner = inner.upgrade();
            async {
                let Some(inner) = inner else { return Ok(None) };
                match onggi_rt::blocking("restore the firewall", move || inner.restore()).await {
                    Ok(done) => done.map(Some).map_err(|error| onggi_model::chain(&error)),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        let restored = until_it_works(restore, tokio::time::sleep);
        match restored.await {
            Some(true) => info!("restored the firewall after a change by others"),
            Some(false) => {}
            None => return,
        }
    }
}

/// Does it again, less and less often, as long as it fails: nobody else will tell that there is something left to do. Each
/// reason is told once.
async fn until_it_works<T, W, S>(work: impl Fn() -> W, sleep: impl Fn(Duration) -> S) -> T
where
    W: Future<Output = std::result::Result<T, String>>,
    S: Future<Output = ()>,
{
    let mut told = String::new();
    let mut pause = AGAIN;
    loop {
        match work().await {
            Ok(done) => return done,
            Err(reason) if reason != told => {
                warn!("cannot restore the firewall, and try again: {reason}");
                told = reason;
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AT_LAST);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn what_failed_is_tried_again_until_it_works() {
        let slept = Mutex::new(Vec::new());
        let tries = || slept.lock().unwrap().len();
        let work = async || match tries() {
            12 => Ok(true),
            _ => Err("the kernel says no".to_owned()),
        };
        let sleep = async |pause| slept.lock().unwrap().push(pause);
        assert!(until_it_works(work, sleep).await);
        let slept = slept.into_inner().unwrap();
        assert_eq!(slept[..3], [AGAIN, AGAIN * 2, AGAIN * 4]);
        assert_eq!(slept[11], AGAIN_AT_LAST);
    }
}
