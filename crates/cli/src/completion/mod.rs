//! Completion: scripts for shells that ask this program, and the answers, from the same table as everything else.

mod scripts; // the scripts

use crate::Cli;
use crate::args::flag::{Complete, Kind};
use crate::args::{Flag, Matches, Positionals, parse};
use crate::command::{Arity, Command, Found, Group, command, find, top_level};
use crate::error::Result;
use crate::plugin;
use crate::settings::Settings;

/// `completion bash|fish|zsh`.
pub(crate) const GROUP: Group = Group {
    name: "completion",
    about: "Print the completion script for a shell",
    commands: &[&BASH, &FISH, &ZSH],
    flags: &[],
};

const BASH: Command = Command {
    about: "Print the completion script for bash: source <(onggi completion bash)",
    ..command(&["completion bash"], |cli, _| print(cli, scripts::BASH))
};
const FISH: Command = Command {
    about: "Print the completion script for fish: onggi completion fish | source",
    ..command(&["completion fish"], |cli, _| print(cli, scripts::FISH))
};
const ZSH: Command = Command {
    about: "Print the completion script for zsh: source <(onggi completion zsh)",
    ..command(&["completion zsh"], |cli, _| print(cli, scripts::ZSH))
};

fn print(cli: &mut Cli, script: &str) -> Result<u8> {
    let text = script.replace("PROGRAM", &cli.program);
    cli.print(&text)?;
    Ok(0)
}

/// Where shells look for the scripts, below `share`, and the scripts.
pub(crate) fn files(program: &str) -> [(String, String); 3] {
    [
        (
            format!("bash-completion/completions/{program}"),
            scripts::BASH,
        ),
        (
            format!("fish/vendor_completions.d/{program}.fish"),
            scripts::FISH,
        ),
        (format!("zsh/site-functions/_{program}"), scripts::ZSH),
    ]
    .map(|(path, script)| (path, script.replace("PROGRAM", program)))
}

/// `__complete WORD...`: what can stand in the place of the last word, one a line, with a tab before what it means.
pub(crate) const COMPLETE: Command = Command {
    positionals: Positionals::Last,
    arity: Arity::AtLeast(0),
    hidden: true,
    ..command(&["__complete"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    // The word to complete may begin with a dash; the script puts `--` before all words.
    let words = match matches.args.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => &matches.args[..],
    };
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", &[][..]),
    };
    let mut lines = String::new();
    for (word, about) in candidates(cli, before, typed) {
        if fits(&word, typed) {
            lines.push_str(&word);
            if !about.is_empty() {
                lines.push('\t');
                lines.push_str(about.lines().next().unwrap_or_default());
            }
            lines.push('\n');
        }
    }
    if cli.environment.contains_key(plugin::ORIGINAL) {
        // Docker's script is Cobra's: it looks for files itself, and is told whether to (0) or not (4).
        let files = lines.contains(FILES);
        lines = lines.replace(&format!("{FILES}\n"), "");
        lines.push_str(if files { ":0\n" } else { ":4\n" });
    }
    cli.print(&lines)?;
    Ok(0)
}

/// Whether a word may stand for what was typed; files are looked for by the script.
fn fits(word: &str, typed: &str) -> bool {
    word == FILES || word.starts_with(typed)
}

/// Asks the script for names of files.
const FILES: &str = "\u{1}files";

