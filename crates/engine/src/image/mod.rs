//! Images, as the API speaks of them: the image store's answers turned into Docker's documents and messages.

mod find; // what registries have
mod import; // from the web
mod list; // lists, manifests, platforms
mod prune; // those nobody uses
mod push; // to a registry, and logins
mod save; // to an archive

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onggi_api::auth::AuthConfig;
use onggi_api::container::HealthConfig;
use onggi_api::go::Empty;
use onggi_api::image::{
    self as api, DeleteItem, Descriptor, HistoryItem, Inspect, Metadata, RootFs, Summary,
};
use onggi_api::stream::Message;
use onggi_image::{Deleted, Image, Import, Progress, RemoveOptions, Use};
use onggi_model::{Digest, ImageRef, Platform};
use onggi_oci::image::ContainerConfig;
use onggi_registry::Auth;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

pub use list::ImageListOptions;

use crate::Engine;
use crate::error::{Error, Result};

/// How many pieces of news may wait for a slow client before bars are left out.
const WAITING: usize = 32;

/// Where the news of a long operation goes: to a client that may be slow, or gone. Lines always arrive, and there
/// are a handful a layer; bars only when the client keeps up.
struct Sink {
    queue: mpsc::UnboundedSender<Progress>,
    waiting: Arc<AtomicUsize>,
}

impl Sink {
    /// A sink that passes messages on to `client`, and the task that does it: it ends after the sink.
    fn new(client: mpsc::Sender<Message>) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, mut news) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = waiting.clone();
        let relay = tokio::spawn(async move {
            while let Some(progress) = news.recv().await {
                counted.fetch_sub(1, Ordering::Relaxed);
                // A client that left stops nothing.
                let _ = client.send(message(progress)).await;
            }
        });
        (Self { queue, waiting }, relay)
    }

    fn send(&self, progress: Progress) {
        let bar = matches!(progress, Progress::Transfer { .. });
        if bar && self.waiting.load(Ordering::Relaxed) >= WAITING {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The relay ends only after us.
        let _ = self.queue.send(progress);
    }
}

/// Runs `work` with a place for its news; when this returns, all of them are with the client.
async fn reporting<T>(client: mpsc::Sender<Message>, work: impl AsyncFnOnce(Sink) -> T) -> T {
    let (sink, relay) = Sink::new(client);
    let result = work(sink).await;
    // The relay panics only where sending does.
    let _ = relay.await;
    result
}

/// Docker's message for a piece of news.
fn message(progress: Progress) -> Message {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match progress {
        Progress::Status { id, text } => Message::status(id.unwrap_or_default(), text),
        Progress::Transfer {
            id,
            action,
            current,
            total,
        } => Message::progress(id, action, number(current), number(total)),
        Progress::Pushed { tag, digest, size } => Message::aux(serde_json::json!({
            "Tag": tag,
            "Digest": digest.to_string(),
            "Size": size,
        })),
    }
}

impl Engine {
    /// Pulls an image, or without a tag all that a repository has one for; progress goes to `client`.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad reference or platform; `NotFound` and `Unauthorized` in the registry's words;
    /// `Unavailable` where it cannot be reached.
    pub async fn image_pull(
        &self,
        reference: &str,
        tag: &str,
        platform: Option<String>,
        auth: Option<AuthConfig>,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        let reference = wanted(reference, tag)?;
        let platform = parse_platform(platform)?;
        let auth = auth_of(auth);
        let images = &self.inner.images;
        let all = reference.tag().is_none() && reference.digest().is_none();
        let pulled = reporting(client, async |sink| {
            let report = move |news| sink.send(news);
            match all {
                true => images.pull_all(&reference, platform, &auth, report).await,
                false => images
                    .pull(&reference, platform, &auth, report)
                    .await
                    .map(|pulled| vec![pulled]),
            }
        });
        let pulled = pulled.await?;
        let name = reference.familiar();
        for one in &pulled {
            tracing::info!(image = %name, id = %one.image.id(), "pulled");
        }
        // One event, whatever came with it; its labels are those of the image that the name stands for.
        let image = self.inner.images.get(&name).ok();
        if let Some(image) = image.as_ref().or(pulled.last().map(|one| &one.image)) {
            self.image_event("pull", &name, image, &name);
        }
        Ok(())
    }

