//! `--cache-from` and `--cache-to`: caches of registries are the daemon's business, and it says what of them cannot be.

use onggi_model::csv;

use crate::args::Matches;
use crate::error::{Error, Result};

/// `--cache-from`, as our own daemon is told: names alone are caches in a registry.
///
/// # Errors
/// What lies with the client, which the daemon cannot reach.
pub(super) fn sources(matches: &Matches) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in matches.all("cache-from") {
        if text.contains('=') {
            all.push(reachable("cache-from", text)?);
            continue;
        }
        let names = csv(text).into_iter().filter(|name| !name.is_empty());
        all.extend(names.map(|name| format!("type=registry,ref={name}")));
    }
    Ok(all)
}

/// `--cache-from` as every daemon takes it: names of images.
pub(super) fn names(matches: &Matches) -> Vec<String> {
    let names = matches.all("cache-from").flat_map(csv);
    names.filter(|name| !name.is_empty()).collect()
}

/// `--cache-to`, as our own daemon is told.
///
/// # Errors
/// As [`sources`].
pub(super) fn targets(matches: &Matches) -> Result<Vec<String>> {
    let all = matches.all("cache-to");
    all.map(|text| reachable("cache-to", text)).collect()
}

fn reachable(flag: &str, text: &str) -> Result<String> {
    match csv(text).iter().any(|field| field == "type=local") {
        true => Err(Error::new(format!(
            "--{flag} {text} is not supported: the daemon reaches registries alone; use type=registry,ref=NAME, with onggi-registry on this machine if there is no other"
        ))),
        false => Ok(text.to_owned()),
    }
}
