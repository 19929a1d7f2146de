//! The fields of a request: `Binds`, `Mounts` and `Tmpfs`, checked in Docker's words. Of files only the source of a
//! bind is looked at.

use std::path::Path;

use onggi_api::container::{HostConfig, Mount};
use onggi_model::ErrorKind;
use onggi_model::volume_spec::{self, Source};

use super::{Bind, ImageMount, Origin, VolumeMount, Wanted, What, tmpfs};
use crate::error::{Error, Result};

/// What the request's mounts need to know of this machine.
pub(super) struct Context<'a> {
    /// The daemon's own files: mounts of them are seen by whoever binds them.
    pub(super) data_root: &'a Path,
    /// The image of this name.
    pub(super) image: &'a dyn Fn(&str) -> Result<onggi_model::Digest>,
}

/// Everything the fields ask for.
pub(super) fn read(host: &HostConfig, context: &Context<'_>) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let binds = host
        .binds
        .iter()
        .flatten()
        .map(|text| bind(text, &host.volume_driver, context));
    let mounts = host
        .mounts
        .iter()
        .flatten()
        .map(|mount| read_mount(mount, context));
    let tmpfs = host
        .tmpfs
        .iter()
        .flatten()
        .map(|(target, options)| tmpfs_field(target, options));
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

fn bind(text: &str, driver: &str, context: &Context<'_>) -> Result<Wanted> {
    let spec = volume_spec::parse(text).map_err(|fault| Error::of(&fault))?;
    if spec.relabel.is_some() && has_selinux() {
        return Err(Error::not_implemented(format!(
            "-v {text}: SELinux labels are not there yet; leave z and Z away, or label the files with chcon"
        )));
    }
    let volume = |name: String, anonymous| {
        What::Volume(VolumeMount {
            name,
            anonymous,
            driver: driver.to_owned(),
            origin: match spec.no_copy {
                true => Origin::Bare,
                false => Origin::Filled,
            },
            ..VolumeMount::default()
        })
    };
    let mut mode = spec.mode.clone();
    let what = match spec.source {
        Source::Bind(source) => What::Bind(Bind {
            propagation: propagation(spec.propagation.as_deref(), &source, context)?,
            source,
            recursive: true,
            recursively_readonly: spec.read_only,
            create: true,
        }),
        Source::Volume(name) => volume(name, false),
        Source::Anonymous => volume(String::new(), true),
    };
    if matches!(what, What::Volume(_)) && mode.is_empty() {
        "z".clone_into(&mut mode);
    }
    Ok(Wanted {
        what,
        readonly: spec.read_only,
        mode,
        target: spec.destination,
    })
}

/// Without SELinux there is nothing to label, and `z` means nothing.
fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Docker's default, but for what lies around or in the daemon's own files.
fn propagation(asked: Option<&str>, source: &str, context: &Context<'_>) -> Result<String> {
    let (root, path) = (context.data_root, Path::new(source));
    let around = path.starts_with(root) || root.starts_with(path);
    match asked.unwrap_or_default() {
        "" if around => Ok("rslave".to_owned()),
        "" => Ok("rprivate".to_owned()),
        other if around && !matches!(other, "rslave" | "rshared") => Err(Error::invalid(format!(
            "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is \
             within the daemon root, daemon root: \"{}\", bind mount source: \"{source}\", propagation: \"{other}\"",
            root.display()
        ))),
        other => Ok(other.to_owned()),
    }
}

fn read_mount(mount: &Mount, context: &Context<'_>) -> Result<Wanted> {
    let kind = mount.kind.as_str();
    let invalid =
        |why: String| Error::invalid(format!("invalid mount config for type \"{kind}\": {why}"));
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty".to_owned()));
    }
    let target = volume_spec::clean_path(&mount.target);
    if target == "/" {
        return Err(invalid(
            "invalid specification: destination can't be '/'".to_owned(),
        ));
    }
    absolute(&mount.target).map_err(invalid)?;
    for (given, field, own) in [
        (mount.bind_options.is_some(), "BindOptions", "bind"),
        (mount.volume_options.is_some(), "VolumeOptions", "volume"),
        (mount.image_options.is_some(), "ImageOptions", "image"),
        (mount.tmpfs_options.is_some(), "TmpfsOptions", "tmpfs"),
        (mount.cluster_options.is_some(), "ClusterOptions", "cluster"),
    ] {
        if given && kind != own {
            return Err(invalid(format!("field {field} must not be specified")));
        }
    }
    let what = match kind {
        "bind" => bind_mount(mount),
        "volume" => volume_mount(mount),
        "tmpfs" => tmpfs_mount(mount),
        "image" => image_mount(mount, context),
        "cluster" => {
            Err("cluster volumes need Swarm, which is not there; use type=volume".to_owned())
        }
        _ => Err("mount type unknown".to_owned()),
    };
    let mut what = what.map_err(invalid)?;
    if let What::Volume(volume) = &what
        && !volume.anonymous
        && !volume_spec::is_volume_name(&volume.name)
    {
        return Err(Error::of(&volume_spec::bad_name(&volume.name)));
    }
    if let What::Bind(bind) = &mut what {
        bind.propagation = propagation(Some(&bind.propagation), &bind.source, context)?;
    }
    Ok(Wanted {
        target,
        mode: match kind {
            "volume" => "z".to_owned(),
            _ => String::new(),
        },
        readonly: mount.read_only || kind == "image",
        what,
    })
}

