//! What containers are told, as tables.

use super::*;
use crate::row::Row;

const TABLE: &str = "1111 172.18.0.2,fd00::2 web www 1111 app\n\
    2222 172.18.0.3 db 2222 app my.alias\n\
    3333 172.18.0.4 other 3333 app\n";

struct Lines;

impl Lines {
    fn rows(network: &Network) -> impl Iterator<Item = Row<'static>> {
        let text = if network.id == "n1" {
            TABLE
        } else {
            "4444 10.0.0.9 far 4444 db\n"
        };
        text.lines().filter_map(Row::read)
    }
}

impl Names for Lines {
    fn of_name(&self, network: &Network, name: &str) -> Vec<IpAddr> {
        let has = |row: &Row<'_>| row.names().any(|own| own == name);
        Self::rows(network)
            .filter(has)
            .flat_map(|row| row.addresses().collect::<Vec<_>>())
            .collect()
    }
    fn of_container(&self, network: &Network, id: &str) -> Vec<IpAddr> {
        let mut rows = Self::rows(network);
        rows.find(|row| row.container == id)
            .map(|row| row.addresses().collect())
            .unwrap_or_default()
    }
    fn of_address(&self, network: &Network, address: IpAddr) -> Option<String> {
        let mut rows = Self::rows(network);
        let row = rows.find(|row| row.addresses().any(|own| own == address))?;
        row.names().next().map(str::to_owned)
    }
}

fn network(id: &str, name: &str) -> Network {
    Network {
        id: id.to_owned(),
        name: name.to_owned(),
        ..Network::default()
    }
}

fn view() -> View {
    let mut first = network("n1", "Back.End");
    first.links.push(Link {
        alias: "link".to_owned(),
        container: "3333".to_owned(),
    });
    View {
        networks: vec![first, network("n2", "far")],
        forwards: true,
        ..View::default()
    }
}

fn query(name: &str, kind: u16, class: u16) -> Query {
    let mut bytes = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    crate::wire::put_name(&mut bytes, name).unwrap();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    Query::parse(&bytes).unwrap()
}

/// Response code and addresses; "ask" where others are to be asked.
fn said(view: &View, name: &str, kind: u16, turn: usize) -> String {
    let query = query(name, kind, 1);
    let reply = match view.say(&query, &Lines, turn, 512) {
        Said::Ask => return "ask".to_owned(),
        Said::Reply(reply) => reply,
    };
    let mut text = (reply[3] & 15).to_string();
    let mut at = 12 + query.question().len();
    for _ in 0..reply[7] {
        let record = crate::wire::read_record(&reply, at).unwrap();
        let data = &reply[record.data..record.end()];
        text += " ";
        text += &match (record.kind, data.len()) {
            (1, _) => Ipv4Addr::from_octets(data.try_into().unwrap()).to_string(),
            (28, _) => Ipv6Addr::from_octets(data.try_into().unwrap()).to_string(),
            _ => crate::wire::read_name(data, 0).unwrap().0.unwrap(),
        };
        at = record.end();
    }
    text
}

