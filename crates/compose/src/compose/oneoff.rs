//! Containers of `run`: a service's, with a command of their own, beside those that `up` makes.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::{Compose, Known};
use crate::command::{Run as Options, Up};
use crate::error::Problem;
use crate::execute::{Failure, Run};
use crate::request::Making;
use crate::service::{Application, Service};

impl Compose<'_> {
    /// Brings up what a service needs, and makes a container of it; gives its id. It is not started yet, so that whoever
    /// wants to be attached can be before.
    ///
    /// # Errors
    /// A service that is not there; as [`Compose::up`] and the making of a container.
    pub async fn run(&self, application: &Application, run: &Options) -> Result<String, Failure> {
        let Some(service) = application.services.get(&run.service) else {
            let message = format!("no such service: {}", run.service);
            return Err(Failure::Project(Problem::general(message).into()));
        };
        let up = Up {
            services: vec![run.service.clone()],
            prepare: Some(run.service.clone()),
            ..run.up.clone()
        };
        self.up(application, &up).await?;
        let facts = self.facts(application, &up).await?;
        let service = changed(service, run);
        let slug = slug();
        let making = Making {
            name: match &run.name {
                Some(name) => name.clone(),
                None => format!("{}-{}-run-{}", application.name, service.name, &slug[..12]),
            },
            oneoff: Some(slug),
            known: Run::new(
                self.client,
                self.host,
                None,
                &application.name,
                Some(application),
                &facts,
            )
            .known(),
            auto_remove: run.remove,
            attached: run.interactive,
            aliases: run.use_aliases,
            ..Making::default()
        };
        let known = Known::files(application);
        let maker = Run::new(
            self.client,
            self.host,
            self.events.clone(),
            known.name,
            known.application,
            &facts,
        );
        maker.make(application, &service, making, &[]).await
    }
}

/// The service as `run` wants it.
fn changed(service: &Service, run: &Options) -> Service {
    let mut service = service.clone();
    if !run.command.is_empty() {
        service.command = Some(run.command.clone());
    }
    if let Some(entrypoint) = &run.entrypoint {
        service.entrypoint = Some(entrypoint.clone());
        if run.command.is_empty() {
            service.command = None;
        }
    }
    service.environment.extend(run.environment.clone());
    service.labels.extend(run.labels.clone());
    if let Some(user) = &run.user {
        service.user.clone_from(user);
    }
    if let Some(folder) = &run.working_dir {
        service.working_dir.clone_from(folder);
    }
    service
        .volumes
        .retain(|volume| !run.volumes.iter().any(|one| one.target == volume.target));
    service.volumes.extend(run.volumes.iter().cloned());
    if !run.service_ports {
        service.ports.clear();
    }
    service.ports.extend(run.ports.iter().cloned());
    service.tty = run.tty;
    service.stdin_open = run.interactive;
    let capabilities = |own: &mut Option<Vec<String>>, more: &[String]| {
        if !more.is_empty() {
            own.get_or_insert_default().extend(more.iter().cloned());
        }
    };
    capabilities(&mut service.cap_add, &run.cap_add);
    capabilities(&mut service.cap_drop, &run.cap_drop);
    service.container_name.clear();
    service
}

/// Sixty-four hexadecimal digits that nobody has yet.
fn slug() -> String {
    let digits = |_| format!("{:016x}", RandomState::new().build_hasher().finish());
    (0..4).map(digits).collect()
}
