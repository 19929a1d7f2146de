//! S11: files by tar: `export` and `import`, `cp` both ways. `save` and `load` come with the images.

use crate::as_typed;
use crate::scene::{Scene, folder};
use anyhow::{Result, ensure};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

as_typed!(
    a_file_system_goes_out_and_comes_in,
    files_are_copied_both_ways
);

fn a_file_system_goes_out_and_comes_in(scene: &Scene) -> Result<()> {
    scene.ok("run --name box busybox sh -c 'echo kept > /kept; chmod 600 /kept'")?;
    let tar = scene.daemon.path("box.tar");
    let tar = tar.display();
    scene.says(&format!("export -o {tar} box"), "")?;
    let id = scene.ok(&format!(
        "import -c 'CMD cat /kept' -m moved {tar} moved:v1"
    ))?;
    ensure!(id.starts_with("sha256:"), "{id}");
    scene.says("run --rm moved:v1", "kept")?;
    scene.says("run --rm moved:v1 stat -c %a /kept", "600")?;
    // By standard output and input.
    let out = scene.typed("export box")?;
    ensure!(out.code == 0 && out.stdout.len() > 10_000, "{}", out.stderr);
    let bytes = fs::read(scene.daemon.path("box.tar"))?;
    let piped = scene.typed_with("import - moved:v2", &bytes)?;
    ensure!(piped.ok()?.starts_with("sha256:"), "{piped:?}");
    scene.says("run --rm moved:v2 cat /kept", "kept")?;
    scene.fails("export nobody", 1, "No such container: nobody")
}

fn files_are_copied_both_ways(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let at = here.display();
    fs::create_dir(here.join("tree"))?;
    fs::write(here.join("tree/a"), "one\n")?;
    fs::write(here.join("file"), "two\n")?;
    fs::set_permissions(here.join("file"), fs::Permissions::from_mode(0o640))?;
    scene.ok("run -d --name up busybox sleep 1000")?;
    scene.ok("create --name down busybox")?;
    for name in ["up", "down"] {
        scene.ok(&format!("cp {at}/tree {name}:/copied"))?;
        scene.ok(&format!("cp {at}/file {name}:/tmp/"))?;
        scene.ok(&format!("cp {at}/tree/. {name}:/tmp"))?;
        scene.ok(&format!("cp {name}:/copied/a {at}/{name}-a"))?;
        scene.ok(&format!("cp {name}:/tmp {at}/{name}-tmp"))?;
        ensure!(fs::read_to_string(here.join(format!("{name}-a")))? == "one\n");
        ensure!(fs::read_to_string(here.join(format!("{name}-tmp/a")))? == "one\n");
        let file = here.join(format!("{name}-tmp/file"));
        ensure!(fs::read_to_string(&file)? == "two\n");
        ensure!(fs::metadata(&file)?.mode() & 0o777 == 0o640);
        scene.fails(
            &format!("cp {name}:/nothing {at}"),
            1,
            "Could not find the file /nothing in container",
        )?;
        scene.fails(
            &format!("cp {at}/nothing {name}:/"),
            1,
            "no such file or directory",
        )?;
        scene.fails(&format!("cp {at}/file {name}:/nothing/there"), 1, "")?;
    }
    // As a stream.
    let tar = scene.typed("cp up:/copied -")?;
    ensure!(tar.code == 0 && tar.stdout.contains("ustar"), "{tar:?}");
    scene
        .typed_with("cp - down:/tmp", tar.stdout.as_bytes())?
        .ok()?;
    scene.ok(&format!("cp down:/tmp/copied/a {at}/streamed"))?;
    ensure!(fs::read_to_string(here.join("streamed"))? == "one\n");
    scene.says("exec up cat /copied/a", "one")?;
    scene.fails(
        "cp up:/a down:/b",
        1,
        "copying between containers is not supported",
    )
}
