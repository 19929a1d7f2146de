//! Bridges of networks that are removed. The kernel takes 40 ms and more for the end of one (grace periods, and nearly as
//! long for each in a group), and nobody waits for it: the network is off the record, no container can come in, and the
//! bridge ends behind the answer, one after the other so that others get their turn at the kernel.
//!
//! Who wants a subnet of one that is on its way waits until it is gone; that one comes next then. What a daemon that is
//! killed leaves behind is seen off by the next one. Bridges whose name somebody chose are not seen here: they are gone
//! before the answer, because the name may be wanted at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use onggi_netlink::{Protocol, Socket};
use tracing::warn;

use crate::bridge;
use crate::error::{Error, Result};
use crate::inner::{Inner, Kernel};

/// How long a subnet is waited for: the kernel may be busy with others.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bridge that nothing needs any more.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// The link's name.
    pub(crate) link: String,
    /// Its subnets.
    pub(crate) nets: Vec<IpNet>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Departing {
    queue: Mutex<Queue>,
    /// One is gone.
    gone: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// In their order. The first is on its way while somebody sees them off.
    leaving: VecDeque<Leaving>,
    /// Whether somebody does.
    attended: bool,
}

impl Departing {
    pub(crate) fn add(&self, leaving: impl IntoIterator<Item = Leaving>) {
        self.queue().leaving.extend(leaving);
    }

    /// The subnets that are not free yet.
    pub(crate) fn nets(&self) -> Vec<IpNet> {
        let queue = self.queue();
        let nets = queue.leaving.iter().flat_map(|leaving| &leaving.nets);
        nets.copied().collect()
    }

    /// Whether somebody has to begin to see them off; who asks, does.
    fn begin(&self) -> bool {
        let mut queue = self.queue();
        let begins = !queue.attended && !queue.leaving.is_empty();
        queue.attended |= begins;
        begins
    }

    fn next(&self) -> Option<Leaving> {
        let mut queue = self.queue();
        queue.attended = !queue.leaving.is_empty();
        queue.leaving.front().cloned()
    }

    /// Nobody does any more: those that are left wait for who begins again.
    fn leave_alone(&self) {
        self.queue().attended = false;
    }

    /// All but the one on its way are left to the next daemon.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue();
        let first = usize::from(queue.attended);
        queue.leaving.truncate(first);
    }

    fn done(&self) {
        self.queue().leaving.pop_front();
        self.gone.notify_all();
    }

    /// The bridges in these subnets come next; says whether there are any. The one on its way stays first.
    fn prefer(&self, nets: &[IpNet]) -> bool {
        let mut queue = self.queue();
        let first = usize::from(queue.attended).min(queue.leaving.len());
        let waiting = queue.leaving.split_off(first);
        let found = queue.leaving.iter().any(|leaving| leaving.is_in(nets));
        let (wanted, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|leaving| leaving.is_in(nets));
        let found = found || !wanted.is_empty();
        queue.leaving.extend(wanted);
        queue.leaving.extend(others);
        found
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leaving {
    fn is_in(&self, nets: &[IpNet]) -> bool {
        let meets = |own: &IpNet, other: &IpNet| other.contains(own) || own.contains(other);
        self.nets
            .iter()
            .any(|own| nets.iter().any(|other| meets(own, other)))
    }
}

/// Sees off what there is, in the background.
pub(crate) fn see_off(inner: &Arc<Inner>) {
    if !inner.departing.begin() {
        return;
    }
    let (inner, unattended) = (Arc::clone(inner), Arc::clone(inner));
    onggi_rt::spawn("see networks off", async move {
        if let Err(error) = onggi_rt::blocking("see networks off", move || inner.attend()).await {
            warn!(%error, "bridges wait for the next one that goes");
            unattended.departing.leave_alone();
        }
    });
}

impl Inner {
    /// Waits until none of these subnets is on its way out; says whether one was.
    ///
    /// # Errors
    /// [`Error::Taken`] when the kernel does not let it go.
    pub(crate) fn wait_for_departure(&self, nets: &[IpNet]) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        if !self.departing.prefer(nets) {
            return Ok(false);
        }
        let mut queue = self.departing.queue();
        while let Some(leaving) = queue.leaving.iter().find(|leaving| leaving.is_in(nets)) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                let link = &leaving.link;
                return Err(Error::Taken(format!(
                    "bridge {link} of a network that was removed still has the subnet: try again, or choose another one"
                )));
            };
            let waited = self.departing.gone.wait_timeout(queue, left);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(true)
    }

    /// Sees them off until there are none.
    fn attend(&self) {
        while let Some(leaving) = self.departing.next() {
            // What the kernel refuses to let go goes with the next daemon.
            if let Err(error) = self.end(&leaving) {
                warn!(link = leaving.link, "{}", onggi_model::chain(&error));
            }
            self.departing.done();
        }
    }

    /// The link first, rules after. Others use the kernel meanwhile.
    fn end(&self, leaving: &Leaving) -> Result<()> {
        let mut route = Socket::open(Protocol::Route).map_err(Error::kernel("open netlink"))?;
        bridge::delete(&mut route, &leaving.link)?;
        match self.kernel().as_mut() {
            Some(Kernel { firewall, .. }) => firewall.remove_bridge(&leaving.link),
            None => Ok(()),
        }
    }

    /// As the daemon does behind its answers.
    #[cfg(test)]
    pub(crate) fn see_all_off(&self) {
        if self.departing.begin() {
            self.attend();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaving(number: u8) -> Leaving {
        Leaving {
            link: format!("br-{number}"),
            nets: vec![format!("172.{number}.0.0/16").parse().unwrap()],
        }
    }

    fn order(departing: &Departing) -> Vec<String> {
        let queue = departing.queue();
        queue.leaving.iter().map(|one| one.link.clone()).collect()
    }

    #[test]
    fn who_is_waited_for_comes_next() {
        let departing = Departing::default();
        assert!(!departing.begin(), "nobody leaves");
        departing.add((17..22).map(leaving));
        assert!(departing.begin());
        assert!(!departing.begin(), "somebody does already");
        assert_eq!(departing.next().unwrap().link, "br-17");
        let nets =
            |nets: &[&str]| -> Vec<IpNet> { nets.iter().map(|net| net.parse().unwrap()).collect() };
        assert!(!departing.prefer(&nets(&["10.0.0.0/8", "172.32.0.0/16"])));
        assert!(departing.prefer(&nets(&["172.20.7.0/24", "172.19.0.0/16"])));
        assert_eq!(
            order(&departing),
            ["br-17", "br-19", "br-20", "br-18", "br-21"]
        );
        assert!(departing.prefer(&nets(&["172.16.0.0/12"])));
        assert!(
            departing.prefer(&nets(&["172.17.0.0/24"])),
            "it is not gone"
        );
        for _ in 0..5 {
            assert!(departing.next().is_some());
            departing.done();
        }
        assert!(departing.next().is_none());
        assert!(departing.nets().is_empty());
        departing.add([leaving(30)]);
        assert!(departing.begin(), "nobody is there any more");
    }
}
