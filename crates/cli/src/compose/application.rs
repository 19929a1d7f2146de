//! The project with types, for the commands that change something.

use std::path::PathBuf;

use onggi_compose::plan::{Facts, Plan};
use onggi_compose::{Application, Known, Project};

use super::drive::{Manner, drive};
use super::project::{self, Subject};
use crate::Cli;
use crate::error::{Error, Result};

/// What an error of the library says.
pub(super) fn failed(error: onggi_compose::Error) -> Error {
    Error::new(error.to_string())
}

/// A project with types; what no daemon can do is refused of these services, of all without any.
pub(super) fn of(cli: &mut Cli, project: &Project, services: &[String]) -> Result<Application> {
    for warning in onggi_compose::check(project, services).map_err(failed)? {
        cli.complain(&format!("WARNING: {warning}"))?;
    }
    typed(cli, project)
}

/// A project with types, whatever its keys.
pub(super) fn typed(cli: &Cli, project: &Project) -> Result<Application> {
    let mut application = Application::of(project).map_err(failed)?;
    application.env_files = cli.group.all("env-file").map(PathBuf::from).collect();
    Ok(application)
}

/// The whole project, with the profiles of the services that are named.
pub(super) fn load(cli: &mut Cli, named: &[String]) -> Result<Application> {
    let mut options = project::options(cli)?;
    let project = project::load_with_profiles(cli, &mut options, named)?;
    of(cli, &project, named)
}

/// Makes a plan of what the daemon has of the project, and carries it out.
pub(super) fn act(
    cli: &mut Cli,
    title: &'static str,
    make: impl Fn(&str, Option<&Application>, &Facts) -> std::result::Result<Plan, onggi_compose::Error>,
) -> Result<Plan> {
    let Subject { name, project } = project::subject(cli)?;
    let application = match &project {
        Some(project) => Some(typed(cli, project)?),
        None => None,
    };
    let known = match &application {
        Some(application) => Known::files(application),
        None => Known::labels(&name),
    };
    let dry = cli.group.on("dry-run");
    let plan = drive(cli, Manner::titled(title), async |compose| {
        let facts = compose.observed(&name).await?;
        let plan = make(&name, application.as_ref(), &facts)?;
        if !dry {
            compose.execute(known, &facts, &plan).await?;
        }
        Ok(plan)
    })?;
    told(cli, &plan)?;
    Ok(plan)
}

/// What the user should know of a plan, and with `--dry-run` the plan itself.
pub(super) fn told(cli: &mut Cli, plan: &Plan) -> Result<()> {
    for warning in &plan.warnings {
        cli.complain(&format!("WARNING: {warning}"))?;
    }
    if cli.group.on("dry-run") {
        cli.print(&plan.to_string())?;
    }
    Ok(())
}
