//! `wait`: an answer when a container has come to where the client waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onggi_api::container::{WaitCondition, WaitError, WaitResponse};
use tokio::sync::watch;

use super::record::{Record, Status};
use crate::Engine;
use crate::error::Result;

/// How long an answer waits for clients that still get the last of the container's output: many take the answer for the
/// end of it.
const DELIVERY: Duration = Duration::from_secs(1);
/// How long the end of a container that removed itself is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How many of them are.
const MOST: usize = 256;

/// A wait that has begun: nothing that happens from now on is missed.
pub struct Waiter(Source);

enum Source {
    Here {
        records: watch::Receiver<Arc<Record>>,
        relays: watch::Receiver<usize>,
        condition: WaitCondition,
        exits: u64,
    },
    /// It was faster than the client.
    Gone(WaitResponse),
}

/// How those ended that removed themselves. Clients start such a container and then ask for its end; with dockerd the
/// removal takes longer than that, here it may not.
#[derive(Default)]
pub(crate) struct Departed(Mutex<VecDeque<(Instant, Arc<Record>)>>);

impl Departed {
    fn all(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<Record>)>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all
            .front()
            .is_some_and(|(then, _)| then.elapsed() > REMEMBERED)
        {
            all.pop_front();
        }
        all
    }

    pub(crate) fn remember(&self, record: Arc<Record>) {
        let mut all = self.all();
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back((Instant::now(), record));
    }

    /// The end of a container, by its whole id.
    fn end(&self, id: &str, condition: WaitCondition) -> Option<WaitResponse> {
        let all = self.all();
        let (_, record) = all.iter().find(|(_, record)| record.id.as_str() == id)?;
        Some(response(record, condition))
    }
}

impl Engine {
    /// Begins to wait.
    ///
    /// # Errors
    /// `NotFound`: no such container.
    pub async fn container_wait(&self, id: &str, condition: WaitCondition) -> Result<Waiter> {
        let container = match self.inner.containers.find(id) {
            Ok(container) => container,
            Err(fault) => {
                let next = condition == WaitCondition::NextExit;
                let end = self.inner.departed.end(id, condition).filter(|_| !next);
                return end.map(|end| Waiter(Source::Gone(end))).ok_or(fault);
            }
        };
        let records = container.subscribe();
        let exits = records.borrow().exits;
        Ok(Waiter(Source::Here {
            records,
            relays: container.relays(),
            condition,
            exits,
        }))
    }
}

impl Waiter {
    /// The exit code, once the condition holds.
    pub async fn wait(self) -> WaitResponse {
        let (mut records, mut relays, condition, exits) = match self.0 {
            Source::Gone(end) => return end,
            Source::Here {
                records,
                relays,
                condition,
                exits,
            } => (records, relays, condition, exits),
        };
        let reached = move |record: &Arc<Record>| {
            let removed = record.state.status == Status::Removed;
            match condition {
                // An end that a restart follows is an end.
                WaitCondition::NotRunning => {
                    removed || record.exits > exits || !record.state.is_active()
                }
                WaitCondition::NextExit => removed || record.exits > exits,
                WaitCondition::Removed => removed,
            }
        };
        // The sender lives as long as the container; if it went with the engine, the last record is the answer.
        let reached = records.wait_for(reached).await.map(|record| record.clone());
        let record = reached.unwrap_or_else(|_| records.borrow().clone());
        // One that does not read gets no more time than this.
        let delivered = relays.wait_for(|relays| *relays == 0);
        let _ = tokio::time::timeout(DELIVERY, delivered).await;
        response(&record, condition)
    }
}

fn response(record: &Record, condition: WaitCondition) -> WaitResponse {
    WaitResponse {
        status_code: i64::from(record.state.exit_code),
        // Who waits for the removal is told what went wrong with that: nothing, or there would be no answer.
        error: Some(&record.state.error)
            .filter(|error| !error.is_empty() && condition != WaitCondition::Removed)
            .map(|error| WaitError {
                message: error.clone(),
            }),
    }
}
