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
    /// Containers hold it.
    #[error("remove {name}: volume is in use - [{}]", holders.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// Ids of the containers.
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
    #[error("failed to mount local volume: mount {device}:{}, data: {data}: {text}", path.display())]
    Mount {
        /// What.
        device: String,
        /// Where.
        path: PathBuf,
        /// The options left for the file system.
        data: String,
        /// What the kernel said, in small letters, as Docker has it.
        text: String,
    },
    /// The host name of a network file system is unknown.
    #[error("failed to mount local volume: lookup {host}")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
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
            Self::InUse { .. } => ErrorKind::Conflict,
            Self::Name(_)
            | Self::Option { .. }
            | Self::MissingOption { .. }
            | Self::Quota(_)
            | Self::Escapes => ErrorKind::InvalidParameter,
            Self::Mount { .. } | Self::Lookup { .. } | Self::File { .. } => ErrorKind::Internal,
            Self::Store(error) => error.kind(),
        }
    }
}
