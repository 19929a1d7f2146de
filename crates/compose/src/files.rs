//! Which files a project is made of, where its folder is, and which variables there are before the first one is read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::{Error, Problem};
use crate::options::Options;
use crate::paths::clean;

/// The names that are looked for, the best one first.
const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// The names of the file that is laid over it.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// A file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// Its path, absolute; `-` for the standard input.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) text: String,
}

impl Text {
    /// As errors name it.
    pub(crate) fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// What a project begins with.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    /// The files, in their order.
    pub(crate) files: Vec<Text>,
    /// The project's folder, absolute.
    pub(crate) folder: PathBuf,
    /// The variables.
    pub(crate) environment: Environment,
}

/// Finds and reads them.
///
/// # Errors
/// No file, one that cannot be read, a wrong file of variables.
pub(crate) fn begin(options: &Options) -> Result<Beginning, Error> {
    let here = match &options.project_directory {
        Some(folder) => clean(&options.directory.join(folder)),
        None => options.directory.clone(),
    };
    let mut environment = Environment::shell(options.environment.iter().cloned());
    let given = env_files(options, &environment);
    match &given {
        Some(files) => read_env_files(&mut environment, files)?,
        None => dotenv(&mut environment, &here)?,
    }
    let paths = paths(options, &environment, &here)?;
    let mut folder = here.clone();
    if options.project_directory.is_none()
        && let Some(first) = paths.first().filter(|path| path.as_os_str() != "-")
        && let Some(parent) = first.parent()
    {
        folder = parent.to_owned();
    }
    if given.is_none() && folder != here {
        dotenv(&mut environment, &folder)?;
    }
    let files: Result<Vec<Text>, Error> =
        paths.into_iter().map(|path| text(options, path)).collect();
    Ok(Beginning {
        files: files?,
        folder,
        environment,
    })
}

/// The files of variables that were asked for, by `--env-file` or `COMPOSE_ENV_FILES`; nothing when `.env` is meant.
fn env_files(options: &Options, environment: &Environment) -> Option<Vec<PathBuf>> {
    if !options.env_files.is_empty() {
        let absolute = |path: &PathBuf| clean(&options.directory.join(path));
        return Some(options.env_files.iter().map(absolute).collect());
    }
    if let Some(list) = environment
        .get("COMPOSE_ENV_FILES")
        .filter(|list| !list.is_empty())
    {
        let absolute = |path: &str| clean(&options.directory.join(path));
        return Some(list.split(',').map(absolute).collect());
    }
    let off = environment.get("COMPOSE_DISABLE_ENV_FILE");
    off.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "t"))
        .then(Vec::new)
}

/// Reads files of variables that must be there.
///
/// # Errors
/// One is not there, or wrong.
pub(crate) fn read_env_files(
    environment: &mut Environment,
    files: &[PathBuf],
) -> Result<(), Error> {
    let mut read = Vec::new();
    for path in files {
        match std::fs::read_to_string(path) {
            Ok(text) => read.push((path.to_string_lossy().into_owned(), text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("couldn't find env file: {}", path.display());
                return Err(Error::not_found(Problem::general(message)));
            }
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    put_env_files(environment, &read)
}

fn put_env_files(environment: &mut Environment, read: &[(String, String)]) -> Result<(), Error> {
    environment
        .read_under(read)
        .map_err(|(place, error)| Problem::new(&place, "", error.message).into())
}

/// Reads the `.env` of a folder, if it has one.
///
/// # Errors
/// It cannot be read, or is wrong.
pub(crate) fn dotenv(environment: &mut Environment, folder: &Path) -> Result<(), Error> {
    let path = folder.join(".env");
    match std::fs::read_to_string(&path) {
        Ok(text) => put_env_files(environment, &[(path.to_string_lossy().into_owned(), text)]),
        // A folder of that name, as Python makes them, is none of ours.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(unreadable(&path, &error)),
    }
}

fn paths(options: &Options, environment: &Environment, here: &Path) -> Result<Vec<PathBuf>, Error> {
    let absolute = |base: &Path, path: &Path| match path.to_str() {
        Some("-") => path.to_owned(),
        _ => clean(&base.join(path)),
    };
    if !options.files.is_empty() {
        let files = options.files.iter();
        return Ok(files
            .map(|path| absolute(&options.directory, path))
            .collect());
    }
    if let Some(list) = environment
        .get("COMPOSE_FILE")
        .filter(|list| !list.is_empty())
    {
        let separator = environment
            .get("COMPOSE_PATH_SEPARATOR")
            .filter(|s| !s.is_empty());
        let files = list.split(separator.unwrap_or(":"));
        return Ok(files.map(|path| absolute(here, Path::new(path))).collect());
    }
    for folder in here.ancestors() {
        let first = |names: &[&str]| {
            let mut paths = names.iter().map(|name| folder.join(name));
            paths.find(|path| path.is_file())
        };
        if let Some(main) = first(&NAMES) {
            return Ok([Some(main), first(&OVERRIDES)]
                .into_iter()
                .flatten()
                .collect());
        }
    }
    let problem = Problem::general("no configuration file provided: not found")
        .hint("write a compose.yaml, or name a file with -f");
    Err(Error::not_found(problem))
}

fn text(options: &Options, path: PathBuf) -> Result<Text, Error> {
    if path.as_os_str() == "-" {
        let text = options.stdin.clone().unwrap_or_default();
        return Ok(Text { path, text });
    }
    read(path)
}

/// Reads a file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: PathBuf) -> Result<Text, Error> {
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Text { path, text }),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let why = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        ErrorKind::InvalidData => "is no text in UTF-8".to_owned(),
        _ => onggi_model::chain(error),
    };
    let problem = Problem::general(format!("open {}: {why}", path.display()));
    match error.kind() {
        ErrorKind::NotFound => Error::not_found(problem),
        _ => problem.into(),
    }
}
