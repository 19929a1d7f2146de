//! `stats`: one sampler for all clients.
//!
//! While somebody watches, one task reads the counters of every container that is watched, once a second, and all
//! who ask are answered from its last sample. When nobody watches, nothing is read. Who asks once and finds no
//! fresh sample gets two, taken a moment apart, together with all who ask at the same time.

mod document; // counters to Docker's document
mod sample; // the counters

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onggi_api::container::Stats;
use onggi_cgroup::Counted;
use onggi_model::ContainerId;
use tokio::sync::{mpsc, watch};

use crate::Engine;
use crate::container::{Container, Status};
use crate::error::{Error, Result};
use sample::Sample;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// Between the two samples of a client that asks once.
const MOMENT: Duration = Duration::from_millis(30);
/// How long those who ask once wait for others who do.
const GATHERING: Duration = Duration::from_millis(2);

/// How statistics are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsOptions {
    /// One after the other, until the client leaves.
    pub stream: bool,
    /// One sample, with nothing to compare it to.
    pub one_shot: bool,
}

/// Who watches what, and what was seen.
pub(crate) struct Sampler {
    state: Mutex<State>,
    /// Counts the rounds.
    round: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    watched: HashMap<ContainerId, Watched>,
    /// The task is there.
    at_work: bool,
    /// Those who ask once, while more may join.
    burst: Option<Burst>,
}

/// What is sampled together.
struct Burst {
    containers: Vec<Arc<Container>>,
    /// First and second samples.
    sampled: watch::Sender<Option<Arc<[Samples; 2]>>>,
}

type Samples = HashMap<ContainerId, Arc<Sample>>;

#[derive(Default)]
struct Watched {
    clients: usize,
    before: Option<Arc<Sample>>,
    last: Option<Arc<Sample>>,
}

/// Keeps a container watched.
struct Watch {
    engine: Engine,
    id: ContainerId,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            round: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last two samples of a container that is watched, if they are fresh.
    fn last(&self, id: &ContainerId) -> Option<(Arc<Sample>, Arc<Sample>)> {
        let last = self.newest(id)?;
        let before = self.state().watched.get(id)?.before.clone()?;
        (before.taken < last.taken).then_some((before, last))
    }

    /// The last one, if it is fresh.
    fn newest(&self, id: &ContainerId) -> Option<Arc<Sample>> {
        let last = self.state().watched.get(id)?.last.clone()?;
        (last.taken.elapsed() < PERIOD * 2).then_some(last)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.engine.inner.sampler.state();
        if let Some(entry) = state.watched.get_mut(&self.id) {
            entry.clients -= 1;
            if entry.clients == 0 {
                state.watched.remove(&self.id);
            }
        }
    }
}

impl Engine {
    /// What a container uses: one document, or one a second until the client leaves or the container is removed. One
    /// that does not run uses nothing.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` for a stream of a single sample.
    pub async fn container_stats(
        &self,
        id: &str,
        options: StatsOptions,
    ) -> Result<mpsc::Receiver<Stats>> {
        if options.stream && options.one_shot {
            return Err(Error::invalid("cannot have stream=true and one-shot=true"));
        }
        let container = self.inner.containers.find(id)?;
        let (send, receive) = mpsc::channel(1);
        let (first, sample) = self.first(&container, options).await;
        // There is room for one, and nobody has left yet.
        let _ = send.try_send(first);
        if options.stream {
            tokio::spawn(self.clone().stream(container, sample, send));
        }
        Ok(receive)
    }

    /// Each document compares with the one before, the first of them with `before`.
    async fn stream(
        self,
        container: Arc<Container>,
        mut before: Option<Arc<Sample>>,
        send: mpsc::Sender<Stats>,
    ) {
        let watch = self.watch(&container);
        let mut rounds = self.inner.sampler.round.subscribe();
        rounds.mark_unchanged();
        loop {
            tokio::select! {
                () = send.closed() => return,
                round = rounds.changed() => if round.is_err() { return },
            }
            let record = container.record();
            if record.state.status == Status::Removed {
                return;
            }
            let last = self.inner.sampler.newest(&watch.id);
            let is_old = |last: &Sample| before.as_ref().is_some_and(|b| b.taken >= last.taken);
            match &last {
                // Not looked at yet: one that runs uses more than nothing.
                None if record.state.is_running() => continue,
                Some(last) if is_old(last) => continue,
                _ => {}
            }
            let document = document::of(&record, before.as_deref(), last.as_deref());
            before = last;
            if send.send(document).await.is_err() {
                return;
            }
        }
    }

