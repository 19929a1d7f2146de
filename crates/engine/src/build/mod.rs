//! Builds: a context and a Dockerfile become an image. What a step does is here; which steps there are, and which of them
//! are known, is `onggi_builder`'s business.

mod agents; // RUN --mount=type=ssh
mod bases; // the images that something is built on
mod caches; // what RUN --mount=type=cache shows
mod command; // RUN, in a container
mod context; // what a client sends
mod exchange; // what other builders know
mod files; // COPY, ADD and WORKDIR, and files to look at
mod history; // what builds were done
mod kept; // what clients sent, for their next builds
mod known; // what is known of builds, and forgotten
mod layout; // caches in directories of clients
mod lint; // what is probably not meant
mod mounts; // RUN --mount
mod place; // where something is wrong
mod session; // what is built with, told on one connection
mod told; // what a client is told

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onggi_api::auth::AuthConfig;
use onggi_api::container::HostConfig;
use onggi_api::stream::Message;
use onggi_builder::exchange::Imports;
use onggi_builder::{Around, Build, Failed, Outline, Plan, Request, Results};
use onggi_dockerfile::Dockerfile;
use onggi_image::Assembly;
use onggi_model::{ErrorKind, ImageRef, Platform, chain};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::Engine;
use crate::error::{Error, Result};
pub use known::PruneLimits;

use context::Contexts;
use exchange::Exchange;
use history::Recording;
use place::Place;
use session::Session;
use told::{Aside, Teller};

/// How many pieces of news may wait for a client before the steps wait with them.
const QUEUE: usize = 256;

/// What a build is asked for.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The Dockerfile in the context; `Dockerfile` where empty.
    pub dockerfile: String,
    /// The names of the image.
    pub tags: Vec<String>,
    /// The stage that is wanted.
    pub target: Option<String>,
    /// What it is for.
    pub platform: Option<String>,
    /// `--build-arg`
    pub arguments: BTreeMap<String, Option<String>>,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// Nothing of what is known is used.
    pub no_cache: bool,
    /// As that, for these stages.
    pub no_cache_stages: BTreeSet<String>,
    /// Base images are asked for even where they are here.
    pub pull: bool,
    /// The client is told of nothing but the image's ID.
    pub quiet: bool,
    /// The client understands the news of steps.
    pub steps: bool,
    /// Network, limits and hosts of the containers that commands run in.
    pub host: HostConfig,
    /// Where the context is fetched from, instead of the body.
    pub remote: Option<String>,
    /// `--cache-from`: what other builders know, in BuildKit's words.
    pub cache_from: Vec<String>,
    /// `--cache-to`: who is to know what this build does.
    pub cache_to: Vec<String>,
    /// Logins at registries.
    pub logins: BTreeMap<String, AuthConfig>,
    /// `--build-context`: what names mean, images (`docker-image://`) and others.
    pub contexts: BTreeMap<String, String>,
}

/// What builds have in common.
pub(crate) struct Builds {
    pub(crate) cache: onggi_builder::Cache,
    pub(crate) caches: caches::Caches,
    history: history::History,
}

impl Builds {
    /// Whatever a daemon that was killed had given to commands, secrets among it, goes.
    pub(crate) fn new(images: onggi_image::Images, config: &crate::Config) -> Self {
        let given = mounts::given(&config.exec_root);
        match std::fs::remove_dir_all(&given) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %given.display(), %error, "files of steps are left behind");
            }
            _ => {}
        }
        Self {
            cache: onggi_builder::Cache::new(images),
            caches: caches::Caches::new(&config.data_root),
            history: history::History::new(&config.data_root),
        }
    }
}

/// Options that can be meant.
struct Checked {
    names: Vec<ImageRef>,
    platform: Platform,
    /// The time that all is to have.
    time: Option<i64>,
}

/// What a build needs of everything.
struct Building {
    engine: Engine,
    options: BuildOptions,
    contexts: Contexts,
    place: Place,
    recording: Arc<Recording>,
}

