//! resolv.conf(5), and which of them is the host's.

use std::net::IpAddr;

/// The host's.
pub const HOST_FILE: &str = "/etc/resolv.conf";
/// Where systemd-resolved keeps the servers behind its stub.
pub const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";
/// The stub.
const STUB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 53));

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: IpAddr,
    /// The link it is reached by, where its address does not say.
    pub scope: Option<String>,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Whom to ask.
    pub servers: Vec<Server>,
    /// Domains to look in.
    pub search: Vec<String>,
    /// How to ask.
    pub options: Vec<String>,
    /// Lines that mean something to somebody else.
    pub other: Vec<String>,
    /// Servers that are no addresses.
    pub invalid: Vec<String>,
}

impl ResolvConf {
    /// Reads it: the last `search` or `domain` counts, `options` add up.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines() {
            let bare = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = bare.split_ascii_whitespace();
            match words.next() {
                None => {}
                Some("nameserver") => {
                    if let Some(word) = words.next() {
                        match Server::read(word) {
                            Some(server) => read.servers.push(server),
                            None => read.invalid.push(word.to_owned()),
                        }
                    }
                }
                Some("search" | "domain") => read.search = words.map(str::to_owned).collect(),
                Some("options") => read.options.extend(words.map(str::to_owned)),
                Some(_) => read.other.push(line.to_owned()),
            }
        }
        read
    }

    /// The file that containers start from, by its path, and what it says: the host's, or where that only names
    /// systemd-resolved's stub, the one behind the stub. `file` gives a file's text.
    pub fn of_host(file: impl Fn(&str) -> Option<String>) -> (&'static str, Self) {
        let own = Self::read(&file(HOST_FILE).unwrap_or_default());
        if let [Server { address: STUB, .. }] = own.servers[..]
            && let Some(behind) = file(BEHIND_STUB)
        {
            return (BEHIND_STUB, Self::read(&behind));
        }
        (HOST_FILE, own)
    }

    /// The value of the last option of this name.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter().rev();
        options.find_map(|option| {
            let (found, value) = option.split_once(':').unwrap_or((option, ""));
            (found == name).then_some(value)
        })
    }
}

impl Server {
    /// An address, with `%LINK` behind it where it has one.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        let (address, scope) = match word.split_once('%') {
            Some((address, scope)) => (address, Some(scope.to_owned())),
            None => (word, None),
        };
        let address = address.parse().ok()?;
        let server = Self { address, scope };
        (server.scope.is_none() || server.address.is_ipv6()).then_some(server)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)?;
        match &self.scope {
            Some(scope) => write!(f, "%{scope}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_search_counts_and_options_add_up() {
        let read = ResolvConf::read(
            "# made by hand\nnameserver 10.0.0.2 # ours\nnameserver fe80::1%eth0\nnameserver here\nnameserver\n\
             domain old\nsearch a.example b.example\noptions ndots:2 rotate\noptions ndots:3\nsortlist 10.0.0.0\n",
        );
        let servers: Vec<String> = read.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2", "fe80::1%eth0"]);
        assert_eq!(read.search, ["a.example", "b.example"]);
        assert_eq!(
            (read.option("ndots"), read.option("rotate")),
            (Some("3"), Some(""))
        );
        assert_eq!(
            (read.option("edns0"), &read.invalid[..]),
            (None, &["here".to_owned()][..])
        );
        assert_eq!(read.other, ["sortlist 10.0.0.0"]);
        assert_eq!(Server::read("10.0.0.1%eth0"), None);
    }

    #[test]
    fn behind_a_stub_are_the_servers() {
        let file = |own: &'static str, behind: Option<&'static str>| {
            move |path: &str| match path {
                HOST_FILE => Some(own.to_owned()),
                _ => behind.map(str::to_owned),
            }
        };
        let stub = "nameserver 127.0.0.53\n";
        let (path, read) = ResolvConf::of_host(file(stub, Some("nameserver 10.0.0.2\n")));
        assert_eq!((path, read.servers.len()), (BEHIND_STUB, 1));
        assert_eq!(ResolvConf::of_host(file(stub, None)).0, HOST_FILE);
        let two = "nameserver 127.0.0.53\nnameserver 10.0.0.1\n";
        assert_eq!(ResolvConf::of_host(file(two, Some(""))).0, HOST_FILE);
        assert_eq!(ResolvConf::of_host(|_| None).1, ResolvConf::default());
    }
}
