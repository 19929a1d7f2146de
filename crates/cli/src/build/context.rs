//! What is built: a directory, an archive or a Dockerfile from standard input, or what the daemon fetches itself.

use std::io::{self, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use onggi_archive::{Compression, TarReader};
use onggi_dockerfile::ignore::Ignore;

use crate::error::{Error, Result, path_error};

/// Bytes that tell an archive from a Dockerfile: a block of a tar.
const HEAD: u64 = 512;
/// What a Dockerfile may have; the daemon reads it whole.
const MOST: u64 = 16 << 20;

/// Where the context comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// From the daemon's own hands: a repository, an archive or a Dockerfile behind a URL.
    Remote {
        url: String,
        /// The Dockerfile in it; empty for the daemon's choice.
        dockerfile: String,
    },
    /// An archive on standard input.
    Archive { dockerfile: String },
    /// A Dockerfile without a context.
    Dockerfile(Vec<u8>),
    /// A directory here.
    Directory(Directory),
}

impl Source {
    /// What the Dockerfile is called on its way and here, where that is not the same.
    pub(super) fn sent_as(&self) -> Option<(String, String)> {
        let Source::Directory(Directory { dockerfile, .. }) = self else {
            return None;
        };
        dockerfile.text.as_ref()?;
        let here = dockerfile.shown.rsplit('/').next().unwrap_or_default();
        Some((dockerfile.name.clone(), here.to_owned()))
    }
}

/// A directory as context.
#[derive(Debug)]
pub(super) struct Directory {
    /// Without symbolic links in its path.
    pub(super) root: PathBuf,
    pub(super) dockerfile: Dockerfile,
    pub(super) ignore: Ignore,
}

/// The Dockerfile of a directory.
#[derive(Debug)]
pub(super) struct Dockerfile {
    /// Its name in the context.
    pub(super) name: String,
    /// Its path as the user would write it, for messages.
    pub(super) shown: String,
    /// Where its text is to be sent beside the files: it comes from standard input or from elsewhere.
    pub(super) text: Option<Vec<u8>>,
}

/// Standard input, and what was read of it to see what it is.
pub(super) struct Input(io::Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>);

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Input").finish_non_exhaustive()
    }
}

/// Finds out what `place` is, with the Dockerfile `file` names. What is on standard input is given beside it where it is
/// an archive.
///
/// # Errors
/// Docker's texts for what is not there or cannot be.
pub(super) fn find(
    place: &str,
    file: &str,
    stdin: impl FnOnce() -> Box<dyn Read + Send>,
) -> Result<(Source, Option<Input>)> {
    if place == "-" {
        if file == "-" {
            return Err(Error::new(
                "invalid argument: can't use stdin for both build context and dockerfile",
            ));
        }
        return input(stdin(), file).map_err(unprepared);
    }
    let path = Path::new(place);
    if path.exists() {
        let directory = directory(path, file, stdin).map_err(unprepared)?;
        return Ok((Source::Directory(directory), None));
    }
    if is_remote(place) {
        if file == "-" {
            return Err(Error::new(
                "the Dockerfile of a context that the daemon fetches must be in it: clone it, or name the file in it with -f",
            ));
        }
        let remote = Source::Remote {
            url: place.to_owned(),
            dockerfile: file.to_owned(),
        };
        return Ok((remote, None));
    }
    let shown = crate::quote(place);
    Err(unprepared(Error::new(format!("path {shown} not found"))))
}

fn unprepared(error: Error) -> Error {
    Error::new(format!("unable to prepare context: {}", error.message))
}

