//! Trying credentials at a registry, without asking it for anything.

use onggi_model::Secret;

use crate::ask::{Ask, At, Verb};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::token::Key;
use crate::transport::{Transport, below, secret_header, shown};

impl Transport {
    /// Tries the endpoint's credentials; the identity token for them, where the token server makes one.
    pub(crate) async fn login(&self, endpoint: &Endpoint) -> Result<Secret<String>, Error> {
        let probe = self.probe(endpoint).await?;
        let url = below(&probe.base, "v2/");
        let challenge = |scheme| probe.challenges.iter().find(|c| c.scheme == scheme);
        let mut identity = None;
        let credential = if let Some(bearer) = challenge("bearer") {
            let parameter = |name| bearer.parameter(name).unwrap_or_default().to_owned();
            let key = Key {
                realm: parameter("realm"),
                service: parameter("service"),
                scope: String::new(),
                who: endpoint.auth.fingerprint(),
            };
            let realm = self.realm(endpoint, &probe.base, &key.realm)?;
            let token = match self.ask_token(endpoint, &realm, &key, true).await {
                Err(Error::Refused(source)) if matches!(source.status, 401 | 403) => {
                    let url = shown(&url);
                    return Err(Error::LoginDenied { url, source });
                }
                other => other?,
            };
            let value = format!("Bearer {}", token.bearer().ok_or(Error::NoToken)?);
            identity = token.refresh_token;
            Some(value)
        } else if challenge("basic").is_some() {
            let nobody = || Error::Authentication {
                method: "Get",
                url: shown(&url),
                source: Box::new(Error::NoCredentials),
            };
            Some(endpoint.auth.basic_header().ok_or_else(nobody)?)
        } else {
            None
        };
        let credential = credential.as_deref().map(secret_header).transpose()?;
        let ask = Ask::new(Verb::Get, At::Url(url.clone()));
        let answer = self
            .follow(endpoint, &ask, &url, credential.as_ref())
            .await?;
        match answer.status() {
            status if status.is_success() => Ok(Secret::new(identity.unwrap_or_default())),
            status => Err(Error::Login {
                url: shown(&url),
                status: status.to_string(),
            }),
        }
    }
}
