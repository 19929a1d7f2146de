//! Into a container: a tar from standard input, or of what is here.

use std::io::{self, Write};
use std::os::fd::AsFd as _;

use bytes::Bytes;
use onggi_api::container::file_mode;
use onggi_archive::{PackOptions, pack_one};
use onggi_client::Client;
use tokio::sync::mpsc;

use super::progress::Counter;
use super::{Copy, Side, paths, plan};
use crate::Cli;
use crate::error::{Error, Result, path_error};
use crate::stream::stdin;

/// Pieces on their way to the daemon.
const QUEUE: usize = 8;

pub(super) fn copy(cli: &mut Cli, copy: &Copy) -> Result<u8> {
    let source = match copy.source.as_str() {
        "-" => "-".to_owned(),
        path => paths::absolute(path)?,
    };
    let client = cli.client()?;
    let counter = Counter::default();
    let destination = cli.block_on(async {
        let destination = look(&client, copy).await?;
        let (directory, tar, packing) = match source.as_str() {
            "-" if !destination.directory => {
                return Err(Error::new(format!(
                    "destination \"{}:{}\" must be a directory",
                    copy.container, copy.destination
                )));
            }
            "-" => (destination.path.clone(), stdin::body(io::stdin()), None),
            source => {
                let source = paths::source(source, copy.follow)?;
                let (directory, name) = plan(&source, &destination)?;
                let (tar, packing) = pack(&source, name, &counter)?;
                (directory, tar, Some(packing))
            }
        };
        let sent = client.container_extract(&copy.container, &directory, copy.archive, tar);
        let sent = counter.shown(copy.quiet, "Copying to container - ", sent);
        let sent = sent.await;
        let packed = packing.map_or(Ok(Ok(())), std::thread::JoinHandle::join);
        match (sent, packed) {
            (Ok(()), Ok(Ok(()))) => Ok(destination),
            // A daemon that refuses stops reading; what it says is the reason.
            (Err(error @ onggi_client::Error::Daemon { .. }), _) => Err(error.into()),
            (_, Ok(Err(error))) => Err(Error::new(onggi_model::chain(&error))),
            (_, Err(_)) => Err(Error::new("the thread that packs panicked")),
            (Err(error), Ok(Ok(()))) => Err(error.into()),
        }
    })??;
    if !copy.quiet {
        let (size, container) = (counter.size(), &copy.container);
        cli.complain(&format!(
            "Successfully copied {size} to {container}:{}",
            destination.path
        ))?;
    }
    Ok(0)
}

/// What is at the destination; a link there is followed. What cannot be looked at counts as not there: its parent
/// may be.
async fn look(client: &Client, copy: &Copy) -> Result<Side> {
    let mut side = Side {
        path: copy.destination.clone(),
        ..Side::default()
    };
    let stat =
        |path: String| async move { client.container_path_stat(&copy.container, &path).await };
    let mut found = stat(side.path.clone()).await;
    if let Ok(stat_of) = &found
        && stat_of.is_symlink()
    {
        side.path = paths::beside(&side.path, &stat_of.link_target);
        found = stat(side.path.clone()).await;
    }
    if let Ok(found) = found {
        let what = match found.mode {
            mode if mode & file_mode::DEVICE != 0 => Some("got a device"),
            mode if mode & file_mode::IRREGULAR != 0 => Some("got an irregular file"),
            _ => None,
        };
        if let Some(what) = what {
            return Err(Error::new(format!(
                "destination \"{}:{}\" must be a directory or a regular file: {what}",
                copy.container, copy.destination
            )));
        }
        (side.exists, side.directory) = (true, found.is_directory());
    }
    Ok(side)
}

type Packing = std::thread::JoinHandle<std::result::Result<(), onggi_archive::Error>>;

/// Begins to pack a source; under `name` where it is not to keep its own.
fn pack(
    source: &Side,
    name: Option<String>,
    counter: &Counter,
) -> Result<(mpsc::Receiver<io::Result<Bytes>>, Packing)> {
    let (parent, own) = paths::split_entry(&source.path);
    let directory =
        std::fs::File::open(&parent).map_err(|error| path_error("open", &parent, &error))?;
    let name = name.or_else(|| source.rebase.clone());
    let options = PackOptions {
        prefix: name.unwrap_or_else(|| own.clone()).into_bytes(),
        ..PackOptions::default()
    };
    let (pieces, coming) = mpsc::channel(QUEUE);
    let mut sink = Sink {
        pieces,
        counter: counter.clone(),
    };
    let packing = std::thread::spawn(move || {
        let packed = pack_one(directory.as_fd(), own.as_bytes(), &mut sink, &options);
        if packed.is_err() {
            // The request must not end as if all was there. A daemon that is gone needs not to hear it.
            let broken = io::Error::other("the source could not be read");
            let _ = sink.pieces.blocking_send(Err(broken));
        }
        packed.map(drop)
    });
    Ok((coming, packing))
}

/// Writes into the body of the request.
struct Sink {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    counter: Counter,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.counter.add(bytes.len());
        match self.pieces.blocking_send(Ok(Bytes::copy_from_slice(bytes))) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
