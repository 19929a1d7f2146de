//! `80/tcp`, and the grammar of `-p`: `[[address:][host port[-range]]:]container port[-range][/protocol]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ErrorKind, Fault};

/// Why a text publishes no port. Texts as Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// A transport we do not know.
    #[error("invalid proto: {0}")]
    Protocol(String),
    /// No address.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// Nothing after the last colon.
    #[error("no port specified: {0}<empty>")]
    NoPort(String),
    /// Not a number of 16 bits, or a range that runs backwards.
    #[error("invalid containerPort: {0}")]
    ContainerPort(String),
    /// The same, on the host's side.
    #[error("invalid hostPort: {0}")]
    HostPort(String),
    /// Ranges of different lengths.
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges {
        /// The container's range.
        container: String,
        /// The host's range.
        host: String,
    },
}

impl Fault for PortError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// A transport.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// tcp
    #[default]
    Tcp,
    /// udp
    Udp,
    /// sctp
    Sctp,
}

impl Protocol {
    /// `tcp`, `udp` or `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = PortError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "sctp" => Ok(Protocol::Sctp),
            _ => Err(PortError::Protocol(text.to_owned())),
        }
    }
}

/// A port of a container: `80/tcp`. Orders by number, then by protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The transport.
    pub protocol: Protocol,
}

impl Port {
    /// A port of these parts.
    pub fn new(number: u16, protocol: Protocol) -> Self {
        Self { number, protocol }
    }

    /// Reads `80/tcp` or `80`.
    ///
    /// # Errors
    /// [`PortError`], of kind `InvalidParameter`.
    pub fn parse(text: &str) -> Result<Self, PortError> {
        let (number, protocol) = split_protocol(text)?;
        let number = number
            .parse()
            .map_err(|_| PortError::ContainerPort(number.to_owned()))?;
        Ok(Self { number, protocol })
    }

