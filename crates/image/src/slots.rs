//! How many transfers run at the same time.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Places for transfers.
#[derive(Debug)]
pub(crate) struct Slots(Mutex<(Arc<Semaphore>, usize)>);

impl Slots {
    pub(crate) fn new(count: usize) -> Slots {
        Slots(Mutex::new(made(count)))
    }

    /// From now on, that many; those that run are not counted.
    pub(crate) fn allow(&self, count: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = made(count);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Waits for a place, which is free again when the permit is dropped.
    pub(crate) async fn one(&self) -> Result<OwnedSemaphorePermit, Error> {
        let slots = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone();
        slots.acquire_owned().await.map_err(|_| Error::Cancelled)
    }
}

fn made(count: usize) -> (Arc<Semaphore>, usize) {
    let count = count.max(1);
    (Arc::new(Semaphore::new(count)), count)
}
