//! Commands on containers that exist: `start`, `state`, `kill`, `delete`, `list`, `ps`, `pause`, `resume`.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use onggi_model::Signal;
use onggi_oci::runtime::Status;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use super::create::only_id;
use super::store::{Place, Record};
use super::{Call, Failure, Outcome};
use crate::Running;

/// How long `delete --force` waits for a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(10);

fn load(call: &Call) -> Result<(Place, Record), Failure> {
    let place = Place::new(&call.root, only_id(call)?)?;
    let record = place.load()?;
    Ok((place, record))
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::io("standard output"))
}

pub(super) fn start(call: &Call) -> Outcome {
    let (place, record) = load(call)?;
    match place.status(&record) {
        Status::Created => {
            let running = Running::adopt(record.pid, record.group()?)?;
            open_gate(&place, &running).map(|()| 0)
        }
        Status::Stopped => Err(Failure::Text(
            "cannot start a container that has stopped".to_owned(),
        )),
        _ => Err(Failure::Text(
            "cannot start an already running container".to_owned(),
        )),
    }
}

/// Opens the start pipe: the process behind it executes its program. Gives up when that process ends.
pub(super) fn open_gate(place: &Place, running: &Running) -> Result<(), Failure> {
    let path = place.fifo();
    let pipe = rustix::fs::open(
        &path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| Failure::io(path.display())(error.into()))?;
    loop {
        let mut fds = [
            PollFd::new(&pipe, PollFlags::IN),
            PollFd::new(&running.pidfd, PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))
            .map_err(|error| Failure::io("poll")(error.into()))?;
        let ended = fds[1].revents().contains(PollFlags::IN);
        let mut byte = [0; 1];
        match rustix::io::read(&pipe, &mut byte) {
            Ok(1) => break,
            _ if ended => {
                return Err(Failure::Text(
                    "the container's process has ended before it was started".to_owned(),
                ));
            }
            // Readable without a byte: the other end is between opening and writing.
            _ => std::thread::yield_now(),
        }
    }
    std::fs::remove_file(&path).map_err(Failure::io(path.display()))
}

pub(super) fn state(call: &Call) -> Outcome {
    let (place, record) = load(call)?;
    let state = record.state(place.status(&record));
    let mut document =
        serde_json::to_value(state).map_err(|error| Failure::Text(error.to_string()))?;
    // What runc adds to the specification's document, and others have come to read.
    if let Some(fields) = document.as_object_mut() {
        fields.insert("rootfs".to_owned(), record.rootfs.into());
        fields.insert("created".to_owned(), record.created.into());
        fields.insert("owner".to_owned(), "".into());
    }
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::Text(error.to_string()))?;
    print(&text)?;
    Ok(0)
}

pub(super) fn kill(call: &Call) -> Outcome {
    let (id, signal) = match &call.given.words[..] {
        [id] => (id, "SIGTERM"),
        [id, signal] => (id, signal.as_str()),
        _ => {
            return Err(Failure::Text(
                "kill takes a container id and a signal".to_owned(),
            ));
        }
    };
    let place = Place::new(&call.root, id)?;
    let record = place.load()?;
    let signal = Signal::parse(signal)
        .map_err(|error| Failure::Text(error.to_string()))?
        .number();
    if call.given.on("all") {
        let group = record.group()?;
        for pid in group
            .pids()
            .map_err(|error| Failure::Text(onggi_model::chain(&error)))?
        {
            if let Ok(pid) = i32::try_from(pid) {
                // It may have ended since.
                let _ = onggi_sys::signal::kill(pid, signal);
            }
        }
        return Ok(0);
    }
    let not_running = || Failure::Text("container not running".to_owned());
    let pidfd = onggi_sys::process::pidfd(record.pid).map_err(|_| not_running())?;
    // The descriptor is of this process for ever; that it is the right one is checked after it was opened.
    if !record.alive() {
        return Err(not_running());
    }
    onggi_sys::signal::send(pidfd.as_fd(), signal).map_err(|_| not_running())?;
    if signal == 9 {
        // A suspended process does not die before it runs on.
        if let Ok(group) = record.group()
            && group.is_frozen().unwrap_or(false)
        {
            let _ = group.thaw();
        }
    }
    Ok(0)
}

