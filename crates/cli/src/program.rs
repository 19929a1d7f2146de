//! From arguments to an exit code: global options, the command, its errors.

use std::process::ExitCode;

use crate::alias;
use crate::args::{Flag, Positionals, flag::Complete, help, list, parse, suggest, switch, value};
use crate::cli::Cli;
use crate::command::{Command, Found, find, top_level};
use crate::compose::called;
use crate::error::{Error, Result};
use crate::plugin::{self, Plugin};
use crate::settings::{self, ConfigFile, Environment, Settings};

/// The options before the command.
pub(crate) const GLOBALS: &[Flag] = &[
    value(
        None,
        "config",
        "string",
        "Directory of the client's configuration",
    )
    .completed(Complete::Files),
    value(
        Some('c'),
        "context",
        "string",
        "Context to use, whatever DOCKER_HOST and \"context use\" say",
    )
    .completed(Complete::Contexts),
    switch(Some('D'), "debug", "Tell more about what happens"),
    list(
        Some('H'),
        "host",
        "list",
        "Where the daemon listens (unix://PATH, tcp://HOST:PORT or ssh://USER@HOST)",
    ),
    value(
        Some('l'),
        "log-level",
        "string",
        "How much is logged (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")",
    )
    .default("\"info\"")
    .completed(Complete::Words(&[
        "debug", "info", "warn", "error", "fatal",
    ])),
    switch(None, "tls", "Use TLS; --tlsverify does as well"),
    value(
        None,
        "tlscacert",
        "string",
        "Trust certificates signed by this authority only (ca.pem of the configuration)",
    )
    .completed(Complete::Files),
    value(
        None,
        "tlscert",
        "string",
        "Path of the TLS certificate (cert.pem of the configuration)",
    )
    .completed(Complete::Files),
    value(
        None,
        "tlskey",
        "string",
        "Path of the TLS key (key.pem of the configuration)",
    )
    .completed(Complete::Files),
    switch(None, "tlsverify", "Use TLS and verify the daemon"),
    switch(Some('v'), "version", "Print the version and quit"),
];

/// Runs the command line `args` (the first is the program) in `environment`.
pub fn main(args: impl IntoIterator<Item = String>, environment: Environment) -> ExitCode {
    let mut args = args.into_iter();
    let path = args.next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let call = called::call(name, args.collect(), &environment);
    let mut cli = Cli::new(call.program.to_owned(), environment);
    cli.default_daemon = call.daemon;
    let outcome = match &call.answer {
        Some(answer) => cli.print(answer).map(|()| 0),
        None => run(&mut cli, &call.words),
    };
    let code = match outcome.and_then(|code| cli.flush().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            // Nothing more can be done when stdout and stderr are gone as well.
            let _ = cli.flush();
            if !error.message.is_empty() {
                let _ = cli.complain(&error.message);
            }
            error.code
        }
    };
    ExitCode::from(code)
}

fn run(cli: &mut Cli, args: &[String]) -> Result<u8> {
    if let [word, program, arguments @ ..] = args
        && word == crate::daemon::DETACH
    {
        return Err(crate::daemon::detach(program, arguments));
    }
    let program = cli.program.clone();
    let globals = parse::parse(&[GLOBALS], Positionals::Last, args);
    let mut globals = match globals {
        Err(parse::ParseError::UnknownShort { short: 'h', .. }) => {
            cli.complain("Flag shorthand -h has been deprecated, use --help")?;
            let page = crate::help::root(cli, &parse::Matches::default());
            cli.print(&page)?;
            return Ok(0);
        }
        other => other.map_err(|error| {
            Error::new(format!(
                "{error}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
            ))
            .with_code(125)
        })?,
    };
    let file = settings::directory(&cli.environment, &globals).join("config.json");
    let file = match ConfigFile::read(&file) {
        Ok(file) => file,
        Err(error) => {
            cli.complain(&format!("WARNING: {}", error.message))?;
            ConfigFile::default()
        }
    };
    let mut args = args.to_vec();
    if let Some(words) = alias::replace(&file, &globals.args)? {
        args.truncate(args.len() - globals.args.len());
        args.extend_from_slice(&words);
        globals.args = words;
    }
    if globals.on("version") {
        cli.print(&format!(
            "{} version {}, build {}\n",
            if program == "docker" {
                "Docker"
            } else {
                "onggi"
            },
            crate::VERSION,
            crate::BUILD,
        ))?;
        return Ok(0);
    }
    if globals.on("help") {
        let page = crate::help::page(&program, &globals.args)
            .unwrap_or_else(|| crate::help::root(cli, &globals));
        cli.print(&page)?;
        return Ok(0);
    }
    let Some(first) = globals.args.first().cloned() else {
        let page = crate::help::root(cli, &globals);
        cli.complain(page.trim_end_matches('\n'))?;
        return Ok(0);
    };
    crate::registry::passed_on(cli, &globals.args)?;
    group_options(cli, &mut globals.args)?;
    match find(&globals.args) {
        Found::Unknown(word) => {
            let word = word.to_owned();
            match plugin(cli, &globals, &word)? {
                Some((plugin, host)) => Err(plugin.run(&program, &args, host.as_deref())),
                None => Err(unknown(&program, &word)),
            }
        }
        Found::Group(group) => {
            // As Docker writes it, for this one group only.
            let command = if group.name == "volume" {
                " COMMAND"
            } else {
                ""
            };
            match globals.args.get(1).map(String::as_str) {
                None => {
                    cli.complain(help::group(&program, group).trim_end_matches('\n'))?;
                    Ok(0)
                }
                Some("--help") => {
                    cli.print(&help::group(&program, group))?;
                    Ok(0)
                }
                Some(option) if option.starts_with('-') && option.len() > 1 => {
                    let error = parse::parse(&[], Positionals::Last, &globals.args[1..]).err();
                    let error = error.map(|error| error.to_string()).unwrap_or_default();
                    Err(Error::new(format!(
                    "{error}\n\nUsage:  {program} {first}{command}\n\nRun '{program} {first} --help' for more information"
                ))
                .with_code(125))
                }
                Some(word) => {
                    let near = suggest::suggest(
                        word,
                        group
                            .commands
                            .iter()
                            .map(|command| command.name_in(group.name)),
                    );
                    Err(Error::new(format!(
                        "{program}: unknown command: {program} {first} {word}\n\nUsage:  {program} {first}{command}\n\n{}Run '{program} {first} --help' for more information",
                        meant(&near)
                    )))
                }
            }
        }
        Found::Command(command, path, used) => {
            cli.settings = Settings::new(&cli.environment, &globals)?;
            called::settle(cli);
            dispatch(cli, command, &path, &globals.args[used..])
        }
    }
}