    /// One image in full.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` where the beginning of an id fits several.
    pub async fn image_inspect(
        &self,
        name: &str,
        platform: Option<String>,
        manifests: bool,
    ) -> Result<Inspect> {
        let (engine, name) = (self.clone(), name.to_owned());
        let platform = parse_platform(platform)?;
        let inspected = onggi_rt::blocking("inspect an image", move || {
            let image = engine.inner.images.get_for(&name, platform.as_ref())?;
            let mut document = inspect(&image);
            if manifests {
                document.manifests = Some(engine.manifests_of(&image)?);
            }
            Ok(document)
        });
        inspected.await?
    }

    /// How an image came to be, newest step first.
    ///
    /// # Errors
    /// As of `image_inspect`.
    pub async fn image_history(
        &self,
        name: &str,
        platform: Option<String>,
    ) -> Result<Vec<HistoryItem>> {
        let platform = parse_platform(platform)?;
        let image = self.inner.images.get_for(name, platform.as_ref())?;
        let entries = self.inner.images.history(&image)?;
        let item = |entry: onggi_image::HistoryEntry| HistoryItem {
            comment: entry.comment,
            created: entry.created.seconds(),
            created_by: entry.created_by,
            id: entry
                .id
                .map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
            size: i64::try_from(entry.size).unwrap_or(i64::MAX),
            tags: Some(entry.tags).filter(|tags| !tags.is_empty()),
        };
        Ok(entries.into_iter().map(item).collect())
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` for a bad name.
    pub async fn image_tag(&self, source: &str, repo: &str, tag: &str) -> Result<()> {
        let target = reference_of(repo, tag)?;
        let image = self.inner.images.tag(source, &target)?;
        self.image_event("tag", image.id().as_str(), &image, &target.familiar());
        Ok(())
    }

    /// Takes a name from an image, and the image when it was the last one. `platforms` must all be the one that the
    /// image is here for: there is nothing else of it to remove.
    ///
    /// # Errors
    /// `NotFound`, also for another platform; `Conflict` where a container or another image holds it.
    pub async fn image_remove(
        &self,
        name: &str,
        force: bool,
        no_prune: bool,
        platforms: Vec<String>,
    ) -> Result<Vec<DeleteItem>> {
        let engine = self.clone();
        let name = name.to_owned();
        let image = self.inner.images.get(&name)?;
        for platform in platforms {
            let platform = parse_platform(Some(platform))?;
            self.inner.images.get_for(&name, platform.as_ref())?;
        }
        let removed = onggi_rt::blocking("remove an image", move || {
            let options = RemoveOptions { force, no_prune };
            engine
                .inner
                .images
                .remove(&name, options, &|image| engine.uses(image))
        });
        let removed = removed.await??;
        Ok(removed
            .into_iter()
            .map(|deleted| self.deleted(&image, deleted))
            .collect())
    }

    fn deleted(&self, image: &Image, deleted: Deleted) -> DeleteItem {
        let id = image.id().as_str();
        match deleted {
            Deleted::Untagged(name) => {
                self.image_event("untag", id, image, id);
                DeleteItem {
                    untagged: name,
                    ..DeleteItem::default()
                }
            }
            Deleted::Deleted(digest) => {
                if digest == id {
                    // What is gone has no labels.
                    let attributes = BTreeMap::from([("name".to_owned(), id.to_owned())]);
                    self.inner.events.publish("image", "delete", id, attributes);
                }
                DeleteItem {
                    deleted: digest,
                    ..DeleteItem::default()
                }
            }
            Deleted::Parent(id) => {
                let attributes = BTreeMap::from([("name".to_owned(), id.clone())]);
                (self.inner.events).publish("image", "delete", &id, attributes);
                DeleteItem {
                    deleted: id,
                    ..DeleteItem::default()
                }
            }
        }
    }

    /// The containers of an image.
    fn uses(&self, image: &Digest) -> Vec<Use> {
        let containers = self.inner.containers.all();
        let records = containers.iter().map(|container| container.record());
        records
            .filter(|record| record.image == *image || record.mounts_image(image))
            .map(|record| Use {
                container: record.id.to_string(),
                running: record.state.is_active(),
            })
            .collect()
    }

    /// Takes up the images of an archive of `docker save`, or of an OCI layout.
    ///
    /// # Errors
    /// `InvalidParameter` for what is none; what the disk says.
    pub async fn image_load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        platform: Option<String>,
        quiet: bool,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        let images = &self.inner.images;
        let platform = parse_platform(platform)?;
        let loaded = reporting(client.clone(), async |sink| {
            let report = move |news| {
                if !quiet {
                    sink.send(news);
                }
            };
            images.load(archive, platform, report).await
        });
        for onggi_image::Loaded { image, names } in loaded.await? {
            let id = image.id().to_string();
            self.image_event("load", &id, &image, &id);
            let lines = match names.is_empty() {
                true => vec![format!("Loaded image ID: {id}\n")],
                false => names
                    .iter()
                    .map(|name| format!("Loaded image: {name}\n"))
                    .collect(),
            };
            for line in lines {
                // A client that left hears nothing; the images are there.
                let _ = client
                    .send(Message {
                        stream: line,
                        ..Message::default()
                    })
                    .await;
            }
        }
        Ok(())
    }

    /// Makes an image of one layer out of a tar; its id is the last message.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad name, instruction or archive; what the disk says.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parameters of the endpoint, one each"
    )]
    pub async fn image_import(
        &self,
        tar: impl AsyncRead + Send + Unpin + 'static,
        repository: &str,
        tag: &str,
        message: &str,
        changes: Vec<String>,
        platform: Option<String>,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        let reference = match repository {
            "" => None,
            name => Some(reference_of(name, tag)?),
        };
        let platform = parse_platform(platform)?;
        let message = message.to_owned();
        let import = Import {
            reference,
            message,
            changes,
            platform,
        };
        let image = self.inner.images.import(tar, import).await?;
        let id = image.id().to_string();
        self.image_event("import", &id, &image, &id);
        // A client that left hears nothing; the image is there.
        let _ = client.send(Message::status("", id)).await;
        Ok(())
    }

    pub(crate) fn image_event(&self, action: &str, id: &str, image: &Image, name: &str) {
        let mut attributes = image.config.config.labels.clone();
        attributes.insert("name".to_owned(), name.to_owned());
        self.inner.events.publish("image", action, id, attributes);
    }
}

/// `fromImage` and `tag` of a request: the tag may be a digest, and may be in the name already.
pub(crate) fn reference_of(name: &str, tag: &str) -> Result<ImageRef> {
    let text = match tag {
        "" => name.to_owned(),
        digest if digest.contains(':') => format!("{name}@{digest}"),
        tag => format!("{name}:{tag}"),
    };
    ImageRef::parse(&text).map_err(|fault| Error::of(&fault))
}

/// `fromImage` and `tag` of a pull: without a tag all tags are meant. Old clients end the name with a colon then.
fn wanted(name: &str, tag: &str) -> Result<ImageRef> {
    let name = name.strip_suffix(':').unwrap_or(name);
    let of = |fault: &dyn onggi_model::Fault| Error::of(fault);
    let name = ImageRef::parse_untagged(name).map_err(|fault| of(&fault))?;
    match tag {
        "" => Ok(name),
        digest if digest.contains(':') => {
            let digest = Digest::parse(digest).map_err(|fault| of(&fault))?;
            Ok(name.with_digest(digest))
        }
        tag => name.with_tag(tag).map_err(|fault| of(&fault)),
    }
}

fn parse_platform(platform: Option<String>) -> Result<Option<Platform>> {
    match platform.filter(|platform| !platform.is_empty()) {
        None => Ok(None),
        // Newer clients send the API's document, older ones the short form.
        Some(text) if text.starts_with('{') => {
            let said: api::Platform =
                onggi_api::decode(text.as_bytes()).map_err(|fault| Error::of(&fault))?;
            let variant = Some(said.variant.as_str()).filter(|variant| !variant.is_empty());
            Ok(Some(Platform::new(&said.os, &said.architecture, variant)))
        }
        Some(text) => Platform::parse(&text)
            .map(Some)
            .map_err(|fault| Error::of(&fault)),
    }
}

/// Credentials of the API in the registry client's terms.
pub(crate) fn auth_of(auth: Option<AuthConfig>) -> Auth {
    let Some(auth) = auth else {
        return Auth::anonymous();
    };
    Auth {
        username: auth.username,
        password: auth.password.unwrap_or_default(),
        identity_token: auth.identity_token.unwrap_or_default(),
        registry_token: auth.registry_token.unwrap_or_default(),
    }
}

/// A descriptor in the API's words.
fn descriptor(of: &onggi_oci::image::Descriptor) -> Descriptor {
    Descriptor {
        media_type: of.media_type.clone(),
        digest: of.digest.to_string(),
        size: i64::try_from(of.size).unwrap_or(i64::MAX),
        ..Descriptor::default()
    }
}

/// The descriptor of the manifest that an image was made from.
pub(crate) fn manifest(image: &Image) -> Descriptor {
    let target = &image.record.target;
    let mut descriptor = descriptor(target);
    if image.record.manifest == target.digest {
        descriptor.platform = Some(api::Platform::from(&image.platform()));
    }
    descriptor
}

fn summary(image: &Image) -> Summary {
    Summary {
        containers: -1,
        created: image.created().seconds(),
        id: image.id().to_string(),
        parent_id: match &image.record.parent {
            Some(parent) => parent.to_string(),
            None => String::new(),
        },
        labels: Some(image.config.config.labels.clone()).filter(|labels| !labels.is_empty()),
        descriptor: Some(manifest(image)),
        repo_digests: image.digests.clone(),
        repo_tags: image.tags.clone(),
        shared_size: -1,
        size: i64::try_from(image.record.size).unwrap_or(i64::MAX),
        ..Summary::default()
    }
}

fn inspect(image: &Image) -> Inspect {
    let document = &image.config;
    Inspect {
        id: image.id().to_string(),
        repo_tags: image.tags.clone(),
        repo_digests: image.digests.clone(),
        comment: document
            .history
            .last()
            .and_then(|h| h.comment.clone())
            .unwrap_or_default(),
        created: document.created.clone().unwrap_or_default(),
        author: document.author.clone().unwrap_or_default(),
        config: Some(config(&document.config)),
        architecture: document.architecture.clone(),
        variant: document.variant.clone().unwrap_or_default(),
        os: document.os.clone(),
        os_version: document.os_version.clone().unwrap_or_default(),
        size: i64::try_from(image.record.size).unwrap_or(i64::MAX),
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: Some(
                document
                    .rootfs
                    .diff_ids
                    .iter()
                    .map(Digest::to_string)
                    .collect(),
            ),
        },
        metadata: Metadata {
            last_tag_time: image.record.tagged.clone().unwrap_or_default(),
        },
        descriptor: Some(manifest(image)),
        ..Inspect::default()
    }
}

fn config(config: &ContainerConfig) -> api::Config {
    let keys = |map: &BTreeMap<String, onggi_oci::image::Empty>| {
        let keys: BTreeMap<_, _> = map.keys().map(|key| (key.clone(), Empty)).collect();
        (!keys.is_empty()).then_some(keys)
    };
    let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    api::Config {
        user: config.user.clone(),
        exposed_ports: keys(&config.exposed_ports),
        env: list(&config.env),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: keys(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: Some(config.labels.clone()).filter(|labels| !labels.is_empty()),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        args_escaped: config.args_escaped,
        healthcheck: config.healthcheck.as_ref().map(|health| HealthConfig {
            test: health.test.clone(),
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }),
        on_build: list(&config.on_build),
        shell: config.shell.clone(),
    }
}