    /// Has the sampler look at a container; the first one sets it to work.
    fn watch(&self, container: &Container) -> Watch {
        let mut state = self.inner.sampler.state();
        let entry = state.watched.entry(container.id.clone());
        entry.or_default().clients += 1;
        if !std::mem::replace(&mut state.at_work, true) {
            tokio::spawn(self.clone().sample_all());
        }
        Watch {
            engine: self.clone(),
            id: container.id.clone(),
        }
    }

    /// The sampler: a round a second, while anything is watched.
    async fn sample_all(self) {
        let mut clock = tokio::time::interval(PERIOD);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let ids: Vec<ContainerId> =
                self.inner.sampler.state().watched.keys().cloned().collect();
            let containers = ids
                .iter()
                .filter_map(|id| self.inner.containers.find(id.as_str()).ok());
            let samples = self.sample(containers.collect(), Counted::All).await;
            let mut state = self.inner.sampler.state();
            for (id, entry) in &mut state.watched {
                let new = samples.get(id).cloned();
                entry.before = std::mem::replace(&mut entry.last, new);
            }
            self.inner.sampler.round.send_modify(|round| *round += 1);
            if state.watched.is_empty() {
                // Under the lock: who comes from here on starts the next one.
                state.at_work = false;
                return;
            }
        }
    }

    /// Samples of those that run, in one go.
    async fn sample(&self, containers: Vec<Arc<Container>>, counted: Counted) -> Samples {
        let records: Vec<_> = containers.iter().map(|c| c.record()).collect();
        let inner = self.inner.clone();
        let sampled = onggi_rt::blocking("sample control groups", move || {
            let machine = sample::Machine::now();
            let running = records.iter().filter(|r| r.state.is_running());
            let samples = running.filter_map(|record| {
                let sample = Sample::take(&inner.cgroups, record, &machine, counted)?;
                Some((record.id.clone(), Arc::new(sample)))
            });
            samples.collect::<HashMap<_, _>>()
        });
        sampled.await.unwrap_or_default()
    }

    /// The answer to one who asks now, and the sample it tells of.
    async fn first(
        &self,
        container: &Arc<Container>,
        options: StatsOptions,
    ) -> (Stats, Option<Arc<Sample>>) {
        let (before, last) = self.samples(container, options).await.unzip();
        let before = before.filter(|_| !options.one_shot);
        let document = document::of(&container.record(), before.as_deref(), last.as_deref());
        (document, last)
    }

    /// Two samples of one that runs.
    async fn samples(
        &self,
        container: &Arc<Container>,
        options: StatsOptions,
    ) -> Option<(Arc<Sample>, Arc<Sample>)> {
        if !container.record().state.is_running() {
            return None;
        }
        if let Some(both) = self.inner.sampler.last(&container.id) {
            return Some(both);
        }
        if options.one_shot {
            let mut samples = self.sample(vec![container.clone()], Counted::All).await;
            let only: Arc<Sample> = samples.remove(&container.id)?;
            return Some((only.clone(), only));
        }
        let samples = self.join_burst(container).await?;
        let of = |number: usize| samples[number].get(&container.id).cloned();
        let last = of(1)?;
        Some((of(0).unwrap_or_else(|| last.clone()), last))
    }

    /// Two samples of a container, a moment apart, with those of all others that are asked for now.
    async fn join_burst(&self, container: &Arc<Container>) -> Option<Arc<[Samples; 2]>> {
        let mut sampled = {
            let mut state = self.inner.sampler.state();
            let burst = state.burst.get_or_insert_with(|| {
                tokio::spawn(self.clone().sample_burst());
                Burst {
                    containers: Vec::new(),
                    sampled: watch::Sender::new(None),
                }
            });
            burst.containers.push(container.clone());
            burst.sampled.subscribe()
        };
        // An error: the daemon ends.
        let samples = sampled.wait_for(Option::is_some).await.ok()?;
        samples.clone()
    }

    async fn sample_burst(self) {
        tokio::time::sleep(GATHERING).await;
        let Some(burst) = self.inner.sampler.state().burst.take() else {
            return;
        };
        let began = Instant::now();
        // Of the first only the processor's share is told.
        let first = self.sample(burst.containers.clone(), Counted::Processor);
        let first = first.await;
        tokio::time::sleep(MOMENT.saturating_sub(began.elapsed())).await;
        let second = self.sample(burst.containers, Counted::All).await;
        burst.sampled.send_replace(Some(Arc::new([first, second])));
    }
}
