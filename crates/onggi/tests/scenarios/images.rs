//! S8 and S9: images do not change; what may be removed when, prune, and who uses how much.

use crate::as_typed;
use crate::scene::Scene;
use anyhow::{Result, ensure};

as_typed!(
    a_container_becomes_an_image_and_the_old_one_stays,
    what_is_used_is_not_removed,
    prune_removes_what_nobody_uses,
);

fn a_container_becomes_an_image_and_the_old_one_stays(scene: &Scene) -> Result<()> {
    let script = "echo new > /added; echo more >> /etc/group; rm /etc/passwd";
    scene.ok(&format!("run --name box busybox sh -c '{script}'"))?;
    let diff = scene.ok("diff box")?;
    for line in ["A /added", "C /etc", "C /etc/group", "D /etc/passwd"] {
        ensure!(diff.lines().any(|l| l == line), "no {line:?} in {diff}");
    }
    let before = scene.ok("image inspect -f {{.Id}} busybox")?;
    let made = scene.ok("commit -m note -a me -c 'ENV A=b' box user/image:name")?;
    ensure!(made.starts_with("sha256:"), "{made}");
    scene.says(
        "run --rm user/image:name sh -c 'cat /added; echo $A; ls /etc/passwd 2>&1 || true'",
        "new\nb\nls: /etc/passwd: No such file or directory",
    )?;
    scene.says(
        "image inspect -f '{{.Id}} {{.Comment}} {{.Author}}' user/image:name",
        &format!("{made} note me"),
    )?;
    // The old one is what it was, for each of its containers.
    scene.says("image inspect -f {{.Id}} busybox", &before)?;
    scene.says(
        "run --rm busybox sh -c 'ls /added 2>&1; cat /etc/passwd | wc -l'",
        "ls: /added: No such file or directory\n3",
    )?;
    scene.ok("run -d --name one busybox sleep 1000")?;
    scene.ok("run -d --name two busybox sleep 1000")?;
    scene.ok("exec one touch /only-here")?;
    scene.fails("exec two test -e /only-here", 1, "")?;
    let history = scene.ok("history --no-trunc --format {{.Comment}} user/image:name")?;
    ensure!(history.lines().next() == Some("note"), "{history}");
    ensure!(scene.ok("history -q user/image:name")?.lines().count() == 2);
    Ok(())
}

fn what_is_used_is_not_removed(scene: &Scene) -> Result<()> {
    scene.ok("tag busybox mine")?;
    let id = scene.ok("create --name box mine")?;
    scene.says("tag mine other", "")?;
    // A second name goes; the last one with a container does not, nor the image by its id.
    scene.says("rmi other", "Untagged: other:latest")?;
    scene.says("rmi mine", "Untagged: mine:latest")?;
    scene.fails("rmi busybox", 1, "is using its referenced image")?;
    let image = scene.ok("image inspect -f {{.Id}} busybox")?;
    scene.fails(&format!("rmi {image}"), 1, "conflict: unable to delete")?;
    scene.says("ps -aq --no-trunc", &id)?;
    // What hangs on an image with children is tested with the images.
    scene.says("rm box", "box")?;
    let gone = scene.ok("rmi busybox")?;
    ensure!(
        gone.starts_with("Untagged: busybox:latest\nDeleted: sha256:"),
        "{gone}"
    );
    scene.fails("rmi nothing", 1, "No such image: nothing:latest")
}

fn prune_removes_what_nobody_uses(scene: &Scene) -> Result<()> {
    scene.ok("run -d --name up -v used:/data busybox sleep 1000")?;
    scene.ok("run --name down -v /anonymous busybox sh -c 'echo 12345 > /file'")?;
    scene.ok("volume create unused")?;
    let usage = scene.ok("system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'")?;
    ensure!(
        usage.starts_with("Images 1 1\nContainers 2 1\nLocal Volumes 3 2"),
        "{usage}"
    );
    ensure!(
        scene
            .ok("system df -v")?
            .contains("Containers space usage:")
    );
    // Without -f and without a yes nothing happens.
    let asked = scene.typed_with("container prune", b"n\n")?;
    ensure!(
        asked
            .stdout
            .starts_with("WARNING! This will remove all stopped containers."),
        "{asked:?}"
    );
    ensure!(scene.ok("ps -aq")?.lines().count() == 2);
    let answered = scene.typed_with("container prune", b"y\n")?;
    ensure!(
        answered.ok()?.contains("Deleted Containers:\n")
            && answered.stdout.contains("Total reclaimed space: "),
        "{answered:?}"
    );
    scene.says("ps -a --format {{.Names}}", "up")?;
    // An anonymous volume goes, a named one only with --all.
    let pruned = scene.ok("volume prune -f")?;
    ensure!(pruned.contains("Total reclaimed space: "), "{pruned}");
    if !scene.on_dockerd() {
        ensure!(scene.ok("volume prune -af")?.contains("unused\n"));
    }
    scene.says("volume ls -q", "used")?;
    scene.says("rm -f up", "up")?;
    let all = scene.ok("system prune -f")?;
    ensure!(all.contains("Total reclaimed space: "), "{all}");
    Ok(())
}
