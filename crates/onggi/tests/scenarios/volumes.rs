//! S9, S13, S14 and S20: named and anonymous volumes, bind mounts, what is pruned, data that outlives a version.

use crate::as_typed;
use crate::scene::{Scene, folder, written};
use anyhow::{Result, ensure};
use onggi_testkit::{Entry, Image, Layer, Registry};
use serde_json::json;
use std::fs;

as_typed!(
    a_volume_is_shared_and_outlives_its_containers,
    volumes_of_images,
    a_volume_is_saved_and_restored,
    folders_of_the_host,
    a_new_version_keeps_the_data,
    unused_volumes_are_pruned,
);

fn a_volume_is_shared_and_outlives_its_containers(scene: &Scene) -> Result<()> {
    scene.says("volume create convol", "convol")?;
    scene.ok("run --name writer -v convol:/data busybox sh -c 'echo psst > /data/secret.file'")?;
    scene.says(
        "run --name reader -v convol:/data busybox cat /data/secret.file",
        "psst",
    )?;
    scene.fails("volume rm convol", 1, "volume is in use")?;
    scene.lists("rm writer reader", &["reader", "writer"])?;
    scene.says(
        "run --rm --mount type=volume,src=convol,dst=/elsewhere busybox cat /elsewhere/secret.file",
        "psst",
    )?;
    scene.fails(
        "run --rm -v convol:/data:ro busybox touch /data/x",
        1,
        "Read-only file system",
    )?;
    let place = scene.ok("volume inspect -f {{.Mountpoint}} convol")?;
    ensure!(
        fs::read_to_string(format!("{place}/secret.file"))? == "psst\n",
        "{place}"
    );
    scene.says("volume rm convol", "convol")?;
    scene.fails("volume inspect convol", 1, "no such volume")
}

fn volumes_of_images(scene: &Scene) -> Result<()> {
    let layer = Layer::new(&[
        Entry::Directory("stuff".into(), 0o755),
        Entry::File("stuff/from-image".into(), 0o600, b"brought along\n".into()),
    ])?;
    let image = Image::busybox()?.layer(layer).config(json!({
        "Env": ["PATH=/bin"], "Cmd": ["sh"], "Volumes": {"/stuff": {}},
    }));
    scene.daemon.load(&image, &["stuff:latest"])?;
    // A new volume gets what the image has there.
    scene.says(
        "run --rm -v fresh:/stuff stuff cat /stuff/from-image",
        "brought along",
    )?;
    scene.says(
        "run --rm -v fresh:/stuff stuff sh -c 'echo changed > /stuff/from-image'",
        "",
    )?;
    scene.says(
        "run --rm -v fresh:/stuff stuff cat /stuff/from-image",
        "changed",
    )?;
    // VOLUME alone is an anonymous one, which goes with --rm or rm -v.
    scene.says("volume ls -q", "fresh")?;
    scene.ok("run --name box stuff sh -c 'echo mine > /stuff/mine'")?;
    let name = scene.ok("inspect -f '{{(index .Mounts 0).Name}}' box")?;
    scene.lists("volume ls -q", &{
        let mut names = [name.as_str(), "fresh"];
        names.sort_unstable();
        names
    })?;
    scene.says(
        "run --rm --volumes-from box busybox cat /stuff/mine",
        "mine",
    )?;
    scene.says("rm -v box", "box")?;
    scene.says("volume ls -q", "fresh")?;
    scene.says(
        "run --rm -v /scratch busybox sh -c 'ls /scratch | wc -l'",
        "0",
    )?;
    scene.says("volume ls -q", "fresh")
}

fn a_volume_is_saved_and_restored(scene: &Scene) -> Result<()> {
    let backup = folder(scene, "backup")?;
    let at = backup.display();
    scene.ok("run --name store -v dbdata:/dbdata busybox sh -c 'echo row > /dbdata/table; chown 70:70 /dbdata/table'")?;
    scene.ok(&format!("run --rm --volumes-from store -v {at}:/backup busybox tar cf /backup/backup.tar -C /dbdata ."))?;
    scene.ok("rm store")?;
    scene.says("volume rm dbdata", "dbdata")?;
    scene.ok("run --name store2 -v dbdata2:/dbdata busybox true")?;
    scene.ok(&format!("run --rm --volumes-from store2 -v {at}:/backup busybox tar xf /backup/backup.tar -C /dbdata"))?;
    scene.says(
        "run --rm -v dbdata2:/d busybox sh -c 'cat /d/table; stat -c %u:%g /d/table'",
        "row\n70:70",
    )
}

