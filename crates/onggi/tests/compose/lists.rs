//! What there is of a project: `ls`, `ps`, `images`, `port`, `top`, `volumes`, `stats`, `events`.

use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;
use rustix::process::Signal;
use serde_json::Value;

use crate::{Made, SLEEP, compose_in, made, refused, shop, write};

/// A service that runs twice, one that ended, a container of `run`, one of another project.
fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    made("web", 1).run(
        &daemon,
        &["-p", "127.0.0.1:8080:80", "-p", "127.0.0.1:8053:53/udp"],
        SLEEP,
    )?;
    made("web", 2).run(&daemon, &["-v", "shop_data:/data"], SLEEP)?;
    made("job", 1).run(&daemon, &[], "exit 3")?;
    let once = Made {
        oneoff: true,
        ..made("web", 7)
    };
    once.run(&daemon, &[], SLEEP)?;
    let other = Made {
        project: "zoo",
        ..made("ape", 1)
    };
    other.run(&daemon, &[], SLEEP)?;
    daemon.cli(&["wait", "shop-job-1"])?.ok()?;
    Ok(daemon)
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn containers_and_projects() -> Result<()> {
    let daemon = daemon()?;
    let shown = |arguments: &[&str]| -> Result<Vec<String>> {
        Ok(shop(&daemon, arguments)?.ok()?.lines().map(words).collect())
    };
    let names = |arguments: &[&str]| -> Result<Vec<String>> {
        shown(&[&["ps", "--format", "{{.Name}}"], arguments].concat())
    };
    ensure!(
        names(&[])? == ["shop-web-1", "shop-web-2"],
        "{:?}",
        names(&[])?
    );
    let all = ["shop-job-1", "shop-web-1", "shop-web-2", "shop-web-7"];
    ensure!(names(&["--all"])? == all, "{:?}", names(&["-a"])?);
    ensure!(names(&["-a", "job"])? == ["shop-job-1"]);
    ensure!(names(&["--status", "exited"])? == ["shop-job-1"]);
    ensure!(names(&["--filter", "status=running"])? == ["shop-web-1", "shop-web-2", "shop-web-7"]);
    ensure!(shown(&["ps", "--services"])? == ["web"]);
    ensure!(shown(&["ps", "-a", "--services"])? == ["job", "web"]);
    let table = shown(&["ps"])?;
    ensure!(
        table[0] == "NAME IMAGE COMMAND SERVICE CREATED STATUS PORTS",
        "{table:?}"
    );
    ensure!(table[1].contains("127.0.0.1:8080->80/tcp"), "{table:?}");
    let cut = shown(&["ps", "--format", "{{.Command}} {{.ID}}"])?;
    let full = shown(&["ps", "--no-trunc", "--format", "{{.Command}} {{.ID}}"])?;
    ensure!(
        !cut[0].contains(SLEEP) && full[0].contains(SLEEP),
        "{cut:?} {full:?}"
    );
    let ids = shown(&["ps", "-q", "web"])?;
    ensure!(
        ids.len() == 2 && ids[0].len() == 64 && full[0].ends_with(&ids[0]),
        "{ids:?}"
    );
    let json = shop(&daemon, &["ps", "--format", "json", "web"])?;
    let first = json.ok()?.lines().next().context("no line")?;
    let first: Value = serde_json::from_str(first)?;
    ensure!(
        first["Service"] == "web" && first["Project"] == "shop",
        "{first}"
    );
    ensure!(
        first["State"] == "running" && first["ExitCode"] == 0,
        "{first}"
    );
    let published = first["Publishers"].as_array().context("Publishers")?;
    ensure!(
        published.iter().any(|port| port["PublishedPort"] == 8080),
        "{first}"
    );
    // Of services that the files do not know only with --orphans.
    write(
        &daemon,
        "shop/compose.yaml",
        "services: {job: {image: busybox}}\n",
    )?;
    let known = |flag: &str| compose_in(&daemon, "shop", &["ps", "-a", "--services", flag]);
    ensure!(known("--orphans=false")?.ok()? == "job");
    ensure!(known("--orphans")?.ok()? == "job\nweb");
    refused(&shop(&daemon, &["ps", "nope"])?, "no such service: nope")?;
    refused(
        &shop(&daemon, &["ps", "--filter", "name=x"])?,
        "unknown filter name",
    )?;
    refused(
        &shop(&daemon, &["ps", "--status", "odd"])?,
        "no container can be \"odd\"",
    )?;

    let table = shown(&["ls"])?;
    let wanted = [
        "NAME STATUS CONFIG FILES",
        "shop running(2) /srv/compose.yaml",
        "zoo running(1) /srv/compose.yaml",
    ];
    ensure!(table == wanted, "{table:?}");
    ensure!(shown(&["ls", "--all"])?[1] == "shop exited(1), running(2) /srv/compose.yaml");
    ensure!(shown(&["ls", "-q"])? == ["shop", "zoo"]);
    ensure!(shown(&["ls", "-q", "--filter", "name=zo"])? == ["zoo"]);
    let json: Value = serde_json::from_str(shop(&daemon, &["ls", "--format", "json"])?.ok()?)?;
    ensure!(
        json[1]["Name"] == "zoo" && json[1]["ConfigFiles"] == "/srv/compose.yaml",
        "{json}"
    );
    refused(&shop(&daemon, &["ls", "--filter", "odd=x"])?, "odd")?;
    refused(&shop(&daemon, &["ls", "--format", "odd"])?, "odd")?;
    daemon.clean()
}

