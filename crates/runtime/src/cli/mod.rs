//! runc's command line over this library, for containerd, podman, dockerd and the OCI suites.
//!
//! One table of commands ([`COMMANDS`]), each with its table of flags. What a container leaves on disk is in [`store`].

mod args; // flags by table
mod create; // create, run
mod exec; // exec
mod foreground; // waiting for a process, its terminal, its signals
mod help; // usage texts and `features`
mod log; // --log in text and JSON
mod manage; // start, state, kill, delete, list, ps, pause, resume
mod store; // state.json and the start pipe

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use args::{Flag, Given};

use crate::Error;

/// What a command is called with.
struct Call {
    root: PathBuf,
    given: Given,
}

/// How a command ended when it did not fail.
type Outcome = Result<u8, Failure>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Runtime(#[from] Error),
    #[error("{0}")]
    Text(String),
}

impl Failure {
    fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Text(format!("{what}: {}", crate::error::reason(&error)))
    }
}

struct Command {
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    flags: &'static [Flag],
    /// Whether code of this program enters a container: then it runs from a sealed copy of itself.
    enters: bool,
    run: fn(&Call) -> Outcome,
}

const GLOBAL: &[Flag] = &[
    Flag::value(
        "root",
        None,
        "directory for the state of containers (default /run/onggi-runtime)",
    ),
    Flag::value("log", None, "file for errors and warnings"),
    Flag::value(
        "log-format",
        None,
        "format of that file: text (default) or json",
    ),
    Flag::switch("debug", None, "accepted; there is nothing more to say"),
    Flag::switch(
        "systemd-cgroup",
        None,
        "refused: control groups are made directly",
    ),
    Flag::value("rootless", None, "auto or false; true is refused"),
    Flag::value("criu", None, "ignored"),
    Flag::switch("help", Some('h'), "show this text"),
    Flag::switch("version", Some('v'), "show the version"),
];

const COMMANDS: &[Command] = &[
    Command {
        name: "create",
        arguments: "<container-id>",
        summary: "create a container",
        flags: create::CREATE_FLAGS,
        enters: true,
        run: create::create,
    },
    Command {
        name: "delete",
        arguments: "<container-id>",
        summary: "delete a container that is not running",
        flags: &[Flag::switch("force", Some('f'), "kill it if it is running")],
        enters: false,
        run: manage::delete,
    },
    Command {
        name: "exec",
        arguments: "<container-id> <command> [args...]",
        summary: "run a further process in a container",
        flags: exec::FLAGS,
        enters: true,
        run: exec::exec,
    },
    Command {
        name: "features",
        arguments: "",
        summary: "show what is supported, as JSON",
        flags: &[],
        enters: false,
        run: help::features,
    },
    Command {
        name: "kill",
        arguments: "<container-id> [signal]",
        summary: "send a signal to a container's first process (default SIGTERM)",
        flags: &[Flag::switch("all", Some('a'), "send it to all processes")],
        enters: false,
        run: manage::kill,
    },
    Command {
        name: "list",
        arguments: "",
        summary: "list containers",
        flags: &[
            Flag::value("format", Some('f'), "table (default) or json"),
            Flag::switch("quiet", Some('q'), "ids only"),
        ],
        enters: false,
        run: manage::list,
    },
    Command {
        name: "pause",
        arguments: "<container-id>",
        summary: "suspend all processes of a container",
        flags: &[],
        enters: false,
        run: manage::pause,
    },
    Command {
        name: "ps",
        arguments: "<container-id>",
        summary: "list the processes of a container as JSON",
        flags: &[Flag::value("format", Some('f'), "json")],
        enters: false,
        run: manage::ps,
    },
    Command {
        name: "resume",
        arguments: "<container-id>",
        summary: "let a suspended container run on",
        flags: &[],
        enters: false,
        run: manage::resume,
    },
    Command {
        name: "run",
        arguments: "<container-id>",
        summary: "create and start a container",
        flags: create::RUN_FLAGS,
        enters: true,
        run: create::run,
    },
    Command {
        name: "start",
        arguments: "<container-id>",
        summary: "let the process of a created container run",
        flags: &[],
        enters: false,
        run: manage::start,
    },
    Command {
        name: "state",
        arguments: "<container-id>",
        summary: "show the state of a container as JSON",
        flags: &[],
        enters: false,
        run: manage::state,
    },
];

