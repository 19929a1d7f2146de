//! One request to one registry: which scheme it speaks, who we are to it, where it sends us on.
//!
//! Kept true: an `Authorization` header never leaves the scheme, host and port it was made for; a registry
//! that must use TLS is never asked without; every body that is not a blob has a limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use onggi_oci::distribution;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, redirect};
use tokio::sync::Mutex as AsyncMutex;
use url::{Url, form_urlencoded};

use crate::ask::{Ask, At, Verb};
use crate::auth::Auth;
use crate::certificates::Certificates;
use crate::challenge::{self, Challenge};
use crate::config::{Checked, Config, InvalidConfig, host_of, is_loopback};
use crate::dial::{Failure, failure};
use crate::endpoint::{Endpoint, authority, is_insecure, is_link_local, steering};
use crate::error::Error;
use crate::token::{ANSWER_LIMIT, CLIENT_ID, Key, Token, Tokens};

/// How long the scheme and the challenge of a registry are believed.
const PROBE_LIFE: Duration = Duration::from_secs(600);

/// The most that is read of an error's body.
const ERROR_LIMIT: usize = 64 << 10;

/// Redirects followed for one request, as in Go's client.
const REDIRECTS: usize = 10;

/// The longest pause a registry may ask for with `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A request that failed, and when the registry wants to be asked again.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Rejected {
            error,
            retry_after: None,
        }
    }
}

/// What a registry said about itself when it was first asked.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) base: Url,
    pub(crate) challenges: Vec<Challenge>,
    at: Instant,
}

/// The result of the last probe: those who waited for a failed one share its failure.
#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Answered(Probe),
    Failed {
        at: Instant,
        url: String,
        failure: Failure,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    /// No certificate is asked for.
    lax: bool,
    /// No proxy in between.
    direct: bool,
    /// The registry has certificates of its own, as they are now.
    certificates: Option<Certificates>,
    /// No answer is expected while the request is still being sent.
    patient: bool,
}

/// The connections, tokens and habits of all registries.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) config: Config,
    pub(crate) checked: Checked,
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
    known: Mutex<HashMap<String, Arc<AsyncMutex<Known>>>>,
    tokens: Tokens,
}

/// An `Authorization` value and whether it was made for this very request.
struct Credential {
    value: HeaderValue,
    fresh: bool,
}

impl Transport {
    pub(crate) fn new(config: Config) -> Result<Transport, Error> {
        let checked = config.checked()?;
        Ok(Transport {
            config,
            checked,
            clients: Mutex::default(),
            known: Mutex::default(),
            tokens: Tokens::default(),
        })
    }

