//! Why a container does not end or its monitor does not answer: what the kernel shows of both.
//!
//! Not here: how long anybody waits (`task`, `stop`, `start`).

use std::sync::Arc;

use onggi_sys::process;

use super::{Container, Record};
use crate::Engine;
use crate::error::Error;

impl Engine {
    /// The error, with what stands in the way where that can be seen.
    pub(crate) async fn with_reason(&self, container: &Arc<Container>, fault: Error) -> Error {
        let record = container.record();
        if record.state.pid == 0 {
            return fault;
        }
        let pids = self.with_group(&record, |group| group.pids()).await;
        let found = onggi_rt::blocking("look at a container's processes", move || {
            monitor(&record).or_else(|| stuck(&pids.unwrap_or_default()))
        });
        match found.await {
            Ok(Some(reason)) => fault.because(reason),
            Ok(None) | Err(_) => fault,
        }
    }
}

/// What holds its monitor up, which is the parent of its first process.
fn monitor(record: &Record) -> Option<String> {
    let pid = process::parent(record.state.pid)
        .ok()
        .filter(|pid| *pid > 1)?;
    match process::state(pid).ok()? {
        'T' | 't' => Some(format!(
            "its monitor, process {pid}, is stopped by a signal: \"kill -CONT {pid}\" lets it go on"
        )),
        'D' => Some(format!(
            "its monitor, process {pid}, is stuck in the kernel"
        )),
        _ => None,
    }
}

/// The first of its processes that no signal reaches.
fn stuck(pids: &[u32]) -> Option<String> {
    let stuck = |pid: &&u32| process::state(**pid).is_ok_and(|state| state == 'D');
    let pid = pids.iter().find(stuck)?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!(
        "its process {pid} ({}) is stuck in the kernel, as on a file system or a device that does not answer: it ends \
         when that does",
        name.trim_end()
    ))
}
