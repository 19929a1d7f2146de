//! The result of a build out of the daemon: archives as `save` makes them, and the files of the image by way of a
//! container that never runs. Whatever is made on the way is noted in [`Leftovers`], and goes.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use onggi_api::container::{Config, CreateRequest};
use onggi_archive::{ApplyOptions, Conflicts, Entry, Kind, Owner, TarReader, TarWriter, apply_at};
use onggi_client::container::{Create, Remove};
use onggi_client::{Client, Response, Version};
use tokio::sync::mpsc;

use super::output::Output;
use super::tree::sent;
use crate::container::cp::from::Coming;
use crate::error::{Error, Result, path_error};
use crate::stream::archive;

/// Pieces on their way to the disk.
const QUEUE: usize = 8;
/// The first version whose archives are layouts of OCI as well.
const OCI: Version = Version(1, 44);

/// What must not stay when the command ends, however it does.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    container: Option<String>,
    image: Option<String>,
    partial: Option<String>,
}

impl Leftovers {
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The image is only on its way to a file: it goes if nothing names it.
    pub(super) fn image(&self, id: &str) {
        self.lock().image = Some(id.to_owned());
    }

    /// Removes what is left. What cannot be removed is told by the daemon's own lists.
    pub(super) async fn clean(&self, client: &Client) {
        let left = std::mem::take(&mut *self.lock());
        if let Some(container) = left.container {
            let remove = Remove {
                force: true,
                volumes: true,
                ..Remove::default()
            };
            let _ = client.container_remove(&container, remove).await;
        }
        if let Some(partial) = left.partial {
            let _ = std::fs::remove_file(partial);
        }
        if let Some(image) = left.image
            && let Ok(found) = client.image_inspect(&image, "").await
            && found["RepoTags"].as_array().is_none_or(Vec::is_empty)
        {
            let remove = onggi_client::image::Remove {
                // What it is made of is the cache of the next build.
                no_prune: true,
                ..onggi_client::image::Remove::default()
            };
            let _ = client.image_remove(&image, &remove).await;
        }
    }
}

/// Writes an image to where `output` says.
///
/// # Errors
/// What the daemon or the disk says.
pub(super) async fn export(
    client: &Client,
    output: &Output,
    id: &str,
    names: &[String],
    leftovers: &Leftovers,
) -> Result<()> {
    let saved = || async {
        let names = match names.is_empty() {
            true => vec![id.to_owned()],
            false => names.to_vec(),
        };
        client.image_save(&names, "").await.map_err(Error::from)
    };
    match output {
        Output::Image { .. } => Ok(()),
        Output::Archive {
            destination,
            is_oci,
        } => {
            if *is_oci {
                knows_oci(client).await?;
            }
            let destination = if destination == "-" { "" } else { destination };
            leftovers.lock().partial = partial(destination);
            archive::write(saved().await?, destination).await
        }
        Output::Layout(directory) => {
            knows_oci(client).await?;
            let directory = directory.clone();
            make(&directory)?;
            piped(saved().await?, move |tar| unpack(tar, &directory)).await
        }
        Output::Local(directory) => {
            let directory = directory.clone();
            make(&directory)?;
            let (created, response) = files(client, id, leftovers).await?;
            piped(response, move |tar| {
                let (reader, writer) = io::pipe()?;
                std::thread::scope(|scope| {
                    let filter =
                        scope.spawn(move || own_files(BufReader::new(tar), writer, created));
                    let unpacked = unpack(reader, &directory);
                    let filtered = filter.join();
                    // A filter fails where nobody takes any more; then the reason is with whom it was for.
                    unpacked?;
                    filtered.map_err(|_| Error::new("the thread that filters panicked"))?
                })
            })
            .await
        }
        Output::Tar(destination) => {
            let (created, response) = files(client, id, leftovers).await?;
            if destination == "-" {
                return piped(response, move |tar| {
                    own_files(BufReader::new(tar), io::stdout(), created)
                })
                .await;
            }
            let destination = destination.clone();
            let partial = partial(&destination).unwrap_or_default();
            leftovers.lock().partial = Some(partial.clone());
            piped(response, move |tar| {
                let failed = |error: io::Error| path_error("write", &destination, &error);
                let file = std::fs::File::create(&partial).map_err(failed)?;
                own_files(BufReader::new(tar), file, created)?;
                std::fs::rename(&partial, &destination).map_err(failed)
            })
            .await
        }
    }
}

/// What a file is called until it is whole.
fn partial(destination: &str) -> Option<String> {
    let is_file = !matches!(destination, "" | "-");
    is_file.then(|| format!("{destination}.onggi-{}", std::process::id()))
}

async fn knows_oci(client: &Client) -> Result<()> {
    match client.version().await? >= OCI {
        true => Ok(()),
        false => Err(Error::new(
            "type=oci needs a daemon whose archives are layouts of OCI (API 1.44 or newer): use type=docker with this one",
        )),
    }
}

fn make(directory: &str) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| path_error("mkdir", directory, &error))
}