    /// Asks, with whatever authentication it takes. Only a success comes back as one.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        scope: &str,
        ask: &Ask,
    ) -> Result<Response, Rejected> {
        let probe = self.probe(endpoint).await?;
        let url = match &ask.at {
            At::Path(path) => below(&probe.base, &format!("v2/{path}")),
            At::Url(url) => url.clone(),
        };
        let ours = url.origin() == probe.base.origin();
        let in_context = |error| Error::Authentication {
            method: ask.method(),
            url: shown(&url),
            source: Box::new(error),
        };
        let held = match ours {
            true => self
                .authorize(endpoint, &probe.base, &probe.challenges, scope, None)
                .await
                .map_err(in_context)?,
            // A place for uploads elsewhere carries what it needs in its address.
            false => None,
        };
        let mut response = self
            .follow(endpoint, ask, &url, held.as_ref().map(|c| &c.value))
            .await;
        if let Err(error @ Error::Request { .. }) = response {
            // It may speak another scheme by now.
            self.forget(endpoint).await;
            return Err(error.into());
        }
        if let Ok(answer) = &response
            && answer.status() == StatusCode::UNAUTHORIZED
            && ours
            && !held.as_ref().is_some_and(|c| c.fresh)
        {
            let challenges = challenges(answer.headers());
            let stale = held.as_ref().map(|c| &c.value);
            let renewed = self
                .authorize(endpoint, &probe.base, &challenges, scope, stale)
                .await
                .map_err(in_context)?;
            if let Some(renewed) = renewed.filter(|c| Some(&c.value) != stale) {
                response = self.follow(endpoint, ask, &url, Some(&renewed.value)).await;
            }
        }
        accepted(response?).await
    }

    /// Finds out which of the endpoint's addresses answers and what it wants to know of us.
    pub(crate) async fn probe(&self, endpoint: &Endpoint) -> Result<Probe, Error> {
        let asked = Instant::now();
        let slot = self.slot(endpoint);
        let mut known = slot.lock().await;
        match &*known {
            Known::Answered(probe) if probe.at.elapsed() < PROBE_LIFE => return Ok(probe.clone()),
            Known::Failed { at, url, failure } if *at > asked => {
                return Err(Error::Request {
                    method: "Get",
                    url: url.clone(),
                    source: failure.clone(),
                });
            }
            _ => {}
        }
        *known = Known::Nothing;
        let mut last: Option<(String, Failure)> = None;
        for base in &endpoint.candidates {
            let url = below(base, "v2/");
            match self
                .client(&url, false)
                .await?
                .get(url.clone())
                .send()
                .await
            {
                Ok(response) => {
                    let probe = Probe {
                        base: base.clone(),
                        challenges: challenges(response.headers()),
                        at: Instant::now(),
                    };
                    // Read to the end, so that the connection serves the next request.
                    let _ = beginning(response, ERROR_LIMIT).await;
                    *known = Known::Answered(probe.clone());
                    return Ok(probe);
                }
                Err(error) => last = Some((shown(&url), failure(&error, &url).await)),
            }
        }
        let (url, failure) =
            last.unwrap_or_else(|| (endpoint.authority(), Failure::broken("no address to ask")));
        *known = Known::Failed {
            at: Instant::now(),
            url: url.clone(),
            failure: failure.clone(),
        };
        Err(Error::Request {
            method: "Get",
            url,
            source: failure,
        })
    }

    fn slot(&self, endpoint: &Endpoint) -> Arc<AsyncMutex<Known>> {
        let key: String = endpoint
            .candidates
            .iter()
            .map(|url| format!("{url} "))
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys come from what users pull; nothing is lost but a round trip.
        if known.len() > 1024 {
            known.clear();
        }
        known.entry(key).or_default().clone()
    }

    async fn forget(&self, endpoint: &Endpoint) {
        *self.slot(endpoint).lock().await = Known::Nothing;
    }

    /// The `Authorization` header for these challenges; `stale` is one that was refused.
    async fn authorize(
        &self,
        endpoint: &Endpoint,
        base: &Url,
        challenges: &[Challenge],
        scope: &str,
        stale: Option<&HeaderValue>,
    ) -> Result<Option<Credential>, Error> {
        let auth = &endpoint.auth;
        if let Some(bearer) = challenges.iter().find(|c| c.scheme == "bearer") {
            if !auth.registry_token.expose().is_empty() {
                let value = secret_header(&format!("Bearer {}", auth.registry_token.expose()))?;
                return Ok(Some(Credential { value, fresh: true }));
            }
            return self
                .bearer(endpoint, base, bearer, scope, stale)
                .await
                .map(Some);
        }
        if challenges.iter().any(|c| c.scheme == "basic") {
            let basic = auth.basic_header().ok_or(Error::NoCredentials)?;
            return Ok(Some(Credential {
                value: secret_header(&basic)?,
                fresh: true,
            }));
        }
        Ok(None)
    }

    async fn bearer(
        &self,
        endpoint: &Endpoint,
        base: &Url,
        challenge: &Challenge,
        scope: &str,
        stale: Option<&HeaderValue>,
    ) -> Result<Credential, Error> {
        let realm = challenge.parameter("realm").unwrap_or_default();
        let realm_url = self.realm(endpoint, base, realm)?;
        let key = Key {
            realm: realm.to_owned(),
            service: challenge
                .parameter("service")
                .unwrap_or_default()
                .to_owned(),
            scope: scope.to_owned(),
            who: endpoint.auth.fingerprint(),
        };
        let slot = self.tokens.slot(&key);
        let mut held = slot.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.is_alive()) {
            let value = secret_header(&format!("Bearer {}", token.bearer.expose()))?;
            if Some(&value) != stale {
                return Ok(Credential {
                    value,
                    fresh: false,
                });
            }
        }
        let token = self.fetch_token(endpoint, &realm_url, &key).await?;
        let value = secret_header(&format!("Bearer {}", token.bearer.expose()))?;
        *held = Some(token);
        Ok(Credential { value, fresh: true })
    }

    /// Checks that a token server may be asked, and with what.
    pub(crate) fn realm(&self, endpoint: &Endpoint, base: &Url, realm: &str) -> Result<Url, Error> {
        let refuse = |why| Error::Realm {
            realm: realm.to_owned(),
            why,
        };
        let url = Url::parse(realm).map_err(|_| refuse("not an address"))?;
        if let Some(why) = steering(endpoint, &url) {
            return Err(refuse(why));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it names a user"));
        }
        let known = !endpoint.auth.is_anonymous();
        if known && base.scheme() == "https" && url.scheme() != "https" && !endpoint.insecure {
            return Err(refuse("credentials would go over the network in the clear"));
        }
        Ok(url)
    }

    async fn fetch_token(
        &self,
        endpoint: &Endpoint,
        realm: &Url,
        key: &Key,
    ) -> Result<Token, Error> {
        let token = self.ask_token(endpoint, realm, key, false).await?;
        let bearer = token.bearer().ok_or(Error::NoToken)?;
        Ok(Token::new(bearer, token.expires_in))
    }

    pub(crate) async fn ask_token(
        &self,
        endpoint: &Endpoint,
        realm: &Url,
        key: &Key,
        offline: bool,
    ) -> Result<distribution::Token, Error> {
        let auth = &endpoint.auth;
        let (method, response) = if auth.identity_token.expose().is_empty() {
            let mut url = realm.clone();
            {
                let mut query = url.query_pairs_mut();
                if !auth.username.is_empty() {
                    query.append_pair("account", &auth.username);
                }
                for scope in key.scope.split(' ').filter(|scope| !scope.is_empty()) {
                    query.append_pair("scope", scope);
                }
                query.append_pair("service", &key.service);
                if offline {
                    query
                        .append_pair("client_id", CLIENT_ID)
                        .append_pair("offline_token", "true");
                }
            }
            let credential = auth
                .basic_header()
                .as_deref()
                .map(secret_header)
                .transpose()?;
            let ask = Ask::new(Verb::Get, At::Url(url.clone()));
            (
                "Get",
                self.follow(endpoint, &ask, &url, credential.as_ref())
                    .await?,
            )
        } else {
            ("Post", self.refresh(realm, key, auth).await?)
        };
        let response = accepted(response)
            .await
            .map_err(|rejected| rejected.error)?;
        let body = whole(response, method, "token", ANSWER_LIMIT as u64).await?;
        serde_json::from_slice(&body).map_err(|_| Error::NoToken)
    }

    /// Trades the identity token of an earlier login for an access token (OAuth 2, refresh_token grant).
    async fn refresh(&self, realm: &Url, key: &Key, auth: &Auth) -> Result<Response, Error> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", auth.identity_token.expose())
            .append_pair("service", &key.service)
            .append_pair("scope", &key.scope)
            .append_pair("client_id", CLIENT_ID)
            .finish();
        let sent = self
            .client(realm, false)
            .await?
            .post(realm.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await;
        match sent {
            Ok(response) => Ok(response),
            Err(error) => Err(Error::Request {
                method: "Post",
                url: shown(realm),
                source: failure(&error, realm).await,
            }),
        }
    }

    /// Sends and follows redirects. The credential stays with the origin of `url`.
    pub(crate) async fn follow(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
        url: &Url,
        credential: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let method = match ask.verb {
            Verb::Get => Method::GET,
            Verb::Head => Method::HEAD,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
        };
        let origin = url.origin();
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self
                .client(&url, ask.writes())
                .await?
                .request(method.clone(), url.clone());
            if let Some(accept) = &ask.accept {
                request = request.header(header::ACCEPT, accept);
            }
            if ask.from > 0 {
                request = request.header(header::RANGE, format!("bytes={}-", ask.from));
            }
            if let Some(content) = &ask.content {
                request = request
                    .header(header::CONTENT_TYPE, &content.media_type)
                    .header(header::CONTENT_LENGTH, content.length);
                if let Some(range) = &content.range {
                    request = request.header(header::CONTENT_RANGE, range);
                }
                request = request.body((content.body)());
            } else if ask.writes() {
                request = request.header(header::CONTENT_LENGTH, 0);
            }
            if let Some(value) = credential
                && url.origin() == origin
            {
                request = request.header(header::AUTHORIZATION, value.clone());
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => {
                    return Err(Error::Request {
                        method: ask.method(),
                        url: shown(&url),
                        source: failure(&error, &url).await,
                    });
                }
            };
            let Some(next) = redirected(&url, &response).filter(|_| !ask.writes()) else {
                return Ok(response);
            };
            let refuse = |why| Error::Redirect {
                from: authority(&url),
                to: shown(&next),
                why,
            };
            if let Some(why) = steering(endpoint, &next) {
                return Err(refuse(why));
            }
            if url.scheme() == "https" && next.scheme() == "http" && !endpoint.insecure {
                return Err(refuse("it leaves TLS"));
            }
            url = next;
        }
        Err(Error::Redirect {
            from: authority(&url),
            to: shown(&url),
            why: "too many of them",
        })
    }

    /// The connections to use for an address.
    async fn client(&self, url: &Url, patient: bool) -> Result<reqwest::Client, Error> {
        let registry = authority(url);
        let lax = is_insecure(&self.checked, &registry).await;
        let key = ClientKey {
            lax,
            direct: is_loopback(host_of(&registry)),
            certificates: Certificates::of(&self.config.certificates, &registry)?,
            patient,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(&key)?;
        // Of a registry whose certificates changed nobody needs the old client.
        let name = |key: &ClientKey| Some(key.certificates.as_ref()?.registry.clone());
        if let Some(registry) = name(&key) {
            let certificates = key.certificates.clone();
            clients.retain(|old, _| {
                name(old).as_ref() != Some(&registry) || old.certificates == certificates
            });
        }
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, key: &ClientKey) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.config.user_agent)
            .redirect(redirect::Policy::none())
            .connect_timeout(self.config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(32)
            .referer(false)
            .dns_resolver(Resolver);
        if !key.patient {
            builder = builder.read_timeout(self.config.stall_timeout);
        }
        if key.lax {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if key.direct {
            builder = builder.no_proxy();
        } else if let Some(proxies) = &self.config.proxies {
            builder = builder.no_proxy();
            for proxy in proxies.all().map_err(InvalidConfig::proxy)? {
                builder = builder.proxy(proxy);
            }
        }
        if let Some(certificates) = &key.certificates {
            builder = certificates.apply(builder, key.lax)?;
        }
        builder.build().map_err(|error| {
            let name = key.certificates.as_ref();
            let name = name.map_or("registries", |found| found.registry.as_str());
            Error::Certificates(name.to_owned(), error.to_string())
        })
    }
}

