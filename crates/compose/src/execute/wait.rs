//! Until containers are what others need. The stream of events says when to look; a look every second is what remains
//! where it says nothing.

use std::time::Duration;

use onggi_client::container::List;
use onggi_client::system::Events;
use onggi_model::Filters;

use super::{Failure, Run, Thing, Word};
use crate::labels;
use crate::observe::{Container, Health, State};
use crate::plan::{Awaited, Target};
use crate::service::Condition;

/// How long nobody looks when nothing is heard.
const LOOK: Duration = Duration::from_secs(1);

/// What a look at a container says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It is what is needed.
    There,
    /// It may still be.
    Coming,
}

impl Run<'_> {
    pub(super) async fn await_all(
        &self,
        targets: &[Target],
        condition: Awaited,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        for target in targets {
            self.tell(Thing::Container, &target.name, Word::Waiting, "");
        }
        let mut filters = Filters::default();
        filters.add("label", format!("{}={}", labels::PROJECT, self.project));
        if let Some(target) = targets.first() {
            filters.add("label", format!("{}={}", labels::SERVICE, target.service));
        }
        let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
        let wanted = |one: &Container| {
            let known = targets
                .iter()
                .any(|target| target.id.as_ref() == Some(&one.id));
            known || names.contains(&one.name)
        };
        let waiting = self.watch(&filters, wanted, targets.len(), condition);
        let result = match limit {
            None => waiting.await,
            Some(limit) => match tokio::time::timeout(limit, waiting).await {
                Ok(result) => result,
                Err(_) => {
                    let seconds = limit.as_secs_f64();
                    let text = format!(
                        "application not healthy after {seconds}s: {}",
                        names.join(", ")
                    );
                    Err(Failure::Other(text))
                }
            },
        };
        result?;
        let word = match condition {
            Awaited::Condition(Condition::Completed) => Word::Exited,
            _ => Word::Healthy,
        };
        for target in targets {
            self.tell(Thing::Container, &target.name, word, "");
        }
        Ok(())
    }

    /// Waits for one container that is not its service's yet.
    pub(super) async fn ready(&self, id: &str, name: &str) -> Result<(), Failure> {
        self.tell(Thing::Container, name, Word::Waiting, "");
        let mut filters = Filters::default();
        filters.add("id", id);
        // Events know a container by this filter.
        let wanted = |one: &Container| one.id == id;
        self.watch(&filters, wanted, 1, Awaited::Ready).await
    }

    async fn watch(
        &self,
        filters: &Filters,
        wanted: impl Fn(&Container) -> bool,
        count: usize,
        condition: Awaited,
    ) -> Result<(), Failure> {
        let mut heard = Events::default();
        heard.filters.add("type", "container");
        for label in filters.values("label") {
            heard.filters.add("label", label);
        }
        for id in filters.values("id") {
            heard.filters.add("container", id);
        }
        // Before the first look, so that nothing is missed between.
        let mut events = self.client.events(&heard).await?;
        loop {
            let list = List {
                all: true,
                filters: filters.clone(),
                ..List::default()
            };
            let containers = self.client.container_list(&list).await?;
            let containers: Vec<Container> = containers
                .into_iter()
                .map(Container::of)
                .filter(&wanted)
                .collect();
            if containers.len() < count {
                return Err(Failure::Other(
                    "a container that was waited for is gone".to_owned(),
                ));
            }
            let mut all = Seen::There;
            for container in &containers {
                if look(container, condition).map_err(Failure::Other)? == Seen::Coming {
                    all = Seen::Coming;
                }
            }
            if all == Seen::There {
                return Ok(());
            }
            match tokio::time::timeout(LOOK, events.next::<serde_json::Value>()).await {
                Ok(Ok(Some(_))) | Err(_) => (),
                // The stream ended: whoever is asked next says why.
                Ok(Ok(None) | Err(_)) => events = self.client.events(&heard).await?,
            }
        }
    }
}

/// Is a container what is needed? What it can no longer become is an error.
fn look(container: &Container, condition: Awaited) -> Result<Seen, String> {
    let name = &container.name;
    let code = container.exit_code.unwrap_or_default();
    let ended = || Err(format!("container {name} exited ({code})"));
    match (condition, container.state) {
        (_, State::Created) => Err(format!("container {name} was not started")),
        (_, State::Removing | State::Dead) => Err(format!("container {name} is being removed")),
        (Awaited::Condition(Condition::Completed), State::Exited) => match code {
            0 => Ok(Seen::There),
            code => Err(format!(
                "service \"{}\" didn't complete successfully: exit {code}",
                container.service
            )),
        },
        (Awaited::Condition(Condition::Completed), _) => Ok(Seen::Coming),
        (Awaited::Condition(Condition::Started), _) => Ok(Seen::There),
        (_, State::Exited) => ended(),
        (_, State::Restarting | State::Paused) => Ok(Seen::Coming),
        (_, State::Running) => match (container.health, condition) {
            (Health::Healthy, _) | (Health::None, Awaited::Ready) => Ok(Seen::There),
            (Health::Starting, _) => Ok(Seen::Coming),
            (Health::Unhealthy, _) => Err(format!("container {name} is unhealthy")),
            (Health::None, _) => Err(format!("container {name} has no healthcheck configured")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_what_is_needed_or_cannot_become_it() {
        use Condition::{Completed, Healthy};
        let healthy = Awaited::Condition(Healthy);
        let completed = Awaited::Condition(Completed);
        for (state, health, code, condition, result) in [
            (State::Running, Health::Healthy, 0, healthy, Ok(Seen::There)),
            (
                State::Running,
                Health::Starting,
                0,
                healthy,
                Ok(Seen::Coming),
            ),
            (
                State::Restarting,
                Health::None,
                1,
                healthy,
                Ok(Seen::Coming),
            ),
            (
                State::Running,
                Health::Unhealthy,
                0,
                healthy,
                Err("container c is unhealthy"),
            ),
            (
                State::Running,
                Health::None,
                0,
                healthy,
                Err("container c has no healthcheck configured"),
            ),
            (
                State::Exited,
                Health::None,
                3,
                healthy,
                Err("container c exited (3)"),
            ),
            (
                State::Created,
                Health::None,
                0,
                healthy,
                Err("container c was not started"),
            ),
            (State::Running, Health::None, 0, completed, Ok(Seen::Coming)),
            (State::Exited, Health::None, 0, completed, Ok(Seen::There)),
            (
                State::Exited,
                Health::None,
                2,
                completed,
                Err("service \"s\" didn't complete successfully: exit 2"),
            ),
            (
                State::Running,
                Health::None,
                0,
                Awaited::Ready,
                Ok(Seen::There),
            ),
            (
                State::Running,
                Health::Starting,
                0,
                Awaited::Ready,
                Ok(Seen::Coming),
            ),
            (
                State::Exited,
                Health::None,
                0,
                Awaited::Ready,
                Err("container c exited (0)"),
            ),
        ] {
            let container = Container {
                name: "c".to_owned(),
                service: "s".to_owned(),
                exit_code: Some(code),
                state,
                health,
                ..Container::default()
            };
            assert_eq!(look(&container, condition), result.map_err(str::to_owned));
        }
    }
}