    /// Reads `80-82/tcp`, `80/tcp` or `80`, as in `--expose` and `EXPOSE`.
    ///
    /// # Errors
    /// [`PortError`], of kind `InvalidParameter`.
    pub fn parse_range(text: &str) -> Result<Vec<Self>, PortError> {
        let (numbers, protocol) = split_protocol(text)?;
        if numbers.is_empty() {
            return Err(PortError::NoPort(text.to_owned()));
        }
        let (first, last) =
            range(numbers).ok_or_else(|| PortError::ContainerPort(numbers.to_owned()))?;
        Ok((first..=last)
            .map(|number| Self { number, protocol })
            .collect())
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

impl FromStr for Port {
    type Err = PortError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where on the host a port is published: an address (all when `None`) and a range to take a port from (any
/// free one when `None`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct HostBinding {
    /// The address to listen on.
    pub ip: Option<IpAddr>,
    /// First and last port to choose from, inclusive.
    pub ports: Option<(u16, u16)>,
}

impl HostBinding {
    /// Reads the two texts of the API's `PortBinding`; port `0` and an empty text mean any free port.
    ///
    /// # Errors
    /// [`PortError::Address`] or [`PortError::HostPort`].
    pub fn parse(ip: &str, port: &str) -> Result<Self, PortError> {
        let ports = match port {
            "" => None,
            _ => match range(port).ok_or_else(|| PortError::HostPort(port.to_owned()))? {
                (0, 0) => None,
                ports => Some(ports),
            },
        };
        Ok(Self {
            ip: address(ip)?,
            ports,
        })
    }

    /// The address as the API writes it; empty for all.
    pub fn host_ip(&self) -> String {
        self.ip.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// The port as the API writes it: `8080`, `8000-8010`, empty for any.
    pub fn host_port(&self) -> String {
        match self.ports {
            None => String::new(),
            Some((first, last)) if first == last => first.to_string(),
            Some((first, last)) => format!("{first}-{last}"),
        }
    }
}

/// A container's port and where it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// The container's port.
    pub port: Port,
    /// Where on the host.
    pub host: HostBinding,
}

/// Reads one value of `-p`: `80`, `8080:80`, `127.0.0.1:8080-8081:80-81/tcp`, `[::1]::80/udp`.
///
/// # Errors
/// [`PortError`] with Docker's text.
pub fn parse_publish(text: &str) -> Result<Vec<(Port, HostBinding)>, PortError> {
    let parts: Vec<&str> = text.rsplitn(3, ':').collect();
    let (ip, host, container) = match parts[..] {
        [container] => ("", "", container),
        [container, host] => ("", host, container),
        [container, host, ip] => (ip, host, container),
        _ => return Err(PortError::NoPort(text.to_owned())),
    };
    let (container, protocol) = split_protocol(container)?;
    let ip = address(ip)?;
    if container.is_empty() {
        return Err(PortError::NoPort(text.to_owned()));
    }
    let (first, last) =
        range(container).ok_or_else(|| PortError::ContainerPort(container.to_owned()))?;
    let host_range = match host {
        "" => None,
        _ => Some(range(host).ok_or_else(|| PortError::HostPort(host.to_owned()))?),
    };
    if let Some((host_first, host_last)) = host_range
        && host_last - host_first != last - first
        && first != last
    {
        return Err(PortError::Ranges {
            container: container.to_owned(),
            host: host.to_owned(),
        });
    }
    let one = |number: u16| {
        let ports = host_range.map(|(host_first, host_last)| {
            if first == last {
                (host_first, host_last)
            } else {
                let host = host_first + (number - first);
                (host, host)
            }
        });
        let ports = ports.filter(|ports| *ports != (0, 0));
        (Port { number, protocol }, HostBinding { ip, ports })
    };
    Ok((first..=last).map(one).collect())
}

fn split_protocol(text: &str) -> Result<(&str, Protocol), PortError> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((port, "")) => Ok((port, Protocol::Tcp)),
        Some((port, protocol)) => Ok((port, protocol.parse()?)),
    }
}

fn address(text: &str) -> Result<Option<IpAddr>, PortError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .map(Some)
        .map_err(|_| PortError::Address(text.to_owned()))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |t: &str| {
        t.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| t.parse::<u16>().ok())
            .flatten()
    };
    match text.split_once('-') {
        None => number(text).map(|n| (n, n)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<String> {
        parse_publish(text)
            .unwrap()
            .iter()
            .map(|(port, host)| format!("{}|{}|{port}", host.host_ip(), host.host_port()))
            .collect()
    }

    #[test]
    fn reads_every_shape_of_p() {
        assert_eq!(show("80"), ["||80/tcp"]);
        assert_eq!(show("8080:80"), ["|8080|80/tcp"]);
        assert_eq!(show(":80"), ["||80/tcp"]);
        assert_eq!(show("127.0.0.1::80/udp"), ["127.0.0.1||80/udp"]);
        assert_eq!(
            show("127.0.0.1:8080-8081:80-81/tcp"),
            ["127.0.0.1|8080|80/tcp", "127.0.0.1|8081|81/tcp"]
        );
        assert_eq!(show("8000-8010:80"), ["|8000-8010|80/tcp"]);
        assert_eq!(show("80-81"), ["||80/tcp", "||81/tcp"]);
        assert_eq!(show("[::1]:8080:80/sctp"), ["::1|8080|80/sctp"]);
        assert_eq!(show("::1:8080:80"), ["::1|8080|80/tcp"]);
        assert_eq!(show("0:80"), ["||80/tcp"]);
        assert_eq!(show("80/TCP"), ["||80/tcp"]);
    }

    #[test]
    fn refuses_in_dockers_words() {
        for (text, error) in [
            ("", "no port specified: <empty>"),
            ("8080:", "no port specified: 8080:<empty>"),
            ("x", "invalid containerPort: x"),
            ("70000", "invalid containerPort: 70000"),
            ("81-80", "invalid containerPort: 81-80"),
            ("+80", "invalid containerPort: +80"),
            ("x:80", "invalid hostPort: x"),
            ("80/icmp", "invalid proto: icmp"),
            ("host:80:80", "invalid IP address: host"),
            (
                "8080-8082:80-81",
                "invalid ranges specified for container and host Ports: 80-81 and 8080-8082",
            ),
        ] {
            assert_eq!(
                parse_publish(text).unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
    }

    #[test]
    fn ports_are_keys() {
        let port = Port::parse("53/udp").unwrap();
        assert_eq!(port.to_string(), "53/udp");
        assert_eq!(serde_json::to_string(&port).unwrap(), "\"53/udp\"");
        let map: std::collections::BTreeMap<Port, u8> =
            serde_json::from_str(r#"{"80/tcp":1,"9/udp":2}"#).unwrap();
        assert_eq!(
            map.keys().map(Port::to_string).collect::<Vec<_>>(),
            ["9/udp", "80/tcp"]
        );
        assert_eq!(Port::parse_range("80-82/udp").unwrap().len(), 3);
        assert_eq!(HostBinding::parse("", "0").unwrap(), HostBinding::default());
        assert!(HostBinding::parse("x", "").is_err());
        assert!(HostBinding::parse("", "x").is_err());
    }
}