/// The plugin for a word that is no command of ours, and the daemon it is told.
fn plugin(
    cli: &Cli,
    globals: &parse::Matches,
    word: &str,
) -> Result<Option<(Plugin, Option<String>)>> {
    let directory = settings::directory(&cli.environment, globals);
    let file = ConfigFile::read(&directory.join("config.json"))?;
    let given = globals.given("host") || globals.given("context");
    let host = plugin::host(&cli.environment, given, &file.current_context);
    Ok(plugin::find(&directory, &file, word)
        .filter(|plugin| plugin.metadata().is_ok())
        .map(|plugin| (plugin, host)))
}

/// Takes the options that stand between a management command and its command out of the words.
fn group_options(cli: &mut Cli, words: &mut Vec<String>) -> Result<()> {
    let Found::Group(group) = find(words) else {
        return Ok(());
    };
    let (program, name) = (cli.program.clone(), group.name);
    if group.flags.is_empty() || !words.get(1).is_some_and(|word| word.starts_with('-')) {
        return Ok(());
    }
    let matches = parse::parse(&[group.flags], Positionals::Last, &words[1..]).map_err(|error| {
        Error::new(format!(
            "{error}\n\nUsage:  {program} {name} [OPTIONS] COMMAND\n\nRun '{program} {name} --help' for more information"
        ))
        .with_code(125)
    })?;
    words.truncate(1);
    if matches.on("help") {
        words.push("--help".to_owned());
    } else if matches.on("version") {
        words.push("version".to_owned());
    } else {
        words.extend_from_slice(&matches.args);
    }
    cli.group = matches;
    Ok(())
}

/// Parses the arguments of a command and runs it.
fn dispatch(cli: &mut Cli, command: &'static Command, path: &str, args: &[String]) -> Result<u8> {
    let program = cli.program.clone();
    let matches = parse::parse(command.flags, command.positionals, args);
    let short_help = matches!(
        &matches,
        Err(parse::ParseError::UnknownShort { short: 'h', .. })
    );
    if short_help {
        cli.complain("Flag shorthand -h has been deprecated, use --help")?;
    }
    if short_help || matches.as_ref().is_ok_and(|matches| matches.on("help")) {
        cli.print(&help::command(&program, path, command, help::width()))?;
        return Ok(0);
    }
    let matches = matches.map_err(|error| {
        Error::new(format!(
            "{error}\n\nUsage:  {}\n\nRun '{program} {path} --help' for more information",
            command.usage_line(&program, path)
        ))
        .with_code(125)
    })?;
    command.check(&program, path, matches.args.len())?;
    check_versions(cli, command, &matches)?;
    (command.run)(cli, &matches)
}

/// Refuses flags that the daemon is too old for, or of the wrong system; asks it only when such a flag was given.
fn check_versions(
    cli: &mut Cli,
    command: &'static Command,
    matches: &parse::Matches,
) -> Result<()> {
    let special: Vec<&Flag> = command
        .flags
        .iter()
        .flat_map(|table| table.iter())
        .filter(|flag| (flag.since.is_some() || flag.windows) && matches.given(flag.long))
        .collect();
    if special.is_empty() {
        return Ok(());
    }
    let client = cli.client()?;
    let spoken = cli.block_on(client.version())??;
    let refused: Vec<String> = special
        .iter()
        .filter_map(|flag| {
            let long = flag.long;
            if flag.windows {
                return Some(format!(
                    "\"--{long}\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux"
                ));
            }
            let (major, minor) = flag.since?;
            let since = onggi_client::Version(major, minor);
            (since > spoken).then(|| {
                format!(
                    "\"--{long}\" requires API version {since}, but the Docker daemon API version is {spoken}"
                )
            })
        })
        .collect();
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Error::new(refused.join("\n")))
    }
}

fn unknown(program: &str, word: &str) -> Error {
    let near = suggest::suggest(word, top_level().map(|(name, _)| name));
    Error::new(format!(
        "{program}: unknown command: {program} {word}\n\n{}Run '{program} --help' for more information",
        meant(&near)
    ))
}

fn meant(near: &[&str]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let lines: String = near.iter().map(|name| format!("  {name}\n")).collect();
    format!("Did you mean this?\n{lines}\n")
}

/// Levels of `--log-level`, checked where the settings are made.
pub(crate) fn check_log_level(level: &str) -> Result<()> {
    match level {
        "" | "debug" | "info" | "warn" | "warning" | "error" | "fatal" | "panic" | "trace" => {
            Ok(())
        }
        other => Err(Error::new(format!(
            "Unable to parse logging level: {other}"
        ))),
    }
}
