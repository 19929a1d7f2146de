//! The containers of a project that a command means.

use onggi_compose::Container;

use super::project::Subject;
use crate::Cli;
use crate::error::{Error, Result};

/// Every container of the project, also those of `run`.
pub(super) fn all(cli: &mut Cli, subject: &Subject) -> Result<Vec<Container>> {
    let client = cli.client()?;
    Ok(cli.block_on(onggi_compose::containers(&client, &subject.name))??)
}

/// Whether these are services of the project, or at least have containers.
pub(super) fn check(subject: &Subject, found: &[Container], services: &[String]) -> Result<()> {
    let known = |name: &str| match &subject.project {
        Some(project) => project.service(name).is_some() || project.disabled.has(name),
        None => false,
    };
    let there = |name: &str| found.iter().any(|container| container.service == name);
    match services.iter().find(|name| !known(name) && !there(name)) {
        Some(name) => Err(Error::new(format!("no such service: {name}"))),
        None => Ok(()),
    }
}

/// The containers of these services, of all without any; those of `run` are left out.
pub(super) fn of(cli: &mut Cli, subject: &Subject, services: &[String]) -> Result<Vec<Container>> {
    let mut found = all(cli, subject)?;
    check(subject, &found, services)?;
    found.retain(|container| {
        !container.oneoff && (services.is_empty() || services.contains(&container.service))
    });
    Ok(found)
}

/// Which containers of a service may be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// Those that run.
    Running,
    /// All of them.
    All,
}

/// The container of a service with this number; the first one when it is 0, one of `run` when there is no other.
pub(super) fn one(
    cli: &mut Cli,
    subject: &Subject,
    service: &str,
    index: i64,
    among: Among,
) -> Result<Container> {
    let found = all(cli, subject)?;
    check(subject, &found, &[service.to_owned()])?;
    pick(found, service, index, among)
}

fn pick(found: Vec<Container>, service: &str, index: i64, among: Among) -> Result<Container> {
    let mut fitting: Vec<Container> = found
        .into_iter()
        .filter(|container| container.service == service)
        .filter(|container| among == Among::All || container.state.runs())
        .filter(|container| match index {
            0 => true,
            index => !container.oneoff && i64::from(container.number) == index,
        })
        .collect();
    fitting.sort_by_key(|container| (container.oneoff, container.number));
    let what = match among {
        Among::Running => "is not running",
        Among::All => "has no",
    };
    fitting.into_iter().next().ok_or_else(|| {
        Error::new(match (index, among) {
            (0, Among::Running) => format!("service {service:?} {what}"),
            (0, Among::All) => format!("service {service:?} {what} container"),
            (index, _) => format!("service {service:?} {what} container #{index}"),
        })
    })
}

/// `web-1`: what a container is called within its project.
pub(super) fn short_name(container: &Container) -> String {
    match container.oneoff || container.number == 0 {
        false => format!("{}-{}", container.service, container.number),
        true => container.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use onggi_compose::State;

    use super::*;

    fn container(number: u32, oneoff: bool, state: State) -> Container {
        Container {
            name: format!("p-web-{number}"),
            service: "web".to_owned(),
            number,
            oneoff,
            state,
            ..Container::default()
        }
    }

    #[test]
    fn a_service_s_container_is_found_by_its_number() {
        let found = || {
            vec![
                container(0, true, State::Running),
                container(3, false, State::Running),
                container(2, false, State::Exited),
            ]
        };
        let name = |index, among| {
            pick(found(), "web", index, among)
                .map(|container| container.number)
                .map_err(|error| error.message)
        };
        assert_eq!(name(0, Among::Running), Ok(3));
        assert_eq!(name(0, Among::All), Ok(2));
        assert_eq!(name(3, Among::Running), Ok(3));
        assert_eq!(
            name(2, Among::Running),
            Err("service \"web\" is not running container #2".to_owned())
        );
        assert_eq!(
            name(7, Among::All),
            Err("service \"web\" has no container #7".to_owned())
        );
        let none = pick(Vec::new(), "db", 0, Among::Running).unwrap_err();
        assert_eq!(none.message, "service \"db\" is not running");
    }
}
