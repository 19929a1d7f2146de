//! `kill`: a signal for pid 1 of a container.

use std::sync::Arc;

use onggi_api::container::RestartPolicyMode;
use onggi_model::Signal;

use super::Container;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Sends `signal` (SIGKILL unless named) to the process of a container.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it does not run; `InvalidParameter` for no signal.
    pub async fn container_kill(&self, id: &str, signal: Option<String>) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        let name = signal.filter(|signal| !signal.is_empty());
        let signal = Signal::parse(name.as_deref().unwrap_or("SIGKILL"))
            .map_err(|fault| Error::of(&fault).context(format!("cannot kill container: {id}")))?;
        let record = container.record();
        if !record.state.is_active() {
            return Err(Error::conflict(format!(
                "cannot kill container: {id}: container {} is not running",
                container.id
            )));
        }
        let is_kill = signal.number() == Signal::KILL.number();
        // A container that names no stop signal may take any as the word to end; it is not brought back from there.
        let is_last = is_kill
            || record.config.stop_signal.is_empty()
            || signal.number() == self.stop_signal(&record.config).number();
        self.mark_stopped(&container, is_last).await?;
        if is_last && self.cancel_restart(&container).await? {
            return Ok(());
        }
        if is_kill {
            self.kill_for_good(&container, None).await?;
            // Whoever records the end holds the writer until address and ports are free again.
            drop(container.writer.lock().await);
            return Ok(());
        }
        self.signal(&container, signal, None).await?;
        if is_last {
            self.resume(&container).await?;
        }
        Ok(())
    }

    /// Hands `signal` to the monitor; a container that just ended has had it. `reason`: why, where no client asked.
    pub(crate) async fn signal(
        &self,
        container: &Arc<Container>,
        signal: Signal,
        reason: Option<&str>,
    ) -> Result<()> {
        let Some(task) = container.task() else {
            return Ok(());
        };
        // Before it is sent, so that nobody hears of the end first.
        let reason = reason.map(|reason| ("reason".to_owned(), reason.to_owned()));
        let signalled = ("signal".to_owned(), signal.number().to_string());
        let attributes = [signalled].into_iter().chain(reason);
        self.container_event(&container.record(), "kill", attributes);
        task.signal(signal.number()).await
    }

    /// Puts on record that a user wanted it down, which `unless-stopped` obeys; where this was the last word, no policy
    /// brings it back before it is started again.
    pub(crate) async fn mark_stopped(
        &self,
        container: &Arc<Container>,
        is_last: bool,
    ) -> Result<()> {
        let _writer = container.writer.lock().await;
        let record = container.record();
        if record.stopped_by_user && (record.stays_down || !is_last) {
            return Ok(());
        }
        if record.host_config.restart_policy.name == RestartPolicyMode::No
            && record.state.is_running()
        {
            // No policy to hold back: it goes to disk with the end.
            let mut marked = (*record).clone();
            marked.stopped_by_user = true;
            marked.stays_down |= is_last;
            container.publish(marked);
            return Ok(());
        }
        self.commit(container, |record| {
            record.stopped_by_user = true;
            record.stays_down |= is_last;
        })
        .await
    }
}
