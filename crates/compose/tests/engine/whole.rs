//! Up, up again, changed, scaled, down.

use anyhow::{Result, ensure};
use onggi_compose::Known;
use onggi_compose::command::{Down, Recreate, Restart, Stop, Up};

use crate::scene::Scene;

const TWO: &str = "
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    depends_on: [db]
    volumes: [data:/data]
  db:
    image: busybox
    init: true
    command: sleep 1000
    hostname: database
volumes:
  data:
";

#[test]
fn a_project_lives() -> Result<()> {
    let scene = Scene::new(TWO)?;
    let done = scene.up(&Up::default())?;
    ensure!(
        done.contains(&"create network p_default: it is missing".to_owned()),
        "{done:?}"
    );
    ensure!(
        done.contains(&"create volume p_data: it is missing".to_owned()),
        "{done:?}"
    );
    ensure!(
        scene.states()? == ["p-db-1 running", "p-web-1 running"],
        "{:?}",
        scene.states()
    );
    // They know each other by name.
    scene.exec("p-web-1", &["ping", "-c", "1", "db"])?;
    let db = scene.container("p-db-1")?;
    let none: Vec<String> = Vec::new();
    ensure!(scene.up(&Up::default())? == none);
    // One service changes: the other one stays.
    scene.write(&TWO.replace("hostname: database", "hostname: other"))?;
    let done = scene.up(&Up::default())?;
    ensure!(
        done == [
            "recreate container p-db-1: its configuration changed",
            "start container p-db-1: it is new"
        ],
        "{done:?}"
    );
    let new = scene.container("p-db-1")?;
    ensure!(new.id != db.id && new.labels["com.docker.compose.replace"] == "p-db-1");
    ensure!(scene.exec("p-db-1", &["hostname"])? == "other");
    ensure!(scene.up(&Up::default())? == none);
    // Stopped, restarted, brought up again.
    let (stopped, told) =
        scene.with(async |compose| compose.stop(Known::labels("p"), &Stop::default()).await);
    ensure!(stopped?.operations.len() == 2);
    let place = |line: &str| told.iter().position(|one| one == line);
    ensure!(
        place("Container p-web-1 Stopped") < place("Container p-db-1 Stopping"),
        "{told:?}"
    );
    ensure!(scene.states()? == ["p-db-1 exited", "p-web-1 exited"]);
    let done = scene.up(&Up::default())?;
    ensure!(
        done == [
            "start container p-db-1: it does not run",
            "start container p-web-1: it does not run"
        ],
        "{done:?}"
    );
    let restart = Restart {
        services: vec!["web".to_owned()],
        ..Restart::default()
    };
    scene
        .with(async |compose| compose.restart(Known::labels("p"), &restart).await)
        .0?;
    ensure!(scene.states()? == ["p-db-1 running", "p-web-1 running"]);
    scene.down(&Down::default())?;
    scene.nothing()?;
    ensure!(scene.observed()?.volumes.len() == 1, "the volume stays");
    scene.up(&Up::default())?;
    let away = Down {
        volumes: true,
        ..Down::default()
    };
    scene.down(&away)?;
    scene.nothing()?;
    ensure!(scene.observed()?.volumes.is_empty());
    Ok(())
}

#[test]
fn services_have_as_many_containers_as_asked_for() -> Result<()> {
    let scene = Scene::new("services: {web: {image: busybox, init: true, command: sleep 1000}}")?;
    let scaled = |count| Up {
        scale: [("web".to_owned(), count)].into(),
        ..Up::default()
    };
    scene.up(&scaled(3))?;
    ensure!(scene.states()? == ["p-web-1 running", "p-web-2 running", "p-web-3 running"]);
    let first = scene.container("p-web-1")?.id;
    scene.up(&scaled(1))?;
    ensure!(scene.states()? == ["p-web-1 running"]);
    ensure!(scene.container("p-web-1")?.id == first);
    let anew = Up {
        recreate: Recreate::Force,
        ..Up::default()
    };
    scene.up(&anew)?;
    ensure!(scene.container("p-web-1")?.id != first);
    scene.down(&Down::default())?;
    scene.nothing()
}

#[test]
fn orphans_are_told_of_and_removed_when_asked() -> Result<()> {
    let scene = Scene::new(TWO)?;
    scene.up(&Up::default())?;
    scene.write(
        "services: {db: {image: busybox, init: true, command: sleep 1000, hostname: database}}",
    )?;
    let (plan, _) = scene.try_up(&Up::default())?;
    let plan = plan?;
    ensure!(plan.operations.is_empty(), "{plan}");
    ensure!(
        plan.warnings[0].contains("([p-web-1])"),
        "{:?}",
        plan.warnings
    );
    let remove = Up {
        remove_orphans: true,
        ..Up::default()
    };
    scene.up(&remove)?;
    ensure!(scene.states()? == ["p-db-1 running"]);
    Ok(())
}

#[test]
fn a_network_that_changed_is_made_anew_with_all_in_it() -> Result<()> {
    let scene = Scene::new(TWO)?;
    scene.up(&Up::default())?;
    let old = scene.observed()?.networks[0].network.id.clone();
    scene.write(&format!("{TWO}networks: {{default: {{internal: true}}}}\n"))?;
    scene.up(&Up::default())?;
    let new = &scene.observed()?.networks[0].network;
    ensure!(new.id != old && new.internal);
    ensure!(scene.states()? == ["p-db-1 running", "p-web-1 running"]);
    scene.exec("p-web-1", &["ping", "-c", "1", "db"])?;
    ensure!(scene.up(&Up::default())?.is_empty());
    Ok(())
}

#[test]
fn an_image_that_changed_makes_containers_anew() -> Result<()> {
    let scene = Scene::new("services: {web: {build: ., init: true, command: sleep 1000}}")?;
    let done = scene.up(&Up::default())?;
    ensure!(done[1].starts_with("create container p-web-1"), "{done:?}");
    ensure!(scene.up(&Up::default())?.is_empty());
    scene
        .daemon
        .cli(&["commit", "-m", "other", "p-web-1", "p-web"])?
        .ok()?;
    let done = scene.up(&Up::default())?;
    ensure!(
        done[0] == "recreate container p-web-1: its image changed",
        "{done:?}"
    );
    ensure!(scene.up(&Up::default())?.is_empty());
    Ok(())
}