/// Runs `onggi-runtime` with `args` (without the program's name) and returns its exit code: the process's own for `run` and `exec`
/// in the foreground, 1 for failures, 255 for failures of `exec` before the process ran.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Result<Vec<String>, OsString> = args.into_iter().map(OsString::into_string).collect();
    let args = match args {
        Ok(args) => args,
        Err(bad) => return usage(&format!("{} is not UTF-8", bad.display())),
    };
    let (global, rest) = match args::parse(GLOBAL, &args, args::Words::First) {
        Ok(parsed) => parsed,
        Err(text) => return usage(&text),
    };
    if global.on("version") {
        return say(&help::version());
    }
    let Some((name, rest)) = rest.split_first() else {
        return say(&help::usage());
    };
    if global.on("help") || name == "help" {
        return say(&help::usage());
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return usage(&format!("no such command: {name:?}"));
    };
    if rest
        .iter()
        .take_while(|w| *w != "--")
        .any(|w| w == "--help" || w == "-h")
        && command.name != "exec"
    {
        return say(&help::of(command));
    }
    let words = if command.name == "exec" {
        args::Words::First
    } else {
        args::Words::Anywhere
    };
    let given = match args::parse(command.flags, rest, words) {
        Ok((mut given, words)) => {
            given.words = words;
            given
        }
        Err(text) => return usage(&text),
    };
    let log = log::Log::new(global.value("log"), global.value("log-format"));
    let result = check(&global).and_then(|root| {
        if command.enters {
            seal(&args)?;
        }
        (command.run)(&Call { root, given })
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let text = failure.to_string();
            log.error(&text);
            let _ = writeln!(std::io::stderr(), "onggi-runtime {name} failed: {text}");
            ExitCode::from(if command.name == "exec" { 255 } else { 1 })
        }
    }
}

fn check(global: &Given) -> Result<PathBuf, Failure> {
    if global.on("systemd-cgroup") {
        return Err(Failure::Text(
            "--systemd-cgroup is not supported: control groups are made directly".to_owned(),
        ));
    }
    if !matches!(global.value("rootless"), None | Some("auto" | "false" | "")) {
        return Err(Failure::Text("--rootless is not supported".to_owned()));
    }
    Ok(PathBuf::from(
        global.value("root").unwrap_or("/run/onggi-runtime"),
    ))
}

/// Runs this program anew from a sealed copy in memory, unless it is one already: a container that gets hold of its
/// `/proc/PID/exe` cannot change the file on the host (CVE-2019-5736).
fn seal(args: &[String]) -> Result<(), Failure> {
    use std::os::fd::AsFd;
    let mut own = File::open("/proc/self/exe").map_err(Failure::io("opening this program"))?;
    if onggi_sys::memfd::is_sealed(&own) {
        return Ok(());
    }
    let copy = onggi_sys::memfd::sealed_copy_of(&mut own, "onggi-runtime")
        .map_err(Failure::io("copying this program"))?;
    let strings = |list: Vec<String>| {
        list.into_iter()
            .map(std::ffi::CString::new)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Failure::Text("a zero byte in the arguments".to_owned()))
    };
    let name = std::env::args()
        .next()
        .unwrap_or_else(|| "onggi-runtime".to_owned());
    let argv = strings(std::iter::once(name).chain(args.iter().cloned()).collect())?;
    let environment = strings(
        std::env::vars_os()
            .filter_map(|(key, value)| {
                Some(format!(
                    "{}={}",
                    key.into_string().ok()?,
                    value.into_string().ok()?
                ))
            })
            .collect(),
    )?;
    let error = onggi_sys::exec::execve_fd(copy.as_fd(), &argv, &environment);
    Err(Failure::io("executing the sealed copy")(error))
}

fn say(text: &str) -> ExitCode {
    match write!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn usage(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "onggi-runtime: {text}");
    ExitCode::FAILURE
}
