//! dockerd's networks: `network/files/local-kv.db`. What is read becomes a request as `network create` makes one, with
//! the id and the subnets that the network had.

use std::collections::BTreeMap;
use std::net::IpAddr;

use onggi_model::{ContainerId, Timestamp};
use onggi_network::{IpamRequest, NetworkRequest, Origin};
use serde::Deserialize;
use serde_json::Value;

use super::root::{DataRoot, limited};
use super::{Had, bolt, cannot};
use crate::Engine;
use crate::error::{Error, Result};

const DATABASE: &str = "network/files/local-kv.db";
/// Where in the database everything is.
const BUCKET: &str = "libnetwork";
/// What keys of networks begin with.
const KEY: &str = "docker/network/v1.0/network/";
/// The bytes before each document: how often it was written.
const INDEX: usize = 8;
/// Networks that every host has.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];

/// A network as it was written down.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    request: Result<NetworkRequest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    id: String,
    name: String,
    created: String,
    network_type: String,
    scope: String,
    attachable: bool,
    ingress: bool,
    internal: bool,
    config_only: bool,
    config_from: String,
    in_delete: bool,
    #[serde(rename = "enableIPv4")]
    enable_ipv4: Option<bool>,
    #[serde(rename = "enableIPv6")]
    enable_ipv6: bool,
    generic: Option<BTreeMap<String, Value>>,
    labels: Option<BTreeMap<String, String>>,
    ipam_type: String,
    ipam_options: Option<BTreeMap<String, String>>,
    // Documents inside documents, as texts.
    #[serde(rename = "ipamV4Config")]
    ipam_v4_config: String,
    #[serde(rename = "ipamV4Info")]
    ipam_v4_info: String,
    #[serde(rename = "ipamV6Config")]
    ipam_v6_config: String,
    #[serde(rename = "ipamV6Info")]
    ipam_v6_info: String,
}

/// A subnet as it was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Asked {
    preferred_pool: String,
    sub_pool: String,
    gateway: String,
    aux_addresses: Option<BTreeMap<String, String>>,
}

/// What came of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Given {
    #[serde(rename = "IPAMData")]
    data: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Pool {
    pool: String,
    gateway: String,
}

/// All networks of users, configurations first: others are made of them.
pub(super) fn find(root: &DataRoot) -> Result<Vec<Found>> {
    let database = root.path.join(DATABASE);
    if !database.exists() {
        return Ok(Vec::new());
    }
    let broken = |why: &dyn std::fmt::Display| cannot(format!("{}: {why}", database.display()));
    let bytes = limited(&database, bolt::LIMIT)?;
    let pairs = bolt::bucket(&bytes, BUCKET).map_err(|why| broken(&why))?;
    let mut found = Vec::new();
    for (_, value) in pairs
        .iter()
        .filter(|(key, _)| key.starts_with(KEY.as_bytes()))
    {
        let text = value.get(INDEX..).unwrap_or_default();
        let document: Document = serde_json::from_slice(text).map_err(|error| broken(&error))?;
        if !BUILT_IN.contains(&document.name.as_str()) && !document.in_delete {
            let follows = !document.config_only;
            found.push((follows, Found::of(document)));
        }
    }
    found.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

impl Found {
    fn of(document: Document) -> Self {
        Self {
            id: document.id.clone(),
            name: document.name.clone(),
            request: request(document),
        }
    }
}

fn request(document: Document) -> Result<NetworkRequest> {
    let id = ContainerId::parse(&document.id).map_err(|fault| Error::of(&fault))?;
    let created = Timestamp::parse(&document.created).unwrap_or_else(|_| Timestamp::now());
    let mut request = NetworkRequest {
        name: document.name,
        origin: Some(Origin { id, created }),
        internal: document.internal && !document.config_only,
        attachable: document.attachable,
        ingress: document.ingress,
        config_only: document.config_only,
        ..NetworkRequest::default()
    };
    if !document.config_only {
        request.driver = document.network_type;
        request.scope = document.scope;
    }
    if !document.config_from.is_empty() {
        // All else is in the other.
        request.config_from = Some(document.config_from);
        return Ok(request);
    }
    request.enable_ipv4 = document.enable_ipv4;
    request.enable_ipv6 = Some(document.enable_ipv6);
    request.ipam_driver = document.ipam_type;
    request.ipam_options = document.ipam_options.unwrap_or_default();
    request.labels = document.labels.unwrap_or_default();
    let generic = document.generic.unwrap_or_default();
    let options = generic
        .get("com.docker.network.generic")
        .and_then(Value::as_object);
    for (key, value) in options.into_iter().flatten() {
        let text = value.as_str().map(str::to_owned);
        let text = text.unwrap_or_else(|| value.to_string());
        request.options.insert(key.clone(), text);
    }
    for (asked, given) in [
        (&document.ipam_v4_config, &document.ipam_v4_info),
        (&document.ipam_v6_config, &document.ipam_v6_info),
    ] {
        request.ipam.extend(subnets(asked, given)?);
    }
    Ok(request)
}

/// The subnets of a family: those that were asked for, or that dockerd found.
fn subnets(asked: &str, given: &str) -> Result<Vec<IpamRequest>> {
    let asked: Vec<Asked> = inner(asked)?;
    let given: Vec<Given> = inner(given)?;
    let mut all = Vec::new();
    for (index, asked) in asked.iter().enumerate() {
        let pool: Pool = match given.get(index) {
            Some(given) => serde_json::from_str(&given.data).map_err(|error| bad(&error))?,
            None => Pool::default(),
        };
        let subnet = match asked.preferred_pool.as_str() {
            "" => &pool.pool,
            subnet => subnet,
        };
        let gateway = match asked.gateway.as_str() {
            "" => pool.gateway.split('/').next().unwrap_or_default(),
            gateway => gateway,
        };
        if subnet.is_empty() {
            continue;
        }
        let aux = asked.aux_addresses.iter().flatten();
        let aux: Result<BTreeMap<String, IpAddr>> = aux
            .map(|(name, text)| Ok((name.clone(), parse(text)?)))
            .collect();
        all.push(IpamRequest {
            subnet: Some(parse(subnet)?),
            ip_range: some(&asked.sub_pool)?,
            gateway: some(gateway)?,
            aux_addresses: aux?,
            chosen: asked.preferred_pool.is_empty(),
        });
    }
    Ok(all)
}

fn inner<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    match text {
        "" => Ok(Vec::new()),
        text => serde_json::from_str(text).map_err(|error| bad(&error)),
    }
}

