//! One container in the place of another: the old one first, or the new one first.

use std::collections::BTreeSet;

use super::converge::Kept;
use super::{Making, target};
use crate::error::{Error, Problem};
use crate::observe::{Container, State};
use crate::plan::{Act, After, Replaced, Target, needed};
use crate::service::Service;

/// A container that is made anew.
pub(super) struct Anew {
    pub(super) container: Container,
    pub(super) cause: String,
    /// What must be over before anything is done to it.
    pub(super) after: Vec<usize>,
    /// What stopped it, and why.
    pub(super) stopped: Option<(usize, String)>,
}

impl Making<'_> {
    /// Plans that a container takes the place of another; `replaced` is what was planned for those before it.
    pub(super) fn take_place(
        &mut self,
        service: &Service,
        anew: Anew,
        base: &[usize],
        conditions: &[After],
        replaced: &mut Vec<usize>,
    ) {
        let Anew {
            container,
            cause,
            after,
            stopped,
        } = anew;
        let here = target(&container);
        let made = Target {
            name: service.container_name(&self.application.name, container.number),
            id: None,
            ..here.clone()
        };
        let runs = container.state.runs();
        let old = Box::new(Replaced {
            target: here,
            runs,
            mounts: match self.options.renew_anon_volumes {
                true => Vec::new(),
                false => container.summary.mounts.clone(),
            },
        });
        let mut before = needed(base.iter().chain(&after).copied());
        if let Some((removed, _)) = self.gone.get(&container.id) {
            before.extend(needed([*removed]));
            let act = Act::Create {
                target: made.clone(),
                inherits: Some(old),
            };
            let operation = self.plan.push(act, cause, before);
            self.made(service, made.clone(), operation);
            self.start(service, &made, "it is new", &[operation], conditions);
            return;
        }
        let dependents = self.graph.dependents(&service.name);
        let dependents: Vec<String> = dependents.map(|(name, _)| name.to_owned()).collect();
        for name in &dependents {
            let stops = self
                .facts
                .observed
                .of(name)
                .filter_map(|one| self.stopped.get(&one.id));
            before.extend(needed(stops.map(|(operation, _)| *operation)));
        }
        if let Some((operation, _)) = stopped {
            before.extend(needed([operation]));
        }
        // What it waits for comes first, so that the old one works as long as it can.
        before.extend(conditions.iter().copied());
        let update = service
            .deploy
            .as_ref()
            .and_then(|deploy| deploy.update_config.as_ref());
        let at_once = update.and_then(|update| update.parallelism);
        let timeout = self.options.timeout;
        let first =
            service.starts_first() && container.state == State::Running && !self.options.no_start;
        if first && !same_ports(service, &container) {
            self.plan.warnings.push(format!(
                "{}: its published ports change, so the old container ends before the new one starts",
                container.name
            ));
        } else if first {
            self.in_turn(at_once.unwrap_or(1), replaced, &mut before);
            let act = Act::Replace {
                target: made.clone(),
                old,
                timeout,
            };
            let operation = self.plan.push(act, cause, before);
            replaced.push(operation);
            self.made(service, made, operation);
            self.started
                .entry(service.name.clone())
                .or_default()
                .push(operation);
            return;
        }
        self.in_turn(at_once.unwrap_or(0), replaced, &mut before);
        let act = Act::Recreate {
            target: made.clone(),
            old,
            timeout,
        };
        let operation = self.plan.push(act, cause, before);
        self.made(service, made.clone(), operation);
        let started = self.start(service, &made, "it is new", &[operation], conditions);
        replaced.push(started.unwrap_or(operation));
    }

    /// So many at once, the others behind them; 0 is all.
    fn in_turn(&self, at_once: u32, replaced: &[usize], before: &mut Vec<After>) {
        let at_once = at_once as usize;
        if at_once > 0 && replaced.len() >= at_once {
            before.extend(needed([replaced[replaced.len() - at_once]]));
        }
    }

    /// Ports can be moved by some engines only.
    pub(super) fn check_replace(&self, service: &Service, kept: &[Kept]) -> Result<(), Error> {
        let anew = kept.iter().any(|one| {
            let gone = self.gone.contains_key(&one.container.id);
            one.anew.is_some() && one.container.state.runs() && !gone
        });
        if !anew || !service.starts_first() || self.facts.moves_ports {
            return Ok(());
        }
        let fixed = service.ports.iter().any(|port| !port.published.is_empty());
        if !fixed {
            return Ok(());
        }
        let mut problem = Problem::general(
            "start-first cannot be done: this engine does not move published ports from one container to another, and two \
             cannot have them at once",
        );
        problem.path = format!("services.{}.deploy.update_config.order", service.name);
        Err(problem
            .hint("use stop-first, or publish no fixed ports")
            .into())
    }
}

/// Has a container the fixed ports that the service publishes, and no others?
fn same_ports(service: &Service, container: &Container) -> bool {
    let wanted: BTreeSet<(u16, Option<u16>, &str)> = service
        .ports
        .iter()
        .map(|port| {
            (
                port.target,
                port.published.parse().ok(),
                port.protocol.as_str(),
            )
        })
        .collect();
    let fixed = |port: &(u16, Option<u16>, &str)| port.1.is_some();
    if !wanted.iter().all(fixed) {
        return wanted.iter().all(|port| port.1.is_none())
            && service.ports.iter().all(|port| port.published.is_empty());
    }
    let ports: Vec<_> = container.summary.ports.iter().collect();
    let has: BTreeSet<(u16, Option<u16>, &str)> = ports
        .iter()
        .filter(|port| port.public_port != 0)
        .map(|port| {
            (
                port.private_port,
                Some(port.public_port),
                port.kind.as_str(),
            )
        })
        .collect();
    wanted == has
}
