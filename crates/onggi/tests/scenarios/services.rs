//! S6: services with published ports, reachable from the host, from 127.0.0.1 and from another container.

use crate::as_typed;
use crate::scene::{Scene, httpd};
use anyhow::{Result, ensure};

as_typed!(
    a_service_is_reached_from_everywhere,
    ports_are_what_was_asked_for
);

fn a_service_is_reached_from_everywhere(scene: &Scene) -> Result<()> {
    scene.daemon.load(
        &httpd()?,
        &["httpd:latest", "user/tag:latest", "name/tag:latest"],
    )?;
    scene.ok("run -d --name myweb -p 80:80 httpd")?;
    scene.ok("run -d --name second -p 3000:3000 -e PORT=3000 user/tag")?;
    scene.ok("run -d --name third -p 9999:80 name/tag")?;
    for port in [80, 3000, 9999] {
        scene.serves(&format!("127.0.0.1:{port}"), "It works!")?;
    }
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}";
    let addresses = scene.ok(&format!("inspect -f '{address}' myweb"))?;
    let Some((own, gateway)) = addresses.split_once(' ') else {
        anyhow::bail!("{addresses}");
    };
    scene.serves(&format!("{own}:80"), "It works!")?;
    scene.serves(&format!("{gateway}:9999"), "It works!")?;
    // From another container: straight, and by the host's address and published port.
    for at in [
        format!("{own}:80"),
        format!("{gateway}:80"),
        format!("{gateway}:9999"),
    ] {
        scene.says(
            &format!("run --rm busybox wget -q -O - http://{at}/"),
            "It works!",
        )?;
    }
    let ports = scene.ok("ps --filter name=third --format {{.Ports}}")?;
    ensure!(ports.starts_with("0.0.0.0:9999->80/tcp"), "{ports}");
    scene.says("stop third", "third")?;
    ensure!(
        scene.fetch("127.0.0.1:9999").is_err(),
        "the port is still open"
    );
    scene.says("start third", "third")?;
    scene.serves("127.0.0.1:9999", "It works!")
}

fn ports_are_what_was_asked_for(scene: &Scene) -> Result<()> {
    scene.daemon.load(&httpd()?, &["httpd:latest"])?;
    scene.ok("run -d --name local -p 127.0.0.1:8080:80 httpd")?;
    scene.says("port local", "80/tcp -> 127.0.0.1:8080")?;
    scene.says("port local 80", "127.0.0.1:8080")?;
    scene.fails(
        "port local 81",
        1,
        "No public port '81' published for local",
    )?;
    scene.serves("127.0.0.1:8080", "It works!")?;
    // A taken port is refused with its number, and what was made for it is gone with rm.
    scene.fails("run -d --name late -p 127.0.0.1:8080:80 httpd", 125, "8080")?;
    scene.says("ps -a --filter name=late --format {{.State}}", "created")?;
    scene.says("rm late", "late")?;
    // All exposed ports, anywhere.
    scene.ok("run -d --name any -P httpd")?;
    let any = scene.ok("port any 80/tcp")?;
    let Some(port) = any.lines().next().and_then(|line| line.rsplit(':').next()) else {
        anyhow::bail!("{any}");
    };
    scene.serves(&format!("127.0.0.1:{port}"), "It works!")?;
    scene.ok("run -d --name range -p 127.0.0.1:7000-7002:80-82 httpd")?;
    scene.lists(
        "port range",
        &[
            "80/tcp -> 127.0.0.1:7000",
            "81/tcp -> 127.0.0.1:7001",
            "82/tcp -> 127.0.0.1:7002",
        ],
    )?;
    scene.fails("run -p 80:x httpd", 125, "invalid")
}
