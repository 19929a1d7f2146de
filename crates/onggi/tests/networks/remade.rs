//! Networks that were removed and made again under the same name, and containers that were in them.

use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, Subject, wait_until};

use crate::{daemon, finish, ok, refuses, shows};

#[test]
fn a_container_starts_in_the_network_that_has_the_name_now() -> Result<()> {
    let daemon = daemon()?;
    ok(&daemon, "network create --subnet 10.74.0.0/24 front")?;
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let server = "busybox httpd -f -p 80";
    ok(
        &daemon,
        &format!("run -d --name once --network front -p 18070:80 {server}"),
    )?;
    ok(
        &daemon,
        &format!("create --name never --network front {server}"),
    )?;
    ok(&daemon, "stop -t 0 once")?;
    ok(&daemon, "network rm front")?;
    refuses(&daemon, "start once", "not found")?;
    ok(&daemon, "network create --subnet 10.75.0.0/24 front")?;
    ok(&daemon, "start never")?;
    ensure!(shows(&daemon, "container", "never", address)?.starts_with("10.75.0."));
    if daemon.subject() == Subject::Dockerd {
        // It looks for the id of the network that it was in.
        refuses(&daemon, "start once", "not found")?;
    } else {
        ok(&daemon, "start once")?;
        ensure!(shows(&daemon, "container", "once", address)?.starts_with("10.75.0."));
        let named = "{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}";
        let id = shows(&daemon, "network", "front", "{{.Id}}")?;
        ensure!(shows(&daemon, "container", "once", named)? == id);
        let reach = || {
            let stream = daemon
                .namespace()
                .run(|| std::net::TcpStream::connect(("127.0.0.1", 18070)));
            stream.ok()?.ok()
        };
        wait_until("its port to answer", LIMIT, reach)?;
        ok(&daemon, "exec never ping -c 1 -w 20 once")?;
        // An address that it asked for and that is not there any more is said.
        ok(
            &daemon,
            &format!("create --name fixed --network front --ip 10.75.0.9 {server}"),
        )?;
        ok(&daemon, "rm -f never once")?;
        ok(&daemon, "network rm front")?;
        ok(&daemon, "network create --subnet 10.76.0.0/24 front")?;
        refuses(&daemon, "start fixed", "10.75.0.9")?;
    }
    let names = ok(&daemon, "ps -aq")?.replace('\n', " ");
    ok(&daemon, &format!("rm -f {names}"))?;
    finish(&daemon)
}
