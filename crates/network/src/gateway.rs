//! Which of a container's networks gives its default routes, and publishes its ports.

use std::net::IpAddr;

use crate::endpoint::Endpoint;

/// The default routes of a container, as names of its links and routers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gateways {
    pub(crate) v4: Option<(String, IpAddr)>,
    pub(crate) v6: Option<(String, IpAddr)>,
}

impl Gateways {
    /// Those of a container with these endpoints.
    pub(crate) fn of<'a>(endpoints: impl IntoIterator<Item = &'a Endpoint>) -> Self {
        let endpoints: Vec<&Endpoint> = endpoints.into_iter().collect();
        let v4 = first(&endpoints, |endpoint| endpoint.gateway_v4.is_some());
        let v6 = first(&endpoints, |endpoint| endpoint.gateway_v6.is_some());
        Self {
            v4: v4.and_then(|e| Some((e.interface.clone(), e.gateway_v4?.into()))),
            v6: v6.and_then(|e| Some((e.interface.clone(), e.gateway_v6?.into()))),
        }
    }
}

/// The endpoint that gives the default route of IPv4, or where none does, of IPv6: it has the published ports.
pub(crate) fn leading<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
) -> Option<&'a Endpoint> {
    let endpoints: Vec<&Endpoint> = endpoints.into_iter().collect();
    first(&endpoints, |endpoint| endpoint.gateway_v4.is_some())
        .or_else(|| first(&endpoints, |endpoint| endpoint.gateway_v6.is_some()))
}

/// The greatest priority, then the first name, as Docker has it.
fn first<'a>(
    endpoints: &[&'a Endpoint],
    routes: impl Fn(&Endpoint) -> bool,
) -> Option<&'a Endpoint> {
    let order = |endpoint: &&Endpoint| {
        (
            std::cmp::Reverse(endpoint.gateway_priority),
            endpoint.network.clone(),
        )
    };
    let all = endpoints.iter().copied().filter(|e| routes(e));
    all.min_by_key(order)
}
