//! Contexts that are elsewhere: a repository, an archive on the web, or a Dockerfile there that needs no context.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use onggi_archive::{ApplyOptions, Conflicts, Owner};
use onggi_registry::Client;

use super::{Error, git, git_source, open, web};
use crate::files::{PartReader, Tree, is_archive, unpack};
use crate::plan::AddOptions;

/// The longest Dockerfile.
const LONGEST: u64 = 16 << 20;

/// Fetches a context into the directory `into`, which is empty. What is on the web and no archive is a Dockerfile.
///
/// # Errors
/// What cannot be had, and files that are neither.
pub async fn context(client: &Client, address: &str, into: &Path) -> Result<Tree, Error> {
    let options = AddOptions {
        checksum: None,
        keep_git_dir: false,
        unpack: None,
    };
    let place = into.join("context");
    let made = fs::DirBuilder::new().mode(0o755).create(&place);
    made.map_err(Error::io("mkdir", "context"))?;
    if let Some(repository) = git_source::parse_context(address)? {
        return git::fetch(&repository, &options, &place).await;
    }
    let name = web::fetch(client, address, &options, into).await?;
    let (file, address) = (into.join(name), address.to_owned());
    let unpacked = onggi_rt::blocking("unpack a context from the web", move || {
        unpacked(&file, &place, &address)
    });
    let failed = |error: onggi_rt::Error| Error::Wrong(error.to_string());
    unpacked.await.map_err(failed)?
}

fn unpacked(path: &Path, place: &Path, address: &str) -> Result<Tree, Error> {
    let refused = || Error::io("read", address);
    let file = File::open(path).map_err(refused())?;
    let root = open(place)?;
    let name = address.as_bytes();
    let wrong = |fault: crate::files::Error| Error::Wrong(onggi_model::chain(&fault));
    let bytes = || PartReader::all(&file);
    if is_archive(bytes()) {
        let options = ApplyOptions::copy(Conflicts::Replace, Owner::Archive);
        unpack(bytes(), name, root.as_fd(), b"", &options).map_err(wrong)?;
    } else {
        let is_short = file.metadata().map_err(refused())?.len() <= LONGEST;
        let text = match is_short {
            true => fs::read(path).map_err(refused())?,
            false => vec![0],
        };
        if text.contains(&0) || std::str::from_utf8(&text).is_err() {
            return Err(Error::Wrong(format!(
                "unsupported context {address}: it is neither an archive nor a Dockerfile"
            )));
        }
        fs::write(place.join("Dockerfile"), text).map_err(Error::io("write", "Dockerfile"))?;
    }
    fs::remove_file(path).map_err(refused())?;
    Ok(Tree::new(root, "context"))
}
