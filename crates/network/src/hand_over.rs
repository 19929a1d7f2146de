//! Published ports that move from one running container to another: checked first, then done in one transaction of the
//! kernel. Connections that stand go on with the container that had them.

use onggi_model::{ContainerId, Port};

use crate::endpoint::{Endpoint, Published};
use crate::error::{Error, PublishError, Result};
use crate::firewall::GatewayMode;
use crate::gateway;
use crate::inner::{Entry, Inner, Kernel, Kind, State};

/// A container that takes part in a move.
#[derive(Debug, Clone)]
pub struct Party {
    /// Its id.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
}

/// A move that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// The ports that move.
    pub ports: Vec<Published>,
    /// The endpoints of the container that gives them, as they will be.
    pub from: Vec<Endpoint>,
    /// The endpoints of the container that gets them, as they will be.
    pub to: Vec<Endpoint>,
}

impl Inner {
    /// What a move would lead to; nothing is changed.
    pub(crate) fn plan_hand_over(
        &self,
        from: &Party,
        to: &Party,
        wanted: &[Port],
    ) -> Result<HandOver> {
        let state = self.state();
        let endpoints = |of: &Party| -> Vec<Endpoint> {
            let entries = state.endpoints.get(&of.container).into_iter().flatten();
            entries.map(|entry| entry.endpoint.clone()).collect()
        };
        let (mut gives, mut gets) = (endpoints(from), endpoints(to));
        let mut ports = Vec::new();
        for endpoint in &mut gives {
            let (bound, routed): (Vec<_>, Vec<_>) = std::mem::take(&mut endpoint.ports)
                .into_iter()
                .partition(|one| one.host_port != 0);
            let (taken, mut left) = cut(bound, wanted);
            left.extend(routed);
            endpoint.ports = left;
            ports.extend(taken);
        }
        let is_missing = |port: &&Port| !ports.iter().any(|one| has(one, **port));
        if let Some(missing) = wanted.iter().find(is_missing) {
            let text = format!("No public port '{missing}' published for {}", from.name);
            return Err(Error::Absent(text));
        }
        if ports.is_empty() {
            let text = format!("container {} has no published ports", from.name);
            return Err(Error::Invalid(text));
        }
        let id = check_target(&state, to, &gets, &ports)?;
        let target = gets.iter_mut().find(|one| one.endpoint_id == id);
        let target = target.ok_or_else(|| Error::NoEndpoint(to.name.clone()))?;
        target.ports.extend(&ports);
        target.ports = joined(std::mem::take(&mut target.ports));
        Ok(HandOver {
            ports,
            from: gives,
            to: gets,
        })
    }

    /// Makes a planned move, in memory and in the kernel; the catalogue has it already.
    pub(crate) fn hand_over(&self, from: &Party, to: &Party, plan: &HandOver) -> Result<()> {
        let mut kernel = self.kernel();
        let before = {
            let mut state = self.state();
            let before = [state.replace(from, &plan.from), state.replace(to, &plan.to)];
            state.note_moved(from, to, plan);
            before
        };
        let attached = [plan.from.clone(), plan.to.clone()].concat();
        let done = match kernel.as_mut() {
            Some(Kernel { firewall, .. }) => firewall.hand_over(&before.concat(), &attached),
            None => Ok(()),
        };
        drop(kernel);
        let done = match done {
            // Somebody flushed the rules just now: they come back as they should be.
            Err(Error::Kernel { source, .. }) if source.is_absent() => self.restore().map(drop),
            done => done,
        };
        if done.is_err() {
            let mut state = self.state();
            let [gave, got] = &before;
            state.replace(from, gave);
            state.replace(to, got);
        }
        done
    }
}

/// The endpoint that gets the ports, by its id, if it can have them.
fn check_target(
    state: &State,
    to: &Party,
    endpoints: &[Endpoint],
    ports: &[Published],
) -> Result<String> {
    let cannot = |why: &str| Error::Invalid(format!("container {} {why}", to.name));
    let leading = gateway::leading(endpoints).ok_or_else(|| {
        cannot("is in no network that leads to the host: no port of the host can lead to it")
    })?;
    let net = state.find(&leading.network_id)?;
    let Kind::Bridge(bridge) = &net.kind else {
        return Err(cannot(
            "has its default route in a network that publishes no ports",
        ));
    };
    for one in ports {
        let (has_family, mode) = match one.host_ip.is_ipv4() {
            true => (leading.ipv4.is_some(), bridge.options.mode_v4),
            false => (leading.ipv6.is_some(), bridge.options.mode_v6),
        };
        if !has_family {
            return Err(Error::Publish {
                name: to.name.clone(),
                endpoint: leading.endpoint_id.clone(),
                source: Box::new(PublishError::Family {
                    port: one.port,
                    ip: one.host_ip,
                }),
            });
        }
        if !matches!(mode, GatewayMode::Nat | GatewayMode::NatUnprotected) {
            return Err(cannot(
                "is in a network whose gateway mode takes no ports of the host",
            ));
        }
    }
    Ok(leading.endpoint_id.clone())
}

impl State {
    /// Gives a container these endpoints, which differ in their ports; returns those before.
    fn replace(&mut self, of: &Party, endpoints: &[Endpoint]) -> Vec<Endpoint> {
        let mut before = Vec::new();
        let entries = self.endpoints.get_mut(&of.container).into_iter().flatten();
        for entry in entries {
            let same = |one: &&Endpoint| one.endpoint_id == entry.endpoint.endpoint_id;
            let Some(next) = endpoints.iter().find(same) else {
                continue;
            };
            before.push(std::mem::replace(&mut entry.endpoint, next.clone()));
            if let Some(published) = &mut entry.published {
                *published = next.clone();
            }
        }
        for one in &before {
            self.ports.release(&one.ports);
        }
        for one in endpoints {
            self.ports.adopt(&of.name, &one.ports);
        }
        before
    }

