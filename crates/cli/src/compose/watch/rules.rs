//! What `develop.watch` of a service asks for: which files, and what is done when they change.

use std::path::{Path, PathBuf};

use onggi_compose::{Node, Project};
use onggi_dockerfile::ignore::Ignore;

use crate::error::{Error, Result};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The image is built, and the containers made anew.
    Rebuild,
    /// The containers are restarted.
    Restart,
    /// The files are copied.
    Sync,
    /// The files are copied, and the containers restarted.
    SyncRestart,
    /// The files are copied, and a command is run.
    SyncExec,
}

impl Action {
    /// Are files copied?
    pub(super) fn syncs(self) -> bool {
        matches!(self, Self::Sync | Self::SyncRestart | Self::SyncExec)
    }
}

/// A command in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exec {
    pub(super) command: Vec<String>,
    pub(super) user: String,
    pub(super) privileged: bool,
    pub(super) working_dir: String,
    pub(super) environment: Vec<String>,
}

/// Files, and what is done when they change.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) service: String,
    pub(super) path: PathBuf,
    pub(super) action: Action,
    /// Where the files are in the container.
    pub(super) target: String,
    /// Are they copied at the beginning?
    pub(super) initial: bool,
    pub(super) exec: Exec,
    ignore: Ignore,
    include: Option<Ignore>,
}

impl Rule {
    /// The path of a file below this rule's, if the rule means it; empty for the rule's path itself.
    pub(super) fn means<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below = path.strip_prefix(&self.path).ok()?;
        if below.as_os_str().is_empty() {
            return Some(below);
        }
        let shown = below.to_string_lossy();
        let included = self.include.as_ref().is_none_or(|one| one.ignores(&shown));
        (included && !self.ignore.ignores(&shown)).then_some(below)
    }

    /// Is nothing in this folder meant?
    pub(super) fn skips(&self, folder: &Path) -> bool {
        let Ok(below) = folder.strip_prefix(&self.path) else {
            return true;
        };
        !below.as_os_str().is_empty() && self.ignore.ignores_all_below(&below.to_string_lossy())
    }

    /// Where a file goes.
    pub(super) fn place(&self, below: &Path) -> String {
        let target = self.target.trim_end_matches('/');
        match below.as_os_str().is_empty() {
            true => self.target.clone(),
            false => format!("{target}/{}", below.display()),
        }
    }
}

/// The rules of these services, of all without any.
pub(super) fn rules(project: &Project, services: &[String]) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for (name, service) in project.services() {
        if !services.is_empty() && !services.iter().any(|one| one == name) {
            continue;
        }
        let watched = service
            .at(&["develop", "watch"])
            .map_or(&[][..], Node::items);
        for node in watched {
            rules.push(rule(name, service, node)?);
        }
    }
    match rules.is_empty() {
        true => Err(Error::new(
            "none of the selected services is configured for watch, consider setting a 'develop' section",
        )),
        false => Ok(rules),
    }
}

fn rule(name: &str, service: &Node, node: &Node) -> Result<Rule> {
    let wrong = |what: &str| {
        Error::new(format!(
            "{}: services.{name}.develop.watch: {what}",
            node.place
        ))
    };
    let action = match node.text("action").unwrap_or_default() {
        "rebuild" => Action::Rebuild,
        "restart" => Action::Restart,
        "sync" => Action::Sync,
        "sync+restart" => Action::SyncRestart,
        "sync+exec" => Action::SyncExec,
        other => return Err(wrong(&format!("no such action: {other}"))),
    };
    let context = service.at(&["build", "context"]).and_then(Node::as_str);
    if action == Action::Rebuild && context.is_none() {
        return Err(wrong("rebuild needs a build section"));
    }
    let target = node.text("target").unwrap_or_default();
    if action.syncs() && target.is_empty() {
        return Err(wrong("sync needs a target"));
    }
    let path = PathBuf::from(node.text("path").unwrap_or_default());
    let failed = |error: onggi_dockerfile::Error| wrong(&error.to_string());
    let mut ignore = Ignore::default();
    // What no build sees changes no build.
    if context.is_some_and(|context| path.starts_with(context) && Path::new(context) == path)
        && let Ok(text) = std::fs::read_to_string(path.join(".dockerignore"))
    {
        ignore = Ignore::parse(&text).map_err(failed)?;
    }
    ignore.push(".git").map_err(failed)?;
    for pattern in texts(node, "ignore") {
        ignore.push(pattern.trim_end_matches('/')).map_err(failed)?;
    }
    let mut include = Ignore::default();
    for pattern in texts(node, "include") {
        include.push(pattern).map_err(failed)?;
    }
    Ok(Rule {
        service: name.to_owned(),
        path,
        action,
        target: target.to_owned(),
        initial: node.get("initial_sync").and_then(Node::as_bool) == Some(true),
        exec: node.get("exec").map(exec).unwrap_or_default(),
        ignore,
        include: (!include.is_empty()).then_some(include),
    })
}

fn texts<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a str> {
    let items = node.get(key).map_or(&[][..], Node::items);
    items.iter().filter_map(Node::as_str)
}

fn exec(node: &Node) -> Exec {
    let text = |key: &str| node.text(key).unwrap_or_default().to_owned();
    let variables = node.entries("environment");
    let variables =
        variables.filter_map(|(name, value)| Some(format!("{name}={}", value.scalar_text()?)));
    Exec {
        command: texts(node, "command").map(str::to_owned).collect(),
        user: text("user"),
        privileged: node.get("privileged").and_then(Node::as_bool) == Some(true),
        working_dir: text("working_dir"),
        environment: variables.collect(),
    }
}

#[cfg(test)]
mod tests {
    use onggi_compose::{Options, load};

    use super::*;

    fn read(watch: &str) -> Result<Vec<Rule>> {
        let folder = tempfile::tempdir().unwrap();
        let file = format!(
            "name: shop\nservices:\n  web:\n    image: x\n    build: .\n    develop:\n      watch: {watch}\n"
        );
        std::fs::write(folder.path().join("compose.yaml"), file).unwrap();
        std::fs::write(folder.path().join(".dockerignore"), "*.log\n").unwrap();
        let options = Options {
            directory: folder.path().to_owned(),
            ..Options::default()
        };
        rules(&load(&options).unwrap(), &[])
    }

    #[test]
    fn rules_say_which_files_go_where() {
        let rules = read(
            "[{path: ., action: rebuild}, {path: ./src, action: sync, target: /app, ignore: [node_modules/], include: ['*.js']}]",
        )
        .unwrap();
        let below = |rule: &Rule, path: &str| {
            let path = rule.path.join(path);
            rule.means(&path).map(|below| rule.place(below))
        };
        assert!(below(&rules[0], "a.txt").is_some());
        assert_eq!(below(&rules[0], "a.log"), None);
        assert_eq!(below(&rules[0], ".git/index"), None);
        assert_eq!(below(&rules[1], "a.js"), Some("/app/a.js".to_owned()));
        assert_eq!(below(&rules[1], "a.css"), None);
        assert_eq!(below(&rules[1], "node_modules/a.js"), None);
        assert!(rules[1].skips(&rules[1].path.join("node_modules")));
        assert!(!rules[1].skips(&rules[1].path));
        assert_eq!(rules[1].means(Path::new("/elsewhere")), None);
    }

    #[test]
    fn what_cannot_be_watched_is_told() {
        let refused = read("[]").unwrap_err().message;
        assert!(
            refused.contains("none of the selected services"),
            "{refused}"
        );
    }
}
