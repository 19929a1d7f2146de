//! Firewalls of others, and what they do to ours: rules that are flushed during traffic, policies that drop, ufw's rules, a
//! daemon that is killed in the middle of changes. Isolation never opens: counted in the namespace of who must not be
//! reached, while somebody sends 10,000 packets a second. What is published answers again. Rules of others stay as they are.

use crate::ok;
use crate::scene::{Scene, is_not_asked, middle, nft, of_others, report, run};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Rules as ufw has them, in tables as iptables makes them: nothing comes in but answers and what is allowed, nothing
/// passes through.
const UFW: &str = r#"
table ip filter {
    chain ufw-user-input {
        tcp dport 22 counter accept
        tcp dport 8081 counter accept
    }
    chain ufw-before-input {
        iifname "lo" counter accept
        ct state related,established counter accept
        ct state invalid counter drop
        ip protocol icmp icmp type echo-request counter accept
        counter jump ufw-user-input
    }
    chain ufw-before-forward {
        ct state related,established counter accept
        ip protocol icmp icmp type echo-request counter accept
    }
    chain INPUT {
        type filter hook input priority filter; policy drop;
        counter jump ufw-before-input
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump ufw-before-forward
    }
    chain OUTPUT {
        type filter hook output priority filter; policy accept;
    }
}
"#;

#[test]
fn flushed_fifty_times_under_fire() -> Result<()> {
    if is_not_asked(true)? {
        return Ok(());
    }
    let scene = Scene::open(&[], "")?;
    let (mut times, mut plain) = (Vec::new(), Vec::new());
    scene.under_fire(|| {
        for _ in 0..50 {
            run(scene.daemon.namespace(), "nft", "flush ruleset")?;
            times.push(scene.answers(8080)?);
        }
        Ok(())
    })?;
    // What this machine needs for one rule by hand, under the same fire.
    scene.under_fire(|| {
        let rules = format!(
            "table ip plain {{\n chain in {{\n type nat hook prerouting priority dstnat;\n tcp dport 8090 dnat to {}:80\n }}\n}}",
            scene.address
        );
        for _ in 0..10 {
            let began = Instant::now();
            nft(&scene.daemon, &rules)?;
            scene.answers(8090)?;
            plain.push(began.elapsed());
            run(scene.daemon.namespace(), "nft", "delete table ip plain")?;
        }
        Ok(())
    })?;
    let limit = Duration::from_millis(100).max(middle(&mut plain) * 5);
    let usual = middle(&mut times);
    report("a rule by hand answered after", plain);
    report("published ports answered again after", times);
    ensure!(
        usual <= limit,
        "usually after {usual:?}, more than {limit:?}"
    );
    scene.close()
}

#[test]
fn tables_that_are_gone_are_made_by_the_next_daemon() -> Result<()> {
    if is_not_asked(false)? {
        return Ok(());
    }
    // As after a start of the machine: networks whose subnets adjoin, and no table.
    let mut scene = Scene::open(&[], "")?;
    ok(&scene.daemon, "network create three --ipv6")?;
    ok(&scene.daemon, "network create four --ipv6")?;
    scene.answers(8080)?;
    scene.daemon.kill()?;
    run(scene.daemon.namespace(), "nft", "flush ruleset")?;
    scene.daemon.run()?;
    scene.answers(8080)?;
    let said = scene.daemon.log();
    ensure!(!said.contains("WARN"), "{said}");
    scene.close()
}

#[test]
fn policies_that_drop_and_rules_of_ufw() -> Result<()> {
    if is_not_asked(true)? {
        return Ok(());
    }
    let scene = Scene::open(&[], UFW)?;
    let before = of_others(&scene.daemon)?;
    scene.answers(8080)?;
    let mut times = Vec::new();
    scene.under_fire(|| {
        for _ in 0..20 {
            // As ufw reloads: everything of its own goes, and comes again.
            nft(&scene.daemon, &format!("delete table ip filter\n{UFW}"))?;
            times.push(scene.answers(8080)?);
        }
        Ok(())
    })?;
    report(
        "published ports answered again after a reload of ufw's rules",
        times,
    );
    ensure!(
        of_others(&scene.daemon)? == before,
        "rules of others have changed"
    );
    // Those who have it are asked.
    let user = "add chain ip filter DOCKER-USER\nadd rule ip filter DOCKER-USER tcp dport 80 drop";
    nft(&scene.daemon, user)?;
    wait_until("DOCKER-USER to be asked", LIMIT, || {
        scene
            .is_closed(8080)
            .is_ok_and(|closed| closed)
            .then_some(())
    })?;
    nft(&scene.daemon, "flush chain ip filter DOCKER-USER")?;
    scene.answers(8080)?;
    scene.close()
}

