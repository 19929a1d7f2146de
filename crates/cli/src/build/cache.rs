//! `--cache-from` and `--cache-to`: caches are the daemon's business, and it says what of them cannot be. Those in
//! directories here are handed to it (see `layout`).

use onggi_model::csv;

use crate::args::Matches;

/// `--cache-from`, as our own daemon is told: names alone are caches in a registry.
pub(super) fn sources(matches: &Matches) -> Vec<String> {
    let mut all = Vec::new();
    for text in matches.all("cache-from") {
        if text.contains('=') {
            all.push(text.to_owned());
            continue;
        }
        let names = csv(text).into_iter().filter(|name| !name.is_empty());
        all.extend(names.map(|name| format!("type=registry,ref={name}")));
    }
    all
}

/// `--cache-from` as every daemon takes it: names of images.
pub(super) fn names(matches: &Matches) -> Vec<String> {
    let names = matches.all("cache-from").flat_map(csv);
    names.filter(|name| !name.is_empty()).collect()
}
