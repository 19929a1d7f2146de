//! What registries have: one image's descriptor, and repositories by a word.

use onggi_api::auth::AuthConfig;
use onggi_api::image::Platform;
use onggi_api::registry::{DistributionInspect, SearchResult};
use onggi_model::{Digest, Filters, ImageRef, is_hex};

use super::{auth_of, descriptor};
use crate::Engine;
use crate::error::{Error, Result};

/// How many repositories are found when nobody says.
const DEFAULT: i64 = 25;

/// The filters `search` takes.
const FILTERS: &[&str] = &["is-automated", "is-official", "stars"];

impl Engine {
    /// What a registry has under a name.
    ///
    /// # Errors
    /// `InvalidParameter` for a name that is none; what the registry says, with its status.
    pub async fn distribution(
        &self,
        name: &str,
        auth: Option<AuthConfig>,
    ) -> Result<DistributionInspect> {
        let id = name.strip_prefix("sha256:").unwrap_or(name);
        if id.len() == 64 && is_hex(id) && Digest::parse(&format!("sha256:{id}")).is_ok() {
            return Err(Error::internal("no manifest found for full image ID"));
        }
        let reference = ImageRef::parse(name).map_err(|fault| Error::of(&fault))?;
        let found = self
            .inner
            .images
            .registry()
            .inspect(&reference, &auth_of(auth))
            .await
            .map_err(|fault| Error::of(&fault))?;
        let platforms: Vec<Platform> = found
            .platforms
            .into_iter()
            .map(|platform| Platform {
                architecture: platform.architecture,
                os: platform.os,
                os_version: platform.os_version.unwrap_or_default(),
                os_features: Some(platform.os_features).filter(|list| !list.is_empty()),
                variant: platform.variant.unwrap_or_default(),
            })
            .collect();
        Ok(DistributionInspect {
            descriptor: descriptor(&found.descriptor),
            platforms: Some(platforms).filter(|platforms| !platforms.is_empty()),
        })
    }

    /// Repositories that a registry finds by a word.
    ///
    /// # Errors
    /// `InvalidParameter` for a limit or filter that cannot be meant; `Internal` when the registry cannot be searched.
    pub async fn search(
        &self,
        term: &str,
        limit: i64,
        filters: &Filters,
        auth: Option<AuthConfig>,
    ) -> Result<Vec<SearchResult>> {
        filters.check(FILTERS).map_err(|fault| Error::of(&fault))?;
        let boolean = |key| filters.boolean(key).map_err(|fault| Error::of(&fault));
        let (automated, official) = (boolean("is-automated")?, boolean("is-official")?);
        let mut stars = 0;
        for value in filters.values("stars") {
            let least: i64 = value
                .parse()
                .map_err(|_| Error::invalid(format!("invalid filter 'stars={value}'")))?;
            stars = stars.max(least);
        }
        let limit = match limit {
            0 => DEFAULT,
            limit => limit,
        };
        let Some(limit) = u8::try_from(limit)
            .ok()
            .filter(|limit| (1..=100).contains(limit))
        else {
            return Err(Error::invalid(format!(
                "limit {limit} is outside the range of [1, 100]"
            )));
        };
        let hits = self
            .inner
            .images
            .registry()
            .search(term, limit, &auth_of(auth))
            .await
            .map_err(|fault| Error::of(&fault))?;
        // Nothing is automated any more, as in the newest Docker.
        let fits = |hit: &onggi_registry::Hit| {
            automated != Some(true)
                && official.is_none_or(|official| hit.is_official == official)
                && hit.star_count >= stars
        };
        let result = |hit: onggi_registry::Hit| SearchResult {
            star_count: hit.star_count,
            is_official: hit.is_official,
            name: hit.name,
            is_automated: false,
            description: hit.description,
        };
        Ok(hits.into_iter().filter(fits).map(result).collect())
    }
}
