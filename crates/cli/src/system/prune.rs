//! `system prune`: what nobody uses goes, kind by kind.

use onggi_model::Filters;
use onggi_model::units::human_size;
use serde_json::Value;

use crate::Cli;
use crate::args::{Flag, Matches, check, list, switch};
use crate::command::{Command, command};
use crate::confirm::confirm;
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Remove every image that no container uses, not only those without a name",
    ),
    list(
        None,
        "filter",
        "filter",
        "Remove only what fits (\"label=KEY=VALUE\", \"until=TIME\")",
    )
    .checked(check::filter)
    .since(1, 28),
    switch(Some('f'), "force", "Do not ask"),
    switch(None, "volumes", "Remove anonymous volumes as well"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Remove what nobody uses",
    flags: &[FLAGS],
    ..command(&["system prune"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (all, volumes) = (matches.on("all"), matches.on("volumes"));
    let pairs = filters(matches.list("filter"), &cli.settings.file.prune_filters);
    if volumes && pairs.iter().any(|(key, _)| key == "until") {
        return Err(Error::new(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"",
        ));
    }
    if !matches.on("force") {
        let warning = warning(all, volumes, &pairs);
        if !confirm(cli, &warning)? {
            return Ok(0);
        }
    }
    let client = cli.client()?;
    let mut kinds = vec!["containers", "networks"];
    if volumes {
        kinds.push("volumes");
    }
    kinds.extend(["images", "build"]);
    let mut freed = 0_u64;
    for kind in kinds {
        let mut filters = Filters::default();
        for (key, value) in &pairs {
            filters.add(key.clone(), value);
        }
        if kind == "images" {
            filters.add("dangling", if all { "false" } else { "true" });
        }
        let answer = match cli.block_on(client.prune(kind, &filters, kind == "build" && all))? {
            Ok(answer) => answer,
            // A daemon that has no such thing has none to remove.
            Err(error) if error.status() == Some(501) => continue,
            Err(error) => return Err(error.into()),
        };
        freed = freed.saturating_add(answer["SpaceReclaimed"].as_u64().unwrap_or(0));
        let text = removed(&answer);
        cli.print(&text)?;
        cli.flush()?;
    }
    cli.line(&format!(
        "Total reclaimed space: {}",
        human_size(freed as f64)
    ))?;
    Ok(0)
}

/// The filters given, and those of `config.json` that do not contradict them.
pub(crate) fn filters(given: Vec<String>, configured: &[String]) -> Vec<(String, String)> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=')?;
        Some((key.trim().to_lowercase(), value.trim().to_owned()))
    };
    let given: Vec<(String, String)> = given.iter().filter_map(pair).collect();
    let contradicts = |(key, value): &(String, String)| {
        let opposite = match key.as_str() {
            "label" => "label!",
            "label!" => "label",
            _ => return false,
        };
        given.iter().any(|(k, v)| k == opposite && v == value)
    };
    let mut pairs: Vec<(String, String)> = configured
        .iter()
        .filter_map(pair)
        .filter(|pair| !contradicts(pair))
        .collect();
    pairs.extend(given.clone());
    pairs
}

fn warning(all: bool, volumes: bool, pairs: &[(String, String)]) -> String {
    let mut out = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if volumes {
        out.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    out.push_str(if all {
        "  - all images without at least one container associated to them\n  - all build cache\n"
    } else {
        "  - all dangling images\n  - unused build cache\n"
    });
    if !pairs.is_empty() {
        out.push_str("\n  Items to be pruned will be filtered with:\n");
        let mut lines: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("  - {key}={value}\n"))
            .collect();
        lines.sort();
        out.push_str(&lines.concat());
    }
    out.push_str("\nAre you sure you want to continue?");
    out
}

/// What the daemon removed, in Docker's words.
pub(crate) fn removed(answer: &Value) -> String {
    let mut out = String::new();
    for (key, title) in [
        ("ContainersDeleted", "Deleted Containers:"),
        ("NetworksDeleted", "Deleted Networks:"),
        ("VolumesDeleted", "Deleted Volumes:"),
        ("ImagesDeleted", "Deleted Images:"),
        ("CachesDeleted", "Deleted build cache objects:"),
    ] {
        let Some(items) = answer[key].as_array().filter(|items| !items.is_empty()) else {
            continue;
        };
        out.push_str(title);
        out.push('\n');
        for item in items {
            if let Some(name) = item.as_str() {
                out.push_str(&format!("{name}\n"));
            }
            for (key, verb) in [("Untagged", "untagged"), ("Deleted", "deleted")] {
                if let Some(name) = item[key].as_str().filter(|name| !name.is_empty()) {
                    out.push_str(&format!("{verb}: {name}\n"));
                }
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_the_file_give_way() {
        let configured = ["label=a".to_owned(), "until=1h".to_owned()];
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            filters(vec!["label!=a".to_owned()], &configured),
            [pair("until", "1h"), pair("label!", "a")]
        );
        assert_eq!(
            filters(Vec::new(), &configured),
            [pair("label", "a"), pair("until", "1h")]
        );
    }

    #[test]
    fn what_went_is_told() {
        let answer = serde_json::json!({
            "ImagesDeleted": [{"Untagged": "a:b"}, {"Deleted": "sha256:1"}],
            "ContainersDeleted": ["x"], "VolumesDeleted": null,
        });
        assert_eq!(
            removed(&answer),
            "Deleted Containers:\nx\n\nDeleted Images:\nuntagged: a:b\ndeleted: sha256:1\n\n"
        );
    }
}
