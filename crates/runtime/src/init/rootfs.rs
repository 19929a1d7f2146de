//! The root file system: a detached mount, put on top of the host's `/` in this mount namespace only. Names still lead to the
//! host; the new root is reached by its descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use onggi_sys::mount::{Attributes, Reach, set_attributes};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags,
};

use super::Container;
use super::mounts::complaint;
use crate::Error;
use crate::error::reason;
use crate::launch::Rootfs;
use crate::options::Propagation;
use crate::root::Root;

/// fsconfig(2) takes strings up to 255 bytes.
const MAX_STRING: usize = 255;
/// mount(2) takes one page of options.
const MAX_DATA: usize = 4000;

pub(super) fn mount(container: &mut Container<'_>) -> Result<(), Error> {
    // A mount must not be moved below a shared one, and pivot_root(2) refuses one: "/" itself leaves its peers. The sources of bind
    // mounts were copied before, and keep theirs.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE)
        .map_err(Error::rootfs("making / private"))?;
    let root = match container.rootfs {
        Rootfs::Directory(path) => directory(path)?,
        Rootfs::Overlay {
            lower,
            upper,
            work,
            volatile,
        } => {
            let overlay = Overlay {
                lower,
                upper,
                work,
                volatile: *volatile,
            };
            match overlay.mount()? {
                Some(root) => root,
                None => {
                    container.child.root = Some(Root::new(overlay.mount_by_path()?));
                    return Ok(());
                }
            }
        }
    };
    attach(&root)?;
    container.child.root = Some(Root::new(root));
    Ok(())
}

/// Mounts the root at a directory of the current mount namespace.
pub(crate) fn mount_at(rootfs: &Rootfs, place: &Path) -> Result<(), Error> {
    let root = match rootfs {
        Rootfs::Directory(path) => directory(path)?,
        Rootfs::Overlay {
            lower,
            upper,
            work,
            volatile,
        } => {
            let overlay = Overlay {
                lower,
                upper,
                work,
                volatile: *volatile,
            };
            match overlay.mount()? {
                Some(root) => root,
                None => rustix::mount::open_tree(
                    overlay.mount_by_path()?,
                    "",
                    OpenTreeFlags::OPEN_TREE_CLONE
                        | OpenTreeFlags::OPEN_TREE_CLOEXEC
                        | OpenTreeFlags::AT_EMPTY_PATH,
                )
                .map_err(Error::rootfs("copying the overlay"))?,
            }
        }
    };
    rustix::mount::move_mount(
        root,
        "",
        CWD,
        place,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(Error::rootfs("attaching it"))
}

fn attach(root: &OwnedFd) -> Result<(), Error> {
    rustix::mount::move_mount(root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(Error::rootfs("attaching it"))
}

fn directory(path: &Path) -> Result<OwnedFd, Error> {
    let failed = |error: Errno| Error::Rootfs(format!("{}: {}", path.display(), reason(&error)));
    let tree = rustix::mount::open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE,
    )
    .map_err(failed)?;
    let private = Attributes {
        propagation: Propagation::Private.bits(),
        ..Attributes::default()
    };
    set_attributes(tree.as_fd(), Reach::One, private)
        .map_err(Error::rootfs("making it private"))?;
    // "Not a directory" here, not in the middle of the mounts.
    if crate::root::kind_of(&tree).map_err(Error::rootfs("stat"))?
        != rustix::fs::FileType::Directory
    {
        return Err(failed(Errno::NOTDIR));
    }
    Ok(tree)
}

/// Whether a kernel's release, "6.1.0-37-cloud-amd64", is older. One that cannot be read is not.
fn is_before(release: &[u8], version: (u32, u32)) -> bool {
    let text = String::from_utf8_lossy(release);
    let mut numbers = text.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < version,
        _ => false,
    }
}

struct Overlay<'a> {
    lower: &'a [PathBuf],
    upper: &'a Path,
    work: &'a Path,
    volatile: bool,
}

