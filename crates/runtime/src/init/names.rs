//! Host name, domain name and kernel parameters of the container's own namespaces.

use super::Container;
use crate::Error;
use crate::error::reason;

pub(super) fn host(container: &mut Container<'_>) -> Result<(), Error> {
    if let Some(name) = &container.plan.hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(Error::setting("sethostname"))?;
    }
    if let Some(name) = &container.plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).map_err(Error::setting("setdomainname"))?;
    }
    Ok(())
}

pub(super) fn sysctls(container: &mut Container<'_>) -> Result<(), Error> {
    for sysctl in &container.plan.sysctls {
        container
            .child
            .write_proc(&format!("sys/{}", sysctl.path), &sysctl.value)
            .map_err(|error| {
                Error::Setting(format!(
                    "sysctl {:?} = {:?}: {}",
                    sysctl.key,
                    sysctl.value,
                    reason(&error)
                ))
            })?;
    }
    Ok(())
}
