//! A project in a folder, and a daemon.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use futures_util::future::{BoxFuture, FutureExt as _};
use onggi_client::{Client, Endpoint, Options as ClientOptions};
use onggi_compose::command::{Down, Up};
use onggi_compose::plan::Plan;
use onggi_compose::{
    Application, Compose, Container, Event, Failure, Host, Known, Observed, Options, Service, load,
    observe,
};
use onggi_testkit::{Daemon, Subject};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;

/// Nobody's logins; a build gives busybox another name.
struct Helper(Client);

impl Host for Helper {
    fn login<'a>(&'a self, _image: &'a str) -> BoxFuture<'a, String> {
        async { String::new() }.boxed()
    }

    fn build<'a>(
        &'a self,
        _application: &'a Application,
        _service: &'a Service,
        image: &'a str,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let (name, tag) = image.split_once(':').unwrap_or((image, "latest"));
            let tagged = self.0.image_tag("busybox", name, tag).await;
            tagged.map(drop).map_err(|error| error.to_string())
        }
        .boxed()
    }
}

pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) client: Client,
    folder: tempfile::TempDir,
    runtime: Runtime,
}

impl Scene {
    /// A daemon with busybox, and a file that says this.
    pub(crate) fn new(text: &str) -> Result<Self> {
        let daemon = Daemon::start()?;
        daemon.load_busybox()?;
        let endpoint = Endpoint::Unix(daemon.socket());
        let scene = Self {
            client: Client::new(endpoint, ClientOptions::default())?,
            daemon,
            folder: tempfile::tempdir()?,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        };
        scene.write(text)?;
        Ok(scene)
    }

    /// A client without connections from before, as another command has it.
    pub(crate) fn connect(&mut self) -> Result<()> {
        let endpoint = Endpoint::Unix(self.daemon.socket());
        self.client = Client::new(endpoint, ClientOptions::default())?;
        Ok(())
    }

    pub(crate) fn is_onggi(&self) -> bool {
        self.daemon.subject() == Subject::Onggi
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the project's file.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(self.path("compose.yaml"), text)?)
    }

    pub(crate) fn application(&self) -> Result<Application> {
        let options = Options {
            directory: self.folder.path().to_owned(),
            project_name: Some("p".to_owned()),
            environment: vec![("TOKEN".to_owned(), "from the shell".to_owned())],
            ..Options::default()
        };
        Ok(Application::of(&load(&options)?)?)
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Carries something out; gives what was told on the way, `Container p-web-1 Started`.
    pub(crate) fn with<T>(&self, work: impl AsyncFnOnce(Compose<'_>) -> T) -> (T, Vec<String>) {
        let host = Helper(self.client.clone());
        let (send, mut receive) = unbounded_channel::<Event>();
        let compose = Compose {
            client: &self.client,
            host: &host,
            events: Some(send),
            parallel: None,
        };
        let result = self.run(work(compose));
        let mut told = Vec::new();
        while let Ok(event) = receive.try_recv() {
            told.push(format!(
                "{} {} {}",
                event.thing.as_str(),
                event.name,
                event.word.as_str()
            ));
        }
        (result, told)
    }

    /// `up`, forgotten as soon as this word is told: as if its process was killed.
    pub(crate) fn with_dropped(&self, application: &Application, up: &Up, word: &str) {
        let host = Helper(self.client.clone());
        let (send, mut receive) = unbounded_channel::<Event>();
        let compose = Compose {
            client: &self.client,
            host: &host,
            events: Some(send),
            parallel: None,
        };
        let heard = async {
            while let Some(event) = receive.recv().await {
                if event.word.as_str() == word {
                    return;
                }
            }
        };
        self.run(async {
            tokio::select! {
                _ = compose.up(application, up) => (),
                () = heard => (),
            }
        });
    }

    /// `up` with these options.
    pub(crate) fn try_up(&self, up: &Up) -> Result<(Result<Plan, Failure>, Vec<String>)> {
        let application = self.application()?;
        Ok(self.with(async |compose| compose.up(&application, up).await))
    }

    /// `up`; gives what it did, one line each.
    pub(crate) fn up(&self, up: &Up) -> Result<Vec<String>> {
        let (plan, _) = self.try_up(up)?;
        Ok(lines(&plan?))
    }

    /// `down`
    pub(crate) fn down(&self, down: &Down) -> Result<Vec<String>> {
        let (plan, _) = self.with(async |compose| compose.down(Known::labels("p"), down).await);
        Ok(lines(&plan?))
    }

    pub(crate) fn observed(&self) -> Result<Observed> {
        Ok(self.run(observe(&self.client, "p"))?)
    }

    /// The containers as `name state`.
    pub(crate) fn states(&self) -> Result<Vec<String>> {
        let state = |one: &Container| format!("{} {}", one.name, one.state.as_str());
        Ok(self.observed()?.containers.iter().map(state).collect())
    }

    pub(crate) fn container(&self, name: &str) -> Result<Container> {
        let mut all = self.observed()?.containers.into_iter();
        all.find(|one| one.name == name)
            .context("no such container")
    }

    /// What a command in a container writes.
    pub(crate) fn exec(&self, name: &str, command: &[&str]) -> Result<String> {
        let mut arguments = vec!["exec", name];
        arguments.extend(command);
        let output = self.daemon.cli(&arguments)?;
        Ok(output.ok()?.to_owned())
    }

    /// Nothing of the project is left.
    pub(crate) fn nothing(&self) -> Result<()> {
        let observed = self.observed()?;
        ensure!(observed.containers.is_empty(), "{:?}", observed.containers);
        ensure!(observed.networks.is_empty(), "{:?}", observed.networks);
        Ok(())
    }
}

pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    plan.operations.iter().map(ToString::to_string).collect()
}
