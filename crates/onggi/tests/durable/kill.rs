//! `kill -9` at random moments of everything that writes to the store. Afterwards `system check` finds nothing, what was
//! answered holds, every image is whole or absent, and what was interrupted works.
//!
//! `ONGGI_SEED` repeats a run, as far as moments can be repeated.

use crate::{check, image, is_full, ours, pull, start, swept, tags};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Api, Daemon, Image, Metered, OnggiRegistry, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Where images are pushed to.
const PORT: u16 = 5000;
/// Bytes of each layer.
const LAYER: usize = 300_000;

/// What writes to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Pull,
    Load,
    Remove,
    Commit,
    Push,
    Prune,
}

const DEEDS: [Deed; 6] = [
    Deed::Pull,
    Deed::Load,
    Deed::Remove,
    Deed::Commit,
    Deed::Push,
    Deed::Prune,
];

/// Small, repeatable, good enough to choose moments.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

struct Scene {
    pulled: String,
    pushed: String,
    archive: Vec<u8>,
}

impl Scene {
    /// Makes the store as the deed needs it.
    fn prepare(&self, api: &Api, deed: Deed) -> Result<()> {
        match deed {
            Deed::Pull => remove(api, &self.pulled),
            Deed::Load => remove(api, "loaded"),
            Deed::Remove | Deed::Push => self.load(api),
            Deed::Commit => remove(api, "committed"),
            Deed::Prune => {
                self.load(api)?;
                // Loses its name to the other one: it dangles.
                let tag = "/images/loaded:latest/tag?repo=dangling&tag=latest";
                api.post(tag, &Value::Null)?.ok()?;
                remove(api, "loaded")?;
                let tag = "/images/base:latest/tag?repo=dangling&tag=latest";
                api.post(tag, &Value::Null)?.ok()?;
                Ok(())
            }
        }
    }

    fn act(&self, api: &Api, deed: Deed) -> Result<()> {
        match deed {
            Deed::Pull => pull(api, &self.pulled),
            Deed::Load => self.load(api),
            Deed::Remove => remove(api, "loaded"),
            Deed::Commit => {
                let answer = api.post(
                    "/commit?container=box&repo=committed&tag=latest",
                    &json!({}),
                )?;
                ensure!(answer.status == 201, "{}", answer.text());
                Ok(())
            }
            Deed::Push => {
                let tag = format!("/images/loaded:latest/tag?repo={}&tag=latest", self.pushed);
                api.post(&tag, &Value::Null)?.ok()?;
                let push = format!("/images/{}/push?tag=latest", self.pushed);
                let push = Request::new("POST", &push).header("X-Registry-Auth", "e30=");
                let answer = api.send(&push)?.ok()?;
                ensure!(answer.text().contains("digest: "), "{}", answer.text());
                Ok(())
            }
            Deed::Prune => {
                api.post("/images/prune", &Value::Null)?.ok()?;
                Ok(())
            }
        }
    }

    fn load(&self, api: &Api) -> Result<()> {
        let request = Request::new("POST", "/images/load?quiet=1");
        let answer = api.send(&request.body("application/x-tar", self.archive.clone()))?;
        let answer = answer.ok()?;
        ensure!(answer.text().contains("Loaded image"), "{}", answer.text());
        Ok(())
    }

    /// What must be there after the deed was answered: a tag, and whether it is there.
    fn promise(&self, deed: Deed) -> Option<(String, bool)> {
        match deed {
            Deed::Pull => Some((format!("{}:latest", self.pulled), true)),
            Deed::Load => Some(("loaded:latest".to_owned(), true)),
            Deed::Remove => Some(("loaded:latest".to_owned(), false)),
            Deed::Commit => Some(("committed:latest".to_owned(), true)),
            Deed::Push | Deed::Prune => None,
        }
    }
}

fn remove(api: &Api, name: &str) -> Result<()> {
    let answer = api.delete(&format!("/images/{name}:latest?force=1"))?;
    if answer.status != 404 {
        answer.ok()?;
    }
    Ok(())
}

#[test]
fn no_moment_is_a_bad_one() -> Result<()> {
    if !ours()? {
        return Ok(());
    }
    let seed = std::env::var("ONGGI_SEED")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let seed = seed.unwrap_or_else(rand::random) | 1;
    let kills = if is_full() { 200 } else { 10 };
    killed(seed, kills).with_context(|| format!("ONGGI_SEED={seed}"))
}

