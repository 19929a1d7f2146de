//! Images: pulled here, built by whoever called.

use onggi_client::image::Pull;
use onggi_model::{ImageRef, Timestamp};
use serde::Deserialize;

use super::{Event, Failure, Progress, Run, Thing, Word};
use crate::plan::ImageFacts;

/// A message of a pull.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    status: String,
    id: String,
    error: Option<String>,
    #[serde(rename = "progressDetail")]
    detail: Option<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    current: u64,
    total: u64,
}

impl Run<'_> {
    pub(super) async fn pull(&self, image: &str, platform: &str) -> Result<(), Failure> {
        self.tell(Thing::Image, image, Word::Pulling, "");
        let wrong = |reason: String| Failure::Other(format!("{image}: {reason}"));
        let reference = ImageRef::parse(image).map_err(|error| wrong(error.to_string()))?;
        let digest = reference.digest().map(ToString::to_string);
        let tag = digest.or_else(|| reference.tag().map(str::to_owned));
        let pull = Pull {
            name: reference.familiar_name(),
            tag: tag.unwrap_or_else(|| "latest".to_owned()),
            platform: platform.to_owned(),
            auth: self.host.login(image).await,
        };
        let mut messages = self.client.image_pull(&pull).await?;
        while let Some(message) = messages.next::<Message>().await? {
            if let Some(error) = message.error {
                return Err(Failure::Other(error));
            }
            let detail = message.detail.unwrap_or_default();
            self.send(Event {
                thing: Thing::Image,
                name: image.to_owned(),
                word: Word::Pulling,
                text: message.status,
                progress: (!message.id.is_empty()).then_some(Progress {
                    part: message.id,
                    current: detail.current,
                    total: detail.total,
                }),
            });
        }
        self.forget_image(image);
        self.tell(Thing::Image, image, Word::Pulled, "");
        Ok(())
    }

    pub(super) async fn build(&self, service: &str, image: &str) -> Result<(), Failure> {
        let found = self
            .application
            .and_then(|one| Some((one, one.services.get(service)?)));
        let Some((application, service)) = found else {
            return Ok(());
        };
        self.tell(Thing::Image, image, Word::Building, "");
        let built = self.host.build(application, service, image).await;
        built.map_err(Failure::Other)?;
        self.forget_image(image);
        self.tell(Thing::Image, image, Word::Built, "");
        Ok(())
    }

    fn forget_image(&self, image: &str) {
        let mut images = self
            .images
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        images.remove(image);
    }

    /// What an image says; asked once.
    pub(super) async fn image(&self, name: &str) -> Result<ImageFacts, Failure> {
        let known = {
            let images = self
                .images
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            images.get(name).cloned()
        };
        if let Some(image) = known {
            return Ok(image);
        }
        let found = inspect(self.client, name).await?;
        let found = found.ok_or_else(|| Failure::Other(format!("No such image: {name}")))?;
        let mut images = self
            .images
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        images.insert(name.to_owned(), found.clone());
        Ok(found)
    }
}

/// What an image says, if it is there.
pub(crate) async fn inspect(
    client: &onggi_client::Client,
    name: &str,
) -> Result<Option<ImageFacts>, onggi_client::Error> {
    let json = match client.image_inspect(name, "").await {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let document: onggi_api::image::Inspect =
        serde_json::from_value(json).map_err(|error| onggi_client::Error::Answer {
            method: "GET".to_owned(),
            path: format!("/images/{name}/json"),
            reason: error.to_string(),
        })?;
    let tagged = Timestamp::parse(&document.metadata.last_tag_time).ok();
    let tagged = tagged.filter(|time| !time.is_zero());
    Ok(Some(ImageFacts {
        age: tagged.map(|time| Timestamp::now().since(time)),
        id: document.id,
        layers: document.root_fs.layers.unwrap_or_default(),
        config: document.config.unwrap_or_default(),
    }))
}
