//! S12: what a container is given: environment, program, user, names, limits, rights. Every flag has its test in the
//! family `fields`; here are the ones that users write down, as they write them.

use crate::as_typed;
use crate::scene::{Scene, folder};
use anyhow::{Result, ensure};
use std::fs;

as_typed!(
    environment_program_and_user,
    limits_and_policies,
    rights_and_devices
);

fn environment_program_and_user(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let file = here.join("env");
    fs::write(&file, "# comment\nFROM_FILE=yes\nHERE\n")?;
    scene.says(
        "run --rm -e A=b -e 'C=d e' busybox sh -c 'echo $A $C'",
        "b d e",
    )?;
    scene.says(
        &format!(
            "run --rm --env-file {} busybox sh -c 'echo $FROM_FILE'",
            file.display()
        ),
        "yes",
    )?;
    scene.says("run --rm --entrypoint echo busybox entered", "entered")?;
    scene.says("run --rm -w /new/folder busybox pwd", "/new/folder")?;
    scene.says("run --rm -u 1000:2000 busybox id -u", "1000")?;
    scene.says("run --rm -u nobody busybox whoami", "nobody")?;
    scene.says("run --rm --group-add 77 busybox id -G", "0 10 77")?;
    scene.says(
        "run --rm --hostname pot.example busybox hostname",
        "pot.example",
    )?;
    scene.says(
        "run --rm --add-host far:192.0.2.7 busybox grep far /etc/hosts",
        "192.0.2.7\tfar",
    )?;
    scene.says(
        "run --rm --dns 192.0.2.53 busybox grep nameserver /etc/resolv.conf",
        "nameserver 192.0.2.53",
    )?;
    scene.says("run --rm --read-only --tmpfs /scratch:size=1m busybox sh -c 'touch /x 2>/dev/null || echo closed; touch /scratch/x && echo open'", "closed\nopen")?;
    let init = if scene.on_dockerd() {
        "docker-init"
    } else {
        "onggi-init"
    };
    scene.says("run --rm --init busybox cat /proc/1/comm", init)?;
    scene.fails(
        "run --rm -u nobody-like-that busybox true",
        125,
        "unable to find user nobody-like-that",
    )?;
    scene.fails(
        "run --rm -e = busybox true",
        125,
        "invalid environment variable: =",
    )?;
    scene.fails(
        "run --rm --env-file /nothing busybox true",
        125,
        "no such file or directory",
    )
}

fn limits_and_policies(scene: &Scene) -> Result<()> {
    scene.ok("run -d --name box --memory 64m --cpus 0.5 --pids-limit 20 --shm-size 8m --ulimit nofile=64:128 --restart on-failure:3 busybox sleep 1000")?;
    scene.says(
        "inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}' box",
        "67108864 500000000 20 on-failure:3",
    )?;
    scene.says(
        "exec box sh -c 'ulimit -n; df -k /dev/shm | tail -n 1 | tr -s \" \" | cut -d \" \" -f 2'",
        "64\n8192",
    )?;
    // A container that fails comes back, as often as it may.
    scene.ok("run -d --name failing --restart on-failure:2 busybox false")?;
    scene.until(
        "inspect -f '{{.RestartCount}} {{.State.Status}}' failing",
        |said| said == "2 exited",
    )?;
    let script = "echo run; [ -e /second ] && exec sleep 1000; touch /second; exit 1";
    scene.ok(&format!(
        "run -d --name again --restart always busybox sh -c '{script}'"
    ))?;
    scene.until("logs again", |said| said == "run\nrun")?;
    scene.comes_to("again", "running")?;
    scene.fails(
        "run --rm --memory 1k busybox true",
        125,
        "Minimum memory limit",
    )?;
    scene.fails(
        "run --rm --restart always busybox true",
        125,
        "conflicting options",
    )?;
    scene.fails(
        "run --restart sometimes busybox true",
        125,
        "invalid restart policy",
    )
}

fn rights_and_devices(scene: &Scene) -> Result<()> {
    let caps = |flags: &str| {
        scene.ok(&format!(
            "run --rm {flags} busybox sh -c 'grep CapEff /proc/self/status'"
        ))
    };
    let usual = caps("")?;
    ensure!(caps("--cap-add NET_ADMIN")? != usual && caps("--cap-drop NET_RAW")? != usual);
    ensure!(caps("--cap-drop ALL")?.ends_with("0000000000000000"));
    scene.fails(
        "run --rm busybox ip link add dummy0 type dummy",
        2,
        "Operation not permitted",
    )?;
    scene.says(
        "run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status",
        "NoNewPrivs:\t1",
    )?;
    scene.says(
        "run --rm busybox grep Seccomp: /proc/self/status",
        "Seccomp:\t2",
    )?;
    scene.says(
        "run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status",
        "Seccomp:\t0",
    )?;
    scene.says("run --rm --device /dev/null:/dev/nothing busybox sh -c 'echo x > /dev/nothing && echo written'", "written")?;
    // Debian's runc insists on all capabilities, which not every machine has to give.
    if !scene.on_dockerd() {
        scene.says(
            "run --rm --privileged busybox sh -c 'mkdir /m && mount -t tmpfs none /m && echo mounted'",
            "mounted",
        )?;
    }
    scene.fails(
        "run --rm busybox sh -c 'mkdir /m && mount -t tmpfs none /m'",
        1,
        "permission denied",
    )?;
    scene.fails("run --rm --cap-add NOPE busybox true", 125, "invalid")?;
    scene.fails(
        "run --rm --device /dev/nothing-there busybox true",
        127,
        "no such file or directory",
    )
}
