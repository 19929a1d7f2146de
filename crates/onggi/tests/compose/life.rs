//! A project's containers are made, started, stopped, scaled and removed.

use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;

use crate::{compose_in, refused, write};

/// A service that needs another one. Both end at once when they shall.
const FILE: &str = "name: shop
services:
  web:
    image: busybox
    command: sleep 1000000
    stop_signal: SIGKILL
    depends_on: [db]
    labels: {version: '1'}
  db:
    image: busybox
    command: sleep 1000000
    stop_signal: SIGKILL
    volumes: [/anonymous, 'data:/data']
volumes: {data: }
";

struct Shop(Daemon);

impl Shop {
    fn open(file: &str) -> Result<Self> {
        let daemon = Daemon::start()?;
        daemon.load_busybox()?;
        write(&daemon, "shop/compose.yaml", file)?;
        Ok(Self(daemon))
    }

    fn change(&self, from: &str, to: &str) -> Result<()> {
        write(&self.0, "shop/compose.yaml", &FILE.replace(from, to)).map(drop)
    }

    fn ok(&self, arguments: &[&str]) -> Result<String> {
        Ok(compose_in(&self.0, "shop", arguments)?.ok()?.to_owned())
    }

    /// What `ps` says of every container.
    fn all(&self, format: &str) -> Result<Vec<String>> {
        let shown = self.ok(&["ps", "-a", "--format", format])?;
        Ok(shown.lines().map(str::to_owned).collect())
    }

    fn states(&self) -> Result<String> {
        Ok(self.all("{{.Service}}:{{.State}}")?.join(" "))
    }

    /// The id of a service's container.
    fn id(&self, name: &str) -> Result<String> {
        let found = self
            .0
            .get(&format!("/containers/{name}/json"))?
            .ok()?
            .json()?;
        Ok(found["Id"].as_str().context("Id")?.to_owned())
    }

    fn close(self) -> Result<()> {
        compose_in(
            &self.0,
            "shop",
            &["down", "-v", "-t", "0", "--remove-orphans"],
        )?
        .ok()?;
        self.0.clean()
    }
}

#[test]
fn up_makes_what_is_missing_and_down_takes_it_away() -> Result<()> {
    let shop = Shop::open(FILE)?;
    let plan = shop.ok(&["up", "--plan"])?;
    ensure!(
        plan.contains("create container shop-web-1") && plan.contains("(after "),
        "{plan}"
    );
    let dry = shop.ok(&["--dry-run", "up", "-d"])?;
    ensure!(dry == plan && shop.states()?.is_empty(), "{dry}");
    let up = compose_in(&shop.0, "shop", &["up", "--detach", "--yes"])?;
    up.ok()?;
    let says = |text: &str| up.stderr.contains(&format!(" {text}\n"));
    ensure!(
        says("Network shop_default  Created") && says("Volume shop_data  Created"),
        "{up:?}"
    );
    ensure!(
        says("Container shop-db-1  Started") && says("Container shop-web-1  Started"),
        "{up:?}"
    );
    ensure!(shop.states()? == "db:running web:running");
    let again = compose_in(&shop.0, "shop", &["up", "-d"])?;
    ensure!(
        again.stderr.contains(" Container shop-web-1  Running\n"),
        "{again:?}"
    );
    let nothing = shop.ok(&["--dry-run", "stop", "web"])?;
    ensure!(nothing.contains("stop container shop-web-1"), "{nothing}");
    shop.ok(&["down", "--timeout", "0", "web"])?;
    ensure!(shop.states()? == "db:running");
    shop.ok(&["down"])?;
    let volumes = |shop: &Shop| shop.0.cli(&["volume", "ls", "-q"]);
    ensure!(shop.states()?.is_empty() && volumes(&shop)?.stdout.contains("shop_data"));
    shop.ok(&["down", "--volumes"])?;
    ensure!(!volumes(&shop)?.stdout.contains("shop_data"));
    let none = compose_in(&shop.0, "shop", &["down"])?;
    ensure!(
        none.code == 0 && none.stderr.contains("No resource found to remove"),
        "{none:?}"
    );
    // Without files, by labels alone.
    shop.ok(&["up", "-d"])?;
    shop.0
        .cli(&["compose", "-p", "shop", "down", "-t", "0"])?
        .ok()?;
    ensure!(shop.states()?.is_empty());
    shop.0.cli(&["tag", "busybox", "shop/own:1"])?.ok()?;
    shop.change("    image: busybox\n    command: sleep 1000000\n    stop_signal: SIGKILL\n    depends_on", "    image: shop/own:1\n    command: sleep 1000000\n    stop_signal: SIGKILL\n    depends_on")?;
    shop.ok(&["up", "-d"])?;
    shop.ok(&["down", "--rmi", "all"])?;
    ensure!(!shop.0.cli(&["images"])?.stdout.contains("shop/own"));
    refused(
        &compose_in(&shop.0, "shop", &["down", "--rmi", "odd"])?,
        "invalid value for --rmi",
    )?;
    shop.close()
}