impl Overlay<'_> {
    /// By the new mount API; `None` when the kernel does not take layers one by one (before 6.7).
    fn mount(&self) -> Result<Option<OwnedFd>, Error> {
        if self.lower.is_empty() {
            return Err(Error::Rootfs("an overlay needs a lower layer".to_owned()));
        }
        // Asking an old kernel costs a line in its log for each container.
        if is_before(rustix::system::uname().release().to_bytes(), (6, 7)) {
            return Ok(None);
        }
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(Error::rootfs("overlay"))?;
        let failed = |what: &Path, error: Errno| {
            Error::Rootfs(format!(
                "overlay: {}: {}",
                what.display(),
                complaint(&context).unwrap_or_else(|| reason(&error))
            ))
        };
        // Held until the mount is made: long paths are given as descriptors.
        let mut held = Vec::new();
        for (at, layer) in self.lower.iter().enumerate() {
            let layer_text = short(layer, &mut held)?;
            match rustix::mount::fsconfig_set_string(&context, "lowerdir+", &layer_text) {
                Ok(()) => {}
                Err(Errno::INVAL) if at == 0 && layer.exists() => return Ok(None),
                Err(error) => return Err(failed(layer, error)),
            }
        }
        for (key, path) in [("upperdir", self.upper), ("workdir", self.work)] {
            let text = short(path, &mut held)?;
            rustix::mount::fsconfig_set_string(&context, key, &text)
                .map_err(|error| failed(path, error))?;
        }
        // An index would tie the upper layer to these very lower directories; they may have been restored from elsewhere.
        let _ = rustix::mount::fsconfig_set_string(&context, "index", "off");
        if self.volatile {
            rustix::mount::fsconfig_set_flag(&context, "volatile")
                .map_err(|error| failed(self.upper, error))?;
        }
        let _ = rustix::mount::fsconfig_set_string(&context, "source", "overlay");
        match rustix::mount::fsconfig_create(&context) {
            Ok(()) => {}
            // Before 6.5 overlayfs takes any key without looking, refuses all at once, and says nothing.
            Err(Errno::INVAL) => match complaint(&context) {
                None => return Ok(None),
                Some(text) => return Err(Error::Rootfs(format!("overlay: {text}"))),
            },
            Err(error) => return Err(failed(self.upper, error)),
        }
        let mount = rustix::mount::fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )
        .map_err(Error::rootfs("fsmount of the overlay"))?;
        Ok(Some(mount))
    }

    /// By mount(2), onto the work directory, which is covered by it for this namespace. With many layers the page of options
    /// is too short for full paths: names are given relative to the directory all layers lie in, or, if that is still too
    /// long, as descriptors.
    fn mount_by_path(&self) -> Result<OwnedFd, Error> {
        let base = self.lower[0].parent().unwrap_or(Path::new("/"));
        let relative = |layer: &PathBuf| layer.strip_prefix(base).unwrap_or(layer).to_owned();
        let mut names: Vec<PathBuf> = self.lower.iter().map(relative).collect();
        names.extend([self.upper.to_owned(), self.work.to_owned()]);
        let mut held = Vec::new();
        let mut data = self.data(&names);
        let mut directory = base;
        if data.len() > MAX_DATA {
            for path in self.paths() {
                let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|error| self.blame(error))?;
                held.push(fd);
            }
            names = held
                .iter()
                .map(|fd| fd.as_raw_fd().to_string().into())
                .collect();
            data = self.data(&names);
            directory = Path::new("/proc/self/fd");
        }
        if data.len() > MAX_DATA {
            return Err(Error::Rootfs(format!(
                "overlay: {} layers are more than this kernel takes",
                self.lower.len()
            )));
        }
        let data = std::ffi::CString::new(data).map_err(Error::rootfs("overlay"))?;
        rustix::process::chdir(directory).map_err(Error::rootfs("the directory of the layers"))?;
        rustix::mount::mount(
            "overlay",
            self.work,
            "overlay",
            MountFlags::empty(),
            data.as_c_str(),
        )
        .map_err(|error| self.blame(error))?;
        let root = rustix::fs::open(
            self.work,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(Error::rootfs("opening the overlay"))?;
        let private = Attributes {
            propagation: Propagation::Private.bits(),
            ..Attributes::default()
        };
        set_attributes(root.as_fd(), Reach::One, private)
            .map_err(Error::rootfs("making it private"))?;
        Ok(root)
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.lower
            .iter()
            .map(PathBuf::as_path)
            .chain([self.upper, self.work])
    }

    /// Options by names in the order of [`Self::paths`].
    fn data(&self, names: &[PathBuf]) -> String {
        let names: Vec<String> = names
            .iter()
            .map(|name| escape(&name.to_string_lossy()))
            .collect();
        let (lower, own) = names.split_at(self.lower.len());
        let mut data = format!(
            "lowerdir={},upperdir={},workdir={},index=off",
            lower.join(":"),
            own[0],
            own[1]
        );
        if self.volatile {
            data.push_str(",volatile");
        }
        data
    }

    /// mount(2) does not say which path it is about.
    fn blame(&self, error: Errno) -> Error {
        let missing = self
            .paths()
            .find(|path| !path.exists())
            .unwrap_or(self.upper);
        Error::Rootfs(format!(
            "overlay: {}: {}",
            missing.display(),
            reason(&error)
        ))
    }
}

/// The path, or the name of a descriptor of it when it is too long for the kernel.
fn short(path: &Path, held: &mut Vec<OwnedFd>) -> Result<String, Error> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::Rootfs(format!("{} is not UTF-8", path.display())))?;
    if text.len() <= MAX_STRING {
        return Ok(text.to_owned());
    }
    let directory = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::Rootfs(format!("{}: {}", path.display(), reason(&error))))?;
    let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
    held.push(directory);
    Ok(name)
}

/// overlayfs splits at colons and the kernel at commas, unless a backslash is in front.
fn escape(path: &str) -> String {
    path.replace('\\', "\\\\")
        .replace(':', "\\:")
        .replace(',', "\\,")
}

#[cfg(test)]
mod tests {
    use super::is_before;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, before) in [
            ("6.1.0-37-cloud-amd64", true),
            ("5.15.0", true),
            ("6.7-rc1", false),
            ("6.18.5", false),
            ("10.0.1", false),
            ("strange", false),
        ] {
            assert_eq!(is_before(release.as_bytes(), (6, 7)), before, "{release}");
        }
    }
}
