//! `GET /networks/{id}/exposure` and `GET /containers/{id}/exposure`: onggi's alone.

use crate::call::{Call, Reply, json};

pub(crate) async fn of_network(call: Call) -> Reply {
    json(&call.engine.network_exposure(call.id()).await?)
}

pub(crate) async fn of_container(call: Call) -> Reply {
    json(&call.engine.container_exposure(call.id()).await?)
}
