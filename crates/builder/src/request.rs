//! What whoever builds asks for.

use std::collections::BTreeMap;

use onggi_model::Platform;

use crate::{Error, Source};

/// The options of a build that change what is built.
#[derive(Clone, Debug)]
pub struct Request {
    /// The stage that is wanted, by name or number; the last one without.
    pub target: Option<String>,
    /// `--build-arg`: values for ARG; `None` takes away the default.
    pub arguments: BTreeMap<String, Option<String>>,
    /// `--build-context`: what FROM, COPY --from and --mount=from mean by these names.
    pub contexts: BTreeMap<String, String>,
    /// What the image is for.
    pub platform: Platform,
    /// Where the steps run.
    pub build_platform: Platform,
}

impl Default for Request {
    /// The last stage, for this machine.
    fn default() -> Self {
        Self {
            target: None,
            arguments: BTreeMap::new(),
            contexts: BTreeMap::new(),
            platform: Platform::host(),
            build_platform: Platform::host(),
        }
    }
}

impl Request {
    /// What `--build-context` says of a name.
    ///
    /// # Errors
    /// Of a kind that is not there.
    pub(crate) fn context(&self, name: &str) -> Result<Source, Error> {
        let value = self.contexts.get(name).map(String::as_str);
        match value.unwrap_or_default().split_once("://") {
            Some(("docker-image", image)) => Ok(Source::Image(image.to_owned())),
            Some((kind, _)) => Err(Error::new(format!(
                "build context {name}: {kind}:// is not there yet; a directory and docker-image:// are"
            ))),
            None => Ok(Source::Named(name.to_owned())),
        }
    }
}
