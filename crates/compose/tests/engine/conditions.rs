//! Services that wait for each other.

use anyhow::{Context as _, Result, ensure};
use onggi_compose::command::{Run, Up};

use crate::scene::Scene;

#[test]
fn what_is_waited_for_comes_first() -> Result<()> {
    let scene = Scene::new(
        "
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    depends_on:
      db: {condition: service_healthy}
      setup: {condition: service_completed_successfully}
  db:
    image: busybox
    init: true
    command: sh -c 'sleep 1; touch /ready; sleep 1000'
    healthcheck: {test: test -e /ready, interval: 200ms, retries: 1000}
  setup:
    image: busybox
    command: 'true'
",
    )?;
    let (plan, told) = scene.try_up(&Up::default())?;
    plan?;
    let place = |line: &str| {
        told.iter()
            .position(|one| one == line)
            .with_context(|| format!("{line}: {told:?}"))
    };
    let web = place("Container p-web-1 Starting")?;
    ensure!(place("Container p-db-1 Healthy")? < web && place("Container p-setup-1 Exited")? < web);
    ensure!(scene.states()? == ["p-db-1 running", "p-setup-1 exited", "p-web-1 running"]);
    Ok(())
}

#[test]
fn what_fails_stops_those_that_need_it_and_nobody_else() -> Result<()> {
    let scene = Scene::new(
        "
services:
  web:
    image: busybox
    depends_on:
      setup: {condition: service_completed_successfully}
  lenient:
    image: busybox
    init: true
    command: sleep 1000
    depends_on:
      setup: {condition: service_completed_successfully, required: false}
  setup:
    image: busybox
    command: sh -c 'exit 3'
  other:
    image: busybox
    init: true
    command: sleep 1000
",
    )?;
    let (plan, _) = scene.try_up(&Up::default())?;
    let error = plan.err().context("no error")?.to_string();
    ensure!(
        error == "service \"setup\" didn't complete successfully: exit 3",
        "{error}"
    );
    let states = scene.states()?;
    ensure!(
        states
            == [
                "p-lenient-1 running",
                "p-other-1 running",
                "p-setup-1 exited",
                "p-web-1 created"
            ],
        "{states:?}"
    );
    Ok(())
}

#[test]
fn hooks_run_and_failing_ones_stop_their_container() -> Result<()> {
    let text = "
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    post_start: [{command: touch /started, user: root}]
";
    let scene = Scene::new(text)?;
    scene.up(&Up::default())?;
    scene.exec("p-web-1", &["ls", "/started"])?;
    scene.write(&text.replace("touch /started", "sh -c 'echo no luck; exit 4'"))?;
    let (plan, _) = scene.try_up(&Up::default())?;
    let error = plan.err().context("no error")?.to_string();
    ensure!(error.ends_with("exited with status 4: no luck"), "{error}");
    ensure!(scene.states()? == ["p-web-1 exited"]);
    Ok(())
}

#[test]
fn namespaces_are_shared_also_after_their_owner_was_made_anew() -> Result<()> {
    let text = "
services:
  owner: {image: busybox, init: true, command: sleep 1000, hostname: one}
  guest: {image: busybox, init: true, command: sleep 1000, network_mode: 'service:owner'}
";
    let scene = Scene::new(text)?;
    scene.up(&Up::default())?;
    let address = |name: &str| scene.exec(name, &["ip", "-4", "addr", "show", "eth0"]);
    ensure!(address("p-guest-1")? == address("p-owner-1")?);
    scene.write(&text.replace("hostname: one", "hostname: two"))?;
    scene.up(&Up::default())?;
    ensure!(address("p-guest-1")? == address("p-owner-1")?);
    ensure!(scene.up(&Up::default())?.is_empty());
    Ok(())
}

#[test]
fn a_container_of_run_stands_beside_the_others() -> Result<()> {
    let scene = Scene::new(
        "
services:
  web: {image: busybox, init: true, command: sleep 1000, ports: ['80'], depends_on: [db]}
  db: {image: busybox, init: true, command: sleep 1000}
",
    )?;
    let application = scene.application()?;
    let run = Run {
        service: "web".to_owned(),
        command: vec![
            "ping".to_owned(),
            "-c".to_owned(),
            "1".to_owned(),
            "db".to_owned(),
        ],
        ..Run::default()
    };
    let id = scene
        .with(async |compose| compose.run(&application, &run).await)
        .0?;
    scene.daemon.cli(&["start", "-a", &id])?.ok()?;
    let observed = scene.observed()?;
    let oneoff = observed
        .containers
        .iter()
        .find(|one| one.oneoff)
        .context("no container of run")?;
    ensure!(
        oneoff.name.starts_with("p-web-run-") && oneoff.name.len() == 22,
        "{}",
        oneoff.name
    );
    ensure!(oneoff.summary.ports.iter().next().is_none());
    ensure!(observed.of("web").next().is_none() && observed.of("db").next().is_some());
    Ok(())
}
