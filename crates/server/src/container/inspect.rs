//! `GET /containers/{id}/json`.

use onggi_api::container::{PortMap, PortSet};

use super::compat;
use crate::call::{Call, Reply, json_of_ports};

pub(crate) async fn handle(call: Call) -> Reply {
    let inspect = call
        .engine
        .container_inspect(call.id(), call.flag("size"))
        .await?;
    let ports = inspect.network_settings.ports.len()
        + inspect
            .config
            .exposed_ports
            .as_ref()
            .map_or(0, PortSet::len)
        + inspect
            .host_config
            .port_bindings
            .as_ref()
            .map_or(0, PortMap::len);
    json_of_ports(ports, compat::inspect(inspect, call.version))
}
