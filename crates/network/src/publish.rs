//! Host ports: which container has which, and the sockets that keep the host's own processes off them. The sockets are
//! bound and never listen: packets are rewritten before a socket could see them. Up to [`HELD`] ports of a container are
//! held so; longer runs are compared with the sockets of the host once, and not held.

mod bind; // sockets of the host
mod held; // which ports monitors hold
mod run; // requests as runs of ports

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use onggi_model::Protocol;
use rustix::io::Errno;

use crate::endpoint::{PublishRequest, Published};
use crate::error::PublishError;
use crate::firewall::GatewayMode;
pub(crate) use bind::protocol_number;
pub use held::HeldPorts;
pub(crate) use held::{hold_free, of as held_ports};
use run::Run;

/// How long a port that was just given back may still be held by the process that had it.
const LINGER: Duration = Duration::from_secs(1);
/// How many ports of a container are held by sockets.
const HELD: usize = 1024;

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct HostPort {
    protocol: Protocol,
    number: u16,
}

/// Who has ports at an address of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    ip: IpAddr,
    name: String,
}

/// The ports of the host that containers have.
#[derive(Debug, Default)]
pub(crate) struct HostPorts {
    single: HashMap<HostPort, Vec<Holder>>,
    runs: Vec<(Protocol, RangeInclusive<u16>, Holder)>,
    released: HashMap<HostPort, Instant>,
    /// Where the search for a free one begins, so that a port is not given again at once.
    next: u16,
}

/// What publishing needs to know of the endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    /// The container's name, for those in whose way it will be.
    pub(crate) name: &'a str,
    /// What it has of each family.
    pub(crate) sides: Vec<Side>,
    /// The ports to choose from for requests without one.
    pub(crate) range: (u16, u16),
}

/// An address of the endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    /// The container's address.
    pub(crate) container: IpAddr,
    /// The host's address, of the same family, for requests without one; none of them if absent.
    pub(crate) host: Option<IpAddr>,
    /// How the network is reached.
    pub(crate) mode: GatewayMode,
}

impl HostPorts {
    /// Notes the ports of an endpoint that is in the catalogue already.
    pub(crate) fn adopt(&mut self, name: &str, published: &[Published]) {
        for one in published.iter().filter(|one| one.host_port != 0) {
            let holder = Holder {
                ip: one.host_ip,
                name: name.to_owned(),
            };
            if one.length > 1 {
                self.runs
                    .push((one.port.protocol, one.host_ports(), holder));
            } else {
                self.single.entry(key(one)).or_default().push(holder);
            }
        }
    }

    /// Gives ports back.
    pub(crate) fn release(&mut self, published: &[Published]) {
        let now = Instant::now();
        self.released
            .retain(|_, since| now.duration_since(*since) < LINGER);
        for one in published.iter().filter(|one| one.host_port != 0) {
            if one.length > 1 {
                let same = |(protocol, ports, holder): &(Protocol, RangeInclusive<u16>, Holder)| {
                    (*protocol, holder.ip) == (one.port.protocol, one.host_ip)
                        && *ports == one.host_ports()
                };
                if let Some(index) = self.runs.iter().position(same) {
                    self.runs.swap_remove(index);
                }
            } else if let Some(holders) = self.single.get_mut(&key(one)) {
                if let Some(index) = holders.iter().position(|holder| holder.ip == one.host_ip) {
                    holders.swap_remove(index);
                }
                if holders.is_empty() {
                    self.single.remove(&key(one));
                }
            }
            if usize::from(one.length) <= HELD {
                let protocol = one.port.protocol;
                let ports = one.host_ports();
                let all = ports.map(|number| (HostPort { protocol, number }, now));
                self.released.extend(all);
            }
        }
    }

    /// The container that has these ports is called so from now on.
    pub(crate) fn rename(&mut self, name: &str, published: &[Published]) {
        for one in published.iter().filter(|one| one.host_port != 0) {
            let is_it = |holder: &&mut Holder| holder.ip == one.host_ip;
            if one.length > 1 {
                let runs = self.runs.iter_mut().filter(|(protocol, ports, _)| {
                    *protocol == one.port.protocol && *ports == one.host_ports()
                });
                let holder = runs.map(|(_, _, holder)| holder).find(is_it);
                if let Some(holder) = holder {
                    name.clone_into(&mut holder.name);
                }
            } else if let Some(holders) = self.single.get_mut(&key(one))
                && let Some(holder) = holders.iter_mut().find(is_it)
            {
                name.clone_into(&mut holder.name);
            }
        }
    }

