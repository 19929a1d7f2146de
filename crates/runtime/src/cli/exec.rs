//! `exec`.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use onggi_oci::runtime::{Process, Status};

use super::args::Flag;
use super::store::{self, Place};
use super::{Call, Failure, Outcome, create, foreground};
use crate::{ExecLaunch, Running, Stdio};

pub(super) const FLAGS: &[Flag] = &[
    Flag::value("process", Some('p'), "file with the process as JSON"),
    Flag::value(
        "console-socket",
        None,
        "unix socket that gets the terminal's master",
    ),
    Flag::value("pid-file", None, "file for the process id"),
    Flag::switch("detach", Some('d'), "do not wait for the process"),
    Flag::switch("tty", Some('t'), "give it a terminal"),
    Flag::value("user", Some('u'), "uid or uid:gid"),
    Flag::value("additional-gids", Some('g'), "further group"),
    Flag::value("cwd", None, "working directory"),
    Flag::value("env", Some('e'), "KEY=value, more than once"),
    Flag::value("cap", Some('c'), "further capability, more than once"),
    Flag::switch("no-new-privs", None, "execve never grants privileges"),
    Flag::value(
        "preserve-fds",
        None,
        "how many descriptors from 3 on the process inherits",
    ),
    Flag::switch("ignore-paused", None, "also in a suspended container"),
];

pub(super) fn exec(call: &Call) -> Outcome {
    let given = &call.given;
    let Some((id, command)) = given.words.split_first() else {
        return Err(Failure::Text(
            "exec takes a container id and a command".to_owned(),
        ));
    };
    let place = Place::new(&call.root, id)?;
    let record = place.load()?;
    match place.status(&record) {
        Status::Running => {}
        Status::Paused if given.on("ignore-paused") => {}
        Status::Paused => {
            return Err(Failure::Text(
                "cannot exec in a paused container".to_owned(),
            ));
        }
        _ => {
            return Err(Failure::Text(
                "cannot exec in a stopped container".to_owned(),
            ));
        }
    }
    let process = match given.value("process") {
        Some(path) => store::read(Path::new(path))?,
        None => by_flags(
            call,
            command,
            record.spec.process.clone().unwrap_or_default(),
        )?,
    };
    let detach = given.on("detach");
    let console = given.value("console-socket");
    let stdio = if process.terminal {
        if detach && console.is_none() {
            return Err(Failure::Text(
                "cannot allocate tty if the process is detached without --console-socket"
                    .to_owned(),
            ));
        }
        Stdio::Console {
            size: create::size(&process),
        }
    } else {
        create::inherited_streams()?
    };
    let group = record.group()?;
    let target = Running::adopt(record.pid, group)?;
    if !record.alive() {
        return Err(Failure::Text(
            "cannot exec in a stopped container".to_owned(),
        ));
    }
    if !detach {
        onggi_sys::signal::block_all();
    }
    let mut execed = crate::exec(
        &target,
        ExecLaunch {
            id: &record.id,
            process: &process,
            user: None,
            stdio,
            seccomp: record
                .spec
                .linux
                .as_ref()
                .and_then(|linux| linux.seccomp.as_ref()),
            die_with_parent: false,
            preserved: create::preserved(given.value("preserve-fds"))?,
        },
    )?;
    if let Some(path) = given.value("pid-file").filter(|path| !path.is_empty()) {
        store::write_whole(Path::new(path), execed.pid.to_string().as_bytes())
            .map_err(Failure::io(path))?;
    }
    if let Some(path) = console
        && let Some(master) = execed.master.take()
    {
        let socket = UnixStream::connect(path).map_err(Failure::io(path))?;
        onggi_sys::scm::send_with_fds(&socket, b"/dev/ptmx", &[master.as_fd()])
            .map_err(Failure::io("sending the terminal"))?;
    }
    if detach {
        return Ok(0);
    }
    foreground::watch(execed.pid, execed.pidfd.as_fd(), execed.master)
}

fn by_flags(call: &Call, command: &[String], base: Process) -> Result<Process, Failure> {
    let given = &call.given;
    if command.is_empty() {
        return Err(Failure::Text(
            "exec takes a container id and a command".to_owned(),
        ));
    }
    let mut process = Process {
        args: command.to_vec(),
        terminal: given.on("tty"),
        console_size: None,
        ..base
    };
    if let Some(cwd) = given.value("cwd") {
        process.cwd = cwd.to_owned();
    }
    process.env.extend(given.values("env").map(str::to_owned));
    if given.on("no-new-privs") {
        process.no_new_privileges = true;
    }
    let number = |text: &str| {
        text.parse()
            .map_err(|_| Failure::Text(format!("{text:?} is not an id")))
    };
    if let Some(user) = given.value("user") {
        let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
        process.user.uid = number(uid)?;
        if !gid.is_empty() {
            process.user.gid = number(gid)?;
        }
    }
    for gid in given.values("additional-gids") {
        process.user.additional_gids.push(number(gid)?);
    }
    for name in given.values("cap") {
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(name.to_owned());
        }
    }
    Ok(process)
}
