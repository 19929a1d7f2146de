//! Commands that were killed in the middle: the next `up` brings about what the files say, nothing doubled, nothing lost.

use anyhow::{Context as _, Result, ensure};
use onggi_compose::command::Up;

use crate::scene::Scene;

const ONE: &str = "services: {web: {image: busybox, init: true, command: sleep 1000, hostname: one, volumes: [/data]}}";

/// A container as `recreate` leaves it while it works.
fn begun(scene: &Scene) -> Result<(String, String)> {
    let old = scene.container("p-web-1")?;
    let name = format!("{}_p-web-1", &old.id[..12]);
    let labels = old
        .labels
        .iter()
        .filter(|(key, _)| key.starts_with("com.docker.compose."));
    let mut arguments: Vec<String> = vec!["create".to_owned(), "--name".to_owned(), name.clone()];
    for (key, value) in labels {
        arguments.extend(["--label".to_owned(), format!("{key}={value}")]);
    }
    arguments.extend(
        [
            "--label",
            "com.docker.compose.replace=p-web-1",
            "--network",
            "p_default",
        ]
        .map(str::to_owned),
    );
    let volume = old
        .summary
        .mounts
        .first()
        .context("no volume")?
        .name
        .clone();
    arguments.extend(["-v".to_owned(), format!("{volume}:/data")]);
    arguments.extend(["busybox", "sleep", "1000"].map(str::to_owned));
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    scene.daemon.cli(&words)?.ok()?;
    Ok((old.id, name))
}

#[test]
fn a_new_container_beside_the_old_one_goes() -> Result<()> {
    let scene = Scene::new(ONE)?;
    scene.up(&Up::default())?;
    let (old, _) = begun(&scene)?;
    scene.up(&Up::default())?;
    ensure!(scene.states()? == ["p-web-1 running"]);
    ensure!(scene.container("p-web-1")?.id == old);
    // The same, with a change at hand.
    begun(&scene)?;
    scene.write(&ONE.replace("hostname: one", "hostname: two"))?;
    scene.up(&Up::default())?;
    ensure!(scene.states()? == ["p-web-1 running"]);
    ensure!(scene.exec("p-web-1", &["hostname"])? == "two");
    ensure!(scene.up(&Up::default())?.is_empty());
    Ok(())
}

#[test]
fn a_new_container_without_the_old_one_takes_its_place() -> Result<()> {
    let scene = Scene::new(ONE)?;
    scene.up(&Up::default())?;
    scene.exec("p-web-1", &["touch", "/data/kept"])?;
    begun(&scene)?;
    scene.daemon.cli(&["rm", "-f", "p-web-1"])?.ok()?;
    scene.up(&Up::default())?;
    ensure!(scene.states()? == ["p-web-1 running"]);
    ensure!(scene.exec("p-web-1", &["ls", "/data"])? == "kept");
    ensure!(scene.up(&Up::default())?.is_empty());
    Ok(())
}

#[test]
fn an_up_that_is_dropped_at_any_event_is_finished_by_the_next() -> Result<()> {
    let text = "
services:
  web: {image: busybox, init: true, command: sleep 1000, depends_on: [db], volumes: [/data]}
  db: {image: busybox, init: true, command: sleep 1000}
";
    let scene = Scene::new(text)?;
    let application = scene.application()?;
    for (round, stop) in ["Creating", "Created", "Starting", "Recreate", "Stopping"]
        .into_iter()
        .enumerate()
    {
        scene.write(&text.replace("init: true", &format!("init: true, hostname: h{round}")))?;
        let changed = scene.application()?;
        let application = if round % 2 == 0 {
            &changed
        } else {
            &application
        };
        let up = Up::default();
        scene.with_dropped(application, &up, stop);
        // What the engine was told goes on; then the next one finds what it finds.
        scene
            .with(async |compose| compose.up(application, &up).await)
            .0?;
        let states = scene.states()?;
        ensure!(
            states == ["p-db-1 running", "p-web-1 running"],
            "{stop}: {states:?}"
        );
        ensure!(scene.observed()?.networks.len() == 1, "{stop}");
    }
    Ok(())
}

#[test]
fn an_engine_that_dies_in_the_middle_is_brought_up_to_date_after() -> Result<()> {
    let text = "
services:
  web: {image: busybox, init: true, command: sleep 1000, depends_on: [db], hostname: one}
  db: {image: busybox, init: true, command: sleep 1000, hostname: one}
";
    let mut scene = Scene::new(text)?;
    if !scene.is_onggi() {
        return Ok(());
    }
    for (round, stop) in ["Created", "Recreate", "Recreated"].into_iter().enumerate() {
        scene.write(&text.replace("one", &format!("h{round}")))?;
        let application = scene.application()?;
        scene.with_dropped(&application, &Up::default(), stop);
        scene.daemon.kill()?;
        scene.daemon.run()?;
        scene.connect()?;
        scene.up(&Up::default())?;
        let states = scene.states()?;
        ensure!(
            states == ["p-db-1 running", "p-web-1 running"],
            "{stop}: {states:?}"
        );
        ensure!(
            scene.exec("p-web-1", &["hostname"])? == format!("h{round}"),
            "{stop}"
        );
    }
    Ok(())
}
