//! One service: its containers are kept, made anew, added, removed, started, each when what it waits for is there.

use super::anew::Anew;
use super::{Making, away, target};
use crate::command::Recreate;
use crate::error::{Error, Problem};
use crate::observe::{Container, Health, State};
use crate::plan::{Act, After, Target, decide, needed};
use crate::service::{Condition, Service};

/// A container that stays in its place, whether it is the same one or another.
pub(super) struct Kept {
    pub(super) container: Container,
    /// Why it is made anew.
    pub(super) anew: Option<String>,
    /// What must be over before anything is done to it.
    after: Vec<usize>,
}

impl Making<'_> {
    /// Plans one service. What it waits for was planned before.
    pub(super) fn service(&mut self, service: &Service) -> Result<(), Error> {
        let scale = self.scale(service);
        if scale > 1 && !service.container_name.is_empty() {
            let message = format!(
                "service \"{0}\" cannot have {scale} containers: container_name \"{1}\" is one container's",
                service.name, service.container_name
            );
            let hint = "leave container_name out";
            return Err(Problem::general(message).hint(hint).into());
        }
        let (base, conditions) = (self.base(service), self.conditions(service)?);
        let containers = self.settled(service);
        let mut kept: Vec<Kept> = containers
            .into_iter()
            .map(|(container, after)| Kept {
                anew: self.anew(service, &container),
                container,
                after,
            })
            .collect();
        // Of too many, those go first that would be made anew, then those with the greatest numbers.
        kept.sort_by_key(|kept| (kept.anew.is_some(), kept.container.number));
        let next = kept
            .iter()
            .map(|kept| kept.container.number)
            .max()
            .unwrap_or(0)
            + 1;
        let surplus = kept.split_off(kept.len().min(scale as usize));
        kept.sort_by_key(|kept| kept.container.number);
        for one in surplus {
            if !self.gone.contains_key(&one.container.id) {
                let cause = format!("the service has {scale} containers");
                away(
                    &mut self.plan,
                    &one.container,
                    self.options.timeout,
                    true,
                    &cause,
                    &one.after,
                );
            }
        }
        self.check_replace(service, &kept)?;
        if kept.iter().any(|kept| kept.anew.is_some()) {
            self.remade.insert(service.name.clone());
            self.stop_dependents(service);
        }
        let missing = scale.saturating_sub(kept.len() as u32);
        let mut replaced: Vec<usize> = Vec::new();
        for one in kept {
            self.keep(service, one, &base, &conditions, &mut replaced);
        }
        for number in next..next + missing {
            let target = Target {
                service: service.name.clone(),
                number,
                name: service.container_name(&self.application.name, number),
                id: None,
            };
            let act = Act::Create {
                target: target.clone(),
                inherits: None,
            };
            let cause = match number {
                1 => "it is missing".to_owned(),
                _ => format!("the service has {scale} containers"),
            };
            let made = self.plan.push(act, cause, needed(base.iter().copied()));
            self.made(service, target.clone(), made);
            self.start(service, &target, "it is new", &[made], &conditions);
        }
        Ok(())
    }

    /// Plans what a service needs, and nothing of its own: a container of `run` follows.
    pub(super) fn prepare(&mut self, service: &Service) -> Result<(), Error> {
        self.conditions(service)?;
        Ok(())
    }

    /// What must be there before a container can be made.
    fn base(&self, service: &Service) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::new();
        all.extend(self.images.get(&service.image_name(&self.application.name)));
        if service.network_mode.is_empty() {
            all.extend(
                service
                    .networks
                    .keys()
                    .filter_map(|key| self.networks.get(key)),
            );
        }
        let volumes = service
            .volumes
            .iter()
            .filter(|volume| volume.kind == "volume");
        all.extend(volumes.filter_map(|volume| self.volumes.get(&volume.source)));
        let links = service
            .links
            .iter()
            .map(|link| link.split(':').next().unwrap_or_default());
        for other in service.shares().chain(links) {
            all.extend(self.ready.get(other).into_iter().flatten());
        }
        // A namespace is there while its container runs.
        if !self.options.no_start {
            for other in service.shares() {
                all.extend(self.started.get(other).into_iter().flatten());
            }
        }
        all
    }

    /// What must be true of others before a container starts.
    fn conditions(&mut self, service: &Service) -> Result<Vec<After>, Error> {
        let mut all = Vec::new();
        if self.options.no_start {
            return Ok(all);
        }
        let depends: Vec<_> = self.graph.of_service(&service.name).collect();
        for (other, on) in depends
            .into_iter()
            .filter(|(other, _)| self.selected.contains(*other))
        {
            let starts = self.started.get(other).cloned().unwrap_or_default();
            let after = |operation| After {
                operation,
                needed: on.required,
            };
            if on.condition == Condition::Started {
                all.extend(starts.into_iter().map(after));
                continue;
            }
            if self.targets.get(other).is_none_or(Vec::is_empty) {
                let message = format!("{} is missing dependency {other}", service.name);
                if on.required {
                    return Err(Problem::general(message).into());
                }
                self.plan.warnings.push(message);
                continue;
            }
            let mut there = self.facts.observed.of(other);
            let fine = match on.condition {
                Condition::Healthy => {
                    there.all(|one| one.state == State::Running && one.health == Health::Healthy)
                }
                _ => false,
            };
            if !(fine && starts.is_empty()) {
                all.push(after(self.awaited(other, on.condition)));
            }
        }
        Ok(all)
    }

    /// Why a container is made anew.
    fn anew(&self, service: &Service, container: &Container) -> Option<String> {
        let options = self.options;
        if let Some((_, why)) = self.gone.get(&container.id) {
            return Some(why.clone());
        }
        let asked = options.services.is_empty() || options.services.contains(&service.name);
        let policy = if asked {
            options.recreate
        } else {
            options.recreate_dependencies
        };
        if policy != Recreate::Never
            && let Some(other) = service.shares().find(|other| self.remade.contains(*other))
        {
            return Some(format!("it shares what {other} has, which is made anew"));
        }
        decide::why(self.application, service, container, self.facts, policy)
    }

    /// Stops the containers of those that want to be restarted with this service.
    fn stop_dependents(&mut self, service: &Service) {
        if self.options.no_start {
            return;
        }
        let dependents: Vec<String> = self
            .graph
            .dependents(&service.name)
            .filter(|(name, on)| on.restart && self.selected.contains(*name))
            .map(|(name, _)| name.to_owned())
            .collect();
        let why = format!("{} is made anew", service.name);
        for name in dependents {
            let running = self.facts.observed.of(&name).filter(|one| one.state.runs());
            for container in running {
                let done = self.gone.contains_key(&container.id)
                    || self.stopped.contains_key(&container.id);
                if !done {
                    let act = Act::Stop {
                        target: target(container),
                        timeout: self.options.timeout,
                    };
                    let stopped = self.plan.push(act, why.clone(), Vec::new());
                    self.stopped
                        .insert(container.id.clone(), (stopped, why.clone()));
                }
            }
        }
    }

    fn keep(
        &mut self,
        service: &Service,
        kept: Kept,
        base: &[usize],
        conditions: &[After],
        replaced: &mut Vec<usize>,
    ) {
        let Kept {
            container,
            anew,
            after,
        } = kept;
        let here = target(&container);
        let stopped = self.stopped.get(&container.id).cloned();
        let Some(cause) = anew else {
            self.targets
                .entry(service.name.clone())
                .or_default()
                .push(here.clone());
            self.ready
                .entry(service.name.clone())
                .or_default()
                .extend(&after);
            let mut before = after;
            let cause = match (&stopped, container.state) {
                (Some((operation, why)), _) => {
                    before.push(*operation);
                    why.clone()
                }
                (None, State::Running | State::Restarting) => {
                    self.plan.kept.push(here);
                    return;
                }
                (None, State::Paused) if !self.options.no_start => {
                    let act = Act::Unpause { target: here };
                    let operation = self.plan.push(act, "it is paused", needed(before));
                    self.started
                        .entry(service.name.clone())
                        .or_default()
                        .push(operation);
                    return;
                }
                (None, _) => "it does not run".to_owned(),
            };
            before.extend(base);
            self.start(service, &here, &cause, &before, conditions);
            return;
        };
        self.take_place(
            service,
            Anew {
                container,
                cause,
                after,
                stopped,
            },
            base,
            conditions,
            replaced,
        );
    }

    pub(super) fn made(&mut self, service: &Service, target: Target, operation: usize) {
        self.ready
            .entry(service.name.clone())
            .or_default()
            .push(operation);
        self.targets
            .entry(service.name.clone())
            .or_default()
            .push(target);
    }

    pub(super) fn start(
        &mut self,
        service: &Service,
        target: &Target,
        cause: &str,
        before: &[usize],
        conditions: &[After],
    ) -> Option<usize> {
        if self.options.no_start {
            return None;
        }
        let mut after = needed(before.iter().copied());
        after.extend(conditions.iter().copied());
        let act = Act::Start {
            target: target.clone(),
        };
        let operation = self.plan.push(act, cause, after);
        self.started
            .entry(service.name.clone())
            .or_default()
            .push(operation);
        Some(operation)
    }
}