type Found = std::result::Result<What, String>;

fn bind_mount(mount: &Mount) -> Found {
    const PROPAGATIONS: [&str; 7] = [
        "", "private", "rprivate", "shared", "rshared", "slave", "rslave",
    ];
    let options = mount.bind_options.clone().unwrap_or_default();
    if mount.source.is_empty() {
        return Err("field Source must not be empty".to_owned());
    }
    let asked = options.propagation.as_str();
    if !PROPAGATIONS.contains(&asked) {
        return Err(format!("invalid propagation mode: {asked}"));
    }
    absolute(&mount.source)?;
    if !options.create_mountpoint && !Path::new(&mount.source).exists() {
        return Err(format!("bind source path does not exist: {}", mount.source));
    }
    if options.read_only_non_recursive && options.read_only_force_recursive {
        return Err(
            "ReadOnlyNonRecursive and ReadOnlyForceRecursive cannot be used together".to_owned(),
        );
    }
    // The other one says nothing about a mount that is writable: old clients get it everywhere.
    if options.read_only_force_recursive && !mount.read_only {
        return Err("ReadOnlyForceRecursive needs ReadOnly".to_owned());
    }
    if options.read_only_force_recursive && options.non_recursive {
        return Err("ReadOnlyForceRecursive and NonRecursive cannot be used together".to_owned());
    }
    if options.read_only_force_recursive && !matches!(asked, "rprivate" | "private") {
        return Err(
            "ReadOnlyForceRecursive needs the propagation rprivate: the host could mount something writable later"
                .to_owned(),
        );
    }
    Ok(What::Bind(Bind {
        source: volume_spec::clean_path(&mount.source),
        propagation: asked.to_owned(),
        recursive: !options.non_recursive,
        recursively_readonly: mount.read_only && !options.read_only_non_recursive,
        create: options.create_mountpoint,
    }))
}

fn volume_mount(mount: &Mount) -> Found {
    let options = mount.volume_options.clone().unwrap_or_default();
    let (name, anonymous) = (mount.source.clone(), mount.source.is_empty());
    if anonymous && mount.read_only {
        return Err("must not set ReadOnly mode when using anonymous volumes".to_owned());
    }
    if !options.subpath.is_empty() {
        if anonymous {
            return Err("must not set Subpath when using anonymous volumes".to_owned());
        }
        if !is_local(&options.subpath) {
            return Err("subpath must be a relative path within the volume".to_owned());
        }
    }
    let driver = options.driver_config.unwrap_or_default();
    Ok(What::Volume(VolumeMount {
        name,
        anonymous,
        driver: driver.name,
        labels: options.labels.unwrap_or_default(),
        options: driver.options.unwrap_or_default(),
        subpath: options.subpath,
        origin: match options.no_copy {
            true => Origin::Bare,
            false => Origin::Filled,
        },
    }))
}

fn tmpfs_mount(mount: &Mount) -> Found {
    if !mount.source.is_empty() {
        return Err("field Source must not be specified".to_owned());
    }
    let options = mount.tmpfs_options.clone().unwrap_or_default();
    let options = tmpfs::of_mount(&options).map_err(|error| error.to_string())?;
    Ok(What::Tmpfs {
        options,
        listed: true,
    })
}

fn image_mount(mount: &Mount, context: &Context<'_>) -> Found {
    if mount.source.is_empty() {
        return Err("field Source must not be empty".to_owned());
    }
    let options = mount.image_options.clone().unwrap_or_default();
    if !options.subpath.is_empty() && !is_local(&options.subpath) {
        return Err("subpath must be a relative path within the image".to_owned());
    }
    Ok(What::Image(ImageMount {
        reference: mount.source.clone(),
        id: (context.image)(&mount.source).map_err(|error| error.to_string())?,
        subpath: options.subpath,
    }))
}

/// `--tmpfs /run:size=64m`.
fn tmpfs_field(target: &str, text: &str) -> Result<Wanted> {
    let cleaned = volume_spec::clean_path(target);
    if cleaned == "/" {
        return Err(Error::invalid(
            "invalid specification: destination can't be '/'",
        ));
    }
    absolute(target).map_err(Error::invalid)?;
    let options = tmpfs::of_text(text)?;
    let readonly = options.iter().any(|option| option == "ro");
    Ok(Wanted {
        target: cleaned,
        what: What::Tmpfs {
            options,
            listed: false,
        },
        readonly,
        mode: String::new(),
    })
}

