//! How repositories are written in Dockerfiles: `https://host/repo.git#ref:directory`, `git@host:repo.git`,
//! `https://host/repo.git?ref=v1&subdir=directory`.

use url::Url;

use super::Error;

/// A repository, and what of it is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Repository {
    /// As git takes it.
    pub(super) remote: String,
    /// A branch, a tag or a commit; what the repository shows without.
    pub(super) reference: Option<String>,
    /// The commit that must be found there.
    pub(super) commit: Option<String>,
    /// A directory of it.
    pub(super) directory: String,
}

/// A repository, if the source is one: what is on the web is one if its path ends with `.git`.
///
/// # Errors
/// Addresses that are none, and references that git would not take for one.
pub(super) fn parse(source: &str) -> Result<Option<Repository>, Error> {
    let (address, fragment) = match source.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (source, None),
    };
    let mut repository = match address.split_once("://") {
        None => Repository {
            remote: address.to_owned(),
            ..Repository::default()
        },
        Some((scheme, _)) => {
            let wrong = |why| Error::Wrong(format!("parse {address:?}: {why}"));
            let mut url = Url::parse(address).map_err(wrong)?;
            let is_web = matches!(scheme, "http" | "https");
            if is_web && !url.path().ends_with(".git") {
                return Ok(None);
            }
            let queries: Vec<(String, String)> = url
                .query_pairs()
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect();
            url.set_query(None);
            let mut repository = Repository::default();
            for (key, value) in queries {
                repository.set(&key, value, source)?;
            }
            repository.remote = url.to_string();
            repository
        }
    };
    match fragment {
        None | Some("") => {}
        Some(fragment) if fragment.starts_with('#') => {
            for field in fragment[1..].split(',').filter(|field| !field.is_empty()) {
                let (key, value) = field.split_once('=').ok_or_else(|| {
                    Error::Wrong(format!("invalid field '{field}' must be a key=value pair"))
                })?;
                repository.set(key, value.to_owned(), source)?;
            }
        }
        Some(fragment) => {
            let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
            repository.reference = Some(reference.to_owned()).filter(|text| !text.is_empty());
            repository.directory = directory.to_owned();
        }
    }
    if repository.reference.is_none() {
        repository.reference.clone_from(&repository.commit);
    }
    repository.checked(source).map(Some)
}

/// A repository as contexts may be, too: `github.com/user/repository`.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_context(source: &str) -> Result<Option<Repository>, Error> {
    if source.starts_with("github.com/") {
        let (path, fragment) = source.split_once('#').unwrap_or((source, ""));
        let path = path.trim_end_matches(".git");
        return parse(&format!("https://{path}.git#{fragment}"));
    }
    parse(source)
}

impl Repository {
    fn set(&mut self, key: &str, value: String, source: &str) -> Result<(), Error> {
        match key {
            "ref" => self.reference = Some(value),
            "branch" => self.reference = Some(format!("refs/heads/{value}")),
            "tag" => self.reference = Some(format!("refs/tags/{value}")),
            "commit" | "checksum" => self.commit = Some(value),
            "subdir" => self.directory = value,
            _ => {
                return Err(Error::Wrong(format!(
                    "unexpected key '{key}' in '{source}' (supported keys: ref, branch, tag, commit, subdir)"
                )));
            }
        }
        Ok(())
    }

    /// Nothing that goes to git looks like an option or means more than a name (CVE-2019-13139).
    fn checked(self, source: &str) -> Result<Self, Error> {
        let is_plain = |text: &str| {
            let fits = |c: char| !c.is_control() && !c.is_whitespace();
            !text.is_empty() && !text.starts_with('-') && text.chars().all(fits)
        };
        if !is_plain(&self.remote) {
            return Err(Error::Wrong(format!("invalid repository: {source:?}")));
        }
        // git-check-ref-format(1)
        let is_reference = |text: &str| {
            is_plain(text)
                && !text.contains(['~', '^', ':', '?', '*', '[', '\\'])
                && !text.contains("..")
                && !text.contains("@{")
                && !text.ends_with(['/', '.'])
                && !text.ends_with(".lock")
        };
        if let Some(reference) = &self.reference
            && !is_reference(reference)
        {
            return Err(Error::Wrong(format!("invalid git ref: {reference:?}")));
        }
        if let Some(commit) = &self.commit
            && !(commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit()))
        {
            return Err(Error::Wrong(format!(
                "invalid checksum {commit:?} for Git source, expected a commit"
            )));
        }
        Ok(self)
    }

    /// For people: without a password.
    pub(super) fn shown(&self) -> String {
        match Url::parse(&self.remote) {
            Ok(mut url) if url.password().is_some() => match url.set_password(Some("xxxxx")) {
                Ok(()) => url.to_string(),
                Err(()) => String::new(),
            },
            _ => self.remote.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_and_what_of_them() {
        let is = |remote: &str, reference: &str, directory: &str| {
            Some(Repository {
                remote: remote.to_owned(),
                reference: Some(reference.to_owned()).filter(|text| !text.is_empty()),
                commit: None,
                directory: directory.to_owned(),
            })
        };
        for (source, expected) in [
            ("https://h/a.git", is("https://h/a.git", "", "")),
            ("https://h/a.git#v1", is("https://h/a.git", "v1", "")),
            ("https://h/a.git#v1:d/e", is("https://h/a.git", "v1", "d/e")),
            ("https://h/a.git#:d", is("https://h/a.git", "", "d")),
            (
                "https://h/a.git##ref=x/y,subdir=d",
                is("https://h/a.git", "x/y", "d"),
            ),
            (
                "https://h/a.git?branch=b&subdir=d",
                is("https://h/a.git", "refs/heads/b", "d"),
            ),
            (
                "https://h/a.git?tag=b",
                is("https://h/a.git", "refs/tags/b", ""),
            ),
            ("git@h:a/b.git#x", is("git@h:a/b.git", "x", "")),
            ("git://h/a", is("git://h/a", "", "")),
            ("ssh://git@h/a", is("ssh://git@h/a", "", "")),
            ("https://h/a", None),
            ("https://h/a#b.git", None),
            ("http://h/a.tar.gz", None),
        ] {
            assert_eq!(parse(source).unwrap(), expected, "{source}");
        }
        let pinned = parse("https://h/a.git##commit=0123456789abcdef")
            .unwrap()
            .unwrap();
        assert_eq!(pinned.reference, pinned.commit);
        for source in [
            "https://h/a.git#--upload-pack=x",
            "https://h/a.git#a..b",
            "https://h/a.git#a b",
            "https://h/a.git#a^{tree}",
            "https://h/a.git#a\u{7}",
            "https://h/a.git?ref=-x",
            "https://h/a.git?what=x",
            "https://h/a.git##x",
            "https://h/a.git##commit=zz",
            "https://[/a.git",
        ] {
            assert!(parse(source).is_err(), "{source}");
        }
        for (source, remote) in [
            ("github.com/a/b", "https://github.com/a/b.git"),
            ("github.com/a/b.git#v1", "https://github.com/a/b.git"),
        ] {
            let found = parse_context(source).unwrap().unwrap();
            assert_eq!(found.remote, remote);
        }
        assert_eq!(parse_context("https://h/a.tar").unwrap(), None);
        let shown = parse("https://me:secret@h/a.git").unwrap().unwrap().shown();
        assert_eq!(shown, "https://me:xxxxx@h/a.git");
    }
}
