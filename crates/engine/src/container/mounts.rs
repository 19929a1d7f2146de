//! What the user wants mounted: `-v`, `--mount`, `--tmpfs` read into one list.
//!
//! Volumes are not here yet: they are refused by name.

use std::path::Path;

use onggi_api::container::{HostConfig, Mount, MountPoint};
use onggi_model::volume_spec::{self, Source};
use onggi_oci::runtime::Mount as OciMount;

use super::Record;
use crate::error::{Error, Result};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) target: String,
    what: What,
    readonly: bool,
    /// As the user wrote it, for `inspect`.
    mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Bind {
        source: String,
        propagation: String,
        recursive: bool,
        /// Read-only reaches submounts too.
        recursively_readonly: bool,
        /// A missing source becomes a directory.
        create: bool,
    },
    Tmpfs {
        options: Vec<String>,
    },
}

/// Everything the record asks for.
pub(crate) fn of(record: &Record) -> Result<Vec<Wanted>> {
    read(&record.host_config)
}

/// Reads and checks the fields; looks at no file.
pub(crate) fn read(host: &HostConfig) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let binds = host.binds.iter().flatten().map(|text| bind(text));
    let mounts = host.mounts.iter().flatten().map(mount);
    let tmpfs = host
        .tmpfs
        .iter()
        .flatten()
        .map(|(target, options)| tmpfs(target, options));
    for one in binds.chain(mounts).chain(tmpfs) {
        let one = one?;
        if wanted.iter().any(|other| other.target == one.target) {
            return Err(Error::invalid(format!(
                "Duplicate mount point: {}",
                one.target
            )));
        }
        wanted.push(one);
    }
    Ok(wanted)
}

/// Refuses volumes, which are not there yet.
fn volume(name: &str) -> Error {
    Error::not_implemented(format!(
        "volume {name}: volumes are not there yet; bind a directory of the host instead (-v /path:/target)"
    ))
}

fn bind(text: &str) -> Result<Wanted> {
    let spec = volume_spec::parse(text).map_err(|fault| Error::of(&fault))?;
    let source = match &spec.source {
        Source::Bind(path) => path.clone(),
        Source::Volume(name) => return Err(volume(name)),
        Source::Anonymous => return Err(volume("without a name")),
    };
    if spec.relabel.is_some() {
        return Err(Error::not_implemented(format!(
            "-v {text}: SELinux labels are not there yet; leave z and Z away"
        )));
    }
    Ok(Wanted {
        what: What::Bind {
            source,
            propagation: spec
                .propagation
                .clone()
                .unwrap_or_else(|| "rprivate".to_owned()),
            recursive: true,
            recursively_readonly: spec.read_only,
            create: true,
        },
        readonly: spec.read_only,
        mode: spec.mode.clone(),
        target: spec.destination,
    })
}

fn mount(mount: &Mount) -> Result<Wanted> {
    let kind = mount.kind.as_str();
    let invalid =
        |why: String| Error::invalid(format!("invalid mount config for type \"{kind}\": {why}"));
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty".to_owned()));
    }
    if !mount.target.starts_with('/') {
        return Err(invalid(format!(
            "invalid mount path: '{}' mount path must be absolute",
            mount.target
        )));
    }
    let target = volume_spec::clean_path(&mount.target);
    if target == "/" {
        return Err(invalid(
            "invalid specification: destination can't be '/'".to_owned(),
        ));
    }
    let what = match kind {
        "bind" => {
            let options = mount.bind_options.clone().unwrap_or_default();
            if mount.source.is_empty() {
                return Err(invalid("field Source must not be empty".to_owned()));
            }
            if !mount.source.starts_with('/') {
                return Err(invalid(format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    mount.source
                )));
            }
            if !options.create_mountpoint && !Path::new(&mount.source).exists() {
                return Err(invalid(format!(
                    "bind source path does not exist: {}",
                    mount.source
                )));
            }
            What::Bind {
                source: mount.source.clone(),
                propagation: match options.propagation.as_str() {
                    "" => "rprivate".to_owned(),
                    propagation => propagation.to_owned(),
                },
                recursive: !options.non_recursive,
                recursively_readonly: mount.read_only && !options.read_only_non_recursive,
                create: options.create_mountpoint,
            }
        }
        "tmpfs" => {
            if !mount.source.is_empty() {
                return Err(invalid("field Source must not be specified".to_owned()));
            }
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            let mut list = tmpfs_defaults();
            if options.size_bytes > 0 {
                list.push(format!("size={}", options.size_bytes));
            }
            if options.mode > 0 {
                list.push(format!("mode={:o}", options.mode));
            }
            for words in options.options.iter().flatten() {
                list.push(words.join("="));
            }
            What::Tmpfs { options: list }
        }
        "volume" => return Err(volume(&mount.source)),
        _ => {
            return Err(Error::not_implemented(format!(
                "mount type {kind}: not there yet; bind and tmpfs are"
            )));
        }
    };
    Ok(Wanted {
        target,
        what,
        readonly: mount.read_only,
        mode: String::new(),
    })
}

fn tmpfs_defaults() -> Vec<String> {
    ["noexec", "nosuid", "nodev", "rprivate"]
        .map(str::to_owned)
        .to_vec()
}

