//! From the options before the command to a project, or to its name alone where no file is needed.

use std::io::Read as _;
use std::path::PathBuf;

use onggi_compose::{Options, Project, Step};

use crate::Cli;
use crate::error::{Error, Result};

/// What a command works on.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The project's name.
    pub(crate) name: String,
    /// What its files say, where there are any.
    pub(crate) project: Option<Project>,
}

/// What the options before the command say of the project. Files of a command that reads them twice are read once from
/// standard input.
pub(crate) fn options(cli: &Cli) -> Result<Options> {
    if cli.group.on("compatibility") {
        return Err(Error::new(
            "--compatibility: containers get the names of version 2; those of version 1 are found all the same, by their labels: leave --compatibility away",
        ));
    }
    let paths = |flag: &str| cli.group.all(flag).map(PathBuf::from).collect();
    let one = |flag: &str| cli.group.one(flag).filter(|text| !text.is_empty());
    let files: Vec<PathBuf> = paths("file");
    let stdin = match files.iter().any(|file| file.as_os_str() == "-") {
        true => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Error::new(format!("standard input: {error}")))?;
            Some(text)
        }
        false => None,
    };
    let pruning = match cli.group.on("all-resources") {
        true => Step::Skipped,
        false => Step::Done,
    };
    Ok(Options {
        directory: std::env::current_dir()?,
        environment: cli.environment.clone().into_iter().collect(),
        files,
        stdin,
        env_files: paths("env-file"),
        project_name: one("project-name").map(str::to_owned),
        project_directory: one("project-directory")
            .or_else(|| one("workdir"))
            .map(PathBuf::from),
        profiles: cli.group.list("profile"),
        pruning,
        ..Options::default()
    })
}

/// Loads the project of these options with the services that `named` ask for and what they need; all without any.
pub(crate) fn load_with(cli: &mut Cli, options: &mut Options, named: &[String]) -> Result<Project> {
    let mut project = load_with_profiles(cli, options, named)?;
    if !named.is_empty() {
        let selected = project.select(named, options.pruning);
        selected.map_err(|error| Error::new(error.to_string()))?;
    }
    Ok(project)
}

/// Loads the whole project of these options; naming a service activates its profiles. Warnings are told.
pub(super) fn load_with_profiles(
    cli: &mut Cli,
    options: &mut Options,
    named: &[String],
) -> Result<Project> {
    let failed = |error: onggi_compose::Error| Error::new(error.to_string());
    let mut project = onggi_compose::load(options).map_err(failed)?;
    let asked = project.profiles_of(named);
    if !asked.is_empty() {
        options.profiles = asked;
        project = onggi_compose::load(options).map_err(failed)?;
    }
    for warning in &project.warnings {
        cli.complain(&format!("WARNING: {warning}"))?;
    }
    Ok(project)
}

/// The project that is meant: its files are only read when its name is not given or they are named. Of a project whose
/// files cannot be found the name may still be known, by `COMPOSE_PROJECT_NAME`.
pub(crate) fn subject(cli: &mut Cli) -> Result<Subject> {
    let mut options = options(cli)?;
    if let Some(name) = options.project_name.clone()
        && options.files.is_empty()
    {
        return Ok(Subject {
            name,
            project: None,
        });
    }
    match load_with(cli, &mut options, &[]) {
        Ok(project) => Ok(Subject {
            name: project.name.clone(),
            project: Some(project),
        }),
        Err(error) => match cli.environment.get("COMPOSE_PROJECT_NAME") {
            Some(name) if !name.is_empty() => Ok(Subject {
                name: name.clone(),
                project: None,
            }),
            _ => Err(error),
        },
    }
}

/// Refuses `--dry-run` for what cannot be shown beforehand.
pub(super) fn not_dry(cli: &Cli, command: &str) -> Result<()> {
    match cli.group.on("dry-run") {
        true => Err(Error::new(format!(
            "--dry-run: what {command} would do cannot be told before it is done; leave --dry-run away"
        ))),
        false => Ok(()),
    }
}

/// Words of the project for completion; none where it cannot be loaded.
pub(crate) fn words(cli: &Cli, list: fn(&Project) -> Vec<String>) -> Vec<(String, &'static str)> {
    let Ok(options) = options(cli) else {
        return Vec::new();
    };
    let project = onggi_compose::load(&options);
    let words = project.map(|project| list(&project)).unwrap_or_default();
    words.into_iter().map(|word| (word, "")).collect()
}
