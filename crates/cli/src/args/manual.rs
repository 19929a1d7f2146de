//! Manual pages, from the same table as the help: one a command, in the language of `man(7)`.

use std::fmt::Write as _;

use super::flag::{Flag, Kind};
use crate::command::{Command, Group, Node};

/// A page: the name of its file, and its text.
pub(crate) type Page = (String, String);

/// Every page of the program.
pub(crate) fn pages(program: &str, nodes: &[Node], globals: &[Flag]) -> Vec<Page> {
    let mut pages = vec![(format!("{program}.1"), root(program, nodes, globals))];
    for node in nodes {
        match node {
            Node::Command(command) if !command.hidden => {
                pages.push(page(program, command.name(), command));
            }
            Node::Group(group) if !group.is_hidden() => {
                let file = format!("{program}-{}.1", group.name);
                pages.push((file, of_group(program, group)));
                for command in group.commands.iter().filter(|command| !command.hidden) {
                    let path = format!("{} {}", group.name, command.name_in(group.name));
                    pages.push(page(program, &path, command));
                }
            }
            Node::Command(_) | Node::Group(_) => {}
        }
    }
    pages
}

fn page(program: &str, path: &str, command: &Command) -> Page {
    let name = format!("{program}-{}", path.replace(' ', "-"));
    let mut out = head(&name, command.about);
    out.push_str(".SH SYNOPSIS\n");
    let _ = writeln!(
        out,
        "\\fB{}\\fR{}",
        text(&format!("{program} {path}")),
        text(
            command
                .usage_line(program, path)
                .trim_start_matches(&format!("{program} {path}"))
        )
    );
    out.push_str(".SH DESCRIPTION\n");
    let _ = writeln!(out, "{}.", text(command.about));
    let flags: Vec<&Flag> = command
        .flags
        .iter()
        .flat_map(|table| table.iter())
        .collect();
    options(&mut out, "OPTIONS", &flags);
    if command.names.len() > 1 {
        out.push_str(".SH ALIASES\n");
        let names = command.names.iter().map(|name| format!("{program} {name}"));
        let _ = writeln!(out, "{}", text(&names.collect::<Vec<_>>().join(", ")));
    }
    see(&mut out, &[program.to_owned()]);
    (format!("{name}.1"), out)
}

fn of_group(program: &str, group: &Group) -> String {
    let name = format!("{program}-{}", group.name);
    let mut out = head(&name, group.about);
    let words = match group.flags.is_empty() {
        true => "COMMAND",
        false => "[OPTIONS] COMMAND",
    };
    let _ = writeln!(
        out,
        ".SH SYNOPSIS\n\\fB{}\\fR {words}",
        text(&format!("{program} {}", group.name))
    );
    let flags: Vec<&Flag> = group.flags.iter().collect();
    options(&mut out, "OPTIONS", &flags);
    out.push_str(".SH COMMANDS\n");
    let shown = || group.commands.iter().filter(|command| !command.hidden);
    for command in shown() {
        entry(&mut out, command.name_in(group.name), command.about);
    }
    let pages: Vec<String> = shown()
        .map(|command| format!("{name}-{}", command.name_in(group.name).replace(' ', "-")))
        .collect();
    see(&mut out, &pages);
    out
}

fn root(program: &str, nodes: &[Node], globals: &[Flag]) -> String {
    let mut out = head(program, "run and manage containers and images");
    let _ = writeln!(
        out,
        ".SH SYNOPSIS\n\\fB{program}\\fR [OPTIONS] COMMAND [ARG...]\n.SH DESCRIPTION\nThe command line of a container platform that speaks Docker's API, commands and formats."
    );
    let globals: Vec<&Flag> = globals.iter().collect();
    options(&mut out, "GLOBAL OPTIONS", &globals);
    out.push_str(".SH COMMANDS\n");
    for node in nodes {
        match node {
            Node::Command(command) if !command.hidden => {
                entry(&mut out, command.name(), command.about);
            }
            Node::Group(group) if !group.is_hidden() => entry(&mut out, group.name, group.about),
            Node::Command(_) | Node::Group(_) => {}
        }
    }
    out.push_str(".SH ENVIRONMENT\n");
    for (name, about) in [
        ("DOCKER_HOST", "Where the daemon listens, like -H."),
        ("DOCKER_CONTEXT", "The context to use, like --context."),
        (
            "DOCKER_CONFIG",
            "Directory of the configuration, like --config.",
        ),
        ("DOCKER_TLS_VERIFY", "When not empty: like --tlsverify."),
        (
            "DOCKER_CERT_PATH",
            "Directory of ca.pem, cert.pem and key.pem.",
        ),
        ("DOCKER_API_VERSION", "The version of the API to speak."),
        (
            "DOCKER_CUSTOM_HEADERS",
            "Headers of every request: name=value, separated by commas.",
        ),
    ] {
        entry(&mut out, name, about);
    }
    out.push_str(".SH FILES\n");
    entry(
        &mut out,
        "~/.docker/config.json",
        "The configuration: logins, formats, proxies, detach keys.",
    );
    entry(&mut out, "~/.docker/contexts", "Contexts.");
    entry(
        &mut out,
        "/run/onggi/onggi.sock",
        "Where the daemon listens when nothing else is said.",
    );
    out
}

