//! Out of a container: a tar to standard output, or unpacked here.

use std::io::{self, BufReader, Read, Write};

use bytes::Bytes;
use onggi_archive::{ApplyOptions, Conflicts, Owner, apply_at, rebase};
use onggi_client::{Client, Response};
use tokio::sync::mpsc;

use super::progress::Counter;
use super::{Copy, Side, paths, plan};
use crate::Cli;
use crate::cli::pipe;
use crate::error::{Error, Result};

/// Pieces on their way to the disk.
const QUEUE: usize = 8;

pub(super) fn copy(cli: &mut Cli, copy: &Copy) -> Result<u8> {
    let destination = match copy.destination.as_str() {
        "-" => "-".to_owned(),
        path => paths::absolute(path)?,
    };
    paths::validate_output(&destination)?;
    let client = cli.client()?;
    let counter = Counter::default();
    cli.block_on(async {
        let (source, mut response) = open(&client, copy).await?;
        if destination == "-" {
            let mut stdout = io::stdout();
            while let Some(chunk) = response.chunk().await? {
                stdout.write_all(&chunk).map_err(|error| pipe(&error))?;
            }
            return stdout.flush().map_err(|error| pipe(&error));
        }
        let work = receive(response, &source, &destination, &counter);
        let header = "Copying from container - ";
        counter.shown(copy.quiet, header, work).await
    })??;
    if !copy.quiet && destination != "-" {
        let size = counter.size();
        cli.complain(&format!("Successfully copied {size} to {destination}"))?;
    }
    Ok(0)
}

/// The source, links followed where that is wished, and its tar.
async fn open(client: &Client, copy: &Copy) -> Result<(Side, Response)> {
    let (mut path, mut rebase) = (copy.source.clone(), None);
    if copy.follow
        && let Ok(stat) = client.container_path_stat(&copy.container, &path).await
        && stat.is_symlink()
    {
        (path, rebase) = paths::renamed(&copy.source, paths::beside(&path, &stat.link_target));
    }
    let (stat, response) = client.container_archive(&copy.container, &path).await?;
    let source = Side {
        directory: stat.is_directory(),
        exists: true,
        path,
        rebase,
    };
    Ok((source, response))
}

/// Unpacks the tar. The archive is applied by a thread while the pieces come in.
async fn receive(
    mut response: Response,
    source: &Side,
    destination: &str,
    counter: &Counter,
) -> Result<()> {
    let (directory, name) = plan(source, &paths::destination(destination)?)?;
    let (_, own) = paths::split_entry(&source.path);
    let name = name.or_else(|| source.rebase.clone());
    let names = name.filter(|name| *name != own).map(|name| (own, name));
    let (pieces, coming) = mpsc::channel::<Bytes>(QUEUE);
    let thread = std::thread::spawn(move || unpack(Coming::new(coming), &directory, names));
    let mut broken = None;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                counter.add(chunk.len());
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
    let unpacked = thread
        .join()
        .map_err(|_| Error::new("the thread that unpacks panicked"))?;
    // A tar that broke off is the consequence.
    match broken {
        Some(error) => Err(error),
        None => unpacked.map_err(|error| Error::new(onggi_model::chain(&error))),
    }
}

/// Into `directory`, where everything belongs to this process; with a name changed on the way.
fn unpack(
    tar: Coming,
    directory: &str,
    names: Option<(String, String)>,
) -> std::result::Result<(), onggi_archive::Error> {
    let options = ApplyOptions::copy(Conflicts::Refuse, Owner::Process);
    let directory = std::path::Path::new(directory);
    let Some((old, new)) = names else {
        return apply_at(tar, directory, &options).map(drop);
    };
    let (reader, writer) = io::pipe().map_err(onggi_archive::Error::Read)?;
    std::thread::scope(|scope| {
        let source = BufReader::new(tar);
        let renaming = scope.spawn(move || rebase(source, writer, old.as_bytes(), new.as_bytes()));
        let applied = apply_at(reader, directory, &options).map(drop);
        match (renaming.join(), applied) {
            // It is what could not be written that stopped the writing.
            (Ok(Err(onggi_archive::Error::Write(_))) | Ok(Ok(())), applied) => applied,
            (Ok(Err(error)), _) => Err(error),
            (Err(_), applied) => applied,
        }
    })
}

/// The pieces as something to read.
pub(crate) struct Coming {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Coming {
    pub(crate) fn new(pieces: mpsc::Receiver<Bytes>) -> Coming {
        Coming {
            pieces,
            piece: Bytes::new(),
        }
    }
}

impl Read for Coming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
