//! Published ports of containers that run: who holds them, and how they move from one container to another.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use onggi_api::container::{MovePortsRequest, MovePortsResponse, PortBinding, PortMap};
use onggi_model::Port;
use onggi_monitor::protocol::{HeldPorts, ToMonitor};
use onggi_network::{Networks, Party, Published};
use tracing::{info, warn};

use super::{Container, Record, loopback};
use crate::Engine;
use crate::error::{Error, Result};

/// How long the monitor that had a port may take to let go of it.
const HANDOVER: Duration = Duration::from_secs(2);

impl Engine {
    /// Tells the monitor which ports of the host are its container's; `sockets` hold those that are new.
    pub(crate) async fn hold_ports(&self, container: &Arc<Container>, sockets: Vec<OwnedFd>) {
        let Some(task) = container.task() else {
            return;
        };
        // A monitor of before has no word for it: the sockets live as long as this daemon.
        if !task.holds() {
            container.hold_sockets(sockets);
            return;
        }
        let ports = self.inner.networks.held_ports(&container.id).into_iter();
        let ports = ports.map(|one| HeldPorts {
            protocol: one.protocol,
            ip: one.ip,
            first: one.first,
            last: one.last,
        });
        let hold = ToMonitor::Hold {
            ports: ports.collect(),
        };
        if let Err(fault) = task.send(&hold, sockets).await {
            warn!(container = %container.id, "its ports are not held: {fault}");
        }
    }

    /// Holds those ports of a running container that nobody holds.
    pub(crate) async fn hold_missing(&self, container: &Arc<Container>) {
        let ports = self.inner.networks.held_ports(&container.id);
        self.hold_free(container, ports, Duration::ZERO).await;
    }

    /// Holds those of these ports that nobody holds; those whose holder is about to let go are waited for.
    async fn hold_free(
        &self,
        container: &Arc<Container>,
        ports: Vec<onggi_network::HeldPorts>,
        patience: Duration,
    ) {
        if ports.is_empty() {
            return;
        }
        match self.inner.networks.hold(ports, patience).await {
            Ok(sockets) if sockets.is_empty() => {}
            Ok(sockets) => self.hold_ports(container, sockets).await,
            Err(fault) => warn!(container = %container.id, "{fault}"),
        }
    }

    /// Moves published ports from one running container to another. New connections go to the other one from one moment
    /// to the next, those that stand go on where they are.
    ///
    /// # Errors
    /// `NotFound`: a container, or a port that is not published; `Conflict`: one of them does not run;
    /// `InvalidParameter`: the other cannot have them. Nothing is changed then.
    pub async fn container_move_ports(
        &self,
        from: &str,
        request: MovePortsRequest,
    ) -> Result<MovePortsResponse> {
        let wanted = request.ports.iter().flatten().map(|port| Port::parse(port));
        let wanted: Vec<Port> = wanted
            .collect::<Result<_, _>>()
            .map_err(|fault| Error::of(&fault))?;
        let from = self.inner.containers.find(from)?;
        let to = self.inner.containers.find(&request.to)?;
        if from.id == to.id {
            return Err(Error::invalid(
                "ports cannot be moved from a container to itself",
            ));
        }
        // Of two moves that cross, both take the same one first.
        let (first, second) = match from.id < to.id {
            true => (&from, &to),
            false => (&to, &from),
        };
        let _first = first.writer.lock().await;
        let _second = second.writer.lock().await;
        let (old, new) = (from.record(), to.record());
        for record in [&old, &new] {
            if !record.state.is_running() {
                return Err(Error::conflict(format!(
                    "container {} is not running",
                    record.name
                )));
            }
        }
        let party = |record: &Record| Party {
            container: record.id.clone(),
            name: record.name.clone(),
        };
        let networks = &self.inner.networks;
        let plan = networks
            .plan_hand_over(&party(&old), &party(&new), &wanted)
            .map_err(|fault| Error::of(&fault))?;
        let (mut gives, mut gets) = ((*old).clone(), (*new).clone());
        gives.endpoints.clone_from(&plan.from);
        gets.endpoints.clone_from(&plan.to);
        move_bindings(&mut gives, &mut gets, &plan.ports);
        self.commit_both(&from, gives, &to, gets)?;
        let ports = plan.ports.clone();
        let moved = networks.hand_over(party(&old), party(&new), plan).await;
        if let Err(fault) = moved {
            self.commit_both(&from, (*old).clone(), &to, (*new).clone())?;
            return Err(Error::of(&fault));
        }
        // The listener at [::1] goes first: beside it nobody can hold the port at all addresses of IPv6.
        self.renew_loopback(&from).await;
        self.hold_ports(&from, Vec::new()).await;
        self.hold_free(&to, Networks::held_of(&ports), HANDOVER)
            .await;
        self.renew_loopback(&to).await;
        info!(from = %from.id, to = %to.id, ports = ports.len(), "moved ports");
        for container in [&from, &to] {
            self.container_event(&container.record(), "update", []);
        }
        Ok(MovePortsResponse {
            ports: bindings(&ports),
        })
    }

