//! Services that wait for each other.

use std::collections::HashMap;

use crate::error::Problem;
use crate::node::Node;

/// How far a service has been looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
}

/// Refuses services that wait for each other.
///
/// # Errors
/// The circle, by name.
pub(super) fn check(document: &Node) -> Result<(), Problem> {
    let mut states = HashMap::new();
    for (name, _) in document.entries("services") {
        visit(document, name, &mut states, &mut Vec::new())?;
    }
    Ok(())
}

fn visit<'a>(
    document: &'a Node,
    name: &'a str,
    states: &mut HashMap<&'a str, State>,
    way: &mut Vec<&'a str>,
) -> Result<(), Problem> {
    match states.get(name) {
        Some(State::Done) => return Ok(()),
        Some(State::Open) => {
            let start = way.iter().position(|one| *one == name).unwrap_or(0);
            let circle = [&way[start..], &[name]].concat().join(" -> ");
            let place = document
                .at(&["services", name])
                .map(|service| &service.place);
            let message = format!("dependency cycle detected: {circle}");
            return Err(match place {
                Some(place) => Problem::new(place, format!("services.{name}"), message),
                None => Problem::general(message),
            });
        }
        None => (),
    }
    states.insert(name, State::Open);
    way.push(name);
    if let Some(service) = document.at(&["services", name]) {
        for (other, _) in service.entries("depends_on") {
            visit(document, other, states, way)?;
        }
    }
    way.pop();
    states.insert(name, State::Done);
    Ok(())
}