/// What is done, and what with.
struct Work<'a> {
    plan: &'a Plan,
    bases: BTreeMap<(String, Option<String>), onggi_image::Image>,
    imports: Arc<Imports>,
    time: Option<i64>,
}

impl Engine {
    /// Builds an image of the tar that `body` is. News goes to `client`; when nobody listens there any more, the build
    /// ends, and all that runs for it.
    ///
    /// # Errors
    /// `InvalidParameter` for a Dockerfile, an archive or an option that cannot be meant; what a step says that fails.
    pub async fn image_build(
        &self,
        options: BuildOptions,
        body: impl AsyncRead + Send + Unpin + 'static,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        let left = client.clone();
        let work = async {
            let checked = self.checked(&options)?;
            let contexts = Contexts::receive(self, &options, body).await?;
            self.build(options, checked, contexts, client).await
        };
        tokio::select! {
            built = work => built,
            () = left.closed() => Err(Error::new(ErrorKind::Cancelled, "the client is gone: the build was ended")),
        }
    }

    /// Builds an image of what a client tells on `connection`, which is not HTTP any more; the news and the end of it are
    /// told there. When the client goes, the build ends, and all that runs for it.
    pub async fn image_build_session(
        &self,
        options: BuildOptions,
        connection: impl AsyncRead + AsyncWrite + Send + 'static,
    ) {
        let mut session = session::begin(connection);
        let failed = match self.in_session(options, &mut session).await {
            Ok(true) => None,
            // Nobody is there any more.
            Ok(false) => return,
            Err(fault) => Some(session::failure(&fault)),
        };
        session.end(failed).await;
    }

    /// Whether the client is still there.
    async fn in_session(
        &self,
        options: BuildOptions,
        session: &mut Session<impl AsyncRead + Unpin>,
    ) -> Result<bool> {
        let checked = self.checked(&options)?;
        let place = Arc::new(self.inner.snapshots.begin_layer()?);
        let caches = &self.inner.builds.caches;
        let Some(announced) = session.announced(caches, place.path.clone()).await? else {
            return Ok(false);
        };
        let wire = announced.wire.clone();
        let out = session.out();
        let (client, mut messages) = mpsc::channel(QUEUE);
        let telling = async {
            while let Some(message) = messages.recv().await {
                if out.send(session::told(&message)).await.is_err() {
                    break;
                }
            }
        };
        let work = async {
            let contexts = Contexts::announced(self, &options, announced, place).await?;
            self.build(options, checked, contexts, client).await
        };
        let done = async { tokio::join!(work, telling).0 };
        let built = tokio::select! {
            built = done => built.map(|()| true),
            () = session.listen() => Ok(false),
        };
        // Behind the answer: the next build has less to ask for.
        onggi_rt::spawn_blocking("keep what a client sent", move || wire.keep());
        built
    }

    /// Whether the options can be meant, before anything is received.
    fn checked(&self, options: &BuildOptions) -> Result<Checked> {
        let mut names = Vec::new();
        for tag in &options.tags {
            let name = ImageRef::parse(tag).map_err(|fault| Error::of(&fault))?;
            names.push(self.inner.images.check_name(&name)?);
        }
        let platform = match options.platform.as_deref().filter(|text| !text.is_empty()) {
            None => Platform::host(),
            Some(text) => Platform::parse(text).map_err(|fault| Error::of(&fault))?,
        };
        let time = match options.arguments.get("SOURCE_DATE_EPOCH") {
            Some(Some(text)) => Some(
                text.parse::<i64>()
                    .map_err(|_| Error::invalid(format!("invalid SOURCE_DATE_EPOCH: {text}")))?,
            ),
            _ => None,
        };
        Ok(Checked {
            names,
            platform,
            time,
        })
    }

    async fn build(
        &self,
        options: BuildOptions,
        checked: Checked,
        contexts: Contexts,
        client: mpsc::Sender<Message>,
    ) -> Result<()> {
        let recording = Arc::new(self.inner.builds.history.begin(&options)?);
        let built = self
            .build_recorded(options, checked, contexts, client, &recording)
            .await;
        let told = built.as_ref().map(String::as_str);
        recording.end(told.map_err(ToString::to_string)).await;
        built.map(drop)
    }

