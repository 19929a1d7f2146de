//! What builds were done: a record of each, and what it told step by step. The last of them outlive the daemon.
//!
//! Below the data root: `build/history/ID.json`, and `ID.log` with the news of its steps, a message a line. A record is
//! there from the beginning: one that says that its build runs, which no daemon knows of, is of a daemon that ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use onggi_api::build::BuildRecord;
use onggi_model::{ContainerId, ErrorKind, Timestamp};
use serde_json::Value;

use super::{BuildOptions, told};
use crate::Engine;
use crate::error::{Error, Result};

/// Builds that are remembered.
const MOST: usize = 100;
/// Bytes of what one build told.
const LOG: usize = 1 << 20;
/// Digits of the id of a build.
const DIGITS: usize = 24;

/// The builds of an engine. Clones are the same.
#[derive(Clone)]
pub(super) struct History {
    root: PathBuf,
    running: Arc<Mutex<BTreeMap<String, Arc<Mutex<Told>>>>>,
}

/// What is known of one.
#[derive(Clone, Default)]
struct Told {
    record: BuildRecord,
    log: Vec<u8>,
    is_cut: bool,
}

/// A build while it is done. Dropped before its end, it was cancelled.
pub(super) struct Recording {
    history: History,
    told: Arc<Mutex<Told>>,
    began: Instant,
}

impl History {
    /// Those below a data root.
    pub(super) fn new(data_root: &Path) -> Self {
        Self {
            root: data_root.join("build").join("history"),
            running: Arc::default(),
        }
    }

