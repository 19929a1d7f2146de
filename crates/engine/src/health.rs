//! Health checks: a probe runs in the container every so often, and what it says becomes the container's health.
//!
//! The probes are execs like any other, so the monitor runs them; *when* one is due is decided here. While no daemon
//! is there no probe runs, and a new daemon begins with one at once, from the health that is on record: changes of
//! the status are committed, the log of the last five is kept in memory as dockerd does.

mod probe; // one run of the check

use std::sync::Arc;
use std::time::Duration;

use onggi_api::container::{Config, Health, HealthConfig, HealthcheckResult, HostConfig};
use onggi_model::Timestamp;
use tracing::{debug, info, warn};

use crate::Engine;
use crate::container::{Container, Record, Status, StopCause};
use crate::error::{Error, Result};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: i64 = 3;
/// How many results are kept.
const LOG: usize = 5;

const STARTING: &str = "starting";
const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

/// What `--on-unhealthy` may say, beside nothing.
const RESTART: &str = "restart";
const NO: &str = "no";

/// Refuses what `--on-unhealthy` cannot mean, and takes a `no` away, which is what nothing means.
pub(crate) fn settle(config: &Config, host: &mut HostConfig) -> Result<()> {
    match host.on_unhealthy.as_str() {
        "" => return Ok(()),
        NO => {
            host.on_unhealthy.clear();
            return Ok(());
        }
        RESTART => {}
        other => {
            return Err(Error::invalid(format!(
                "invalid OnUnhealthy: '{other}'; use one of 'no' or 'restart'"
            )));
        }
    }
    if command(config).is_none() {
        return Err(Error::invalid(
            "on-unhealthy=restart: the container has no health check that could fail; give it one (--health-cmd)",
        ));
    }
    if host.auto_remove {
        return Err(Error::invalid(
            "can't create 'AutoRemove' container with on-unhealthy=restart",
        ));
    }
    Ok(())
}

/// When the first probe of a watch is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// After the usual time.
    Later,
    /// Now: nobody looked for a while.
    AtOnce,
}

/// Refuses checks that cannot be, in Docker's words.
pub(crate) fn check(config: &Config) -> Result<()> {
    let Some(health) = &config.healthcheck else {
        return Ok(());
    };
    let refuse = |text: String| Err(Error::invalid(text));
    let times = [
        (health.interval, "Interval"),
        (health.timeout, "Timeout"),
        (health.start_period, "StartPeriod"),
        (health.start_interval, "StartInterval"),
    ];
    if let Some((_, name)) = times.iter().find(|(t, _)| *t != 0 && *t < 1_000_000) {
        return refuse(format!("{name} in Healthcheck cannot be less than 1ms"));
    }
    if health.retries < 0 {
        return refuse("Retries in Healthcheck cannot be negative".to_owned());
    }
    let test = health.test.as_deref().unwrap_or_default();
    match test.first().map(String::as_str) {
        None | Some("NONE") => Ok(()),
        Some(kind @ ("CMD" | "CMD-SHELL")) if test.len() < 2 => {
            refuse(format!("{kind} in Healthcheck needs a command"))
        }
        Some("CMD" | "CMD-SHELL") => Ok(()),
        Some(kind) => refuse(format!(
            "unknown type '{kind}' in Healthcheck: use one of 'CMD', 'CMD-SHELL' or 'NONE'"
        )),
    }
}

/// The command of a container's probe; `None` where it has no check.
pub(crate) fn command(config: &Config) -> Option<Vec<String>> {
    let test = config.healthcheck.as_ref()?.test.as_deref()?;
    let (kind, words) = test.split_first()?;
    match kind.as_str() {
        "CMD" => Some(words.to_vec()),
        "CMD-SHELL" => {
            let usual = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
            let shell = config.shell.clone().filter(|shell| !shell.is_empty());
            Some([&shell.unwrap_or_else(usual), words].concat())
        }
        _ => None,
    }
}

/// The health of a container that starts: what was logged stays.
pub(crate) fn at_start(config: &Config, before: Option<Health>) -> Option<Health> {
    command(config)?;
    Some(Health {
        status: STARTING.to_owned(),
        failing_streak: 0,
        log: before.unwrap_or_default().log,
    })
}

