//! Every project of an engine: what `compose ls` lists.

use std::collections::{BTreeMap, BTreeSet};

use onggi_client::container::List;
use onggi_client::{Client, Error};
use onggi_model::Filters;

use super::{Container, State};
use crate::labels;

/// A project, as its containers tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectSummary {
    /// Its name.
    pub name: String,
    /// How many of its containers stand where, by Docker's words.
    pub states: BTreeMap<&'static str, usize>,
    /// The files it was made of.
    pub config_files: Vec<String>,
    /// Its folder.
    pub working_dir: String,
}

impl ProjectSummary {
    /// `running(2), exited(1)`
    pub fn status(&self) -> String {
        let states = self.states.iter();
        let words: Vec<String> = states
            .map(|(word, count)| format!("{word}({count})"))
            .collect();
        words.join(", ")
    }
}

/// The projects that have containers; without `all` those of which one runs. Sorted by name.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn projects(client: &Client, all: bool) -> Result<Vec<ProjectSummary>, Error> {
    let mut filters = Filters::default();
    filters.add("label", labels::PROJECT);
    let list = List {
        all: true,
        filters,
        ..List::default()
    };
    let found = client.container_list(&list).await?;
    let containers: Vec<Container> = found.into_iter().map(Container::of).collect();
    Ok(summaries(&containers, all))
}

fn summaries(containers: &[Container], all: bool) -> Vec<ProjectSummary> {
    let mut projects: BTreeMap<&str, (ProjectSummary, BTreeSet<&str>)> = BTreeMap::new();
    for container in containers {
        let Some(name) = container.labels.get(labels::PROJECT) else {
            continue;
        };
        if container.oneoff || (!all && container.state != State::Running) {
            continue;
        }
        let (project, files) = projects.entry(name).or_default();
        project.name.clone_from(name);
        *project.states.entry(container.state.as_str()).or_default() += 1;
        let text = |label| container.labels.get(label).map_or("", String::as_str);
        files.extend(
            text(labels::CONFIG_FILES)
                .split(',')
                .filter(|f| !f.is_empty()),
        );
        if project.working_dir.is_empty() {
            text(labels::WORKING_DIR).clone_into(&mut project.working_dir);
        }
    }
    let finish = |(mut project, files): (ProjectSummary, BTreeSet<&str>)| {
        project.config_files = files.into_iter().map(str::to_owned).collect();
        project
    };
    projects.into_values().map(finish).collect()
}

#[cfg(test)]
mod tests {
    use onggi_api::container::Summary;

    use super::*;

    fn container(project: &str, state: &str, oneoff: &str) -> Container {
        let labels = [
            (labels::PROJECT, project),
            (labels::ONEOFF, oneoff),
            (labels::CONFIG_FILES, "/p/a.yaml,/p/b.yaml"),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Container::of(Summary {
            labels: labels.into(),
            state: state.to_owned(),
            ..Summary::default()
        })
    }

    #[test]
    fn projects_are_counted_by_state() {
        let containers = [
            container("b", "running", "False"),
            container("b", "exited", "False"),
            container("b", "running", "True"),
            container("a", "exited", "False"),
        ];
        let all = summaries(&containers, true);
        let told: Vec<_> = all.iter().map(|p| (p.name.as_str(), p.status())).collect();
        let wanted = [
            ("a", "exited(1)".to_owned()),
            ("b", "exited(1), running(1)".to_owned()),
        ];
        assert_eq!(told, wanted);
        assert_eq!(all[0].config_files, ["/p/a.yaml", "/p/b.yaml"]);
        let running = summaries(&containers, false);
        let told: Vec<_> = running
            .iter()
            .map(|p| (p.name.as_str(), p.status()))
            .collect();
        assert_eq!(told, [("b", "running(1)".to_owned())]);
    }
}