/// Whether Docker takes this for a URL or a repository.
pub(super) fn is_remote(text: &str) -> bool {
    const SCHEMES: [&str; 6] = [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "github.com/",
    ];
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

fn input(mut stdin: Box<dyn Read + Send>, file: &str) -> Result<(Source, Option<Input>)> {
    let failed =
        |error: io::Error| Error::new(format!("failed to peek context header from STDIN: {error}"));
    let mut head = Vec::new();
    stdin
        .by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(failed)?;
    if is_archive(&head) {
        let archive = Source::Archive {
            dockerfile: file.to_owned(),
        };
        return Ok((archive, Some(Input(Cursor::new(head).chain(stdin)))));
    }
    if !file.is_empty() {
        return Err(Error::new(
            "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
        ));
    }
    stdin.take(MOST).read_to_end(&mut head).map_err(failed)?;
    Ok((Source::Dockerfile(head), None))
}

/// By the first block.
fn is_archive(head: &[u8]) -> bool {
    if Compression::detect(head) != Compression::None {
        return true;
    }
    head.len() as u64 == HEAD
        && TarReader::new(head)
            .next()
            .is_ok_and(|entry| entry.is_some())
        || matches!(head.get(257..262), Some(b"ustar"))
}

fn directory(
    path: &Path,
    file: &str,
    stdin: impl FnOnce() -> Box<dyn Read + Send>,
) -> Result<Directory> {
    let shown = path.display().to_string();
    let root = std::fs::canonicalize(path).map_err(|error| {
        Error::new(format!(
            "unable to evaluate symlinks in context path: {}",
            path_error("lstat", &shown, &error).message
        ))
    })?;
    if !root.is_dir() {
        let root = root.display();
        return Err(Error::new(format!("context must be a directory: {root}")));
    }
    let dockerfile = match file {
        "-" => {
            let mut text = Vec::new();
            stdin().take(MOST).read_to_end(&mut text)?;
            Dockerfile::elsewhere("Dockerfile".to_owned(), text)
        }
        file => dockerfile(&root, file)?,
    };
    with_rules(root, dockerfile)
}

/// The Dockerfile, in the context or not.
fn dockerfile(root: &Path, file: &str) -> Result<Dockerfile> {
    let path = match file {
        "" => {
            let usual = root.join("Dockerfile");
            let small = root.join("dockerfile");
            // A courtesy of Docker's.
            match usual.symlink_metadata().is_err() && small.symlink_metadata().is_ok() {
                true => small,
                false => usual,
            }
        }
        file => std::path::absolute(file).map_err(|error| path_error("lstat", file, &error))?,
    };
    let real = std::fs::canonicalize(&path).map_err(|error| {
        let missing = missing(&path).display().to_string();
        Error::new(format!(
            "unable to evaluate symlinks in Dockerfile path: {}",
            path_error("lstat", &missing, &error).message
        ))
    })?;
    let shown = match file {
        "" => path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string(),
        file => file.to_owned(),
    };
    match real.strip_prefix(root) {
        Ok(inside) => {
            let name = inside.to_str().ok_or_else(|| {
                Error::new(format!(
                    "the name of the Dockerfile is no UTF-8: {}",
                    inside.display()
                ))
            })?;
            Ok(Dockerfile {
                name: name.to_owned(),
                shown,
                text: None,
            })
        }
        Err(_) => {
            let text = std::fs::read(&real)
                .map_err(|error| path_error("open", &real.display().to_string(), &error))?;
            Ok(Dockerfile::elsewhere(shown, text))
        }
    }
}

impl Dockerfile {
    /// One that is no file of the context; its name there is made of what it says, so that the same is sent as the same.
    fn elsewhere(shown: String, text: Vec<u8>) -> Self {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::digest(&text);
        let digits: String = digest[..10]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Dockerfile {
            name: format!(".dockerfile.{digits}"),
            shown,
            text: Some(text),
        }
    }
}

/// The first part of a path that is not there.
fn missing(path: &Path) -> PathBuf {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        so_far.push(part);
        if part != Component::RootDir && so_far.symlink_metadata().is_err() {
            break;
        }
    }
    so_far
}

/// Reads the rules for what stays behind: `<Dockerfile>.dockerignore` before `.dockerignore`. The Dockerfile and the rules
/// go along whatever they say: the daemon needs them, and leaves them out itself.
fn with_rules(root: PathBuf, mut dockerfile: Dockerfile) -> Result<Directory> {
    let own = match &dockerfile.text {
        // Beside the file that is read, where there is one.
        Some(_) if !Path::new(&dockerfile.shown).is_file() => None,
        Some(_) => Some(PathBuf::from(format!("{}.dockerignore", dockerfile.shown))),
        None => Some(root.join(format!("{}.dockerignore", dockerfile.name))),
    };
    let own = match own {
        Some(path) => rules(&path)?,
        None => None,
    };
    let is_own = own.is_some();
    let ignore = match own {
        Some(rules) => rules,
        None => rules(&root.join(".dockerignore"))?.unwrap_or_default(),
    };
    if is_own && dockerfile.text.is_none() && ignore.ignores(&dockerfile.name) {
        // The daemon knows only .dockerignore by name, and would leave this Dockerfile in the context.
        let path = root.join(&dockerfile.name);
        let text = std::fs::read(&path)
            .map_err(|error| path_error("open", &path.display().to_string(), &error))?;
        dockerfile = Dockerfile::elsewhere(dockerfile.shown, text);
    }
    Ok(Directory {
        root,
        dockerfile,
        ignore,
    })
}

/// The rules of a file, if it is there.
pub(super) fn rules(path: &Path) -> Result<Option<Ignore>> {
    let shown = path.display().to_string();
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(path_error("open", &shown, &error)),
    };
    let rules = Ignore::parse(&String::from_utf8_lossy(&text));
    let rules = rules.map_err(|error| Error::new(format!("error reading {shown}: {error}")))?;
    Ok(Some(rules))
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
