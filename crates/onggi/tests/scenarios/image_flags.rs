//! Flags of the commands on images whose effect no other scene shows. `docs/FLAGS.md` has all.

use crate::as_typed;
use crate::scene::Scene;
use anyhow::{Result, ensure};
use onggi_testkit::{LOGIN, Registry};

as_typed!(
    flags_of_pull_push_and_login,
    flags_of_archives,
    flags_of_lists_and_removal,
);

/// This machine in Docker's words, and another one.
fn platforms() -> (&'static str, &'static str) {
    match std::env::consts::ARCH {
        "aarch64" => ("linux/arm64", "linux/amd64"),
        _ => ("linux/amd64", "linux/arm64"),
    }
}

fn flags_of_pull_push_and_login(scene: &Scene) -> Result<()> {
    let registry = Registry::start_locked(scene.daemon.namespace(), 5001)?;
    let (host, (user, password)) = (registry.address(), LOGIN);
    let name = format!("{host}/team/app:v1");
    scene.says(&format!("tag busybox {name}"), "")?;
    scene.fails(&format!("login --password-stdin {host}"), 1, "--username")?;
    let open = scene.typed(&format!(
        "login --username {user} --password {password} {host}"
    ))?;
    ensure!(
        open.ok()?.ends_with("Login Succeeded") && open.stderr.contains("WARNING! Using"),
        "{open:?}"
    );
    scene.says(
        &format!("logout {host}"),
        &format!("Removing login credentials for {host}"),
    )?;
    scene.fails(&format!("push -q {name}"), 1, "no basic auth credentials")?;
    let piped = scene.typed_with(
        &format!("login -u {user} --password-stdin {host}"),
        format!("{password}\n").as_bytes(),
    )?;
    ensure!(piped.ok()?.ends_with("Login Succeeded"), "{piped:?}");
    scene.says(&format!("push --quiet {name}"), &name)?;
    let (here, elsewhere) = platforms();
    if !scene.on_dockerd() {
        let pushed = scene.ok(&format!("push --platform {here} {name}"))?;
        ensure!(pushed.contains("v1: digest: sha256:"), "{pushed}");
        scene.fails(
            &format!("push --platform {elsewhere} {name}"),
            1,
            "platform",
        )?;
    }
    scene.ok(&format!("rmi {name}"))?;
    scene.says(&format!("pull --quiet {name}"), &name)?;
    let pulled = scene.ok(&format!("pull --platform {here} {name}"))?;
    ensure!(
        pulled.contains("Status: Image is up to date for"),
        "{pulled}"
    );
    scene.fails(
        &format!("pull --platform {elsewhere} {name}"),
        1,
        "does not match the specified platform",
    )
}

fn flags_of_archives(scene: &Scene) -> Result<()> {
    let (here, elsewhere) = platforms();
    let at = |name: &str| scene.daemon.path(name).display().to_string();
    let (file, tar) = (at("saved.tar"), at("files.tar"));
    if scene.on_dockerd() {
        scene.says(&format!("save --output {file} busybox"), "")?;
    } else {
        scene.says(
            &format!("save --output {file} --platform {here} busybox"),
            "",
        )?;
        scene.fails(
            &format!("save --output {file}.none --platform {elsewhere} busybox"),
            1,
            "platform",
        )?;
    }
    scene.ok("rmi busybox")?;
    if !scene.on_dockerd() {
        scene.fails(
            &format!("load --input {file} --platform {elsewhere}"),
            1,
            "platform",
        )?;
        scene.says(
            &format!("load -i {file} --platform {here}"),
            "Loaded image: busybox:latest",
        )?;
        scene.ok("rmi busybox")?;
    }
    scene.says(
        &format!("load --quiet --input {file}"),
        "Loaded image: busybox:latest",
    )?;
    scene.ok("create --name box busybox")?;
    scene.ok(&format!("export -o {tar} box"))?;
    let import = format!("import --platform {elsewhere} --message far -c 'CMD away' {tar} far:v1");
    ensure!(scene.ok(&import)?.starts_with("sha256:"));
    let shown = format!("{elsewhere} far [/bin/sh -c away]");
    scene.says(
        "image inspect -f '{{.Os}}/{{.Architecture}} {{.Comment}} {{.Config.Cmd}}' far:v1",
        &shown,
    )
}

fn flags_of_lists_and_removal(scene: &Scene) -> Result<()> {
    let id = scene.ok("image inspect --format {{.Id}} busybox")?;
    let short = &id["sha256:".len()..][..12];
    scene.ok("tag busybox mine:v1")?;
    scene.says("images --quiet --no-trunc busybox", &id)?;
    scene.says("images -a -q mine", short)?;
    scene.says(
        "images --format {{.Repository}} --filter reference=mine",
        "mine",
    )?;
    scene.says(
        "images --digests --format '{{.Tag}} {{.Digest}}' mine",
        "v1 <none>",
    )?;
    // Sizes and dates for programs.
    let exact = scene.ok("history --human=false --format '{{.CreatedAt}} {{.Size}}' busybox")?;
    let (date, size) = exact
        .lines()
        .next()
        .unwrap_or_default()
        .rsplit_once(' ')
        .unwrap_or_default();
    ensure!(date.contains('T') && size.parse::<u64>().is_ok(), "{exact}");
    scene.says("history --quiet --no-trunc busybox", &id)?;
    let (here, elsewhere) = platforms();
    if !scene.on_dockerd() {
        scene.says(&format!("history -q --platform {here} busybox"), short)?;
        scene.fails(
            &format!("history -q --platform {elsewhere} busybox"),
            1,
            "platform",
        )?;
        let inspect = "image inspect -f {{.Id}} --platform";
        scene.says(&format!("{inspect} {here} busybox"), &id)?;
        scene.fails(&format!("{inspect} {elsewhere} busybox"), 1, "platform")?;
    }
    if !scene.on_dockerd() {
        scene.ok("tag busybox third")?;
        scene.fails(&format!("rmi --platform {elsewhere} third"), 1, "platform")?;
        scene.says(
            &format!("rmi --platform {here} third"),
            "Untagged: third:latest",
        )?;
    }
    // One that is named twice goes by its id only when that is meant.
    scene.fails(&format!("rmi --no-prune {short}"), 1, "must be forced")?;
    let gone = scene.ok(&format!("rmi --force {short}"))?;
    ensure!(
        gone.contains("Untagged: mine:v1") && gone.contains(&format!("Deleted: {id}")),
        "{gone}"
    );
    scene.daemon.load_busybox()?;
    scene.ok("run --name box busybox touch /new")?;
    scene.ok("commit -c 'LABEL keep=yes' box kept")?;
    scene.ok("rm box")?;
    scene.ok("image prune --force")?;
    scene.lists("images --format {{.Repository}}", &["busybox", "kept"])?;
    scene.ok("image prune --all --force --filter label!=keep")?;
    scene.says("images --format {{.Repository}}", "kept")
}
