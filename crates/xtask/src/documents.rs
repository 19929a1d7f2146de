//! Generated parts of documents, between markers, and paths that must exist.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Write, or only look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

impl From<bool> for Mode {
    fn from(check: bool) -> Self {
        if check { Self::Check } else { Self::Write }
    }
}

/// Every generator and every check of documents.
pub(crate) fn run(mode: Mode) -> Result<()> {
    crate::dag::run(mode)?;
    let table = crate::daemon_options::markdown();
    insert(Path::new("docs/DAEMON.md"), "daemon-options", &table, mode)?;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/WHERE.md",
        "docs/DAEMON.md",
        "docs/LOGS.md",
    ] {
        paths(Path::new(document))?;
    }
    Ok(())
}

/// Puts `text` between `<!-- name -->` and `<!-- /name -->`.
pub(crate) fn insert(path: &Path, name: &str, text: &str, mode: Mode) -> Result<()> {
    let old = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let new = replaced(&old, name, text)
        .with_context(|| format!("{}: no markers for {name}", path.display()))?;
    match mode {
        _ if new == old => Ok(()),
        Mode::Write => std::fs::write(path, new).with_context(|| path.display().to_string()),
        Mode::Check => bail!("{}: {name} is stale; run `cargo xtask gen`", path.display()),
    }
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = old.find(&begin)? + begin.len();
    let stop = start + old[start..].find(&end)?;
    Some(format!("{}{text}{}", &old[..start], &old[stop..]))
}

/// Paths in a document, in code or as links, must exist. What has a placeholder is no path.
fn paths(document: &Path) -> Result<()> {
    let text = std::fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let here = document.parent().unwrap_or(Path::new(""));
    let mut missing = Vec::new();
    for path in code(&text) {
        let known = ["crates/", "docs/", ".ci/"]
            .iter()
            .any(|start| path.starts_with(start));
        let plain = !path.contains(['<', '*', ' ', '{']);
        if known && plain && !Path::new(path).exists() {
            missing.push(path);
        }
    }
    for path in links(&text) {
        let local = !path.contains("://") && !path.starts_with('#') && !path.starts_with("mailto:");
        let file = path.split('#').next().unwrap_or(path);
        if local && !here.join(file).exists() {
            missing.push(path);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: these paths do not exist: {}",
        document.display(),
        missing.join(", ")
    )
}

/// What is between single backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

/// Files with this extension below a folder, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                if entry.file_name() != "target" {
                    open.push(entry.path());
                }
            } else if entry.path().extension().is_some_and(|e| e == extension) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_replaced_and_the_rest_stays() {
        let old = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
        let new = replaced(old, "x", "new\n").expect("has markers");
        assert_eq!(new, "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n");
        assert_eq!(replaced(&new, "x", "new\n").as_deref(), Some(new.as_str()));
        assert!(replaced(old, "y", "").is_none());
    }

    #[test]
    fn paths_are_found_in_code_and_links() {
        let text = "see `crates/sys` and [this](docs/WHERE.md), `a`";
        assert_eq!(code(text).collect::<Vec<_>>(), ["crates/sys", "a"]);
        assert_eq!(links(text).collect::<Vec<_>>(), ["docs/WHERE.md"]);
    }
}
