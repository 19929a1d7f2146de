//! What other builders know, taken up before a build, and what this one knows, given away after it.

use std::sync::Arc;

use onggi_api::stream::Message;
use onggi_builder::exchange::{CacheSource, CacheTarget, Exported, Imports, Local, Place};
use onggi_builder::{Finished, Plan};
use onggi_model::{ImageRef, Platform, chain};
use onggi_registry::Auth;
use tokio::sync::mpsc;

use super::bases::login;
use super::context::Contexts;
use super::told::{Aside, line};
use super::{BuildOptions, Building};
use crate::error::{Error, Result};
use crate::image::auth_of;

/// What a build takes, and gives.
pub(super) struct Exchange {
    sources: Vec<CacheSource>,
    targets: Vec<CacheTarget>,
    /// Whether the image itself is to say of its steps.
    pub(super) is_inline: bool,
}

impl Exchange {
    /// What a client asks for.
    ///
    /// # Errors
    /// `InvalidParameter` for what is not there.
    pub(super) fn of(options: &BuildOptions, contexts: &Contexts) -> Result<Self> {
        let wrong = |fault: onggi_builder::Error| Error::of(&fault);
        let sources = options.cache_from.iter().filter(|text| !text.is_empty());
        let sources: std::result::Result<_, _> =
            sources.map(|text| CacheSource::parse(text)).collect();
        let argument = options.arguments.get("BUILDKIT_INLINE_CACHE");
        let mut exchange = Self {
            sources: sources.map_err(wrong)?,
            targets: Vec::new(),
            is_inline: argument.and_then(Option::as_deref) == Some("1"),
        };
        for text in options.cache_to.iter().filter(|text| !text.is_empty()) {
            match CacheTarget::parse(text).map_err(wrong)? {
                None => exchange.is_inline = true,
                Some(target) => exchange.targets.push(target),
            }
        }
        let places = exchange.sources.iter().map(|source| &source.place);
        for place in places.chain(exchange.targets.iter().map(|target| &target.place)) {
            if let Place::Local(local) = place {
                contexts.cache(&local.path)?;
            }
        }
        Ok(exchange)
    }
}

impl Building {
    /// Takes up what the client's sources know. One that is not to be had is no reason to fail.
    pub(super) async fn import(
        &self,
        exchange: &Exchange,
        platform: &Platform,
        client: &mpsc::Sender<Message>,
    ) -> Arc<Imports> {
        let imports = Imports::default();
        for source in &exchange.sources {
            let name = format!("importing cache manifest from {}", source.name);
            let aside = Aside::begin(self, client, name).await;
            let found = match &source.place {
                Place::Registry(name) => self.ask(&imports, source, name, platform).await,
                Place::Local(local) => self.ask_client(&imports, local, platform).await,
            };
            let trouble = match found {
                Ok(0) => Some(format!(
                    "{} says nothing of its steps: build it with --cache-to=type=inline, or --build-arg BUILDKIT_INLINE_CACHE=1",
                    source.name
                )),
                Ok(_) => None,
                Err(fault) => Some(format!("{} is no cache: {fault}", source.name)),
            };
            if let Some(text) = &trouble {
                self.warn(Some(&aside), text, client).await;
            }
            aside.end(None).await;
        }
        Arc::new(imports)
    }

    /// What an image that is here says of its steps: how many; nothing where there is no such image.
    async fn take_up(&self, name: &str, platform: &Platform) -> Result<Option<usize>> {
        let Ok(image) = self.engine.inner.images.get_for(name, Some(platform)) else {
            return Ok(None);
        };
        let cache = self.engine.inner.builds.cache.clone();
        let taken = onggi_rt::blocking("take up the steps of an image", move || {
            cache.take_up(&image)
        });
        Ok(Some(taken.await??))
    }

    /// Asks whoever has what is under a name: this machine, a registry.
    async fn ask(
        &self,
        imports: &Imports,
        source: &CacheSource,
        reference: &ImageRef,
        platform: &Platform,
    ) -> Result<usize> {
        let here = self.take_up(&source.name, platform).await;
        if let (Ok(Some(known)), true) = (&here, source.is_bare && !self.options.pull) {
            return Ok(*known);
        }
        let images = &self.engine.inner.images;
        let auth = self.auth(reference);
        let there = imports.add(images, reference, platform, &auth).await;
        match (there, here) {
            (Err(_), Ok(Some(known))) => Ok(known),
            (there, _) => there.map_err(|fault| Error::of(&fault)),
        }
    }

    async fn ask_client(
        &self,
        imports: &Imports,
        local: &Local,
        platform: &Platform,
    ) -> Result<usize> {
        let directory = self.contexts.cache(&local.path)?;
        let added = imports.add_layout(directory, local, platform).await;
        added.map_err(|fault| Error::of(&fault))
    }

    fn auth(&self, reference: &ImageRef) -> Auth {
        auth_of(login(&self.options.logins, reference.domain()))
    }

    /// Gives away what the build knows now.
    ///
    /// # Errors
    /// What could not be given, unless the client does not mind.
    pub(super) async fn export(
        &self,
        exchange: &Exchange,
        imports: &Imports,
        build: (&Plan, &[Arc<Finished>]),
        client: &mpsc::Sender<Message>,
    ) -> Result<()> {
        for target in &exchange.targets {
            let (shown, name) = match &target.place {
                Place::Registry(name) => (name.familiar(), "exporting cache to registry"),
                Place::Local(local) => (local.path.clone(), "exporting cache to client directory"),
            };
            let aside = Aside::begin(self, client, name).await;
            match self.give(target, imports, build).await {
                Ok(done) => {
                    let (digest, steps, layers) = (done.digest, done.steps, done.layers);
                    tracing::info!(cache = %shown, %digest, steps, layers, "exported what a build knows");
                    let text =
                        format!("wrote cache {shown}@{digest}: {steps} steps, {layers} layers");
                    self.say(&aside, &text, client).await;
                    aside.end(None).await;
                }
                Err(fault) => {
                    let text = format!("error exporting cache to {shown}: {}", chain(&fault));
                    if !target.ignore_error {
                        aside.end(Some(text.clone())).await;
                        return Err(fault.saying(text));
                    }
                    self.warn(Some(&aside), &text, client).await;
                    aside.end(None).await;
                }
            }
        }
        Ok(())
    }

    async fn give(
        &self,
        target: &CacheTarget,
        imports: &Imports,
        build: (&Plan, &[Arc<Finished>]),
    ) -> Result<Exported> {
        let images = &self.engine.inner.images;
        let failed = |fault: onggi_builder::Error| Error::of(&fault);
        match &target.place {
            Place::Registry(name) => {
                let auth = self.auth(name);
                let exported = target.export(name, &auth, images, imports, build).await;
                exported.map_err(failed)
            }
            Place::Local(local) => {
                let directory = self.contexts.cache(&local.path)?;
                let there = directory.clone();
                let gathered = target.gather(local, there, images, imports, build).await;
                let gathered = gathered.map_err(failed)?;
                directory.keep(&self.engine, &local.path, &gathered).await?;
                Ok(gathered.exported)
            }
        }
    }

    async fn say(&self, aside: &Aside, text: &str, client: &mpsc::Sender<Message>) {
        aside.status(text).await;
        if !self.options.quiet && !self.options.steps {
            let _ = client.send(line(format!("{text}\n"))).await;
        }
    }
}
