//! `export`: the root file system of a container as a tar, without what is mounted in it.

use onggi_archive::{PackOptions, Times};

use super::archive::{Chunks, stream};
use crate::Engine;
use crate::error::Result;

impl Engine {
    /// A tar of the root file system. It is made as it is read: whoever stops reading stops the work.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn container_export(&self, id: &str) -> Result<Chunks> {
        let container = self.inner.containers.find(id)?;
        let view = self.root_view(&container).await?;
        self.container_event(&container.record(), "export", []);
        stream("export a container", move |sink| {
            let options = PackOptions {
                times: Times::Seconds,
                ..PackOptions::default()
            };
            onggi_archive::pack(view.root(), sink, &options).map(drop)
        })
    }
}
