//! What a process may do: capabilities, seccomp, masked and read-only paths.

use onggi_api::container::HostConfig;
use onggi_oci::runtime::{Capabilities, Seccomp};
use onggi_runtime::{defaults, seccomp};

use crate::container::Record;
use crate::error::{Error, Result};

/// `--security-opt`, read.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) no_new_privileges: bool,
    pub(crate) writable_cgroups: bool,
    pub(crate) apparmor: Option<String>,
    seccomp: Profile,
}

#[derive(Debug, Default)]
enum Profile {
    #[default]
    Default,
    Unconfined,
    Own(Box<Seccomp>),
}

/// Reads `--security-opt`.
pub(crate) fn options(host: &HostConfig) -> Result<Options> {
    let mut options = Options::default();
    for option in host.security_opt.iter().flatten() {
        let (name, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
            Some((name, value)) => (name, Some(value)),
            None => (option.as_str(), None),
        };
        let wrong = || Error::invalid(format!("invalid --security-opt 2: {option:?}"));
        match (name, value) {
            ("no-new-privileges", None) => options.no_new_privileges = true,
            ("no-new-privileges", Some(value)) => {
                options.no_new_privileges = boolean(value).ok_or_else(wrong)?;
            }
            ("writable-cgroups", None) => options.writable_cgroups = true,
            ("writable-cgroups", Some(value)) => {
                options.writable_cgroups = boolean(value).ok_or_else(wrong)?;
            }
            ("seccomp", Some("unconfined")) => options.seccomp = Profile::Unconfined,
            ("seccomp", Some("builtin" | "")) => options.seccomp = Profile::Default,
            ("seccomp", Some(profile)) => {
                let profile =
                    seccomp::parse_profile(profile, &capabilities_of(host)?).map_err(|fault| {
                        Error::of(&fault).context("decoding seccomp profile failed")
                    })?;
                options.seccomp = Profile::Own(Box::new(profile));
            }
            // Asking for no confinement is fulfilled where there is none.
            ("apparmor", Some("unconfined" | "")) if !has_apparmor() => {}
            ("apparmor", Some(profile)) if has_apparmor() => {
                options.apparmor = Some(profile.to_owned()).filter(|p| !p.is_empty());
            }
            ("apparmor", Some(profile)) => {
                return Err(Error::invalid(format!(
                    "--security-opt apparmor={profile}: AppArmor is not enabled in this kernel; \
                     leave the option away or use apparmor=unconfined"
                )));
            }
            ("label", Some("disable")) | ("disable", None) => {}
            ("label", Some(_)) => {
                return Err(Error::not_implemented(format!(
                    "--security-opt {option}: SELinux labels are not there yet; leave the option away or use label=disable"
                )));
            }
            (_, None) => {
                return Err(Error::invalid(format!(
                    "invalid --security-opt 1: {option:?}"
                )));
            }
            _ => return Err(wrong()),
        }
    }
    Ok(options)
}

/// As Go reads them, and Docker with it.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The profile that `--security-opt apparmor=` names, as `inspect` shows it; empty where none is named.
pub(crate) fn apparmor(host: &HostConfig) -> String {
    let named = |option: &String| {
        let (name, profile) = option.split_once('=').or_else(|| option.split_once(':'))?;
        (name == "apparmor").then(|| profile.to_owned())
    };
    let mut options = host.security_opt.iter().flatten();
    options.find_map(named).unwrap_or_default()
}

/// Whether the kernel confines by AppArmor profiles.
pub(crate) fn has_apparmor() -> bool {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.trim() == "Y")
}

/// Refuses what cannot be.
pub(crate) fn check(record: &Record) -> Result<()> {
    options(&record.host_config)?;
    capabilities_of(&record.host_config)?;
    Ok(())
}

/// The sets of the process. Inheritable stays empty (CVE-2022-24769); the runtime clears effective and permitted for users
/// other than root, as execve(2) would.
pub(crate) fn capabilities(host: &HostConfig) -> Result<Capabilities> {
    let all = capabilities_of(host)?;
    Ok(Capabilities {
        bounding: all.clone(),
        effective: all.clone(),
        permitted: all,
        ..Capabilities::default()
    })
}

