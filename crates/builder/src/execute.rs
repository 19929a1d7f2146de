//! Doing the steps of a plan: each as soon as those it needs are done, those that are known not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use onggi_dockerfile::instruction::Network;
use onggi_image::{Image, Images, Layer, Moved};
use onggi_model::Timestamp;
use onggi_store::{ChainId, Lease};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::cache::{Cache, Outcome, Taken, key};
use crate::exchange::Imports;
use crate::files::{self, Selection, digest_of, make_directory};
use crate::steps::{Command, Ground, News, Output, Source, Steps, View};
use crate::{CopyFiles, Error, Exec, Input, Op, Plan};

/// A build that is about to be done.
pub struct Build<S> {
    /// The images, and where layers go.
    pub images: Images,
    /// What is known.
    pub cache: Cache,
    /// What others know.
    pub imports: Arc<Imports>,
    /// Who does it.
    pub steps: S,
    /// The contexts; the main one without a name.
    pub contexts: BTreeMap<Option<String>, View>,
    /// The images that something is built on, or taken from.
    pub bases: BTreeMap<(String, Option<String>), Image>,
    /// Whether all is done anew.
    pub no_cache: bool,
    /// Stages of which all is done anew.
    pub no_cache_stages: BTreeSet<String>,
    /// The time that all files and the image are to have, in seconds since the epoch.
    pub time: Option<i64>,
    /// Where commands run.
    pub around: Around,
    /// Where news goes.
    pub news: mpsc::Sender<News>,
}

/// What commands find where they run, as far as it says what they do: with another network they are done again, with
/// the same names of other addresses they are not. As BuildKit has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Around {
    /// The network of commands that name none; empty for the usual one.
    pub network: String,
    /// The names of `--add-host`.
    pub hosts: Vec<String>,
    /// `--shm-size`, `--ulimit`, `--cgroup-parent`.
    pub limits: Vec<String>,
}

impl Around {
    /// What is said of it with a command; of the usual place nothing.
    fn text(&self, exec: &Exec) -> String {
        let mut around = self.clone();
        if exec.network != Network::Default {
            around.network.clear();
        }
        match around == Self::default() {
            true => String::new(),
            // Strings alone: there is nothing to fail.
            false => serde_json::to_string(&around).unwrap_or_default(),
        }
    }
}

/// A step that was done, or was known.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// The layers that its files are made of, base first.
    pub layers: Vec<Layer>,
    /// Whether the last of them is its own.
    pub changed: bool,
    /// When it was done, RFC 3339; of images nothing.
    pub created: Option<String>,
    /// What it is known by; of images nothing.
    pub keys: Vec<String>,
}

impl Finished {
    fn top(&self) -> Option<&ChainId> {
        self.layers.last().map(|layer| &layer.chain_id)
    }
}

/// A step that could not be done.
#[derive(Debug)]
pub struct Failed {
    /// Which.
    pub step: usize,
    /// Why.
    pub error: Error,
}

/// The steps of a plan, done.
pub struct Results {
    /// One for each step.
    pub finished: Vec<Arc<Finished>>,
    /// The keys of those that were known: see [`Cache::used`].
    pub used: Vec<String>,
    /// Until this goes, all layers stay.
    pub lease: Lease,
}

