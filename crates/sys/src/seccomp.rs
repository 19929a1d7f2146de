//! Loading seccomp filters. Compiling them: `runtime::seccomp`.

use std::io;

/// One instruction of classic BPF, laid out as the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump distance if true.
    pub jt: u8,
    /// Jump distance if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Longest program the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `SECCOMP_FILTER_FLAG_LOG`: log every action but allow.
pub const FLAG_LOG: u32 = libc::SECCOMP_FILTER_FLAG_LOG as u32;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: leave speculation mitigations as they are.
pub const FLAG_SPEC_ALLOW: u32 = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32;

/// Puts `program` on the calling thread, for good. Needs `no_new_privs` or `CAP_SYS_ADMIN`.
///
/// # Errors
/// `EINVAL` for a program the kernel's checker refuses or that is too long, `EACCES` without the right.
pub fn load(program: &[Instruction], flags: u32) -> io::Result<()> {
    if program.len() > MAX_INSTRUCTIONS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let argument = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `filter` points to `len` instructions of sock_filter's layout (tested below); the kernel copies them and writes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const argument,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn an_instruction_is_laid_out_as_sock_filter() {
        assert_eq!(size_of::<Instruction>(), size_of::<libc::sock_filter>());
        assert_eq!(
            offset_of!(Instruction, code),
            offset_of!(libc::sock_filter, code)
        );
        assert_eq!(
            offset_of!(Instruction, jt),
            offset_of!(libc::sock_filter, jt)
        );
        assert_eq!(
            offset_of!(Instruction, jf),
            offset_of!(libc::sock_filter, jf)
        );
        assert_eq!(offset_of!(Instruction, k), offset_of!(libc::sock_filter, k));
    }
}
