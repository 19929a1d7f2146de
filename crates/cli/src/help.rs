//! `help [COMMAND]`.

use crate::Cli;
use crate::args::help;
use crate::args::manual::pages;
use crate::args::{Matches, Positionals};
use crate::command::{Command, Found, TABLE, command, find};
use crate::error::{Error, Result, path_error};
use crate::plugin;
use crate::settings::ConfigFile;

pub(crate) const COMMAND: Command = Command {
    usage: "[COMMAND]",
    about: "Show the help of a command",
    positionals: Positionals::Last,
    arity: crate::command::Arity::AtLeast(0),
    hidden: true,
    ..command(&["help"], run)
};

/// `__manual DIRECTORY`: writes the manual pages there, and the completion scripts beside, for the installation.
pub(crate) const MANUAL: Command = Command {
    arity: crate::command::Arity::Exactly(1),
    hidden: true,
    ..command(&["__manual"], manual)
};

fn manual(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let directory = std::path::Path::new(&matches.args[0]);
    let write = |path: &str, text: &str| -> Result<()> {
        let path = directory.join(path);
        let shown = path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| path_error("mkdir", &folder.display().to_string(), &error))?;
        }
        std::fs::write(&path, text).map_err(|error| path_error("write", &shown, &error))
    };
    let program = &cli.program;
    for (file, text) in pages(program, TABLE, crate::program::GLOBALS) {
        write(&format!("man/man1/{file}"), &text)?;
    }
    for (path, script) in crate::completion::files(program) {
        write(&path, &script)?;
    }
    Ok(0)
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if matches.args.is_empty() {
        let page = root(cli, &Matches::default());
        cli.print(&page)?;
        return Ok(0);
    }
    let directory = cli.settings.directory.clone();
    if let Some(name) = matches.args.first()
        && let Found::Unknown(_) = find(&matches.args)
        && let Some(plugin) = plugin::find(&directory, &cli.settings.file, name)
        && plugin.metadata().is_ok()
    {
        let args: Vec<String> = std::iter::once("help".to_owned())
            .chain(matches.args.iter().cloned())
            .collect();
        return Err(plugin.run(&cli.program, &args, None));
    }
    let page = page(&cli.program, &matches.args)
        .ok_or_else(|| Error::new(format!("unknown help topic: {}", matches.args.join(" "))))?;
    cli.print(&page)?;
    Ok(0)
}

/// The help of the program, with its plugins.
pub(crate) fn root(cli: &Cli, globals: &Matches) -> String {
    let directory = crate::settings::directory(&cli.environment, globals);
    // A configuration that cannot be read is told by the commands that need it.
    let file = ConfigFile::read(&directory.join("config.json")).unwrap_or_default();
    let plugins: Vec<(String, String)> = plugin::all(&directory, &file)
        .iter()
        .filter_map(|plugin| {
            let metadata = plugin.metadata().ok().filter(|data| !data.hidden())?;
            let about = metadata.text("ShortDescription").to_owned();
            Some((format!("{}*", plugin.name), about))
        })
        .collect();
    let globals = crate::program::GLOBALS;
    help::root(&cli.program, TABLE, &plugins, globals, help::width())
}

/// The help of what `words` name, or nothing when there is no such command.
pub(crate) fn page(program: &str, words: &[String]) -> Option<String> {
    let width = help::width();
    match find(words) {
        Found::Command(command, path, _) => Some(help::command(program, &path, command, width)),
        Found::Group(group) => Some(help::group(program, group)),
        Found::Unknown(_) => None,
    }
}
