//! Manifests of images, and images asked for by platform.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Subject};
use serde_json::Value;

const ARM: &str = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D";
const AMD: &str = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22amd64%22%7D";

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Onggi),
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    Ok(daemon)
}

#[test]
fn manifests_are_told_where_they_are_asked_for() -> Result<()> {
    let daemon = daemon()?;
    daemon
        .cli(&["create", "--name", "user", "busybox", "true"])?
        .ok()?;
    let user = daemon.get("/containers/user/json")?.ok()?.json()?;
    let inspect = daemon
        .get("/images/busybox/json?manifests=1")?
        .ok()?
        .json()?;
    let list = daemon
        .get("/images/json?manifests=1&shared-size=1")?
        .ok()?
        .json()?;
    ensure!(
        list[0]["Manifests"] == inspect["Manifests"],
        "{list} {inspect}"
    );
    ensure!(list[0]["SharedSize"] == 0, "{list}");
    let manifests = inspect["Manifests"].as_array().context("a list")?;
    ensure!(manifests.len() == 1, "{inspect}");
    let one = &manifests[0];
    ensure!(one["ID"] == inspect["Descriptor"]["digest"], "{one}");
    ensure!(one["Kind"] == "image" && one["Available"] == true, "{one}");
    let data = &one["ImageData"];
    ensure!(data["Platform"]["architecture"] == "amd64", "{one}");
    ensure!(data["Containers"][0] == user["Id"], "{one}");
    ensure!(
        data["Size"]["Unpacked"] == inspect["Size"],
        "{one} {inspect}"
    );
    let number = |value: &Value| value.as_i64().unwrap_or(-1);
    let (content, total) = (
        number(&one["Size"]["Content"]),
        number(&one["Size"]["Total"]),
    );
    ensure!(
        content > 0 && total == content + number(&inspect["Size"]),
        "{one}"
    );
    for path in [
        "/images/busybox/json",
        "/v1.46/images/json?manifests=1",
        "/v1.47/images/busybox/json?manifests=1",
    ] {
        let text = daemon.get(path)?.ok()?.text();
        ensure!(!text.contains("\"Manifests\""), "{path}: {text}");
    }
    daemon.clean()
}

#[test]
fn another_platform_is_not_there() -> Result<()> {
    let daemon = daemon()?;
    let why = "image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)";
    for (path, since) in [("json", "1.49"), ("history", "1.48")] {
        let answer = daemon.get(&format!("/images/busybox/{path}?platform={ARM}"))?;
        ensure!(
            answer.status == 404 && answer.text().contains(why),
            "{}",
            answer.text()
        );
        daemon
            .get(&format!("/images/busybox/{path}?platform={AMD}"))?
            .ok()?;
        ensure!(
            daemon
                .get(&format!("/v1.47/images/busybox/{path}?platform={ARM}"))?
                .status
                == 200,
            "{since}"
        );
    }
    let both = daemon.get(&format!("/images/busybox/json?manifests=1&platform={AMD}"))?;
    let conflict = "conflicting options: manifests and platform options cannot both be set";
    ensure!(
        both.status == 400 && both.text().contains(conflict),
        "{}",
        both.text()
    );
    let nonsense = daemon.get("/images/busybox/json?platform=%7B")?;
    ensure!(nonsense.status == 400, "{}", nonsense.text());
    let answer = daemon.delete(&format!("/images/busybox?platforms={AMD}&platforms={ARM}"))?;
    ensure!(
        answer.status == 404 && answer.text().contains(why),
        "{}",
        answer.text()
    );
    let output = daemon.cli(&["rmi", "--platform", "linux/arm64", "busybox"])?;
    ensure!(
        output.code == 1 && output.stderr.contains(why),
        "{output:?}"
    );
    let output = daemon.cli(&["history", "--platform", "linux/arm64", "busybox"])?;
    ensure!(
        output.code == 1 && output.stderr.contains(why),
        "{output:?}"
    );
    let output = daemon.cli(&["rmi", "--platform", "linux/amd64", "busybox"])?;
    ensure!(
        output.ok()?.starts_with("Untagged: busybox:latest"),
        "{output:?}"
    );
    daemon.clean()
}
