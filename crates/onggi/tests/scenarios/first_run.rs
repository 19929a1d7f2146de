//! S2 and S3: run what is not here yet; `run -it ubuntu /bin/bash` and each of its steps.

use crate::as_typed;
use crate::scene::{Scene, has_registry, httpd, ubuntu};
use anyhow::{Result, ensure};
use onggi_testkit::{Behaviour, Entry, Hostile, Image, LIMIT, Layer, Registry, wait_until};

as_typed!(
    what_is_not_here_is_pulled,
    a_pull_shows_its_progress_on_a_terminal,
    the_six_steps_can_be_seen,
);

fn what_is_not_here_is_pulled(scene: &Scene) -> Result<()> {
    if !has_registry() {
        return Ok(());
    }
    let registry = Registry::start(scene.daemon.namespace(), 5000)?;
    registry.push(&ubuntu()?, "library/ubuntu", "latest")?;
    registry.push(&httpd()?, "user/tag", "v1")?;
    let run = scene.typed("run --rm ubuntu cat /etc/os-release")?;
    ensure!(run.ok()? == "ID=ubuntu", "{run:?}");
    for line in [
        "Unable to find image 'ubuntu:latest' locally",
        "latest: Pulling from library/ubuntu",
        "Status: Downloaded newer image for ubuntu:latest",
    ] {
        ensure!(
            run.stderr.lines().any(|l| l == line),
            "no {line:?} in {run:?}"
        );
    }
    // Without a command the image's own is used.
    let own = scene.typed_with("run -i --rm ubuntu", b"echo from its own shell\n")?;
    ensure!(
        own.ok()? == "from its own shell" && own.stderr.is_empty(),
        "{own:?}"
    );
    scene.says(
        "run --rm -q --entrypoint cat user/tag:v1 /var/www/index.html",
        "It works!",
    )?;
    scene.fails(
        "run --pull never nothing",
        125,
        "No such image: nothing:latest",
    )?;
    scene.fails(
        "run user/nothing",
        125,
        "Unable to find image 'user/nothing:latest' locally",
    )?;
    scene.lists(
        "images --format '{{.Repository}}:{{.Tag}}'",
        &["busybox:latest", "ubuntu:latest", "user/tag:v1"],
    )
}

/// A layer of that many bytes that do not compress.
fn noise(name: &str, size: usize) -> Result<Layer> {
    let mut state = size as u64;
    let bytes = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    });
    Layer::new(&[Entry::File(name.into(), 0o644, bytes.take(size).collect())])
}

fn a_pull_shows_its_progress_on_a_terminal(scene: &Scene) -> Result<()> {
    let image = Image::new(vec![noise("a", 3_000_000)?, noise("b", 2_000_000)?]);
    let registry = Hostile::start(scene.daemon.namespace(), &image, Behaviour::Halting)?;
    let name = format!("{}/big", registry.address());
    let Some(terminal) = scene.terminal(&format!("pull {name}"))? else {
        return Ok(());
    };
    // Both layers are on their way, each with a bar and its size.
    for size in ["B/3.1", "B/2.1"] {
        terminal.expect(size)?;
    }
    let screen = terminal.screen()?;
    ensure!(screen.matches(": Downloading [").count() == 2, "{screen}");
    registry.go_on();
    ensure!(terminal.wait()? == 0, "{}", terminal.screen()?);
    terminal.expect("Status: Downloaded newer image for")?;
    // Each layer has one line, written again and again.
    let screen = terminal.screen()?;
    ensure!(
        screen.matches(": Pull complete").count() == 2 && !screen.contains("Downloading"),
        "{screen}"
    );
    // Elsewhere than on a terminal there are no bars and no control characters.
    let again = scene.ok(&format!("pull {name}"))?;
    ensure!(
        again.contains("Status: Image is up to date for") && !again.contains('\u{1b}'),
        "{again}"
    );
    Ok(())
}

fn the_six_steps_can_be_seen(scene: &Scene) -> Result<()> {
    if !has_registry() {
        return Ok(());
    }
    let registry = Registry::start(scene.daemon.namespace(), 5000)?;
    registry.push(&ubuntu()?, "library/ubuntu", "latest")?;
    let mut events = scene.process("events --format '{{.Type}} {{.Action}}'")?;
    // It listens when it tells of something.
    wait_until("the events", LIMIT, || {
        scene.typed("tag busybox listening").ok()?;
        events.stdout().contains("image tag").then_some(())
    })?;
    let Some(terminal) = scene.terminal("run -it --name box ubuntu /bin/bash")? else {
        return Ok(());
    };
    // Pulled and created; it has a writable layer, a network interface, and runs with the terminal attached.
    terminal.expect("Status: Downloaded newer image for ubuntu:latest")?;
    scene.comes_to("box", "running")?;
    let address =
        scene.ok("inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' box")?;
    terminal.enter("hostname -i; echo written > /written; echo done $?")?;
    terminal.expect("done 0")?;
    ensure!(
        terminal.screen()?.contains(&address),
        "{address} {}",
        terminal.screen()?
    );
    scene.until("diff box", |said| {
        said.lines().any(|line| line == "A /written")
    })?;
    scene.says(
        "inspect -f '{{.Path}} {{.Config.Image}} {{.Config.Tty}}' box",
        "/bin/bash ubuntu true",
    )?;
    // exit stops it, and does not remove it.
    terminal.enter("exit 3")?;
    ensure!(terminal.wait()? == 3, "{}", terminal.screen()?);
    scene.says("ps -a --format '{{.Names}} {{.State}}'", "box exited")?;
    scene.says("inspect -f '{{.State.ExitCode}}' box", "3")?;
    let steps = [
        "image pull",
        "container create",
        "container attach",
        "network connect",
        "container start",
        "container die",
        "network disconnect",
    ];
    for step in ["image pull", "container die", "network disconnect"] {
        events.expect(step)?;
    }
    let seen = events.stdout();
    let mut rest = seen.as_str();
    for step in &steps[..5] {
        let at = rest.find(&format!("{step}\n"));
        ensure!(at.is_some(), "no {step:?} in (the rest of) {seen}");
        rest = &rest[at.unwrap_or(0)..];
    }
    for step in &steps[5..] {
        ensure!(rest.contains(step), "no {step:?} after the start in {seen}");
    }
    Ok(())
}
