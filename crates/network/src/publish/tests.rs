//! Taking ports and giving them back, with sockets of this machine.

use super::*;
use onggi_model::Port;

fn side(container: &str, host: &str) -> Side {
    Side {
        container: container.parse().unwrap(),
        host: Some(host.parse().unwrap()),
        mode: GatewayMode::Nat,
    }
}

fn target(host: &str) -> Target<'static> {
    Target {
        name: "web",
        sides: vec![side("172.17.0.2", host)],
        range: (42_000, 42_002),
    }
}

fn local() -> Target<'static> {
    target("127.0.0.1")
}

fn request(port: &str, ip: &str, host: &str) -> PublishRequest {
    PublishRequest::new(Port::parse(port).unwrap(), ip, host).unwrap()
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[test]
fn a_port_is_held_until_it_is_given_back() {
    let mut ports = HostPorts::default();
    let number = free_port();
    let text = number.to_string();
    let (published, sockets) = ports
        .take(&[request("80/tcp", "", &text)], &local())
        .unwrap();
    assert_eq!((published[0].host_port, sockets.len()), (number, 1));
    let error = ports
        .take(&[request("81", "0.0.0.0", &text)], &local())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Bind for 0.0.0.0:{number} failed: port is already allocated")
    );
    assert!(std::net::TcpListener::bind(("127.0.0.1", number)).is_err());
    assert!(
        ports
            .take(&[request("80/udp", "", &text)], &local())
            .is_ok(),
        "another transport"
    );
    ports.release(&published);
    drop(sockets);
    assert!(
        ports
            .take(&[request("80/tcp", "", &text)], &local())
            .is_ok()
    );
}

#[test]
fn ports_of_the_hosts_processes_are_refused_in_dockers_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = listener.local_addr().unwrap().port();
    let error = HostPorts::default()
        .take(
            &[request("80/tcp", "0.0.0.0", &number.to_string())],
            &local(),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "failed to bind host port for 0.0.0.0:{number}:172.17.0.2:80/tcp: address already in use"
        )
    );
    let error = HostPorts::default()
        .take(&[request("80/tcp", "192.0.2.1", "8080")], &local())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to bind host port for 192.0.2.1:8080:172.17.0.2:80/tcp: cannot assign requested address"
    );
}

#[test]
fn all_or_nothing() {
    let mut ports = HostPorts::default();
    let number = free_port().to_string();
    let requests = [request("80", "", &number), request("81", "", &number)];
    assert!(matches!(
        ports.take(&requests, &local()),
        Err(PublishError::Allocated { .. })
    ));
    assert!(ports.take(&requests[..1], &local()).is_ok());
}

#[test]
fn free_ports_are_taken_in_turn_until_none_is_left() {
    let mut ports = HostPorts::default();
    let mut given = Vec::new();
    let mut held = Vec::new();
    let target = &target("127.0.0.77");
    for _ in 0..3 {
        let (published, sockets) = ports.take(&[request("80", "", "")], target).unwrap();
        given.push(published[0]);
        held.extend(sockets);
    }
    assert_eq!(
        given.iter().map(|one| one.host_port).collect::<Vec<_>>(),
        [42_000, 42_001, 42_002]
    );
    assert!(matches!(
        ports.take(&[request("80", "", "")], target),
        Err(PublishError::Exhausted)
    ));
    ports.release(&given[1..2]);
    held.remove(1);
    let (published, _held) = ports
        .take(&[request("80", "", "42000-42002")], target)
        .unwrap();
    assert_eq!(published[0].host_port, 42_001);
}

#[test]
fn a_family_that_the_container_lacks_is_refused() {
    let error = HostPorts::default()
        .take(&[request("80", "::1", "80")], &local())
        .unwrap_err();
    assert!(matches!(error, PublishError::Family { .. }));
}

#[test]
fn a_port_on_its_way_out_is_waited_for() {
    let mut ports = HostPorts::default();
    let number = free_port();
    let (published, sockets) = ports
        .take(&[request("80", "", &number.to_string())], &local())
        .unwrap();
    ports.release(&published);
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(sockets);
    });
    assert!(
        ports
            .take(&[request("80", "", &number.to_string())], &local())
            .is_ok()
    );
    holder.join().unwrap();
}

