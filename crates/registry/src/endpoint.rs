//! Where a repository may be found, in the order to try: mirrors, then the registry itself.

use std::net::IpAddr;

use onggi_model::ImageRef;
use url::Url;

use crate::auth::Auth;
use crate::auth_file::AuthFile;
use crate::config::{Checked, Insecure, host_of, is_loopback};

/// The registry that `docker.io` stands for.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// One registry to ask.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Addresses to try until one answers: https, and http where that is allowed. No slash at the end.
    pub(crate) candidates: Vec<Url>,
    /// Whether it may be spoken to without TLS, or with TLS nobody vouches for.
    pub(crate) insecure: bool,
    /// Whether it stands in for another registry.
    pub(crate) mirror: bool,
    /// What comes before the names of repositories there, with its slash.
    pub(crate) prefix: String,
    /// Credentials for it. Mirrors never get those of the registry they stand in for.
    pub(crate) auth: Auth,
}

impl Endpoint {
    /// `host` or `host:port`, for messages and as the key of what is known about it.
    pub(crate) fn authority(&self) -> String {
        self.candidates.first().map(authority).unwrap_or_default()
    }
}

/// `host` or `host:port` of a URL.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// All endpoints of a reference, best first: mirrors, then the registry itself unless a rule keeps us from it.
pub(crate) async fn endpoints(
    config: &Checked,
    reference: &ImageRef,
    auth: &Auth,
) -> Result<Vec<Endpoint>, url::ParseError> {
    let mut mirrors: Vec<(&Url, String, Option<&AuthFile>)> = Vec::new();
    if reference.domain() == "docker.io" {
        mirrors.extend(config.mirrors.iter().map(|url| (url, String::new(), None)));
    }
    let rule = config.rule(reference.domain());
    let registry = reference.domain().replace([':', '[', ']'], "-");
    for mirror in rule.iter().flat_map(|rule| &rule.mirrors) {
        let prefix = mirror
            .prefix
            .replace("{registry}", registry.trim_matches('-'));
        mirrors.push((&mirror.url, prefix, mirror.auth_file.as_ref()));
    }
    let mut found = Vec::new();
    for (url, prefix, auth_file) in mirrors {
        let auth = own_auth(&authority(url), auth_file).await;
        found.push(Endpoint {
            candidates: vec![url.clone()],
            insecure: is_insecure(config, &authority(url)).await,
            mirror: true,
            prefix: match prefix.as_str() {
                "" => prefix,
                prefix => format!("{prefix}/"),
            },
            auth,
        });
    }
    if rule.is_none_or(|rule| rule.fallback) {
        found.push(origin(config, reference, auth).await?);
    }
    Ok(found)
}

/// Who we are to a mirror. One whose file has become unreadable is asked as by anybody, and perhaps passed by.
async fn own_auth(authority: &str, file: Option<&AuthFile>) -> Auth {
    let Some(file) = file.cloned() else {
        return Auth::anonymous();
    };
    let mirror = authority.to_owned();
    let read = onggi_rt::blocking("read a mirror's credentials", move || {
        file.credentials(&mirror)
    });
    let why = match read.await {
        Ok(Ok(auth)) => return auth,
        Ok(Err(why)) => why,
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        mirror = authority,
        why,
        "a mirror is asked without credentials"
    );
    Auth::anonymous()
}

/// The registry of a reference itself.
pub(crate) async fn origin(
    config: &Checked,
    reference: &ImageRef,
    auth: &Auth,
) -> Result<Endpoint, url::ParseError> {
    let domain = match reference.domain() {
        "docker.io" => DOCKER_HUB,
        domain => domain,
    };
    registry(config, domain, auth).await
}

/// The registry that a login is for: `host[:port]`, also as an address; nothing stands for Docker's own.
pub(crate) async fn login(
    config: &Checked,
    server: &str,
    auth: &Auth,
) -> Result<Endpoint, url::ParseError> {
    let bare = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let domain = match bare.split('/').next().unwrap_or_default() {
        "" | "docker.io" | "index.docker.io" => DOCKER_HUB,
        domain => domain,
    };
    registry(config, domain, auth).await
}

async fn registry(
    config: &Checked,
    domain: &str,
    auth: &Auth,
) -> Result<Endpoint, url::ParseError> {
    let insecure = is_insecure(config, domain).await;
    let mut candidates = vec![Url::parse(&format!("https://{domain}"))?];
    if insecure {
        candidates.push(Url::parse(&format!("http://{domain}"))?);
    }
    Ok(Endpoint {
        candidates,
        insecure,
        mirror: false,
        prefix: String::new(),
        auth: auth.clone(),
    })
}

/// Whether a registry may be used without TLS that somebody vouches for.
pub(crate) async fn is_insecure(config: &Checked, authority: &str) -> bool {
    let host = host_of(authority);
    if is_loopback(host) {
        return true;
    }
    let mut addresses: Vec<IpAddr> = host.parse().into_iter().collect();
    let networks = config
        .insecure
        .iter()
        .any(|entry| matches!(entry, Insecure::Network(..)));
    // Names are looked up only when somebody listed a network.
    if addresses.is_empty()
        && networks
        && let Ok(found) = tokio::net::lookup_host((host, 0)).await
    {
        addresses.extend(found.map(|address| address.ip()));
    }
    config
        .insecure
        .iter()
        .any(|entry| entry.covers(authority, &addresses))
}

