//! The daemon's security defaults, for containers that say nothing about them. Applied at start: a container that was
//! made before the configuration became stricter gets the stricter one.

use onggi_oci::runtime::Spec;
use onggi_runtime::seccomp;

use crate::config::{Defaults, SeccompProfile};
use crate::container::Record;
use crate::error::{Error, Result};

/// Puts them into the document.
pub(super) fn apply(defaults: &Defaults, record: &Record, spec: &mut Spec) -> Result<()> {
    let host = &record.host_config;
    let says = |name: &str| {
        let options = host.security_opt.iter().flatten();
        options
            .map(|option| option.split(['=', ':']).next().unwrap_or_default())
            .any(|found| found == name)
    };
    let Some(process) = &mut spec.process else {
        return Ok(());
    };
    if defaults.no_new_privileges && !says("no-new-privileges") {
        process.no_new_privileges = true;
    }
    let Some(linux) = &mut spec.linux else {
        return Ok(());
    };
    if host.privileged || says("seccomp") {
        return Ok(());
    }
    match &defaults.seccomp {
        SeccompProfile::Builtin => {}
        SeccompProfile::Unconfined => linux.seccomp = None,
        SeccompProfile::File(path, text) => {
            let held = process.capabilities.as_ref().map(|sets| &sets.bounding[..]);
            let profile = seccomp::parse_profile(text, held.unwrap_or_default());
            linux.seccomp = Some(profile.map_err(|fault| {
                Error::of(&fault).context(format!("seccomp profile {}", path.display()))
            })?);
        }
    }
    Ok(())
}