impl<S: Steps> Build<S> {
    /// Does the steps. When the future is dropped, so is what runs. The lease is the one under which the images that
    /// something is built on were found.
    ///
    /// # Errors
    /// The first step that fails; those that run beside it are ended.
    pub async fn run(&self, plan: &Plan) -> Result<Results, Failed> {
        let lease = self.images.store().lease();
        let known = Seen::default();
        let mut finished: Vec<Option<Arc<Finished>>> = vec![None; plan.steps.len()];
        let mut begun = vec![false; plan.steps.len()];
        let mut running = FuturesUnordered::new();
        loop {
            for (number, step) in plan.steps.iter().enumerate() {
                let mut needed = step.below.into_iter().chain(step.op.inputs());
                if begun[number] || !needed.all(|needed| finished[needed].is_some()) {
                    continue;
                }
                begun[number] = true;
                let inputs = finished.clone();
                let known = &known;
                running.push(async move {
                    let done = self.step(plan, number, &inputs, known).await;
                    (number, done)
                });
            }
            match running.next().await {
                None => break,
                Some((number, Ok(done))) => finished[number] = Some(Arc::new(done)),
                Some((step, Err(error))) => {
                    drop(running);
                    return Err(Failed { step, error });
                }
            }
        }
        drop(running);
        let finished = finished.into_iter().map(Option::unwrap_or_default);
        let mut finished: Vec<_> = finished.collect();
        let Seen { used, taken } = known;
        let taken = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !taken.is_empty() {
            let step = plan.image.files.unwrap_or_default();
            let settled = self.settle(plan, taken, &mut finished).await;
            settled.map_err(|error| Failed { step, error })?;
        }
        Ok(Results {
            finished,
            used: used.into_inner().unwrap_or_else(PoisonError::into_inner),
            lease,
        })
    }

    /// Brings the layers of the image as far as others had them, and writes down what they knew.
    async fn settle(
        &self,
        plan: &Plan,
        taken: Vec<Taken>,
        finished: &mut [Arc<Finished>],
    ) -> Result<(), Error> {
        if let Some(files) = plan.image.files.and_then(|files| finished.get_mut(files)) {
            let mut done = Finished::clone(files);
            self.imports.bring(&self.images, &done.layers).await?;
            for layer in &mut done.layers {
                // Its size was said by others.
                if let Some(found) = self.images.store().layer(&layer.chain_id)? {
                    layer.size = found.size;
                }
            }
            *files = Arc::new(done);
        }
        let cache = self.cache.clone();
        let keep = move || cache.keep_taken(&taken);
        onggi_rt::blocking("keep what others knew", keep).await?
    }

    async fn step(
        &self,
        plan: &Plan,
        number: usize,
        finished: &[Option<Arc<Finished>>],
        known: &Seen,
    ) -> Result<Finished, Error> {
        let output = Output {
            step: number,
            news: self.news.clone(),
        };
        output.tell(News::Started { step: number }).await;
        let done = self.do_step(plan, number, finished, known, &output).await;
        let lines = plan.steps[number].lines;
        let done = done.map_err(|error| error.at(lines));
        let (cached, top, error) = match &done {
            Ok((done, cached)) => (*cached, done.top().cloned(), None),
            Err(error) => (false, None, Some(error.to_string())),
        };
        output
            .tell(News::Done {
                step: number,
                cached,
                top,
                error,
            })
            .await;
        done.map(|(done, _)| done)
    }

    /// What comes out of a step, and whether that was known.
    async fn do_step(
        &self,
        plan: &Plan,
        number: usize,
        finished: &[Option<Arc<Finished>>],
        known: &Seen,
        output: &Output,
    ) -> Result<(Finished, bool), Error> {
        let step = &plan.steps[number];
        let of = |step: usize| finished[step].clone().unwrap_or_default();
        let below = step.below.map(of).unwrap_or_default();
        let work = Work {
            plan,
            below: below.top().cloned(),
            layers: &below.layers,
            anew: self.no_cache || self.no_cache_stages.contains(&step.stage),
            stands_alone: matches!(&step.op, Op::Copy(copy) if stands_alone(copy)),
            description: &step.name,
            known,
        };
        let (outcome, cached) = match &step.op {
            Op::Image(image) => {
                let key = (image.name.clone(), image.platform.clone());
                let base = self.bases.get(&key);
                let base = base.ok_or_else(|| Error::new(format!("{}: not found", image.name)))?;
                let done = Finished {
                    layers: self.images.layers_of(base)?,
                    changed: false,
                    created: None,
                    keys: Vec::new(),
                };
                return Ok((done, false));
            }
            Op::Run(exec) => self.command(exec, &work, &of, output).await?,
            Op::Copy(copy) => self.copy(copy, &step.op, &work, &of).await?,
            Op::Directory(directory) => {
                let keys = [key(work.below.as_ref(), &self.text(&step.op), &[])];
                let directory = directory.clone();
                let work_done = || {
                    let ground = Ground::of(work.below.as_ref());
                    self.steps.change(ground, self.time, move |root| {
                        Ok(make_directory(root, &directory)?)
                    })
                };
                self.once(&work, &keys, work_done).await?
            }
        };
        let mut layers = below.layers.clone();
        let changed = outcome.layer.is_some();
        layers.extend(outcome.layer);
        let done = Finished {
            layers,
            changed,
            created: Some(outcome.created),
            keys: outcome.keys,
        };
        Ok((done, cached))
    }

