//! Maps of ports as Go writes them, kept as runs.

use std::collections::BTreeMap;

use super::*;

fn bound(port: &str, host: &str) -> (String, Option<Vec<PortBinding>>) {
    let binding = PortBinding {
        host_ip: String::new(),
        host_port: host.to_owned(),
    };
    (port.to_owned(), Some(vec![binding]))
}

#[test]
fn neighbours_are_a_run_and_come_back_one_by_one() {
    let all: Vec<_> = (9_990..=49_999_u16)
        .map(|port| bound(&format!("{port}/udp"), &(port + 5).to_string()))
        .collect();
    let ports: PortMap = all.iter().cloned().collect();
    assert_eq!(ports.0.0.len(), 1);
    let map: BTreeMap<_, _> = all.into_iter().collect();
    assert!(ports.iter().eq(map.clone()));
    let text = serde_json::to_string(&ports).unwrap();
    assert_eq!(text, serde_json::to_string(&map).unwrap());
    assert_eq!(serde_json::from_str::<PortMap>(&text).unwrap(), ports);
    assert_eq!(ports.get("20000/udp"), Some(bound("", "20005").1));
    assert_eq!(ports.get("20000/tcp"), None);
    assert_eq!(ports.get("50000/udp"), None);
}

#[test]
fn what_is_kept_has_an_entry_a_run() {
    let all = (1..=65_535_u16).map(|port| bound(&format!("{port}/tcp"), &port.to_string()));
    let mut ports: PortMap = all.collect();
    let kept = as_runs(|| serde_json::to_string(&ports)).unwrap();
    assert_eq!(kept, r#"{"1-65535/tcp":[{"HostIp":"","HostPort":"1"}]}"#);
    ports = ports
        .iter()
        .chain([bound("80", ""), bound("9/udp", "1-5")])
        .collect();
    let kept = as_runs(|| serde_json::to_string(&ports)).unwrap();
    let read: PortMap = as_runs(|| serde_json::from_str(&kept)).unwrap();
    assert_eq!(read, ports);
    // Clients have no such keys.
    let strange: PortMap = serde_json::from_str(r#"{"8-9/tcp":null}"#).unwrap();
    assert_eq!(strange.iter().next().unwrap().0, "8-9/tcp");
}

#[test]
fn everything_else_stays_as_it_is() {
    for text in [
        r#"{}"#,
        r#"{"80/tcp":null,"81/tcp":null,"82/tcp":[]}"#,
        r#"{"80/tcp":[{"HostIp":"","HostPort":"1"}],"81/tcp":[{"HostIp":"","HostPort":""}]}"#,
        r#"{"80/tcp":[{"HostIp":"","HostPort":"0"}],"81/tcp":[{"HostIp":"","HostPort":"1"}]}"#,
        r#"{"80/tcp":[{"HostIp":"","HostPort":"8000-8010"}],"81/tcp":[{"HostIp":"","HostPort":"8000-8010"}]}"#,
        r#"{"80/tcp":[{"HostIp":"::1","HostPort":"80"}],"81/tcp":[{"HostIp":"","HostPort":"81"}]}"#,
        r#"{"080/tcp":null,"80":null,"80-82/tcp":null,"81":null,"x":null}"#,
        r#"{"65535/tcp":null,"65536/tcp":null}"#,
    ] {
        let ports: PortMap = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&ports).unwrap(), text);
    }
    let twice: PortMap =
        serde_json::from_str(r#"{"80/tcp":null,"80/tcp":[{"HostIp":"","HostPort":"1"}]}"#).unwrap();
    assert_eq!(twice.get("80/tcp"), Some(bound("", "1").1));
    let mut set: PortSet = serde_json::from_str(r#"{"80/tcp":{},"81/tcp":{}}"#).unwrap();
    set.extend(["82/tcp".to_owned()]);
    assert_eq!(set.0.0.len(), 1);
    assert_eq!(
        serde_json::to_string(&set).unwrap(),
        r#"{"80/tcp":{},"81/tcp":{},"82/tcp":{}}"#
    );
}

#[test]
fn ports_of_several_protocols_come_by_turns() {
    let numbers = 8_000..8_100_u16;
    let all = numbers.flat_map(|port| {
        ["tcp", "udp"].map(|kind| bound(&format!("{port}/{kind}"), &port.to_string()))
    });
    let all: BTreeMap<_, _> = all.collect();
    let text = serde_json::to_string(&all).unwrap();
    let ports: PortMap = serde_json::from_str(&text).unwrap();
    assert_eq!(ports.run_count(), 2);
    assert_eq!(serde_json::to_string(&ports).unwrap(), text);
}

#[test]
fn runs_are_put_in_order_whatever_order_they_come_in() {
    let all: Vec<_> = (95..=1_005_u16)
        .map(|port| bound(&format!("{port}/udp"), &port.to_string()))
        .collect();
    let texts: BTreeMap<_, _> = all.iter().cloned().collect();
    let text = serde_json::to_string(&texts).unwrap();
    // Of texts "1000/udp" comes before "95/udp".
    let ports: PortMap = serde_json::from_str(&text).unwrap();
    assert_eq!(ports.run_count(), 1);
    assert_eq!(serde_json::to_string(&ports).unwrap(), text);
    let backwards: PortMap = all.into_iter().rev().collect();
    assert_eq!(backwards, ports);
}

#[test]
fn of_keys_that_come_twice_the_last_counts() {
    let read = |text: &str| {
        let ports: PortMap = serde_json::from_str(text).unwrap();
        let entries = ports.iter().map(|(port, bindings)| {
            let bindings = bindings.unwrap();
            let port = port.strip_suffix("/tcp").unwrap().to_owned();
            (port, bindings[0].host_port.clone())
        });
        entries.collect::<Vec<_>>()
    };
    let entry =
        |port: u16, host: u16| format!(r#""{port}/tcp":[{{"HostIp":"","HostPort":"{host}"}}]"#);
    for (given, last) in [
        (vec![(80, 1), (81, 2), (80, 3)], vec![(80, 3), (81, 2)]),
        (vec![(80, 1), (81, 9), (81, 2)], vec![(80, 1), (81, 2)]),
        (vec![(80, 1), (81, 2), (81, 9)], vec![(80, 1), (81, 9)]),
        (
            vec![(82, 1), (80, 5), (81, 6), (82, 7), (81, 0)],
            vec![(80, 5), (81, 0), (82, 7)],
        ),
    ] {
        let text: Vec<String> = given
            .iter()
            .map(|(port, host)| entry(*port, *host))
            .collect();
        let last: Vec<_> = last
            .iter()
            .map(|(port, host): &(u16, u16)| (port.to_string(), host.to_string()))
            .collect();
        assert_eq!(read(&format!("{{{}}}", text.join(","))), last);
    }
}

#[test]
fn a_text_that_looks_like_a_run_is_kept_as_a_text() {
    let text = r#"{"8-9/tcp":null,"=80":null}"#;
    let ports: PortMap = serde_json::from_str(text).unwrap();
    let kept = as_runs(|| serde_json::to_string(&ports)).unwrap();
    let read: PortMap = as_runs(|| serde_json::from_str(&kept)).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

#[test]
fn layers_lie_over_each_other() {
    let udp = |number| Port::new(number, Protocol::Udp);
    let at = |ip: &str, port: u16| {
        Some(PortBinding {
            host_ip: ip.to_owned(),
            host_port: port.to_string(),
        })
    };
    let ports = PortMap::overlay([
        (udp(10_000), 40_000, None),
        (udp(20_000), 40_000, at("0.0.0.0", 20_000)),
        (udp(20_000), 40_000, at("::", 20_000)),
        (Port::new(30_000, Protocol::Tcp), 1, at("", 5)),
        (udp(65_535), 1, None),
    ]);
    assert_eq!(ports.run_count(), 4);
    assert_eq!(ports.iter().count(), 50_002);
    assert_eq!(ports.get("10000/udp"), Some(None));
    let both = ports.get("59999/udp").unwrap().unwrap();
    let both: Vec<_> = both
        .iter()
        .map(|one| (one.host_ip.as_str(), one.host_port.as_str()))
        .collect();
    assert_eq!(both, [("0.0.0.0", "59999"), ("::", "59999")]);
    assert_eq!(ports.get("60000/udp"), None);
    assert_eq!(ports.get("65535/udp"), Some(None));
    assert_eq!(ports.get("30000/tcp"), Some(bound("", "5").1));
    let shifted = PortMap::overlay([(udp(1), 65_535, at("", 1)), (udp(7), 2, at("", 1))]);
    assert_eq!(shifted.run_count(), 3);
    assert_eq!(PortMap::overlay([]), PortMap::default());
}

#[test]
fn ports_are_cut_out_and_joined() {
    let udp = |number| Port::new(number, Protocol::Udp);
    let at = |port: u16| {
        Some(PortBinding {
            host_ip: String::new(),
            host_port: port.to_string(),
        })
    };
    let whole = PortMap::overlay([(udp(100), 50, at(1_100)), (udp(7), 1, None)]);
    let (left, taken) = whole.cut(&[
        (udp(90), 12),
        (udp(140), 60_000),
        (udp(120), 1),
        (udp(120), 1),
    ]);
    assert_eq!(taken.len(), 2 + 10 + 1);
    assert_eq!(left.len(), 51 - taken.len());
    assert_eq!(taken.get("149/udp"), Some(bound("", "1149").1));
    assert_eq!(taken.get("120/udp"), Some(bound("", "1120").1));
    assert_eq!(left.get("120/udp"), None);
    assert_eq!(left.get("121/udp"), Some(bound("", "1121").1));
    assert_eq!(left.joined(&taken), whole);
    assert_eq!(whole.cut(&[(Port::new(100, Protocol::Tcp), 5)]).0, whole);
    let more = PortMap::overlay([(udp(100), 1, at(5))]);
    assert_eq!(
        whole.joined(&more).get("100/udp").unwrap().unwrap().len(),
        2
    );
}