impl crate::container::State {
    /// Nobody probes any more: Docker calls that unhealthy.
    pub(crate) fn health_stopped(&mut self) {
        if let Some(health) = &mut self.health {
            health.status = UNHEALTHY.to_owned();
        }
    }
}

impl Engine {
    /// Probes a container that runs, until it does not.
    pub(crate) fn watch_health(&self, container: &Arc<Container>) {
        self.watch_health_from(container, First::Later);
    }

    pub(crate) fn watch_health_from(&self, container: &Arc<Container>, first: First) {
        if command(&container.record().config).is_none() {
            return;
        }
        let watch = tokio::spawn(self.clone().probe_while_running(container.clone(), first));
        // A watch of before a pause may not have noticed its end.
        if let Some(old) = container.replace_health(watch.abort_handle()) {
            old.abort();
        }
    }

    async fn probe_while_running(self, container: Arc<Container>, first: First) {
        let run = container.record().exits;
        let mut records = container.subscribe();
        let mut pause = match first {
            First::AtOnce => Duration::ZERO,
            First::Later => pause(&container.record(), Timestamp::now()),
        };
        loop {
            let over = records.wait_for(|record| !is_run(record, run));
            if tokio::time::timeout(pause, over).await.is_ok() {
                return;
            }
            // The probe is cleaned up behind, even if nobody waits for it any more.
            let probe = tokio::spawn(probe::run(self.clone(), container.clone()));
            let Ok(result) = probe.await else { return };
            debug!(container = %container.id, code = result.exit_code, "probed");
            self.probed(&container, run, result).await;
            pause = self::pause(&container.record(), Timestamp::now());
        }
    }

    /// Takes a result over into the health of the run it belongs to.
    async fn probed(&self, container: &Arc<Container>, run: u64, result: HealthcheckResult) {
        let _writer = container.writer.lock().await;
        let record = container.record();
        if !is_run(&record, run) {
            return;
        }
        let before = record.state.health.clone().unwrap_or_default();
        let Some(check) = &record.config.healthcheck else {
            return;
        };
        let health = after(&before, check, record.state.started_at, result);
        let status = health.status.clone();
        let fails = status == UNHEALTHY && record.host_config.on_unhealthy == RESTART;
        let replaced = fails && !record.unhealthy && !record.stopped_by_user;
        if status == before.status && !replaced {
            let mut record = (*record).clone();
            record.state.health = Some(health);
            container.publish(record);
            return;
        }
        let healthy = status == HEALTHY;
        let committed = self
            .commit(container, |record| {
                record.state.health = Some(health);
                record.unhealthy |= replaced;
                if healthy {
                    // It works: the pause before the next restart is the first again.
                    record.short_runs = 0;
                }
            })
            .await;
        if let Err(fault) = committed {
            warn!(container = %container.id, "{fault}");
            return;
        }
        if status != before.status {
            let action = format!("health_status: {status}");
            self.container_event(&container.record(), &action, []);
        }
        if replaced {
            info!(container = %container.id, "is unhealthy, and is started again");
            let (engine, container) = (self.clone(), container.clone());
            tokio::spawn(async move {
                let cause = StopCause::Unhealthy;
                if let Err(fault) = engine.stop_for(&container, cause, None, None).await {
                    warn!(container = %container.id, "{fault}");
                }
            });
        }
    }
}

/// Whether the record is of that run, and the run goes on.
fn is_run(record: &Record, run: u64) -> bool {
    record.state.status == Status::Running && record.exits == run
}

/// A duration of the check, or Docker's.
fn or(value: i64, usual: Duration) -> Duration {
    match u64::try_from(value) {
        Ok(0) | Err(_) => usual,
        Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
    }
}

/// How long until the next probe.
fn pause(record: &Record, now: Timestamp) -> Duration {
    let Some(check) = &record.config.healthcheck else {
        return INTERVAL;
    };
    let interval = or(check.interval, INTERVAL);
    let start_period = or(check.start_period, Duration::ZERO);
    let passed = now.since(record.state.started_at);
    let left = start_period.saturating_sub(passed);
    let starting = record
        .state
        .health
        .as_ref()
        .is_some_and(|health| health.status == STARTING);
    if left.is_zero() {
        interval
    } else if starting {
        // The end of the start period is no later than the first probe that counts.
        or(check.start_interval, START_INTERVAL).min(left.max(Duration::from_millis(1)))
    } else {
        interval
    }
}