#[test]
fn images_ports_processes_and_volumes() -> Result<()> {
    let daemon = daemon()?;
    let shown = |arguments: &[&str]| -> Result<Vec<String>> {
        Ok(shop(&daemon, arguments)?.ok()?.lines().map(words).collect())
    };
    let images = shown(&["images", "job"])?;
    ensure!(
        images[0] == "CONTAINER REPOSITORY TAG PLATFORM IMAGE ID SIZE CREATED",
        "{images:?}"
    );
    ensure!(
        images.len() == 2 && images[1].starts_with("shop-job-1 busybox latest linux/"),
        "{images:?}"
    );
    let ids = shown(&["images", "--quiet"])?;
    ensure!(ids.len() == 1 && ids[0].len() == 64, "{ids:?}");
    let json: Value = serde_json::from_str(shop(&daemon, &["images", "--format", "json"])?.ok()?)?;
    ensure!(
        json[0]["ContainerName"] == "shop-job-1" && json[0]["Repository"] == "busybox",
        "{json}"
    );
    ensure!(json[0]["ID"] == format!("sha256:{}", ids[0]), "{json}");

    ensure!(shown(&["port", "web", "80"])? == ["127.0.0.1:8080"]);
    ensure!(
        shown(&["port", "--protocol", "udp", "--index", "1", "web", "53"])? == ["127.0.0.1:8053"]
    );
    refused(
        &shop(&daemon, &["port", "web", "81"])?,
        "no port 81/tcp for container shop-web-1",
    )?;
    refused(
        &shop(&daemon, &["port", "--index", "2", "web", "80"])?,
        "shop-web-2",
    )?;

    let top = shown(&["top"])?;
    ensure!(
        top[0].starts_with("SERVICE # ") && top.len() == 3,
        "{top:?}"
    );
    ensure!(
        top[1].starts_with("web 1 ") && top[2].starts_with("web 2 "),
        "{top:?}"
    );
    ensure!(top[1].ends_with("sleep 1000000"), "{top:?}");
    ensure!(shown(&["top", "job"])?.is_empty());

    let labelled = ["--label", "com.docker.compose.project=shop"];
    daemon
        .cli(&[&["volume", "create"], &labelled[..], &["shop_spare"]].concat())?
        .ok()?;
    daemon.cli(&["volume", "create", "foreign"])?.ok()?;
    ensure!(
        shown(&["volumes"])? == ["DRIVER VOLUME NAME", "local shop_spare"],
        "{:?}",
        shown(&["volumes"])?
    );
    ensure!(shown(&["volumes", "-q"])? == ["shop_spare"]);
    ensure!(shown(&["volumes", "--format", "{{.Name}}!"])? == ["shop_spare!"]);
    ensure!(shown(&["volumes", "-q", "web"])?.is_empty());

    let stats = shown(&["stats", "--no-stream", "--format", "{{.Name}}"])?;
    let mut sorted = stats.clone();
    sorted.sort();
    ensure!(
        sorted == ["shop-web-1", "shop-web-2", "shop-web-7"],
        "{stats:?}"
    );
    let stats = shown(&[
        "stats",
        "--no-stream",
        "--all",
        "--format",
        "{{.Name}}",
        "job",
    ])?;
    ensure!(stats == ["shop-job-1"], "{stats:?}");
    let long = shown(&[
        "stats",
        "--no-stream",
        "--no-trunc",
        "--format",
        "{{.ID}}",
        "web",
    ])?;
    ensure!(long[0].len() == 64, "{long:?}");
    refused(&shop(&daemon, &["stats", "nope"])?, "no such service: nope")?;
    daemon.clean()
}

#[test]
fn events_of_the_project_alone() -> Result<()> {
    let daemon = daemon()?;
    let mut json = daemon.cli_process(&["compose", "-p", "shop", "events", "--json", "web"])?;
    // Until it listens, what happens is missed: the past is asked for as well.
    let past = |arguments: &[&str]| -> Result<Vec<String>> {
        let all = [&["events", "--since", "1h", "--until", "0s"], arguments].concat();
        Ok(shop(&daemon, &all)?
            .ok()?
            .lines()
            .map(str::to_owned)
            .collect())
    };
    daemon.cli(&["kill", "zoo-ape-1"])?.ok()?;
    daemon.cli(&["kill", "shop-web-2"])?.ok()?;
    daemon.cli(&["wait", "shop-web-2"])?.ok()?;
    let all = past(&[])?;
    ensure!(
        all.iter()
            .any(|line| line.contains(" container die ") && line.contains("name=shop-web-2")),
        "{all:#?}"
    );
    ensure!(
        all.iter().any(|line| line.contains("name=shop-job-1")),
        "{all:#?}"
    );
    ensure!(
        !all.iter()
            .any(|line| line.contains("zoo") || line.contains("com.docker.compose")),
        "{all:#?}"
    );
    ensure!(
        !all.iter().any(|line| line.contains("shop-web-7")),
        "{all:#?}"
    );
    let web = past(&["--json", "web"])?;
    let events: Vec<Value> = web
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    ensure!(
        events
            .iter()
            .all(|event| event["service"] == "web" && event["type"] == "container"),
        "{web:#?}"
    );
    ensure!(
        events
            .iter()
            .any(|event| event["action"] == "die" && event["attributes"]["exitCode"] == "137"),
        "{web:#?}"
    );
    // The one that listens sees what is still to come, as often as it takes.
    for _ in 0..100 {
        daemon.cli(&["restart", "-t", "0", "shop-web-1"])?.ok()?;
        if json.stdout().contains("\"action\":\"restart\"") {
            break;
        }
    }
    json.expect("\"action\":\"restart\"")?;
    json.signal(Signal::KILL)?;
    json.wait()?;
    daemon.clean()
}
