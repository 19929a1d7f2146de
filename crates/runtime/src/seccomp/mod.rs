//! System call filters: the specification's rules compiled to classic BPF, and the default profile.
//!
//! Loading is `onggi_sys::seccomp::load`. The program is a *tree over ranges of numbers*: neighbours with the same
//! answer are one range, so a call costs about seven comparisons and the kernel checks few instructions at load.
//! Meaning follows libseccomp as runc uses it:
//!
//! - names an architecture does not have are left out there; architectures this machine cannot run are left out;
//! - a rule without conditions answers every call it names; conditions of one rule must all hold, but several on the
//!   *same* argument are alternatives; a rule that says what the default says is no rule;
//! - numbers above the newest one that the rules name fail with ENOSYS, not with the default's error: programs probe
//!   for system calls newer than the profile and must be told that there are none;
//! - calls of an architecture that is not listed kill the process.

mod profile; // profiles with capabilities and kernels, as `--security-opt seccomp=` takes them
mod rules; // rules to an answer for every number
mod table; // architectures: names and numbers
mod tree; // answers to instructions

pub use profile::{Profile, default_profile, parse_profile};

use onggi_oci::runtime::{Arch, Seccomp};
use onggi_sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

/// Why a filter cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A condition on an argument that no system call has.
    #[error("condition of {name:?} is on argument {index}: there are 0 to 5")]
    Argument {
        /// The system call.
        name: String,
        /// The argument.
        index: u32,
    },
    /// An error number that the kernel would cut off.
    #[error("error number {0} is more than 4095")]
    Errno(u32),
    /// More than the kernel takes.
    #[error("the filter has {0} instructions; the kernel takes {MAX_INSTRUCTIONS}")]
    TooLong(usize),
    /// No table of system calls for the machine's architecture.
    #[error("seccomp filters are not supported on this architecture")]
    Architecture,
    /// A profile that is not one.
    #[error("invalid seccomp profile")]
    Profile(#[source] serde_json::Error),
    /// A profile that contradicts itself.
    #[error("invalid seccomp profile: {0}")]
    Contradiction(&'static str),
}

impl onggi_model::Fault for Error {
    fn kind(&self) -> onggi_model::ErrorKind {
        onggi_model::ErrorKind::InvalidParameter
    }
}

/// Compiles a filter for this machine.
///
/// # Errors
/// [`Error`]; all but `Architecture` are the profile's fault.
pub fn compile(seccomp: &Seccomp) -> Result<Vec<Instruction>, Error> {
    compile_for(seccomp, table::NATIVE.ok_or(Error::Architecture)?)
}

fn compile_for(seccomp: &Seccomp, native: Arch) -> Result<Vec<Instruction>, Error> {
    let mut wanted = vec![native];
    wanted.extend(
        seccomp
            .architectures
            .iter()
            .copied()
            .filter(|arch| *arch != native),
    );
    let rules = rules::Rules::new(seccomp)?;
    let mut families = Vec::new();
    for family in table::families(native) {
        let members: Vec<_> = family
            .members
            .iter()
            .filter(|m| wanted.contains(&m.arch))
            .collect();
        if !members.is_empty() {
            families.push((family.audit, rules.partition(&members)));
        }
    }
    let program = tree::assemble(&families);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(Error::TooLong(program.len()));
    }
    Ok(program)
}

#[cfg(test)]
mod tests;
