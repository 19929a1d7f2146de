//! Networks, volumes and images: made and removed.

use onggi_client::image::Remove;

use super::{Failure, Run, Thing, Word};
use crate::request;

impl Run<'_> {
    pub(super) async fn create_network(&self, key: &str, name: &str) -> Result<(), Failure> {
        let Some((application, network)) = self
            .application
            .and_then(|one| Some((one, one.networks.get(key)?)))
        else {
            return Ok(());
        };
        self.tell(Thing::Network, name, Word::Creating, "");
        let request = request::network(application, key, network);
        match self.client.network_create(request).await {
            // Somebody else was faster: it is there.
            Err(error) if error.status() == Some(409) && self.has_network(name).await => (),
            other => drop(other?),
        }
        self.tell(Thing::Network, name, Word::Created, "");
        Ok(())
    }

    async fn has_network(&self, name: &str) -> bool {
        self.client.network_inspect(name, false).await.is_ok()
    }

    pub(super) async fn remove_network(&self, name: &str, id: &str) -> Result<(), Failure> {
        self.tell(Thing::Network, name, Word::Removing, "");
        match self.client.network_remove(id).await {
            Err(error) if matches!(error.status(), Some(403 | 409)) => {
                self.tell(
                    Thing::Network,
                    name,
                    Word::Warning,
                    "Resource is still in use",
                );
                return Ok(());
            }
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => (),
        }
        self.tell(Thing::Network, name, Word::Removed, "");
        Ok(())
    }

    pub(super) async fn create_volume(&self, key: &str, name: &str) -> Result<(), Failure> {
        let Some((application, volume)) = self
            .application
            .and_then(|one| Some((one, one.volumes.get(key)?)))
        else {
            return Ok(());
        };
        self.tell(Thing::Volume, name, Word::Creating, "");
        let request = request::volume(application, key, volume);
        self.client.volume_create(&request).await?;
        self.tell(Thing::Volume, name, Word::Created, "");
        Ok(())
    }

    pub(super) async fn remove_volume(&self, name: &str) -> Result<(), Failure> {
        self.tell(Thing::Volume, name, Word::Removing, "");
        match self.client.volume_remove(name, false).await {
            Err(error) if error.status() == Some(409) => {
                self.tell(
                    Thing::Volume,
                    name,
                    Word::Warning,
                    "Resource is still in use",
                );
                return Ok(());
            }
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => (),
        }
        self.tell(Thing::Volume, name, Word::Removed, "");
        Ok(())
    }

    pub(super) async fn remove_image(&self, name: &str) -> Result<(), Failure> {
        self.tell(Thing::Image, name, Word::Removing, "");
        match self.client.image_remove(name, &Remove::default()).await {
            Err(error) if error.is_not_found() => {
                self.tell(
                    Thing::Image,
                    name,
                    Word::Warning,
                    "No resource found to remove",
                );
                return Ok(());
            }
            Err(error) if error.status() == Some(409) => {
                self.tell(
                    Thing::Image,
                    name,
                    Word::Warning,
                    "Resource is still in use",
                );
                return Ok(());
            }
            other => drop(other?),
        }
        self.tell(Thing::Image, name, Word::Removed, "");
        Ok(())
    }
}
