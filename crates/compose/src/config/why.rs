//! `config --why VARIABLE`: every value a variable could have, and the one it has.

use std::fmt;

use crate::environment::{Candidate, Use};
use crate::node::Node;
use crate::project::{Project, Said};

/// Everything there is to say of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The variable.
    pub name: String,
    /// The values it could have where files use it, the one it has first.
    pub candidates: Vec<Candidate>,
    /// Where files use it, and what stands for it there when it has no value.
    pub uses: Vec<Use>,
    /// What it is in each service that has it.
    pub services: Vec<InService>,
}

/// A variable in a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InService {
    /// The service.
    pub service: String,
    /// Its value there; none when it is unset.
    pub value: Option<String>,
    /// What files say of it, what wins first.
    pub said: Vec<Said>,
}

/// Says where a variable's value comes from, in the files and in the services.
pub fn why(project: &Project, name: &str) -> Why {
    let mut services: Vec<InService> = Vec::new();
    for (service, node) in project.services() {
        let Some(value) = node.at(&["environment", name]) else {
            continue;
        };
        let of = |said: &&Said| said.service == service && said.name == name;
        services.push(InService {
            service: service.to_owned(),
            value: Node::scalar_text(value),
            said: project.said.iter().rev().filter(of).cloned().collect(),
        });
    }
    Why {
        name: name.to_owned(),
        candidates: project.environment.candidates(name).to_vec(),
        uses: project
            .uses
            .iter()
            .filter(|used| used.name == name)
            .cloned()
            .collect(),
        services,
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.candidates.first() {
            Some(winner) => writeln!(f, "{}={}", self.name, winner.value)?,
            None => writeln!(f, "{} is not set", self.name)?,
        }
        for (index, candidate) in self.candidates.iter().enumerate() {
            let mark = if index == 0 { '*' } else { ' ' };
            writeln!(f, "  {mark} {}  from {}", candidate.value, candidate.source)?;
        }
        for used in &self.uses {
            write!(f, "  used at {} ({})", used.place, used.path)?;
            match &used.default {
                Some(default) => writeln!(f, ", default '{default}'")?,
                None => writeln!(f)?,
            }
        }
        for service in &self.services {
            match &service.value {
                Some(value) => writeln!(f, "service {}: {}={value}", service.service, self.name)?,
                None => writeln!(f, "service {}: {} is unset", service.service, self.name)?,
            }
            for (index, said) in service.said.iter().enumerate() {
                let mark = if index == 0 { '*' } else { ' ' };
                let value = said.value.as_deref().unwrap_or("(from the environment)");
                writeln!(f, "  {mark} {value}  from {}", said.place)?;
            }
        }
        Ok(())
    }
}