#[test]
fn both_families_at_the_same_port() {
    let mut target = local();
    target.sides[0].host = Some("0.0.0.0".parse().unwrap());
    target.sides.push(side("fd00::2", "::"));
    let mut ports = HostPorts::default();
    let (published, sockets) = ports.take(&[request("80", "", "")], &target).unwrap();
    assert_eq!((published.len(), sockets.len()), (2, 2));
    assert_eq!(published[0].host_port, published[1].host_port);
    assert!(published[0].host_ip.is_ipv4() && published[1].host_ip.is_ipv6());
    let number = published[0].host_port.to_string();
    for ip in ["127.0.0.1", "::1"] {
        let error = ports
            .take(&[request("80", ip, &number)], &target)
            .unwrap_err();
        assert!(matches!(error, PublishError::Allocated { holder, .. } if holder == "web"));
    }
    let only = ports.take(&[request("80", "::1", "")], &target).unwrap();
    assert_eq!(only.0.len(), 1);
}

#[test]
fn runs_are_taken_whole() {
    let mut ports = HostPorts::default();
    let run = |first: u16, count: u16| -> Vec<PublishRequest> {
        let all = first..first + count;
        all.map(|port| request(&format!("{port}/udp"), "127.0.0.9", &port.to_string()))
            .collect()
    };
    let (short, held) = ports.take(&run(20_000, 100), &local()).unwrap();
    assert_eq!((short.len(), short[0].length, held.len()), (1, 100, 100));
    // Too long to be held: looked for among the sockets of the host.
    let socket = std::net::UdpSocket::bind("127.0.0.9:23000").unwrap();
    let error = ports.take(&run(22_000, 2000), &local()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to bind host port for 127.0.0.9:23000:172.17.0.2:23000/udp: address already in use"
    );
    drop(socket);
    let (long, none) = ports.take(&run(22_000, 2000), &local()).unwrap();
    assert_eq!((long.len(), long[0].length, none.len()), (1, 2000, 0));
    // Both ends, and the middle, belong to somebody now.
    for (first, count, port) in [
        (19_000, 1001, 20_000),
        (20_099, 5, 20_099),
        (23_999, 1, 23_999),
    ] {
        let error = ports.take(&run(first, count), &local()).unwrap_err();
        assert!(matches!(error, PublishError::Allocated { port: found, .. } if found == port));
    }
    ports.release(&long);
    assert!(ports.take(&run(23_999, 1), &local()).is_ok());
    assert!(ports.take(&run(22_000, 1500), &local()).is_ok());
}

#[test]
fn no_more_sockets_are_kept_than_may_be() {
    let mut ports = HostPorts::default();
    let target = Target {
        range: (30_000, 39_999),
        ..target("127.0.0.78")
    };
    let free = |count: u16| PublishRequest {
        length: count,
        ..request("1000/udp", "", "")
    };
    let (published, held) = ports.take(&[free(1_500)], &target).unwrap();
    assert_eq!((published.len(), held.len()), (1_500, HELD));
    let odd =
        (0..1_100_u16).map(|by| request(&format!("{by}/udp"), "", &(40_001 + 2 * by).to_string()));
    let (published, held) = ports.take(&odd.collect::<Vec<_>>(), &target).unwrap();
    assert_eq!((published.len(), held.len()), (1_100, HELD));
}

#[test]
fn holders_get_other_names() {
    let mut ports = HostPorts::default();
    let number = free_port().to_string();
    let wanted = [request("80", "", &number)];
    let (published, _held) = ports.take(&wanted, &local()).unwrap();
    let holder = |ports: &mut HostPorts| match ports.take(&wanted, &local()) {
        Err(PublishError::Allocated { holder, .. }) => holder,
        other => panic!("{other:?}"),
    };
    assert_eq!(holder(&mut ports), "web");
    ports.rename("shop", &published);
    assert_eq!(holder(&mut ports), "shop");
}

#[test]
fn routed_ports_take_nothing_of_the_host() {
    let mut target = local();
    target.sides[0].mode = GatewayMode::Routed;
    let mut ports = HostPorts::default();
    for _ in 0..2 {
        let (published, sockets) = ports.take(&[request("80", "", "8080")], &target).unwrap();
        assert_eq!((published[0].host_port, sockets.len()), (0, 0));
    }
}

#[test]
fn sctp_is_published_with_and_without_the_kernels_sockets() {
    let (published, _held) = HostPorts::default()
        .take(&[request("80/sctp", "127.0.0.1", "8080")], &local())
        .unwrap();
    assert_eq!(published[0].host_port, 8080);
}
