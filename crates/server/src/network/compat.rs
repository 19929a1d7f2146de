//! Networks before 1.55.

use onggi_api::ApiVersion;
use onggi_api::container::CreateRequest as ContainerRequest;
use onggi_api::network::{CreateRequest, EndpointSettings, Inspect};

use crate::failure::Failure;

/// What an old client's request means today.
pub(crate) fn create_request(request: &mut CreateRequest, version: ApiVersion) {
    // IPv4 could not be turned off.
    if version < ApiVersion::new(1, 48) {
        request.enable_ipv4 = None;
    }
}

/// What an old client asks of a container's place in a network.
pub(crate) fn endpoint_request(endpoint: &mut EndpointSettings, version: ApiVersion) {
    // The container had one hardware address for all; what came here was passed over.
    if version < ApiVersion::new(1, 44) {
        endpoint.mac_address.clear();
    }
    // All were equal.
    if version < ApiVersion::new(1, 48) {
        endpoint.gw_priority = 0;
    }
}

/// A network as a client of `version` knows it: its status came with 1.52.
pub(crate) fn inspect(mut inspect: Inspect, version: ApiVersion) -> Inspect {
    if version < ApiVersion::new(1, 52) {
        inspect.status = None;
    }
    inspect
}

/// What an old client asks of a new container's places: several at once came with 1.44, and the one hardware address
/// of the container is that of its first network.
pub(crate) fn container_request(
    request: &mut ContainerRequest,
    version: ApiVersion,
) -> Result<(), Failure> {
    let networking = request.networking_config.get_or_insert_default();
    let endpoints = networking.endpoints_config.get_or_insert_default();
    if version < ApiVersion::new(1, 44) && endpoints.len() > 1 {
        let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
        return Err(Failure::invalid(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    for endpoint in endpoints.values_mut().flatten() {
        endpoint_request(endpoint, version);
    }
    let mode = request.host_config.as_ref().map(|h| &*h.network_mode);
    let mode = match mode.unwrap_or_default() {
        "" | "default" => "default",
        // Who has no endpoint keeps the address, for the engine to refuse it.
        mode if mode == "host" || mode == "none" || mode.starts_with("container:") => return Ok(()),
        mode => mode,
    };
    let mac = &mut request.config.mac_address;
    if mac.is_empty() {
        return Ok(());
    }
    // The default network is known by two names.
    let other = match mode {
        "default" => "bridge",
        "bridge" => "default",
        mode => mode,
    };
    let key = if endpoints.contains_key(other) {
        other
    } else {
        mode
    };
    let endpoint = endpoints.entry(key.to_owned()).or_default();
    let endpoint = endpoint.get_or_insert_default();
    if !endpoint.mac_address.is_empty() && endpoint.mac_address != *mac {
        return Err(Failure::invalid(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
        ));
    }
    endpoint.mac_address = std::mem::take(mac);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::compat::tests::recorded;

    #[test]
    fn wishes_that_old_versions_did_not_know_are_passed_over() {
        for (minor, mac, priority, ipv4) in [
            (43, "", 0, None),
            (44, "02::1", 0, None),
            (47, "02::1", 0, None),
            (48, "02::1", 7, Some(false)),
        ] {
            let version = ApiVersion::new(1, minor);
            let mut endpoint = EndpointSettings {
                mac_address: "02::1".to_owned(),
                gw_priority: 7,
                ..EndpointSettings::default()
            };
            endpoint_request(&mut endpoint, version);
            assert_eq!(
                (&*endpoint.mac_address, endpoint.gw_priority),
                (mac, priority)
            );
            let mut request = CreateRequest {
                enable_ipv4: Some(false),
                ..CreateRequest::default()
            };
            create_request(&mut request, version);
            assert_eq!(request.enable_ipv4, ipv4, "1.{minor}");
        }
    }

    #[test]
    fn a_container_s_hardware_address_is_that_of_its_first_network() {
        let bent = |body: &str, minor| {
            let mut request: ContainerRequest = onggi_api::decode(body.as_bytes()).unwrap();
            container_request(&mut request, ApiVersion::new(1, minor))
                .map(|()| serde_json::to_string(&request.networking_config).unwrap())
                .map_err(|failure| failure.message)
        };
        for (body, minor, place) in [
            (r#"{"MacAddress":"02::1"}"#, 41, "default"),
            (r#"{"MacAddress":"02::1"}"#, 44, "default"),
            (
                r#"{"MacAddress":"02::1","HostConfig":{"NetworkMode":"n"}}"#,
                41,
                "n",
            ),
            (
                r#"{"MacAddress":"02::1","HostConfig":{"NetworkMode":"n"},"NetworkingConfig":{"EndpointsConfig":{"n":{"MacAddress":"02::2"}}}}"#,
                43,
                "n",
            ),
            (
                r#"{"MacAddress":"02::1","HostConfig":{"NetworkMode":"default"},"NetworkingConfig":{"EndpointsConfig":{"bridge":null}}}"#,
                43,
                "bridge",
            ),
        ] {
            let request = bent(body, minor).unwrap();
            let request: serde_json::Value = serde_json::from_str(&request).unwrap();
            let endpoints = &request["EndpointsConfig"];
            assert_eq!(endpoints[place]["MacAddress"], "02::1", "{body}");
            assert_eq!(endpoints.as_object().unwrap().len(), 1, "{body}");
        }
        assert_eq!(
            bent(
                r#"{"MacAddress":"02::1","HostConfig":{"NetworkMode":"n"},"NetworkingConfig":{"EndpointsConfig":{"n":{"MacAddress":"02::2"}}}}"#,
                44
            )
            .unwrap_err(),
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty"
        );
        let two = r#"{"NetworkingConfig":{"EndpointsConfig":{"n":null,"m":null}}}"#;
        assert!(bent(two, 44).is_ok());
        assert_eq!(
            bent(two, 43).unwrap_err(),
            "Container cannot be created with multiple network endpoints: m, n"
        );
    }

    #[test]
    fn networks_are_as_recorded() {
        for name in ["bridge", "recnet"] {
            let path = format!("/networks/{name}");
            let newest: Inspect =
                serde_json::from_value(recorded("1.55", &path)[0].1.clone()).unwrap();
            for minor in [44, 47, 51, 52] {
                let version = ApiVersion::new(1, minor);
                let ours = serde_json::to_value(super::inspect(newest.clone(), version)).unwrap();
                assert_eq!(
                    ours,
                    recorded(&version.to_string(), &path)[0].1,
                    "1.{minor}"
                );
            }
        }
    }
}
