//! Plans carried out: operations run side by side, each when what it waits for is over, and tell how they do.

mod containers; // make, start, stop
mod event; // what is told while it happens
mod failure; // what went wrong
mod hooks; // commands after the start and before the stop
mod images; // pull
mod parts; // networks, volumes
mod places; // one container in the place of another
mod tar; // files for a container that was just made
mod wait; // until containers are what others need

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use onggi_client::Client;
use tokio::sync::mpsc::UnboundedSender;

pub use event::{Event, Progress, Thing, Word};
pub use failure::{Failed, Failure};
pub(crate) use images::inspect;

use crate::plan::{Act, Facts, ImageFacts, Plan, Target};
use crate::request::Known;
use crate::service::{Application, Service};

/// What Compose needs and only its caller has: logins, and the building of images.
pub trait Host: Send + Sync {
    /// The login for an image, as the header `X-Registry-Auth` wants it; empty for none.
    fn login<'a>(&'a self, image: &'a str) -> BoxFuture<'a, String>;

    /// Builds the image of a service, and tags it with this name.
    ///
    /// # Errors
    /// What the user is told.
    fn build<'a>(
        &'a self,
        application: &'a Application,
        service: &'a Service,
        image: &'a str,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// Whoever carries out plans.
pub(crate) struct Run<'a> {
    pub(crate) client: &'a Client,
    pub(crate) host: &'a dyn Host,
    pub(crate) events: Option<UnboundedSender<Event>>,
    pub(crate) application: Option<&'a Application>,
    /// The name of the project.
    pub(crate) project: String,
    /// The containers there are, by service; those that are made come along.
    pub(crate) known: Mutex<BTreeMap<String, Vec<Known>>>,
    /// Images, by name.
    pub(crate) images: Mutex<BTreeMap<String, ImageFacts>>,
}

/// How many operations are done at once when nobody says: more only stand in line at the engine, each with a connection.
const AT_ONCE: usize = 32;