    /// Takes ports for all requests, or for none.
    pub(crate) fn take(
        &mut self,
        requests: &[PublishRequest],
        target: &Target<'_>,
    ) -> Result<(Vec<Published>, Vec<OwnedFd>), PublishError> {
        let (mut published, mut sockets) = (Vec::new(), Vec::new());
        for run in run::runs(requests) {
            match self.take_run(&run, target, &mut sockets) {
                Ok(taken) => {
                    self.adopt(target.name, &taken);
                    published.extend(taken);
                }
                Err(error) => {
                    drop(sockets);
                    self.release(&published);
                    return Err(error);
                }
            }
        }
        Ok((published, sockets))
    }

    /// One run, on each family it is wanted on, at the same ports.
    fn take_run(
        &mut self,
        run: &Run,
        target: &Target<'_>,
        sockets: &mut Vec<OwnedFd>,
    ) -> Result<Vec<Published>, PublishError> {
        let sides = sides(run, target)?;
        let mut published = Vec::new();
        let mut translated = Vec::new();
        for (ip, side) in sides {
            match side.mode {
                GatewayMode::Nat | GatewayMode::NatUnprotected => translated.push((ip, side)),
                GatewayMode::Routed => published.push(Published {
                    port: run.port,
                    host_ip: ip,
                    host_port: 0,
                    length: run.length,
                }),
                // Nobody reaches it, and so nothing is to be opened.
                GatewayMode::Isolated => {}
            }
        }
        if translated.is_empty() {
            return Ok(published);
        }
        let first = match run.fixed() {
            Some(ports) => self.take_fixed(run, &ports, &translated, sockets)?,
            None => self.take_free(run, target.range, &translated, sockets)?,
        };
        published.extend(translated.iter().map(|(ip, _)| Published {
            port: run.port,
            host_ip: *ip,
            host_port: first,
            length: run.length,
        }));
        Ok(published)
    }

    /// The ports that are asked for by number.
    fn take_fixed(
        &mut self,
        run: &Run,
        ports: &RangeInclusive<u16>,
        translated: &[(IpAddr, Side)],
        sockets: &mut Vec<OwnedFd>,
    ) -> Result<u16, PublishError> {
        let protocol = run.port.protocol;
        for (ip, _) in translated {
            if let Some((port, holder)) = self.holder(protocol, ports, *ip) {
                return Err(PublishError::Allocated {
                    ip: *ip,
                    port,
                    holder: holder.name.clone(),
                });
            }
        }
        let hold = sockets.len() + usize::from(run.length) * translated.len() <= HELD;
        for (ip, side) in translated {
            let refuse = |number: u16, errno| PublishError::Bind {
                ip: *ip,
                ports: number.to_string(),
                container: side.container,
                port: onggi_model::Port::new(
                    run.port.number.saturating_add(number - ports.start()),
                    protocol,
                ),
                reason: bind::reason(errno),
            };
            if hold || run.length == 1 {
                for number in ports.clone() {
                    let socket = self.hold(HostPort { protocol, number }, *ip);
                    let socket = socket.map_err(|errno| refuse(number, errno))?;
                    sockets.extend(socket.filter(|_| hold));
                }
            } else if let Some(number) = bind::in_use(protocol, *ip, ports) {
                return Err(refuse(number, Errno::ADDRINUSE));
            }
        }
        Ok(*ports.start())
    }

