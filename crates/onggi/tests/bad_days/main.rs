//! Bad input and bad days: each ends in a clear error with Docker's status, and leaves nothing behind.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod configuration; // what a daemon does not start with
mod containers; // requests that cannot be fulfilled
mod images; // archives that mean harm
mod pulls; // registries that mean harm, full disks

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Response, Subject};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Whether an answer failed with this status and a message that says so.
fn refused(answer: &Response, status: u16, text: &str) -> Result<()> {
    ensure!(
        answer.status == status,
        "{} instead of {status}: {}",
        answer.status,
        answer.text()
    );
    let message = answer.json()?["message"].take();
    let message = message.as_str().unwrap_or_default();
    ensure!(message.contains(text), "{message:?} does not say {text:?}");
    Ok(())
}

/// Whether dockerd 20.10 is the subject, which is known to differ: then says how.
fn differs(how: &str) -> Result<bool> {
    let dockerd = Subject::from_env()? == Subject::Dockerd;
    if dockerd {
        eprintln!("skipped: dockerd {how}");
    }
    Ok(dockerd)
}

/// What a stream of progress says in the end, or the answer says at once, if it failed.
fn failure(answer: &Response) -> Option<String> {
    if answer.status != 200 {
        return Some(answer.json().ok()?["message"].as_str()?.to_owned());
    }
    let text = answer.text();
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut failed =
        messages.filter_map(|message| Some(message.get("error")?.as_str()?.to_owned()));
    failed.next()
}

/// Files of contents and layers below the data root. Only ours are looked at: dockerd keeps its own differently.
fn stored(daemon: &Daemon) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if daemon.subject() == Subject::Onggi {
        for folder in ["blobs", "tmp", "trash"] {
            files(&daemon.data_root().join(folder), &mut found)?;
        }
    }
    Ok(found)
}

fn files(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files(&entry.path(), found)?,
            false => found.push(entry.path().display().to_string()),
        }
    }
    Ok(())
}
