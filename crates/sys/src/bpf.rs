//! Device programs of cgroup v2: bpf(2) for `BPF_PROG_TYPE_CGROUP_DEVICE` and nothing else.
//!
//! What a program says is the business of the `cgroup` crate; here it is loaded, attached and found again.

use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One instruction, laid out as the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Source register in the upper four bits, destination in the lower four.
    pub registers: u8,
    /// Offset of a jump or of memory.
    pub offset: i16,
    /// Immediate operand.
    pub value: i32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
/// Programs on one group; the kernel's own bound (BPF_CGROUP_MAX_PROGS).
const MOST: usize = 64;

/// The head of `union bpf_attr` for PROG_LOAD.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The head of `union bpf_attr` for PROG_ATTACH and PROG_DETACH.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// The head of `union bpf_attr` for PROG_QUERY.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// The head of `union bpf_attr` for PROG_GET_FD_BY_ID.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Loads a program; it lives as long as the descriptor or an attachment.
///
/// # Errors
/// `EPERM` without CAP_BPF or CAP_SYS_ADMIN, `EINVAL`/`EACCES` when the verifier refuses it, `ENOSYS` without BPF.
pub fn load_device_program(program: &[Insn]) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut name = [0; 16];
    name[..13].copy_from_slice(b"onggi_devices");
    let mut attributes = Load {
        kind: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name,
        ..Load::default()
    };
    let fd = call(PROG_LOAD, &mut attributes)?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec) and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program to a group, beside those that are there.
///
/// # Errors
/// `EPERM`, `EINVAL` when the directory is not of cgroup v2, `E2BIG` when too many are attached.
pub fn attach_device_program(group: BorrowedFd<'_>, program: &impl AsFd) -> Result<()> {
    let mut attributes = attachment(group, program.as_fd());
    attributes.flags = ALLOW_MULTI;
    call(PROG_ATTACH, &mut attributes).map(drop)
}

/// Takes a program off a group.
///
/// # Errors
/// `ENOENT` when it is not attached there.
pub fn detach_device_program(group: BorrowedFd<'_>, program: &impl AsFd) -> Result<()> {
    call(PROG_DETACH, &mut attachment(group, program.as_fd())).map(drop)
}

/// The programs attached to the group itself, not those it inherits.
///
/// # Errors
/// `EINVAL` when the directory is not of cgroup v2 or the kernel has no cgroup BPF, `EPERM`.
pub fn attached_device_programs(group: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MOST];
    let mut query = Query {
        target: descriptor(group),
        kind: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MOST as u32,
        ..Query::default()
    };
    call(PROG_QUERY, &mut query)?;
    let mut programs = Vec::new();
    for &id in ids.iter().take(query.count as usize) {
        match call(
            PROG_GET_FD_BY_ID,
            &mut ById {
                id,
                ..ById::default()
            },
        ) {
            Ok(fd) => {
                let fd = RawFd::try_from(fd).map_err(|_| Errno::BADF)?;
                // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
                programs.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
            // Detached by someone else in between.
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(programs)
}

fn attachment(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Attach {
    Attach {
        target: descriptor(group),
        program: descriptor(program),
        kind: ATTACH_CGROUP_DEVICE,
        flags: 0,
    }
}

fn descriptor(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn call<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_long> {
    // SAFETY: `attributes` is a live, exclusive, repr(C) head of `union bpf_attr` of exactly the size we name; the
    // kernel takes what is beyond as zero. The pointers in it were made by our callers from slices that outlive the
    // call: the program and the licence are only read, `ids` is written up to `count`, which is its length.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        let code = std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO);
        return Err(Errno::from_raw_os_error(code));
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn layouts_are_the_kernels() {
        assert_eq!(size_of::<Insn>(), 8);
        assert_eq!(
            (
                offset_of!(Load, license),
                offset_of!(Load, log),
                offset_of!(Load, name)
            ),
            (16, 32, 48)
        );
        assert_eq!((offset_of!(Query, ids), offset_of!(Query, count)), (16, 24));
        assert_eq!(
            (size_of::<Load>(), size_of::<Attach>(), size_of::<Query>()),
            (64, 16, 32)
        );
    }
}
