//! The end of the list: find the program, say that all is ready, wait for the word, execute.

use std::ffi::CString;
use std::os::fd::AsFd;

use rustix::fs::OFlags;

use super::{Child, credentials};
use crate::Error;
use crate::lookup;
use crate::sync::{FromChild, FromParent};

/// As the user, in the working directory: so that what is found can be run.
pub(super) fn find(child: &mut Child<'_>) -> Result<(), Error> {
    child.path = lookup::find(&command(child), &child.environment)?;
    Ok(())
}

fn command(child: &Child<'_>) -> String {
    child.given.process.args[0].to_string_lossy().into_owned()
}

pub(super) fn wait(child: &mut Child<'_>) -> Result<(), Error> {
    child.warnings.extend(child.given.process.warnings.clone());
    let warnings = std::mem::take(&mut child.warnings);
    let master = child.master.take();
    let fds: Vec<_> = master.iter().map(AsFd::as_fd).collect();
    child
        .given
        .sync
        .tell(FromChild::Ready { warnings }, &fds)
        .map_err(Error::internal("telling the parent"))?;
    drop(master);
    if let Some(fifo) = child.given.fifo {
        child.alone = true;
        // Blocks until someone opens the other end: that is the start.
        let pipe = child.reopen(fifo, OFlags::WRONLY)?;
        child.procfs = None;
        rustix::io::write(&pipe, b"0").map_err(Error::internal("the start pipe"))?;
        return Ok(());
    }
    match child.given.sync.await_order() {
        Ok(FromParent::Start) => Ok(()),
        Ok(_) => Err(Error::Gone("the parent hung up".to_owned())),
        Err(error) => Err(Error::internal("waiting for the start")(error)),
    }
}

pub(super) fn run(child: &mut Child<'_>) -> Result<(), Error> {
    let string = |text: &str| CString::new(text).map_err(Error::internal("a zero byte"));
    let environment = child
        .environment
        .iter()
        .map(|entry| string(entry))
        .collect::<Result<Vec<_>, _>>()?;
    let path = string(&child.path)?;
    let process = child.given.process;
    preserve(child)?;
    if process.no_new_privileges {
        credentials::load_filter(child)?;
    }
    let Some(program) = child.given.program else {
        let error = onggi_sys::exec::execve(&path, &process.args, &environment);
        return Err(lookup::refused(&child.path, &command(child), &error));
    };
    let mut args = vec![string("onggi-init")?, string("--")?];
    args.extend(process.args.iter().cloned());
    let error = onggi_sys::exec::execve_fd(program, &args, &environment);
    Err(Error::internal("executing onggi-init")(error))
}

/// Descriptors the process shall inherit become 3, 4, ...; everything else closes itself.
fn preserve(child: &Child<'_>) -> Result<(), Error> {
    onggi_sys::fd::cloexec_from(3).map_err(Error::internal("close_range"))?;
    let fds: Vec<_> = child.given.preserved.iter().map(AsFd::as_fd).collect();
    if fds.is_empty() {
        return Ok(());
    }
    onggi_sys::fd::inherit_from(3, &fds).map_err(Error::internal("handing over descriptors"))
}
