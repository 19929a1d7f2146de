//! What can go wrong, in Docker's words.

use std::io;
use std::path::PathBuf;

use onggi_model::volume_spec::VolumeSpecError;
use onggi_model::{ErrorKind, Fault};

/// Why something was not done to a volume.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of this name.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// Containers hold it, or somebody copies it.
    #[error("{what} {name}: volume is in use - [{}]", holders.join(", "))]
    InUse {
        /// What was to be done, as a verb.
        what: &'static str,
        /// The volume.
        name: String,
        /// Ids of the containers, and what else is going on with it.
        holders: Vec<String>,
    },
    /// What cannot be a name.
    #[error(transparent)]
    Name(#[from] VolumeSpecError),
    /// A driver that is not there. The text is Docker's where no plugin has the name.
    #[error(
        "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
    )]
    Driver {
        /// The volume.
        name: String,
        /// The driver.
        driver: String,
    },
    /// An option that `local` does not have.
    #[error("create {name}: invalid option: \"{option}\"")]
    Option {
        /// The volume.
        name: String,
        /// The option.
        option: String,
    },
    /// An option that needs another one.
    #[error("create {name}: missing required option: \"{option}\"")]
    MissingOption {
        /// The volume.
        name: String,
        /// The one that is missing.
        option: &'static str,
    },
    /// `size` needs project quotas.
    #[error(
        "create {0}: quota size requested but no quota support: leave the option size away, or limit the file system that the device is on"
    )]
    Quota(String),
    /// The file system of a volume with options could not be mounted.
    #[error("failed to mount local volume: mount {device}:{}{given}: {text}", path.display())]
    Mount {
        /// What.
        device: String,
        /// Where.
        path: PathBuf,
        /// The flags, and the options left for the file system, where there are any.
        given: String,
        /// What the kernel said, in small letters, as Docker has it.
        text: String,
    },
    /// The host name of a network file system is unknown.
    #[error("error resolving passed in network volume address: lookup {host}")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The new name is not free.
    #[error("rename {name}: a volume {to} is already there")]
    Exists {
        /// The volume.
        name: String,
        /// The name that another one has.
        to: String,
    },
    /// Only an empty volume takes an archive.
    #[error(
        "import {0}: the volume is not empty: import into one that is not there yet, or remove its files first"
    )]
    NotEmpty(String),
    /// Two imports into one volume.
    #[error("import {0}: another import into this volume is going on")]
    Busy(String),
    /// What is imported would be gone at once.
    #[error(
        "import {0}: the volume is a tmpfs, which keeps nothing while no container runs with it: start one first"
    )]
    Forgets(String),
    /// A path in the volume leads out of it.
    #[error("path concatenation escapes the base directory")]
    Escapes,
    /// The kernel refused something on a file.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The catalogue failed.
    #[error(transparent)]
    Store(#[from] onggi_store::Error),
}

/// What operations on volumes answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file<E: Into<io::Error>>(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Error {
        let path = path.into();
        move |source| Error::File {
            what,
            path,
            source: source.into(),
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::Driver { .. } => ErrorKind::NotFound,
            Self::InUse { .. } | Self::Exists { .. } | Self::NotEmpty(_) | Self::Busy(_) => {
                ErrorKind::Conflict
            }
            Self::Name(_)
            | Self::Option { .. }
            | Self::MissingOption { .. }
            | Self::Quota(_)
            | Self::Forgets(_)
            | Self::Escapes => ErrorKind::InvalidParameter,
            Self::Mount { .. } | Self::Lookup { .. } | Self::File { .. } => ErrorKind::Internal,
            Self::Store(error) => error.kind(),
        }
    }
}
