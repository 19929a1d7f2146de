//! Resource limits, the OOM score and the AppArmor profile. What this machine may not raise is left as high as it is, with a
//! warning: a container that starts with 20,000 descriptors is of more use than one that does not start.

use rustix::io::Errno;

use super::Child;
use crate::Error;
use crate::error::reason;

pub(super) fn all(child: &mut Child<'_>) -> Result<(), Error> {
    for plan in &child.given.process.rlimits {
        let result = onggi_sys::process::set_rlimit(plan.resource, plan.soft, plan.hard);
        let Err(error) = result else { continue };
        if error.raw_os_error() != Some(Errno::PERM.raw_os_error()) {
            return Err(Error::setting(&format!("setting rlimit {}", plan.name))(
                error,
            ));
        }
        let (_, hard) = onggi_sys::process::rlimit(plan.resource)
            .map_err(Error::setting("reading an rlimit"))?;
        let lowered = plan.hard.min(hard);
        onggi_sys::process::set_rlimit(plan.resource, plan.soft.min(lowered), lowered)
            .map_err(Error::setting(&format!("setting rlimit {}", plan.name)))?;
        child.warnings.push(format!(
            "{}: {} may not be raised above {hard} here and was lowered",
            plan.name, plan.hard
        ));
    }
    oom_score(child)?;
    apparmor(child)
}

fn oom_score(child: &mut Child<'_>) -> Result<(), Error> {
    let Some(score) = child.given.process.oom_score_adj else {
        return Ok(());
    };
    let path = format!(
        "{}/oom_score_adj",
        rustix::process::getpid().as_raw_nonzero()
    );
    match child.write_proc(&path, &score.to_string()) {
        Ok(()) => Ok(()),
        Err(error)
            if error.raw_os_error() == Some(Errno::ACCESS.raw_os_error())
                || error.raw_os_error() == Some(Errno::PERM.raw_os_error()) =>
        {
            child.warnings.push(format!(
                "oom_score_adj {score} is below what is allowed here: {}",
                reason(&error)
            ));
            Ok(())
        }
        Err(error) => Err(Error::setting("oom_score_adj")(error)),
    }
}

fn apparmor(child: &mut Child<'_>) -> Result<(), Error> {
    let Some(profile) = &child.given.process.apparmor else {
        return Ok(());
    };
    if profile == "unconfined" && !std::path::Path::new("/sys/kernel/security/apparmor").exists() {
        return Ok(());
    }
    let value = format!("exec {profile}");
    let pid = rustix::process::getpid().as_raw_nonzero();
    // The directory of its own came with kernel 5.8; before, all security modules shared one.
    let result = child
        .write_proc(&format!("{pid}/attr/apparmor/exec"), &value)
        .or_else(|_| child.write_proc(&format!("{pid}/attr/exec"), &value));
    result.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "it is not loaded: load it with apparmor_parser".into(),
            _ => reason(&error),
        };
        Error::Setting(format!(
            "unable to apply apparmor profile {profile:?}: {why}"
        ))
    })
}
