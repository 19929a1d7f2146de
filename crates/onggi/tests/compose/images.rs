//! `compose build`, `push` and `pull`.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Namespace, OnggiRegistry};
use serde_json::{Value, json};

use crate::{compose_in, refused, write};

const FILE: &str = "name: shop
services:
  web:
    image: 127.0.0.1:5000/web:1
    build:
      context: .
      args: {A: file}
      additional_contexts: {before: 'service:base'}
    depends_on: [base]
  base:
    build: {context: ., dockerfile_inline: \"FROM busybox\\nRUN echo base > /base\\n\"}
  plain:
    image: busybox
";

const DOCKERFILE: &str = "FROM before
ARG A
RUN --mount=type=secret,id=none cat /base && echo \"$A\" > /a
CMD cat /base /a
";

fn shop(namespace: &Namespace) -> Result<Daemon> {
    let daemon = Daemon::start_with(DaemonOptions {
        namespace: Some(namespace.try_clone()?),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    write(&daemon, "shop/compose.yaml", FILE)?;
    write(&daemon, "shop/Dockerfile", DOCKERFILE)?;
    Ok(daemon)
}

#[test]
fn images_are_built_pushed_and_pulled() -> Result<()> {
    let namespace = Namespace::new()?;
    let _registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let daemon = shop(&namespace)?;
    let ok = |arguments: &[&str]| -> Result<String> {
        Ok(compose_in(&daemon, "shop", arguments)?.ok()?.to_owned())
    };
    let dry = ok(&["--dry-run", "build", "--with-dependencies", "web"])?;
    ensure!(
        dry == "build image shop-base\nbuild image 127.0.0.1:5000/web:1",
        "{dry}"
    );
    let bake: Value = serde_json::from_str(&ok(&["build", "--print", "web"])?)?;
    ensure!(bake["target"]["web"]["args"]["A"] == "file", "{bake}");
    ok(&["build", "--check", "web"])?;
    ensure!(!daemon.cli(&["images"])?.stdout.contains("web"));
    let built = compose_in(&daemon, "shop", &["--progress", "plain", "build"])?;
    ensure!(
        built.code == 0 && built.stderr.contains("echo base"),
        "{built:?}"
    );
    let says = |wanted: &str| -> Result<()> {
        let said = daemon.cli(&["run", "--rm", "127.0.0.1:5000/web:1"])?;
        ensure!(said.ok()? == wanted, "{said:?}");
        Ok(())
    };
    says("base\nfile")?;
    let labels = daemon.get("/images/shop-base/json")?.ok()?.json()?["Config"]["Labels"].clone();
    ensure!(labels["com.docker.compose.service"] == "base", "{labels}");
    let quiet = compose_in(
        &daemon,
        "shop",
        &[
            "build",
            "-q",
            "--build-arg",
            "A=flag",
            "--builder",
            "default",
            "web",
        ],
    )?;
    ensure!(
        quiet.code == 0 && !quiet.stderr.contains("RUN"),
        "{quiet:?}"
    );
    says("base\nflag")?;
    let id = |name: &str| -> Result<String> {
        Ok(daemon.get(&format!("/images/{name}/json"))?.ok()?.json()?["Id"].to_string())
    };
    let before = id("127.0.0.1:5000/web:1")?;
    ok(&["build", "--build-arg", "A=flag", "web"])?;
    ensure!(id("127.0.0.1:5000/web:1")? == before);
    ok(&[
        "build",
        "--no-cache",
        "--memory",
        "64m",
        "--provenance=false",
        "--sbom=false",
        "base",
    ])?;
    refused(
        &compose_in(&daemon, "shop", &["build", "--provenance", "true", "base"])?,
        "attestations",
    )?;
    refused(
        &compose_in(&daemon, "shop", &["build", "--builder", "odd", "base"])?,
        "no builder",
    )?;
    refused(
        &compose_in(
            &daemon,
            "shop",
            &["build", "--ssh", "default=/nowhere", "base"],
        )?,
        "/nowhere",
    )?;
    ok(&["build", "--push", "--pull", "base"])
        .map(drop)
        .or_else(|error| {
            // A name without a registry cannot be pushed, nor can busybox be fetched.
            ensure!(error.to_string().contains("exit code"), "{error}");
            Ok(())
        })?;
    let pushed = compose_in(
        &daemon,
        "shop",
        &["push", "--include-deps", "--quiet", "web"],
    )?;
    ensure!(
        pushed.code == 0
            && pushed
                .stderr
                .contains("service base has no image of its own name"),
        "{pushed:?}"
    );
    daemon.cli(&["rmi", "-f", "127.0.0.1:5000/web:1"])?.ok()?;
    ok(&[
        "pull",
        "--quiet",
        "--include-deps",
        "--ignore-buildable",
        "web",
    ])?;
    ensure!(
        !daemon
            .cli(&["images"])?
            .stdout
            .contains("127.0.0.1:5000/web")
    );
    let pulled = compose_in(&daemon, "shop", &["pull", "--policy", "always", "web"])?;
    ensure!(
        pulled.code == 0
            && pulled
                .stderr
                .contains(" Image 127.0.0.1:5000/web:1  Pulled\n"),
        "{pulled:?}"
    );
    says("base\nflag")?;
    let there = compose_in(&daemon, "shop", &["pull", "--policy", "missing", "web"])?;
    ensure!(
        there.code == 0 && !there.stderr.contains("Pulled"),
        "{there:?}"
    );
    write(
        &daemon,
        "bad/compose.yaml",
        "services: {a: {image: '127.0.0.1:5000/nothing:1'}}\n",
    )?;
    refused(&compose_in(&daemon, "bad", &["pull"])?, "nothing")?;
    compose_in(&daemon, "bad", &["pull", "--ignore-pull-failures"])?.ok()?;
    write(
        &daemon,
        "lost/compose.yaml",
        "services: {a: {image: '127.0.0.1:1/x:1', build: {context: ., dockerfile_inline: FROM busybox}}}\n",
    )?;
    compose_in(&daemon, "lost", &["build"])?.ok()?;
    refused(&compose_in(&daemon, "lost", &["push"])?, "127.0.0.1:1")?;
    compose_in(&daemon, "lost", &["push", "--ignore-push-failures"])?.ok()?;
    daemon.clean()
}

#[test]
fn up_builds_what_is_missing() -> Result<()> {
    let namespace = Namespace::new()?;
    let daemon = shop(&namespace)?;
    write(
        &daemon,
        "small/compose.yaml",
        "services: {one: {build: {context: ., dockerfile_inline: \"FROM busybox\\nRUN echo built > /x\\n\"}, command: cat /x}}\n",
    )?;
    refused(
        &compose_in(&daemon, "small", &["up", "--no-build"])?,
        "small-one",
    )?;
    let up = compose_in(&daemon, "small", &["up"])?;
    ensure!(
        up.code == 0 && up.stdout.contains("one-1  | built\n"),
        "{up:?}"
    );
    let text = "services: {one: {build: {context: ., dockerfile_inline: \"FROM busybox\\nRUN echo again > /x\\n\"}, command: cat /x}}\n";
    write(&daemon, "small/compose.yaml", text)?;
    let up = compose_in(&daemon, "small", &["up", "--build", "--quiet-build"])?;
    ensure!(
        up.code == 0 && up.stdout.contains("one-1  | again\n"),
        "{up:?}"
    );
    ensure!(!up.stdout.contains("sha256:"), "{up:?}");
    let run = compose_in(&daemon, "small", &["run", "--build", "--rm", "one"])?;
    ensure!(run.ok()?.ends_with("again"), "{run:?}");
    compose_in(&daemon, "small", &["create", "--build"])?.ok()?;
    compose_in(&daemon, "small", &["down", "--rmi", "local"])?.ok()?;
    ensure!(!daemon.cli(&["images"])?.stdout.contains("small-one"));
    daemon.clean()
}