    /// A build begins.
    ///
    /// # Errors
    /// When the kernel has no random numbers.
    pub(super) fn begin(&self, options: &BuildOptions) -> Result<Recording> {
        let id = ContainerId::random().map_err(|e| Error::io("name a build", e))?;
        let id: String = id.as_str().chars().take(DIGITS).collect();
        let dockerfile = match options.dockerfile.as_str() {
            "" => "Dockerfile",
            name => name,
        };
        let name = options.tags.first().or(options.remote.as_ref());
        let record = BuildRecord {
            name: name.map_or(dockerfile, String::as_str).to_owned(),
            status: "running".to_owned(),
            dockerfile: dockerfile.to_owned(),
            target: options.target.clone().unwrap_or_default(),
            platform: options.platform.clone().unwrap_or_default(),
            tags: Some(options.tags.clone()),
            created_at: Timestamp::now().to_string(),
            id: id.clone(),
            ..BuildRecord::default()
        };
        let told = Arc::new(Mutex::new(Told {
            record,
            ..Told::default()
        }));
        self.running().insert(id, told.clone());
        let (history, begun) = (self.clone(), told.clone());
        onggi_rt::spawn_blocking("note a build", move || history.note(&begun));
        Ok(Recording {
            history: self.clone(),
            told,
            began: Instant::now(),
        })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Mutex<Told>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All, the newest first. Blocks.
    fn all(&self) -> Result<Vec<BuildRecord>> {
        let running: Vec<_> = self.running().values().cloned().collect();
        let mut all: Vec<_> = running
            .iter()
            .map(|told| locked(told).record.clone())
            .collect();
        for (_, path) in self.files()? {
            // One that goes meanwhile, or was cut off by a full disk, is none.
            let is_new = |record: &BuildRecord| all.iter().all(|other| other.id != record.id);
            let record = self.read(&path).filter(is_new);
            all.extend(record);
        }
        all.sort_by(|one, other| other.created_at.cmp(&one.created_at));
        Ok(all)
    }

    /// The record in a file.
    fn read(&self, path: &Path) -> Option<BuildRecord> {
        let read = || -> Option<BuildRecord> { serde_json::from_slice(&fs::read(path).ok()?).ok() };
        let record = read()?;
        let running = |record: &BuildRecord| record.status == "running";
        if !running(&record) || self.running().contains_key(&record.id) {
            return Some(record);
        }
        // It may have ended since it was read.
        let mut record = read()?;
        if running(&record) {
            "error".clone_into(&mut record.status);
            "interrupted: the daemon ended before the build did".clone_into(&mut record.error);
        }
        Some(record)
    }

    /// Writes down that a build runs, if it still does. Blocks.
    fn note(&self, told: &Mutex<Told>) {
        // Whoever ends it waits for this.
        let told = locked(told);
        if told.record.completed_at.is_none()
            && let Err(error) = self.write(&told.record)
        {
            tracing::warn!(%error, "a build is not on record");
        }
    }

    /// The files of records, with their times.
    fn files(&self) -> Result<Vec<(SystemTime, PathBuf)>> {
        let failed = |error| Error::io("look at the history of builds", error);
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|kind| kind == "json")
                && let Ok(time) = fs::metadata(&path).and_then(|status| status.modified())
            {
                files.push((time, path));
            }
        }
        files.sort();
        Ok(files)
    }

    /// The one whose id begins so.
    fn find(&self, id: &str) -> Result<BuildRecord> {
        let unknown = || Error::new(ErrorKind::NotFound, format!("no such build: {id}"));
        let all = self.all()?;
        let mut fits = all.into_iter().filter(|record| record.id.starts_with(id));
        match (fits.next(), fits.next()) {
            _ if id.is_empty() => Err(unknown()),
            (None, _) => Err(unknown()),
            (Some(record), None) => Ok(record),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "several builds have an id that begins with {id}"
            ))),
        }
    }

    fn file(&self, id: &str, kind: &str) -> PathBuf {
        self.root.join(format!("{id}.{kind}"))
    }

    /// Writes one down, and forgets the oldest beyond [`MOST`]. Blocks.
    fn keep(&self, told: &Told) -> std::io::Result<()> {
        // The record last: with it the build is there.
        self.write_file(&told.record.id, "log", &told.log)?;
        self.write(&told.record)?;
        let files = self.files().unwrap_or_default();
        let over = files.len().saturating_sub(MOST);
        for (_, path) in files.into_iter().take(over) {
            remove(&path)?;
        }
        Ok(())
    }

    fn write(&self, record: &BuildRecord) -> std::io::Result<()> {
        self.write_file(&record.id, "json", &serde_json::to_vec(record)?)
    }

    fn write_file(&self, id: &str, kind: &str, bytes: &[u8]) -> std::io::Result<()> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        let mut directory = fs::DirBuilder::new();
        directory.recursive(true).mode(0o700).create(&self.root)?;
        let new = self.file(id, "new");
        let mut options = fs::File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = std::io::Write::write_all(&mut options.open(&new)?, bytes)
            .and_then(|()| fs::rename(&new, self.file(id, kind)));
        written.inspect_err(|_| drop(fs::remove_file(&new)))
    }
}

