//! What new volumes get from images shaped as real ones: the same files as from Docker.

use super::trees::{FEW, PACKAGES, files_of, image, tar};
use super::{has_dockerd, on};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Image, Layer, Registry, Subject, digest};
use rustix::fs::{FileType, Mode, XattrFlags, mknodat, setxattr};
use serde_json::json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

/// What every container has before anything is copied, and so of another time each.
const OWN: &[&str] = &[
    "dev/console",
    "etc/hosts",
    "etc/hostname",
    "etc/mtab",
    "etc/resolv.conf",
];

/// What a tree tells of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    /// Of a directory zero: Docker gives it the time of the copy; of what every container has as well.
    mtime: (i64, i64),
    device: u64,
    content: String,
    attributes: BTreeMap<String, Vec<u8>>,
    /// The first name of the same file.
    first: PathBuf,
}

#[derive(Default)]
struct Tree {
    seen: BTreeMap<PathBuf, Seen>,
    directories: BTreeMap<PathBuf, (i64, i64)>,
    blocks: u64,
}

#[test]
fn volumes_get_the_files_that_docker_gives_them() -> Result<()> {
    if !has_dockerd() {
        return Ok(());
    }
    let count = match std::env::var_os("ONGGI_FULL") {
        Some(_) => PACKAGES.len(),
        None => FEW,
    };
    let mut images = Vec::new();
    for package in PACKAGES {
        if images.len() < count
            && let Some(files) = files_of(package)?
        {
            let tops: BTreeSet<PathBuf> = files
                .iter()
                .filter_map(|file| file.iter().nth(1))
                .map(PathBuf::from)
                .chain(["dev", "etc", "opt", "srv"].map(PathBuf::from))
                .collect();
            images.push((*package, image(&files)?.layer(oddities()?), tops));
        }
    }
    ensure!(images.len() >= FEW, "none of these packages is installed");
    let trees = RefCell::new(Vec::new());
    for subject in [Subject::Onggi, Subject::Dockerd] {
        on(subject, |daemon| {
            let registry = Registry::start(daemon.namespace(), 5000)?;
            let mut seen = Vec::new();
            for (name, image, tops) in &images {
                seen.push(copied(daemon, &registry, name, image, tops).context(*name)?);
            }
            trees.borrow_mut().push(seen);
            Ok(())
        })?;
    }
    let trees = trees.into_inner();
    for (at, (name, ..)) in images.iter().enumerate() {
        let (ours, theirs) = (&trees[0][at], &trees[1][at]);
        ensure!(
            theirs.seen.len() > 10,
            "{name}: {} names",
            theirs.seen.len()
        );
        let names: BTreeSet<&PathBuf> = ours.seen.keys().chain(theirs.seen.keys()).collect();
        let differ: Vec<String> = names
            .into_iter()
            .filter(|path| {
                let (mine, other) = (ours.seen.get(*path), theirs.seen.get(*path));
                // 20.10 leaves pipes out.
                let pipe = mine.is_some_and(|seen| seen.mode & 0o170_000 == 0o010_000);
                mine != other && (other.is_some() || !pipe)
            })
            .map(|path| {
                format!(
                    "{path:?}: {:?}\n  Docker: {:?}",
                    ours.seen.get(path),
                    theirs.seen.get(path)
                )
            })
            .collect();
        let shown = differ.len().min(10);
        ensure!(
            differ.is_empty(),
            "{name}: {} names differ:\n{}",
            differ.len(),
            differ[..shown].join("\n")
        );
        // What Docker loses is kept: times of directories, holes.
        let odd = ours.directories.get(Path::new("opt/odd"));
        ensure!(odd == Some(&(1_600_000_000, 0)), "{name}: {odd:?}");
        ensure!(
            ours.blocks <= theirs.blocks,
            "{name}: {} blocks, Docker's take {}",
            ours.blocks,
            theirs.blocks
        );
    }
    Ok(())
}