/// The system's resolver without addresses that only mean something on the link (metadata services).
struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, 0))
                .await?
                .filter(|address| !is_link_local(address.ip()))
                .collect();
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// `path`, which may have a query, below the base, which may have a path of its own.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    url.set_query(query);
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// An address for messages: signed addresses carry secrets in their query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn redirected(url: &Url, response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    url.join(location).ok()
}

pub(crate) fn secret_header(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Error::NoToken)?;
    value.set_sensitive(true);
    Ok(value)
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(challenge::parse)
        .collect()
}

/// Lets a success through and explains anything else.
async fn accepted(response: Response) -> Result<Response, Rejected> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    let bearer = challenges(response.headers())
        .into_iter()
        .find(|c| c.scheme == "bearer");
    let body = beginning(response, ERROR_LIMIT).await;
    let scope_error = bearer.as_ref().and_then(|c| {
        c.parameter("error")
            .map(|error| (error, c.parameter("error_description")))
    });
    let reason = status.canonical_reason().unwrap_or_default();
    let error = Error::from_answer(status.as_u16(), reason, &body, scope_error);
    Err(Rejected { error, retry_after })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// As much of a body as is worth showing; what is missing does not matter.
async fn beginning(mut response: Response, limit: usize) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == limit {
            break;
        }
    }
    body.freeze()
}

