//! Session keyrings (keyrings(7)): each container gets its own, so that it cannot read the keys of who started it.

use std::ffi::CString;
use std::io;

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Joins a new session keyring called `name`.
///
/// # Errors
/// `ENOSYS` on kernels without keys, `EDQUOT` when the user has too many, `EPERM` under a seccomp filter.
pub fn join_session(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: the name is a C string that lives over the call.
    let result =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
