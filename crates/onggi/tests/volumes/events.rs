//! What listeners are told.

use crate::{cli, daemon, is_dockerd, says};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

#[test]
fn the_life_of_a_volume_is_told() -> Result<()> {
    let daemon = daemon()?;
    cli(&daemon, &["volume", "create", "data"])?;
    says(
        &daemon,
        &["--name", "cc", "-v", "data:/d:ro", "-v", "/anon"],
        "true",
    )?;
    cli(&daemon, &["volume", "rm", "data"])?;
    if is_dockerd(&daemon, "20.10 words them otherwise") {
        return Ok(());
    }
    cli(&daemon, &["volume", "prune", "-f"])?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let path = format!("/events?since=0&until={}.999999999", now.as_secs());
    let text = daemon.get(&path)?.ok()?.text();
    let events: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<std::result::Result<_, _>>()?;
    let told: Vec<&Value> = events.iter().filter(|e| e["Type"] == "volume").collect();
    let of = |id: &str| -> Vec<(String, Value)> {
        let own = told.iter().filter(|e| e["Actor"]["ID"] == id);
        own.map(|e| {
            let action = e["Action"].as_str().unwrap_or_default().to_owned();
            (action, e["Actor"]["Attributes"].clone())
        })
        .collect()
    };
    let container = events
        .iter()
        .find(|e| e["Type"] == "container")
        .and_then(|e| e["Actor"]["ID"].as_str())
        .context("a container")?;
    let expected = [
        ("create", json!({"driver": "local"})),
        (
            "mount",
            json!({"container": container, "destination": "/d", "driver": "local", "propagation": "", "read/write": "false"}),
        ),
        (
            "unmount",
            json!({"container": container, "driver": "local"}),
        ),
        ("destroy", json!({"driver": "local"})),
    ];
    let expected: Vec<_> = expected.map(|(a, v)| (a.to_owned(), v)).into();
    ensure!(of("data") == expected, "{told:#?}");
    let anonymous = told
        .iter()
        .filter_map(|e| e["Actor"]["ID"].as_str())
        .find(|id| id.len() == 64)
        .context("the anonymous one")?;
    let actions: Vec<String> = of(anonymous)
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    ensure!(
        actions == ["create", "mount", "unmount", "destroy"],
        "{actions:?}"
    );
    ensure!(
        of("") == [("prune".to_owned(), json!({"reclaimed": "0"}))],
        "{told:#?}"
    );
    daemon.clean()
}