/// A whole body of at most `limit` bytes. A longer one is refused before it is read, where it says so.
pub(crate) async fn whole(
    mut response: Response,
    method: &'static str,
    what: &'static str,
    limit: u64,
) -> Result<Bytes, Error> {
    let too_large = |size| Error::TooLarge { what, size, limit };
    if let Some(size) = response.content_length().filter(|size| *size > limit) {
        return Err(too_large(size));
    }
    let url = response.url().clone();
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(chunk)) => {
                let size = body.len() as u64 + chunk.len() as u64;
                if size > limit {
                    return Err(too_large(size));
                }
                body.extend_from_slice(&chunk);
            }
            Err(error) => {
                let source = failure(&error, &url).await;
                return Err(Error::Request {
                    method,
                    url: shown(&url),
                    source,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_query() {
        let url = Url::parse("https://cdn.example/blob?signature=canary#x").unwrap();
        assert_eq!(shown(&url), "https://cdn.example/blob");
        let base = Url::parse("http://m.example/hub/").unwrap();
        assert_eq!(below(&base, "v2/").as_str(), "http://m.example/hub/v2/");
        let base = Url::parse("http://m.example").unwrap();
        assert_eq!(below(&base, "v2/a/b").as_str(), "http://m.example/v2/a/b");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("3"), Some(Duration::from_secs(3)));
        assert_eq!(wait("99999"), Some(LONGEST_PAUSE));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Sat, 06 Nov 2094 08:49:37 GMT"), Some(LONGEST_PAUSE));
        assert_eq!(wait("soon"), None);
    }
}
