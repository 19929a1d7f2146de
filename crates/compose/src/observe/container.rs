//! A container of a project, as a list of containers tells of it.

use std::collections::BTreeMap;

use onggi_api::container::Summary;

use crate::labels;

/// Where a container stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Made, and never started.
    #[default]
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It ended and will be started again.
    Restarting,
    /// It is being removed.
    Removing,
    /// It ended.
    Exited,
    /// It could not be removed.
    Dead,
}

impl State {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Reads Docker's word; one that nobody knows is a container that does not run.
    pub fn parse(text: &str) -> Self {
        match text {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "dead" => Self::Dead,
            _ => Self::Exited,
        }
    }

    /// Has it a process?
    pub fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// What a container's health check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It has none, or does not run.
    #[default]
    None,
    /// It cannot be told yet.
    Starting,
    /// All is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl Health {
    /// Docker's word; empty without a check.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Reads Docker's word.
    pub fn parse(text: &str) -> Self {
        match text {
            "starting" => Self::Starting,
            "healthy" => Self::Healthy,
            "unhealthy" => Self::Unhealthy,
            _ => Self::None,
        }
    }
}

/// A container of a project.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// The service it belongs to; empty where its labels do not say.
    pub service: String,
    /// Which container of its service it is; 0 for those of `run`.
    pub number: u32,
    /// Is it one of `run`?
    pub oneoff: bool,
    /// Where it stands.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// With which code it ended.
    pub exit_code: Option<i64>,
    /// The image as it was named.
    pub image: String,
    /// The hash of what it was made of; empty where it has none.
    pub config_hash: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// What else the list says.
    pub summary: Summary,
}

impl Container {
    /// A container of a list.
    pub fn of(summary: Summary) -> Self {
        let label = |name: &str| summary.labels.get(name).cloned().unwrap_or_default();
        let names = summary.names.iter();
        // Links give a container further names, with more slashes in them.
        let own = names.map(|name| name.trim_start_matches('/'));
        let name = own.clone().find(|name| !name.contains('/'));
        let name = name
            .or_else(|| own.clone().next())
            .unwrap_or_default()
            .to_owned();
        Self {
            id: summary.id.clone(),
            name,
            service: label(labels::SERVICE),
            number: label(labels::NUMBER).parse().unwrap_or_default(),
            oneoff: label(labels::ONEOFF).eq_ignore_ascii_case("true"),
            state: State::parse(&summary.state),
            health: health(&summary),
            exit_code: exit_code(&summary.status),
            image: summary.image.clone(),
            config_hash: label(labels::CONFIG_HASH),
            labels: summary.labels.clone(),
            summary,
        }
    }

    /// Was it made by this program? The hash of others says nothing here.
    pub fn is_ours(&self) -> bool {
        let version = self.labels.get(labels::VERSION);
        version.is_some_and(|version| version.starts_with("onggi-"))
    }

    /// What it waited for when it was made: service, condition, restart.
    pub fn depends_on(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let text = self.labels.get(labels::DEPENDS_ON);
        let items = text.map_or("", String::as_str).split(',');
        items.filter(|item| !item.is_empty()).map(|item| {
            let mut parts = item.split(':');
            let service = parts.next().unwrap_or_default();
            let condition = parts.next().unwrap_or("service_started");
            (service, condition, parts.next() == Some("true"))
        })
    }
}

/// Said by daemons of today; older ones say it in the status only.
fn health(summary: &Summary) -> Health {
    if let Some(health) = &summary.health {
        return Health::parse(&health.status);
    }
    let status = &summary.status;
    let word = status
        .rsplit_once('(')
        .and_then(|(_, word)| word.strip_suffix(')'));
    match word {
        Some("health: starting") => Health::Starting,
        Some(word) => Health::parse(word),
        None => Health::None,
    }
}

/// `Exited (137) 2 minutes ago`
fn exit_code(status: &str) -> Option<i64> {
    let rest = status
        .strip_prefix("Exited (")
        .or_else(|| status.strip_prefix("Restarting ("))?;
    rest.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(status: &str, health: Option<&str>) -> Container {
        Container::of(Summary {
            status: status.to_owned(),
            health: health.map(|status| onggi_api::container::HealthSummary {
                status: status.to_owned(),
                ..Default::default()
            }),
            names: vec!["/web-1/db".to_owned(), "/db-1".to_owned()],
            ..Summary::default()
        })
    }

    #[test]
    fn health_and_exit_codes_are_read_from_the_status() {
        for (status, said, health, code) in [
            ("Up 3 minutes (healthy)", None, Health::Healthy, None),
            ("Up 3 minutes (unhealthy)", None, Health::Unhealthy, None),
            (
                "Up 3 minutes (health: starting)",
                None,
                Health::Starting,
                None,
            ),
            ("Up 3 minutes", None, Health::None, None),
            ("Up 3 minutes", Some("healthy"), Health::Healthy, None),
            ("Up 3 minutes", Some("none"), Health::None, None),
            ("Up 3 minutes (Paused)", None, Health::None, None),
            ("Exited (137) 2 minutes ago", None, Health::None, Some(137)),
            ("Restarting (1) 2 seconds ago", None, Health::None, Some(1)),
            ("Created", None, Health::None, None),
        ] {
            let container = container(status, said);
            assert_eq!(container.health, health, "{status}");
            assert_eq!(container.exit_code, code, "{status}");
        }
    }

    #[test]
    fn names_given_by_links_are_not_the_container_s_own() {
        assert_eq!(container("", None).name, "db-1");
    }

    #[test]
    fn dependencies_are_read_from_the_label() {
        let mut container = container("", None);
        let text = "db:service_healthy:true,cache:service_started:false,old";
        container
            .labels
            .insert(labels::DEPENDS_ON.to_owned(), text.to_owned());
        let found: Vec<_> = container.depends_on().collect();
        let wanted = [
            ("db", "service_healthy", true),
            ("cache", "service_started", false),
            ("old", "service_started", false),
        ];
        assert_eq!(found, wanted);
    }
}