#[test]
fn own_names_are_answered_here() {
    let view = view();
    for (name, kind, expected) in [
        ("db", 1, "0 172.18.0.3"), // the first network wins
        ("DB", 1, "0 172.18.0.3"), // small or large
        ("db", 28, "0"),           // no IPv6, and nobody else is asked
        ("web", 28, "0 fd00::2"),
        ("web", 255, "0 172.18.0.2 fd00::2"),
        ("1111", 1, "0 172.18.0.2"),
        ("web", 15, "0"), // mail goes to the address
        ("web", 16, "0"), // texts of our own names are nobody's business outside
        ("web", 12, "0"),
        ("web.back.end", 1, "0 172.18.0.2"),
        ("web.back.end", 16, "0"),
        ("db.FAR", 1, "0 10.0.0.9"),
        ("link", 1, "0 172.18.0.4"),
        ("link.back.end", 1, "0 172.18.0.4"),
        ("my.alias", 1, "0 172.18.0.3"),
        ("my.alias", 28, "0"),
        ("my.alias", 16, "ask"), // the rest of that domain is outside
        ("my.alias.back.end", 1, "0 172.18.0.3"),
        ("nobody", 1, "ask"),
        ("nobody.back.end", 1, "ask"),
        ("back.end", 1, "ask"),
        ("", 2, "ask"),
        ("www.example.com", 1, "ask"),
        ("2.0.18.172.in-addr.arpa", 12, "0 web.Back.End"),
        ("9.0.0.10.in-addr.arpa", 12, "0 far.far"),
        ("9.9.0.10.in-addr.arpa", 12, "ask"),
        ("0.18.172.in-addr.arpa", 12, "ask"),
        ("1.2.0.18.172.in-addr.arpa", 12, "ask"),
        (
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
            12,
            "0 web.back.end",
        ),
        ("db", 252, "4"),
    ] {
        let said = said(&view, name, kind, 0);
        assert_eq!(
            said.to_lowercase(),
            expected.to_lowercase(),
            "{name} {kind}"
        );
    }
    assert_eq!(view.say(&query("db", 1, 3), &Lines, 0, 512), Said::Ask); // chaos
}

#[test]
fn who_shares_a_name_comes_first_by_turns() {
    let view = view();
    let first = |turn| {
        said(&view, "app", 1, turn)
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let seen: std::collections::BTreeSet<String> = (0..8).map(first).collect();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(said(&view, "app", 1, 5).split(' ').count(), 4);
}

#[test]
fn who_is_shut_in_hears_of_own_names_alone() {
    let shut = View {
        forwards: false,
        ..view()
    };
    assert_eq!(said(&shut, "db", 1, 0), "0 172.18.0.3");
    assert_eq!(said(&shut, "example.com", 1, 0), "3");
    let single = View {
        keeps_single: true,
        ..view()
    };
    assert_eq!(said(&single, "nobody", 1, 0), "0");
    assert_eq!(said(&single, "nobody", 16, 0), "ask");
    assert_eq!(said(&single, "nobody.example", 1, 0), "ask");
}

#[test]
fn upstreams_are_asked_from_where_they_are() {
    let host = ResolvConf::read(
        "nameserver 127.0.0.1\nnameserver 10.0.0.2\nnameserver fd00::1\nnameserver fe80::1%eth0\n",
    );
    let list = |view: &View, host: &ResolvConf| {
        let upstreams = view.upstreams(host).into_iter();
        upstreams
            .map(|one| (one.address.to_string(), one.from))
            .collect::<Vec<_>>()
    };
    let expected = |list: &[(&str, Namespace)]| {
        list.iter()
            .map(|(address, from)| ((*address).to_owned(), *from))
            .collect::<Vec<_>>()
    };
    use Namespace::{Container, Host};
    let own = View {
        servers: Some(vec!["127.0.0.1".parse().unwrap()]),
        ..view()
    };
    assert_eq!(list(&own, &host), expected(&[("127.0.0.1", Container)]));
    let mut rows = [
        ("127.0.0.1", Host),
        ("10.0.0.2", Container),
        ("fd00::1", Host),
        ("fe80::1", Host),
    ];
    assert_eq!(list(&view(), &host), expected(&rows));
    rows[2].1 = Container;
    let ipv6 = View {
        ipv6: true,
        ..view()
    };
    assert_eq!(list(&ipv6, &host), expected(&rows));
    let none = ResolvConf::default();
    assert_eq!(
        list(&view(), &none),
        expected(&[("8.8.8.8", Container), ("8.8.4.4", Container)])
    );
    assert_eq!(list(&ipv6, &none).len(), 4);
}

#[test]
fn views_are_read_back() {
    let json = serde_json::to_string(&view()).unwrap();
    assert_eq!(serde_json::from_str::<View>(&json).unwrap(), view());
    assert_eq!(
        serde_json::from_str::<View>("{\"networks\":[]}").unwrap(),
        View::default()
    );
}
