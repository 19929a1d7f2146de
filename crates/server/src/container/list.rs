//! `GET /containers/json`.

use onggi_api::container::ListOptions;

use super::compat;
use crate::call::{Call, Reply, json_of_ports};

pub(crate) async fn handle(call: Call) -> Reply {
    let options = ListOptions {
        all: call.flag("all"),
        // Nothing and what is not above zero is no limit.
        limit: call
            .number::<i64>("limit")?
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0),
        size: call.flag("size"),
        filters: call.filters()?,
    };
    let list = call.engine.container_list(options).await?;
    let list: Vec<_> = list
        .into_iter()
        .map(|one| compat::summary(one, call.version))
        .collect();
    let ports = list.iter().map(|one| one.ports.len()).sum();
    json_of_ports(ports, list)
}
