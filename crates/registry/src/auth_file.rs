//! Who we are to a mirror: a file as `docker login` writes it, `{"auths": {"HOST:PORT": {"auth": ".."}}}`.
//!
//! It is read each time it is needed, so that whoever renews a password only writes the file.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use onggi_model::Secret;
use serde::Deserialize;

use crate::auth::Auth;

/// The most such a file may have.
const LIMIT: u64 = 1 << 20;

/// A file with the credentials of mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthFile(PathBuf);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: String,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Secret<String>,
    username: String,
    password: Secret<String>,
    identitytoken: Secret<String>,
    registrytoken: Secret<String>,
}

impl AuthFile {
    pub(crate) fn new(path: &Path) -> AuthFile {
        AuthFile(path.to_owned())
    }

    /// The credentials for a registry, `host` or `host:port`.
    ///
    /// # Errors
    /// In words, with the file's name and without what is in it.
    pub(crate) fn credentials(&self, authority: &str) -> Result<Auth, String> {
        let path = self.0.display();
        if !self.0.is_absolute() {
            return Err(format!(
                "auth-file {path}: write its path from the root, /.."
            ));
        }
        let failed = |error: std::io::Error| format!("auth-file {path}: {error}");
        let found = std::fs::metadata(&self.0).map_err(failed)?;
        if !found.is_file() || found.len() > LIMIT {
            return Err(format!("auth-file {path}: not a file of at most 1 MiB"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(format!(
                "auth-file {path}: others than its owner may read it: chmod 600 {path}"
            ));
        }
        let text = std::fs::read_to_string(&self.0).map_err(failed)?;
        parse(&text, authority).map_err(|why| format!("auth-file {path}: {why}"))
    }
}

fn parse(text: &str, authority: &str) -> Result<Auth, String> {
    // What serde says of a value of the wrong kind quotes it: the place alone is told.
    let document: Document = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("not the JSON that docker login writes, at line {line} column {column}")
    })?;
    let wanted = bare(authority);
    let entry = document
        .auths
        .iter()
        .find(|(server, _)| bare(server) == wanted)
        .map(|(_, entry)| entry);
    let helped =
        document.cred_helpers.keys().any(|h| bare(h) == wanted) || !document.creds_store.is_empty();
    let none = match helped {
        true => format!(
            "a credential helper has what is for {authority}, and the daemon runs none: have the helper's owner write \
             \"auth\" here"
        ),
        false => format!("nothing for {authority} below \"auths\""),
    };
    let entry = entry.ok_or(&none)?;
    let auth = entry
        .read()
        .ok_or_else(|| format!("\"auth\" of {authority} is not base64 of USER:PASSWORD"))?;
    match auth.is_anonymous() {
        // `docker login` leaves an empty entry where a helper keeps the secret.
        true => Err(none),
        false => Ok(auth),
    }
}

impl Entry {
    fn read(&self) -> Option<Auth> {
        let mut auth = Auth {
            username: self.username.clone(),
            password: self.password.clone(),
            identity_token: self.identitytoken.clone(),
            registry_token: self.registrytoken.clone(),
        };
        if !self.auth.expose().is_empty() {
            let engine = &base64::engine::general_purpose::STANDARD;
            let plain = engine.decode(self.auth.expose().trim()).ok()?;
            let plain = String::from_utf8(plain).ok()?;
            let (user, password) = plain.split_once(':')?;
            user.clone_into(&mut auth.username);
            auth.password = Secret::new(password.trim_end_matches('\0').to_owned());
        }
        Some(auth)
    }
}

/// A server of such a file as `host` or `host:port`.
fn bare(server: &str) -> String {
    let server = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = server.split('/').next().unwrap_or_default();
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_login_writes_is_read() {
        let text = r#"{"auths": {
            "m.example:5000": {"auth": "bWU6aHVudGVyMjpY"},
            "https://n.example/v1/": {"username": "you", "password": "secret"},
            "token.example": {"auth": "bWU6", "identitytoken": "refresh"},
            "kept.example": {},
            "broken.example": {"auth": "canary!"}
        }, "credsStore": "", "HttpHeaders": {}}"#;
        let auth = parse(text, "m.example:5000").unwrap();
        let parts = |auth: &Auth| (auth.username.clone(), auth.password.expose().clone());
        assert_eq!(parts(&auth), ("me".to_owned(), "hunter2:X".to_owned()));
        let auth = parse(text, "N.example").unwrap();
        assert_eq!(parts(&auth), ("you".to_owned(), "secret".to_owned()));
        let auth = parse(text, "token.example").unwrap();
        assert_eq!(auth.identity_token.expose(), "refresh");
        // Another port is another registry.
        for (authority, words) in [
            ("m.example", "nothing for m.example below \"auths\""),
            ("kept.example", "nothing for kept.example"),
            ("broken.example", "is not base64 of USER:PASSWORD"),
        ] {
            let error = parse(text, authority).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
        let helped = r#"{"auths": {"m.example": {}}, "credsStore": "pass"}"#;
        let error = parse(helped, "m.example").unwrap_err();
        assert!(error.contains("the daemon runs none"), "{error}");
        let error = parse(r#"{"auths": {"m.example": "canary"}}"#, "m.example").unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let file = AuthFile::new(&path);
        let error = file.credentials("m.example").unwrap_err();
        assert!(error.contains("auth.json: No such file"), "{error}");
        std::fs::write(&path, r#"{"auths": {"m.example": {"auth": "bWU6eA=="}}}"#).unwrap();
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let error = file.credentials("m.example").unwrap_err();
        assert!(error.contains("chmod 600"), "{error}");
        mode(0o600);
        assert_eq!(file.credentials("m.example").unwrap().username, "me");
        let error = AuthFile::new(Path::new("auth.json"))
            .credentials("m.example")
            .unwrap_err();
        assert!(error.contains("from the root"), "{error}");
    }
}