fn killed(seed: u64, kills: usize) -> Result<()> {
    let mut random = Random(seed);
    let mut daemon = start()?;
    let namespace = daemon.namespace().try_clone()?;
    let target = OnggiRegistry::start(&namespace, PORT, &json!({}))?;
    let registry = Metered::start(daemon.namespace(), |_, _| true)?;
    registry.add("app", &image(&[1, 2, 3], LAYER)?)?;
    let scene = Scene {
        pulled: format!("{}/app", registry.address()),
        pushed: format!("{}/app", target.address()),
        // One layer is shared with the image that is pulled.
        archive: image(&[1, 4], LAYER)?.save(&["loaded:latest"])?,
    };
    daemon.load(&Image::busybox()?, &["base:latest"])?;
    let body = json!({"Image": "base", "Cmd": ["sh"]});
    daemon.post("/containers/create?name=box", &body)?.ok()?;
    change_a_file(&daemon)?;
    // How long each takes when nobody is killed: what is a moment of it depends on the machine.
    let mut lengths = BTreeMap::new();
    for deed in DEEDS {
        scene.prepare(&daemon.api(), deed)?;
        let begun = Instant::now();
        scene
            .act(&daemon.api(), deed)
            .with_context(|| format!("{deed:?}"))?;
        lengths.insert(deed, begun.elapsed());
    }
    check(&daemon)?;
    for round in 0..kills {
        let deed = DEEDS[random.below(DEEDS.len() as u64) as usize];
        let length = lengths.get(&deed).map_or(1, Duration::as_micros);
        let moment = random.below(u64::try_from(length)? * 11 / 10);
        let moment = Duration::from_micros(moment);
        one_kill(&mut daemon, &scene, deed, moment)
            .with_context(|| format!("round {round}: {deed:?}, killed after {moment:?}"))?;
    }
    drop((registry, target));
    daemon.clean()
}

/// Writes into the container's root, so that there is something to commit.
fn change_a_file(daemon: &Daemon) -> Result<()> {
    let layer = onggi_testkit::Layer::new(&[onggi_testkit::Entry::File(
        "changed".to_owned(),
        0o644,
        crate::noise(5, LAYER),
    )])?;
    let put = Request::new("PUT", "/containers/box/archive?path=/");
    daemon
        .send(&put.body("application/x-tar", layer.tar().to_vec()))?
        .ok()?;
    Ok(())
}

fn one_kill(daemon: &mut Daemon, scene: &Scene, deed: Deed, moment: Duration) -> Result<()> {
    let api = daemon.api();
    scene.prepare(&api, deed)?;
    let answered = std::thread::scope(|scope| {
        let acting = scope.spawn(|| scene.act(&api, deed));
        // Not waited for anything: any moment will do.
        std::thread::sleep(moment);
        daemon.kill()?;
        anyhow::Ok(acting.join().is_ok_and(|acted| acted.is_ok()))
    })?;
    daemon.run()?;
    check(daemon)?;
    swept(daemon)?;
    if answered && let Some((tag, there)) = scene.promise(deed) {
        let tags = tags(daemon)?;
        ensure!(tags.contains(&tag) == there, "answered, and now {tags:?}");
    }
    // What was interrupted works, and what comes of it is whole.
    scene.prepare(&daemon.api(), deed)?;
    scene.act(&daemon.api(), deed).context("once more")?;
    check(daemon)?;
    nothing_of_nobody(daemon)
}

/// Counted without the store's own words: a file a blob, as the images' documents name them.
fn nothing_of_nobody(daemon: &Daemon) -> Result<()> {
    swept(daemon)?;
    let data = daemon.data_root();
    let names = |folder: &str| -> Result<Vec<String>> {
        let entries = std::fs::read_dir(data.join(folder))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    ensure!(names("tmp")? == ["trash"], "{:?}", names("tmp")?);
    let mut held = String::new();
    let list = daemon.get("/images/json")?.ok()?.json()?;
    for image in list.as_array().context("a list")? {
        let id = image["Id"].as_str().context("Id")?;
        let document = std::fs::read_to_string(data.join("blobs").join(id.replace(':', "/")))?;
        held.push_str(id);
        held.push_str(&document);
        held.push_str(&image.to_string());
    }
    // Manifests name the rest: they are among the blobs themselves.
    let blobs = names("blobs/sha256")?;
    for blob in &blobs {
        let path = data.join("blobs/sha256").join(blob);
        if path.metadata()?.len() < 100_000
            && let Ok(text) = std::fs::read_to_string(path)
        {
            held.push_str(&text);
        }
    }
    let inspected: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|image| image["Id"].as_str())
        .map(|id| {
            let path = format!("/images/{id}/json");
            Ok(daemon.get(&path)?.ok()?.text())
        })
        .collect::<Result<_>>()?;
    held.push_str(&inspected.concat());
    let strange: Vec<_> = blobs.iter().filter(|blob| !held.contains(*blob)).collect();
    ensure!(strange.is_empty(), "nobody names {strange:?}");
    Ok(())
}