/// A layer with what packages lack.
fn oddities() -> Result<Layer> {
    let place = tempfile::tempdir()?;
    let odd = place.path().join("opt/odd");
    fs::create_dir_all(odd.join("sub"))?;
    fs::write(odd.join("attributes"), "with attributes")?;
    for (name, value) in [("user.note", &b"a\0b"[..]), ("trusted.note", b"of root")] {
        setxattr(odd.join("attributes"), name, value, XattrFlags::empty())?;
    }
    setxattr(
        odd.join("sub"),
        "user.note",
        b"a directory's",
        XattrFlags::empty(),
    )?;
    fs::hard_link(odd.join("attributes"), odd.join("sub/again"))?;
    fs::hard_link(odd.join("attributes"), odd.join("once more"))?;
    let at = rustix::fs::CWD;
    mknodat(at, odd.join("pipe"), FileType::Fifo, Mode::RUSR, 0)?;
    let device = rustix::fs::makedev(1, 3);
    mknodat(
        at,
        odd.join("null"),
        FileType::CharacterDevice,
        Mode::RUSR,
        device,
    )?;
    let device = rustix::fs::makedev(7, 250);
    mknodat(
        at,
        odd.join("loop"),
        FileType::BlockDevice,
        Mode::RUSR,
        device,
    )?;
    let sparse = fs::File::create(odd.join("sparse"))?;
    sparse.set_len(8 << 20)?;
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 4 << 20)?;
    symlink("sub/again", odd.join("link"))?;
    std::os::unix::fs::lchown(odd.join("link"), Some(123), Some(456))?;
    chown(odd.join("sub"), Some(1), Some(4_000_000_000))?;
    fs::set_permissions(odd.join("sub"), fs::Permissions::from_mode(0o7751))?;
    fs::write(odd.join("suid"), "")?;
    chown(odd.join("suid"), Some(33), Some(44))?;
    fs::set_permissions(odd.join("suid"), fs::Permissions::from_mode(0o6511))?;
    let bytes = tar(place.path(), |command| {
        command.args(["--xattrs-include=*", "--mtime=@1600000000", "."]);
    })?;
    Ok(Layer::from_tar(bytes))
}

/// Pulls an image, has its folders copied into new volumes, and looks at those.
fn copied(
    daemon: &Daemon,
    registry: &Registry<'_>,
    name: &str,
    image: &Image,
    tops: &BTreeSet<PathBuf>,
) -> Result<Tree> {
    registry.push(image, name, "latest")?;
    let reference = format!("{}/{name}:latest", registry.address());
    daemon.cli(&["pull", "-q", &reference])?.ok()?;
    let binds: Vec<String> = tops
        .iter()
        .map(|top| format!("vol-{0}:/{0}", top.display()))
        .collect();
    let body = json!({"Image": reference, "Cmd": ["none"], "HostConfig": {"Binds": binds}});
    let created = daemon.post("/containers/create", &body)?.ok()?.json()?;
    let id = created["Id"].as_str().context("no Id")?.to_owned();
    let mut tree = Tree::default();
    for top in tops {
        let volume = format!("volumes/vol-{}/_data", top.display());
        look(&daemon.data_root().join(volume), top, &mut tree)?;
    }
    daemon.cli(&["rm", &id])?.ok()?;
    for top in tops {
        daemon
            .delete(&format!("/volumes/vol-{}", top.display()))?
            .ok()?;
    }
    daemon.cli(&["rmi", &reference])?.ok()?;
    Ok(tree)
}

/// Everything in a volume, under the names that the image has for it.
fn look(root: &Path, top: &Path, tree: &mut Tree) -> Result<()> {
    let mut firsts: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut paths = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
        paths.insert(path);
    }
    for path in paths {
        let name = match path.strip_prefix(root)? {
            rest if rest.as_os_str().is_empty() => top.to_path_buf(),
            rest => top.join(rest),
        };
        let own = OWN.iter().any(|own| name == Path::new(own));
        let status = path.symlink_metadata()?;
        let content = if status.is_symlink() {
            format!("-> {}", fs::read_link(&path)?.display())
        } else if status.is_file() {
            tree.blocks += status.blocks();
            digest(&fs::read(&path)?)
        } else {
            String::new()
        };
        let first = match status.is_dir() {
            true => name.clone(),
            false => firsts.entry(status.ino()).or_insert(name.clone()).clone(),
        };
        let time = (status.mtime(), status.mtime_nsec());
        if status.is_dir() {
            tree.directories.insert(name.clone(), time);
        }
        let seen = Seen {
            mode: status.mode(),
            owner: (status.uid(), status.gid()),
            mtime: if status.is_dir() || own { (0, 0) } else { time },
            device: status.rdev(),
            content,
            attributes: attributes(&path)?,
            first,
        };
        tree.seen.insert(name, seen);
    }
    Ok(())
}

fn attributes(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..])?;
    let mut found = BTreeMap::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..])?;
        value.truncate(length);
        found.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    Ok(found)
}
