//! The steps of a build: what each does, on which files, with which files of others; and the image that comes out.

use std::collections::BTreeMap;

use onggi_dockerfile::Lines;
use onggi_dockerfile::instruction::{MountKind, Network, Security};
use onggi_model::Platform;
use onggi_oci::image::{ContainerConfig, History};
use serde::Serialize;

/// Steps, each behind those it needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What is done.
    pub steps: Vec<Step>,
    /// What comes out.
    pub image: Built,
    /// The instructions of the stages that are needed, in the order in which people are told of them.
    pub instructions: Vec<Told>,
    /// `--build-arg` that nobody declared.
    pub unused_arguments: Vec<String>,
}

/// An instruction, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// As it is written.
    pub text: String,
    /// The step that it is; of those that change the configuration alone, and of `FROM scratch`, none.
    pub step: Option<usize>,
    /// The step whose files there are after it.
    pub files: Option<usize>,
}

/// What an image is, but for its layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Built {
    /// The step whose files it has; `None` for none.
    pub files: Option<usize>,
    /// What containers of it run with.
    pub config: ContainerConfig,
    /// How it came to be; entries of the base first.
    pub history: Vec<History>,
    /// How many of these entries are the base's.
    pub inherited: usize,
    /// MAINTAINER.
    pub author: Option<String>,
    /// What it is for, if its base says so.
    pub platform: Option<Platform>,
    /// What builds on top of it begin with, as its base has it: used up by this build.
    pub triggers: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `[build 2/5] RUN make`
    pub name: String,
    /// Where it stands.
    pub lines: Lines,
    /// The stage it belongs to, by name or number; of an image that files are taken from, its name.
    pub stage: String,
    /// The step whose files it changes; `None` for none.
    pub below: Option<usize>,
    /// What it does.
    pub op: Op,
}

/// What a step does. Together with what it works on it says what comes out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// The files of an image.
    Image(ImageFiles),
    /// A command.
    Run(Exec),
    /// Files from elsewhere.
    Copy(CopyFiles),
    /// A directory, if it is not there.
    Directory(Directory),
}

/// The files of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageFiles {
    /// Its name.
    pub name: String,
    /// For which platform.
    pub platform: Option<String>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exec {
    /// Program and arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<String>,
    /// Arguments of the build that say where proxies are: in its environment, and no reason to do it again.
    #[serde(skip)]
    pub proxies: Vec<String>,
    /// Where.
    pub directory: String,
    /// As whom.
    pub user: String,
    /// What it is for: programs may ask.
    pub platform: String,
    /// Which network.
    pub network: Network,
    /// Which walls.
    pub security: Security,
    /// What it sees besides.
    pub mounts: Vec<MountFrom>,
    /// Files it is given, by name: here-documents that are programs.
    pub scripts: BTreeMap<String, String>,
}

/// A mount and where its files come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MountFrom {
    /// It.
    pub mount: onggi_dockerfile::instruction::Mount,
    /// From where, of binds and caches.
    pub input: Option<Input>,
}

/// Files from elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CopyFiles {
    /// From where.
    pub input: Input,
    /// Paths and, for ADD, URLs; with wildcards.
    pub sources: Vec<String>,
    /// Files that stand in the Dockerfile: name and text.
    pub files: Vec<(String, String)>,
    /// Where to, absolute; a directory if it ends with a slash.
    pub destination: String,
    /// `--chown`
    pub chown: Option<String>,
    /// `--chmod`
    pub chmod: Option<String>,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// `--parents`
    pub parents: bool,
    /// `--link`: what comes out does not depend on what is below.
    pub link: bool,
    /// ADD: URLs are fetched, archives unpacked; `None` for COPY.
    pub add: Option<AddOptions>,
}

/// What ADD does besides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AddOptions {
    /// `--checksum`
    pub checksum: Option<String>,
    /// `--keep-git-dir`
    pub keep_git_dir: bool,
    /// `--unpack`
    pub unpack: Option<bool>,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Directory {
    /// Absolute.
    pub path: String,
    /// Whom it belongs to if it is made; root without.
    pub user: Option<String>,
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// What another step left; its number says nothing of what is in it.
    Step(#[serde(skip)] usize),
    /// The context of the build, or one with a name.
    Context(Option<String>),
    /// Nothing.
    Nothing,
}

impl Op {
    /// What says what it does, and from where: the same text does the same to the same files, with the same layers.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings and numbers alone: there is nothing to fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What says what it does, without what its inputs say by their content: where that comes from, and which cache it
    /// is that a command sees. The same text does the same to the same files, with the same content.
    #[must_use]
    pub fn deed(&self) -> String {
        let mut op = self.clone();
        match &mut op {
            Self::Image(_) | Self::Directory(_) => {}
            Self::Run(exec) => {
                for MountFrom { mount, input } in &mut exec.mounts {
                    *input = None;
                    if matches!(mount.kind, MountKind::Bind | MountKind::Cache) {
                        (mount.from, mount.source) = (None, None);
                    }
                    if mount.kind == MountKind::Cache {
                        (mount.id, mount.sharing) = (None, None);
                    }
                }
            }
            Self::Copy(copy) => {
                if let Input::Context(name) = &mut copy.input {
                    *name = None;
                }
                if let Some(add) = &mut copy.add {
                    (add.checksum, add.keep_git_dir) = (None, false);
                }
                for source in &mut copy.sources {
                    if crate::files::is_remote(source) {
                        // What is fetched has its name, and what of it is meant.
                        source.clear();
                    } else if !copy.parents {
                        let name = source.trim_end_matches('/').rsplit('/').next();
                        *source = name.unwrap_or_default().to_owned();
                    }
                }
            }
        }
        op.text()
    }

    /// The other steps it needs.
    pub fn inputs(&self) -> Vec<usize> {
        let of = |input: &Input| match input {
            Input::Step(step) => Some(*step),
            Input::Context(_) | Input::Nothing => None,
        };
        match self {
            Self::Image(_) | Self::Directory(_) => Vec::new(),
            Self::Copy(copy) => of(&copy.input).into_iter().collect(),
            Self::Run(exec) => exec
                .mounts
                .iter()
                .filter_map(|mount| of(mount.input.as_ref()?))
                .collect(),
        }
    }
}

/// An image that something is built on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaseImage {
    /// What containers of it run with.
    pub config: ContainerConfig,
    /// How it came to be.
    pub history: Vec<History>,
    /// Who made it.
    pub author: Option<String>,
    /// What it is for.
    pub platform: Option<Platform>,
}
