//! A specification, checked and parsed once, before anything is made: the child works on these types and finds no surprises.

use std::ffi::CString;

use onggi_oci::runtime::{
    Capabilities, Device, DeviceKind, Mount, NamespaceKind, Process, Seccomp, Spec, User,
};
use onggi_sys::mount::Reach;
use onggi_sys::namespace::flag;
use onggi_sys::{capability, process as limits};

use crate::launch::UserSpec;
use crate::options::{Options, Propagation};
use crate::{Error, seccomp};

mod sysctl;

pub(crate) use sysctl::Sysctl;

/// A container to make.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `CLONE_NEW*` of the namespaces made by clone3 (all but cgroup, which must be made after joining the group).
    pub(crate) clone: u64,
    pub(crate) new_cgroup: bool,
    /// Existing namespaces by path, without the PID namespace.
    pub(crate) joins: Vec<(u64, String)>,
    pub(crate) join_pid: Option<String>,
    pub(crate) new_network: bool,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) readonly_root: bool,
    pub(crate) propagation: (Propagation, Reach),
    /// Propagation asked for by name: also set on the container's root at the end.
    pub(crate) root_propagation: Option<(Propagation, Reach)>,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) devices: Vec<DevicePlan>,
    pub(crate) masked: Vec<String>,
    pub(crate) readonly: Vec<String>,
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) cgroup: String,
    pub(crate) process: ProcessPlan,
}

/// A process to run: the first of a container or one of exec.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    pub(crate) args: Vec<CString>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) user: UserPlan,
    pub(crate) umask: u32,
    pub(crate) capabilities: CapabilityPlan,
    pub(crate) rlimits: Vec<RlimitPlan>,
    pub(crate) no_new_privileges: bool,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) apparmor: Option<String>,
    pub(crate) filter: Option<Filter>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum UserPlan {
    Named(UserSpec),
    Numbers(User),
}

