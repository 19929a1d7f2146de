//! `wait`: an answer when a container has come to where the client waits for it.

use std::sync::Arc;

use onggi_api::container::{WaitCondition, WaitError, WaitResponse};
use tokio::sync::watch;

use super::record::{Record, Status};
use crate::Engine;
use crate::error::Result;

/// A wait that has begun: nothing that happens from now on is missed.
pub struct Waiter {
    records: watch::Receiver<Arc<Record>>,
    condition: WaitCondition,
    exits: u64,
}

impl Engine {
    /// Begins to wait.
    ///
    /// # Errors
    /// `NotFound`: no such container.
    pub async fn container_wait(&self, id: &str, condition: WaitCondition) -> Result<Waiter> {
        let container = self.inner.containers.find(id)?;
        let records = container.subscribe();
        let exits = records.borrow().exits;
        Ok(Waiter {
            records,
            condition,
            exits,
        })
    }
}

impl Waiter {
    /// The exit code, once the condition holds.
    pub async fn wait(mut self) -> WaitResponse {
        let (condition, exits) = (self.condition, self.exits);
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
        let reached = self
            .records
            .wait_for(reached)
            .await
            .map(|record| record.clone());
        let record = reached.unwrap_or_else(|_| self.records.borrow().clone());
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
}
