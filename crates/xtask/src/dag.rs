//! The table of crates in the root manifest, `[workspace.metadata.onggi.crates]`, and what it holds the crates to:
//! edges, layers, no tokio below layer 3, `unsafe` only in `sys`.

use crate::documents::{Mode, insert};
use crate::programs::{cargo, output};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// What the sync zone may not reach, not even through crates of others.
const ASYNC: &[&str] = &[
    "tokio",
    "hyper",
    "futures",
    "futures-util",
    "async-std",
    "smol",
];
/// The one crate that may say `unsafe`.
const UNSAFE: &str = "sys";
/// Crates of this layer and below are sync.
const LAST_SYNC: u32 = 2;
/// What is not part of the product: may use anything, may be used by tests only.
const DEVELOPMENT: u32 = 8;

#[derive(Debug, Deserialize)]
struct Row {
    layer: u32,
    uses: Uses,
    purpose: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Uses {
    List(Vec<String>),
    Any(String),
}

impl Uses {
    fn allow(&self, name: &str) -> bool {
        match self {
            Self::List(names) => names.iter().any(|n| n == name),
            Self::Any(word) => word == "any",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::List(names) if names.is_empty() => "–".to_owned(),
            Self::List(names) => names.join(", "),
            Self::Any(word) => word.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_members: BTreeSet<String>,
    metadata: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// Checks, and writes the map and the picture.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let text = output(cargo().args(["metadata", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata")?;
    let table: BTreeMap<String, Row> =
        serde_json::from_value(metadata.metadata["onggi"]["crates"].clone())
            .context("[workspace.metadata.onggi.crates]")?;
    let mut wrong = Vec::new();
    edges(&metadata, &table, &mut wrong);
    closures(&table, &mut wrong)?;
    layers(&table, &mut wrong);
    unsafety(&metadata, &mut wrong)?;
    if !wrong.is_empty() {
        bail!(
            "the crates do not keep to the table:\n  {}",
            wrong.join("\n  ")
        );
    }
    let path = Path::new("ARCHITECTURE.md");
    insert(path, "crate-map", &map(&table), mode)?;
    insert(path, "crate-picture", &picture(&table), mode)
}

/// The name in the table: `onggi-sys` is `sys`, the package of the programs is `onggi`.
fn short(name: &str) -> &str {
    name.strip_prefix("onggi-").unwrap_or(name)
}

fn edges(metadata: &Metadata, table: &BTreeMap<String, Row>, wrong: &mut Vec<String>) {
    let own: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .filter(|p| metadata.workspace_members.contains(&p.id))
        .map(|p| (p.id.as_str(), short(&p.name)))
        .collect();
    for name in own.values().filter(|name| !table.contains_key(**name)) {
        wrong.push(format!("{name} is not in the table"));
    }
    for name in table.keys().filter(|name| !own.values().any(|o| o == name)) {
        wrong.push(format!("{name} is in the table and is not a crate"));
    }
    for node in &metadata.resolve.nodes {
        let Some((from, row)) = own
            .get(node.id.as_str())
            .and_then(|n| Some((n, table.get(*n)?)))
        else {
            continue;
        };
        for dependency in &node.deps {
            let Some(to) = own.get(dependency.pkg.as_str()) else {
                continue;
            };
            let for_tests = dependency
                .dep_kinds
                .iter()
                .all(|k| k.kind.as_deref() == Some("dev"));
            let is_tool = table.get(*to).is_some_and(|r| r.layer == DEVELOPMENT);
            // Tests may use what the crate may use, and the kit.
            let allowed = row.uses.allow(to) || (for_tests && is_tool);
            if !allowed {
                wrong.push(format!("{from} uses {to}, which the table does not allow"));
            }
        }
    }
}

fn layers(table: &BTreeMap<String, Row>, wrong: &mut Vec<String>) {
    for (from, row) in table {
        let Uses::List(names) = &row.uses else {
            continue;
        };
        for to in names {
            match table.get(to) {
                None => wrong.push(format!("{from} may use {to}, which is not in the table")),
                Some(other) if other.layer > row.layer => {
                    wrong.push(format!(
                        "{from} (layer {}) may use {to} (layer {}): upwards",
                        row.layer, other.layer
                    ));
                }
                Some(_) => {}
            }
        }
    }
}

/// No async crate is reachable from the sync zone. Dependencies of tests do not count. Asked crate by crate, because
/// the features of a dependency depend on who asks.
fn closures(table: &BTreeMap<String, Row>, wrong: &mut Vec<String>) -> Result<()> {
    for (name, _) in table.iter().filter(|(_, row)| row.layer <= LAST_SYNC) {
        let package = format!("onggi-{name}");
        let mut tree = cargo();
        tree.args([
            "tree",
            "--package",
            &package,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ]);
        let text = output(&mut tree)?;
        let names: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        for found in ASYNC.iter().filter(|other| names.contains(**other)) {
            wrong.push(format!("{name} reaches {found}"));
        }
    }
    Ok(())
}

/// `unsafe` as a word of code, comments and strings aside. The compiler forbids it too; this sees code that the
/// build on this machine leaves out, and lint settings that were loosened.
fn unsafety(metadata: &Metadata, wrong: &mut Vec<String>) -> Result<()> {
    let others =
        |p: &&Package| metadata.workspace_members.contains(&p.id) && short(&p.name) != UNSAFE;
    for package in metadata.packages.iter().filter(others) {
        let folder = Path::new(&package.manifest_path)
            .parent()
            .context("a manifest has a folder")?;
        for file in crate::documents::files(folder, "rs")? {
            let text = std::fs::read_to_string(&file)?;
            for (number, line) in text.lines().enumerate() {
                if says_unsafe(line) {
                    wrong.push(format!(
                        "{}:{}: unsafe outside crates/{UNSAFE}",
                        file.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    Ok(())
}

fn says_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    // What is between quotes is text.
    let code: String = code.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if word == "unsafe"
            && matches!(
                words.peek(),
                None | Some(&("fn" | "impl" | "extern" | "trait"))
            )
        {
            return true;
        }
    }
    code.contains("unsafe {")
}

fn layer_name(layer: u32) -> &'static str {
    match layer {
        0 => "0 words",
        1 => "1 kernel",
        2 => "2 container",
        3 => "3 wire",
        4 => "4 parts",
        5 => "5 engine",
        6 => "6 face",
        7 => "7 programs",
        _ => "development",
    }
}

fn by_layer(table: &BTreeMap<String, Row>) -> BTreeMap<u32, Vec<(&String, &Row)>> {
    let mut layers: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (name, row) in table {
        layers.entry(row.layer).or_default().push((name, row));
    }
    layers
}

fn map(table: &BTreeMap<String, Row>) -> String {
    let mut text = String::from("| layer | crate | purpose | may use |\n|---|---|---|---|\n");
    for (layer, rows) in by_layer(table) {
        for (at, (name, row)) in rows.iter().enumerate() {
            let layer = if at == 0 { layer_name(layer) } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {layer} | [`{name}`](crates/{name}) | {} | {} |",
                row.purpose,
                row.uses.text()
            );
        }
    }
    text
}

fn picture(table: &BTreeMap<String, Row>) -> String {
    let mut text = String::from("```\n");
    let mut fence = false;
    for (layer, rows) in by_layer(table)
        .into_iter()
        .rev()
        .filter(|(layer, _)| *layer < DEVELOPMENT)
    {
        if layer <= LAST_SYNC && !fence {
            fence = true;
            text.push_str("  ─ ─ ─ ─ ─ ─ ─ ─  no tokio below this line  ─ ─ ─ ─ ─ ─ ─ ─\n");
        }
        // Within a layer those that use others come first: arrows go right and down.
        let mut names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_by_key(|name| std::cmp::Reverse(depth(table, name)));
        let _ = writeln!(text, "  {:<12} {}", layer_name(layer), names.join("  "));
    }
    text.push_str("```\n");
    text
}

/// The longest way down inside the layer.
fn depth(table: &BTreeMap<String, Row>, name: &str) -> usize {
    let Some(Row {
        layer,
        uses: Uses::List(uses),
        ..
    }) = table.get(name)
    else {
        return 0;
    };
    let inside = uses
        .iter()
        .filter(|to| table.get(*to).is_some_and(|row| row.layer == *layer));
    inside.map(|to| 1 + depth(table, to)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_seen_in_code_only() {
        for line in [
            "unsafe { f() }",
            "    unsafe fn f();",
            "unsafe impl Send for X {}",
            "let x = unsafe {",
        ] {
            assert!(says_unsafe(line), "{line}");
        }
        for line in [
            "// unsafe { no }",
            "unsafe_code = 1",
            "the only unsafe: x",
            "let unsafe_ = 1;",
        ] {
            assert!(!says_unsafe(line), "{line}");
        }
        assert!(!says_unsafe(&format!("{0}unsafe {{ text }}{0}", '"')));
    }

    #[test]
    fn upward_edges_are_found() {
        let row = |layer, uses: &[&str]| Row {
            layer,
            uses: Uses::List(uses.iter().map(|u| (*u).to_owned()).collect()),
            purpose: String::new(),
        };
        let table = BTreeMap::from([
            ("low".to_owned(), row(0, &["high", "gone"])),
            ("high".to_owned(), row(1, &["low"])),
        ]);
        let mut wrong = Vec::new();
        layers(&table, &mut wrong);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }
}