/// The five sets as masks; `None` of them is left to chance.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CapabilityPlan {
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RlimitPlan {
    pub(crate) name: String,
    pub(crate) resource: u32,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// A compiled system call filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) program: Vec<onggi_sys::seccomp::Instruction>,
    pub(crate) flags: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct MountPlan {
    /// Absolute, cleaned of `.`, `..` and doubled slashes.
    pub(crate) destination: String,
    /// As written, for error texts and mountinfo.
    pub(crate) source: String,
    pub(crate) kind: MountKind,
    /// Only this below the source: a path that its users may be changing.
    pub(crate) subpath: Option<String>,
    pub(crate) options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind { recursive: bool },
    Cgroup,
    Type(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePlan {
    pub(crate) path: String,
    pub(crate) kind: rustix::fs::FileType,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Nodes every container has (runtime-spec, "Default Devices").
const DEFAULT_DEVICES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
];

impl Plan {
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unsupported`]: nothing else can be known before the kernel is asked.
    pub(crate) fn new(id: &str, spec: &Spec, user: Option<&UserSpec>) -> Result<Self, Error> {
        let linux = spec.linux.clone().unwrap_or_default();
        refuse(spec)?;
        let process = spec.process.as_ref().ok_or_else(|| {
            Error::Invalid("the configuration has no process property".to_owned())
        })?;
        let filter = linux.seccomp.as_ref().map(compile).transpose()?;
        let mut plan = Self {
            clone: 0,
            new_cgroup: false,
            joins: Vec::new(),
            join_pid: None,
            new_network: false,
            hostname: spec.hostname.clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname.clone().filter(|name| !name.is_empty()),
            readonly_root: spec.root.as_ref().is_some_and(|root| root.readonly),
            propagation: (Propagation::Slave, Reach::Tree),
            root_propagation: None,
            mounts: spec.mounts.iter().map(mount).collect::<Result<_, _>>()?,
            devices: Vec::new(),
            masked: paths(&linux.masked_paths)?,
            readonly: paths(&linux.readonly_paths)?,
            sysctls: Vec::new(),
            cgroup: linux
                .cgroups_path
                .clone()
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| format!("/onggi/{id}")),
            process: ProcessPlan::new(process, user, filter)?,
        };
        if plan.cgroup.contains(':') {
            return Err(Error::Unsupported(format!(
                "cgroupsPath {:?}: the systemd form slice:prefix:name is not supported",
                plan.cgroup
            )));
        }
        if let Some(word) = linux
            .rootfs_propagation
            .as_deref()
            .filter(|w| !w.is_empty())
        {
            let parsed = Propagation::parse(word).ok_or_else(|| {
                Error::Invalid(format!(
                    "rootfsPropagation {word:?} is not a propagation mode"
                ))
            })?;
            plan.root_propagation = Some(parsed);
            // Only "shared" wants events of the container to reach the host: then the tree is left as it was copied.
            plan.propagation = match parsed.0 {
                Propagation::Unbindable => (Propagation::Slave, Reach::Tree),
                other => (other, Reach::Tree),
            };
        }
        plan.namespaces(spec)?;
        plan.devices(&linux.devices)?;
        plan.sysctls = sysctl::parse(&linux.sysctl, &plan)?;
        Ok(plan)
    }

    /// Whether the container has a namespace of this kind that is not the runtime's.
    pub(crate) fn separate(&self, namespace: u64) -> bool {
        self.clone & namespace != 0 || self.joins.iter().any(|(kind, _)| *kind == namespace)
    }

    fn namespaces(&mut self, spec: &Spec) -> Result<(), Error> {
        let list = spec.linux.as_ref().map(|l| &l.namespaces[..]);
        let mut seen = Vec::new();
        for namespace in list.unwrap_or_default() {
            if seen.contains(&namespace.kind) {
                return Err(Error::Invalid(format!(
                    "malformed spec: namespace {:?} is named twice",
                    namespace.kind
                )));
            }
            seen.push(namespace.kind);
            let kind = match namespace.kind {
                NamespaceKind::Pid => flag::PID,
                NamespaceKind::Network => flag::NET,
                NamespaceKind::Mount => flag::MOUNT,
                NamespaceKind::Ipc => flag::IPC,
                NamespaceKind::Uts => flag::UTS,
                NamespaceKind::Cgroup => flag::CGROUP,
                NamespaceKind::User => {
                    return Err(Error::Unsupported(
                        "user namespaces are not supported".to_owned(),
                    ));
                }
                NamespaceKind::Time => {
                    return Err(Error::Unsupported(
                        "time namespaces are not supported".to_owned(),
                    ));
                }
            };
            match namespace.path.clone().filter(|path| !path.is_empty()) {
                None if kind == flag::CGROUP => self.new_cgroup = true,
                None => {
                    self.clone |= kind;
                    self.new_network |= kind == flag::NET;
                }
                Some(_) if kind == flag::MOUNT => {
                    return Err(Error::Unsupported(
                        "joining a mount namespace by path is not supported".to_owned(),
                    ));
                }
                Some(path) if kind == flag::PID => self.join_pid = Some(path),
                Some(path) => self.joins.push((kind, path)),
            }
        }
        if self.clone & flag::MOUNT == 0 {
            return Err(Error::Unsupported(
                "a container without a mount namespace of its own is not supported".to_owned(),
            ));
        }
        let named = self.hostname.is_some() || self.domainname.is_some();
        if named && !self.separate(flag::UTS) {
            return Err(Error::Invalid(
                "unable to set hostname without a private UTS namespace".to_owned(),
            ));
        }
        Ok(())
    }

    fn devices(&mut self, wanted: &[Device]) -> Result<(), Error> {
        for (path, major, minor) in DEFAULT_DEVICES {
            if !wanted.iter().any(|device| device.path == *path) {
                self.devices.push(DevicePlan {
                    path: (*path).to_owned(),
                    kind: rustix::fs::FileType::CharacterDevice,
                    major: *major,
                    minor: *minor,
                    mode: 0o666,
                    uid: 0,
                    gid: 0,
                });
            }
        }
        for device in wanted {
            let number = |value: i64| {
                u32::try_from(value).map_err(|_| {
                    Error::Invalid(format!(
                        "device {:?}: number {value} is out of range",
                        device.path
                    ))
                })
            };
            self.devices.push(DevicePlan {
                path: absolute(&device.path)?,
                kind: match device.kind {
                    DeviceKind::Character => rustix::fs::FileType::CharacterDevice,
                    DeviceKind::Block => rustix::fs::FileType::BlockDevice,
                    DeviceKind::Fifo => rustix::fs::FileType::Fifo,
                },
                major: number(device.major)?,
                minor: number(device.minor)?,
                mode: device.file_mode.unwrap_or(0o666) & 0o7777,
                uid: device.uid.unwrap_or(0),
                gid: device.gid.unwrap_or(0),
            });
        }
        Ok(())
    }
}

impl ProcessPlan {
    pub(crate) fn new(
        process: &Process,
        user: Option<&UserSpec>,
        filter: Option<Filter>,
    ) -> Result<Self, Error> {
        if process.args.first().is_none_or(String::is_empty) {
            return Err(Error::Invalid("args must not be empty".to_owned()));
        }
        for (present, what) in [
            (process.scheduler.is_some(), "process.scheduler"),
            (process.io_priority.is_some(), "process.ioPriority"),
            (
                process.exec_cpu_affinity.is_some(),
                "process.execCPUAffinity",
            ),
            (
                process
                    .selinux_label
                    .as_deref()
                    .is_some_and(|l| !l.is_empty()),
                "process.selinuxLabel",
            ),
        ] {
            if present {
                return Err(unsupported(what));
            }
        }
        if !process.cwd.starts_with('/') {
            return Err(Error::Invalid(format!(
                "cwd {:?} must be an absolute path",
                process.cwd
            )));
        }
        let mut warnings = Vec::new();
        Ok(Self {
            args: strings("argument", &process.args)?,
            env: {
                strings("environment variable", &process.env)?;
                process.env.clone()
            },
            cwd: process.cwd.clone(),
            user: match user {
                Some(spec) => UserPlan::Named(spec.clone()),
                None => UserPlan::Numbers(process.user.clone()),
            },
            umask: process.user.umask.unwrap_or(0o022) & 0o777,
            capabilities: capabilities(process.capabilities.as_ref(), &mut warnings),
            rlimits: rlimits(process)?,
            no_new_privileges: process.no_new_privileges,
            oom_score_adj: process.oom_score_adj,
            apparmor: process.apparmor_profile.clone().filter(|p| !p.is_empty()),
            filter,
            warnings,
        })
    }
}

/// What this runtime has not learnt: said, never dropped.
fn refuse(spec: &Spec) -> Result<(), Error> {
    let linux = spec.linux.clone().unwrap_or_default();
    let hooks = spec.hooks.clone().unwrap_or_default();
    let hooked = !(hooks.prestart.is_empty()
        && hooks.create_runtime.is_empty()
        && hooks.create_container.is_empty()
        && hooks.start_container.is_empty()
        && hooks.poststart.is_empty()
        && hooks.poststop.is_empty());
    let mapped = spec
        .mounts
        .iter()
        .any(|m| !m.uid_mappings.is_empty() || !m.gid_mappings.is_empty());
    for (present, what) in [
        (!linux.uid_mappings.is_empty(), "linux.uidMappings"),
        (!linux.gid_mappings.is_empty(), "linux.gidMappings"),
        (mapped, "mounts.uidMappings"),
        (!linux.time_offsets.is_empty(), "linux.timeOffsets"),
        (!linux.net_devices.is_empty(), "linux.netDevices"),
        (linux.intel_rdt.is_some(), "linux.intelRdt"),
        (linux.memory_policy.is_some(), "linux.memoryPolicy"),
        (
            linux
                .personality
                .as_ref()
                .is_some_and(|p| p.domain != "LINUX" || !p.flags.is_empty()),
            "linux.personality",
        ),
        (
            linux.mount_label.as_deref().is_some_and(|l| !l.is_empty()),
            "linux.mountLabel",
        ),
        (hooked, "hooks"),
    ] {
        if present {
            return Err(unsupported(what));
        }
    }
    Ok(())
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported(format!("{what} is not supported by this runtime"))
}

/// Compiles a filter: for callers that give exec the container's.
pub(crate) fn compile(profile: &Seccomp) -> Result<Filter, Error> {
    if profile
        .listener_path
        .as_deref()
        .is_some_and(|p| !p.is_empty())
    {
        return Err(unsupported("linux.seccomp.listenerPath"));
    }
    let mut flags = 0;
    for word in &profile.flags {
        flags |= match word.as_str() {
            "SECCOMP_FILTER_FLAG_LOG" => onggi_sys::seccomp::FLAG_LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => onggi_sys::seccomp::FLAG_SPEC_ALLOW,
            // One thread: there are no others to synchronise with.
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            other => return Err(unsupported(&format!("seccomp flag {other:?}"))),
        };
    }
    let program = seccomp::compile(profile)
        .map_err(|error| Error::Invalid(format!("seccomp: {}", onggi_model::chain(&error))))?;
    Ok(Filter { program, flags })
}

pub(crate) fn mount(mount: &Mount) -> Result<MountPlan, Error> {
    let destination = absolute(&mount.destination)?;
    if destination == "/" {
        return Err(Error::Invalid(format!(
            "mount destination {:?} is the root itself",
            mount.destination
        )));
    }
    let mut options = Options::parse(&mount.options)?;
    let subpath = options.take_subpath();
    let kind = mount.kind.as_deref().unwrap_or_default();
    let kind = match (options.bind, kind) {
        (Some(recursive), _) => MountKind::Bind { recursive },
        // The specification wants "bind" in the options; engines have always got away with the type alone.
        (None, "bind" | "rbind") => MountKind::Bind {
            recursive: kind == "rbind",
        },
        (None, "cgroup" | "cgroup2") => MountKind::Cgroup,
        (None, "") => {
            return Err(Error::Invalid(format!(
                "mount {:?} has neither type nor bind option",
                mount.destination
            )));
        }
        (None, other) => MountKind::Type(other.to_owned()),
    };
    let source = mount.source.clone().unwrap_or_default();
    if matches!(kind, MountKind::Bind { .. }) {
        if source.is_empty() || source.contains('\0') {
            return Err(Error::Invalid(format!(
                "mount {:?} has no source",
                mount.destination
            )));
        }
        if let Some((key, _)) = options.data.first() {
            return Err(Error::Invalid(format!(
                "bind mount {:?} does not take the option {key:?}",
                mount.destination
            )));
        }
    }
    Ok(MountPlan {
        destination,
        source,
        kind,
        subpath,
        options,
    })
}

/// A path inside the container without `.`, `..` and doubled slashes.
fn absolute(path: &str) -> Result<String, Error> {
    if path.contains('\0') {
        return Err(Error::Invalid(format!("path {path:?} holds a zero byte")));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

fn paths(list: &[String]) -> Result<Vec<String>, Error> {
    list.iter().map(|path| absolute(path)).collect()
}

fn strings(what: &str, list: &[String]) -> Result<Vec<CString>, Error> {
    list.iter()
        .map(|text| {
            CString::new(text.as_str())
                .map_err(|_| Error::Invalid(format!("{what} {text:?} holds a zero byte")))
        })
        .collect()
}

fn capabilities(sets: Option<&Capabilities>, warnings: &mut Vec<String>) -> CapabilityPlan {
    let Some(sets) = sets else {
        return CapabilityPlan::default();
    };
    let known = onggi_sys::capability::bounding();
    let mut mask = |names: &[String]| {
        let mut mask = 0;
        for name in names {
            match capability::number(name).filter(|n| known & (1 << n) != 0) {
                Some(number) => mask |= 1 << number,
                None => {
                    let text = format!("capability {name:?} is not available here and is left out");
                    if !warnings.contains(&text) {
                        warnings.push(text);
                    }
                }
            }
        }
        mask
    };
    CapabilityPlan {
        bounding: mask(&sets.bounding),
        effective: mask(&sets.effective),
        permitted: mask(&sets.permitted),
        inheritable: mask(&sets.inheritable),
        ambient: mask(&sets.ambient),
    }
}

fn rlimits(process: &Process) -> Result<Vec<RlimitPlan>, Error> {
    let mut plans: Vec<RlimitPlan> = Vec::new();
    for limit in &process.rlimits {
        let resource = limits::rlimit_number(&limit.kind)
            .ok_or_else(|| Error::Invalid(format!("wrong rlimit value: {}", limit.kind)))?;
        if plans.iter().any(|plan| plan.resource == resource) {
            return Err(Error::Invalid(format!(
                "rlimit {} is given twice",
                limit.kind
            )));
        }
        if limit.soft > limit.hard {
            return Err(Error::Invalid(format!(
                "rlimit {}: soft limit {} is above hard limit {}",
                limit.kind, limit.soft, limit.hard
            )));
        }
        plans.push(RlimitPlan {
            name: limit.kind.clone(),
            resource,
            soft: limit.soft,
            hard: limit.hard,
        });
    }
    Ok(plans)
}

#[cfg(test)]
mod tests;