/// `--tmpfs /run:size=64m,exec`: the options replace the defaults they contradict.
fn tmpfs(target: &str, text: &str) -> Result<Wanted> {
    if !target.starts_with('/') {
        return Err(Error::invalid(format!(
            "invalid mount config for type \"tmpfs\": invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    const FLAGS: [(&str, &str); 4] = [
        ("noexec", "exec"),
        ("nosuid", "suid"),
        ("nodev", "dev"),
        ("ro", "rw"),
    ];
    let mut options = tmpfs_defaults();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let name = option.split('=').next().unwrap_or(option);
        let known = FLAGS.iter().any(|&(off, on)| option == off || option == on)
            || [
                "size",
                "mode",
                "uid",
                "gid",
                "nr_inodes",
                "nr_blocks",
                "mpol",
            ]
            .contains(&name)
            || [
                "atime",
                "noatime",
                "diratime",
                "nodiratime",
                "relatime",
                "norelatime",
            ]
            .contains(&option)
            || ["sync", "async", "dirsync", "strictatime", "nostrictatime"].contains(&option);
        if !known {
            return Err(Error::invalid(format!(
                "invalid tmpfs option [\"{option}\"]"
            )));
        }
        for (off, on) in FLAGS {
            if option == on {
                options.retain(|o| o != off);
            } else if option == off {
                options.retain(|o| o != on && o != off);
            }
        }
        options.push(option.to_owned());
    }
    let readonly = options.iter().any(|option| option == "ro");
    Ok(Wanted {
        target: volume_spec::clean_path(target),
        what: What::Tmpfs { options },
        readonly,
        mode: String::new(),
    })
}

impl Wanted {
    /// As the OCI document says it.
    pub(crate) fn to_oci(&self) -> OciMount {
        let access = if self.readonly { "ro" } else { "rw" };
        match &self.what {
            What::Bind {
                source,
                propagation,
                recursive,
                recursively_readonly,
                ..
            } => {
                let bind = if *recursive { "rbind" } else { "bind" };
                let access = match (self.readonly, *recursive && *recursively_readonly) {
                    (true, true) => "rro",
                    _ => access,
                };
                OciMount {
                    destination: self.target.clone(),
                    kind: Some("bind".to_owned()),
                    source: Some(source.clone()),
                    options: [bind, access, propagation].map(|o| o.to_owned()).to_vec(),
                    ..OciMount::default()
                }
            }
            What::Tmpfs { options } => {
                let mut options = options.clone();
                if self.readonly && !options.iter().any(|o| o == "ro") {
                    options.push("ro".to_owned());
                }
                OciMount {
                    destination: self.target.clone(),
                    kind: Some("tmpfs".to_owned()),
                    source: Some("tmpfs".to_owned()),
                    options,
                    ..OciMount::default()
                }
            }
        }
    }

    /// As `inspect` lists it; `--tmpfs` is not in that list, as Docker's.
    pub(crate) fn to_point(&self) -> Option<MountPoint> {
        match &self.what {
            What::Bind {
                source,
                propagation,
                ..
            } => Some(MountPoint {
                kind: "bind".to_owned(),
                source: source.clone(),
                destination: self.target.clone(),
                mode: self.mode.clone(),
                rw: !self.readonly,
                propagation: propagation.clone(),
                ..MountPoint::default()
            }),
            What::Tmpfs { .. } => None,
        }
    }

    /// Makes the source of a bind that may be made.
    pub(crate) fn prepare(&self) -> Result<()> {
        let What::Bind { source, create, .. } = &self.what else {
            return Ok(());
        };
        if Path::new(source).exists() {
            return Ok(());
        }
        if !create {
            return Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {source}"
            )));
        }
        std::fs::create_dir_all(source).map_err(|e| {
            Error::io(
                format_args!("error while creating mount source path '{source}'"),
                e,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(binds: &[&str], tmpfs: &[(&str, &str)]) -> HostConfig {
        HostConfig {
            binds: Some(binds.iter().map(|&b| b.to_owned()).collect()),
            tmpfs: Some(
                tmpfs
                    .iter()
                    .map(|&(t, o)| (t.to_owned(), o.to_owned()))
                    .collect(),
            ),
            ..HostConfig::default()
        }
    }

    #[test]
    fn binds_become_mounts() {
        let wanted = read(&host(&["/srv:/data:ro", "/a:/b"], &[])).expect("reads");
        let oci = wanted[0].to_oci();
        assert_eq!(oci.options, ["rbind", "rro", "rprivate"]);
        assert_eq!(
            (oci.destination.as_str(), oci.source.as_deref()),
            ("/data", Some("/srv"))
        );
        let point = wanted[1].to_point().expect("a point");
        assert!(point.rw && point.propagation == "rprivate");
    }

    #[test]
    fn tmpfs_options_replace_defaults() {
        let wanted = read(&host(&[], &[("/run", "size=64m,exec")])).expect("reads");
        assert_eq!(
            wanted[0].to_oci().options,
            ["nosuid", "nodev", "rprivate", "size=64m", "exec"]
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (binds, tmpfs, text) in [
            (
                &["/a:/x", "/b:/x"][..],
                &[][..],
                "Duplicate mount point: /x",
            ),
            (&["data:/x"], &[], "volumes are not there yet"),
            (&[], &[("run", "")], "mount path must be absolute"),
            (
                &[],
                &[("/run", "bogus")],
                "invalid tmpfs option [\"bogus\"]",
            ),
        ] {
            let error = read(&host(binds, tmpfs)).expect_err(text).to_string();
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    }

    #[test]
    fn a_missing_source_of_mount_is_refused() {
        let missing = Mount {
            kind: "bind".to_owned(),
            source: "/no/such/dir".to_owned(),
            target: "/x".to_owned(),
            ..Mount::default()
        };
        let error = mount(&missing).expect_err("missing").to_string();
        assert_eq!(
            error,
            "invalid mount config for type \"bind\": bind source path does not exist: /no/such/dir"
        );
    }
}
