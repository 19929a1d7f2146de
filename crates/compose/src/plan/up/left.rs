//! What updates that did not come to their end have left: removed, or put into the place it was made for.

use super::{Making, away, target};
use crate::observe::{Container, State};
use crate::plan::{Act, needed};
use crate::service::Service;

impl Making<'_> {
    /// The containers of a service. What an update that did not come to its end has left is removed, or takes the place it
    /// was made for.
    pub(super) fn settled(&mut self, service: &Service) -> Vec<(Container, Vec<usize>)> {
        let project = &self.application.name;
        let place = |container: &Container| service.container_name(project, container.number);
        let (left, proper): (Vec<&Container>, Vec<&Container>) = self
            .facts
            .observed
            .of(&service.name)
            .partition(|container| is_temporary(&container.name, &place(container)));
        let mut all: Vec<(Container, Vec<usize>)> = proper
            .into_iter()
            .map(|one| (one.clone(), Vec::new()))
            .collect();
        for container in left {
            let name = place(container);
            let other = all
                .iter()
                .position(|(one, _)| one.number == container.number);
            let fresh = container.state == State::Running
                && self.application.hashes.get(&service.name) == Some(&container.config_hash);
            let mut after = Vec::new();
            match other {
                Some(index) if fresh && service.starts_first() => {
                    let (old, _) = all.remove(index);
                    let cause = "an update did not come to its end";
                    let published = old.summary.ports.iter().next().is_some();
                    if old.state == State::Running && published && !service.ports.is_empty() {
                        let act = Act::MovePorts {
                            from: target(&old),
                            to: target(container),
                        };
                        after.push(self.plan.push(act, cause, Vec::new()));
                    }
                    let timeout = self.options.timeout;
                    after = vec![away(&mut self.plan, &old, timeout, false, cause, &after)];
                }
                Some(_) => {
                    let cause = "an update did not come to its end";
                    let gone = away(&mut self.plan, container, Some(0), false, cause, &[]);
                    if let Some(index) = other {
                        all[index].1.push(gone);
                    }
                    continue;
                }
                None => (),
            }
            let mut container = container.clone();
            container.name.clone_from(&name);
            let act = Act::Rename {
                target: target(&container),
            };
            let cause = "an update did not come to its end";
            let renamed = self.plan.push(act, cause, needed(after));
            all.push((container, vec![renamed]));
        }
        all
    }
}

/// Is this the name of a container that waits for its real one: twelve digits of an id before it?
fn is_temporary(name: &str, place: &str) -> bool {
    let id = name
        .strip_suffix(place)
        .and_then(|rest| rest.strip_suffix('_'));
    id.is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