fn absolute(path: &str) -> std::result::Result<(), String> {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        )),
    }
}

/// Relative, and not out of where it begins, by its text.
fn is_local(path: &str) -> bool {
    let mut depth = 0_i32;
    let inside = path.split('/').all(|part| {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        depth >= 0
    });
    inside && !path.starts_with('/')
}

/// How `--volumes-from` names a container and what of its volumes may be written.
pub(super) fn volumes_from(spec: &str) -> Result<(&str, bool)> {
    if spec.is_empty() {
        return Err(Error::invalid(
            "volumes-from specification cannot be an empty string",
        ));
    }
    let Some((id, mode)) = spec.split_once(':') else {
        return Ok((spec, true));
    };
    // Propagation and copying are not for volumes of others.
    let known = mode
        .split(',')
        .all(|word| matches!(word, "ro" | "rw" | "z" | "Z"));
    if !known {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("invalid mode: {mode}"),
        ));
    }
    Ok((id, !mode.split(',').any(|word| word == "ro")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(host: &HostConfig) -> Result<Vec<Wanted>> {
        let context = Context {
            data_root: Path::new("/var/lib/onggi"),
            image: &|name| Err(Error::not_found(format!("No such image: {name}"))),
        };
        read(host, &context)
    }

    fn host(binds: &[&str], mounts: Vec<Mount>) -> HostConfig {
        HostConfig {
            binds: Some(binds.iter().map(|&b| b.to_owned()).collect()),
            mounts: Some(mounts),
            ..HostConfig::default()
        }
    }

    #[test]
    fn binds_and_volumes_are_told_apart() {
        let wanted = read_of(&host(&["/srv:/data:ro", "data:/d:nocopy", "/e"], vec![]));
        let wanted = wanted.expect("reads");
        assert!(matches!(&wanted[0].what, What::Bind(bind) if bind.recursively_readonly));
        let volume = |at: usize| match &wanted[at].what {
            What::Volume(volume) => (volume.name.clone(), volume.anonymous, volume.origin),
            other => panic!("{other:?}"),
        };
        assert_eq!(volume(1), ("data".to_owned(), false, Origin::Bare));
        assert_eq!(volume(2), (String::new(), true, Origin::Filled));
        let modes: Vec<_> = wanted.iter().map(|w| w.mode.as_str()).collect();
        assert_eq!(modes, ["ro", "nocopy", "z"]);
    }

    #[test]
    fn what_lies_around_our_files_is_a_slave() {
        for (bind, propagation) in [
            ("/srv:/x", Some("rprivate")),
            ("/:/x", Some("rslave")),
            ("/var/lib/onggi/volumes:/x", Some("rslave")),
            ("/var/lib/onggi2:/x", Some("rprivate")),
            ("/var:/x:rshared", Some("rshared")),
            ("/var:/x:rprivate", None),
        ] {
            let found = read_of(&host(&[bind], vec![])).ok();
            let found = found.map(|wanted| match &wanted[0].what {
                What::Bind(bind) => bind.propagation.clone(),
                other => panic!("{other:?}"),
            });
            assert_eq!(found.as_deref(), propagation, "{bind}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let missing = Mount {
            kind: "bind".to_owned(),
            source: "/no/such/dir".to_owned(),
            target: "/x".to_owned(),
            ..Mount::default()
        };
        let image = Mount {
            kind: "image".to_owned(),
            source: "a".to_owned(),
            target: "/x".to_owned(),
            ..Mount::default()
        };
        for (host, text) in [
            (
                host(&["/a:/x", "/b:/x"], vec![]),
                "Duplicate mount point: /x",
            ),
            (
                host(&[], vec![missing]),
                "invalid mount config for type \"bind\": bind source path does not exist: /no/such/dir",
            ),
            (host(&[], vec![image]), "No such image: a"),
        ] {
            let error = read_of(&host).expect_err(text).to_string();
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    }

    #[test]
    fn volumes_from_has_modes_of_its_own() {
        assert_eq!(volumes_from("a").expect("reads"), ("a", true));
        assert_eq!(volumes_from("a:ro,z").expect("reads"), ("a", false));
        assert_eq!(volumes_from("a:rw").expect("reads"), ("a", true));
        for bad in ["", "a:nocopy", "a:rslave", "a:"] {
            assert!(volumes_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subpaths_stay_inside() {
        for (path, inside) in [
            ("a", true),
            ("a/../b", true),
            ("./a", true),
            ("..", false),
            ("a/../../b", false),
            ("/a", false),
        ] {
            assert_eq!(is_local(path), inside, "{path}");
        }
    }
}