fn head(name: &str, about: &str) -> String {
    format!(
        ".TH \"{}\" \"1\" \"\" \"onggi {}\" \"onggi\"\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        crate::VERSION,
        text(name),
        text(about)
    )
}

fn entry(out: &mut String, name: &str, about: &str) {
    let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", text(name), text(about));
}

fn options(out: &mut String, title: &str, flags: &[&Flag]) {
    let mut flags: Vec<&&Flag> = flags.iter().filter(|flag| !flag.hidden).collect();
    if flags.is_empty() {
        return;
    }
    flags.sort_by_key(|flag| flag.long);
    let _ = writeln!(out, ".SH {title}");
    for flag in flags {
        let short = flag
            .short
            .map_or(String::new(), |short| format!("\\fB\\-{short}\\fR, "));
        let value = match flag.kind {
            Kind::Bool => String::new(),
            Kind::One | Kind::Many => format!(" \\fI{}\\fR", text(flag.value)),
        };
        let _ = writeln!(out, ".TP\n{short}\\fB\\-\\-{}\\fR{value}", text(flag.long));
        for (index, line) in flag.about.lines().enumerate() {
            if index > 0 {
                out.push_str(".br\n");
            }
            let _ = writeln!(out, "{}", text(line));
        }
        if !flag.default.is_empty() {
            let _ = writeln!(out, "(default {})", text(flag.default));
        }
    }
}

fn see(out: &mut String, pages: &[String]) {
    let pages: Vec<String> = pages
        .iter()
        .map(|page| format!("\\fB{}\\fR(1)", text(page)))
        .collect();
    let _ = writeln!(out, ".SH SEE ALSO\n{}", pages.join(", "));
}

/// A text that roff takes for nothing else: backslashes and dashes escaped, no dot or quote at the beginning of a line.
fn text(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        return format!("\\&{text}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TABLE;
    use crate::program::GLOBALS;

    #[test]
    fn every_command_has_a_page_and_every_flag_is_on_it() {
        let pages = pages("onggi", TABLE, GLOBALS);
        let find = |name: &str| {
            let page = pages.iter().find(|(file, _)| file == name);
            &page.unwrap_or_else(|| panic!("{name} is not there")).1
        };
        let run = find("onggi-run.1");
        assert_eq!(
            run.lines().next(),
            Some(".TH \"ONGGI-RUN\" \"1\" \"\" \"onggi 0.1.0\" \"onggi\"")
        );
        assert!(
            run.contains(".TP\n\\fB\\-p\\fR, \\fB\\-\\-publish\\fR \\fIlist\\fR\nPublish a port")
        );
        assert!(find("onggi-container-ls.1").contains(".SH ALIASES\n"));
        assert!(find("onggi-context.1").contains("\\fBonggi\\-context\\-use\\fR(1)"));
        assert!(find("onggi.1").contains("DOCKER_CONTEXT"));
        for (file, page) in &pages {
            for line in page.lines() {
                // Every request is one we know; a text can be none.
                let word = line.split(' ').next().unwrap_or_default();
                let known = [".TH", ".SH", ".TP", ".br"].contains(&word);
                assert!(known || !line.starts_with(['.', '\'']), "{file}: {line}");
            }
        }
        let mut files: Vec<&String> = pages.iter().map(|(file, _)| file).collect();
        files.sort();
        files.dedup();
        assert_eq!(files.len(), pages.len());
    }
}
