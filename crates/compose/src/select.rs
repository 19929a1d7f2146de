//! A project with some of its services only: those that were named, and what they need.

use std::collections::BTreeSet;

use crate::error::{Error, Problem};
use crate::load::services;
use crate::node::{Map, Node, Place};
use crate::normalize;
use crate::options::Step;
use crate::profiles;
use crate::project::Project;

impl Project {
    /// The profiles a project is to be loaded with so that the services named are in it; nothing when they are already.
    pub fn profiles_of(&self, named: &[String]) -> Vec<String> {
        let missing = named.iter().filter_map(|name| self.disabled.get(name));
        let mut wanted: Vec<String> = missing.flat_map(profiles::of).map(str::to_owned).collect();
        if wanted.is_empty() {
            return wanted;
        }
        wanted.extend(self.active.iter().cloned());
        wanted.sort();
        wanted.dedup();
        wanted
    }

    /// Leaves only these services and what they need, and, unless `pruning` is skipped, only what those use.
    ///
    /// # Errors
    /// A service that is not there.
    pub fn select(&mut self, named: &[String], pruning: Step) -> Result<(), Error> {
        let mut wanted = BTreeSet::new();
        let mut waiting: Vec<&str> = named.iter().map(String::as_str).collect();
        while let Some(name) = waiting.pop() {
            let Some(service) = self.service(name) else {
                let problem = Problem::general(format!("no such service: {name}"));
                return Err(Error::not_found(problem));
            };
            if wanted.insert(name.to_owned()) {
                waiting.extend(needs(service).filter(|other| self.service(other).is_some()));
            }
        }
        if let Some(services) = services(&mut self.document) {
            services.retain(|name, _| wanted.contains(name));
        }
        if pruning == Step::Done {
            normalize::prune(&mut self.document);
        }
        Ok(())
    }

    /// Names the image of a service otherwise.
    pub fn set_image(&mut self, service: &str, image: &str) {
        let services = services(&mut self.document);
        if let Some(service) = services
            .and_then(|services| services.get_mut(service))
            .and_then(Node::as_map_mut)
        {
            service.set("image", Node::new(image, &Place::nowhere()));
        }
    }

    /// The services with nothing but their images: a file to lay over the others, which fixes them.
    pub fn of_images_only(&self) -> Project {
        let mut services = Map::new();
        for (name, service) in self.services() {
            let mut own = Map::new();
            if let Some(image) = service.get("image") {
                own.set("image", image.clone());
            }
            services.set(name, Node::new(own, &service.place));
        }
        let mut document = Map::new();
        document.set("services", Node::new(services, &self.document.place));
        Project {
            document: Node::new(document, &self.document.place),
            ..self.clone()
        }
    }
}

/// The services that must be there for one, whatever the reason.
fn needs(service: &Node) -> impl Iterator<Item = &str> {
    service.entries("depends_on").map(|(other, _)| other)
}