/// The default set, changed by `--cap-drop` and `--cap-add`, or everything for a privileged container.
fn capabilities_of(host: &HostConfig) -> Result<Vec<String>> {
    let known = defaults::all_capabilities();
    let named = |list: &Option<Vec<String>>, field: &str| -> Result<Vec<String>> {
        let normal = |name: &String| {
            let name = name.to_uppercase();
            if name == "ALL" {
                return Ok(name);
            }
            let name = if name.starts_with("CAP_") {
                name
            } else {
                format!("CAP_{name}")
            };
            if known.contains(&name.as_str()) {
                return Ok(name);
            }
            Err(Error::invalid(format!(
                "invalid {field}: unknown capability: \"{name}\""
            )))
        };
        list.iter().flatten().map(normal).collect()
    };
    let add = named(&host.cap_add, "CapAdd")?;
    let drop = named(&host.cap_drop, "CapDrop")?;
    let everything = || {
        known
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    if host.privileged {
        // No more than the daemon could hand out.
        let own = onggi_sys::capability::bounding();
        let held = |name: &String| {
            onggi_sys::capability::number(name).is_some_and(|number| own & (1 << number) != 0)
        };
        return Ok(everything().into_iter().filter(held).collect());
    }
    let mut set: Vec<String> = match (add.iter().any(is_all), drop.iter().any(is_all)) {
        (true, _) => everything(),
        (false, true) => Vec::new(),
        (false, false) => defaults::CAPABILITIES
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
    };
    set.retain(|name| !drop.contains(name));
    for name in add {
        if !is_all(&name) && !set.contains(&name) {
            set.push(name);
        }
    }
    Ok(set)
}

fn is_all(name: &String) -> bool {
    name == "ALL"
}

/// The filter of system calls; for privileged containers only one that was asked for.
pub(crate) fn seccomp(record: &Record) -> Result<Option<Seccomp>> {
    let host = &record.host_config;
    Ok(match options(host)?.seccomp {
        Profile::Unconfined => None,
        Profile::Own(profile) => Some(*profile),
        Profile::Default if host.privileged => None,
        Profile::Default => Some(seccomp::default_profile(&capabilities_of(host)?)),
    })
}

/// Who sees the host's processes or memory has no label of its own, unless it asks for one.
pub(crate) fn disable_labels(host: &mut HostConfig) {
    let asked = |option: &String| option.starts_with("label=") || option.starts_with("label:");
    let sees = host.privileged || host.ipc_mode == "host" || host.pid_mode == "host";
    if sees && !host.security_opt.iter().flatten().any(asked) {
        let options = host.security_opt.get_or_insert_default();
        options.push("label=disable".to_owned());
    }
}

/// What cannot be read; a client's own list takes the place of the default.
pub(crate) fn masked_paths(host: &HostConfig) -> Vec<String> {
    if host.privileged {
        return Vec::new();
    }
    let default = || {
        defaults::MASKED_PATHS
            .iter()
            .map(|&path| path.to_owned())
            .collect()
    };
    host.masked_paths.clone().unwrap_or_else(default)
}

/// What cannot be written; a client's own list takes the place of the default.
pub(crate) fn readonly_paths(host: &HostConfig) -> Vec<String> {
    if host.privileged {
        return Vec::new();
    }
    let default = || {
        defaults::READONLY_PATHS
            .iter()
            .map(|&path| path.to_owned())
            .collect()
    };
    host.readonly_paths.clone().unwrap_or_else(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(add: &[&str], drop: &[&str]) -> HostConfig {
        let list = |names: &[&str]| Some(names.iter().map(|&n| n.to_owned()).collect());
        HostConfig {
            cap_add: list(add),
            cap_drop: list(drop),
            ..HostConfig::default()
        }
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let set = |add: &[&str], drop: &[&str]| {
            capabilities_of(&host(add, drop)).expect("known capabilities")
        };
        assert_eq!(set(&[], &[]), defaults::CAPABILITIES);
        assert_eq!(set(&["net_admin"], &["ALL"]), ["CAP_NET_ADMIN"]);
        assert!(!set(&["ALL"], &["CAP_CHOWN"]).contains(&"CAP_CHOWN".to_owned()));
        assert!(set(&["SYS_TIME"], &["chown"]).contains(&"CAP_SYS_TIME".to_owned()));
        let error = capabilities_of(&host(&["NOPE"], &[])).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "invalid CapAdd: unknown capability: \"CAP_NOPE\""
        );
    }

    #[test]
    fn inheritable_is_always_empty() {
        let privileged = HostConfig {
            privileged: true,
            ..HostConfig::default()
        };
        assert!(
            capabilities(&privileged)
                .expect("privileged")
                .inheritable
                .is_empty()
        );
    }

    #[test]
    fn the_profile_of_apparmor_is_the_one_named() {
        let of = |options: &[&str]| {
            let options = options.iter().map(|&o| o.to_owned()).collect();
            apparmor(&HostConfig {
                security_opt: Some(options),
                ..HostConfig::default()
            })
        };
        assert_eq!(of(&["no-new-privileges"]), "");
        assert_eq!(of(&["label=disable", "apparmor=kiln"]), "kiln");
        assert_eq!(of(&["apparmor:unconfined"]), "unconfined");
    }

    #[test]
    fn unknown_options_are_refused() {
        for option in ["nonsense", "seccomp={", "label=type:x", "apparmor=mine"] {
            let opt = Some(vec![option.to_owned()]);
            let host = HostConfig {
                security_opt: opt,
                ..HostConfig::default()
            };
            assert!(options(&host).is_err(), "{option}");
        }
    }
}
