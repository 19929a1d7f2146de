//! `compose exec`: runs a command in a container of a service.

use onggi_api::exec::CreateRequest;

use super::containers::{self, Among};
use super::port::INDEX;
use super::project;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, Positionals, check, list, switch};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::container::exec::{PRIVILEGED, USER, WORKDIR, exec};
use crate::container::request::environment_of;
use crate::error::Result;
use crate::stream::terminal;

const FLAGS: &[Flag] = &[
    switch(Some('d'), "detach", "Run the command in the background"),
    list(
        Some('e'),
        "env",
        "stringArray",
        "Set a variable of the environment",
    )
    .checked(check::env),
    INDEX,
    // Of old command lines: it is so unless --no-tty or --interactive=false says otherwise.
    switch(Some('i'), "interactive", "Keep STDIN open").hidden(),
    switch(
        Some('T'),
        "no-tty",
        "Give the command no terminal; the default where standard output is none",
    ),
    PRIVILEGED,
    switch(Some('t'), "tty", "Give the command a terminal").hidden(),
    USER,
    WORKDIR,
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE COMMAND [ARGS...]",
    about: "Run a command in a running container of a service",
    flags: &[FLAGS],
    positionals: Positionals::Last,
    arity: Arity::AtLeast(2),
    complete: &[Complete::Services, Complete::Nothing],
    ..command(&["compose exec"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    project::not_dry(cli, "exec")?;
    let subject = project::subject(cli)?;
    let (service, words) = (&matches.args[0], &matches.args[1..]);
    let index = matches.int("index").unwrap_or(0);
    let container = containers::one(cli, &subject, service, index, Among::Running)?;
    let detach = matches.on("detach");
    let wanted = !matches.on_or("no-tty", !is_terminal(std::io::stdout()));
    let tty = wanted && matches.on_or("tty", true) && !detach;
    let size = if tty { terminal::size() } else { None };
    let env = environment_of(matches, &cli.environment)?;
    let request = CreateRequest {
        user: matches.text("user").to_owned(),
        privileged: matches.on("privileged"),
        tty,
        console_size: size.map(|(rows, columns)| [u32::from(rows), u32::from(columns)]),
        attach_stdin: !detach && matches.on_or("interactive", true),
        attach_stderr: !detach,
        attach_stdout: !detach,
        detach_keys: cli.detach_keys(""),
        env: Some(env).filter(|env| !env.is_empty()),
        working_dir: matches.text("workdir").to_owned(),
        cmd: Some(words.to_vec()),
    };
    let client = cli.client()?;
    cli.block_on(exec(&client, &container.id, request, detach))?
}
