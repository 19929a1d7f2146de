//! What the process may do: no_new_privs, system call filter, bounding set, ids and groups, the other capability sets. The order
//! is forced by the kernel: each step needs a right that a later one gives up.

use onggi_sys::capability::{self, Sets};
use rustix::fs::{Gid, Mode, Uid};

use super::{Child, cwd, isolate};
use crate::Error;

/// Before the user changes.
pub(super) fn confine(child: &mut Child<'_>) -> Result<(), Error> {
    let process = child.given.process;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(Error::setting("no_new_privs"))?;
    } else {
        // Without no_new_privs the filter needs CAP_SYS_ADMIN, which is about to go. With it, the filter comes last.
        load_filter(child)?;
    }
    capability::limit_bounding(process.capabilities.bounding)
        .map_err(Error::setting("capability bounding set"))
}

pub(super) fn load_filter(child: &Child<'_>) -> Result<(), Error> {
    if let Some(filter) = &child.given.process.filter {
        onggi_sys::seccomp::load(&filter.program, filter.flags)
            .map_err(Error::setting("seccomp filter"))?;
    }
    Ok(())
}

/// Changes the user and enters the working directory, as root if the user may not.
pub(super) fn change(child: &mut Child<'_>) -> Result<(), Error> {
    let sets = child.given.process.capabilities;
    rustix::thread::set_keep_capabilities(true).map_err(Error::setting("PR_SET_KEEPCAPS"))?;
    let entered = cwd::enter(child)?;
    let credentials = child.credentials()?;
    let groups: Vec<Gid> = credentials
        .groups
        .iter()
        .map(|g| Gid::from_raw(*g))
        .collect();
    rustix::thread::set_thread_groups(&groups).map_err(Error::setting("setgroups"))?;
    let gid = Gid::from_raw(credentials.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(Error::setting("setresgid"))?;
    let uid = Uid::from_raw(credentials.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(Error::setting("setresuid"))?;
    if !entered && !cwd::enter(child)? {
        return Err(cwd::failed(
            &child.given.process.cwd,
            "permission denied".to_owned(),
        ));
    }
    rustix::thread::set_keep_capabilities(false).map_err(Error::setting("PR_SET_KEEPCAPS"))?;
    capability::set(Sets {
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
    })
    .map_err(Error::setting("capset"))?;
    let refused =
        capability::set_ambient(sets.ambient).map_err(Error::setting("ambient capabilities"))?;
    if refused != 0 {
        child.warnings.push(
            "some ambient capabilities are not permitted and inheritable, and are left out"
                .to_owned(),
        );
    }
    isolate::die_with_parent(child)?;
    rustix::process::umask(Mode::from_raw_mode(child.given.process.umask));
    Ok(())
}
