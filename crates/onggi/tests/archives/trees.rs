//! Images shaped as real ones, made of the files of Debian's packages with a layer of changes on top: pulled and
//! exported, ours are the same trees as Docker's.

use super::{has_dockerd, on};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Image, Layer, Registry, Subject, digest};
use rustix::fs::{XattrFlags, setxattr};
use serde_json::json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages with set-user-id programs, hard links, links to everywhere, names beyond ASCII, deep folders.
pub(crate) const PACKAGES: &[&str] = &[
    "passwd",
    "ca-certificates",
    "bash",
    "coreutils",
    "e2fsprogs",
    "login",
    "mount",
    "perl-base",
    "tzdata",
    "util-linux",
];
/// So many in the short tier.
pub(crate) const FEW: usize = 2;
/// `cap_net_raw=ep`, revision 2.
const CAPABILITY: &[u8] = &[
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
/// What an engine puts into every container.
const ENGINES: &[&str] = &[
    ".dockerenv",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
];
/// Folders whose attributes, and in the first three also content, are the engine's.
const FOLDERS: &[&str] = &["dev", "proc", "sys", "etc", ""];

/// What a tree tells of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    seconds: i64,
    device: u64,
    content: String,
    capability: Vec<u8>,
    /// The first name of the same file.
    first: PathBuf,
}

type Tree = BTreeMap<PathBuf, Seen>;

#[test]
fn images_of_packages_are_the_trees_that_docker_makes() -> Result<()> {
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
            images.push((*package, image(&files)?));
        }
    }
    ensure!(images.len() >= FEW, "none of these packages is installed");
    let trees = RefCell::new(Vec::new());
    for subject in [Subject::Onggi, Subject::Dockerd] {
        on(subject, |daemon| {
            let registry = Registry::start(daemon.namespace(), 5000)?;
            let mut seen = Vec::new();
            for (name, image) in &images {
                seen.push(exported(daemon, &registry, name, image).context(*name)?);
            }
            trees.borrow_mut().push(seen);
            Ok(())
        })?;
    }
    let trees = trees.into_inner();
    for (at, (name, _)) in images.iter().enumerate() {
        let (ours, theirs) = (&trees[0][at], &trees[1][at]);
        ensure!(theirs.len() > 10, "{name}: {} names", theirs.len());
        let names: BTreeSet<&PathBuf> = ours.keys().chain(theirs.keys()).collect();
        let differ: Vec<String> = names
            .into_iter()
            .filter(|path| ours.get(*path) != theirs.get(*path))
            .map(|path| {
                format!(
                    "{path:?}: {:?}\n  Docker: {:?}",
                    ours.get(path),
                    theirs.get(path)
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
    }
    Ok(())
}

/// Pulls an image and looks at what a container of it exports.
fn exported(daemon: &Daemon, registry: &Registry<'_>, name: &str, image: &Image) -> Result<Tree> {
    registry.push(image, name, "latest")?;
    let reference = format!("{}/{name}:latest", registry.address());
    daemon.cli(&["pull", "-q", &reference])?.ok()?;
    let body = json!({"Image": reference, "Cmd": ["none"]});
    let created = daemon.post("/containers/create", &body)?.ok()?.json()?;
    let id = created["Id"].as_str().context("no Id")?.to_owned();
    let place = tempfile::tempdir()?;
    let tar = place.path().join("export.tar");
    let output = tar.to_str().context("a path")?;
    daemon.cli(&["export", "-o", output, &id])?.ok()?;
    daemon.cli(&["rm", &id])?.ok()?;
    daemon.cli(&["rmi", &reference])?.ok()?;
    let root = place.path().join("root");
    fs::create_dir(&root)?;
    let mut unpack = Command::new("tar");
    unpack
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&tar)
        .arg("-C")
        .arg(&root);
    run(&mut unpack)?;
    look(&root)
}

/// What is installed of a package: real paths with all folders above them, without those that are not there.
pub(crate) fn files_of(package: &str) -> Result<Option<BTreeSet<PathBuf>>> {
    let Ok(output) = Command::new("dpkg-query").args(["-L", package]).output() else {
        return Ok(None);
    };
    if !output.status.success() {
        return Ok(None);
    }
    let mut files = BTreeSet::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let path = Path::new(line);
        let (Ok(status), Some(parent), Some(name)) =
            (path.symlink_metadata(), path.parent(), path.file_name())
        else {
            continue;
        };
        // `/bin` is a link to `/usr/bin` where the package has a folder.
        let real = match status.is_symlink() && path.is_dir() && line.matches('/').count() == 1 {
            true => path.canonicalize()?,
            false => parent.canonicalize()?.join(name),
        };
        files.extend(real.ancestors().map(Path::to_path_buf));
        files.insert(real);
    }
    files.remove(Path::new("/"));
    Ok((files.len() > 10).then_some(files))
}

/// The files as a layer, and on top what is done to images: names removed, replaced and added.
pub(crate) fn image(files: &BTreeSet<PathBuf>) -> Result<Image> {
    let place = tempfile::tempdir()?;
    let list = place.path().join("list");
    let names: Vec<&str> = files
        .iter()
        .filter_map(|path| path.to_str()?.strip_prefix('/'))
        .collect();
    fs::write(&list, names.join("\n"))?;
    let base = tar(Path::new("/"), |command| {
        command.arg("--no-recursion").arg("-T").arg(&list);
    })?;
    let stage = place.path().join("stage");
    fs::create_dir(&stage)?;
    change(files, &stage)?;
    let changes = tar(&stage, |command| {
        command.args(["--mtime=@1700000000", "."]);
    })?;
    Ok(Image::new(vec![
        Layer::from_tar(base),
        Layer::from_tar(changes),
    ]))
}

