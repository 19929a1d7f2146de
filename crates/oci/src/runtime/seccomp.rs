//! The system call filter, in the specification's words, which are libseccomp's.

use super::or_default;
use serde::{Deserialize, Serialize};

/// A filter: what happens to every system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// For calls that no rule names.
    pub default_action: Action,
    /// Error number of that action when it is `Errno` or the message when it is `Trace`; EPERM when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Architectures beside the native one; calls of others are killed.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub architectures: Vec<Arch>,
    /// Flags of seccomp(2), as `SECCOMP_FILTER_FLAG_LOG`.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub flags: Vec<String>,
    /// Unix socket that gets the descriptor of user notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// Opaque data sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// Rules.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub syscalls: Vec<Syscall>,
}

/// One rule: calls by name, what to do, and under which conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Syscall {
    /// Names; those an architecture does not have are left out there.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// Error number of `Errno`, message of `Trace`; EPERM when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions; all of them must hold.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub args: Vec<Argument>,
}

/// A condition on one argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask for `MaskedEqual`.
    pub value: u64,
    /// What the masked argument is compared with.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    pub op: Operator,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// The thread is killed.
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    /// The process is killed.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// The thread is killed.
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// The thread gets SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A tracer is asked.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// The call runs.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// The call runs and is logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// The listener is asked.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// How an argument is compared; unsigned, 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// Not equal.
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// Less.
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// Less or equal.
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// Equal.
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// Greater or equal.
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// Greater.
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// Equal under a mask.
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

macro_rules! architectures {
    ($($name:ident = $word:literal,)*) => {
        /// An architecture as seccomp(2) tells them apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Arch {
            $(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $name,)*
        }

        impl Arch {
            /// The specification's word, as `SCMP_ARCH_X86_64`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

architectures! {
    X86 = "SCMP_ARCH_X86",
    X86_64 = "SCMP_ARCH_X86_64",
    X32 = "SCMP_ARCH_X32",
    Arm = "SCMP_ARCH_ARM",
    Aarch64 = "SCMP_ARCH_AARCH64",
    Loongarch64 = "SCMP_ARCH_LOONGARCH64",
    M68k = "SCMP_ARCH_M68K",
    Mips = "SCMP_ARCH_MIPS",
    Mips64 = "SCMP_ARCH_MIPS64",
    Mips64n32 = "SCMP_ARCH_MIPS64N32",
    Mipsel = "SCMP_ARCH_MIPSEL",
    Mipsel64 = "SCMP_ARCH_MIPSEL64",
    Mipsel64n32 = "SCMP_ARCH_MIPSEL64N32",
    Ppc = "SCMP_ARCH_PPC",
    Ppc64 = "SCMP_ARCH_PPC64",
    Ppc64le = "SCMP_ARCH_PPC64LE",
    S390 = "SCMP_ARCH_S390",
    S390x = "SCMP_ARCH_S390X",
    Sh = "SCMP_ARCH_SH",
    Sheb = "SCMP_ARCH_SHEB",
    Parisc = "SCMP_ARCH_PARISC",
    Parisc64 = "SCMP_ARCH_PARISC64",
    Riscv64 = "SCMP_ARCH_RISCV64",
}