fn some<T: std::str::FromStr>(text: &str) -> Result<Option<T>> {
    match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| cannot(format!("{text:?} is no address")))
}

fn bad(why: &dyn std::fmt::Display) -> Error {
    cannot(format!("its subnets cannot be read: {why}"))
}

impl Engine {
    /// Takes one network over, with its id.
    ///
    /// # Errors
    /// Whatever `network create` refuses.
    pub(super) async fn adopt_network(&self, found: Found) -> Result<Had> {
        let networks = &self.inner.networks;
        let same = |known: &onggi_network::Network| known.id == found.id;
        if networks.list().iter().any(same) {
            return Ok(Had::present("it stays as it is"));
        }
        let request = found.request?;
        let had: Vec<_> = request.ipam.iter().filter_map(|one| one.subnet).collect();
        let network = match networks.create(request).await {
            Ok((network, _)) => network,
            Err(onggi_network::Error::Exists(_)) => {
                return Ok(Had::present(
                    "another network of this name is here: containers join that one",
                ));
            }
            Err(fault) => return Err(Error::of(&fault)),
        };
        self.network_event(&network, "create", []);
        let mut told = Vec::new();
        for config in &network.ipam.config {
            let subnet = config.subnet;
            told.push(match had.contains(&subnet) || had.is_empty() {
                true => subnet.to_string(),
                false => format!("{subnet}, what it had is another network's"),
            });
        }
        Ok(Had::taken(told.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_become_requests() {
        let id = "ab".repeat(32);
        let v4 = json!([{"PreferredPool": "10.1.0.0/24", "SubPool": "10.1.0.128/25", "Gateway": "10.1.0.9",
            "AuxAddresses": {"x": "10.1.0.77"}}]);
        let v6 = json!([{"PreferredPool": "", "SubPool": "", "Gateway": "", "AuxAddresses": null}]);
        let data = json!({"AddressSpace": "LocalDefault", "Gateway": "fd00:5::1/64", "Pool": "fd00:5::/64"});
        let info = json!([{"IPAMData": data.to_string(), "PoolID": "LocalDefault/fd00:5::/64"}]);
        let document = json!({
            "id": id, "name": "net", "networkType": "bridge", "scope": "local", "enableIPv6": true, "internal": true,
            "created": "2026-01-02T03:04:05Z", "labels": {"a": "b"}, "ipamOptions": null, "ipamType": "default",
            "generic": {"com.docker.network.enable_ipv6": true,
                "com.docker.network.generic": {"com.docker.network.driver.mtu": "1400"}},
            "ipamV4Config": v4.to_string(), "ipamV6Config": v6.to_string(), "ipamV6Info": info.to_string(),
        });
        let read = |document: &Value| request(serde_json::from_value(document.clone()).unwrap());
        let made = read(&document).unwrap();
        assert!(made.internal && made.enable_ipv6 == Some(true) && made.labels["a"] == "b");
        assert_eq!(made.options["com.docker.network.driver.mtu"], "1400");
        assert_eq!(made.origin.unwrap().id.as_str(), id);
        let shown: Vec<String> = made
            .ipam
            .iter()
            .map(|one| {
                let (subnet, gateway) = (one.subnet.unwrap(), one.gateway.unwrap());
                format!("{subnet} {gateway} {:?} {}", one.ip_range, one.chosen)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "10.1.0.0/24 10.1.0.9 Some(10.1.0.128/25) false",
                "fd00:5::/64 fd00:5::1 None true"
            ]
        );
        let mut follows = document.clone();
        follows["configFrom"] = "plan".into();
        let follows = read(&follows).unwrap();
        assert!(follows.ipam.is_empty() && follows.config_from.as_deref() == Some("plan"));
        for (key, value) in [
            ("id", "short"),
            ("ipamV4Config", "[{"),
            ("ipamV4Config", r#"[{"PreferredPool":"here"}]"#),
        ] {
            let mut bent = document.clone();
            bent[key] = value.into();
            assert!(read(&bent).is_err(), "{key}");
        }
    }
}
