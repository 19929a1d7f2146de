//! Relative paths against the folder their file belongs to, and `~` against the home.

use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use crate::node::{Mark, Node, Value};
use crate::table::{Branch, Table};

/// What kind of path a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file or a folder.
    Path,
    /// The context of a build: a folder, a URL or another service.
    Context,
    /// The source of a volume, if it is a bind.
    Volume,
    /// The device of a volume that is a bind in truth.
    Device,
    /// A folder that may be reached by links; they are followed.
    Watched,
}

static RULES: LazyLock<Table<Kind>> = LazyLock::new(|| {
    Table::new(&[
        ("services.*.build.context", Kind::Context),
        ("services.*.build.additional_contexts.*", Kind::Context),
        ("services.*.build.ssh.*", Kind::Path),
        ("services.*.env_file.*.path", Kind::Path),
        ("services.*.label_file.*", Kind::Path),
        ("services.*.develop.watch.*.path", Kind::Watched),
        ("services.*.volumes.*", Kind::Volume),
        ("services.*.credential_spec.file", Kind::Path),
        ("{configs,secrets}.*.file", Kind::Path),
        ("volumes.*", Kind::Device),
    ])
});

/// Where relative paths begin, and where `~` is.
#[derive(Clone, Debug)]
pub(crate) struct Base<'a> {
    /// The folder.
    pub(crate) folder: &'a Path,
    /// The user's home.
    pub(crate) home: Option<&'a Path>,
}

/// Makes the paths of a document, in its long form, begin at `base`.
pub(crate) fn resolve(document: &mut Node, base: &Base<'_>) {
    walk(document, RULES.root(), base);
}

/// The same for one service.
pub(crate) fn resolve_service(service: &mut Node, base: &Base<'_>) {
    if let Some(branch) = RULES.at(&["services", ""]) {
        walk(service, branch, base);
    }
}

fn walk(node: &mut Node, branch: &Branch<Kind>, base: &Base<'_>) {
    if node.mark == Mark::Reset {
        return;
    }
    if let Some(kind) = branch.rule {
        apply(node, kind, base);
    }
    match &mut node.value {
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                if let Some(branch) = branch.child(key) {
                    walk(value, branch, base);
                }
            }
        }
        Value::List(items) => {
            if let Some(branch) = branch.item() {
                items.iter_mut().for_each(|item| walk(item, branch, base));
            }
        }
        _ => (),
    }
}

fn apply(node: &mut Node, kind: Kind, base: &Base<'_>) {
    match kind {
        Kind::Path => text(node, base),
        Kind::Context => {
            if node.as_str().is_some_and(|text| !is_remote(text)) {
                text(node, base);
            }
        }
        Kind::Watched => {
            text(node, base);
            if let Some(path) = node
                .as_str()
                .and_then(|path| std::fs::canonicalize(path).ok())
            {
                node.value = Value::String(path.to_string_lossy().into_owned());
            }
        }
        Kind::Volume => {
            if node.text("type") == Some("bind")
                && let Some(source) = node.as_map_mut().and_then(|map| map.get_mut("source"))
            {
                text(source, base);
            }
        }
        Kind::Device => {
            let local = node.text("driver").is_none_or(|driver| driver == "local");
            let bind = node.at(&["driver_opts", "o"]).and_then(Node::as_str) == Some("bind");
            let options = node.as_map_mut().and_then(|map| map.get_mut("driver_opts"));
            if let Some(device) = options
                .and_then(Node::as_map_mut)
                .and_then(|map| map.get_mut("device"))
                .filter(|_| local && bind)
            {
                text(device, base);
            }
        }
    }
}

fn text(node: &mut Node, base: &Base<'_>) {
    if let Some(path) = node.as_str().filter(|path| !path.is_empty()) {
        node.value = Value::String(join(base, path).to_string_lossy().into_owned());
    }
}

/// A path as seen from a base, without `.` and with `..` taken back.
pub(crate) fn join(base: &Base<'_>, path: &str) -> PathBuf {
    let home = path
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (home, base.home) {
        (Some(rest), Some(home)) => clean(&home.join(rest.trim_start_matches('/'))),
        _ => clean(&base.folder.join(path)),
    }
}

/// A path without `.` and with `..` taken back, as far as it goes.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => (),
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => (),
                _ => out.push(".."),
            },
            component => out.push(component),
        }
    }
    if out.as_os_str().is_empty() {
        out.push(".");
    }
    out
}

/// Is this a thing to be fetched, or another service, and no folder here?
pub(crate) fn is_remote(text: &str) -> bool {
    text.contains("://")
        || ["service:", "github.com/", "git@", "target:"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_their_base() {
        let base = Base {
            folder: Path::new("/p"),
            home: Some(Path::new("/root")),
        };
        for (path, result) in [
            (".", "/p"),
            ("./a", "/p/a"),
            ("../a/../b", "/b"),
            ("/x/./y", "/x/y"),
            ("~", "/root"),
            ("~/d", "/root/d"),
            ("~user/d", "/p/~user/d"),
            ("../../..", "/"),
        ] {
            assert_eq!(join(&base, path), Path::new(result), "{path}");
        }
        let relative = Base {
            folder: Path::new("sub"),
            home: None,
        };
        assert_eq!(join(&relative, "../.."), Path::new(".."));
        assert_eq!(join(&relative, ".."), Path::new("."));
    }
}