/// Why a registry at `from` must not send us, or our credentials, to `to`.
///
/// A registry on the network may not reach through us into this machine or the link-local services around
/// it (metadata of clouds); one on this machine may.
pub(crate) fn steering(from: &Endpoint, to: &Url) -> Option<&'static str> {
    if !matches!(to.scheme(), "http" | "https") {
        return Some("not an http or https address");
    }
    if from
        .candidates
        .iter()
        .any(|own| own.host_str() == to.host_str())
    {
        return None;
    }
    let host = to.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = from.candidates.iter().any(|own| {
        own.host_str()
            .is_some_and(|h| is_loopback(h.trim_matches(['[', ']'])))
    });
    if is_loopback(bare) && !local {
        return Some("it leads into this machine");
    }
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) if is_link_local(address) => Some("it leads to a link-local address"),
        Ok(address) if address.is_unspecified() && !local => Some("it leads into this machine"),
        _ => None,
    }
}

/// Addresses that only mean something on one link.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    async fn all(config: &Config, reference: &str) -> Vec<Endpoint> {
        let reference = ImageRef::parse(reference).unwrap();
        let auth = Auth::basic("me", "hunter2");
        endpoints(&config.checked().unwrap(), &reference, &auth)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn mirrors_come_first_and_get_no_credentials() {
        let config = Config {
            mirrors: vec![
                "http://127.0.0.1:5001/hub/".into(),
                "https://m.example".into(),
            ],
            ..Config::default()
        };
        let found = all(&config, "busybox").await;
        let bases: Vec<_> = found.iter().map(|e| e.candidates[0].as_str()).collect();
        assert_eq!(
            bases,
            [
                "http://127.0.0.1:5001/hub",
                "https://m.example/",
                "https://registry-1.docker.io/"
            ]
        );
        assert!(found[0].insecure && found[0].auth.is_anonymous() && found[0].mirror);
        assert!(!found[1].insecure && found[1].auth.is_anonymous());
        assert_eq!(found[2].auth.username, "me");
        assert_eq!(all(&config, "other.example/busybox").await.len(), 1);
    }

    #[tokio::test]
    async fn any_registry_may_have_mirrors() {
        let mirror = |url: &str, prefix: &str, insecure| crate::Mirror {
            url: url.to_owned(),
            prefix: prefix.to_owned(),
            insecure,
            auth_file: None,
        };
        let rule = |registry: &str, mirrors, fallback| crate::Rule {
            registry: registry.to_owned(),
            mirrors,
            insecure: false,
            fallback,
        };
        let config = Config {
            mirrors: vec!["https://hub.example".into()],
            rules: vec![
                rule(
                    "docker.io",
                    vec![mirror("https://second.example", "", false)],
                    true,
                ),
                rule(
                    "quay.example",
                    vec![mirror("https://m.example", "q", true)],
                    true,
                ),
                rule(
                    "*",
                    vec![mirror("https://all.example", "{registry}", false)],
                    false,
                ),
            ],
            ..Config::default()
        };
        let places = async |reference: &str| -> Vec<String> {
            let found = all(&config, reference).await;
            let place = |e: &Endpoint| format!("{}|{}|{}", e.authority(), e.prefix, e.insecure);
            found.iter().map(place).collect()
        };
        assert_eq!(
            places("busybox").await,
            [
                "hub.example||false",
                "second.example||false",
                "registry-1.docker.io||false"
            ]
        );
        assert_eq!(
            places("quay.example/a").await,
            ["m.example|q/|true", "quay.example||false"]
        );
        assert_eq!(
            places("other.example:5000/a").await,
            ["all.example|other.example-5000/|false"]
        );
        // What is pushed goes to the registry itself all the same.
        let reference = ImageRef::parse("other.example:5000/a").unwrap();
        let checked = config.checked().unwrap();
        let origin = origin(&checked, &reference, &Auth::anonymous())
            .await
            .unwrap();
        assert_eq!(origin.authority(), "other.example:5000");
    }

    #[tokio::test]
    async fn http_only_where_it_is_allowed() {
        let config = Config {
            insecure: vec!["reg.example:5000".into(), "192.0.2.0/24".into()],
            ..Config::default()
        };
        for (reference, insecure) in [
            ("localhost:5000/a", true),
            ("127.9.8.7:5000/a", true),
            ("[::1]:5000/a", true),
            ("reg.example:5000/a", true),
            ("192.0.2.7:80/a", true),
            ("198.51.100.1:80/a", false),
            ("localhost.example:5000/a", false),
        ] {
            let found = all(&config, reference).await;
            assert_eq!(found[0].insecure, insecure, "{reference}");
            assert_eq!(
                found[0].candidates.len(),
                1 + usize::from(insecure),
                "{reference}"
            );
            assert_eq!(found[0].candidates[0].scheme(), "https", "{reference}");
        }
    }

    #[tokio::test]
    async fn registries_cannot_steer_us_inwards() {
        let config = Config::default();
        let far = all(&config, "reg.example/a").await.remove(0);
        let near = all(&config, "127.0.0.1:5000/a").await.remove(0);
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(steering(&far, &url("http://169.254.169.254/latest")).is_some());
        assert!(steering(&far, &url("http://[fe80::1]/")).is_some());
        assert!(steering(&far, &url("http://127.0.0.1:2375/")).is_some());
        assert!(steering(&far, &url("http://localhost/")).is_some());
        assert!(steering(&far, &url("http://[::ffff:127.0.0.1]/")).is_some());
        assert!(steering(&far, &url("https://cdn.example/x")).is_none());
        assert!(steering(&far, &url("file:///etc/passwd")).is_some());
        assert!(steering(&near, &url("http://127.0.0.1:9000/")).is_none());
        assert!(steering(&near, &url("http://169.254.169.254/")).is_some());
    }
}