    async fn build_recorded(
        &self,
        options: BuildOptions,
        checked: Checked,
        contexts: Contexts,
        client: mpsc::Sender<Message>,
        recording: &Arc<Recording>,
    ) -> Result<String> {
        let Checked {
            names,
            platform,
            time,
        } = checked;
        let request = Request {
            target: options.target.clone(),
            arguments: options.arguments.clone(),
            contexts: options.contexts.clone(),
            platform: platform.clone(),
            build_platform: Platform::host(),
        };
        let exchange = Exchange::of(&options, &contexts)?;
        let file = contexts.dockerfile(&options).await?;
        let place = Place::new(&options, &file);
        let parsed = parse(&file).map_err(|fault| place.tell(&fault.into()))?;
        let outline = Outline::of(&parsed, &request).map_err(|fault| place.tell(&fault))?;
        let building = Arc::new(Building {
            engine: self.clone(),
            options,
            contexts,
            place,
            recording: recording.clone(),
        });
        building.check(&parsed, &outline, &client).await?;
        // What the build stands on stays until it is done, whoever removes the images meanwhile; and what is brought for
        // others.
        let _lease = self.inner.images.store().lease();
        let bases = building.bases(&outline, &request, &client).await?;
        let imports = building.import(&exchange, &platform, &client).await;
        let known = bases
            .iter()
            .map(|(key, image)| (key.clone(), bases::base(image)));
        let plan = outline.plan(&request, &known.collect());
        let plan = plan.map_err(|fault| building.place.tell(&fault))?;
        if !plan.unused_arguments.is_empty() {
            let names = plan.unused_arguments.join(" ");
            let text = format!("One or more build-args [{names}] were not consumed");
            building.warn(None, &text, &client).await;
        }
        let work = Work {
            plan: &plan,
            bases,
            imports,
            time,
        };
        let results = building.execute(&work, &client).await?;
        let used = results.used.clone();
        let finished = results.finished.clone();
        let aside = Aside::begin(&building, &client, "exporting to image").await;
        let id = building
            .finish(&work, results, &platform, &exchange, &names)
            .await;
        self.after_build(used);
        if let Ok(id) = &id {
            aside.status(&format!("writing image {id} done")).await;
            for name in &names {
                aside.status(&format!("naming to {name} done")).await;
            }
        }
        aside.end(id.as_ref().err().map(|fault| chain(fault))).await;
        let id = id?;
        let build = (&plan, finished.as_slice());
        building
            .export(&exchange, &work.imports, build, &client)
            .await?;
        building.built(&id, &names, &client).await;
        Ok(id)
    }

    /// What is done behind the answer: it is a help for those who clean up, and no reason to fail.
    fn after_build(&self, used: Vec<String>) {
        let engine = self.clone();
        onggi_rt::spawn("look after the build cache", async move {
            let work = onggi_rt::blocking("look after the build cache", move || {
                if let Err(error) = engine.inner.builds.cache.used(&used) {
                    tracing::warn!(%error, "what was used of the build cache is not on record");
                }
                engine.collect_builds();
            });
            let _ = work.await;
        });
    }
}

/// What of the options of the containers says what commands do.
fn around(host: &HostConfig) -> Around {
    let hosts = host.extra_hosts.iter().flatten();
    let name = |host: &String| host.split([':', '=']).next().map(str::to_owned);
    let mut hosts: Vec<String> = hosts.filter_map(name).collect();
    hosts.sort_unstable();
    let mut limits = Vec::new();
    if host.shm_size > 0 {
        limits.push(format!("shm {}", host.shm_size));
    }
    if !host.resources.cgroup_parent.is_empty() {
        limits.push(format!("cgroup {}", host.resources.cgroup_parent));
    }
    for limit in host.resources.ulimits.iter().flatten() {
        limits.push(format!("{} {} {}", limit.name, limit.soft, limit.hard));
    }
    Around {
        network: match host.network_mode.as_str() {
            "default" | "bridge" => String::new(),
            network => network.to_owned(),
        },
        hosts,
        limits,
    }
}

