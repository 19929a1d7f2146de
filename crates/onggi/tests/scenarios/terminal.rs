//! S4: a container is left running and come back to.

use crate::as_typed;
use crate::scene::Scene;
use anyhow::{Result, ensure};

as_typed!(
    keys_leave_it_running_and_attach_comes_back,
    other_keys_by_flag_and_by_configuration,
    keys_that_only_begin_the_same_arrive,
    start_again_with_the_terminal,
);

fn is_running(scene: &Scene, name: &str) -> Result<()> {
    scene.says(&format!("inspect -f {{{{.State.Running}}}} {name}"), "true")
}

fn keys_leave_it_running_and_attach_comes_back(scene: &Scene) -> Result<()> {
    let Some(first) = scene.terminal("run -it --name box busybox sh")? else {
        return Ok(());
    };
    first.expect("#")?;
    first.enter("kept=still; echo said")?;
    first.expect("said")?;
    first.press(&["C-p", "C-q"])?;
    ensure!(first.wait()? == 0, "{}", first.screen()?);
    is_running(scene, "box")?;
    let Some(second) = scene.terminal("attach box")? else {
        return Ok(());
    };
    second.enter("echo $kept here")?;
    second.expect("still here")?;
    second.press(&["C-p", "C-q"])?;
    ensure!(second.wait()? == 1, "{}", second.screen()?);
    second.expect("read escape sequence")?;
    is_running(scene, "box")?;
    // A restart is another shell; attach finds it.
    scene.says("restart -t 0 box", "box")?;
    let Some(third) = scene.terminal("attach box")? else {
        return Ok(());
    };
    third.enter("echo kept=$kept.")?;
    third.expect("kept=.")?;
    third.enter("exit 4")?;
    ensure!(third.wait()? == 4, "{}", third.screen()?);
    scene.fails(
        "attach box",
        1,
        "You cannot attach to a stopped container, start it first",
    )
}

fn other_keys_by_flag_and_by_configuration(scene: &Scene) -> Result<()> {
    let Some(run) = scene.terminal("run -it --name box --detach-keys ctrl-x,x busybox sh")? else {
        return Ok(());
    };
    run.expect("#")?;
    run.press(&["C-x", "x"])?;
    ensure!(run.wait()? == 0, "{}", run.screen()?);
    is_running(scene, "box")?;
    let config = scene.daemon.path("config");
    std::fs::create_dir_all(&config)?;
    std::fs::write(config.join("config.json"), r#"{"detachKeys":"ctrl-e,e"}"#)?;
    for line in ["attach box", "exec -it box sh"] {
        let Some(terminal) = scene.terminal(line)? else {
            return Ok(());
        };
        terminal.enter("echo hello $((40 + 2))")?;
        terminal.expect("hello 42")?;
        terminal.press(&["C-e", "e"])?;
        terminal.expect("read escape sequence")?;
        ensure!(terminal.wait()? == 1, "{line}: {}", terminal.screen()?);
        is_running(scene, "box")?;
    }
    scene.says("rm -f box", "box")
}

fn keys_that_only_begin_the_same_arrive(scene: &Scene) -> Result<()> {
    // Two bytes as they come; nothing else is pressed until they are there.
    let script =
        "stty raw -echo; echo ready; dd bs=1 count=2 2>/dev/null | od -An -b; stty sane; exec sh";
    let line = format!("run -it --name box busybox sh -c '{script}'");
    let Some(terminal) = scene.terminal(&line)? else {
        return Ok(());
    };
    terminal.expect("ready")?;
    terminal.press(&["C-p", "C-p"])?;
    terminal.expect("020 020")?;
    terminal.expect("#")?;
    terminal.enter("exit")?;
    ensure!(terminal.wait()? == 0, "{}", terminal.screen()?);
    Ok(())
}

fn start_again_with_the_terminal(scene: &Scene) -> Result<()> {
    scene.ok("create -it --name box busybox sh")?;
    for round in ["one", "two"] {
        let Some(terminal) = scene.terminal("start -ai box")? else {
            return Ok(());
        };
        terminal.expect("#")?;
        terminal.enter(&format!(
            "echo round $((1)) {round} >> /rounds; cat /rounds; exit 5"
        ))?;
        terminal.expect(&format!("round 1 {round}"))?;
        ensure!(terminal.wait()? == 5, "{}", terminal.screen()?);
    }
    let output = scene.typed("run -t --rm busybox tty")?;
    ensure!(output.ok()?.trim_end() == "/dev/pts/0", "{output:?}");
    scene.fails(
        "run -it --rm busybox sh",
        1,
        "the input device is not a TTY",
    )?;
    scene.fails("exec -it box sh", 1, "the input device is not a TTY")
}
