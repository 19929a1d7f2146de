//! What can go wrong with images, in the words Docker's users know.

use std::io;
use std::sync::Arc;

use onggi_model::{Digest, ErrorKind, Fault, FiltersError, ReferenceError};

/// Why an image could not be had, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] onggi_store::Error),
    /// A layer could not be made.
    #[error(transparent)]
    Snapshot(#[from] onggi_snapshot::Error),
    /// The registry refused or failed.
    #[error(transparent)]
    Registry(#[from] onggi_registry::Error),
    /// A manifest, index or configuration that is none.
    #[error(transparent)]
    Document(#[from] onggi_oci::image::Error),
    /// Not a name of an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A filter that is none.
    #[error(transparent)]
    Filters(#[from] FiltersError),
    /// The daemon itself is in the way.
    #[error(transparent)]
    Runtime(#[from] onggi_rt::Error),
    /// An operation of somebody else, which we waited for, failed.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// A layer's tar could not be unpacked.
    #[error("failed to register layer")]
    Layer(#[source] onggi_archive::Error),
    /// An archive given to load or import could not be read.
    #[error("cannot read the archive")]
    Archive(#[source] onggi_archive::Error),
    /// The store could not take what came.
    #[error("write blob")]
    Write(#[source] io::Error),
    /// What came from somewhere could not be read to its end.
    #[error("read image data")]
    Read(#[source] io::Error),
    /// Nobody waits any more.
    #[error("context canceled")]
    Cancelled,
    /// There is no such image.
    #[error("No such image: {0}")]
    NotFound(String),
    /// The beginning of an ID that several images have.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// A name nobody may use.
    #[error("'{0}' is a reserved name")]
    Reserved(String),
    /// A tag must not carry a digest.
    #[error("refusing to create a tag with a digest reference")]
    TagWithDigest,
    /// What the registry has is something else than an image.
    #[error("Encountered remote {media_type:?}({class}) when fetching")]
    NotAnImage {
        /// Its media type.
        media_type: String,
        /// `plugin`, `unknown`.
        class: &'static str,
    },
    /// Manifest and configuration do not agree.
    #[error("layers from manifest don't match image configuration")]
    RootfsMismatch,
    /// The configuration has no layers.
    #[error("invalid rootfs in image configuration")]
    RootfsInvalid,
    /// An image for another operating system.
    #[error(
        "image operating system {0:?} cannot be used on this platform: operating system is not supported"
    )]
    OperatingSystem(String),
    /// The configuration says when the image was made, and it is no time (RFC 3339).
    #[error("parsing time {0:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse it")]
    Created(String),
    /// The image is there, but not for the platform that was asked for.
    #[error(
        "image with reference {reference} was found but its platform ({actual}) does not match the specified platform ({wanted})"
    )]
    Platform {
        /// As it was asked for.
        reference: String,
        /// What the image is for.
        actual: String,
        /// What was wanted.
        wanted: String,
    },
    /// The bytes of a layer are not those its digest names.
    #[error("filesystem layer verification failed for digest {0}")]
    LayerDigest(Digest),
    /// A layer is not what the configuration says.
    #[error(
        "wrong diff id calculated on extraction {found}: the image configuration says {expected}"
    )]
    DiffId {
        /// What the configuration says.
        expected: Digest,
        /// What came out.
        found: Digest,
    },
    /// What another engine keeps of a layer is not what it once was.
    #[error("the files of layer {0} are not those the image was made of")]
    Changed(Digest),
    /// The name cannot be taken away: a container needs the image.
    #[error(
        "conflict: unable to remove repository reference {reference:?} (must force) - container {container} is using its referenced image {image}"
    )]
    ReferenceInUse {
        /// As it was asked for.
        reference: String,
        /// Short ID of the container.
        container: String,
        /// Short ID of the image.
        image: String,
    },
    /// The image cannot be deleted.
    #[error("conflict: unable to delete {image} ({}) - {why}", if *.hard { "cannot be forced" } else { "must be forced" })]
    InUse {
        /// Short ID of the image.
        image: String,
        /// Whether force does not help.
        hard: bool,
        /// Whether a container is the reason.
        used: bool,
        /// `image is being used by running container ..`
        why: String,
    },
    /// The archive is neither of `docker save` nor an OCI layout, or lacks a part.
    #[error("invalid archive: {0}")]
    Load(String),
    /// Part of an image is not there to be given away.
    #[error(
        "layer {layer} of the image is not kept as it came: pull the image again, or load it from its archive"
    )]
    Incomplete {
        /// Digest of the layer's blob.
        layer: Digest,
    },
    /// No image has the tag that was to be pushed.
    #[error("tag does not exist: {0}")]
    NoTag(String),
    /// No image has a tag of the repository.
    #[error("An image does not exist locally with the tag: {0}")]
    NoRepository(String),
    /// A digest is no name to push to.
    #[error("cannot push a digest reference")]
    PushDigest,
    /// An instruction that `--change` does not take.
    #[error("{0} is not a valid change command")]
    ChangeCommand(String),
    /// Instructions that cannot be read.
    #[error(transparent)]
    Dockerfile(#[from] onggi_dockerfile::Error),
    /// An instruction with a port or a signal that is none.
    #[error("{0}")]
    Change(String),
    /// A time that is none.
    #[error("invalid filter '{key}={value}'")]
    Filter {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

impl Error {
    /// Whether the disk, or the quota on it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Error::Store(error) | Error::Snapshot(onggi_snapshot::Error::Store(error)) => {
                error.is_full()
            }
            Error::Snapshot(onggi_snapshot::Error::File { source, .. }) => full(source),
            Error::Layer(error) | Error::Archive(error) => error.is_full(),
            Error::Write(error) => full(error),
            Error::Shared(error) => error.is_full(),
            _ => false,
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Store(error) => error.kind(),
            Error::Snapshot(error) => error.kind(),
            Error::Registry(error) => error.kind(),
            Error::Document(error) => error.kind(),
            Error::Reference(error) => error.kind(),
            Error::Filters(error) => error.kind(),
            Error::Shared(error) => error.kind(),
            Error::Layer(error) | Error::Archive(error) => error.kind(),
            Error::NotFound(_)
            | Error::Platform { .. }
            | Error::NoTag(_)
            | Error::NoRepository(_) => ErrorKind::NotFound,
            Error::ReferenceInUse { .. } | Error::InUse { .. } => ErrorKind::Conflict,
            Error::Cancelled => ErrorKind::Cancelled,
            Error::Ambiguous(_)
            | Error::Reserved(_)
            | Error::TagWithDigest
            | Error::NotAnImage { .. }
            | Error::RootfsMismatch
            | Error::RootfsInvalid
            | Error::OperatingSystem(_)
            | Error::Created(_)
            | Error::Load(_)
            | Error::PushDigest
            | Error::ChangeCommand(_)
            | Error::Change(_)
            | Error::Dockerfile(_)
            | Error::Filter { .. } => ErrorKind::InvalidParameter,
            Error::Runtime(_)
            | Error::Write(_)
            | Error::Read(_)
            | Error::Incomplete { .. }
            | Error::LayerDigest(_)
            | Error::Changed(_)
            | Error::DiffId { .. } => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        self.is_full().then(|| {
            "the disk that holds the data root is full; remove images or containers".to_owned()
        })
    }
}
