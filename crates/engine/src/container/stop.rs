//! `stop` and `restart`: ask, wait, insist.

use std::sync::Arc;
use std::time::Duration;

use onggi_api::container::Config;
use onggi_model::{ErrorKind, Fault as _, Signal};

use super::record::Status;
use super::{Changed, Container, Hold};
use crate::Engine;
use crate::error::{Error, Result};

/// Seconds between the stop signal and SIGKILL, unless the container or the client says otherwise.
const STOP_TIMEOUT: i64 = 10;
/// How long a killed process may take to go before its control group is killed as well, thawed if somebody froze it.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// How long its end may take then.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// Seconds that a container gets to stop; negative: for ever.
pub(crate) fn stop_timeout(config: &Config) -> i64 {
    config.stop_timeout.unwrap_or(STOP_TIMEOUT)
}

/// Who stops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// A client: no restart policy brings it back.
    User,
    /// The daemon, which takes its containers with it: the policy is for the next one to obey.
    Daemon,
    /// Its own failing check: it comes back whatever its policy says.
    Unhealthy,
}

impl StopCause {
    /// As events say it.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::User => None,
            Self::Daemon => Some("daemon"),
            Self::Unhealthy => Some("unhealthy"),
        }
    }
}

impl Engine {
    /// Stops a container: its stop signal, `timeout` seconds (negative: for ever), then SIGKILL.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` for no signal; `Internal` where the process will not go.
    pub async fn container_stop(
        &self,
        id: &str,
        signal: Option<String>,
        timeout: Option<i64>,
    ) -> Result<Changed> {
        let container = self.inner.containers.find(id)?;
        let signal = match signal.filter(|s| !s.is_empty()) {
            Some(name) => Some(Signal::parse(&name).map_err(|fault| Error::of(&fault))?),
            None => None,
        };
        if !container.record().state.is_active() {
            return Ok(Changed::No);
        }
        self.stop(&container, signal, timeout).await?;
        // Whoever records the end holds the writer until address and ports are free again.
        drop(container.writer.lock().await);
        self.container_event(&container.record(), "stop", []);
        Ok(Changed::Yes)
    }

    /// Stops it if it runs, and starts it.
    ///
    /// # Errors
    /// As of `container_stop` and `container_start`.
    pub async fn container_restart(
        &self,
        id: &str,
        signal: Option<String>,
        timeout: Option<i64>,
    ) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        // With --rm this end is not the one that removes it.
        container.set_hold(Hold::Restart);
        let restarted = async {
            self.container_stop(container.id.as_str(), signal, timeout)
                .await?;
            self.container_start(container.id.as_str(), None).await
        };
        let restarted = restarted.await;
        container.set_hold(Hold::None);
        restarted?;
        self.container_event(&container.record(), "restart", []);
        Ok(())
    }

    pub(crate) async fn stop(
        &self,
        container: &Arc<Container>,
        signal: Option<Signal>,
        timeout: Option<i64>,
    ) -> Result<()> {
        self.stop_for(container, StopCause::User, signal, timeout)
            .await
    }

    pub(crate) async fn stop_for(
        &self,
        container: &Arc<Container>,
        cause: StopCause,
        signal: Option<Signal>,
        timeout: Option<i64>,
    ) -> Result<()> {
        match cause {
            StopCause::User => self.mark_stopped(container, true).await?,
            StopCause::Daemon => container.set_hold(Hold::Daemon),
            // On record already.
            StopCause::Unhealthy => {}
        }
        if self.cancel_restart(container).await? {
            return Ok(());
        }
        let record = container.record();
        let signal = signal.unwrap_or_else(|| self.stop_signal(&record.config));
        let timeout = timeout.unwrap_or_else(|| stop_timeout(&record.config));
        if timeout != 0 || signal.number() != Signal::KILL.number() {
            self.signal(container, signal, cause.reason()).await?;
            // A frozen process hears nothing.
            self.resume(container).await?;
            let patience = match u64::try_from(timeout) {
                Ok(seconds) => Some(Duration::from_secs(seconds)),
                Err(_) => None,
            };
            if self.wait_until_stopped(container, patience).await {
                return Ok(());
            }
        }
        self.kill_for_good(container, cause.reason()).await
    }

    /// SIGKILL, and if pid 1 does not go, everything in its cgroup.
    pub(crate) async fn kill_for_good(
        &self,
        container: &Arc<Container>,
        reason: Option<&str>,
    ) -> Result<()> {
        self.signal(container, Signal::KILL, reason).await?;
        self.resume(container).await?;
        if self
            .wait_until_stopped(container, Some(KILL_PATIENCE))
            .await
        {
            return Ok(());
        }
        let record = container.record();
        let killed = self.with_group(&record, |group| group.kill());
        match killed.await {
            Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        if self
            .wait_until_stopped(container, Some(LAST_PATIENCE))
            .await
        {
            return Ok(());
        }
        let fault = Error::internal(format!(
            "cannot stop container: {}: tried to kill container, but did not receive an exit event",
            container.id
        ));
        Err(self.with_reason(container, fault).await)
    }

    /// Whether it stopped before `patience` ran out; `None` waits for ever.
    pub(crate) async fn wait_until_stopped(
        &self,
        container: &Arc<Container>,
        patience: Option<Duration>,
    ) -> bool {
        let mut records = container.subscribe();
        let stopped = records.wait_for(|record| !record.state.is_running());
        match patience {
            None => stopped.await.is_ok(),
            Some(patience) => matches!(tokio::time::timeout(patience, stopped).await, Ok(Ok(_))),
        }
    }

    /// A container between two runs stays down. Says whether it was one.
    pub(crate) async fn cancel_restart(&self, container: &Arc<Container>) -> Result<bool> {
        let _writer = container.writer.lock().await;
        if container.record().state.status != Status::Restarting {
            return Ok(false);
        }
        self.commit(container, |record| record.state.status = Status::Exited)
            .await?;
        Ok(true)
    }

    /// The container's own stop signal, else SIGTERM.
    pub(crate) fn stop_signal(&self, config: &Config) -> Signal {
        Signal::parse(&config.stop_signal).unwrap_or(Signal::TERM)
    }
}
