//! Profiles as `--security-opt seccomp=FILE` takes them: rules that depend on capabilities, kernel and architecture.
//!
//! The default one is `default.json`: the system calls that Docker publishes as allowed, by subject.

use super::{Error, table};
use onggi_oci::runtime::{Action, Arch, Seccomp, Syscall};
use serde::Deserialize;
use std::sync::LazyLock;

static DEFAULT: LazyLock<Profile> = LazyLock::new(Profile::read_default);

/// A profile that has not been fitted to a container yet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    default_action: Action,
    default_errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    architectures: Vec<Arch>,
    #[serde(default, deserialize_with = "or_default")]
    arch_map: Vec<ArchMap>,
    #[serde(default, deserialize_with = "or_default")]
    flags: Vec<String>,
    listener_path: Option<String>,
    listener_metadata: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    syscalls: Vec<Rule>,
}

/// The architectures a machine of one architecture can also run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchMap {
    architecture: Arch,
    #[serde(default, deserialize_with = "or_default")]
    sub_architectures: Vec<Arch>,
}

/// A rule and when it counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    names: Vec<String>,
    action: Action,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    args: Vec<onggi_oci::runtime::Argument>,
    #[serde(default, deserialize_with = "or_default")]
    includes: When,
    #[serde(default, deserialize_with = "or_default")]
    excludes: When,
}

/// A state of affairs. Empty says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct When {
    #[serde(deserialize_with = "or_default")]
    caps: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// `Profile` when it is not JSON of the right shape, `Contradiction` when both ways of naming architectures or
    /// system calls are used at once.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let profile: Self = serde_json::from_slice(json).map_err(Error::Profile)?;
        if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
            return Err(Error::Contradiction(
                "use either 'architectures' or 'archMap', not both",
            ));
        }
        if profile
            .syscalls
            .iter()
            .any(|r| r.name.is_some() && !r.names.is_empty())
        {
            return Err(Error::Contradiction(
                "use either 'name' or 'names', not both",
            ));
        }
        Ok(profile)
    }

    /// The default profile.
    pub fn onggi() -> &'static Self {
        &DEFAULT
    }

    fn read_default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the file is part of the program and tested"
        )]
        Self::parse(include_bytes!("default.json")).expect("the default profile is valid")
    }

    /// The rules that count for a container with these capabilities on this machine.
    pub fn fit<S: AsRef<str>>(&self, capabilities: &[S]) -> Seccomp {
        self.fit_to(capabilities, table::NATIVE, kernel())
    }

    pub(super) fn fit_to<S: AsRef<str>>(
        &self,
        caps: &[S],
        arch: Option<Arch>,
        kernel: (u32, u32),
    ) -> Seccomp {
        let has = |cap: &String| caps.iter().any(|c| c.as_ref() == cap);
        let here = |name: &String| arch.is_some_and(|arch| go_name(arch) == name);
        let counts = |rule: &&Rule| {
            let (with, without) = (&rule.includes, &rule.excludes);
            let recent = |version: &String| parse_version(version).is_some_and(|v| kernel >= v);
            with.caps.iter().all(has)
                && (with.arches.is_empty() || with.arches.iter().any(here))
                && with.min_kernel.iter().all(recent)
                && !without.caps.iter().any(has)
                && !without.arches.iter().any(here)
                && !without.min_kernel.iter().any(recent)
        };
        let mapped = self
            .arch_map
            .iter()
            .find(|map| Some(map.architecture) == arch);
        let architectures = match mapped {
            Some(map) => std::iter::once(map.architecture)
                .chain(map.sub_architectures.iter().copied())
                .collect(),
            None => self.architectures.clone(),
        };
        let syscall = |rule: &Rule| Syscall {
            names: rule.names.iter().chain(&rule.name).cloned().collect(),
            action: rule.action,
            errno_ret: rule.errno_ret,
            args: rule.args.clone(),
        };
        Seccomp {
            default_action: self.default_action,
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls: self.syscalls.iter().filter(counts).map(syscall).collect(),
        }
    }
}

/// The default profile for a container with these capabilities (as `CAP_CHOWN`), on this machine and kernel.
pub fn default_profile<S: AsRef<str>>(capabilities: &[S]) -> Seccomp {
    Profile::onggi().fit(capabilities)
}

/// A profile of the user, for a container with these capabilities, on this machine and kernel.
///
/// # Errors
/// As [`Profile::parse`].
pub fn parse_profile<S: AsRef<str>>(json: &str, capabilities: &[S]) -> Result<Seccomp, Error> {
    Ok(Profile::parse(json.as_bytes())?.fit(capabilities))
}

/// Profiles name architectures as Go does.
fn go_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
        Arch::X86 => "x86",
        Arch::X32 => "x32",
        Arch::Arm => "arm",
        Arch::Riscv64 => "riscv64",
        Arch::S390x => "s390x",
        Arch::Ppc64le => "ppc64le",
        Arch::Loongarch64 => "loong64",
        other => other.name(),
    }
}

fn kernel() -> (u32, u32) {
    let release = rustix::system::uname();
    parse_version(&release.release().to_string_lossy()).unwrap_or((0, 0))
}

/// `6.18.44-fc` to (6, 18).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..digits].parse().ok()?))
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
