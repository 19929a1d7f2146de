//! Kernel parameters a container may set: one key, one value, and only what its own namespaces hold (CVE-2022-0811).

use std::collections::BTreeMap;

use onggi_sys::namespace::flag;

use super::Plan;
use crate::Error;

/// A parameter by its path below `/proc/sys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub(crate) key: String,
    pub(crate) path: String,
    pub(crate) value: String,
}

/// Parameters of the IPC namespace; names that end in a dot stand for all below them.
const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "fs.mqueue.",
];

pub(super) fn parse(wanted: &BTreeMap<String, String>, plan: &Plan) -> Result<Vec<Sysctl>, Error> {
    wanted
        .iter()
        .map(|(key, value)| one(key, value, plan))
        .collect()
}

fn one(key: &str, value: &str, plan: &Plan) -> Result<Sysctl, Error> {
    let malformed = || Error::Invalid(format!("sysctl {key:?} is not a kernel parameter"));
    // sysctl(8): the separator that comes first is the separator; the other one then belongs to a name (an interface "eth0.1").
    let slashed = key.find('/').unwrap_or(usize::MAX) < key.find('.').unwrap_or(usize::MAX);
    let (dotted, path) = if slashed {
        (swap(key), key.to_owned())
    } else {
        (key.to_owned(), swap(key))
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    if key.is_empty() || !key.chars().all(plain) {
        return Err(malformed());
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(malformed());
    }
    if value.contains(['\n', '\0']) {
        return Err(Error::Invalid(format!(
            "sysctl {key:?}: the value holds a line break"
        )));
    }
    let listed = IPC.iter().any(|known| match known.strip_suffix('.') {
        Some(_) => dotted.starts_with(known),
        None => dotted == *known,
    });
    let allowed = if listed {
        plan.separate(flag::IPC)
    } else if dotted.starts_with("net.") {
        plan.separate(flag::NET)
    } else if dotted == "kernel.domainname" {
        plan.separate(flag::UTS)
    } else if dotted == "kernel.hostname" {
        return Err(Error::Invalid(
            "sysctl \"kernel.hostname\" is not allowed: use hostname".to_owned(),
        ));
    } else {
        false
    };
    if !allowed {
        return Err(Error::Invalid(format!(
            "sysctl {key:?} is not in a separate kernel namespace"
        )));
    }
    Ok(Sysctl {
        key: key.to_owned(),
        path,
        value: value.to_owned(),
    })
}

fn swap(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}
