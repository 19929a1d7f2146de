//! `GET /networks/{id}`.

use onggi_api::network::Inspect;

use super::compat;
use crate::call::{Call, Reply, json};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    check_verbose(call.query.text("verbose"))?;
    let network = call.engine.network_inspect(call.id()).await?;
    let scope = call.query.text("scope");
    if !scope.is_empty() && scope != network.network.scope {
        return Err(not_found(call.id()));
    }
    json(&compat::inspect(network, call.version))
}

/// Services of a swarm would come with it, and there is none: it only has to be a truth value.
fn check_verbose(text: &str) -> Result<(), Failure> {
    const TRUTHS: [&str; 13] = [
        "", "0", "1", "t", "T", "TRUE", "True", "true", "f", "F", "FALSE", "False", "false",
    ];
    if TRUTHS.contains(&text) {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "invalid value for verbose: {text}: strconv.ParseBool: parsing {text:?}: invalid syntax"
    )))
}

fn not_found(name: &str) -> Failure {
    Failure::new(
        onggi_model::ErrorKind::NotFound,
        format!("network {name} not found"),
    )
}

/// The network with the containers in it, as lists had it long ago.
pub(super) async fn whole(call: &Call, id: &str) -> Result<Inspect, Failure> {
    let network = call.engine.network_inspect(id).await?;
    Ok(compat::inspect(network, call.version))
}
