//! Help pages, in the layout of Docker's.

use super::flag::{Flag, Kind};
use crate::command::{Command, Group, Node};

/// The width help is wrapped to: that of the terminal, 80 elsewhere.
pub(crate) fn width() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 20 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// The page of a command. `path` is how it was called, without the program.
pub(crate) fn command(program: &str, path: &str, command: &Command, width: usize) -> String {
    let usage = command.usage_line(program, path);
    let mut out = format!("Usage:  {usage}\n\n{}\n", command.about);
    if command.names.len() > 1 {
        let names: Vec<String> = command
            .names
            .iter()
            .map(|name| format!("{program} {name}"))
            .collect();
        out.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
    }
    let flags: Vec<&Flag> = command
        .flags
        .iter()
        .flat_map(|table| table.iter())
        .collect();
    if flags.iter().any(|flag| !flag.hidden) {
        out.push_str("\nOptions:\n");
        out.push_str(&options(&flags, width));
    }
    out
}

/// The page of a management command.
pub(crate) fn group(program: &str, group: &Group) -> String {
    let flags: Vec<&Flag> = group.flags.iter().collect();
    let mut out = match flags.is_empty() {
        true => format!(
            "Usage:  {program} {} COMMAND\n\n{}\n",
            group.name, group.about
        ),
        false => format!(
            "Usage:  {program} {} [OPTIONS] COMMAND\n\n{}\n\nOptions:\n{}",
            group.name,
            group.about,
            options(&flags, width())
        ),
    };
    out.push_str("\nCommands:\n");
    let mut rows: Vec<(&str, &str)> = group
        .commands
        .iter()
        .filter(|command| !command.hidden)
        .map(|command| (command.name_in(group.name), command.about))
        .collect();
    rows.sort_unstable();
    out.push_str(&listing(&rows));
    out.push_str(&format!(
        "\nRun '{program} {} COMMAND --help' for more information on a command.\n",
        group.name
    ));
    out
}

/// The page of the program.
/// `plugins` are listed among the management commands, with a star.
pub(crate) fn root(
    program: &str,
    nodes: &[Node],
    plugins: &[(String, String)],
    globals: &[Flag],
    width: usize,
) -> String {
    let mut out =
        format!("Usage:  {program} [OPTIONS] COMMAND\n\nRun and manage containers and images\n");
    let common = nodes.iter().filter_map(|node| match node {
        Node::Command(command) if command.common.is_some() => Some(*command),
        _ => None,
    });
    let mut common: Vec<&Command> = common.collect();
    common.sort_by_key(|command| command.common);
    let common: Vec<(&str, &str)> = common
        .iter()
        .map(|command| (command.name(), command.about))
        .collect();
    out.push_str(&format!("\nCommon Commands:\n{}", listing(&common)));
    let mut groups: Vec<(&str, &str)> = nodes
        .iter()
        .filter_map(|node| match node {
            Node::Group(group) if !group.is_hidden() => Some((group.name, group.about)),
            Node::Command(_) | Node::Group(_) => None,
        })
        .collect();
    groups.extend(
        plugins
            .iter()
            .map(|(name, about)| (name.as_str(), about.as_str())),
    );
    groups.sort_unstable();
    out.push_str(&format!("\nManagement Commands:\n{}", listing(&groups)));
    let mut others: Vec<(&str, &str)> = nodes
        .iter()
        .filter_map(|node| match node {
            Node::Command(command) if command.common.is_none() && !command.hidden => {
                Some((command.name(), command.about))
            }
            _ => None,
        })
        .collect();
    others.sort_unstable();
    out.push_str(&format!("\nCommands:\n{}", listing(&others)));
    let globals: Vec<&Flag> = globals.iter().collect();
    out.push_str(&format!("\nGlobal Options:\n{}", options(&globals, width)));
    out.push_str(&format!(
        "\nRun '{program} COMMAND --help' for more information on a command.\n"
    ));
    out
}

fn listing(rows: &[(&str, &str)]) -> String {
    let longest = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0)
        .max(10);
    rows.iter()
        .map(|(name, about)| format!("  {name:longest$}  {about}\n"))
        .collect()
}

fn options(flags: &[&Flag], width: usize) -> String {
    let mut flags: Vec<&&Flag> = flags.iter().filter(|flag| !flag.hidden).collect();
    flags.sort_by_key(|flag| flag.long);
    let heads: Vec<String> = flags
        .iter()
        .map(|flag| {
            let short = flag
                .short
                .map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
            let value = match flag.kind {
                Kind::Bool => String::new(),
                Kind::One | Kind::Many => format!(" {}", flag.value),
            };
            format!("  {short}--{}{value}", flag.long)
        })
        .collect();
    let indent = heads.iter().map(String::len).max().unwrap_or(0) + 3;
    let room = width.saturating_sub(indent + 1).max(24);
    let mut out = String::new();
    for (flag, head) in flags.iter().zip(&heads) {
        let about = match flag.default {
            "" => flag.about.to_owned(),
            default => format!("{} (default {default})", flag.about),
        };
        for (index, line) in wrap(&about, room).iter().enumerate() {
            let head = if index == 0 { head.as_str() } else { "" };
            out.push_str(format!("{head:indent$}{line}").trim_end());
            out.push('\n');
        }
    }
    out
}

/// Breaks a text into lines of at most `room` characters; its own line ends stay.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > room {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{list, switch, value};

    #[test]
    fn options_are_aligned_and_wrapped() {
        let flags = [
            switch(Some('a'), "all", "Everything"),
            list(
                None,
                "filter",
                "filter",
                "Only what matches this quite long condition given here",
            ),
            value(Some('n'), "last", "int", "That many").default("-1"),
            switch(None, "secret", "Not shown").hidden(),
        ];
        let flags: Vec<&Flag> = flags.iter().collect();
        assert_eq!(
            options(&flags, 60),
            "  -a, --all             Everything
      --filter filter   Only what matches this quite long
                        condition given here
  -n, --last int        That many (default -1)
"
        );
    }
}
