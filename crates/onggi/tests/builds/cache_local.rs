//! What one builder knows, another takes up from a directory of its client: `--cache-to type=local,dest=DIRECTORY`.

use super::scene::Build;
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Output};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FILE: &str = "FROM busybox AS make\nRUN head -c 100000 /dev/urandom > big && echo a > /out\nFROM busybox\nCOPY --from=make /out /out\nRUN head -c 1000 /dev/urandom > /done\n";

struct Scene {
    place: tempfile::TempDir,
    context: String,
}

impl Scene {
    fn new() -> Result<Self> {
        let place = tempfile::tempdir()?;
        let context = place.path().join("context");
        std::fs::create_dir(&context)?;
        std::fs::write(context.join("Dockerfile"), FILE)?;
        let context = context.display().to_string();
        Ok(Self { place, context })
    }

    fn cache(&self) -> PathBuf {
        self.place.path().join("cache")
    }

    /// A new daemon builds; what was said, and the image.
    fn build(&self, daemon: &Daemon, flags: &[&str]) -> Result<(Output, String)> {
        let id = self.place.path().join("id");
        let id = id.display().to_string();
        let flags = [&["build", "--progress=plain", "--iidfile", &id], flags].concat();
        let output = daemon.cli(&[&flags[..], &[&self.context]].concat())?;
        let id = std::fs::read_to_string(id).unwrap_or_default();
        Ok((output, id))
    }

    fn blobs(&self) -> Result<BTreeSet<PathBuf>> {
        let entries = std::fs::read_dir(self.cache().join("blobs/sha256"))?;
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect()
    }
}

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// How many steps were known.
fn known(said: &Output) -> usize {
    said.stderr.matches(" CACHED\n").count()
}

fn json_of(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[test]
fn a_directory_carries_the_steps() -> Result<()> {
    let scene = Scene::new()?;
    let cache = scene.cache().display().to_string();
    let to = format!("--cache-to=type=local,dest={cache},mode=max");
    let from = format!("--cache-from=type=local,src={cache}");
    let first = daemon()?;
    let (said, id) = scene.build(&first, &[&to])?;
    said.ok()?;
    // It is a layout of OCI, with all that its manifest names.
    let index = json_of(&scene.cache().join("index.json"))?;
    let manifest = index["manifests"][0]["digest"].as_str().context("one")?;
    let file = |digest: &str| {
        let name = digest.trim_start_matches("sha256:");
        scene.cache().join("blobs/sha256").join(name)
    };
    let manifest = json_of(&file(manifest))?;
    let layers = manifest["layers"].as_array().context("layers")?;
    ensure!(layers.len() == 3, "{manifest}");
    for layer in layers {
        let size = std::fs::metadata(file(layer["digest"].as_str().context("a blob")?))?.len();
        ensure!(layer["size"] == size, "{layer}");
    }
    ensure!(json_of(&scene.cache().join("oci-layout"))?["imageLayoutVersion"] == "1.0.0");
    // What is there is not sent again.
    let before = scene.blobs()?;
    let (said, _) = scene.build(&first, &[&to])?;
    said.ok()?;
    ensure!(scene.blobs()? == before, "{before:?}");
    drop(first);

    let second = daemon()?;
    let (said, again) = scene.build(&second, &[&from])?;
    ensure!(known(&said) == 3 && again == id, "{}", said.stderr);
    second.cli(&["system", "check"])?.ok()?;
    let done = second.cli(&["run", "--rm", &id, "cat", "/out"])?;
    let done = done.ok()?;
    ensure!(done == "a", "{done:?}");
    // The layer of the first stage stayed where it is, and goes to another place from there.
    let other = scene.place.path().join("other").display().to_string();
    let further = format!("--cache-to=type=local,dest={other},mode=max,tag=x");
    let (said, _) = scene.build(&second, &[&from, &further])?;
    said.ok()?;
    drop(second);

    let third = daemon()?;
    let (said, _) = scene.build(&third, &[&format!("--cache-from=type=local,src={other}")])?;
    ensure!(said.code == 0 && known(&said) == 0, "{}", said.stderr);
    ensure!(
        said.stderr
            .contains("nothing in it has the tag latest, but x"),
        "{}",
        said.stderr
    );
    drop(third);
    let fourth = daemon()?;
    let (said, again) = scene.build(
        &fourth,
        &[&format!("--cache-from=type=local,tag=x,src={other}")],
    )?;
    ensure!(known(&said) == 3 && again == id, "{}", said.stderr);
    Ok(())
}

#[test]
fn what_is_wrong_with_a_directory_is_told() -> Result<()> {
    let scene = Scene::new()?;
    let cache = scene.cache().display().to_string();
    let to = format!("--cache-to=type=local,dest={cache}");
    let from = format!("--cache-from=type=local,src={cache}");
    let daemon = daemon()?;
    // None is there yet.
    let (said, _) = scene.build(&daemon, &[&from, &to])?;
    said.ok()?;
    ensure!(
        said.stderr.contains("there is no index.json in it"),
        "{}",
        said.stderr
    );
    // Spoiled blobs are none: the build goes on without them.
    for blob in scene.blobs()? {
        let mut bytes = std::fs::read(&blob)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&blob, bytes)?;
    }
    daemon.cli(&["builder", "prune", "-af"])?.ok()?;
    let (said, _) = scene.build(&daemon, &[&from])?;
    said.ok()?;
    ensure!(
        known(&said) == 0 && said.stderr.contains(" is no cache: "),
        "{}",
        said.stderr
    );
    daemon.cli(&["system", "check"])?.ok()?;
    // Where nothing can be written the build fails, unless that is nothing to the client.
    let file = scene.place.path().join("file");
    std::fs::write(&file, "")?;
    let to = format!("--cache-to=type=local,dest={}", file.display());
    let why = "the client cannot write it: write ";
    let (said, _) = scene.build(&daemon, &[&to])?;
    ensure!(
        said.code != 0 && said.stderr.contains(why),
        "{}",
        said.stderr
    );
    let (said, _) = scene.build(&daemon, &[&format!("{to},ignore-error=true")])?;
    ensure!(
        said.code == 0 && said.stderr.contains(why),
        "{}",
        said.stderr
    );
    // Without a session nobody has the directory.
    for (flag, text) in [
        ("cachefrom", "type=local,src=/c"),
        ("cacheto", "type=local,dest=/c"),
    ] {
        let built = Build::of(FILE)
            .set(flag, &json!([text]).to_string())
            .send(&daemon)?;
        let error = built.error.context("refused")?;
        ensure!(error.contains("build with onggi build"), "{error}");
    }
    Ok(())
}
