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
        if !record.state.is_running() {
            return Err(Error::conflict(format!(
                "cannot kill container: {id}: container {} is not running",
                container.id
            )));
        }
        let stop_signal = self.stop_signal(&record.config);
        let ends = [Signal::KILL.number(), stop_signal.number()].contains(&signal.number());
        if ends {
            self.mark_stopped(&container).await?;
        }
        if signal.number() == Signal::KILL.number() {
            return self.kill_for_good(&container, None).await;
        }
        self.signal(&container, signal, None).await?;
        if ends || record.config.stop_signal.is_empty() {
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

    /// From here on no restart policy brings the container back.
    pub(crate) async fn mark_stopped(&self, container: &Arc<Container>) -> Result<()> {
        let _writer = container.writer.lock().await;
        let record = container.record();
        if record.stopped_by_user {
            return Ok(());
        }
        if record.host_config.restart_policy.name == RestartPolicyMode::No
            && record.state.is_running()
        {
            // No policy to hold back: it goes to disk with the end.
            let mut marked = (*record).clone();
            marked.stopped_by_user = true;
            container.publish(marked);
            return Ok(());
        }
        self.commit(container, |record| record.stopped_by_user = true)
            .await
    }
}