fn parse(file: &[u8]) -> Result<Dockerfile, onggi_dockerfile::Error> {
    Dockerfile::parse(&String::from_utf8_lossy(file))
}

impl Building {
    /// Does the steps; once more where others turned out not to have what they told of.
    async fn execute(
        self: &Arc<Self>,
        work: &Work<'_>,
        client: &mpsc::Sender<Message>,
    ) -> Result<Results> {
        let mut attempt = 0;
        loop {
            let done = self.execute_once(work, attempt, client).await;
            let warnings = work.imports.warnings();
            let is_lost = !warnings.is_empty();
            for warning in warnings {
                self.warn(None, &warning, client).await;
            }
            match done {
                // Each time there are fewer of them.
                Err(_) if is_lost => attempt += 1,
                done => return done.map_err(|failed| self.failure(work.plan, &failed)),
            }
        }
    }

    async fn execute_once(
        self: &Arc<Self>,
        work: &Work<'_>,
        attempt: usize,
        client: &mpsc::Sender<Message>,
    ) -> Result<Results, Failed> {
        let (news, heard) = mpsc::channel(QUEUE);
        let build = Build {
            images: self.engine.inner.images.clone(),
            cache: self.engine.inner.builds.cache.clone(),
            imports: work.imports.clone(),
            steps: command::Hands(self.clone()),
            contexts: self.contexts.views(),
            bases: work.bases.clone(),
            no_cache: self.options.no_cache,
            no_cache_stages: self.options.no_cache_stages.clone(),
            time: work.time,
            around: around(&self.options.host),
            news,
        };
        self.recording.begin_steps(work.plan.steps.len());
        let teller = Teller::new(work.plan, self, attempt, client.clone());
        let work = async move {
            let done = build.run(work.plan).await;
            // With it the senders of news go, and the teller ends.
            drop(build);
            done
        };
        let (done, ()) = tokio::join!(work, teller.tell(heard));
        done
    }

    /// What a client is told of a step that failed.
    fn failure(&self, plan: &Plan, failed: &Failed) -> Error {
        let step = plan.steps.get(failed.step).map(|step| step.name.as_str());
        self.place.tell_of_step(&failed.error, step)
    }

    /// The image, with its names; its ID.
    async fn finish(
        &self,
        work: &Work<'_>,
        results: Results,
        platform: &Platform,
        exchange: &Exchange,
        names: &[ImageRef],
    ) -> Result<String> {
        let Work { plan, time, .. } = *work;
        let (mut config, layers) = onggi_builder::image(plan, &results.finished, platform, time);
        config.config.labels.extend(self.options.labels.clone());
        if exchange.is_inline {
            config.build_cache = onggi_builder::inline_cache(plan, &results.finished);
        }
        let images = self.engine.inner.images.clone();
        let references = names.to_vec();
        let lease = results.lease;
        let image = onggi_rt::blocking("put an image together", move || {
            let image = images.assemble(Assembly {
                config,
                layers,
                parent: None,
                references,
            });
            drop(lease);
            image
        })
        .await??;
        let id = image.id().to_string();
        tracing::info!(image = %id, "built");
        for name in names {
            self.engine
                .image_event("tag", &id, &image, &name.familiar());
        }
        Ok(id)
    }

    /// The last words.
    async fn built(&self, id: &str, names: &[ImageRef], client: &mpsc::Sender<Message>) {
        let mut lines = Vec::new();
        if self.options.quiet {
            lines.push(told::line(format!("{id}\n")));
        } else {
            let short = id.trim_start_matches("sha256:").chars().take(12);
            lines.push(Message {
                aux: Some(serde_json::json!({ "ID": id })),
                ..Message::default()
            });
            lines.push(told::line(format!(
                "Successfully built {}\n",
                short.collect::<String>()
            )));
            for name in names {
                lines.push(told::line(format!(
                    "Successfully tagged {}\n",
                    name.familiar()
                )));
            }
        }
        for line in lines {
            let _ = client.send(line).await;
        }
    }
}
