//! The table of commands: one entry drives dispatch, help and completion.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, Positionals};
use crate::error::{Error, Result};
use crate::{
    build, completion, compose, container, context, debug, help, image, manifest, network,
    registry, system, volume,
};

/// What a command does: the exit code it ends with, or an error.
pub(crate) type Run = fn(&mut Cli, &Matches) -> Result<u8>;

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arity {
    None,
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    /// From the first to the second.
    Between(usize, usize),
}

/// A command.
pub(crate) struct Command {
    /// Every path it can be called by, like `container ls` and `ps`.
    pub(crate) names: &'static [&'static str],
    /// What follows the name in the usage line; `{program}` where another line begins.
    pub(crate) usage: &'static str,
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [&'static [Flag]],
    pub(crate) positionals: Positionals,
    pub(crate) arity: Arity,
    /// Completes the arguments; the last entry serves all further ones.
    pub(crate) complete: &'static [Complete],
    pub(crate) run: Run,
    /// Its place among the common commands of the help, if it has one.
    pub(crate) common: Option<u8>,
    pub(crate) hidden: bool,
}

/// A management command: `container`, `image`, `system`.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) commands: &'static [&'static Command],
    /// Options between the name and its commands, which all of them know.
    pub(crate) flags: &'static [Flag],
}

impl Group {
    /// In no help: none of its commands is.
    pub(crate) fn is_hidden(&self) -> bool {
        self.commands.iter().all(|command| command.hidden)
    }
}

/// An entry of the top level.
#[derive(Clone, Copy)]
pub(crate) enum Node {
    Command(&'static Command),
    Group(&'static Group),
}

/// A command with the defaults of the rarer fields, to start a table entry from.
pub(crate) const fn command(names: &'static [&'static str], run: Run) -> Command {
    Command {
        names,
        usage: "",
        about: "",
        flags: &[],
        positionals: Positionals::Mixed,
        arity: Arity::None,
        complete: &[],
        run,
        common: None,
        hidden: false,
    }
}

impl Command {
    /// The last word of the shortest name: how the command is called at the top level, or in its only group.
    pub(crate) fn name(&self) -> &'static str {
        let shortest = self.names.iter().find(|name| !name.contains(' '));
        let name = shortest.or(self.names.first()).copied().unwrap_or_default();
        name.rsplit(' ').next().unwrap_or_default()
    }

    /// The name of the command within a group.
    pub(crate) fn name_in(&self, group: &str) -> &'static str {
        self.names
            .iter()
            .find_map(|name| name.strip_prefix(group)?.strip_prefix(' '))
            .unwrap_or_default()
    }

    /// Checks the number of arguments.
    pub(crate) fn check(&self, program: &str, path: &str, given: usize) -> Result<()> {
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        let (what, verb) = match self.arity {
            Arity::None if given > 0 => ("accepts no arguments".to_owned(), "Run"),
            Arity::Exactly(n) if given != n => (format!("requires {n} {}", plural(n)), "Run"),
            Arity::AtLeast(n) if given < n => {
                (format!("requires at least {n} {}", plural(n)), "See")
            }
            Arity::AtMost(n) if given > n => (format!("requires at most {n} {}", plural(n)), "Run"),
            Arity::Between(low, high) if given < low || given > high => (
                format!(
                    "requires at least {low} and at most {high} {}",
                    plural(high)
                ),
                "Run",
            ),
            _ => return Ok(()),
        };
        Err(Error::new(format!(
            "{program}: '{program} {path}' {what}\n\nUsage:  {}\n\n{verb} '{program} {path} --help' for more information",
            self.usage_line(program, path)
        )))
    }

    /// The command as it is typed, called by `path`.
    pub(crate) fn usage_line(&self, program: &str, path: &str) -> String {
        let usage = self.usage.replace("{program}", program);
        format!("{program} {path} {usage}").trim_end().to_owned()
    }
}