/// Where an operation stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waiting,
    Running,
    Done,
    Failed,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        client: &'a Client,
        host: &'a dyn Host,
        events: Option<UnboundedSender<Event>>,
        project: &str,
        application: Option<&'a Application>,
        facts: &Facts,
    ) -> Self {
        let mut known: BTreeMap<String, Vec<Known>> = BTreeMap::new();
        for container in facts.observed.containers.iter().filter(|one| !one.oneoff) {
            known
                .entry(container.service.clone())
                .or_default()
                .push(Known {
                    id: container.id.clone(),
                    name: container.name.clone(),
                    number: container.number,
                });
        }
        Self {
            client,
            host,
            events,
            application,
            project: project.to_owned(),
            known: Mutex::new(known),
            images: Mutex::new(facts.images.clone()),
        }
    }

    /// Carries out a plan, so many operations at once; none is [`AT_ONCE`]. What only waits does not count. What depends
    /// on something that failed is not done, everything else is.
    pub(crate) async fn plan(&self, plan: &Plan, limit: Option<usize>) -> Result<(), Failure> {
        for target in &plan.kept {
            self.tell(Thing::Container, &target.name, Word::Running, "");
        }
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(AT_ONCE);
        let waits = |index: usize| matches!(plan.operations[index].act, Act::Await { .. });
        let mut working = 0;
        let mut standing = vec![Standing::Waiting; plan.operations.len()];
        let mut failed = Vec::new();
        let mut running = FuturesUnordered::new();
        loop {
            let mut settled = false;
            for (index, operation) in plan.operations.iter().enumerate() {
                if standing[index] != Standing::Waiting {
                    continue;
                }
                let lost = operation
                    .after
                    .iter()
                    .any(|after| after.needed && standing[after.operation] == Standing::Failed);
                if lost {
                    standing[index] = Standing::Failed;
                    settled = true;
                    continue;
                }
                let free = operation.after.iter().all(|after| {
                    matches!(standing[after.operation], Standing::Done | Standing::Failed)
                });
                if free && (working < limit || waits(index)) {
                    standing[index] = Standing::Running;
                    working += usize::from(!waits(index));
                    running.push(async move { (index, self.act(&operation.act).await) });
                }
            }
            if settled {
                continue;
            }
            let Some((index, result)) = running.next().await else {
                break;
            };
            working -= usize::from(!waits(index));
            standing[index] = match result {
                Ok(()) => Standing::Done,
                Err(failure) => {
                    let act = &plan.operations[index].act;
                    let optional =
                        matches!(act, Act::Pull { optional: true, .. }) || plan.is_optional(index);
                    let (thing, name) = event::subject(act);
                    let text = failure.to_string();
                    let word = if optional { Word::Warning } else { Word::Error };
                    self.tell(thing, &name, word, &text);
                    if !optional {
                        let act = act.clone();
                        failed.push(Failed { act, failure });
                    }
                    Standing::Failed
                }
            };
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Failure::Operations(failed)),
        }
    }

    async fn act(&self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Pull {
                image, platform, ..
            } => self.pull(image, platform).await,
            Act::Build { service, image } => self.build(service, image).await,
            Act::CreateNetwork { key, name } => self.create_network(key, name).await,
            Act::RemoveNetwork { name, id } => self.remove_network(name, id).await,
            Act::CreateVolume { key, name } => self.create_volume(key, name).await,
            Act::RemoveVolume { name } => self.remove_volume(name).await,
            Act::Create { target, inherits } => self.create(target, inherits.as_deref()).await,
            Act::Recreate {
                target,
                old,
                timeout,
            } => self.recreate(target, old, *timeout).await,
            Act::Replace {
                target,
                old,
                timeout,
            } => self.replace(target, old, *timeout).await,
            Act::Rename { target } => self.rename(target).await,
            Act::MovePorts { from, to } => self.move_ports(from.reference(), to.reference()).await,
            Act::Start { target } => self.start(target).await,
            Act::Stop { target, timeout } => self.stop(target, *timeout).await,
            Act::Restart { target, timeout } => self.restart(target, *timeout).await,
            Act::Kill { target, signal } => self.kill(target, signal).await,
            Act::Pause { target } => self.pause(target).await,
            Act::Unpause { target } => self.unpause(target).await,
            Act::Remove {
                target,
                volumes,
                force,
            } => self.remove(target, *volumes, *force).await,
            Act::Await {
                targets,
                condition,
                limit,
                ..
            } => self.await_all(targets, *condition, *limit).await,
            Act::RemoveImage { name } => self.remove_image(name).await,
        }
    }

    /// The service of a container, where the files are known.
    fn service(&self, target: &Target) -> Option<&'a Service> {
        self.application?.services.get(&target.service)
    }

    fn tell(&self, thing: Thing, name: &str, word: Word, text: &str) {
        self.send(Event {
            thing,
            name: name.to_owned(),
            word,
            text: text.to_owned(),
            progress: None,
        });
    }

    fn send(&self, event: Event) {
        if let Some(events) = &self.events {
            // Nobody listens any more: the work goes on.
            let _ = events.send(event);
        }
    }

    pub(crate) fn known(&self) -> BTreeMap<String, Vec<Known>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes a container that is there, in the place of another of its service and number.
    fn learn(&self, target: &Target, id: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let all = known.entry(target.service.clone()).or_default();
        all.retain(|one| one.number != target.number);
        all.push(Known {
            id: id.to_owned(),
            name: target.name.clone(),
            number: target.number,
        });
        all.sort_by_key(|one| one.number);
    }
}

impl Plan {
    /// Is it a wait, and does everybody who is behind it go on without what it waits for?
    fn is_optional(&self, operation: usize) -> bool {
        let mut after = self.operations.iter().flat_map(|one| &one.after);
        let waiting = after.clone().any(|after| after.operation == operation);
        let is_wait = matches!(self.operations[operation].act, Act::Await { .. });
        waiting && is_wait && !after.any(|after| after.operation == operation && after.needed)
    }
}
