//! File systems that show the kernel instead of keeping files: `/proc`, `/sys`, control groups and their like.
//!
//! Copies neither go into them nor take them along: their files say nothing on another machine, reading some waits or
//! acts, and writing to them changes the machine (S2).

use std::os::fd::BorrowedFd;

/// Their magic numbers: linux/magic.h, and in the kernel's sources where it does not list them.
const MAGIC: [i64; 19] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0x6265_6570, // configfs
    0x4249_4e4d, // binfmt_misc
    0x6e73_6673, // nsfs
    0xde5e_81e4, // efivarfs
    0x6573_5543, // fusectl
    0x6759_6969, // rpc_pipefs
];

/// Whether an open file (`O_PATH` is enough) lies in such a file system; also when the kernel does not say.
#[must_use]
pub fn shows_the_kernel(file: BorrowedFd<'_>) -> bool {
    match rustix::fs::fstatfs(file) {
        Ok(status) => MAGIC.contains(&(status.f_type & 0xffff_ffff)),
        Err(_) => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn they_are_told_from_others() {
        let shows = |path: &str| shows_the_kernel(File::open(path).unwrap().as_fd());
        assert!(shows("/proc") && shows("/proc/self/status") && shows("/sys"));
        assert!(!shows("/") && !shows("/etc"));
    }
}