    async fn command(
        &self,
        exec: &Exec,
        work: &Work<'_>,
        of: &(impl Fn(usize) -> Arc<Finished> + Sync),
        output: &Output,
    ) -> Result<(Outcome, bool), Error> {
        let mut sources = Vec::new();
        for mount in &exec.mounts {
            let source = Source::of(mount.input.as_ref(), |step| of(step).top().cloned());
            sources.push(source);
        }
        let op = Op::Run(exec.clone());
        let around = self.around.text(exec);
        let with = |deed: String| self.dated(format!("{deed}{around}"));
        let mut keys = Vec::new();
        if sources.iter().any(|it| matches!(it, Source::Layers(_))) {
            // The same files in the same layers need no look at them.
            let inputs = self.seen(exec, &sources, work, Look::AtNames).await?;
            keys.push(key(work.below.as_ref(), &with(op.text()), &inputs));
            if let Some(known) = self.known(work, &keys).await? {
                return Ok((known, true));
            }
        }
        let inputs = self.seen(exec, &sources, work, Look::AtFiles).await?;
        keys.push(key(work.below.as_ref(), &with(op.deed()), &inputs));
        let command = Command {
            exec,
            sources,
            time: self.time,
        };
        let run = || async {
            for mount in &exec.mounts {
                if let Some(Input::Step(step)) = &mount.input {
                    self.imports.bring(&self.images, &of(*step).layers).await?;
                }
            }
            self.steps.run(work.below.as_ref(), &command, output).await
        };
        self.once(work, &keys, run).await
    }

    /// What a command sees by its mounts, one for each.
    async fn seen(
        &self,
        exec: &Exec,
        sources: &[Source],
        work: &Work<'_>,
        look: Look,
    ) -> Result<Vec<String>, Error> {
        let mut inputs = Vec::new();
        for (mount, source) in exec.mounts.iter().zip(sources) {
            let view = match (source, mount.input.as_ref()) {
                (Source::Nothing, _) | (_, None) => {
                    inputs.push(String::new());
                    continue;
                }
                (Source::Layers(Some(top)), _) if look == Look::AtNames => {
                    inputs.push(format!("layers {top}"));
                    continue;
                }
                (Source::Layers(top), Some(input)) => {
                    self.steps.view(top.as_ref(), &work.called(input)).await?
                }
                (Source::Context(name), _) => self.context(name.as_ref())?,
            };
            let path = mount.mount.source.clone().unwrap_or_default();
            let digest = onggi_rt::blocking("hash what a command sees", move || {
                digest_of(view.tree(), &path)
            });
            inputs.push(digest.await??);
        }
        Ok(inputs)
    }