    /// What flows through moved ports is answered by who had them, until that one ends.
    fn note_moved(&mut self, from: &Party, to: &Party, plan: &HandOver) {
        let moved = self.moved.entry(from.container.clone()).or_default();
        moved.extend(&plan.ports);
        if let Some(back) = self.moved.get_mut(&to.container) {
            back.retain(|one| !plan.ports.contains(one));
        }
    }

    /// The container is called so.
    pub(crate) fn name(&mut self, container: &ContainerId, name: &str) {
        let entries: &[Entry] = self.endpoints.get(container).map_or(&[], Vec::as_slice);
        for entry in entries {
            self.ports.rename(name, &entry.endpoint.ports);
        }
        if let Some(parked) = self.parked.get(container) {
            self.ports.rename(name, parked);
        }
    }
}

fn has(one: &Published, port: Port) -> bool {
    let by = port.number.checked_sub(one.port.number);
    one.port.protocol == port.protocol && by.is_some_and(|by| by < one.length)
}

/// The ports that are wanted, all where none is named, and the others.
fn cut(ports: Vec<Published>, wanted: &[Port]) -> (Vec<Published>, Vec<Published>) {
    if wanted.is_empty() {
        return (ports, Vec::new());
    }
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    for mut one in ports {
        let mut here: Vec<Port> = wanted
            .iter()
            .copied()
            .filter(|port| has(&one, *port))
            .collect();
        here.sort_unstable();
        here.dedup();
        for port in here {
            let (before, rest) = split(one, port.number - one.port.number);
            left.extend(before);
            let Some(rest) = rest else { break };
            let (this, rest) = split(rest, 1);
            taken.extend(this);
            match rest {
                Some(rest) => one = rest,
                None => {
                    one.length = 0;
                    break;
                }
            }
        }
        left.extend(Some(one).filter(|one| one.length > 0));
    }
    (taken, joined(left))
}

/// The first `count` ports of a run, and the rest.
fn split(one: Published, count: u16) -> (Option<Published>, Option<Published>) {
    let count = count.min(one.length);
    let first = Published {
        length: count,
        ..one
    };
    let rest = Published {
        port: Port::new(one.port.number.saturating_add(count), one.port.protocol),
        host_port: one.host_port.saturating_add(count),
        length: one.length - count,
        ..one
    };
    let some = |one: Published| Some(one).filter(|one| one.length > 0);
    (some(first), some(rest))
}

/// Runs that go on with each other as one.
fn joined(mut ports: Vec<Published>) -> Vec<Published> {
    ports.sort_by_key(|one| {
        (
            one.port.protocol,
            one.host_ip,
            one.port.number,
            one.host_port,
        )
    });
    let mut runs: Vec<Published> = Vec::with_capacity(ports.len());
    for one in ports {
        match runs.last_mut() {
            Some(last)
                if (last.port.protocol, last.host_ip) == (one.port.protocol, one.host_ip)
                    && last.port.number.checked_add(last.length) == Some(one.port.number)
                    && last.host_port != 0
                    && last.host_port.checked_add(last.length) == Some(one.host_port) =>
            {
                last.length += one.length;
            }
            _ => runs.push(one),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_model::Protocol;

    fn run(port: u16, host_port: u16, length: u16) -> Published {
        Published {
            port: Port::new(port, Protocol::Udp),
            host_ip: "0.0.0.0".parse().unwrap(),
            host_port,
            length,
        }
    }

    fn udp(numbers: &[u16]) -> Vec<Port> {
        let all = numbers.iter();
        all.map(|number| Port::new(*number, Protocol::Udp))
            .collect()
    }

    #[test]
    fn ports_are_cut_out_of_runs_and_put_back() {
        let whole = vec![run(20_000, 30_000, 10_000)];
        assert_eq!(cut(whole.clone(), &[]), (whole.clone(), vec![]));
        let (taken, left) = cut(
            whole.clone(),
            &udp(&[20_000, 20_001, 25_000, 29_999, 25_000]),
        );
        assert_eq!(
            taken,
            [
                run(20_000, 30_000, 1),
                run(20_001, 30_001, 1),
                run(25_000, 35_000, 1),
                run(29_999, 39_999, 1)
            ]
        );
        assert_eq!(
            left,
            [run(20_002, 30_002, 4_998), run(25_001, 35_001, 4_998)]
        );
        assert_eq!(joined([left, taken].concat()), whole);
        let tcp = [Port::new(20_000, Protocol::Tcp)];
        assert_eq!(cut(whole.clone(), &tcp), (vec![], whole));
        assert_eq!(
            cut(vec![run(80, 8_080, 1)], &udp(&[80])),
            (vec![run(80, 8_080, 1)], vec![])
        );
        // The same port at two places of the host, and ports without one.
        let twice = vec![run(80, 8_080, 1), run(80, 8_081, 1), run(81, 8_082, 1)];
        assert_eq!(cut(twice.clone(), &udp(&[80])).0.len(), 2);
        assert_eq!(joined(vec![run(80, 0, 1), run(81, 0, 1)]).len(), 2);
    }
}
