//! The end of a container's process: what the monitor reported is committed first, told second, cleaned third.
//!
//! One task per running container reads its monitor's events. It owns the end: the record, the network, the
//! `die` event, `--rm` and the restart policy.

use std::sync::Arc;
use std::time::Duration;

use onggi_api::container::{RemoveOptions, RestartPolicyMode};
use onggi_model::Timestamp;
use onggi_monitor::protocol::{Exit, FromMonitor, Oom, ToMonitor};
use onggi_network::Networks;
use onggi_store::WriteTx;
use tracing::{error, info, warn};

use super::network::Withdrawn;
use super::record::{Record, Status};
use super::{Container, Hold};
use crate::Engine;
use crate::error::{Error, Result};
use crate::task::{Task, TaskEvents};

/// The pause before the first restart; it doubles with each one that follows soon.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A run of this length proves that the container works: the pause starts over.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// Follows the monitor until the container has ended.
pub(crate) fn watch(
    engine: Engine,
    container: Arc<Container>,
    task: Arc<Task>,
    mut events: TaskEvents,
    child: Option<tokio::process::Child>,
) {
    tokio::spawn(async move {
        let exit = loop {
            match events.next().await {
                Ok(Some(event)) => match event.message {
                    FromMonitor::Exited(exit) => break exit,
                    FromMonitor::ExecExited { id, code } => engine.exec_exited(&id, code),
                    FromMonitor::OomKilled(oom) => engine.memory_killed(&container, &oom).await,
                    FromMonitor::Warning { message } => {
                        warn!(container = %container.id, "{message}");
                    }
                    other => warn!(container = %container.id, "unexpected event: {other:?}"),
                },
                Ok(None) => break engine.monitor_lost(&container).await,
                Err(fault) => {
                    error!(container = %container.id, "{fault}");
                    break engine.monitor_lost(&container).await;
                }
            }
        };
        // Starting holds the writer until the record says "running"; only then may it say "exited".
        let writer = container.writer.lock().await;
        if let Err(fault) = engine.ended(&container, &exit).await {
            error!(container = %container.id, "the exit could not be recorded: {fault}");
            // Without Acknowledge the monitor keeps its report: the next daemon finds it.
            return;
        }
        drop(writer);
        // The monitor may be gone already: then nobody needs this.
        let _ = task.send(&ToMonitor::Acknowledge, Vec::new()).await;
        engine.after_exit(&container).await;
        if let Some(mut child) = child {
            let _ = child.wait().await;
        }
    });
}

impl Engine {
    /// The kernel's memory killer took one of its processes; it may run on.
    pub(crate) async fn memory_killed(&self, container: &Arc<Container>, oom: &Oom) {
        let _writer = container.writer.lock().await;
        let before = container.record();
        if !before.state.is_running() {
            return;
        }
        if !before.state.oom_killed {
            let change = |record: &mut Record| record.state.oom_killed = true;
            if let Err(fault) = self.commit(container, change).await {
                error!(container = %container.id, "a kill for memory could not be recorded: {fault}");
            }
        }
        self.container_event(&container.record(), "oom", oom_attributes(Some(oom)));
    }