    async fn copy(
        &self,
        copy: &CopyFiles,
        op: &Op,
        work: &Work<'_>,
        of: &(impl Fn(usize) -> Arc<Finished> + Sync),
    ) -> Result<(Outcome, bool), Error> {
        let (text, deed) = (self.text(op), self.dated(op.deed()));
        let below = work.on();
        let mut keys = Vec::new();
        let mut takes: Vec<(View, CopyFiles)> = Vec::new();
        let (remote, local): (Vec<String>, Vec<String>) = copy
            .sources
            .iter()
            .cloned()
            .partition(|source| copy.add.is_some() && files::is_remote(source));
        if !local.is_empty() || !copy.files.is_empty() {
            let view = match &copy.input {
                Input::Context(name) => self.context(name.as_ref())?,
                Input::Step(step) => {
                    let from = of(*step);
                    let top = from.top().map(ToString::to_string).unwrap_or_default();
                    // The same files in the same layers need no look at them.
                    keys.push(key(below, &text, &[format!("layers {top}")]));
                    if let Some(known) = self.known(work, &keys).await? {
                        return Ok((known, true));
                    }
                    self.imports.bring(&self.images, &from.layers).await?;
                    let called = work.called(&copy.input);
                    self.steps.view(from.top(), &called).await?
                }
                Input::Nothing => return Err(Error::new("there is nothing to copy from")),
            };
            let sources = local;
            takes.push((
                view,
                CopyFiles {
                    sources,
                    ..copy.clone()
                },
            ));
        }
        for source in remote {
            let view = self.steps.fetch(&source, copy).await?;
            takes.push(view);
        }
        let takes = Arc::new(takes);
        keys.push(key(below, &deed, &digests(&takes, Know::All).await?));
        if takes.iter().any(|(view, _)| view.tree().is_identified()) {
            if let Some(known) = self.known(work, &keys).await? {
                return Ok((known, true));
            }
            keys.push(key(below, &deed, &digests(&takes, Know::Content).await?));
        }
        let ground = Ground {
            seen: below,
            parent: work.below.as_ref(),
        };
        let place = || {
            self.steps.change(ground, self.time, move |root| {
                for (view, files) in takes.iter() {
                    Selection::of(view.tree(), files)?.place(root)?;
                }
                Ok(())
            })
        };
        self.once(work, &keys, place).await
    }

    /// Does what is not known, and keeps what comes out. Nobody else does the same meanwhile.
    async fn once<F>(
        &self,
        work: &Work<'_>,
        keys: &[String],
        act: impl FnOnce() -> F,
    ) -> Result<(Outcome, bool), Error>
    where
        F: Future<Output = Result<Option<Layer>, Error>>,
    {
        let last = keys.last().map(String::as_str).unwrap_or_default();
        let turn = self.cache.turn(last);
        let _turn = turn.lock().await;
        if let Some(known) = self.known(work, keys).await? {
            return Ok((known, true));
        }
        self.imports.bring(&self.images, work.layers).await?;
        let layer = act().await?;
        let created = match self.time {
            None => Timestamp::now(),
            Some(time) => Timestamp::from_unix(time, 0).unwrap_or_default(),
        };
        let outcome = Outcome {
            layer,
            created: created.to_string(),
            keys: keys.to_vec(),
        };
        self.keep(work, &outcome).await?;
        Ok((outcome, false))
    }

    /// What came out of a step before.
    async fn known(&self, work: &Work<'_>, keys: &[String]) -> Result<Option<Outcome>, Error> {
        if work.anew {
            return Ok(None);
        }
        for key in keys {
            let Some(mut outcome) = self.cache.find(key)? else {
                continue;
            };
            outcome.keys = keys.to_vec();
            if work.stands_alone && !self.moved(work, &mut outcome).await? {
                continue;
            }
            let used = work.known.used.lock();
            used.unwrap_or_else(PoisonError::into_inner)
                .push(key.clone());
            return Ok(Some(outcome));
        }
        for key in keys {
            if let Some(outcome) = self.imports.find(key, work.below.as_ref()) {
                let taken = Taken {
                    below: work.below.clone(),
                    description: work.description.to_owned(),
                    outcome: outcome.clone(),
                };
                let all = work.known.taken.lock();
                all.unwrap_or_else(PoisonError::into_inner).push(taken);
                let keys = keys.to_vec();
                return Ok(Some(Outcome { keys, ..outcome }));
            }
        }
        Ok(None)
    }