    /// Both records and their endpoints, in one transaction.
    fn commit_both(
        &self,
        from: &Arc<Container>,
        gives: Record,
        to: &Arc<Container>,
        gets: Record,
    ) -> Result<()> {
        onggi_rt::blocking_here("commit two containers", || {
            self.inner.store.write(|tx| -> Result<()> {
                for record in [&gives, &gets] {
                    tx.put(record.id.as_str(), record)?;
                    Networks::record_in(tx, &record.id, &record.endpoints)
                        .map_err(|fault| Error::of(&fault))?;
                }
                Ok(())
            })
        })??;
        from.publish(gives);
        to.publish(gets);
        Ok(())
    }
}

/// What was asked for goes along with what is: each is published as it is now when it starts again.
fn move_bindings(gives: &mut Record, gets: &mut Record, ports: &[Published]) {
    let cuts: Vec<(Port, u16)> = ports.iter().map(|one| (one.port, one.length)).collect();
    let all = as_asked(gives, ports);
    let asked = gives.host_config.port_bindings.take().unwrap_or_default();
    let (left, taken) = asked.cut(&cuts);
    gives.host_config.port_bindings = Some(left);
    let is_fixed = |(_, _, bindings): (String, u16, &Option<Vec<PortBinding>>)| {
        let fixed = |one: &PortBinding| one.host_port.parse::<u16>().is_ok_and(|port| port != 0);
        bindings
            .as_ref()
            .is_some_and(|all| !all.is_empty() && all.iter().all(fixed))
    };
    // A port that was any is this one from now on.
    let count = |ports: &PortMap| ports.len();
    let taken = match taken.runs().all(is_fixed) && count(&taken) == count(&all) {
        true => taken,
        false => all,
    };
    let own = gets.host_config.port_bindings.take().unwrap_or_default();
    gets.host_config.port_bindings = Some(own.joined(&taken));
}

fn bindings(ports: &[Published]) -> PortMap {
    bound(ports.iter().map(|one| (*one, one.host_ip.to_string())))
}

/// As [`bindings`], with the addresses that were asked for: none where none was named, once for both families.
fn as_asked(gives: &Record, ports: &[Published]) -> PortMap {
    let is_first = |index: usize, one: &Published| {
        let same = |other: &Published| {
            (other.port, other.host_port, other.length) == (one.port, one.host_port, one.length)
                && loopback::names_no_address(gives, other)
        };
        !ports.iter().take(index).any(same)
    };
    let all = ports.iter().enumerate();
    bound(all.filter_map(
        |(index, one)| match loopback::names_no_address(gives, one) {
            false => Some((*one, one.host_ip.to_string())),
            true => is_first(index, one).then(|| (*one, String::new())),
        },
    ))
}

fn bound(ports: impl Iterator<Item = (Published, String)>) -> PortMap {
    PortMap::overlay(ports.map(|(one, host_ip)| {
        let binding = PortBinding {
            host_ip,
            host_port: one.host_port.to_string(),
        };
        (one.port, one.length, Some(binding))
    }))
}
