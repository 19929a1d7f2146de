//! The images that something is built on, or taken from: those that are here, others pulled.

use std::collections::BTreeMap;

use onggi_api::auth::AuthConfig;
use onggi_api::stream::Message;
use onggi_builder::{BaseImage, Outline, Request};
use onggi_image::Image;
use onggi_model::{ErrorKind, Fault as _, ImageRef, Platform};
use tokio::sync::mpsc;

use super::Building;
use crate::error::{Error, Result};

impl Building {
    /// All images that the build needs, by name and platform as the outline has them. Hold a lease: they keep what they are
    /// made of as long.
    pub(super) async fn bases(
        &self,
        outline: &Outline,
        request: &Request,
        client: &mpsc::Sender<Message>,
    ) -> Result<BTreeMap<(String, Option<String>), Image>> {
        let mut bases = BTreeMap::new();
        for (name, platform) in outline.images() {
            let wanted = match &platform {
                None => request.platform.clone(),
                Some(text) => Platform::parse(text).map_err(|fault| Error::of(&fault))?,
            };
            let image = self.held(&name, &wanted, client).await.map_err(|fault| {
                let error = onggi_builder::Error::of(&fault);
                let lines = outline.lines_of(&name);
                self.place.tell(&match lines {
                    Some(lines) => error.at(lines),
                    None => error,
                })
            })?;
            bases.insert((name, platform), image);
        }
        Ok(bases)
    }

    /// The image of this name, for this platform, with all it is made of for as long as there is a lease.
    async fn held(
        &self,
        name: &str,
        platform: &Platform,
        client: &mpsc::Sender<Message>,
    ) -> Result<Image> {
        let images = &self.engine.inner.images;
        let image = self.image(name, platform, client).await?;
        if images.hold(&image)? {
            return Ok(image);
        }
        // Removed in the moment it was found: it is there no more, or another has its name.
        let image = self.image(name, platform, client).await?;
        match images.hold(&image)? {
            true => Ok(image),
            false => Err(Error::internal(format!(
                "image {name} is not whole: see onggi system check"
            ))),
        }
    }

    /// The image of this name, for this platform.
    async fn image(
        &self,
        name: &str,
        platform: &Platform,
        client: &mpsc::Sender<Message>,
    ) -> Result<Image> {
        let images = &self.engine.inner.images;
        if !self.options.pull {
            match images.get_for(name, Some(platform)) {
                Ok(image) => return Ok(image),
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        let reference = ImageRef::parse(name).map_err(|fault| Error::of(&fault))?;
        // Without a tag all of them would be meant.
        let reference = match (reference.tag(), reference.digest()) {
            (None, None) => reference
                .with_tag("latest")
                .map_err(|fault| Error::of(&fault))?,
            _ => reference,
        };
        let login = login(&self.options.logins, reference.domain());
        // The bars of a pull are for those who look; whoever asks for quiet gets none.
        let client = match self.options.quiet {
            false => client.clone(),
            true => mpsc::channel(1).0,
        };
        let engine = &self.engine;
        let familiar = reference.familiar();
        let pulled = engine.image_pull(&familiar, "", Some(platform.to_string()), login, client);
        match pulled.await {
            Ok(()) => Ok(images.get_for(&familiar, Some(platform))?),
            // Docker goes on with what is here.
            Err(fault) => match images.get_for(name, Some(platform)) {
                Ok(image) if fault.kind() == ErrorKind::Unavailable => Ok(image),
                _ => Err(fault),
            },
        }
    }
}

/// The login at a registry, under any of the names that clients file it under.
pub(super) fn login(logins: &BTreeMap<String, AuthConfig>, domain: &str) -> Option<AuthConfig> {
    let host = |name: &str| {
        let name = name.split_once("://").map_or(name, |(_, rest)| rest);
        name.split('/').next().unwrap_or_default().to_owned()
    };
    let names = match domain {
        "docker.io" => &["index.docker.io", "docker.io"][..],
        domain => &[domain][..],
    };
    logins
        .iter()
        .find(|(name, _)| names.contains(&host(name).as_str()))
        .map(|(_, login)| login.clone())
}

/// What a build takes from an image besides its files.
pub(super) fn base(image: &Image) -> BaseImage {
    let config = &image.config;
    BaseImage {
        config: config.config.clone(),
        history: config.history.clone(),
        author: config.author.clone(),
        platform: Some(image.platform()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_under_dockers_names() {
        let login_of = |name: &str| AuthConfig {
            username: name.to_owned(),
            ..AuthConfig::default()
        };
        let names = ["https://index.docker.io/v1/", "example.com:5000"];
        let logins = names.map(|name| (name.to_owned(), login_of(name)));
        let logins = BTreeMap::from(logins);
        let found = |domain: &str| login(&logins, domain).map(|login| login.username);
        assert_eq!(found("docker.io").as_deref(), Some(names[0]));
        assert_eq!(found("example.com:5000").as_deref(), Some(names[1]));
        assert_eq!(found("example.com"), None);
    }
}