#[test]
fn killed_in_the_middle_of_changes() -> Result<()> {
    if is_not_asked(true)? {
        return Ok(());
    }
    let mut scene = Scene::open(&[], UFW)?;
    let before = of_others(&scene.daemon)?;
    const CHANGES: usize = 200;
    const KILLS: usize = 8;
    for round in 0..KILLS {
        // The changes end where the daemon does.
        scene.under_fire(|| {
            for number in 0..CHANGES / KILLS {
                let name = format!("n{round}-{number}");
                if number == CHANGES / KILLS / 2 + round {
                    let pid = scene.daemon.pid().context("a daemon")?;
                    let change = scene.daemon.cli_process(&["network", "create", &name])?;
                    run(scene.daemon.namespace(), "kill", &format!("-9 {pid}"))?;
                    drop(change);
                    return Ok(());
                }
                ok(&scene.daemon, &format!("network create {name}"))?;
                let line = format!("network connect {name} stranger");
                ok(&scene.daemon, &line)?;
            }
            Ok(())
        })?;
        let _ = scene.daemon.kill();
        let away = scene.answers(8080)?;
        scene.daemon.run()?;
        let back = scene.answers(8080)?;
        eprintln!("answered after {away:?} without a daemon, {back:?} with the next");
        for name in ok(&scene.daemon, "network ls --format {{.Name}}")?.lines() {
            if name.starts_with('n') && name.contains('-') {
                // The last one may be there, but nobody was connected to it any more.
                if !name.ends_with(&format!("-{}", CHANGES / KILLS / 2 + round)) {
                    ok(
                        &scene.daemon,
                        &format!("network disconnect -f {name} stranger"),
                    )?;
                }
                ok(&scene.daemon, &format!("network rm {name}"))?;
            }
        }
    }
    ensure!(
        of_others(&scene.daemon)? == before,
        "rules of others have changed"
    );
    scene.close()
}

#[test]
fn published_ports_obey_the_host_where_asked() -> Result<()> {
    if is_not_asked(false)? {
        return Ok(());
    }
    // Docker's: rules of input are for servers of the host.
    let mut scene = Scene::open(&[], UFW)?;
    for port in [8080, 8081] {
        scene.answers(port)?;
    }
    // The same containers with the next daemon, which asks them. ufw lets 8081 in.
    scene.close()?;
    scene = Scene::open(&["--publish-policy=host"], UFW)?;
    scene.answers(8081)?;
    ensure!(scene.is_closed(8080)?, "8080 is not allowed");
    // It is closed to nobody else.
    let own: SocketAddr = "127.0.0.1:8080".parse()?;
    let connect = || {
        let limit = Duration::from_secs(1);
        let stream = scene
            .daemon
            .namespace()
            .run(|| TcpStream::connect_timeout(&own, limit));
        stream.ok()?.ok()
    };
    wait_until("the host itself to get through", LIMIT, connect)?;
    nft(
        &scene.daemon,
        "add rule ip filter ufw-user-input tcp dport 8080 accept",
    )?;
    scene.answers(8080)?;
    run(scene.daemon.namespace(), "nft", "flush ruleset")?;
    scene.answers(8080)?;
    scene.close()
}

#[test]
fn chains_of_others_that_drop_are_named() -> Result<()> {
    if is_not_asked(false)? {
        return Ok(());
    }
    let rules = "table inet fence {\n chain passing {\n type filter hook forward priority 10; policy drop;\n }\n}";
    let mut scene = Scene::open(&[], rules)?;
    ensure!(
        scene.is_closed(8080)?,
        "a verdict of ours undid one of theirs"
    );
    let before = of_others(&scene.daemon)?;
    // At the latest the next daemon looks.
    scene.daemon.kill()?;
    scene.daemon.run()?;
    let log = scene.daemon.log();
    let line = log.lines().find(|line| line.contains("chain passing"));
    let line = line.context("no warning")?;
    // The line to add, as it is said.
    let (_, said) = line.split_once("nft '").context("no line to add")?;
    let (said, _) = said.split_once('\'').context("no end of the line")?;
    ensure!(
        of_others(&scene.daemon)? == before,
        "rules of others have changed"
    );
    let links = run(scene.daemon.namespace(), "ip", "-o link show type bridge")?;
    let named = said
        .split('"')
        .nth(1)
        .context("the line names no bridge")?
        .to_owned();
    ensure!(links.contains(&named), "{named} is no bridge: {links}");
    for link in links.lines().filter_map(|line| line.split(": ").nth(1)) {
        nft(
            &scene.daemon,
            &said.replace("; ", "\n").replace(&named, link),
        )?;
    }
    scene.answers(8080)?;
    scene.close()
}
