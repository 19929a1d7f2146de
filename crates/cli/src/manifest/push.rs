//! `manifest push`: gives a list to a registry, with what of its images the repository lacks.

use bytes::Bytes;
use onggi_model::{Digest, ImageRef};
use onggi_registry::{Document, Target};

use super::document::{self, ImageManifest};
use super::remote::{Remote, said};
use super::store::{Store, unknown};
use super::{INSECURE, reference};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    INSECURE,
    switch(Some('p'), "purge", "Forget the list here after the push"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] MANIFEST_LIST",
    about: "Give a list to a registry",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Images],
    ..command(&["manifest push"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let target = reference(&matches.args[0])?;
    let store = Store::new(cli);
    let images = store.list(&target)?.ok_or_else(|| unknown(&target))?;
    if images.is_empty() {
        return Err(Error::new(format!("{target} not found")));
    }
    for image in &images {
        let platform = image.descriptor.platform.clone().unwrap_or_default();
        if platform.os.is_empty() || platform.architecture.is_empty() {
            return Err(Error::new(format!(
                "manifest {} must have an OS and Architecture to be pushed to a registry",
                image.reference
            )));
        }
    }
    let (media_type, list) = document::list(&target, &images)?;
    let remote = Remote::new(cli, &target, matches.on("insecure"))?;
    let refused = |error| said(&target, &error);
    let place = remote.client.target(&target, &remote.auth);
    let place = cli.block_on(place)?.map_err(refused)?;
    for image in &images {
        let from = reference(&image.reference)?;
        // What is in the repository already need not go there.
        if from.path() != target.path() {
            let name = cli.block_on(bring(&remote, &place, &target, &from, image))??;
            let digest = &image.descriptor.digest;
            cli.line(&format!("Pushed ref {name} with digest: {digest}"))?;
            cli.flush()?;
        }
    }
    let tag = target.tag().map(str::to_owned);
    let tag = tag.or_else(|| target.digest().map(Digest::to_string));
    let tag = tag.unwrap_or_else(|| "latest".to_owned());
    let put = place.put_manifest(&tag, &media_type, Bytes::from(list));
    let digest = cli.block_on(put)?.map_err(refused)?;
    cli.line(digest.as_ref())?;
    if matches.on("purge") {
        store.remove(&target)?;
    }
    Ok(0)
}

/// Gives the target's repository an image of another one; what it is called there.
async fn bring(
    remote: &Remote,
    place: &Target,
    target: &ImageRef,
    from: &ImageRef,
    image: &ImageManifest,
) -> Result<ImageRef> {
    let refused = |error| said(target, &error);
    let digest: Digest = image.descriptor.digest.parse().map_err(|_| {
        Error::new(format!(
            "{from}: invalid digest {:?}",
            image.descriptor.digest
        ))
    })?;
    let document = Document {
        bytes: Bytes::from(image.bytes()?),
        media_type: Some(image.descriptor.media_type.clone()),
        digest: digest.clone(),
    };
    // Nobody is asked: the digest says what it is.
    let from = from.with_digest(digest.clone());
    let found = remote.client.resolve(&from, &remote.auth);
    let source = found.await.map_err(refused)?.source;
    let copied = place.copy_image(&source, &document).await;
    copied.map_err(refused)?;
    Ok(target.with_digest(digest))
}
