//! Images by what they are: the daemon asks the registries for the digests of a project's images.

use onggi_compose::Project;
use onggi_model::{Digest, ImageRef};

use crate::Cli;
use crate::error::{Error, Result};

/// Names the image of each service with its digest.
pub(super) fn resolve(cli: &mut Cli, project: &mut Project) -> Result<()> {
    let images: Vec<(String, String)> = project
        .services()
        .filter_map(|(name, service)| Some((name.to_owned(), service.text("image")?.to_owned())))
        .filter(|(_, image)| !image.is_empty())
        .collect();
    for (service, image) in images {
        let resolved = digest(cli, &image)
            .map_err(|error| Error::new(format!("service {service}: {}", error.message)))?;
        project.set_image(&service, &resolved);
    }
    Ok(())
}

fn digest(cli: &mut Cli, image: &str) -> Result<String> {
    let reference = ImageRef::parse(image).map_err(|error| Error::new(error.to_string()))?;
    if reference.digest().is_some() {
        return Ok(reference.to_string());
    }
    let auth = cli.registry_auth(reference.domain())?;
    let client = cli.client()?;
    let found = cli.block_on(client.image_distribution(&reference.to_string(), &auth))??;
    let digest = found["Descriptor"]["digest"].as_str().unwrap_or_default();
    let digest = Digest::parse(digest).map_err(|error| Error::new(error.to_string()))?;
    // With its tag, which tells people what it is.
    Ok(format!("{reference}@{digest}"))
}
