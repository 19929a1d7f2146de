//! The commands, carried out: what the engine has is asked for, a plan made of it, and the plan carried out. Whoever wants
//! to see the plan alone asks for it.

mod gather; // what the engine has
mod oneoff; // containers of `run`

use std::collections::BTreeSet;

use onggi_client::Client;
use tokio::sync::mpsc::UnboundedSender;

use crate::command::{
    BuildImages, Down, Kill, Pause, Pull, PullImages, Remove, Restart, Start, Stop, Unpause, Up,
};
use crate::error::Error;
use crate::execute::{Event, Failure, Host, Run};
use crate::plan::{self, Act, Facts, Plan};
use crate::project::Project;
use crate::request;
use crate::service::Application;

/// Projects on an engine.
pub struct Compose<'a> {
    /// The engine.
    pub client: &'a Client,
    /// Logins and builds.
    pub host: &'a dyn Host,
    /// Where it is told how things go.
    pub events: Option<UnboundedSender<Event>>,
    /// How many operations are done at once; as many as serve well where nobody says.
    pub parallel: Option<usize>,
}

/// A project and what of it a command works on: with its files, or known by its labels alone.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its files say.
    pub application: Option<&'a Application>,
}

impl<'a> Known<'a> {
    /// A project with its files.
    pub fn files(application: &'a Application) -> Self {
        Self {
            name: &application.name,
            application: Some(application),
        }
    }

    /// A project without its files.
    pub fn labels(name: &'a str) -> Self {
        Self {
            name,
            application: None,
        }
    }
}

/// Refuses what no engine can do; gives what has no effect.
///
/// # Errors
/// Every key that is refused.
pub fn check(project: &Project, services: &[String]) -> Result<Vec<String>, Error> {
    let refusals = request::refuse(project, services);
    match refusals.problems.is_empty() {
        true => Ok(refusals.warnings),
        false => Err(refusals.problems.into()),
    }
}

impl Compose<'_> {
    /// Carries out a plan that was made of these facts.
    ///
    /// # Errors
    /// The operations that failed.
    pub async fn execute(
        &self,
        known: Known<'_>,
        facts: &Facts,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let run = Run::new(
            self.client,
            self.host,
            self.events.clone(),
            known.name,
            known.application,
            facts,
        );
        run.plan(plan, self.parallel).await
    }

    /// What `up` and `create` would do now.
    ///
    /// # Errors
    /// As [`plan::up`]; when the engine cannot be asked.
    pub async fn plan_up(
        &self,
        application: &Application,
        up: &Up,
    ) -> Result<(Facts, Plan), Failure> {
        let facts = self.facts(application, up).await?;
        let plan = plan::up(application, &facts, up)?;
        Ok((facts, plan))
    }

    /// `up` and `create`. Images that are pulled or built come first: what containers become depends on them.
    ///
    /// # Errors
    /// As [`Compose::plan_up`] and [`Compose::execute`].
    pub async fn up(&self, application: &Application, up: &Up) -> Result<Plan, Failure> {
        let known = Known::files(application);
        let (mut facts, mut plan) = self.plan_up(application, up).await?;
        let images = |act: &Act| matches!(act, Act::Pull { .. } | Act::Build { .. });
        if plan
            .operations
            .iter()
            .any(|operation| images(&operation.act))
        {
            // Which images these are is in the plan; they are asked for alone, and then nothing is left of that.
            let first = Plan {
                project: plan.project.clone(),
                operations: plan
                    .operations
                    .iter()
                    .filter(|one| images(&one.act))
                    .cloned()
                    .collect(),
                ..Plan::default()
            };
            self.execute(known, &facts, &first).await?;
            let done = Up {
                pull: Pull::Missing,
                build: false,
                no_build: false,
                ..up.clone()
            };
            (facts, plan) = self.plan_up(application, &done).await?;
        }
        self.execute(known, &facts, &plan).await?;
        Ok(plan)
    }

    /// `down`
    ///
    /// # Errors
    /// As [`plan::down`] and [`Compose::execute`].
    pub async fn down(&self, known: Known<'_>, down: &Down) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::down(known.name, known.application, facts, down)
        })
        .await
    }

    /// `start`
    ///
    /// # Errors
    /// As [`plan::start`] and [`Compose::execute`].
    pub async fn start(&self, known: Known<'_>, start: &Start) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::start(known.name, known.application, facts, start)
        })
        .await
    }

    /// `stop`
    ///
    /// # Errors
    /// As [`plan::stop`] and [`Compose::execute`].
    pub async fn stop(&self, known: Known<'_>, stop: &Stop) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::stop(known.name, known.application, facts, stop)
        })
        .await
    }

    /// `restart`
    ///
    /// # Errors
    /// As [`plan::restart`] and [`Compose::execute`].
    pub async fn restart(&self, known: Known<'_>, restart: &Restart) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::restart(known.name, known.application, facts, restart)
        })
        .await
    }

    /// `kill`
    ///
    /// # Errors
    /// As [`plan::kill`] and [`Compose::execute`].
    pub async fn kill(&self, known: Known<'_>, kill: &Kill) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::kill(known.name, known.application, facts, kill)
        })
        .await
    }

    /// `rm`
    ///
    /// # Errors
    /// As [`plan::remove`] and [`Compose::execute`].
    pub async fn remove(&self, known: Known<'_>, remove: &Remove) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::remove(known.name, known.application, facts, remove)
        })
        .await
    }

    /// `pause`
    ///
    /// # Errors
    /// As [`plan::pause`] and [`Compose::execute`].
    pub async fn pause(&self, known: Known<'_>, pause: &Pause) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::pause(known.name, known.application, facts, pause)
        })
        .await
    }

    /// `unpause`
    ///
    /// # Errors
    /// As [`plan::unpause`] and [`Compose::execute`].
    pub async fn unpause(&self, known: Known<'_>, unpause: &Unpause) -> Result<Plan, Failure> {
        self.of_observed(known, |facts| {
            plan::unpause(known.name, known.application, facts, unpause)
        })
        .await
    }

    /// `pull`
    ///
    /// # Errors
    /// A service that is not there; as [`Compose::execute`].
    pub async fn pull(
        &self,
        application: &Application,
        pull: &PullImages,
    ) -> Result<Plan, Failure> {
        let services = plan::named(application, &pull.services, pull.include_deps)?;
        let facts = self.images_of(application, &services).await?;
        let plan = plan::pull(application, &services, &facts, pull);
        self.execute(Known::files(application), &facts, &plan)
            .await?;
        Ok(plan)
    }

    /// `build`
    ///
    /// # Errors
    /// A service that is not there; as [`Compose::execute`].
    pub async fn build(
        &self,
        application: &Application,
        build: &BuildImages,
    ) -> Result<Plan, Failure> {
        let services = plan::named(application, &build.services, build.with_dependencies)?;
        let built: BTreeSet<String> = services
            .into_iter()
            .filter(|name| {
                application
                    .services
                    .get(name)
                    .is_some_and(|one| one.build.is_some())
            })
            .collect();
        let up = Up {
            build: true,
            ..Up::default()
        };
        let facts = Facts::default();
        let plan = plan::images(application, &built, &facts, &up)?;
        self.execute(Known::files(application), &facts, &plan)
            .await?;
        Ok(plan)
    }

    async fn of_observed(
        &self,
        known: Known<'_>,
        make: impl Fn(&Facts) -> Result<Plan, Error>,
    ) -> Result<Plan, Failure> {
        let facts = self.observed(known.name).await?;
        let plan = make(&facts)?;
        self.execute(known, &facts, &plan).await?;
        Ok(plan)
    }
}
