//! Capabilities of the calling thread: the five sets, as 64-bit masks of capability numbers.

use std::io;

/// The names by number, without `CAP_`, as capabilities(7) lists them up to kernel 6.x.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The number of a capability by its name, with or without `CAP_`, in either case.
pub fn number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|known| *known == bare)
        .map(|at| at as u32)
}

/// The three sets that capset(2) sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// In force now.
    pub effective: u64,
    /// What may be in force.
    pub permitted: u64,
    /// What a program with inheritable file capabilities keeps.
    pub inheritable: u64,
}

/// The sets of the calling thread.
///
/// # Errors
/// None on kernels that exist.
pub fn current() -> io::Result<Sets> {
    let sets = rustix::thread::capabilities(None)?;
    Ok(Sets {
        effective: sets.effective.bits(),
        permitted: sets.permitted.bits(),
        inheritable: sets.inheritable.bits(),
    })
}

/// Sets the sets of the calling thread.
///
/// # Errors
/// `EPERM` when permitted would grow, or effective is not within permitted.
pub fn set(sets: Sets) -> io::Result<()> {
    use rustix::thread::CapabilitySet;
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: CapabilitySet::from_bits_retain(sets.effective),
            permitted: CapabilitySet::from_bits_retain(sets.permitted),
            inheritable: CapabilitySet::from_bits_retain(sets.inheritable),
        },
    )?;
    Ok(())
}

/// Drops every capability outside `keep` from the bounding set.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn limit_bounding(keep: u64) -> io::Result<()> {
    for capability in 0..64_u32 {
        let read = prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0);
        match read {
            Ok(0) => continue,
            Ok(_) => {}
            Err(_) => break, // EINVAL: past the last one this kernel knows
        }
        if keep & (1 << capability) == 0 {
            prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0)?;
        }
    }
    Ok(())
}

/// The bounding set.
pub fn bounding() -> u64 {
    (0..64_u32)
        .filter(|bit| prctl(libc::PR_CAPBSET_READ, u64::from(*bit), 0).is_ok_and(|set| set == 1))
        .fold(0, |mask, bit| mask | (1 << bit))
}

/// Makes the ambient set exactly `wanted`; those that the kernel refuses (not permitted and inheritable) are left out and returned.
///
/// # Errors
/// When the set cannot be cleared.
pub fn set_ambient(wanted: u64) -> io::Result<u64> {
    let mut refused = 0;
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as u64,
        0,
    )?;
    for capability in (0..64_u32).filter(|bit| wanted & (1 << bit) != 0) {
        let raised = prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as u64,
            u64::from(capability),
        );
        if raised.is_err() {
            refused |= 1 << capability;
        }
    }
    Ok(refused)
}

fn prctl(option: libc::c_int, second: u64, third: u64) -> io::Result<i32> {
    // SAFETY: the options used here take numbers only.
    let result = unsafe { libc::prctl(option, second, third, 0_u64, 0_u64) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_numbers() {
        assert_eq!(number("CAP_CHOWN"), Some(0));
        assert_eq!(number("net_admin"), Some(12));
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(number("CAP_NOPE"), None);
    }
}
