//! Logins: kept in `config.json`, or by a helper program `docker-credential-NAME` where one is named there.
//!
//! The protocol of helpers is docker-credential-helpers': a verb as argument, the registry's address or a document on
//! standard input, a document on standard output.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use onggi_api::auth::AuthConfig;
use onggi_model::Secret;
use serde_json::json;

use super::ConfigFile;
use crate::error::{Error, Result};

/// Docker's own registry, as logins for it are called.
pub(crate) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The name a helper gives to those who have a token instead of a password.
const TOKEN_USER: &str = "<token>";

/// A login.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    /// The registry's address.
    pub(crate) server: String,
    pub(crate) username: String,
    pub(crate) password: Secret<String>,
    pub(crate) identity_token: Secret<String>,
    pub(crate) registry_token: Secret<String>,
}

/// The address that logins for a registry are kept under, by its domain in a reference.
pub(crate) fn server_of(domain: &str) -> &str {
    match domain {
        "docker.io" => DOCKER_HUB,
        domain => domain,
    }
}

impl Credentials {
    /// In the API's words.
    pub(crate) fn document(&self) -> AuthConfig {
        let some = |secret: &Secret<String>| (!secret.expose().is_empty()).then(|| secret.clone());
        AuthConfig {
            username: self.username.clone(),
            password: some(&self.password),
            identity_token: some(&self.identity_token),
            registry_token: some(&self.registry_token),
            server_address: self.server.clone(),
            ..AuthConfig::default()
        }
    }
}

impl ConfigFile {
    /// The login for a registry, from wherever it is kept.
    ///
    /// # Errors
    /// What a helper program says.
    pub(crate) fn credentials(&self, server: &str) -> Result<Option<Credentials>> {
        let Some(helper) = self.helper(server) else {
            return Ok(self.auth(server));
        };
        let Some(answer) = ask(helper, "get", server)? else {
            return Ok(None);
        };
        let said: serde_json::Value = serde_json::from_slice(&answer)
            .map_err(|error| Error::new(format!("{}: {error}", program(helper))))?;
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        let mut found = Credentials {
            server: server.to_owned(),
            ..Credentials::default()
        };
        match text("Username") {
            user if user == TOKEN_USER => found.identity_token = Secret::new(text("Secret")),
            user => {
                found.username = user;
                found.password = Secret::new(text("Secret"));
            }
        }
        Ok(Some(found))
    }

    /// The login for the registry of a reference as the header `X-Registry-Auth` wants it; empty for none.
    ///
    /// # Errors
    /// As [`ConfigFile::credentials`].
    pub(crate) fn registry_auth(&self, domain: &str) -> Result<String> {
        let Some(found) = self.credentials(server_of(domain))? else {
            return Ok(String::new());
        };
        let text = serde_json::to_string(&found.document())
            .map_err(|error| Error::new(error.to_string()))?;
        Ok(base64::engine::general_purpose::URL_SAFE.encode(text))
    }

    /// Every login there is, and what kept others out of reach.
    pub(crate) fn all_credentials(&self) -> (Vec<Credentials>, Vec<Error>) {
        let mut servers: BTreeSet<String> = self.auths.keys().cloned().collect();
        servers.extend(self.cred_helpers.keys().cloned());
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        if !self.creds_store.is_empty() {
            match listed(&self.creds_store) {
                Ok(known) => servers.extend(known),
                Err(error) => failures.push(error),
            }
        }
        for server in servers {
            match self.credentials(&server) {
                Ok(Some(login)) => all.push(Credentials { server, ..login }),
                Ok(None) => {}
                Err(error) => failures.push(error),
            }
        }
        (all, failures)
    }

    /// Keeps a login. Says whether it lies in the file as it is.
    ///
    /// # Errors
    /// When the file cannot be written, or what a helper program says.
    pub(crate) fn keep(&self, path: &Path, login: &Credentials) -> Result<bool> {
        let token = login.identity_token.expose();
        if let Some(helper) = self.helper(&login.server) {
            let (user, secret) = match token.is_empty() {
                true => (login.username.as_str(), login.password.expose()),
                false => (TOKEN_USER, token),
            };
            let document =
                json!({"ServerURL": login.server, "Username": user, "Secret": secret}).to_string();
            ask(helper, "store", &document)?;
            // Others see by the empty entry that there is a login.
            Self::set_auth(path, &login.server, Some(json!({})))?;
            return Ok(false);
        }
        let password = match token.is_empty() {
            true => login.password.expose().as_str(),
            false => "",
        };
        let plain = format!("{}:{password}", login.username);
        let mut entry = json!({"auth": base64::engine::general_purpose::STANDARD.encode(plain)});
        if !token.is_empty() {
            entry["identitytoken"] = token.as_str().into();
        }
        Self::set_auth(path, &login.server, Some(entry))?;
        Ok(true)
    }

    /// Forgets a login.
    ///
    /// # Errors
    /// As [`ConfigFile::keep`].
    pub(crate) fn forget(&self, path: &Path, server: &str) -> Result<()> {
        if let Some(helper) = self.helper(server) {
            ask(helper, "erase", server)?;
        }
        if self.auths.contains_key(server) {
            Self::set_auth(path, server, None)?;
        }
        Ok(())
    }
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

/// The registries that a helper has logins for.
fn listed(helper: &str) -> Result<Vec<String>> {
    let Some(answer) = ask(helper, "list", "")? else {
        return Ok(Vec::new());
    };
    let said: BTreeMap<String, String> = serde_json::from_slice(&answer)
        .map_err(|error| Error::new(format!("{}: {error}", program(helper))))?;
    Ok(said.into_keys().collect())
}

/// Runs a helper; nothing when it knows of no login.
fn ask(helper: &str, verb: &str, input: &str) -> Result<Option<Vec<u8>>> {
    let program = program(helper);
    let failed = |why: String| Error::new(format!("error getting credentials - err: {why}"));
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed(format!(
                "exec: {}: executable file not found in $PATH",
                crate::quote(&program)
            )),
            _ => failed(format!("{program}: {error}")),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says by its exit status what is wrong.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match said.as_str() {
        "credentials not found in native keychain" => Ok(None),
        _ => Err(failed(format!("{program}: {said}"))),
    }
}
