//! Architectures as seccomp tells them apart, with the names and numbers of their system calls.

use onggi_oci::runtime::Arch;

/// Architectures that the kernel reports by one audit number; their system calls differ by number alone.
pub(super) struct Family {
    /// `AUDIT_ARCH_*` (linux/audit.h), which a filter sees as `arch`.
    pub(super) audit: u32,
    pub(super) members: &'static [Member],
}

/// One architecture of a family.
pub(super) struct Member {
    pub(super) arch: Arch,
    /// Added to every number of the table.
    pub(super) base: u32,
    /// Whether arguments have 32 bits: the upper half is then not looked at.
    pub(super) narrow: bool,
    /// Calls `visit` with the name and number of each system call.
    pub(super) each: fn(visit: &mut dyn FnMut(&'static str, u32)),
}

/// The architecture this program was built for, if there is a table for it.
pub(super) const NATIVE: Option<Arch> = if cfg!(target_arch = "x86_64") {
    Some(Arch::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(Arch::Aarch64)
} else {
    None
};

/// Set in the number of every call of the x32 ABI.
pub(super) const X32_BIT: u32 = 0x4000_0000;

const X86_64: &[Family] = &[
    Family {
        audit: 0xc000_003e,
        members: &[
            Member {
                arch: Arch::X86_64,
                base: 0,
                narrow: false,
                each: x86_64,
            },
            Member {
                arch: Arch::X32,
                base: X32_BIT,
                narrow: true,
                each: x32,
            },
        ],
    },
    Family {
        audit: 0x4000_0003,
        members: &[Member {
            arch: Arch::X86,
            base: 0,
            narrow: true,
            each: x86,
        }],
    },
];

const AARCH64: &[Family] = &[
    Family {
        audit: 0xc000_00b7,
        members: &[Member {
            arch: Arch::Aarch64,
            base: 0,
            narrow: false,
            each: aarch64,
        }],
    },
    Family {
        audit: 0x4000_0028,
        members: &[Member {
            arch: Arch::Arm,
            base: 0,
            narrow: true,
            each: arm,
        }],
    },
];

/// What a machine can run; the native family first.
pub(super) fn families(native: Arch) -> &'static [Family] {
    match native {
        Arch::X86_64 => X86_64,
        Arch::Aarch64 => AARCH64,
        _ => &[],
    }
}

macro_rules! tables {
    ($($name:ident)*) => {
        $(fn $name(visit: &mut dyn FnMut(&'static str, u32)) {
            for call in syscalls::$name::Sysno::iter() {
                visit(call.name(), call.id().cast_unsigned());
            }
        })*
    };
}

tables!(x86_64 x86 aarch64 arm);

/// The x32 ABI: x86_64 without what is older than it, and with numbers of its own where structures differ
/// (asm/unistd_x32.h).
fn x32(visit: &mut dyn FnMut(&'static str, u32)) {
    x86_64(&mut |name, number| {
        if !only_64(number) {
            visit(name, number);
        }
    });
    for (name, number) in X32_OWN.iter().zip(512..) {
        visit(name, number);
    }
}

/// Numbers of x86_64 that x32 does not have.
fn only_64(number: u32) -> bool {
    matches!(
        number,
        13 | 15
            | 16
            | 19
            | 20
            | 45
            | 46
            | 47
            | 54
            | 55
            | 59
            | 101
            | 127
            | 128
            | 129
            | 131
            | 134
            | 156
            | 174
            | 177
            | 178
            | 180
            | 205
            | 206
            | 209
            | 211
            | 214
            | 215
            | 222
            | 236
            | 244
            | 246
            | 247
            | 273
            | 274
            | 278
            | 279
            | 295
            | 296
            | 297
            | 299
            | 307
            | 310
            | 311
            | 322
            | 327
            | 328
    )
}

/// In the order of their numbers, from 512.
const X32_OWN: &[&str] = &[
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];