#[test]
fn containers_are_made_anew_when_they_shall() -> Result<()> {
    let shop = Shop::open(FILE)?;
    shop.ok(&["up", "-d"])?;
    let ids =
        || -> Result<(String, String)> { Ok((shop.id("shop-web-1")?, shop.id("shop-db-1")?)) };
    let before = ids()?;
    shop.change("version: '1'", "version: '2'")?;
    shop.ok(&["up", "-d", "--no-recreate"])?;
    ensure!(ids()? == before);
    shop.ok(&["up", "-d"])?;
    let changed = ids()?;
    ensure!(changed.0 != before.0 && changed.1 == before.1);
    shop.ok(&["up", "-d", "--force-recreate", "web"])?;
    let forced = ids()?;
    ensure!(forced.0 != changed.0 && forced.1 == changed.1);
    shop.ok(&[
        "up",
        "-d",
        "--force-recreate",
        "--always-recreate-deps",
        "web",
    ])?;
    let both = ids()?;
    ensure!(both.0 != forced.0 && both.1 != forced.1);
    let mount = |shop: &Shop| -> Result<String> {
        let found = shop.0.get("/containers/shop-db-1/json")?.ok()?.json()?;
        let mounts = found["Mounts"].as_array().context("Mounts")?.clone();
        let own = mounts.iter().find(|one| one["Destination"] == "/anonymous");
        Ok(own.context("a mount")?["Name"]
            .as_str()
            .context("Name")?
            .to_owned())
    };
    let first = mount(&shop)?;
    shop.ok(&["up", "-d", "--force-recreate"])?;
    ensure!(mount(&shop)? == first);
    shop.ok(&["up", "-d", "--force-recreate", "--renew-anon-volumes"])?;
    ensure!(mount(&shop)? != first);
    // Orphans.
    write(
        &shop.0,
        "shop/compose.yaml",
        &FILE.replace("  web:", "  new:"),
    )?;
    shop.ok(&["up", "-d"])?;
    ensure!(
        shop.states()? == "db:running new:running web:running",
        "{}",
        shop.states()?
    );
    shop.ok(&["up", "-d", "--remove-orphans", "--timeout", "0"])?;
    ensure!(shop.states()? == "db:running new:running");
    shop.close()
}

