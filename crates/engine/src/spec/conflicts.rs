//! Fields that contradict each other, refused in Docker's words, before any image is looked at.
//!
//! What one field may hold is checked beside its meaning: `checks`, `namespaces`, `security`, `network`.

use onggi_api::container::{Config, HostConfig};

use super::network::Mode;
use crate::Engine;
use crate::error::{Error, Result};

/// Refuses contradictions of a request as the client sent it.
pub(crate) fn check(config: &Config, host: &HostConfig) -> Result<()> {
    let mode = Mode::of(host);
    let own_name = !config.hostname.is_empty();
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if let Mode::Container(other) = &mode {
        if other.is_empty() {
            return Err(Error::invalid(
                "Invalid network mode: invalid container format container:<name|id>",
            ));
        }
        let ports = host.port_bindings.as_ref().is_some_and(|p| !p.is_empty());
        let exposed = config.exposed_ports.as_ref().is_some_and(|p| !p.is_empty());
        for (asked, text) in [
            (own_name, "hostname and the network mode"),
            (
                some(&host.links),
                "container type network can't be used with links. This would result in undefined behavior",
            ),
            (some(&host.dns), "dns and the network mode"),
            (
                some(&host.extra_hosts),
                "custom host-to-IP mapping and the network mode",
            ),
            (
                !config.mac_address.is_empty(),
                "mac-address and the network mode",
            ),
            (
                ports || host.publish_all_ports,
                "port publishing and the container type network mode",
            ),
            (exposed, "port exposing and the container type network mode"),
        ] {
            if asked {
                return Err(Error::invalid(format!("conflicting options: {text}")));
            }
        }
    }
    if host.uts_mode == "host" && own_name {
        return Err(Error::invalid(
            "conflicting options: hostname and the UTS mode",
        ));
    }
    if mode == Mode::Host && some(&host.links) {
        return Err(Error::invalid(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        ));
    }
    if !host.cgroup.is_empty() {
        return Err(Error::invalid(format!(
            "invalid Cgroup: {}: containers cannot share a control group; use CgroupParent",
            host.cgroup
        )));
    }
    names(config)?;
    if host
        .annotations
        .as_ref()
        .is_some_and(|a| a.contains_key(""))
    {
        return Err(Error::invalid(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    for variable in config.env.iter().flatten() {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(Error::invalid(format!(
                "invalid environment variable: {variable}"
            )));
        }
    }
    if config.stop_timeout.is_some_and(|seconds| seconds < -1) {
        return Err(Error::invalid(
            "invalid stop timeout: use a number of seconds, or -1 to wait for ever",
        ));
    }
    for server in host.dns.iter().flatten() {
        if server.parse::<std::net::IpAddr>().is_err() {
            return Err(Error::invalid(format!(
                "invalid DNS server: {server} is not an IP address"
            )));
        }
    }
    for text in host.dns_search.iter().chain(&host.dns_options).flatten() {
        // A line of resolv.conf each.
        if text.contains(['\n', '\r', '\0']) {
            return Err(Error::invalid(format!(
                "invalid DNS setting {text:?}: it holds a line break"
            )));
        }
    }
    Ok(())
}

/// sethostname(2) takes 64 bytes.
fn names(config: &Config) -> Result<()> {
    for (field, name) in [
        ("hostname", &config.hostname),
        ("domainname", &config.domainname),
    ] {
        if name.len() > 64 || name.contains([' ', '\n', '\t', '\0']) {
            return Err(Error::invalid(format!(
                "invalid {field} format: {name}: at most 64 characters and no blanks"
            )));
        }
    }
    Ok(())
}

/// What goes together, but not as the user may think.
pub(crate) fn warnings(host: &HostConfig) -> Vec<String> {
    let ports = host.port_bindings.as_ref().is_some_and(|p| !p.is_empty());
    let mut warnings = Vec::new();
    if Mode::of(host) == Mode::Host && ports {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    warnings
}

/// `container:NAME` becomes `container:ID`, so that it stays the same one when it is renamed. Who is missing is said at the
/// start.
pub(crate) fn pin_containers(engine: &Engine, host: &mut HostConfig) {
    for mode in [
        &mut host.network_mode,
        &mut host.ipc_mode,
        &mut host.pid_mode,
    ] {
        if let Some(other) = mode.strip_prefix("container:")
            && let Ok(other) = engine.inner.containers.find(other)
        {
            *mode = format!("container:{}", other.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: &str, host: &str) -> String {
        let config = serde_json::from_str(config).expect("a config");
        let host = serde_json::from_str(host).expect("a host config");
        match check(&config, &host) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn another_containers_network_is_taken_as_it_is() {
        let joined = |more: &str| format!(r#"{{"NetworkMode":"container:a"{more}}}"#);
        for (config, more, expected) in [
            (r#"{"Hostname":"x"}"#, "", "hostname and the network mode"),
            ("{}", r#","Dns":["1.1.1.1"]"#, "dns and the network mode"),
            (
                "{}",
                r#","ExtraHosts":["a:1.1.1.1"]"#,
                "custom host-to-IP mapping and the network mode",
            ),
            (
                "{}",
                r#","PortBindings":{"80/tcp":[]}"#,
                "port publishing and the container type network mode",
            ),
            (
                "{}",
                r#","PublishAllPorts":true"#,
                "port publishing and the container type network mode",
            ),
            (
                r#"{"ExposedPorts":{"80/tcp":{}}}"#,
                "",
                "port exposing and the container type network mode",
            ),
            (
                r#"{"MacAddress":"02:42:ac:11:00:02"}"#,
                "",
                "mac-address and the network mode",
            ),
        ] {
            assert_eq!(
                text(config, &joined(more)),
                format!("conflicting options: {expected}")
            );
        }
        assert_eq!(text("{}", &joined("")), "");
        assert_eq!(
            text("{}", r#"{"NetworkMode":"container:"}"#),
            "Invalid network mode: invalid container format container:<name|id>"
        );
    }

    #[test]
    fn names_and_settings_that_cannot_be() {
        for (config, host, expected) in [
            (
                r#"{"Hostname":"x"}"#,
                r#"{"UTSMode":"host"}"#,
                "conflicting options: hostname and the UTS mode",
            ),
            (
                r#"{"Env":["=x"]}"#,
                "{}",
                "invalid environment variable: =x",
            ),
            (
                "{}",
                r#"{"Annotations":{"":"x"}}"#,
                "invalid Annotations: the empty string is not permitted as an annotation key",
            ),
            (
                "{}",
                r#"{"Dns":["nowhere"]}"#,
                "invalid DNS server: nowhere is not an IP address",
            ),
            (
                "{}",
                r#"{"DnsSearch":["a\nnameserver 6.6.6.6"]}"#,
                "invalid DNS setting \"a\\nnameserver 6.6.6.6\": it holds a line break",
            ),
        ] {
            assert_eq!(text(config, host), expected);
        }
    }
}
