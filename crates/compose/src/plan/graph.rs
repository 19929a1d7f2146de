//! Who waits for whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Problem};
use crate::observe::Observed;
use crate::service::{Application, Condition, DependsOn};

/// The services and what each waits for, from the files or from the labels of containers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) edges: BTreeMap<String, BTreeMap<String, DependsOn>>,
}

impl Graph {
    /// What the files say.
    pub(crate) fn of(application: &Application) -> Self {
        let edges = application.services.iter();
        let edges = edges.map(|(name, service)| (name.clone(), service.depends_on.clone()));
        Self {
            edges: edges.collect(),
        }
    }

    /// What the labels of containers say, where the files say nothing.
    pub(crate) fn with_labels(mut self, observed: &Observed) -> Self {
        for container in &observed.containers {
            if container.oneoff || self.edges.contains_key(&container.service) {
                continue;
            }
            let depends = container.depends_on().map(|(name, condition, restart)| {
                let on = DependsOn {
                    condition: Condition::parse(condition),
                    restart,
                    required: true,
                };
                (name.to_owned(), on)
            });
            let depends: BTreeMap<_, _> = depends.collect();
            self.edges.insert(container.service.clone(), depends);
        }
        self
    }

    /// What a service waits for.
    pub(crate) fn of_service(&self, service: &str) -> impl Iterator<Item = (&str, DependsOn)> {
        let edges = self.edges.get(service).into_iter().flatten();
        edges.map(|(name, on)| (name.as_str(), *on))
    }

    /// Who waits for a service.
    pub(crate) fn dependents<'a>(
        &'a self,
        service: &'a str,
    ) -> impl Iterator<Item = (&'a str, DependsOn)> {
        self.edges
            .iter()
            .filter_map(move |(name, depends)| Some((name.as_str(), *depends.get(service)?)))
    }

    /// These services and all they wait for.
    pub(crate) fn closure(&self, services: &[String]) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<&str> = services.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            if all.insert(name.to_owned()) {
                let there = |(name, _): &(&str, DependsOn)| self.edges.contains_key(*name);
                open.extend(self.of_service(name).filter(there).map(|(name, _)| name));
            }
        }
        all
    }

    /// These services, each behind what it waits for.
    ///
    /// # Errors
    /// Services that wait in a circle.
    pub(crate) fn order(&self, services: &BTreeSet<String>) -> Result<Vec<String>, Error> {
        let mut order: Vec<String> = Vec::with_capacity(services.len());
        let mut left: BTreeSet<&str> = services.iter().map(String::as_str).collect();
        while !left.is_empty() {
            let free = left.iter().copied().filter(|name| {
                self.of_service(name)
                    .all(|(other, _)| other == *name || !left.contains(other))
            });
            let free: Vec<&str> = free.collect();
            if free.is_empty() {
                let names: Vec<&str> = left.into_iter().collect();
                let message = format!("dependency cycle detected: {}", names.join(" -> "));
                return Err(Problem::general(message).into());
            }
            for name in free {
                left.remove(name);
                order.push(name.to_owned());
            }
        }
        Ok(order)
    }
}
