//! What a project is to be made of.

use std::path::PathBuf;

/// Whether a step of loading is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// It is.
    #[default]
    Done,
    /// It is left out.
    Skipped,
}

/// What a project is to be made of: the flags of `compose` and the place it is called from.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder the command runs in, absolute.
    pub directory: PathBuf,
    /// The environment of the command.
    pub environment: Vec<(String, String)>,
    /// `--file`; `-` is [`Options::stdin`]. Without any, `COMPOSE_FILE` or the usual names are looked for.
    pub files: Vec<PathBuf>,
    /// What the standard input says.
    pub stdin: Option<String>,
    /// `--env-file`.
    pub env_files: Vec<PathBuf>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--project-directory`.
    pub project_directory: Option<PathBuf>,
    /// `--profile`; without any, `COMPOSE_PROFILES`. `*` is all of them.
    pub profiles: Vec<String>,
    /// Are variables replaced? (`config --no-interpolate`) Without it nothing is judged or left out that may depend on them:
    /// every service stays, and names need not exist.
    pub interpolation: Step,
    /// Are names and implicit parts filled in? (`config --no-normalize`)
    pub normalization: Step,
    /// Do paths become absolute? (`config --no-path-resolution`)
    pub path_resolution: Step,
    /// Must what a service names be there? (`config --no-consistency`)
    pub consistency: Step,
    /// Are `env_file` and `label_file` read? (`config --no-env-resolution`)
    pub env_resolution: Step,
    /// Are networks, volumes, configs and secrets that no service uses left out? Skipped by `--all-resources`.
    pub pruning: Step,
}
