//! The grammar of `-v` and of `HostConfig.Binds`: `[source:]destination[:options]`.

use crate::{ErrorKind, Fault};

/// Why a text names no volume. Texts as Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeSpecError {
    /// Too many colons, an empty part, or options without a source.
    #[error("invalid volume specification: '{0}'")]
    Spec(String),
    /// Unknown or doubled options.
    #[error("invalid mode: {0}")]
    Mode(String),
    /// The destination is not absolute.
    #[error(
        "invalid volume specification: '{spec}': invalid mount config for type \"{kind}\": invalid mount path: '{path}' mount path must be absolute"
    )]
    Relative {
        /// The whole text.
        spec: String,
        /// `bind` or `volume`.
        kind: &'static str,
        /// The destination.
        path: String,
    },
    /// The destination is the root.
    #[error(
        "invalid volume specification: '{spec}': invalid mount config for type \"{kind}\": invalid specification: destination can't be '/'"
    )]
    Root {
        /// The whole text.
        spec: String,
        /// `bind` or `volume`.
        kind: &'static str,
    },
    /// An option of the other kind: propagation of a volume, `nocopy` of a bind.
    #[error(
        "invalid volume specification: '{spec}': invalid mount config for type \"{kind}\": field {field} must not be specified"
    )]
    Option {
        /// The whole text.
        spec: String,
        /// `bind` or `volume`.
        kind: &'static str,
        /// The options as `--mount` has them.
        field: &'static str,
    },
    /// One letter is no name.
    #[error(
        "create {0}: volume name is too short, names should be at least two alphanumeric characters"
    )]
    ShortName(String),
    /// A volume name with characters names do not have.
    #[error(
        "create {0}: \"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    Name(String),
}

impl Fault for VolumeSpecError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path of the host.
    Bind(String),
    /// A named volume.
    Volume(String),
    /// A new volume without a name.
    Anonymous,
}

/// SELinux labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relabel {
    /// `z`
    Shared,
    /// `Z`
    Private,
}

/// One volume, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// What is mounted.
    pub source: Source,
    /// Where, cleaned of `.` `..` and doubled slashes.
    pub destination: String,
    /// Not writable.
    pub read_only: bool,
    /// `rprivate`, `rshared`, ... if given.
    pub propagation: Option<String>,
    /// A new volume is not filled from the image.
    pub no_copy: bool,
    /// `z` or `Z`.
    pub relabel: Option<Relabel>,
    /// The options as given, which `inspect` prints.
    pub mode: String,
}

/// Reads one value of `-v`.
///
/// # Errors
/// [`VolumeSpecError`] with Docker's text.
pub fn parse(text: &str) -> Result<VolumeSpec, VolumeSpecError> {
    let bad = || VolumeSpecError::Spec(text.to_owned());
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [destination] => ("", destination, ""),
        [_, second] if is_mode(second) => return Err(bad()),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(bad()),
    };
    if parts[0].is_empty() || destination.is_empty() {
        return Err(bad());
    }
    let options = Options::read(mode).ok_or_else(|| VolumeSpecError::Mode(mode.to_owned()))?;
    let source = match source {
        "" => Source::Anonymous,
        path if path.starts_with('/') => Source::Bind(clean_path(path)),
        name if is_volume_name(name) => Source::Volume(name.to_owned()),
        name => return Err(bad_name(name)),
    };
    let kind = if matches!(source, Source::Bind(_)) {
        "bind"
    } else {
        "volume"
    };
    if !destination.starts_with('/') {
        let (spec, path) = (text.to_owned(), destination.to_owned());
        return Err(VolumeSpecError::Relative { spec, kind, path });
    }
    let destination = clean_path(destination);
    if destination == "/" {
        return Err(VolumeSpecError::Root {
            spec: text.to_owned(),
            kind,
        });
    }
    // Propagation is a property of a bind, nocopy one of a volume.
    let field = match kind {
        "volume" if options.propagation.is_some() => Some("BindOptions"),
        "bind" if options.no_copy => Some("VolumeOptions"),
        _ => None,
    };
    if let Some(field) = field {
        let spec = text.to_owned();
        return Err(VolumeSpecError::Option { spec, kind, field });
    }
    Ok(VolumeSpec {
        source,
        destination,
        read_only: options.read_only,
        propagation: options.propagation,
        no_copy: options.no_copy,
        relabel: options.relabel,
        mode: mode.to_owned(),
    })
}

