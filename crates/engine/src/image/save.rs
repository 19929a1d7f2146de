//! `save`: images as an archive that `load` reads.

use super::parse_platform;
use crate::Engine;
use crate::container::archive::{Chunks, stream};
use crate::error::Result;

impl Engine {
    /// The archive of these images. It is made as it is read: whoever stops reading stops the work.
    ///
    /// # Errors
    /// `NotFound`: no such image, or not for the platform.
    pub async fn image_save(&self, names: Vec<String>, platform: Option<String>) -> Result<Chunks> {
        let platform = parse_platform(platform)?;
        let images = self.inner.images.clone();
        let saving = onggi_rt::blocking("find images to save", move || {
            images.saving(&names, platform.as_ref())
        })
        .await??;
        for image in saving.images() {
            let id = image.id().to_string();
            self.image_event("save", &id, image, &id);
        }
        stream("save images", move |sink| saving.write(sink))
    }
}
