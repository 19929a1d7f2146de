//! S9, S15, S16: networks are made, joined, left and removed; names resolve in them; they are apart from each other;
//! the two-container example with `--link`.

use crate::as_typed;
use crate::scene::{Scene, httpd};
use anyhow::{Result, ensure};
use onggi_testkit::Subject;

as_typed!(
    networks_are_removed_and_pruned,
    the_default_bridge_leads_outside,
    names_resolve_on_networks_of_users,
    networks_are_apart,
    the_host_s_network_and_none,
    an_application_is_linked_to_its_database,
    links_are_removed,
);

/// Whether containers in a network of users ask a resolver that knows the names there.
fn names_resolve(scene: &Scene, network: &str) -> Result<bool> {
    let line = format!("run --rm --network {network} busybox cat /etc/resolv.conf");
    let is = scene.ok(&line)?.contains("nameserver 127.0.0.11");
    if !is {
        eprintln!("not asked: names, for want of a resolver at 127.0.0.11");
    }
    Ok(is)
}

/// S9.
fn networks_are_removed_and_pruned(scene: &Scene) -> Result<()> {
    for name in ["used", "unused", "kept"] {
        scene.ok(&format!("network create --label of={name} {name}"))?;
    }
    scene.ok("run -d --name box --network used busybox sleep 1000")?;
    scene.fails("network rm used", 1, "has active endpoints")?;
    scene.fails(
        "network rm bridge",
        1,
        "is a pre-defined network and cannot be removed",
    )?;
    let asked = scene.typed_with("network prune", b"n\n")?;
    ensure!(
        asked
            .stdout
            .contains("WARNING! This will remove all custom networks"),
        "{asked:?}"
    );
    scene.lists(
        "network ls --filter type=custom --format {{.Name}}",
        &["kept", "unused", "used"],
    )?;
    scene.says(
        "network prune -f --filter label!=of=kept",
        "Deleted Networks:\nunused",
    )?;
    let pruned = scene.ok("system prune -f")?;
    ensure!(pruned.contains("Deleted Networks:\nkept"), "{pruned}");
    scene.lists(
        "network ls --filter type=custom --format {{.Name}}",
        &["used"],
    )?;
    scene.ok("rm -f box")?;
    scene.says("network rm used", "used")?;
    scene.fails("network rm used", 1, "network used not found")
}

/// S15: from the default bridge to the outside, which is the daemon's machine here.
fn the_default_bridge_leads_outside(scene: &Scene) -> Result<()> {
    scene.daemon.load(&httpd()?, &["httpd:latest"])?;
    scene.ok("run -d --name web --net host -e PORT=8123 httpd")?;
    scene.serves("127.0.0.1:8123", "It works!")?;
    let gateway =
        scene.ok("network inspect -f '{{range .IPAM.Config}}{{.Gateway}}{{end}}' bridge")?;
    scene.says(
        &format!("run --rm busybox wget -q -O - http://{gateway}:8123/"),
        "It works!",
    )?;
    let route = scene.ok("run --rm busybox ip route show default")?;
    ensure!(route.contains(&format!("via {gateway}")), "{route}");
    scene.ok("rm -f web").map(drop)
}

/// S15.
fn names_resolve_on_networks_of_users(scene: &Scene) -> Result<()> {
    scene.daemon.load(&httpd()?, &["httpd:latest"])?;
    scene.ok("network create --driver bridge --subnet 10.10.10.0/24 mynet")?;
    scene.says(
        "network inspect -f '{{.Driver}} {{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}' mynet",
        "bridge 10.10.10.0/24 10.10.10.1",
    )?;
    scene.ok("run -d --name web --network mynet --network-alias www httpd")?;
    // By its address in any case.
    let names = match names_resolve(scene, "mynet")? {
        true => &["web", "www", "web.mynet"][..],
        false => &["10.10.10.2"],
    };
    for name in names {
        scene.until(
            &format!("run --rm --network mynet busybox wget -q -O - http://{name}/"),
            |said| said == "It works!",
        )?;
    }
    scene.says(
        "inspect -f '{{.NetworkSettings.Networks.mynet.IPAddress}}' web",
        "10.10.10.2",
    )?;
    // One that was elsewhere joins, and leaves.
    scene.ok("run -d --name late busybox sleep 1000")?;
    scene.ok("network connect --alias tardy mynet late")?;
    let name = names[0];
    let fetch = format!("exec late wget -q -O - http://{name}/");
    scene.says(&fetch, "It works!")?;
    if name == "web" {
        scene.ok("exec web ping -c 1 -W 10 tardy")?;
    }
    scene.lists(
        "ps --filter network=mynet --format {{.Names}}",
        &["late", "web"],
    )?;
    scene.ok("network disconnect mynet late")?;
    let gone = scene.typed("exec late ping -c 1 -W 1 10.10.10.2")?;
    ensure!(gone.code != 0, "{gone:?}");
    scene.fails("network disconnect mynet late", 1, "is not connected to")?;
    scene.ok("rm -f web late")?;
    scene.says("network rm mynet", "mynet")
}

