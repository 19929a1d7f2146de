//! dockerd's images: configurations in `imagedb`, names in `repositories.json`, layers in `layerdb`.

use std::collections::BTreeMap;

use onggi_image::{Adopted, Foreign, Image, Images, Tar};
use onggi_model::{Digest, ImageRef};
use onggi_store::ChainId;
use serde::Deserialize;

use super::root::{DataRoot, digest, document, names, text};
use super::tar_split::TarSplit;
use super::{Had, cannot};
use crate::error::{Error, Result};

/// An image that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: Digest,
    names: Vec<ImageRef>,
}

impl Found {
    /// What people call it.
    pub(super) fn title(&self) -> String {
        let tag = self.names.iter().find(|name| name.digest().is_none());
        match tag.or(self.names.first()) {
            Some(name) => name.familiar(),
            None => "<none>".to_owned(),
        }
    }
}

/// A name that leads nowhere, and why.
pub(super) type Lost = (String, Error);

/// `repositories.json`.
#[derive(Default, Deserialize)]
struct Repositories {
    /// By repository: names and the image of each.
    #[serde(rename = "Repositories", default)]
    names: BTreeMap<String, BTreeMap<String, String>>,
}

/// All images, and names that lead nowhere with the reason.
pub(super) fn find(root: &DataRoot) -> Result<(Vec<Found>, Vec<Lost>)> {
    let path = root.images().join("repositories.json");
    let repositories: Repositories = match path.exists() {
        false => Repositories::default(),
        true => serde_json::from_slice(&document(&path)?)
            .map_err(|error| cannot(format!("{}: {error}", path.display())))?,
    };
    let mut images: BTreeMap<Digest, Vec<ImageRef>> = BTreeMap::new();
    for hex in names(&root.images().join("imagedb/content/sha256"))? {
        if let Ok(id) = digest(&format!("sha256:{hex}")) {
            images.insert(id, Vec::new());
        }
    }
    let mut lost = Vec::new();
    for (name, id) in repositories.names.into_values().flatten() {
        let reference = ImageRef::parse(&name).map_err(|fault| Error::of(&fault));
        let image = digest(&id).and_then(|id| {
            let names = images.get_mut(&id);
            names.ok_or_else(|| cannot(format!("its image {} is missing", id.short())))
        });
        match reference.and_then(|reference| Ok((reference, image?))) {
            Ok((reference, names)) => names.push(reference),
            Err(fault) => lost.push((name, fault)),
        }
    }
    let found = images.into_iter().map(|(id, names)| Found { id, names });
    let mut found: Vec<Found> = found.collect();
    // Those with names first, as people look for them.
    found.sort_by_key(|image| (image.names.is_empty(), image.title()));
    Ok((found, lost))
}

/// Takes one image.
pub(super) fn adopt(images: &Images, root: &DataRoot, found: Found) -> Result<(Had, Image)> {
    let database = root.images().join("imagedb");
    let config = document(&database.join("content/sha256").join(found.id.hex()))?;
    let actual = onggi_image::id_of(&config);
    if actual != found.id {
        return Err(cannot(format!(
            "its configuration is broken: it has the digest {actual}"
        )));
    }
    let metadata = database.join("metadata/sha256").join(found.id.hex());
    let said = |name: &str| {
        let path = metadata.join(name);
        path.exists().then(|| text(&path)).transpose()
    };
    let parent = said("parent")?
        .map(|text| digest(text.trim()))
        .transpose()?;
    let foreign = Foreign {
        config,
        names: found.names,
        parent,
        tagged: said("lastUpdated")?.map(|text| text.trim().to_owned()),
    };
    let adopted = images.adopt(foreign, |chain_id, diff_id| tar(root, chain_id, diff_id))?;
    Ok((had(&adopted), adopted.image))
}

fn had(adopted: &Adopted) -> Had {
    let list = |names: &[ImageRef]| {
        let names: Vec<String> = names.iter().map(ImageRef::familiar).collect();
        names.join(", ")
    };
    let mut details = Vec::new();
    if !adopted.is_new && !adopted.named.is_empty() {
        details.push(format!("now also {}", list(&adopted.named)));
    }
    if !adopted.refused.is_empty() {
        let names = list(&adopted.refused);
        details.push(format!("another image here is called {names}"));
    }
    let detail = details.join("; ");
    match adopted.is_new || !adopted.named.is_empty() {
        true => Had::taken(detail),
        false => Had::present(detail),
    }
}

/// The tar of a layer, put together from its files.
fn tar(root: &DataRoot, chain_id: &ChainId, diff_id: &Digest) -> Result<Tar> {
    let layer = root.layer(chain_id);
    let broken = |why: String| cannot(format!("its layer {} {why}", diff_id.short()));
    if !layer.is_dir() {
        return Err(broken("is missing".to_owned()));
    }
    if digest(text(&layer.join("diff"))?.trim())? != *diff_id {
        return Err(broken("is on record as another one".to_owned()));
    }
    let files = root
        .diff(&text(&layer.join("cache-id"))?)
        .map_err(|fault| broken(format!("is broken: {fault}")))?;
    let description = layer.join("tar-split.json.gz");
    let tar = TarSplit::open(&description, &files);
    let tar = tar.map_err(|error| broken(format!("is broken: {error}")))?;
    Ok(Box::new(tar))
}