/// Removes a record and what belongs to it.
fn remove(record: &Path) -> std::io::Result<()> {
    match fs::remove_file(record.with_extension("log")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(record)
}

fn locked(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recording {
    /// The steps begin: so many.
    pub(super) fn begin_steps(&self, count: usize) {
        let record = &mut locked(&self.told).record;
        record.total_steps = i64::try_from(count).unwrap_or(i64::MAX);
        (record.completed_steps, record.cached_steps) = (0, 0);
    }

    /// News of a step, as clients are told.
    pub(super) fn event(&self, news: &Value) {
        let mut told = locked(&self.told);
        let vertex = &news["vertex"];
        let is_step = vertex["n"]
            .as_u64()
            .is_some_and(|number| number < told::ASIDE);
        if is_step && vertex["completed"].is_string() && vertex["error"].is_null() {
            told.record.completed_steps += 1;
            told.record.cached_steps += i64::from(vertex["cached"] == true);
        }
        let is_output = !news["log"].is_null();
        if is_output && told.is_cut {
            return;
        }
        let mut news = news.clone();
        if is_output && told.log.len() >= LOG {
            told.is_cut = true;
            news["log"]["data"] = "[what follows was not kept]\n".into();
        }
        if is_output {
            news["log"]["time"] = Timestamp::now().to_string().into();
        }
        // Strings and numbers alone: there is nothing to fail.
        let line = serde_json::to_vec(&told::message(news)).unwrap_or_default();
        told.log.extend(line);
        told.log.push(b'\n');
    }

    /// It is over: the image's id, or why there is none.
    pub(super) async fn end(&self, built: std::result::Result<&str, String>) {
        {
            let record = &mut locked(&self.told).record;
            match built {
                Ok(id) => {
                    "completed".clone_into(&mut record.status);
                    id.clone_into(&mut record.image);
                }
                Err(error) => {
                    "error".clone_into(&mut record.status);
                    record.error = error;
                }
            }
        }
        let keep = self.settle();
        let _ = onggi_rt::blocking("write down a build", keep).await;
    }

    /// What is to be done at the end, off the threads that serve.
    fn settle(&self) -> impl FnOnce() + Send + use<> {
        let (history, told) = (self.history.clone(), self.told.clone());
        {
            let record = &mut locked(&told).record;
            if record.status == "running" {
                "canceled".clone_into(&mut record.status);
            }
            record.completed_at = Some(Timestamp::now().to_string());
            let nanoseconds = self.began.elapsed().as_nanos();
            record.duration = i64::try_from(nanoseconds).unwrap_or(i64::MAX);
        }
        move || {
            let told = locked(&told).clone();
            if let Err(error) = history.keep(&told) {
                tracing::warn!(%error, "a build is not on record");
            }
            history.running().remove(&told.record.id);
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if locked(&self.told).record.completed_at.is_some() {
            return;
        }
        let keep = self.settle();
        onggi_rt::spawn("write down a build", async move {
            let _ = onggi_rt::blocking("write down a build", keep).await;
        });
    }
}

impl Engine {
    /// The builds that were done, or are, the newest first.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn build_history(&self) -> Result<Vec<BuildRecord>> {
        let history = self.inner.builds.history.clone();
        onggi_rt::blocking("read the history of builds", move || history.all()).await?
    }

    /// One of them, by its id or the beginning of that.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` where several begin so.
    pub async fn build_record(&self, id: &str) -> Result<BuildRecord> {
        let (history, id) = (self.inner.builds.history.clone(), id.to_owned());
        onggi_rt::blocking("read the history of builds", move || history.find(&id)).await?
    }

    /// What it told step by step, a message a line.
    ///
    /// # Errors
    /// As [`Engine::build_record`].
    pub async fn build_log(&self, id: &str) -> Result<Bytes> {
        let (history, id) = (self.inner.builds.history.clone(), id.to_owned());
        let read = move || {
            let id = history.find(&id)?.id;
            let running = history.running().get(&id).cloned();
            match running {
                Some(told) => Ok(Bytes::from(locked(&told).log.clone())),
                None => match fs::read(history.file(&id, "log")) {
                    // One that was interrupted left none.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Bytes::new()),
                    read => read
                        .map(Bytes::from)
                        .map_err(|e| Error::io("read what a build told", e)),
                },
            }
        };
        onggi_rt::blocking("read what a build told", read).await?
    }

    /// Forgets one; its id.
    ///
    /// # Errors
    /// As [`Engine::build_record`]; `Conflict` while it runs.
    pub async fn build_forget(&self, id: &str) -> Result<String> {
        let (history, id) = (self.inner.builds.history.clone(), id.to_owned());
        let forget = move || {
            let id = history.find(&id)?.id;
            if history.running().contains_key(&id) {
                let text = format!("build {id} is still running");
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            remove(&history.file(&id, "json")).map_err(|e| Error::io("forget a build", e))?;
            Ok(id)
        };
        onggi_rt::blocking("forget a build", forget).await?
    }
}