/// S15.
fn networks_are_apart(scene: &Scene) -> Result<()> {
    scene.daemon.load(&httpd()?, &["httpd:latest"])?;
    scene.ok("network create --subnet 10.10.11.0/24 red")?;
    scene.ok("network create --subnet 10.10.12.0/24 blue")?;
    scene.ok("run -d --name web --network red httpd")?;
    scene.until(
        "run --rm --network red busybox wget -q -O - http://10.10.11.2/",
        |said| said == "It works!",
    )?;
    for network in ["blue", "bridge"] {
        let line = format!(
            "run --rm --network {network} busybox sh -c 'timeout 5 wget -q -O - http://10.10.11.2/ || exit 1'"
        );
        let apart = scene.typed(&line)?;
        ensure!(
            apart.code != 0 && !apart.stdout.contains("works"),
            "{apart:?}"
        );
    }
    let unknown = scene.typed("run --rm --network blue busybox ping -c 1 -W 1 web")?;
    ensure!(unknown.code != 0, "{unknown:?}");
    // Who is in both reaches both.
    scene.ok("run -d --name both --network blue busybox sleep 1000")?;
    scene.ok("network connect red both")?;
    scene.says("exec both wget -q -O - http://10.10.11.2/", "It works!")?;
    scene.ok("rm -f web both")?;
    scene.says("network rm red blue", "red\nblue")
}

/// S15.
fn the_host_s_network_and_none(scene: &Scene) -> Result<()> {
    scene.daemon.load(&httpd()?, &["httpd:latest"])?;
    // Ports need no -p.
    scene.ok("run -d --name web --net host -e PORT=8124 httpd")?;
    scene.serves("127.0.0.1:8124", "It works!")?;
    scene.says(
        "run --rm --net container:web busybox wget -q -O - http://127.0.0.1:8124/",
        "It works!",
    )?;
    scene.says("run --rm --net none busybox ls /sys/class/net", "lo")?;
    scene.fails("network connect host web", 1, "")?;
    scene.ok("rm -f web")?;
    scene.ok("run -d --name alone --net none busybox sleep 1000")?;
    scene.fails("network connect bridge alone", 1, "none")?;
    scene.fails(
        "run --rm --net container:nothing busybox true",
        125,
        "nothing",
    )?;
    scene.ok("rm -f alone").map(drop)
}

/// S16: the words of the note; a web server stands in for the database, and one that asks it for the application.
fn an_application_is_linked_to_its_database(scene: &Scene) -> Result<()> {
    scene
        .daemon
        .load(&httpd()?, &["postgres:latest", "django-sample:latest"])?;
    scene.ok("run -d --rm --name db -e POSTGRES_DB=djangosample -e POSTGRES_USER=sampleuser -e POSTGRES_PASSWORD=samplesecret postgres")?;
    scene.ok("run -d --rm --name app -p 8000:8000 --link db -e DJANGO_DB_HOST=db -e DJANGO_DEBUG=True -e PORT=8000 django-sample")?;
    scene.serves("127.0.0.1:8000", "It works!")?;
    scene.until(
        "exec app sh -c 'wget -q -O - http://$DJANGO_DB_HOST/'",
        |said| said == "It works!",
    )?;
    let address = scene.ok("inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' db")?;
    let hosts = scene.ok("exec app cat /etc/hosts")?;
    ensure!(
        hosts.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(&*address) && words.any(|name| name == "db")
        }),
        "{hosts}"
    );
    scene.says(
        "inspect -f '{{json .HostConfig.Links}}' app",
        r#"["/db:/app/db"]"#,
    )?;
    // What the database was told, its user is told.
    let told = scene.ok("exec app cat /proc/1/environ")?;
    for line in ["DB_NAME=/app/db", "DB_ENV_POSTGRES_USER=sampleuser"] {
        ensure!(told.split('\0').any(|l| l == line), "{line}: {told}");
    }
    scene.says(
        "ps --no-trunc --filter name=db --format {{.Names}}",
        "app/db,db",
    )?;
    scene.ok("stop -t 0 app")?;
    scene.ok("stop -t 0 db").map(drop)
}

/// `rm --link` cuts the link and leaves both containers.
fn links_are_removed(scene: &Scene) -> Result<()> {
    scene.ok("run -d --name db busybox sleep 1000")?;
    scene.ok("run -d --name app --link db:store busybox sleep 1000")?;
    scene.ok("exec app ping -c 1 -W 10 store")?;
    if scene.daemon.subject() == Subject::Dockerd {
        // 20.10 answers 500 where the daemon has a network of its own.
        return scene.ok("rm -f app db").map(drop);
    }
    scene.says("rm --link app/store", "app/store")?;
    scene.says("inspect -f '{{len .HostConfig.Links}}' app", "0")?;
    scene.fails("rm --link app/store", 1, "app/store")?;
    scene.ok("rm -f app db").map(drop)
}
