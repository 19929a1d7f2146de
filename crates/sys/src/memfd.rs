//! Sealed copies of programs in memory: what enters a container runs from one, so that nothing in there can lead back to, or
//! write to, a file of the host (CVE-2019-5736).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};

fn seals() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

/// Copies the file at `path` into a new memfd named after it, and seals it against every change. Close-on-exec.
///
/// # Errors
/// When the file cannot be read, or memory is short.
pub fn sealed_copy(path: &Path) -> io::Result<OwnedFd> {
    let mut source = File::open(path)?;
    let name = path
        .file_name()
        .map_or_else(|| "program".into(), |name| name.to_string_lossy());
    sealed_copy_of(&mut source, &name)
}

/// The same from an open file.
///
/// # Errors
/// When the file cannot be read, or memory is short.
pub fn sealed_copy_of(source: &mut File, name: &str) -> io::Result<OwnedFd> {
    let name = name.chars().take(200).collect::<String>();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 want to hear that it will be executed; older ones do not know the flag.
    let memory = match rustix::fs::memfd_create(&name, flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(&name, flags)?,
        other => other?,
    };
    let mut target = File::from(memory);
    io::copy(source, &mut target)?;
    rustix::fs::fchmod(&target, rustix::fs::Mode::from_raw_mode(0o555))?;
    seal(&target)?;
    Ok(target.into())
}

/// The kernel refuses (EBUSY) while something holds a page of the file, if only another processor's list of fresh pages; it waits
/// a little by itself, and on a busy machine that is not enough.
fn seal(target: &File) -> io::Result<()> {
    for _ in 0..20 {
        match rustix::fs::fcntl_add_seals(target, seals()) {
            Err(rustix::io::Errno::BUSY) => std::thread::sleep(Duration::from_millis(5)),
            other => return Ok(other?),
        }
    }
    Ok(rustix::fs::fcntl_add_seals(target, seals())?)
}

/// Whether `file` is a memfd sealed against every change.
pub fn is_sealed(file: impl AsFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|present| present.contains(seals()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_copy_is_whole_and_refuses_writes() -> io::Result<()> {
        let copy = sealed_copy(Path::new("/proc/self/exe"))?;
        assert!(is_sealed(&copy));
        let mut file = File::from(copy);
        assert_eq!(
            file.metadata()?.len(),
            std::fs::metadata("/proc/self/exe")?.len()
        );
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
        Ok(())
    }

    #[test]
    fn an_ordinary_file_is_not_sealed() -> io::Result<()> {
        assert!(!is_sealed(File::open("/proc/self/exe")?));
        Ok(())
    }
}
