//! What the library leaves to its caller: logins, and builds, each by the way of `build`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onggi_compose::{Application, Host, Service};
use onggi_model::ImageRef;
use tokio::sync::Mutex;

use super::recipe::recipe;
use super::show::Mode;
use crate::Cli;
use crate::settings::{Environment, Settings};

/// The command line, as the library needs it.
pub(super) struct Builder {
    program: String,
    environment: Environment,
    settings: Settings,
    /// How builds show what they do.
    progress: &'static str,
    /// Builds show one after the other what they do, and nobody else meanwhile.
    turn: Mutex<()>,
    hidden: Arc<AtomicBool>,
}

impl Builder {
    pub(super) fn of(cli: &Cli, quiet: bool, mode: Mode, hidden: Arc<AtomicBool>) -> Self {
        Builder {
            program: cli.program.clone(),
            environment: cli.environment.clone(),
            settings: cli.settings.clone(),
            progress: match mode {
                _ if quiet => "quiet",
                Mode::Terminal(..) => "tty",
                Mode::Plain => "plain",
                Mode::Json => "rawjson",
                Mode::Quiet => "quiet",
            },
            turn: Mutex::new(()),
            hidden,
        }
    }
}

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Host for Builder {
    fn login<'a>(&'a self, image: &'a str) -> Later<'a, String> {
        Box::pin(async move {
            let reference = ImageRef::parse(image).ok();
            let auth = reference.map(|name| self.settings.file.registry_auth(name.domain()));
            // A login out of reach: what is public can be had all the same.
            auth.and_then(Result::ok).unwrap_or_default()
        })
    }

    fn build<'a>(
        &'a self,
        application: &'a Application,
        service: &'a Service,
        image: &'a str,
    ) -> Later<'a, Result<(), String>> {
        Box::pin(async move {
            let mut recipe = recipe(application, service, image)?;
            recipe
                .words
                .splice(0..0, ["--progress".to_owned(), self.progress.to_owned()]);
            let _turn = self.turn.lock().await;
            self.hidden.store(true, Ordering::Relaxed);
            // The build has a runtime of its own.
            let mut own = Cli::new(self.program.clone(), self.environment.clone());
            own.environment.extend(application.variables.clone());
            own.settings = self.settings.clone();
            own.settings.on_demand = false;
            let built = tokio::task::spawn_blocking(move || {
                crate::build::run::build(&mut own, &recipe.words, recipe.dockerfile)
                    .and_then(|_| own.flush())
                    .map_err(|error| error.message)
            });
            let built = built.await;
            self.hidden.store(false, Ordering::Relaxed);
            built.unwrap_or_else(|_| Err("the thread that builds panicked".to_owned()))
        })
    }
}