/// The health after one more result.
fn after(
    before: &Health,
    check: &HealthConfig,
    started: Timestamp,
    result: HealthcheckResult,
) -> Health {
    let mut health = before.clone();
    if result.exit_code == 0 {
        health.failing_streak = 0;
        health.status = HEALTHY.to_owned();
    } else {
        let began = Timestamp::parse(&result.start).unwrap_or(started);
        let forgiven = before.status == STARTING
            && began.since(started) < or(check.start_period, Duration::ZERO);
        if !forgiven {
            let retries = if check.retries > 0 {
                check.retries
            } else {
                RETRIES
            };
            health.failing_streak += 1;
            if health.failing_streak >= retries {
                health.status = UNHEALTHY.to_owned();
            }
        }
    }
    let log = health.log.get_or_insert_default();
    log.push(result);
    let old = log.len().saturating_sub(LOG);
    log.drain(..old);
    health
}

/// How long one probe may take.
pub(super) fn timeout(config: &Config) -> Duration {
    config
        .healthcheck
        .as_ref()
        .map_or(TIMEOUT, |check| or(check.timeout, TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(test: &[&str]) -> Config {
        Config {
            healthcheck: Some(HealthConfig {
                test: Some(test.iter().map(|&word| word.to_owned()).collect()),
                ..HealthConfig::default()
            }),
            ..Config::default()
        }
    }

    #[test]
    fn commands_of_checks() {
        for (test, expected) in [
            (&["NONE"][..], None),
            (&[], None),
            (&["CMD", "a", "b"], Some(vec!["a", "b"])),
            (&["CMD-SHELL", "a b"], Some(vec!["/bin/sh", "-c", "a b"])),
        ] {
            let words = command(&config(test));
            let words = words
                .as_ref()
                .map(|w| w.iter().map(String::as_str).collect());
            assert_eq!(words, expected, "{test:?}");
        }
        assert!(check(&config(&["CMD"])).is_err() && check(&config(&["HTTP", "x"])).is_err());
        assert!(check(&config(&["NONE"])).is_ok() && check(&config(&["CMD", "x"])).is_ok());
    }

    #[test]
    fn what_unhealthy_ones_may_become() {
        let checked = config(&["CMD", "x"]);
        let host = |text: &str, auto_remove| HostConfig {
            on_unhealthy: text.to_owned(),
            auto_remove,
            ..HostConfig::default()
        };
        for (config, text, remove, expected) in [
            (&checked, "", true, Ok("")),
            (&checked, "no", true, Ok("")),
            (&checked, "restart", false, Ok("restart")),
            (&checked, "restart", true, Err("AutoRemove")),
            (&checked, "Restart", false, Err("use one of 'no'")),
            (&Config::default(), "restart", false, Err("no health check")),
        ] {
            let mut host = host(text, remove);
            match (settle(config, &mut host), expected) {
                (Ok(()), Ok(left)) => assert_eq!(host.on_unhealthy, left),
                (Err(fault), Err(word)) => assert!(fault.to_string().contains(word), "{fault}"),
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn failures_count_when_the_start_is_over() {
        let started = Timestamp::parse("2026-08-05T10:00:00Z").expect("a time");
        let result = |second: u32, code| HealthcheckResult {
            start: format!("2026-08-05T10:00:{second:02}Z"),
            exit_code: code,
            ..HealthcheckResult::default()
        };
        let check = HealthConfig {
            start_period: 5_000_000_000,
            retries: 2,
            ..HealthConfig::default()
        };
        let mut health = Health {
            status: STARTING.to_owned(),
            ..Health::default()
        };
        for (second, code, status, streak) in [
            (1, 1, STARTING, 0),
            (4, 1, STARTING, 0),
            (6, 1, STARTING, 1),
            (7, 1, UNHEALTHY, 2),
            (8, 0, HEALTHY, 0),
            (9, -1, HEALTHY, 1),
            (10, 1, UNHEALTHY, 2),
        ] {
            health = after(&health, &check, started, result(second, code));
            assert_eq!(
                (health.status.as_str(), health.failing_streak),
                (status, streak),
                "{second}"
            );
        }
        assert_eq!(health.log.map_or(0, |log| log.len()), LOG);
    }
}