    /// Puts what was known with other files below on those that are below now. Says whether it could be.
    async fn moved(&self, work: &Work<'_>, outcome: &mut Outcome) -> Result<bool, Error> {
        let Some(layer) = outcome.layer.clone() else {
            return Ok(true);
        };
        self.imports.bring(&self.images, work.layers).await?;
        let (images, below) = (self.images.clone(), work.below.clone());
        let moved = onggi_rt::blocking("put a layer on another", move || {
            images.layer_on(below.as_ref(), &layer)
        });
        let (layer, moved) = match moved.await? {
            Ok(moved) => moved,
            Err(error) if error.is_full() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "a layer that is known is made anew");
                return Ok(false);
            }
        };
        outcome.layer = Some(layer);
        if moved == Moved::Yes {
            // The next time it is likely to be wanted here.
            self.keep(work, outcome).await?;
        }
        Ok(true)
    }

    async fn keep(&self, work: &Work<'_>, outcome: &Outcome) -> Result<(), Error> {
        let (cache, below) = (self.cache.clone(), work.below.clone());
        let (description, kept) = (work.description.to_owned(), outcome.clone());
        onggi_rt::blocking("keep what a step left", move || {
            cache.keep(below.as_ref(), &description, &kept)
        })
        .await?
    }

    fn context(&self, name: Option<&String>) -> Result<View, Error> {
        self.contexts
            .get(&name.cloned())
            .cloned()
            .ok_or_else(|| match name {
                None => Error::new("there is no build context"),
                Some(name) => Error::new(format!("there is no build context named {name}")),
            })
    }

    /// What says what a step does, and which times its files get.
    fn text(&self, op: &Op) -> String {
        self.dated(op.text())
    }

    fn dated(&self, text: String) -> String {
        match self.time {
            None => text,
            Some(time) => format!("{text} at {time}"),
        }
    }
}

/// What a step is done with.
struct Work<'a> {
    plan: &'a Plan,
    below: Option<ChainId>,
    /// What that is made of.
    layers: &'a [Layer],
    anew: bool,
    /// What comes out is the same whatever is below.
    stands_alone: bool,
    description: &'a str,
    known: &'a Seen,
}

/// What was known of a build's steps.
#[derive(Default)]
struct Seen {
    /// The keys of those that were known here.
    used: Mutex<Vec<String>>,
    /// Those that others knew.
    taken: Mutex<Vec<Taken>>,
}

impl Work<'_> {
    /// The layers that what comes out depends on.
    fn on(&self) -> Option<&ChainId> {
        self.below.as_ref().filter(|_| !self.stands_alone)
    }

    /// What errors call the files of an input.
    fn called(&self, input: &Input) -> String {
        let Input::Step(step) = input else {
            return "context".to_owned();
        };
        let step = &self.plan.steps[*step];
        match (&step.op, step.stage.strip_prefix("stage-")) {
            (Op::Image(image), _) => format!("image {}", image.name),
            (_, Some(number)) if number.parse::<usize>().is_ok() => format!("stage {number}"),
            _ => format!("stage {}", step.stage),
        }
    }
}

/// What sources are known by, one digest for each.
async fn digests(takes: &Arc<Vec<(View, CopyFiles)>>, by: Know) -> Result<Vec<String>, Error> {
    let takes = takes.clone();
    let digests = onggi_rt::blocking("hash what is copied", move || {
        let digest = |(view, files): &(View, CopyFiles)| {
            let selection = Selection::of(view.tree(), files)?;
            match by {
                Know::All => selection.digest(),
                Know::Content => selection.content_digest(),
            }
        };
        takes
            .iter()
            .map(digest)
            .collect::<Result<_, files::Error>>()
    });
    Ok(digests.await??)
}

/// By what files are known.
#[derive(Clone, Copy, Debug)]
enum Know {
    /// By what says all that is in their tree, where there is something: a commit.
    All,
    /// By their content.
    Content,
}

/// How what a command sees is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Layers are known by their names.
    AtNames,
    /// All is known by its content.
    AtFiles,
}

/// Whether what is copied lies over whatever is below: no link there leads it elsewhere, and nobody there has a name.
fn stands_alone(copy: &CopyFiles) -> bool {
    copy.link && !needs_names(copy)
}

/// Whether owners are named, so that the files below must say who they are.
fn needs_names(copy: &CopyFiles) -> bool {
    let owners = copy.chown.as_deref().unwrap_or_default();
    !owners
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b':')
}