type Candidates = Vec<(String, &'static str)>;

fn candidates(cli: &mut Cli, before: &[String], typed: &str) -> Candidates {
    let globals = skip_options(crate::program::GLOBALS, before);
    // Which daemon is asked is decided by the words typed, not by ours.
    if let Ok(typed) = parse::parse(
        &[crate::program::GLOBALS],
        Positionals::Last,
        &before[..globals],
    ) && globals > 0
        && let Ok(settings) = Settings::new(&cli.environment, &typed)
    {
        cli.settings = settings;
    }
    let options: Vec<&'static Flag> = crate::program::GLOBALS.iter().collect();
    if let (_, Some(flag)) = position(&options, &before[..globals]) {
        return answer(cli, flag.complete);
    }
    // Options between a management command and its command are left out of the words, and known to it.
    let words = match find(&before[globals..]) {
        Found::Group(group) if !group.flags.is_empty() => {
            let own = &before[globals + 1..];
            let length = skip_options(group.flags, own);
            let options: Vec<&'static Flag> = group.flags.iter().collect();
            if let (_, Some(flag)) = position(&options, &own[..length]) {
                return answer(cli, flag.complete);
            }
            if let Ok(matches) = parse::parse(&[group.flags], Positionals::Last, &own[..length]) {
                cli.group = matches;
            }
            if length == own.len() && typed.starts_with('-') {
                return flag_words(&options);
            }
            [&before[globals..=globals], &own[length..]].concat()
        }
        _ => before[globals..].to_vec(),
    };
    let (flags, rest, arguments): (Vec<&'static Flag>, &[String], &[Complete]) = match find(&words)
    {
        Found::Command(command, _, used) => (
            command
                .flags
                .iter()
                .flat_map(|table| table.iter())
                .collect(),
            &words[used..],
            command.complete,
        ),
        Found::Group(group) if words.len() == 1 => {
            return group
                .commands
                .iter()
                .map(|command| (command.name_in(group.name).to_owned(), command.about))
                .collect();
        }
        Found::Unknown("") => {
            if typed.starts_with('-') {
                return flag_words(&crate::program::GLOBALS.iter().collect::<Vec<_>>());
            }
            let settings = &cli.settings;
            let plugins = plugin::all(&settings.directory, &settings.file);
            return top_level()
                .map(|(name, about)| (name.to_owned(), about))
                .chain(plugins.into_iter().map(|plugin| (plugin.name, "")))
                .collect();
        }
        Found::Unknown(word) => {
            let settings = &cli.settings;
            let plugin = plugin::find(&settings.directory, &settings.file, word);
            let words = [before, &[typed.to_owned()]].concat();
            return plugin
                .map(|plugin| plugin.complete(&cli.program, &words))
                .unwrap_or_default()
                .into_iter()
                .map(|word| (word, ""))
                .collect();
        }
        _ => return Vec::new(),
    };
    if let Some((name, _)) = typed
        .strip_prefix("--")
        .and_then(|rest| rest.split_once('='))
    {
        let values = flags
            .iter()
            .find(|flag| flag.long == name)
            .map(|flag| flag.complete);
        return values
            .map(|values| answer(cli, values))
            .unwrap_or_default()
            .into_iter()
            .map(|(word, about)| (format!("--{name}={word}"), about))
            .collect();
    }
    let (position, waiting) = position(&flags, rest);
    if let Some(flag) = waiting {
        return answer(cli, flag.complete);
    }
    if typed.starts_with('-') {
        return flag_words(&flags);
    }
    match arguments.get(position).or(arguments.last()) {
        Some(complete) => answer(cli, *complete),
        None => Vec::new(),
    }
}

/// How many words at the beginning are options with their values.
fn skip_options(flags: &[Flag], words: &[String]) -> usize {
    let mut index = 0;
    while let Some(word) = words.get(index).filter(|word| word.starts_with('-')) {
        let takes = flags.iter().any(|flag| {
            flag.kind != Kind::Bool
                && (*word == format!("--{}", flag.long)
                    || flag.short.is_some_and(|short| *word == format!("-{short}")))
        });
        index += if takes { 2 } else { 1 };
    }
    index.min(words.len())
}

/// How many arguments were typed, and the flag that waits for its value.
fn position(flags: &[&'static Flag], words: &[String]) -> (usize, Option<&'static Flag>) {
    let mut arguments = 0;
    let mut waiting: Option<&'static Flag> = None;
    for word in words {
        if waiting.take().is_some() {
            continue;
        }
        if let Some(name) = word.strip_prefix("--") {
            waiting = flags
                .iter()
                .find(|flag| flag.long == name && flag.kind != Kind::Bool)
                .copied();
        } else if word.len() > 1 && word.starts_with('-') {
            let last = word.chars().last();
            waiting = flags
                .iter()
                .find(|flag| flag.short == last && flag.kind != Kind::Bool)
                .copied();
        } else {
            arguments += 1;
        }
    }
    (arguments, waiting)
}

fn flag_words(flags: &[&'static Flag]) -> Candidates {
    flags
        .iter()
        .filter(|flag| !flag.hidden)
        .map(|flag| (format!("--{}", flag.long), flag.about))
        .collect()
}

/// Words of a kind; those of the daemon only when it runs already.
fn answer(cli: &mut Cli, complete: Complete) -> Candidates {
    match complete {
        Complete::Nothing => Vec::new(),
        // The script completes files itself.
        Complete::Files => vec![(FILES.to_owned(), "")],
        Complete::Words(words) => words.iter().map(|word| ((*word).to_owned(), "")).collect(),
        Complete::Containers => names(cli, true),
        Complete::Running => names(cli, false),
        Complete::Images => images(cli),
        Complete::Objects => [
            Complete::Containers,
            Complete::Images,
            Complete::Networks,
            Complete::Volumes,
        ]
        .into_iter()
        .flat_map(|kind| answer(cli, kind))
        .collect(),
        Complete::Contexts => contexts(cli),
        Complete::Services => crate::compose::project::words(cli, |project| {
            project
                .services()
                .map(|(name, _)| name.to_owned())
                .collect()
        }),
        Complete::Profiles => {
            crate::compose::project::words(cli, |project| project.profiles.clone())
        }
        Complete::Networks => objects(cli, "networks", |json| json),
        Complete::Volumes => objects(cli, "volumes", |json| &json["Volumes"]),
    }
}

fn names(cli: &mut Cli, all: bool) -> Candidates {
    let list = onggi_client::container::List {
        all,
        limit: -1,
        ..Default::default()
    };
    let Some(client) = running(cli) else {
        return Vec::new();
    };
    match cli.block_on(client.container_list(&list)) {
        Ok(Ok(containers)) => containers
            .into_iter()
            .flat_map(|container| container.names)
            .map(|name| (name.trim_start_matches('/').to_owned(), ""))
            .collect(),
        _ => Vec::new(),
    }
}

/// Names of the objects in a collection of the daemon.
fn objects(
    cli: &mut Cli,
    collection: &str,
    list: fn(&serde_json::Value) -> &serde_json::Value,
) -> Candidates {
    let Some(client) = running(cli) else {
        return Vec::new();
    };
    match cli.block_on(client.objects(collection)) {
        Ok(Ok(json)) => list(&json)
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|object| object["Name"].as_str())
            .map(|name| (name.to_owned(), ""))
            .collect(),
        _ => Vec::new(),
    }
}

fn contexts(cli: &mut Cli) -> Candidates {
    let store = crate::settings::Store::new(&cli.settings.directory);
    let stored = store.list().unwrap_or_default();
    std::iter::once("default".to_owned())
        .chain(stored.iter().map(|context| context.name().to_owned()))
        .map(|name| (name, ""))
        .collect()
}

fn images(cli: &mut Cli) -> Candidates {
    let Some(client) = running(cli) else {
        return Vec::new();
    };
    match cli.block_on(client.image_list(false, &onggi_model::Filters::default())) {
        Ok(Ok(images)) => images
            .into_iter()
            .flat_map(|image| image.repo_tags)
            .filter(|name| name != "<none>:<none>")
            .map(|name| (name, ""))
            .collect(),
        _ => Vec::new(),
    }
}

/// The client, if a daemon runs: pressing Tab starts none.
fn running(cli: &mut Cli) -> Option<onggi_client::Client> {
    cli.settings.on_demand = false;
    cli.client().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(words: &[&str]) -> Vec<String> {
        let mut cli = Cli::new("onggi".to_owned(), Default::default());
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (typed, before) = words.split_last().unwrap();
        let all = candidates(&mut cli, before, typed);
        all.into_iter()
            .map(|(word, _)| word)
            .filter(|word| fits(word, typed))
            .collect()
    }

    #[test]
    fn words_come_from_the_table() {
        assert_eq!(complete(&["ru"]), ["run"]);
        assert_eq!(complete(&["container", "re"]), ["rename", "restart"]);
        assert_eq!(complete(&["-H", "unix:///x", "imag"]), ["images", "image"]);
        assert!(complete(&["run", "--cpu-sh"]).contains(&"--cpu-shares".to_owned()));
        assert_eq!(complete(&["run", "--pull", "a"]), ["always"]);
        assert_eq!(complete(&["run", "--pull=a"]), ["--pull=always"]);
        assert_eq!(complete(&["kill", "-s", "HU"]), ["HUP"]);
        assert_eq!(complete(&["load", "-i", "/tmp"]), [FILES]);
        assert!(complete(&["nonsense", ""]).is_empty());
    }
}
