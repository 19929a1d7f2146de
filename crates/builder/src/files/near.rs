//! What is said of a source that is not there: in BuildKit's words, with what keeps it back or is near.

use super::tree::Last;
use super::{Error, Tree, tree};

/// Names of fewer characters have none that are near.
const SHORT: usize = 3;

/// `path` is clean.
pub(crate) fn missing(from: &Tree, path: &[u8]) -> Error {
    let text = tree::text(path);
    let remark = kept_back(from, path)
        .or_else(|| near(from, path))
        .unwrap_or_default();
    Error::wrong(format!(
        "failed to compute cache key: failed to calculate checksum of {}: \"/{text}\": not found{remark}",
        from.name
    ))
}

/// The rule that leaves it out, if it is there at all.
fn kept_back(from: &Tree, path: &[u8]) -> Option<String> {
    let there = from.follow(path).ok()?;
    from.kind(&there, Last::Keep).ok()?;
    let (line, rule) = from
        .ignore
        .rule_of(&tree::text(&there))
        .map(|(line, rule)| (line, rule.to_owned()))?;
    Some(match line {
        0 => format!(" (excluded by the rule {rule})"),
        line => format!(" (excluded by .dockerignore line {line}: {rule})"),
    })
}

/// A name in the first directory that lacks one, which is nearly that one.
fn near(from: &Tree, path: &[u8]) -> Option<String> {
    let mut above = Vec::new();
    for part in tree::parts(path) {
        let directory = from.folder(&above).ok()?;
        let here = tree::join(&above, part);
        if from.kind(&here, Last::Follow).is_ok() {
            above = here;
            continue;
        }
        // What is this short is near to everything.
        if tree::text(part).chars().count() < SHORT {
            return None;
        }
        let names = directory.names().ok()?;
        let names: Vec<String> = names
            .iter()
            .map(|(name, _)| tree::text(name).into_owned())
            .filter(|name| {
                let path = tree::join(&above, name.as_bytes());
                !from.ignore.ignores(&tree::text(&path))
            })
            .collect();
        let known = names.iter().map(String::as_str);
        let near = onggi_dockerfile::nearest(&tree::text(part), known)?;
        let near = tree::join(&above, near.as_bytes());
        return Some(format!(" (did you mean /{}?)", tree::text(&near)));
    }
    None
}