    /// Any port of a range.
    fn take_free(
        &mut self,
        run: &Run,
        range: (u16, u16),
        translated: &[(IpAddr, Side)],
        sockets: &mut Vec<OwnedFd>,
    ) -> Result<u16, PublishError> {
        let (first, last) = run.host.unwrap_or(range);
        let protocol = run.port.protocol;
        let mut refused = None;
        for number in self.candidates(first, last, run.host.is_none()) {
            let is_taken =
                |(ip, _): &(IpAddr, Side)| self.holder(protocol, &(number..=number), *ip).is_some();
            if translated.iter().any(is_taken) {
                continue;
            }
            match bind_all(protocol, number, translated) {
                Ok(held) => {
                    if run.host.is_none() {
                        self.next = number.checked_add(1).unwrap_or(first);
                    }
                    // Of more than may be held it is only known that they were free.
                    if sockets.len() + held.len() <= HELD {
                        sockets.extend(held);
                    }
                    return Ok(number);
                }
                Err(because @ (Errno::ADDRINUSE, ..)) => refused = Some(because),
                Err(because) => {
                    refused = Some(because);
                    break;
                }
            }
        }
        Err(match refused {
            None => PublishError::Exhausted,
            Some((Errno::ADDRINUSE, ..)) if run.host.is_none() => PublishError::Exhausted,
            Some((errno, ip, container)) => PublishError::Bind {
                ip,
                ports: format!("{first}-{last}"),
                container,
                port: run.port,
                reason: bind::reason(errno),
            },
        })
    }

    fn candidates(
        &self,
        first: u16,
        last: u16,
        anywhere: bool,
    ) -> impl Iterator<Item = u16> + use<> {
        let start = if anywhere && (first..=last).contains(&self.next) {
            self.next
        } else {
            first
        };
        (start..=last).chain(first..start)
    }

    /// Who has one of these ports, and the first that it has.
    fn holder(
        &self,
        protocol: Protocol,
        ports: &RangeInclusive<u16>,
        ip: IpAddr,
    ) -> Option<(u16, &Holder)> {
        let stands_in_the_way = |holder: &&Holder| {
            holder.ip.is_ipv4() == ip.is_ipv4()
                && (holder.ip == ip || holder.ip.is_unspecified() || ip.is_unspecified())
        };
        let single = |number: u16| {
            let holders = self.single.get(&HostPort { protocol, number })?;
            Some((number, holders.iter().find(stands_in_the_way)?))
        };
        let of_run = self
            .runs
            .iter()
            .filter(|(theirs, run, holder)| {
                *theirs == protocol
                    && run.start() <= ports.end()
                    && ports.start() <= run.end()
                    && stands_in_the_way(&holder)
            })
            .map(|(_, run, holder)| (*run.start().max(ports.start()), holder));
        let first = ports.clone().find_map(single);
        first
            .into_iter()
            .chain(of_run)
            .min_by_key(|(port, _)| *port)
    }

    /// A socket bound to the port. A port whose last holder is still on its way out is waited for.
    fn hold(&self, host: HostPort, ip: IpAddr) -> Result<Option<OwnedFd>, Errno> {
        let deadline = self.released.get(&host).map(|since| *since + LINGER);
        loop {
            match bind::bind(host.protocol, SocketAddr::new(ip, host.number)) {
                Err(Errno::ADDRINUSE)
                    if deadline.is_some_and(|deadline| Instant::now() < deadline) =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                other => return other,
            }
        }
    }
}

/// Where on the host, and for which address of the container.
fn sides(run: &Run, target: &Target<'_>) -> Result<Vec<(IpAddr, Side)>, PublishError> {
    let unreachable = |ip| PublishError::Family { port: run.port, ip };
    match run.ip {
        None => {
            let all = target.sides.iter();
            let sides: Vec<_> = all.filter_map(|side| Some((side.host?, *side))).collect();
            if sides.is_empty() {
                return Err(unreachable(std::net::Ipv4Addr::UNSPECIFIED.into()));
            }
            Ok(sides)
        }
        Some(ip) => {
            let same = |side: &&Side| side.container.is_ipv4() == ip.is_ipv4();
            let side = target.sides.iter().find(same).ok_or(unreachable(ip))?;
            Ok(vec![(ip, *side)])
        }
    }
}

/// A socket for each address, or which it failed for.
fn bind_all(
    protocol: Protocol,
    number: u16,
    translated: &[(IpAddr, Side)],
) -> Result<Vec<OwnedFd>, (Errno, IpAddr, IpAddr)> {
    let mut held = Vec::new();
    for (ip, side) in translated {
        let socket = bind::bind(protocol, SocketAddr::new(*ip, number));
        held.extend(socket.map_err(|errno| (errno, *ip, side.container))?);
    }
    Ok(held)
}

fn key(one: &Published) -> HostPort {
    HostPort {
        protocol: one.port.protocol,
        number: one.host_port,
    }
}

#[cfg(test)]
mod tests;
