//! `push`, and the logins it needs.

use onggi_api::auth::{AuthConfig, LoginReply};
use onggi_api::stream::Message;
use onggi_model::ImageRef;
use tokio::sync::mpsc;

use super::{auth_of, parse_platform, reporting};
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Pushes the image that is called `name`, under `tag` or, where that is empty, under all its tags; progress goes
    /// to `client`.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad reference; in the registry's words what it refuses.
    pub async fn image_push(
        &self,
        name: &str,
        tag: &str,
        platform: Option<String>,
        auth: Option<AuthConfig>,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        let text = match tag {
            "" => name.to_owned(),
            tag => format!("{name}:{tag}"),
        };
        let reference = ImageRef::parse_untagged(&text).map_err(|fault| Error::of(&fault))?;
        let platform = parse_platform(platform)?;
        let auth = auth_of(auth);
        let images = &self.inner.images;
        let pushed = reporting(client, async |sink| {
            images
                .push(&reference, platform, &auth, move |news| sink.send(news))
                .await
        });
        for (name, image) in pushed.await? {
            let name = name.familiar();
            tracing::info!(image = %name, id = %image.id(), "pushed");
            self.image_event("push", &name, &image, &name);
        }
        Ok(())
    }

    /// Tries a login at the registry it is for.
    ///
    /// # Errors
    /// `Unauthorized` when the registry refuses it; `Internal` when it cannot be reached.
    pub async fn login(&self, auth: AuthConfig) -> Result<LoginReply> {
        let server = auth.server_address.clone();
        let token = self
            .inner
            .images
            .registry()
            .login(&server, &auth_of(Some(auth)))
            .await
            .map_err(|fault| Error::of(&fault))?;
        Ok(LoginReply {
            status: "Login Succeeded".to_owned(),
            identity_token: token,
        })
    }
}
