//! Making, joining, leaving and removing networks, as the API asks for it.

use std::sync::Arc;

use onggi_api::network::{
    ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest, EndpointSettings,
};
use onggi_model::ErrorKind;
use onggi_network::{Endpoint, Network, NetworkRequest};
use tracing::info;

use super::ipam;
use crate::Engine;
use crate::container::Container;
use crate::error::{Error, Result};
use crate::spec::network::{self, Mode};

impl Engine {
    /// Makes a network.
    ///
    /// # Errors
    /// `Conflict`: the name is taken; `Forbidden`: one that every host has, or addresses of another; `InvalidParameter`,
    /// `NotImplemented`: a field that cannot be had, by name.
    pub async fn network_create(&self, request: CreateRequest) -> Result<CreateResponse> {
        let asked = request.ipam.unwrap_or_default();
        let request = NetworkRequest {
            name: request.name,
            origin: None,
            driver: request.driver,
            scope: request.scope,
            enable_ipv4: request.enable_ipv4,
            enable_ipv6: request.enable_ipv6,
            internal: request.internal,
            attachable: request.attachable,
            ingress: request.ingress,
            config_only: request.config_only,
            config_from: request
                .config_from
                .map(|from| from.network)
                .filter(|from| !from.is_empty()),
            ipam: ipam::read(&asked)?,
            ipam_driver: asked.driver,
            ipam_options: asked.options.unwrap_or_default(),
            options: request.options.unwrap_or_default(),
            labels: request.labels.unwrap_or_default(),
        };
        let (network, warnings) = self.inner.networks.create(request).await?;
        info!(network = network.name, id = network.id, "made");
        self.network_event(&network, "create", []);
        Ok(CreateResponse {
            id: network.id,
            warning: warnings.join("\n"),
        })
    }

    /// Removes a network.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for one that every host has, or with containers in it.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        let network = self.inner.networks.remove(name).await?;
        info!(network = network.name, id = network.id, "removed");
        self.network_event(&network, "destroy", []);
        Ok(())
    }

    /// Connects a container to a network: at once where it runs, else when it starts.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`: it is there already; `InvalidParameter`: it has the host's network or another
    /// container's, or the network cannot fulfil what it asks.
    pub async fn network_connect(&self, name: &str, request: ConnectRequest) -> Result<()> {
        let container = self.inner.containers.find(&request.container)?;
        let network = self.inner.networks.get(name)?;
        let settings = request.endpoint_config.unwrap_or_default();
        let _writer = container.writer.lock().await;
        let record = container.record();
        match (Mode::of(&record.host_config), network.name.as_str()) {
            (_, mode @ ("host" | "none")) => return Err(network::both(mode)),
            (Mode::Host | Mode::None | Mode::Container(_), _) => {
                return Err(network::both(&record.host_config.network_mode));
            }
            (Mode::Bridge | Mode::Named(_), _) => {}
        }
        if network.config_only {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("configuration network {} takes no containers", network.name),
            ));
        }
        network::check_settings(self, &network.name, &settings)?;
        if record.state.is_running() {
            return self
                .connect_running(&container, &network.name, settings)
                .await;
        }
        let mut joined = record.joined().into_owned();
        joined.insert(network.name, wishes(settings));
        self.commit(&container, |record| record.joined = Some(joined))
            .await
    }

    /// Takes a container out of a network.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`: it is not in it; `InvalidParameter`: it has the host's network.
    pub async fn network_disconnect(&self, name: &str, request: DisconnectRequest) -> Result<()> {
        let network = self.inner.networks.get(name);
        let container = match self.inner.containers.find(&request.container) {
            Err(_) if request.force => {
                return self.forget_endpoint(&network?, &request.container).await;
            }
            found => found?,
        };
        let _writer = container.writer.lock().await;
        let record = container.record();
        let joined = record.joined();
        // A network that is gone can still be left by its name.
        let network = match network {
            Ok(network) => network.name,
            Err(_) if joined.contains_key(name) => name.to_owned(),
            Err(error) => return Err(error.into()),
        };
        if network == "host" || Mode::of(&record.host_config) == Mode::Host {
            return Err(network::both("host"));
        }
        if !joined.contains_key(&network) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "container {} is not connected to network {network}",
                    record.id
                ),
            ));
        }
        if record.state.is_running() {
            return self.disconnect_running(&container, &network).await;
        }
        let mut joined = joined.into_owned();
        joined.remove(&network);
        self.commit(&container, |record| record.joined = Some(joined))
            .await
    }

    /// Gives back what a container that is gone has in a network.
    async fn forget_endpoint(&self, network: &Network, container: &str) -> Result<()> {
        let networks = &self.inner.networks;
        let is_its = |endpoint: &Endpoint| {
            let name = endpoint.names.first().map(String::as_str);
            name == Some(container) || endpoint.container.as_str().starts_with(container)
        };
        let endpoints = networks.endpoints(&network.id);
        let Some(endpoint) = endpoints.into_iter().find(is_its) else {
            return Err(Error::not_found(format!("endpoint {container} not found")));
        };
        info!(container = %endpoint.container, network = network.name, "released by force");
        Ok(networks.release(&endpoint.container).await?)
    }

    async fn connect_running(
        &self,
        container: &Arc<Container>,
        name: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        let record = container.record();
        if record.config.network_disabled {
            return Err(Error::invalid("the container has its network disabled"));
        }
        let settings = wishes(settings);
        let request = network::request(&record, name, &settings)?;
        self.join(container, name, request, settings).await?;
        info!(container = %container.id, network = name, "connected");
        self.container_network_event(&container.record(), name, "connect");
        Ok(())
    }

    async fn disconnect_running(&self, container: &Arc<Container>, name: &str) -> Result<()> {
        self.leave(container, name).await?;
        info!(container = %container.id, network = name, "disconnected");
        self.container_network_event(&container.record(), name, "disconnect");
        Ok(())
    }
}

/// What a client may ask for, without what only we know.
pub(crate) fn wishes(settings: EndpointSettings) -> EndpointSettings {
    EndpointSettings {
        ipam_config: settings.ipam_config,
        links: settings.links,
        aliases: settings.aliases,
        driver_opts: settings.driver_opts,
        gw_priority: settings.gw_priority,
        mac_address: settings.mac_address,
        ..EndpointSettings::default()
    }
}
