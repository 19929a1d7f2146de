//! resolv.conf of containers of the default bridge: the host's, without what a container cannot reach.

use std::fmt::Write as _;
use std::net::IpAddr;

/// What the user asked for; empty lists mean "as the host".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--dns`
    pub servers: Vec<String>,
    /// `--dns-search`; "." alone means none.
    pub search: Vec<String>,
    /// `--dns-option`
    pub options: Vec<String>,
}

/// The resolv.conf that containers should start from: the host's, or where that only names systemd-resolved's stub,
/// the servers behind the stub. Empty if there is none.
#[must_use]
pub fn host_resolv_conf() -> String {
    let own = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let parsed = Parsed::read(&own);
    if parsed.servers == ["127.0.0.53"]
        && let Ok(behind) = std::fs::read_to_string("/run/systemd/resolve/resolv.conf")
    {
        return behind;
    }
    own
}

/// The resolv.conf of a container, made from the host's. Servers on loopback addresses are left out, as are those of
/// IPv6, which containers do not have; if none is left, public ones take their place, as Docker does.
#[must_use]
pub fn container_resolv_conf(host: &str, options: &Options) -> String {
    let mut parsed = Parsed::read(host);
    if options.servers.is_empty() {
        parsed.servers.retain(|server| is_reachable(server));
        if parsed.servers.is_empty() {
            parsed.servers = vec!["8.8.8.8".to_owned(), "8.8.4.4".to_owned()];
        }
    } else {
        parsed.servers.clone_from(&options.servers);
    }
    if !options.search.is_empty() {
        parsed.search.clone_from(&options.search);
    }
    if parsed.search == ["."] {
        parsed.search.clear();
    }
    if !options.options.is_empty() {
        parsed.options.clone_from(&options.options);
    }
    parsed.write()
}

#[derive(Default)]
struct Parsed {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl Parsed {
    /// As resolv.conf(5): the last `search` or `domain` counts, `options` add up.
    fn read(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => parsed.servers.extend(words.next()),
                Some("search" | "domain") => parsed.search = words.collect(),
                Some("options") => parsed.options.extend(words),
                _ => {}
            }
        }
        parsed
    }

    fn write(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "nameserver {server}");
        }
        for (name, words) in [("search", &self.search), ("options", &self.options)] {
            if !words.is_empty() {
                let _ = writeln!(text, "{name} {}", words.join(" "));
            }
        }
        text
    }
}

fn is_reachable(server: &str) -> bool {
    match server.parse() {
        Ok(IpAddr::V4(address)) => !address.is_loopback() && !address.is_unspecified(),
        Ok(IpAddr::V6(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(host: &str) -> String {
        container_resolv_conf(host, &Options::default())
    }

    #[test]
    fn what_containers_cannot_reach_is_left_out() {
        let host = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.2 # ours\nnameserver ::1\n\
            nameserver fe80::1%eth0\nnameserver 10.0.0.3\ndomain old\nsearch a.example b.example\noptions ndots:2\noptions rotate\n";
        assert_eq!(
            made(host),
            "nameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch a.example b.example\noptions ndots:2 rotate\n"
        );
        for empty in ["", "nameserver 127.0.0.1\n", "nameserver\nnonsense here\n"] {
            assert_eq!(made(empty), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        }
    }

    #[test]
    fn the_user_decides() {
        let own = Options {
            servers: vec!["127.0.0.1".to_owned(), "fd00::53".to_owned()],
            search: vec![".".to_owned()],
            options: vec!["ndots:5".to_owned()],
        };
        let host = "nameserver 10.0.0.2\nsearch a\noptions rotate\n";
        assert_eq!(
            container_resolv_conf(host, &own),
            "nameserver 127.0.0.1\nnameserver fd00::53\noptions ndots:5\n"
        );
    }
}
