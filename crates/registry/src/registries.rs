//! Files that say where registries' content is found: mirrors of any registry, and which may do without TLS.
//!
//! A folder of JSON files, taken in the order of their names. Each names registries: `host`, `host:port`, `*.domain` or
//! `*`, the closest fitting one counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::InvalidConfig;

/// What is said about one registry, or about all of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `host`, `host:port`, `*.domain` or `*`.
    pub registry: String,
    /// Where to ask before the registry itself, in this order.
    pub mirrors: Vec<Mirror>,
    /// Whether the registry may be reached without TLS, or with TLS nobody vouches for.
    pub insecure: bool,
    /// Whether the registry itself is asked when no mirror has it.
    pub fallback: bool,
}

/// A place that has what a registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its address, with an optional path that comes before `/v2/`.
    pub url: String,
    /// What comes before the repository's name there; `{registry}` stands for the registry.
    pub prefix: String,
    /// Whether its certificate is not looked at.
    pub insecure: bool,
    /// The file that says who we are to it, as `docker login` writes it; without one we are nobody.
    pub auth_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    mirrors: Vec<MirrorText>,
    #[serde(default)]
    insecure: bool,
    fallback: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MirrorText {
    Url(String),
    Full(MirrorEntry),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct MirrorEntry {
    url: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    insecure: bool,
    auth_file: Option<PathBuf>,
}

impl Rule {
    /// The rules of a folder; none where there is no such folder.
    ///
    /// # Errors
    /// InvalidParameter, naming the file: what cannot be read, or says a thing twice.
    pub fn read(folder: &Path) -> Result<Vec<Rule>, InvalidConfig> {
        let bad = |path: &Path, why: String| InvalidConfig::File(path.display().to_string(), why);
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(bad(folder, error.to_string())),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(|error| bad(folder, error.to_string()))?
                .path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        let mut rules = Vec::new();
        let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in paths {
            let text =
                std::fs::read_to_string(&path).map_err(|error| bad(&path, error.to_string()))?;
            for rule in Rule::parse(&text).map_err(|why| bad(&path, why))? {
                if let Some(other) = seen.insert(rule.registry.clone(), path.clone()) {
                    let why = format!("{} is in {} already", rule.registry, other.display());
                    return Err(bad(&path, why));
                }
                rules.push(rule);
            }
        }
        Ok(rules)
    }

    /// The rules of one file.
    fn parse(text: &str) -> Result<Vec<Rule>, String> {
        let entries: BTreeMap<String, Entry> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let rule = |(registry, entry): (String, Entry)| {
            let mirror = |text| match text {
                MirrorText::Url(url) => Mirror {
                    url,
                    prefix: String::new(),
                    insecure: false,
                    auth_file: None,
                },
                MirrorText::Full(entry) => Mirror {
                    url: entry.url,
                    prefix: entry.prefix,
                    insecure: entry.insecure,
                    auth_file: entry.auth_file,
                },
            };
            Rule {
                registry: registry.to_ascii_lowercase(),
                mirrors: entry.mirrors.into_iter().map(mirror).collect(),
                insecure: entry.insecure,
                fallback: entry.fallback.unwrap_or(true),
            }
        };
        Ok(entries.into_iter().map(rule).collect())
    }
}

/// How closely a pattern fits a registry: higher is closer.
pub(crate) fn fits(pattern: &str, registry: &str) -> Option<usize> {
    if pattern == registry {
        return Some(usize::MAX);
    }
    let suffix = pattern.strip_prefix('*')?;
    // Of `*.domain` any port will do.
    let host = crate::config::host_of(registry);
    let fits = suffix.is_empty()
        || (host.len() > suffix.len() && host.ends_with(suffix))
        || (registry.len() > suffix.len() && registry.ends_with(suffix));
    fits.then_some(suffix.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_where_to_look() {
        let rules = Rule::parse(
            r#"{
              "Quay.example": {"mirrors": ["https://a.example", {"url": "http://b.example", "prefix": "q", "insecure": true, "auth-file": "/etc/b.json"}]},
              "*.corp.example": {"insecure": true, "fallback": false}
            }"#,
        )
        .unwrap();
        let quay = rules
            .iter()
            .find(|rule| rule.registry == "quay.example")
            .unwrap();
        assert_eq!(quay.mirrors.len(), 2);
        assert_eq!(quay.mirrors[1].prefix, "q");
        assert!(quay.mirrors[1].insecure && !quay.mirrors[0].insecure);
        assert_eq!(quay.mirrors[1].auth_file, Some("/etc/b.json".into()));
        assert!(quay.fallback && !quay.insecure);
        let corp = rules
            .iter()
            .find(|rule| rule.registry == "*.corp.example")
            .unwrap();
        assert!(corp.insecure && !corp.fallback);
        for bad in [
            "[]",
            r#"{"a": {"mirror": []}}"#,
            r#"{"a": {"mirrors": [{"prefix": "x"}]}}"#,
        ] {
            assert!(Rule::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_closest_pattern_fits_best() {
        assert_eq!(fits("a.example", "a.example"), Some(usize::MAX));
        assert_eq!(fits("a.example", "a.example:5000"), None);
        assert!(fits("*.example", "a.example:5000") > fits("*", "a.example:5000"));
        assert!(fits("*.b.example", "a.b.example") > fits("*.example", "a.b.example"));
        assert_eq!(fits("*.example", "example"), None);
        assert_eq!(fits("*.example", "a.other"), None);
    }

    #[test]
    fn a_folder_is_read_in_order_and_nothing_is_said_twice() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Rule::read(&folder.path().join("none")).unwrap(), []);
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("20.json", r#"{"b.example": {}}"#);
        write("10.json", r#"{"a.example": {}}"#);
        write("readme.txt", "not one of them");
        let names: Vec<_> = Rule::read(folder.path())
            .unwrap()
            .into_iter()
            .map(|rule| rule.registry)
            .collect();
        assert_eq!(names, ["a.example", "b.example"]);
        write("30.json", r#"{"a.example": {}}"#);
        let error = Rule::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("30.json") && error.contains("10.json"),
            "{error}"
        );
    }
}