pub(super) fn delete(call: &Call) -> Outcome {
    let place = Place::new(&call.root, only_id(call)?)?;
    let force = call.given.on("force");
    let record = match place.load() {
        Ok(record) => record,
        // What an interrupted create left behind; and nothing at all is what a forced delete wants.
        Err(_) if force => return place.remove().map(|()| 0),
        Err(failure) if !place.exists() => return Err(failure),
        Err(failure) => return Err(failure),
    };
    match place.status(&record) {
        Status::Stopped => {}
        Status::Created => end(&record)?,
        _ if force => end(&record)?,
        status => {
            return Err(Failure::Text(format!(
                "cannot delete container {} that is not stopped: {}",
                record.id,
                serde_json::to_value(status)
                    .ok()
                    .and_then(|v| v.as_str().map(str::to_owned))
                    .unwrap_or_default()
            )));
        }
    }
    if let Ok(group) = record.group() {
        let _ = group.kill();
        group
            .remove()
            .map_err(|error| Failure::Text(onggi_model::chain(&error)))?;
    }
    place.remove()?;
    Ok(0)
}

/// Kills the first process and waits for its end.
fn end(record: &Record) -> Result<(), Failure> {
    let Ok(pidfd) = onggi_sys::process::pidfd(record.pid) else {
        return Ok(());
    };
    if !record.alive() {
        return Ok(());
    }
    if let Ok(group) = record.group() {
        let _ = group.kill();
        let _ = group.thaw();
    }
    let _ = onggi_sys::signal::send(pidfd.as_fd(), 9);
    let end = Instant::now() + KILL_LIMIT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&limit)) {
            Ok(0) => {
                return Err(Failure::Text(format!(
                    "the process of container {} does not end",
                    record.id
                )));
            }
            Err(rustix::io::Errno::INTR) => {}
            _ => return Ok(()),
        }
    }
}

pub(super) fn list(call: &Call) -> Outcome {
    let mut rows = Vec::new();
    let entries = match std::fs::read_dir(&call.root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return finish_list(call, &rows);
        }
        Err(error) => return Err(Failure::io(call.root.display())(error)),
    };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let Ok(place) = Place::new(&call.root, &name) else {
            continue;
        };
        // One being made or deleted at this moment has no state.
        if let Ok(record) = place.load() {
            let status = place.status(&record);
            rows.push((record, status));
        }
    }
    rows.sort_by(|a, b| a.0.id.cmp(&b.0.id));
    finish_list(call, &rows)
}

fn finish_list(call: &Call, rows: &[(Record, Status)]) -> Outcome {
    if call.given.on("quiet") {
        for (record, _) in rows {
            print(&record.id)?;
        }
        return Ok(0);
    }
    match call.given.value("format") {
        None | Some("table") => {
            print("ID\tPID\tSTATUS\tBUNDLE\tCREATED")?;
            for (record, status) in rows {
                let state = record.state(*status);
                let status = serde_json::to_value(status).unwrap_or_default();
                print(&format!(
                    "{}\t{}\t{}\t{}\t{}",
                    record.id,
                    state.pid.unwrap_or_default(),
                    status.as_str().unwrap_or_default(),
                    record.bundle,
                    record.created
                ))?;
            }
        }
        Some("json") => {
            let states: Vec<_> = rows
                .iter()
                .map(|(record, status)| record.state(*status))
                .collect();
            let text =
                serde_json::to_string(&states).map_err(|error| Failure::Text(error.to_string()))?;
            print(&text)?;
        }
        Some(other) => return Err(Failure::Text(format!("invalid format {other:?}"))),
    }
    Ok(0)
}

pub(super) fn ps(call: &Call) -> Outcome {
    let (_, record) = load(call)?;
    if !matches!(call.given.value("format"), None | Some("json")) {
        return Err(Failure::Text("the only format is json".to_owned()));
    }
    let pids = record
        .group()?
        .pids()
        .map_err(|error| Failure::Text(onggi_model::chain(&error)))?;
    let text = serde_json::to_string(&pids).map_err(|error| Failure::Text(error.to_string()))?;
    print(&text)?;
    Ok(0)
}

pub(super) fn pause(call: &Call) -> Outcome {
    let (place, record) = load(call)?;
    if !matches!(place.status(&record), Status::Running | Status::Created) {
        return Err(Failure::Text("container not running".to_owned()));
    }
    record
        .group()?
        .freeze()
        .map_err(|error| Failure::Text(onggi_model::chain(&error)))?;
    Ok(0)
}

pub(super) fn resume(call: &Call) -> Outcome {
    let (place, record) = load(call)?;
    if place.status(&record) != Status::Paused {
        return Err(Failure::Text("container not paused".to_owned()));
    }
    record
        .group()?
        .thaw()
        .map_err(|error| Failure::Text(onggi_model::chain(&error)))?;
    Ok(0)
}
