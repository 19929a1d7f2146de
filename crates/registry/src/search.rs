//! Searching a registry that can be searched: `/v1/search`, the one call of Docker's first protocol that lives on.

use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::ask::{Ask, At, Verb};
use crate::auth::Auth;
use crate::client::{Client, MANIFEST_LIMIT};
use crate::endpoint::{self, Endpoint};
use crate::error::{Error, no_json};
use crate::transport::{Transport, secret_header, whole};

/// Where Docker's own registry is searched.
const DOCKER_INDEX: &str = "https://index.docker.io";

/// One repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Hit {
    /// Its name.
    pub name: String,
    /// What its owner says about it.
    pub description: String,
    /// How many people like it.
    pub star_count: i64,
    /// Whether it is one of Docker's official images.
    pub is_official: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Hit>>,
}

impl Client {
    /// Searches for repositories: at the registry that the term begins with, else at Docker's own.
    ///
    /// # Errors
    /// InvalidParameter for a term with a scheme; Internal when the registry cannot be reached or searched.
    pub async fn search(&self, term: &str, limit: u8, auth: &Auth) -> Result<Vec<Hit>, Error> {
        if term.starts_with("http://") || term.starts_with("https://") {
            return Err(Error::SearchTerm);
        }
        let transport = self.transport();
        let (registry, term) = split(term);
        let (endpoint, base) = match registry {
            None => {
                let candidates = vec![Url::parse(DOCKER_INDEX).map_err(|_| Error::SearchTerm)?];
                let endpoint = Endpoint {
                    candidates: candidates.clone(),
                    insecure: false,
                    mirror: false,
                    prefix: String::new(),
                    auth: auth.clone(),
                };
                (endpoint, candidates.into_iter().next())
            }
            Some(registry) => {
                let endpoint = endpoint::login(&transport.checked, registry, auth)
                    .await
                    .map_err(|_| Error::NoHost(registry.to_owned()))?;
                let base = transport.searchable(&endpoint, registry).await?;
                (endpoint, Some(base))
            }
        };
        let base = base.ok_or_else(|| Error::NoHost(term.to_owned()))?;
        transport.search(&endpoint, &base, term, limit).await
    }
}

/// The registry a term begins with, if it does, and the term itself.
fn split(term: &str) -> (Option<&str>, &str) {
    match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | "index.docker.io" => (None, official(rest)),
            host => (Some(host), rest),
        },
        _ => (None, official(term)),
    }
}

fn official(term: &str) -> &str {
    term.strip_prefix("library/").unwrap_or(term)
}

impl Transport {
    /// Which of the endpoint's addresses speaks: any answer will do.
    async fn searchable(&self, endpoint: &Endpoint, registry: &str) -> Result<Url, Error> {
        let mut failures = Vec::new();
        for base in &endpoint.candidates {
            let url = crate::transport::below(base, "v1/_ping");
            let ask = Ask::new(Verb::Get, At::Url(url.clone()));
            match self.follow(endpoint, &ask, &url, None).await {
                Ok(_) => return Ok(base.clone()),
                Err(error) => failures.push(onggi_model::chain(&error)),
            }
        }
        Err(match <[String; 2]>::try_from(failures) {
            Ok([https, http]) => Error::Search(format!(
                "invalid registry endpoint \"http://{registry}/v1/\". HTTPS attempt: {https}. HTTP attempt: {http}"
            )),
            Err(failures) => Error::Search(format!(
                "invalid registry endpoint https://{registry}/v1/: {}. If this private registry supports only HTTP \
                 or HTTPS with an unknown CA certificate, please add `--insecure-registry {registry}` to the \
                 daemon's arguments. In the case of HTTPS, if you have access to the registry's CA certificate, no \
                 need for the flag; simply place the CA certificate at /etc/docker/certs.d/{registry}/ca.crt",
                failures.join(": ")
            )),
        })
    }

    async fn search(
        &self,
        endpoint: &Endpoint,
        base: &Url,
        term: &str,
        limit: u8,
    ) -> Result<Vec<Hit>, Error> {
        let term: String = form_urlencoded::byte_serialize(term.as_bytes()).collect();
        let url = crate::transport::below(base, &format!("v1/search?q={term}&n={limit}"));
        let ask = Ask::new(Verb::Get, At::Url(url.clone()));
        let credential = endpoint.auth.basic_header();
        let credential = credential.as_deref().map(secret_header).transpose()?;
        let answer = self.follow(endpoint, &ask, &url, credential.as_ref()).await;
        let answer = answer.map_err(|error| match error {
            // The query is our own: it holds no secret.
            Error::Request { method, source, .. } => Error::Request {
                method,
                url: url.to_string(),
                source,
            },
            other => other,
        })?;
        match answer.status().as_u16() {
            200 => {}
            401 => return Err(Error::SearchDenied),
            status => return Err(Error::Search(format!("Unexpected status code {status}"))),
        }
        let body = whole(answer, "Get", "list of repositories", MANIFEST_LIMIT).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            let why = no_json(&body, &error);
            Error::Search(format!("error decoding registry search results: {why}"))
        })?;
        Ok(answer.results.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_may_begin_with_a_registry() {
        for (term, expected) in [
            ("busybox", (None, "busybox")),
            ("library/busybox", (None, "busybox")),
            ("me/app", (None, "me/app")),
            ("docker.io/library/x", (None, "x")),
            ("index.docker.io/x", (None, "x")),
            ("localhost/x", (Some("localhost"), "x")),
            ("reg.example:5000/a/b", (Some("reg.example:5000"), "a/b")),
        ] {
            assert_eq!(split(term), expected, "{term}");
        }
    }
}