/// Makes the layer of changes, as it is in a tar.
fn change(files: &BTreeSet<PathBuf>, stage: &Path) -> Result<()> {
    let inside = |path: &Path| stage.join(path.strip_prefix("/").unwrap_or(path));
    let removal = |path: &Path| -> Result<()> {
        let name = path
            .file_name()
            .context("a name")?
            .to_str()
            .context("UTF-8")?;
        let parent = inside(path.parent().context("a parent")?);
        fs::create_dir_all(&parent)?;
        fs::write(parent.join(format!(".wh.{name}")), "")?;
        Ok(())
    };
    let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|status| status.is_file());
    // Folders with nothing but files in them, which no other change meets.
    let mut leaves: Vec<&PathBuf> = files
        .iter()
        .filter(|path| path.is_dir() && !path.is_symlink())
        .filter(|path| {
            let mut below = files
                .iter()
                .filter(|file| file.starts_with(path) && file != path);
            below.clone().next().is_some() && below.all(is_file)
        })
        .collect();
    if let Some(gone) = leaves.pop() {
        removal(gone)?;
    }
    if let Some(opaque) = leaves.pop() {
        let opaque = inside(opaque);
        fs::create_dir_all(&opaque)?;
        fs::write(opaque.join(".wh..wh..opq"), "")?;
        fs::write(opaque.join("alone"), "now")?;
    }
    if let Some(replaced) = leaves.pop() {
        let replaced = inside(replaced);
        fs::create_dir_all(replaced.parent().context("a parent")?)?;
        fs::write(replaced, "a folder became a file")?;
    }
    let mut rest = files.iter().filter(|file| {
        is_file(file)
            && leaves
                .iter()
                .any(|leaf| file.parent() == Some(leaf.as_path()))
    });
    if let Some(gone) = rest.next() {
        removal(gone)?;
    }
    if let Some(file) = rest.next() {
        let folder = inside(file);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("in it"), "a file became a folder")?;
    }
    if let Some(file) = rest.next() {
        let link = inside(file);
        fs::create_dir_all(link.parent().context("a parent")?)?;
        symlink("/nowhere/at all", link)?;
    }
    if let Some(file) = rest.next() {
        let changed = inside(file);
        fs::create_dir_all(changed.parent().context("a parent")?)?;
        fs::write(&changed, "other words")?;
        fs::set_permissions(&changed, fs::Permissions::from_mode(0o4711))?;
        std::os::unix::fs::chown(&changed, Some(1000), Some(50_000))?;
    }
    let new = stage.join("srv/new");
    fs::create_dir_all(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o3775))?;
    fs::write(new.join("one name"), "of two")?;
    fs::hard_link(new.join("one name"), stage.join("srv/another"))?;
    fs::write(new.join("ping"), "#!/bin/sh\n")?;
    setxattr(
        new.join("ping"),
        "security.capability",
        CAPABILITY,
        XattrFlags::empty(),
    )?;
    fs::write(
        new.join("f\u{151}tan\u{fa}s\u{ed}tv\u{e1}ny \u{d55c}"),
        "beyond ASCII",
    )?;
    let deep = (0..12).fold(new.clone(), |path, _| path.join("d".repeat(30)));
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("n".repeat(200)), "long")?;
    symlink(format!("../{}", "t".repeat(300)), new.join("long link"))?;
    Ok(())
}

/// A tar of what `what` names below `root`.
pub(crate) fn tar(root: &Path, what: impl FnOnce(&mut Command)) -> Result<Vec<u8>> {
    let mut command = Command::new("tar");
    command
        .args(["--format=pax", "--numeric-owner", "--sort=name", "--xattrs"])
        .args(["--xattrs-include=security.capability", "-cf", "-", "-C"])
        .arg(root);
    what(&mut command);
    run(&mut command)
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(output.stdout)
}

/// Everything below `root` but what is an engine's.
fn look(root: &Path) -> Result<Tree> {
    let mut seen = Tree::new();
    let mut firsts: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut paths = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        let name = path.strip_prefix(root)?.to_path_buf();
        let engines = FOLDERS[..3].iter().any(|folder| name.starts_with(folder));
        if engines || ENGINES.iter().any(|engines| name == Path::new(engines)) {
            continue;
        }
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
        if !FOLDERS.iter().any(|folder| name == Path::new(folder)) {
            paths.insert(name);
        }
    }
    for name in paths {
        let path = root.join(&name);
        let status = path.symlink_metadata()?;
        let content = if status.is_symlink() {
            format!("-> {}", fs::read_link(&path)?.display())
        } else if status.is_file() {
            digest(&fs::read(&path)?)
        } else {
            String::new()
        };
        let first = match status.is_dir() {
            true => name.clone(),
            false => firsts.entry(status.ino()).or_insert(name.clone()).clone(),
        };
        let mut capability = vec![0; 64];
        let length = rustix::fs::lgetxattr(&path, "security.capability", &mut capability[..]);
        capability.truncate(length.unwrap_or(0));
        seen.insert(
            name,
            Seen {
                mode: status.mode(),
                owner: (status.uid(), status.gid()),
                seconds: status.mtime(),
                device: status.rdev(),
                content,
                capability,
                first,
            },
        );
    }
    Ok(seen)
}
