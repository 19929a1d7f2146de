//! Finding the program to run, inside the container, with the rights of the user it will run as. The texts are those of Go's
//! os/exec, which users of Docker know and tools match on.

use std::io;

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode};
use rustix::io::Errno;

use crate::Error;
use crate::error::reason;

/// What Docker gives containers without a PATH of their own.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path to execute for `command`. Relative to the working directory when it holds a slash, else searched in PATH.
pub(crate) fn find(command: &str, environment: &[String]) -> Result<String, Error> {
    if command.contains('/') {
        return match executable(command) {
            Ok(()) => Ok(command.to_owned()),
            Err(Problem::Stat(error)) => Err(missing(command, &error)),
            Err(Problem::Other(error)) => Err(denied(command, &error)),
        };
    }
    let path = environment
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    // An empty or relative entry would run what lies in the working directory: os/exec refuses that as well.
    for directory in path
        .split(':')
        .filter(|directory| directory.starts_with('/'))
    {
        let candidate = format!("{}/{command}", directory.trim_end_matches('/'));
        if executable(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    Err(Error::CommandNotFound {
        command: command.to_owned(),
        text: format!("exec: {command:?}: executable file not found in $PATH"),
    })
}

/// The error for an execve that failed although the file was found.
pub(crate) fn refused(path: &str, command: &str, error: &io::Error) -> Error {
    let text = format!("exec {path}: {}", reason(error));
    let command = command.to_owned();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NOTDIR) => Error::CommandNotFound { command, text },
        _ => Error::CommandNotExecutable { command, text },
    }
}

enum Problem {
    Stat(io::Error),
    Other(io::Error),
}

fn executable(path: &str) -> Result<(), Problem> {
    let stat = rustix::fs::stat(path).map_err(|error| Problem::Stat(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Problem::Other(Errno::ISDIR.into()));
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        // Filters of the container may not know faccessat2: the bits decide then, as they did before it existed.
        Err(Errno::NOSYS | Errno::PERM) => {
            if Mode::from_raw_mode(stat.st_mode).intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH) {
                Ok(())
            } else {
                Err(Problem::Other(Errno::ACCESS.into()))
            }
        }
        Err(error) => Err(Problem::Other(error.into())),
    }
}

fn missing(command: &str, error: &io::Error) -> Error {
    let text = format!("exec: {command:?}: stat {command}: {}", reason(error));
    let command = command.to_owned();
    if error.raw_os_error() == Some(Errno::ACCESS.raw_os_error()) {
        return Error::CommandNotExecutable { command, text };
    }
    Error::CommandNotFound { command, text }
}

fn denied(command: &str, error: &io::Error) -> Error {
    Error::CommandNotExecutable {
        command: command.to_owned(),
        text: format!("exec: {command:?}: {}", reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_path() {
        let environment = ["PATH=/nowhere:/bin".to_owned()];
        assert_eq!(find("sh", &environment), Ok("/bin/sh".to_owned()));
        assert_eq!(find("/bin/sh", &[]), Ok("/bin/sh".to_owned()));
    }

    #[test]
    fn failures_say_what_go_says() {
        let text = |command: &str| {
            find(command, &["PATH=/bin:.:".to_owned()])
                .expect_err(command)
                .to_string()
        };
        assert_eq!(
            text("nope"),
            "exec: \"nope\": executable file not found in $PATH"
        );
        assert_eq!(
            text("/nope"),
            "exec: \"/nope\": stat /nope: no such file or directory"
        );
        assert_eq!(text("/etc"), "exec: \"/etc\": is a directory");
        assert_eq!(
            text("/etc/passwd"),
            "exec: \"/etc/passwd\": permission denied"
        );
        assert_eq!(
            find("/etc/passwd", &[]).map_err(|e| e.exit_code()),
            Err(Some(126))
        );
        assert_eq!(
            find("/nope", &[]).map_err(|e| e.exit_code()),
            Err(Some(127))
        );
    }
}
