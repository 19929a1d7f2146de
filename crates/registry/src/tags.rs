//! All tags of a repository, page by page.

use onggi_model::ImageRef;
use onggi_oci::distribution;
use reqwest::header::{self, HeaderMap};
use url::Url;

use crate::ask::{Ask, At, Verb};
use crate::auth::Auth;
use crate::client::{Client, DOCUMENT_ATTEMPTS, MANIFEST_LIMIT, Outcome, Source, pause};
use crate::endpoint::{Endpoint, steering};
use crate::error::Error;
use crate::transport::{Rejected, shown, whole};

/// The most pages that are read: what comes then is no list but a registry gone astray.
const PAGES: usize = 10_000;

impl Client {
    /// All tags of a repository, in its registry's order: mirrors are asked first, the first that answers is believed.
    ///
    /// # Errors
    /// NotFound when the registry has no such repository or hides it; Internal when it cannot be reached.
    pub async fn tags(&self, reference: &ImageRef, auth: &Auth) -> Result<Vec<String>, Error> {
        let source = self.source(&reference.repository(), auth).await?;
        let mut outcome = Outcome::default();
        for endpoint in source.endpoints.iter() {
            match source.tags(endpoint).await {
                Ok(tags) => return Ok(tags),
                Err(error) => outcome.add(endpoint, error),
            }
        }
        Err(source.name(outcome.into_error()))
    }
}

impl Source {
    async fn tags(&self, endpoint: &Endpoint) -> Result<Vec<String>, Error> {
        let mut at = At::Path(format!("{}/tags/list", self.path(endpoint)));
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let (page, next) = self.page(endpoint, &at).await?;
            tags.extend(page);
            match next {
                Some(next) => at = At::Url(next),
                None => return Ok(tags),
            }
        }
        Err(Error::TooLarge {
            what: "list of tags",
            size: tags.len() as u64,
            limit: tags.len() as u64,
        })
    }

    /// One page, and where the next one is.
    async fn page(
        &self,
        endpoint: &Endpoint,
        at: &At,
    ) -> Result<(Vec<String>, Option<Url>), Error> {
        let mut attempt = 1;
        loop {
            let rejected = match self.page_once(endpoint, at).await {
                Ok(page) => return Ok(page),
                Err(rejected) => rejected,
            };
            if endpoint.mirror || attempt >= DOCUMENT_ATTEMPTS || !rejected.error.is_transient() {
                return Err(rejected.error);
            }
            let wait = pause(self.transport.config.backoff, attempt, rejected.retry_after);
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn page_once(
        &self,
        endpoint: &Endpoint,
        at: &At,
    ) -> Result<(Vec<String>, Option<Url>), Rejected> {
        let ask = Ask::new(Verb::Get, at.clone());
        let answer = self
            .transport
            .send(endpoint, &self.scope(endpoint), &ask)
            .await?;
        let status = answer.status().as_u16();
        let (from, link) = (answer.url().clone(), next(answer.headers()));
        let body = whole(answer, "Get", "list of tags", MANIFEST_LIMIT).await?;
        let page: distribution::TagList =
            serde_json::from_slice(&body).map_err(|error| Error::Unreadable {
                status,
                why: error.to_string(),
                body: String::from_utf8_lossy(&body).chars().take(512).collect(),
            })?;
        let Some(link) = link else {
            return Ok((page.tags, None));
        };
        let to = from.join(&link).map_err(|_| Error::Redirect {
            from: shown(&from),
            to: link,
            why: "not an address",
        })?;
        if let Some(why) = steering(endpoint, &to) {
            return Err(Error::Redirect {
                from: shown(&from),
                to: shown(&to),
                why,
            }
            .into());
        }
        Ok((page.tags, Some(to)))
    }
}

/// The address of `Link: <..>; rel="next"` (RFC 8288).
fn next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(header::LINK).iter();
    links
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .find_map(|link| {
            let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let next = parameters.split(';').any(|parameter| {
                let parameter = parameter.trim().replace('"', "");
                parameter.eq_ignore_ascii_case("rel=next")
            });
            next.then(|| address.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_next_page_is_named_by_a_link() {
        let next = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, HeaderValue::from_str(line).unwrap());
            next(&headers)
        };
        let page = Some("/v2/a/tags/list?last=b&n=2".to_owned());
        assert_eq!(next("</v2/a/tags/list?last=b&n=2>; rel=\"next\""), page);
        assert_eq!(
            next("</first>; rel=first, </v2/a/tags/list?last=b&n=2>;title=x; rel=next"),
            page
        );
        assert_eq!(next("</first>; rel=first"), None);
        assert_eq!(next("nonsense"), None);
    }
}