/// What is wrong with a text that is no name for a volume.
pub fn bad_name(name: &str) -> VolumeSpecError {
    match name.len() {
        0 | 1 => VolumeSpecError::ShortName(name.to_owned()),
        _ => VolumeSpecError::Name(name.to_owned()),
    }
}

/// Whether the text is a name for a volume: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn is_volume_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() >= 2
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// An absolute path without `.`, `..` and doubled slashes, as Go's `path.Clean` makes it; a text only, no
/// link is followed.
pub fn clean_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

fn is_mode(text: &str) -> bool {
    !text.is_empty() && Options::read(text).is_some()
}

#[derive(Default)]
struct Options {
    read_only: bool,
    propagation: Option<String>,
    no_copy: bool,
    relabel: Option<Relabel>,
}

impl Options {
    fn read(mode: &str) -> Option<Self> {
        let mut options = Self::default();
        if mode.is_empty() {
            return Some(options);
        }
        let (mut access, mut consistency) = (0, 0);
        for option in mode.split(',') {
            match option {
                "ro" | "rw" => {
                    access += 1;
                    options.read_only = option == "ro";
                }
                "z" | "Z" => {
                    let label = if option == "z" {
                        Relabel::Shared
                    } else {
                        Relabel::Private
                    };
                    if options.relabel.replace(label).is_some() {
                        return None;
                    }
                }
                "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                    if options.propagation.replace(option.to_owned()).is_some() {
                        return None;
                    }
                }
                "nocopy" => {
                    if options.no_copy {
                        return None;
                    }
                    options.no_copy = true;
                }
                // Read by Docker Desktop only; moby takes them and does nothing.
                "consistent" | "cached" | "delegated" => consistency += 1,
                _ => return None,
            }
        }
        (access <= 1 && consistency <= 1).then_some(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_shape_of_v() {
        let spec = parse("/src:/dst:ro,Z,rshared").unwrap();
        assert_eq!(spec.source, Source::Bind("/src".to_owned()));
        assert_eq!(spec.destination, "/dst");
        assert!(spec.read_only);
        assert_eq!(spec.relabel, Some(Relabel::Private));
        assert_eq!(spec.propagation.as_deref(), Some("rshared"));
        assert_eq!(spec.mode, "ro,Z,rshared");
        let spec = parse("/a/../b//c/.:/d").unwrap();
        assert_eq!(spec.source, Source::Bind("/b/c".to_owned()));
        let spec = parse("data:/var//lib/./x/../data/:nocopy").unwrap();
        assert_eq!(spec.source, Source::Volume("data".to_owned()));
        assert_eq!(spec.destination, "/var/lib/data");
        assert!(spec.no_copy && !spec.read_only);
        assert_eq!(parse("/data").unwrap().source, Source::Anonymous);
        assert_eq!(parse("/a:/b").unwrap().mode, "");
    }

    #[test]
    fn refuses_in_dockers_words() {
        for (text, error) in [
            ("", "invalid volume specification: ''"),
            (":/a", "invalid volume specification: ':/a'"),
            ("/a:", "invalid volume specification: '/a:'"),
            ("/a:ro", "invalid volume specification: '/a:ro'"),
            ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
            ("/a:/b:xx", "invalid mode: xx"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            (
                "vol:/b:rshared",
                "invalid volume specification: 'vol:/b:rshared': invalid mount config for type \"volume\": field BindOptions must not be specified",
            ),
            (
                "/a:/b:nocopy",
                "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
            ),
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
            (
                "/a:/",
                "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error, "{text}");
        }
        assert!(matches!(parse("./a:/b"), Err(VolumeSpecError::Name(_))));
        assert!(matches!(parse("a:/b"), Err(VolumeSpecError::ShortName(_))));
    }
}