fn folders_of_the_host(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let at = here.display();
    fs::write(here.join("seen"), "from the host\n")?;
    scene.ok(&format!(
        "run -d --name box -v {at}:/path busybox sleep 1000"
    ))?;
    scene.says("exec box cat /path/seen", "from the host")?;
    // Changes are seen at once, both ways.
    fs::write(here.join("seen"), "changed\n")?;
    scene.says("exec box cat /path/seen", "changed")?;
    scene.ok("exec box sh -c 'echo from inside > /path/back'")?;
    ensure!(written(&here.join("back"))? == "from inside\n");
    scene.fails(
        &format!("run --rm -v {at}:/path:ro busybox touch /path/x"),
        1,
        "Read-only file system",
    )?;
    // -v makes what is missing, --mount does not.
    scene.ok(&format!(
        "run --rm -v {at}/new/deep:/path busybox touch /path/made"
    ))?;
    ensure!(here.join("new/deep/made").exists());
    scene.fails(
        &format!("run --rm --mount type=bind,src={at}/missing,dst=/path busybox true"),
        125,
        "bind source path does not exist",
    )?;
    ensure!(!here.join("missing").exists());
    scene.says(
        &format!("run --rm --mount type=bind,src={at}/seen,dst=/one,readonly busybox cat /one"),
        "changed",
    )?;
    scene.fails(
        "run --rm -v relative/path:/x busybox true",
        125,
        "includes invalid characters for a local volume name",
    )
}

/// S20: a new version is pushed, pulled and takes over the volume of the old one.
fn a_new_version_keeps_the_data(scene: &Scene) -> Result<()> {
    let registry = Registry::start(scene.daemon.namespace(), 5000)?;
    let app = format!("{}/app", registry.address());
    scene.ok("run --name build1 busybox sh -c 'echo one > /version'")?;
    scene.ok(&format!("commit build1 {app}:1"))?;
    scene.ok(&format!("push -q {app}:1"))?;
    let serve = "sh -c 'cat /version >> /data/log; exec sleep 1000'";
    scene.ok(&format!(
        "run -d --name app -v appdata:/data {app}:1 {serve}"
    ))?;
    scene.until("exec app cat /data/log", |log| log == "one")?;
    scene.ok(&format!(
        "run --name build2 {app}:1 sh -c 'echo two > /version'"
    ))?;
    scene.ok(&format!("commit build2 {app}:2"))?;
    scene.ok(&format!("push -q {app}:2"))?;
    scene.ok("rm build1 build2")?;
    scene.ok(&format!("rmi {app}:2"))?;
    scene.ok(&format!("pull -q {app}:2"))?;
    scene.ok("stop -t 1 app")?;
    scene.ok("rename app old")?;
    scene.ok(&format!(
        "run -d --name app -v appdata:/data {app}:2 {serve}"
    ))?;
    scene.until("exec app cat /data/log", |log| log == "one\ntwo")?;
    scene.ok("rm old")?;
    scene.fails("volume rm appdata", 1, "volume is in use")?;
    scene.ok("rm -f app")?;
    scene.says("volume rm appdata", "appdata")
}

/// S9: what removals leave and take of volumes.
fn unused_volumes_are_pruned(scene: &Scene) -> Result<()> {
    scene.says("volume create named", "named")?;
    scene.ok("create --name box -v used:/u -v /anon busybox")?;
    scene.ok("create --name gone -v /anon busybox")?;
    scene.says("rm gone", "gone")?;
    scene.says("volume ls -qf dangling=false -f name=used", "used")?;
    let pruned = scene.ok("volume prune -f")?;
    ensure!(
        pruned.starts_with("Deleted Volumes:\n")
            && pruned.ends_with("\n\nTotal reclaimed space: 0B"),
        "{pruned}"
    );
    let pruned = scene.ok("volume prune -af")?;
    ensure!(pruned.starts_with("Deleted Volumes:\nnamed\n"), "{pruned}");
    scene.says("rm -v box", "box")?;
    scene.says("volume ls -q", "used")?;
    let pruned = scene.ok("system prune -f --volumes")?;
    ensure!(!pruned.contains("used"), "{pruned}");
    scene.says("volume rm used", "used")
}