#[test]
fn services_are_started_stopped_scaled_and_removed() -> Result<()> {
    let shop = Shop::open(FILE)?;
    shop.ok(&["up", "--no-start"])?;
    ensure!(shop.states()? == "db:created web:created");
    shop.ok(&["start", "--wait", "--wait-timeout", "60", "web"])?;
    ensure!(
        shop.states()? == "db:running web:running",
        "{}",
        shop.states()?
    );
    refused(
        &compose_in(&shop.0, "shop", &["start", "--wait-timeout", "1"])?,
        "give both",
    )?;
    shop.ok(&["stop", "-t", "1", "web"])?;
    ensure!(shop.states()? == "db:running web:exited");
    let started = |shop: &Shop| -> Result<String> {
        let found = shop.0.get("/containers/shop-db-1/json")?.ok()?.json()?;
        Ok(found["State"]["StartedAt"].to_string())
    };
    let before = started(&shop)?;
    shop.ok(&["restart", "--no-deps", "-t", "0", "db"])?;
    ensure!(started(&shop)? != before);
    let asked = shop
        .0
        .cli_with_input(&["compose", "-p", "shop", "rm"], b"n\n")?;
    ensure!(
        asked.stdout.contains("Going to remove shop-web-1"),
        "{asked:?}"
    );
    ensure!(shop.states()? == "db:running web:exited");
    shop.ok(&["rm", "--force"])?;
    ensure!(shop.states()? == "db:running");
    shop.ok(&["rm", "-f", "--stop", "--volumes", "db"])?;
    ensure!(shop.states()?.is_empty());
    let none = compose_in(&shop.0, "shop", &["rm"])?;
    ensure!(none.stderr.contains("No stopped containers"), "{none:?}");
    shop.ok(&["up", "-d", "--no-deps", "--scale", "web=2", "web"])?;
    ensure!(shop.states()? == "web:running web:running");
    shop.ok(&["scale", "--no-deps", "web=1"])?;
    ensure!(shop.states()? == "web:running");
    shop.ok(&["scale", "web=2"])?;
    ensure!(
        shop.states()? == "db:running web:running web:running",
        "{}",
        shop.states()?
    );
    refused(
        &compose_in(&shop.0, "shop", &["scale", "web"])?,
        "invalid scale specifier: web",
    )?;
    shop.ok(&["down", "-t", "0"])?;
    let healthy = "healthcheck: {test: [CMD, 'true'], interval: 100ms}\n    labels: {version: '1'}";
    shop.change("labels: {version: '1'}", healthy)?;
    shop.ok(&["up", "--wait", "--wait-timeout", "60"])?;
    ensure!(shop.all("{{.Service}}:{{.Health}}")? == ["db:", "web:healthy"]);
    shop.change("", "")?;
    shop.ok(&["down", "-t", "0"])?;
    shop.ok(&[
        "create",
        "--scale",
        "web=2",
        "--pull",
        "never",
        "--no-build",
        "--quiet-pull",
        "web",
    ])?;
    ensure!(
        shop.states()? == "db:created web:created web:created",
        "{}",
        shop.states()?
    );
    let before = shop.id("shop-web-1")?;
    shop.ok(&["create", "--no-recreate", "--scale", "web=2"])?;
    ensure!(shop.id("shop-web-1")? == before);
    shop.ok(&["create", "--force-recreate", "--remove-orphans"])?;
    ensure!(shop.id("shop-web-1")? != before);
    shop.close()
}

#[test]
fn what_fails_says_why() -> Result<()> {
    let shop = Shop::open(
        "name: shop\nservices:\n  bad:\n    image: busybox\n    command: sh -c 'echo the reason; exit 3'\n  needs:\n    image: busybox\n    command: sleep 1000000\n    depends_on: {bad: {condition: service_completed_successfully}}\n",
    )?;
    let failed = compose_in(&shop.0, "shop", &["up", "-d"])?;
    ensure!(failed.code == 1, "{failed:?}");
    ensure!(
        failed
            .stderr
            .contains("shop-bad-1 exited with code 3\nshop-bad-1  | the reason\n"),
        "{failed:?}"
    );
    for (arguments, reason) in [
        (&["up", "--menu"][..], "there are no shortcuts here"),
        (&["up", "--watch"], "run \"compose watch\""),
        (
            &["up", "-d", "--abort-on-container-exit"],
            "--detach and --abort-on-container-exit are incompatible",
        ),
        (
            &["up", "--force-recreate", "--no-recreate"],
            "--force-recreate and --no-recreate are incompatible",
        ),
        (
            &["up", "--build", "--no-build"],
            "--build and --no-build are incompatible",
        ),
        (
            &["up", "--wait-timeout", "5"],
            "--wait-timeout is for --wait",
        ),
        (&["up", "--pull", "odd"], "invalid --pull option"),
        (&["up", "--scale", "odd"], "invalid scale specifier: odd"),
        (&["up", "--exit-code-from", "nope"], "no such service: nope"),
        (&["up", "--no-attach", "nope"], "no such service: nope"),
        (&["up", "-d", "nope"], "no such service: nope"),
    ] {
        refused(&compose_in(&shop.0, "shop", arguments)?, reason)?;
    }
    shop.close()
}