fn unpack(tar: impl Read, directory: &str) -> Result<()> {
    let options = ApplyOptions::copy(Conflicts::Replace, Owner::Process);
    apply_at(tar, Path::new(directory), &options)
        .map(drop)
        .map_err(sent)
}

/// The files of an image, and the second in which the container was made that shows them.
async fn files(client: &Client, id: &str, leftovers: &Leftovers) -> Result<(i64, Response)> {
    let request = CreateRequest {
        config: Config {
            image: id.to_owned(),
            // It never runs, and some images have no command.
            cmd: Some(vec!["/".to_owned()]),
            ..Config::default()
        },
        ..CreateRequest::default()
    };
    let create = Create {
        request,
        ..Create::default()
    };
    let made = client.container_create(&create).await?;
    leftovers.lock().container = Some(made.id.clone());
    let found = client.container_inspect(&made.id, false).await?;
    let created = found["Created"]
        .as_str()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let created = created.map_or(i64::MAX, jiff::Timestamp::as_second);
    Ok((created, client.container_export(&made.id).await?))
}

/// Gives an answer to a thread that reads it.
async fn piped(
    mut response: Response,
    work: impl FnOnce(Coming) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (pieces, coming) = mpsc::channel(QUEUE);
    let thread = std::thread::spawn(move || work(Coming::new(coming)));
    let mut broken = None;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if pieces.send(chunk).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                broken = Some(Error::from(error));
                break;
            }
        }
    }
    drop(pieces);
    let done = thread
        .join()
        .map_err(|_| Error::new("the thread that writes panicked"))?;
    broken.map_or(done, Err)
}

/// Copies a tar of a container without what every container has and its image has not: mount points, `.dockerenv` and
/// files for names. They are empty and were made with the container, in second `created` or later.
fn own_files(tar: impl BufRead, sink: impl Write, created: i64) -> Result<()> {
    let mut reader = TarReader::new(tar);
    let mut writer = TarWriter::new(BufWriter::with_capacity(128 << 10, sink));
    // Directories that only what is left out was made in.
    let mut held: Vec<Entry> = Vec::new();
    while let Some(entry) = reader.next().map_err(sent)? {
        match furniture(&entry, created) {
            Furniture::Thing => continue,
            Furniture::Room => {
                held.push(entry);
                continue;
            }
            Furniture::None => {}
        }
        let inside =
            |room: &Entry| name(&entry.path).starts_with(&[name(&room.path), b"/"].concat());
        for room in held.extract_if(.., |room| inside(room)) {
            writer.header(&room).map_err(sent)?;
        }
        match entry.size {
            0 => writer.header(&entry).map_err(sent)?,
            _ => {
                let data = super::body::Data(&mut reader);
                // As long as it says: the reader holds the daemon to that.
                let _ = writer.file(&entry, data).map_err(sent)?;
            }
        }
    }
    let mut sink = writer.finish().map_err(sent)?;
    sink.flush().map_err(Error::from)
}

enum Furniture {
    None,
    Thing,
    /// A directory that may have been made for things alone.
    Room,
}

fn furniture(entry: &Entry, created: i64) -> Furniture {
    if entry.mtime.seconds < created || entry.size > 0 {
        return Furniture::None;
    }
    match (entry.kind, name(&entry.path)) {
        (
            Kind::File,
            b".dockerenv" | b"dev/console" | b"etc/hosts" | b"etc/hostname" | b"etc/resolv.conf",
        )
        | (Kind::Directory, b"dev/pts" | b"dev/shm" | b"proc" | b"sys") => Furniture::Thing,
        (Kind::Symlink, b"etc/mtab") => Furniture::Thing,
        (Kind::Directory, b"dev" | b"etc") => Furniture::Room,
        _ => Furniture::None,
    }
}

/// Without slashes around it.
fn name(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind, second: i64) -> Entry {
        let mut entry = Entry::new(path, kind, 0o755);
        entry.mtime.seconds = second;
        entry
    }

    #[test]
    fn what_every_container_has_stays_behind() {
        let mut tar = TarWriter::new(Vec::new());
        for (path, kind, second) in [
            (".dockerenv", Kind::File, 100),
            ("dev/", Kind::Directory, 100),
            ("dev/console", Kind::File, 100),
            ("dev/pts/", Kind::Directory, 100),
            ("etc/", Kind::Directory, 101),
            ("etc/hosts", Kind::File, 50),
            ("etc/hostname", Kind::File, 100),
            ("etc/mtab", Kind::Symlink, 100),
            ("proc/", Kind::Directory, 100),
            ("sys/", Kind::Directory, 99),
            ("usr/", Kind::Directory, 200),
        ] {
            tar.header(&entry(path, kind, second)).expect("an entry");
        }
        let tar = tar.finish().expect("a tar");
        let mut out = Vec::new();
        own_files(&tar[..], &mut out, 100).expect("a tar");
        let mut reader = TarReader::new(&out[..]);
        let mut names = Vec::new();
        while let Some(entry) = reader.next().expect("an entry") {
            names.push(String::from_utf8_lossy(&entry.path).into_owned());
        }
        assert_eq!(names, ["etc/", "etc/hosts", "sys/", "usr/"]);
    }
}
