//! `deploy.update_config.order: start-first`.

use anyhow::{Context as _, Result, ensure};
use onggi_compose::command::Up;

use crate::scene::Scene;

const SERVER: &str = "
services:
  web:
    image: busybox
    init: true
    command: sh -c 'echo $$VERSION > /var/www/version; exec httpd -f -p 80 -h /var/www'
    environment: {VERSION: '1'}
    ports: ['127.0.0.1:8088:80']
    healthcheck: {test: wget -q -O /dev/null http://127.0.0.1/version, interval: 200ms, retries: 1000}
    deploy: {update_config: {order: start-first}}
";

#[test]
fn the_new_container_serves_before_the_old_one_ends() -> Result<()> {
    let scene = Scene::new(SERVER)?;
    let wait = Up {
        wait: true,
        ..Up::default()
    };
    scene.up(&wait)?;
    scene.write(&SERVER.replace("'1'", "'2'"))?;
    let (plan, told) = scene.try_up(&wait)?;
    if !scene.is_onggi() {
        let error = plan.err().context("no error")?.to_string();
        ensure!(error.contains("start-first cannot be done"), "{error}");
        ensure!(scene.states()? == ["p-web-1 running"]);
        return Ok(());
    }
    let plan = plan?;
    ensure!(
        plan.to_string()
            .contains("replace container p-web-1: its configuration changed"),
        "{plan}"
    );
    ensure!(
        told.iter().any(|line| line == "Container p-web-1 Started"),
        "{told:?}"
    );
    ensure!(scene.states()? == ["p-web-1 running"]);
    ensure!(scene.exec("p-web-1", &["cat", "/var/www/version"])? == "2");
    let ports = scene.container("p-web-1")?.summary.ports;
    ensure!(
        ports.iter().any(|port| port.public_port == 8088),
        "{ports:?}"
    );
    ensure!(scene.up(&Up::default())?.is_empty());
    Ok(())
}

#[test]
fn a_new_container_that_does_not_work_leaves_the_old_one_alone() -> Result<()> {
    let scene = Scene::new(SERVER)?;
    if !scene.is_onggi() {
        return Ok(());
    }
    scene.up(&Up::default())?;
    let old = scene.container("p-web-1")?.id;
    scene.write(&SERVER.replace("exec httpd", "exit 7; exec httpd"))?;
    let (plan, _) = scene.try_up(&Up::default())?;
    let error = plan.err().context("no error")?.to_string();
    ensure!(error.contains("exited (7)"), "{error}");
    ensure!(scene.states()? == ["p-web-1 running"]);
    ensure!(scene.container("p-web-1")?.id == old);
    Ok(())
}