    /// Records the end. The writer is held by the caller.
    pub(crate) async fn ended(&self, container: &Arc<Container>, exit: &Exit) -> Result<()> {
        let before = container.record();
        if !before.state.is_running() {
            return Ok(());
        }
        let held = self.is_leaving() || container.hold() == Hold::Daemon;
        // What the kernel refuses to let go stays known in memory, and is tried again.
        let withdrawn = self.withdraw_network(container).await;
        let id = container.id.clone();
        let forget = move |tx: &mut WriteTx<'_>| match withdrawn {
            Withdrawn::Yes => Networks::forget_in(tx, &id).map_err(|fault| Error::of(&fault)),
            Withdrawn::Nothing | Withdrawn::No => Ok(()),
        };
        let change = |record: &mut Record| {
            if withdrawn != Withdrawn::No {
                record.endpoints.clear();
            }
            let state = &mut record.state;
            state.status = Status::Exited;
            state.pid = 0;
            state.exit_code = exit.code;
            state.oom_killed = exit.oom_killed;
            state.oom.clone_from(&exit.oom);
            state.error = exit.error.clone().unwrap_or_default();
            state.finished_at = exit.finished_at.into();
            state.health_stopped();
            record.exits += 1;
            let unhealthy = record.unhealthy && !record.stopped_by_user;
            if !held && (unhealthy || wants_restart(record)) {
                record.state.status = Status::Restarting;
                record.restart_count += 1;
                record.short_runs = match unhealthy || was_short(record) {
                    true => record.short_runs.saturating_add(1),
                    false => 1,
                };
            }
        };
        self.commit_with(container, change, forget).await?;
        if withdrawn == Withdrawn::Yes {
            self.inner.networks.forget(&container.id);
        }
        container.set_task(None);
        container.release_sockets();
        let record = container.record();
        info!(container = %container.id, code = exit.code, "exited");
        if exit.oom_killed && !before.state.oom_killed {
            self.container_event(&record, "oom", oom_attributes(exit.oom.as_ref()));
        }
        let seconds = record.state.finished_at.seconds() - record.state.started_at.seconds();
        self.container_event(
            &record,
            "die",
            [
                ("exitCode".to_owned(), exit.code.to_string()),
                ("execDuration".to_owned(), seconds.max(0).to_string()),
            ],
        );
        self.inner.shipping.wake(&container.id);
        self.execs_ended(&container.id);
        self.network_events(&before, "disconnect");
        self.unmount_volumes(container).await;
        let directory = self.exec_directory(&container.id);
        let _ = std::fs::remove_dir_all(&directory);
        let _ = std::fs::remove_file(self.exit_file(&container.id));
        Ok(())
    }

    /// What follows an end that is on record: `--rm`, or another run.
    pub(crate) async fn after_exit(&self, container: &Arc<Container>) {
        let record = container.record();
        if record.state.status == Status::Restarting {
            self.restart_later(container.clone(), &record);
        } else if record.host_config.auto_remove && container.hold() != Hold::Restart {
            let options = RemoveOptions {
                volumes: true,
                ..Default::default()
            };
            if let Err(fault) = self.remove(container, options).await {
                warn!(container = %container.id, "automatic removal failed: {fault}");
            }
        }
    }

    /// The monitor went without a word: its container must not run unwatched.
    async fn monitor_lost(&self, container: &Arc<Container>) -> Exit {
        if let Some(exit) = self.read_exit_file(&container.id) {
            return exit;
        }
        let record = container.record();
        warn!(container = %container.id, "the monitor is gone; killing what it left");
        if let Err(fault) = self.kill_cgroup(&record).await {
            warn!(container = %container.id, "{fault}");
        }
        Exit {
            code: 137,
            signal: Some(9),
            oom_killed: false,
            oom: None,
            finished_at: Timestamp::now().inner(),
            error: Some("the monitor of the container was killed".to_owned()),
        }
    }

    /// Starts it again after the pause, unless somebody decides otherwise meanwhile.
    pub(crate) fn restart_later(&self, container: Arc<Container>, record: &Record) {
        let (engine, exits) = (self.clone(), record.exits);
        let pause = pause_after(record.short_runs);
        tokio::spawn(async move {
            let mut records = container.subscribe();
            let changed = records.wait_for(|record| {
                record.state.status != Status::Restarting || record.exits != exits
            });
            if tokio::time::timeout(pause, changed).await.is_ok() {
                return;
            }
            let _writer = container.writer.lock().await;
            let record = container.record();
            if record.state.status != Status::Restarting || record.exits != exits {
                return;
            }
            if container.is_doomed() {
                return;
            }
            if let Err(fault) = engine.launch(&container, super::start::Cause::Policy).await {
                warn!(container = %container.id, "restart failed: {fault}");
            }
        });
    }
}

/// What an event says about a want of memory, as far as it is known.
fn oom_attributes(oom: Option<&Oom>) -> Vec<(String, String)> {
    let Some(oom) = oom else { return Vec::new() };
    let numbers = [
        ("limit", oom.limit),
        ("peak", oom.peak),
        ("victimPid", oom.pid.map(u64::from)),
    ];
    let numbers = numbers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_string())));
    let victim = oom.victim.clone().map(|name| ("victim".to_owned(), name));
    numbers.chain(victim).collect()
}

/// Whether the restart policy brings back a container that just ended.
fn wants_restart(record: &Record) -> bool {
    let policy = &record.host_config.restart_policy;
    if record.stays_down {
        return false;
    }
    match policy.name {
        RestartPolicyMode::No => false,
        RestartPolicyMode::Always => true,
        RestartPolicyMode::UnlessStopped => !record.stopped_by_user,
        RestartPolicyMode::OnFailure => has_failed_and_may_again(record),
    }
}

/// Whether the restart policy starts a container that has run before when the daemon starts. Only `unless-stopped`
/// asks who stopped it.
pub(crate) fn starts_with_daemon(record: &Record) -> bool {
    let policy = &record.host_config.restart_policy;
    record.exits > 0
        && match policy.name {
            RestartPolicyMode::No => false,
            RestartPolicyMode::Always => true,
            RestartPolicyMode::UnlessStopped => !record.stopped_by_user,
            RestartPolicyMode::OnFailure => has_failed_and_may_again(record),
        }
}

fn has_failed_and_may_again(record: &Record) -> bool {
    let most = record.host_config.restart_policy.maximum_retry_count;
    record.state.exit_code != 0 && (most == 0 || i64::from(record.restart_count) < most)
}

/// Whether the run that just ended proves nothing.
fn was_short(record: &Record) -> bool {
    record.state.finished_at.since(record.state.started_at) < GOOD_RUN
}

/// 100 ms, 200 ms, ... one minute, by how many runs in a row ended soon.
fn pause_after(short_runs: u32) -> Duration {
    let doublings = short_runs.saturating_sub(1).min(16);
    FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        for (short_runs, milliseconds) in [
            (0, 100),
            (1, 100),
            (2, 200),
            (3, 400),
            (10, 51_200),
            (11, 60_000),
            (u32::MAX, 60_000),
        ] {
            let pause = pause_after(short_runs);
            assert_eq!(pause.as_millis(), milliseconds, "{short_runs}");
        }
    }
}