/// Everything the program can be asked to do.
pub(crate) const TABLE: &[Node] = &[
    Node::Command(&build::run::COMMAND),
    Node::Command(&container::attach::COMMAND),
    Node::Command(&container::commit::COMMAND),
    Node::Command(&container::cp::COMMAND),
    Node::Command(&container::create::COMMAND),
    Node::Command(&container::diff::COMMAND),
    Node::Command(&container::exec::COMMAND),
    Node::Command(&container::export::COMMAND),
    Node::Command(&container::kill::COMMAND),
    Node::Command(&container::logs::COMMAND),
    Node::Command(&container::ls::COMMAND),
    Node::Command(&container::pause::COMMAND),
    Node::Command(&container::port::COMMAND),
    Node::Command(&container::rename::COMMAND),
    Node::Command(&container::restart::COMMAND),
    Node::Command(&container::rm::COMMAND),
    Node::Command(&container::run::COMMAND),
    Node::Command(&container::start::COMMAND),
    Node::Command(&container::stats::COMMAND),
    Node::Command(&container::stop::COMMAND),
    Node::Command(&container::top::COMMAND),
    Node::Command(&container::unpause::COMMAND),
    Node::Command(&container::update::COMMAND),
    Node::Command(&container::wait::COMMAND),
    Node::Command(&container::why::COMMAND),
    Node::Command(&image::history::COMMAND),
    Node::Command(&image::import::COMMAND),
    Node::Command(&image::load::COMMAND),
    Node::Command(&image::ls::COMMAND),
    Node::Command(&image::pull::COMMAND),
    Node::Command(&image::push::COMMAND),
    Node::Command(&image::rm::COMMAND),
    Node::Command(&image::save::COMMAND),
    Node::Command(&image::search::COMMAND),
    Node::Command(&image::tag::COMMAND),
    Node::Command(&system::events::COMMAND),
    Node::Command(&system::info::COMMAND),
    Node::Command(&system::inspect::COMMAND),
    Node::Command(&system::login::COMMAND),
    Node::Command(&system::logout::COMMAND),
    Node::Command(&system::version::COMMAND),
    Node::Command(&help::COMMAND),
    Node::Command(&help::MANUAL),
    Node::Command(&completion::COMPLETE),
    Node::Group(&build::GROUP),
    Node::Group(&completion::GROUP),
    Node::Group(&compose::GROUP),
    Node::Group(&container::GROUP),
    Node::Group(&context::GROUP),
    Node::Group(&debug::GROUP),
    Node::Group(&image::GROUP),
    Node::Group(&manifest::GROUP),
    Node::Group(&network::GROUP),
    Node::Group(&registry::GROUP),
    Node::Group(&system::GROUP),
    Node::Group(&volume::GROUP),
];

/// What the first words of the arguments lead to.
pub(crate) enum Found<'a> {
    /// A command, its path as the help names it, and how many words that took.
    Command(&'static Command, String, usize),
    /// A management command; what follows it is no command.
    Group(&'static Group),
    /// Nothing is called so.
    Unknown(&'a str),
}

/// Finds the command that `args` begin with.
pub(crate) fn find(args: &[String]) -> Found<'_> {
    let Some(first) = args.first() else {
        return Found::Unknown("");
    };
    for node in TABLE {
        match node {
            Node::Command(command) if command.names.contains(&first.as_str()) => {
                return Found::Command(command, first.clone(), 1);
            }
            Node::Group(group) if group.name == first => {
                let by = |words: usize| {
                    let path = args.get(..words)?.join(" ");
                    let mut commands = group.commands.iter();
                    let command = commands.find(|c| c.names.contains(&path.as_str()))?;
                    let canonical = format!("{first} {}", command.name_in(first));
                    Some(Found::Command(command, canonical, words))
                };
                // `builder history ls` has a word more than others.
                return by(3).or_else(|| by(2)).unwrap_or(Found::Group(group));
            }
            _ => {}
        }
    }
    Found::Unknown(first)
}

/// The words that can follow at the top level.
pub(crate) fn top_level() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().filter_map(|node| match node {
        Node::Command(command) if !command.hidden => Some((command.name(), command.about)),
        Node::Group(group) if !group.is_hidden() => Some((group.name, group.about)),
        Node::Command(_) | Node::Group(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_command() {
        for node in TABLE {
            let commands: Vec<&Command> = match node {
                Node::Command(command) => vec![*command],
                Node::Group(group) => group.commands.to_vec(),
            };
            for command in commands {
                for name in command.names {
                    let words: Vec<String> = name.split(' ').map(str::to_owned).collect();
                    match find(&words) {
                        Found::Command(found, _, used) => {
                            assert_eq!(found.names, command.names, "{name}");
                            assert_eq!(used, words.len(), "{name}");
                        }
                        _ => panic!("{name} leads nowhere"),
                    }
                }
            }
        }
    }

    #[test]
    fn no_flag_is_in_a_table_twice() {
        for node in TABLE {
            let commands: Vec<&Command> = match node {
                Node::Command(command) => vec![*command],
                Node::Group(group) => group.commands.to_vec(),
            };
            for command in commands {
                let mut long = std::collections::BTreeSet::new();
                let mut short = std::collections::BTreeSet::new();
                for flag in command.flags.iter().flat_map(|table| table.iter()) {
                    assert!(
                        long.insert(flag.long),
                        "{}: --{}",
                        command.names[0],
                        flag.long
                    );
                    if let Some(c) = flag.short {
                        assert!(short.insert(c), "{}: -{c}", command.names[0]);
                    }
                }
            }
        }
    }
}
