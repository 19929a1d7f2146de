//! bollard (crates.io): what its users do with containers.

use anyhow::{Context, Result, ensure};
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HealthConfig, HostConfig, PortBinding,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptionsBuilder,
    DownloadFromContainerOptionsBuilder, EventsOptionsBuilder, KillContainerOptionsBuilder,
    ListContainersOptionsBuilder, LogsOptionsBuilder, PruneContainersOptions,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RenameContainerOptionsBuilder,
    ResizeContainerTTYOptionsBuilder, RestartContainerOptions, StatsOptionsBuilder,
    StopContainerOptionsBuilder, TopOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{Stream, StreamExt, TryStreamExt};
use onggi_testkit::{Daemon, Image, LIMIT, Registry};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use tokio::io::AsyncWriteExt;

/// Does something with a client and a daemon, within a limit.
fn with<F: Future<Output = Result<()>>>(test: impl FnOnce(Docker) -> F) -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    talk(&daemon, test)?;
    daemon.clean()
}

fn talk<F: Future<Output = Result<()>>>(
    daemon: &Daemon,
    test: impl FnOnce(Docker) -> F,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let docker =
            Docker::connect_with_unix(&daemon.host(), LIMIT.as_secs(), API_DEFAULT_VERSION)?;
        let docker = docker.negotiate_version().await?;
        tokio::time::timeout(LIMIT * 3, test(docker))
            .await
            .context("it hangs")?
    })
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|&word| word.to_owned()).collect())
}

fn busybox(command: &[&str]) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some("busybox".to_owned()),
        cmd: words(command),
        ..Default::default()
    }
}

async fn run(docker: &Docker, name: &str, body: ContainerCreateBody) -> Result<String> {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let made = docker.create_container(Some(options), body).await?;
    docker.start_container(name, None).await?;
    Ok(made.id)
}

async fn remove(docker: &Docker, name: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
    Ok(docker.remove_container(name, Some(options.build())).await?)
}

/// The exit code; bollard makes an error of what is not zero.
async fn wait(docker: &Docker, name: &str, condition: &str) -> Result<i64> {
    let options = WaitContainerOptionsBuilder::new().condition(condition);
    match docker
        .wait_container(name, Some(options.build()))
        .next()
        .await
    {
        Some(Ok(ended)) => Ok(ended.status_code),
        Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
        other => anyhow::bail!("{other:?}"),
    }
}

/// Standard output, what a terminal says, and standard error.
async fn output(stream: impl Stream<Item = Result<LogOutput, Error>>) -> Result<(String, String)> {
    let (mut out, mut err) = (String::new(), String::new());
    let mut stream = pin!(stream);
    while let Some(piece) = stream.try_next().await? {
        match &piece {
            LogOutput::StdErr { .. } => err.push_str(&piece.to_string()),
            _ => out.push_str(&piece.to_string()),
        }
    }
    Ok((out, err))
}

fn refused<T>(result: Result<T, Error>, status: u16, text: &str) -> Result<()> {
    match result {
        Err(Error::DockerResponseServerError {
            status_code,
            message,
        }) => {
            ensure!(status_code == status, "{status_code} {message}");
            ensure!(message.contains(text), "{message}");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => anyhow::bail!("not refused: {text}"),
    }
}

#[test]
fn bollard_lives_with_containers() -> Result<()> {
    with(|docker| async move {
        let mut body = busybox(&["sleep", "1000"]);
        body.hostname = Some("pot".to_owned());
        body.env = words(&["A=1"]);
        body.labels = Some(HashMap::from([("tier".to_owned(), "front".to_owned())]));
        body.exposed_ports = words(&["80/tcp"]);
        body.stop_timeout = Some(1);
        body.healthcheck = Some(HealthConfig {
            test: words(&["CMD", "true"]),
            interval: Some(200_000_000),
            ..Default::default()
        });
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some("8090".to_owned()),
        };
        body.host_config = Some(HostConfig {
            binds: words(&["/tmp:/bound:ro"]),
            cap_add: words(&["NET_ADMIN"]),
            memory: Some(64 << 20),
            pids_limit: Some(50),
            port_bindings: Some(HashMap::from([("80/tcp".to_owned(), Some(vec![binding]))])),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::ON_FAILURE),
                maximum_retry_count: Some(2),
            }),
            ulimits: Some(vec![ResourcesUlimits {
                name: Some("nofile".to_owned()),
                soft: Some(100),
                hard: Some(200),
            }]),
            ..Default::default()
        });
        let id = run(&docker, "pot", body).await?;
        let told = docker.inspect_container("pot", None).await?;
        ensure!(told.id.as_deref() == Some(&*id), "{told:?}");
        let host = told.host_config.context("HostConfig")?;
        ensure!(
            host.memory == Some(64 << 20) && host.pids_limit == Some(50),
            "{host:?}"
        );
        ensure!(told.config.context("Config")?.hostname.as_deref() == Some("pot"));
        docker.pause_container("pot").await?;
        docker.unpause_container("pot").await?;
        let renamed = RenameContainerOptionsBuilder::new().name("jar").build();
        docker.rename_container("pot", renamed).await?;
        let change = ContainerUpdateBody {
            memory: Some(32 << 20),
            memory_swap: Some(64 << 20),
            ..Default::default()
        };
        docker.update_container("jar", change).await?;
        let top = TopOptionsBuilder::new().ps_args("-o pid,comm").build();
        let top = docker.top_processes("jar", Some(top)).await?;
        ensure!(top.titles == words(&["PID", "COMMAND"]), "{top:?}");
        docker
            .restart_container("jar", None::<RestartContainerOptions>)
            .await?;
        let filters = HashMap::from([("label", vec!["tier=front"])]);
        let list = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters);
        let list = docker.list_containers(Some(list.build())).await?;
        ensure!(
            list.len() == 1 && list[0].names == words(&["/jar"]),
            "{list:?}"
        );
        let stop = StopContainerOptionsBuilder::new().t(0).build();
        docker.stop_container("jar", Some(stop)).await?;
        docker.start_container("jar", None).await?;
        let kill = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        docker.kill_container("jar", Some(kill)).await?;
        ensure!(wait(&docker, "jar", "not-running").await? == 137);
        let pruned = docker
            .prune_containers(None::<PruneContainersOptions>)
            .await?;
        ensure!(pruned.containers_deleted == Some(vec![id]), "{pruned:?}");
        refused(
            docker.inspect_container("jar", None).await,
            404,
            "No such container: jar",
        )?;
        let nothing = ContainerCreateBody {
            image: Some("nothing:here".to_owned()),
            ..Default::default()
        };
        refused(
            docker.create_container(None, nothing).await,
            404,
            "No such image: nothing:here",
        )?;
        run(&docker, "taken", busybox(&["sleep", "1000"])).await?;
        let taken = CreateContainerOptionsBuilder::new().name("taken").build();
        let again = docker
            .create_container(Some(taken), busybox(&["true"]))
            .await;
        refused(again, 409, "is already in use")?;
        refused(docker.remove_container("taken", None).await, 409, "")?;
        remove(&docker, "taken").await
    })
}

#[test]
fn bollard_streams() -> Result<()> {
    with(|docker| async move {
        let mut body = busybox(&["sh", "-c", "echo out; echo err >&2; cat; exit 3"]);
        (body.open_stdin, body.stdin_once) = (Some(true), Some(true));
        let options = CreateContainerOptionsBuilder::new().name("pot").build();
        docker.create_container(Some(options), body).await?;
        let attach = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true);
        let AttachContainerResults {
            output: stream,
            mut input,
        } = docker.attach_container("pot", Some(attach.build())).await?;
        docker.start_container("pot", None).await?;
        input.write_all(b"through\n").await?;
        input.shutdown().await?;
        let said = output(stream).await?;
        ensure!(
            said == ("out\nthrough\n".to_owned(), "err\n".to_owned()),
            "{said:?}"
        );
        ensure!(wait(&docker, "pot", "not-running").await? == 3);
        let logs = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(true);
        let said = output(docker.logs("pot", Some(logs.build()))).await?;
        ensure!(
            said == ("out\nthrough\n".to_owned(), "err\n".to_owned()),
            "{said:?}"
        );
        let logs = LogsOptionsBuilder::new()
            .stdout(true)
            .timestamps(true)
            .tail("1");
        let (said, _) = output(docker.logs("pot", Some(logs.build()))).await?;
        ensure!(
            said.starts_with("20") && said.lines().count() == 1,
            "{said}"
        );
        remove(&docker, "pot").await?;
        let mut body = busybox(&["sh"]);
        (body.open_stdin, body.tty) = (Some(true), Some(true));
        run(&docker, "terminal", body).await?;
        let mut attached = docker
            .attach_container("terminal", Some(attach_all()))
            .await?;
        let size = ResizeContainerTTYOptionsBuilder::new().h(40).w(100).build();
        docker.resize_container_tty("terminal", size).await?;
        attached.input.write_all(b"stty size; exit 4\n").await?;
        let (said, _) = output(attached.output).await?;
        ensure!(said.contains("40 100"), "{said}");
        ensure!(wait(&docker, "terminal", "not-running").await? == 4);
        remove(&docker, "terminal").await
    })
}

fn attach_all() -> bollard::query_parameters::AttachContainerOptions {
    let options = AttachContainerOptionsBuilder::new()
        .stream(true)
        .stdin(true);
    options.stdout(true).stderr(true).build()
}

#[test]
fn bollard_executes_and_measures() -> Result<()> {
    with(|docker| async move {
        run(&docker, "pot", busybox(&["sleep", "1000"])).await?;
        for tty in [false, true] {
            let exec = docker
                .create_exec(
                    "pot",
                    CreateExecOptions {
                        attach_stdin: Some(true),
                        attach_stdout: Some(true),
                        attach_stderr: Some(true),
                        tty: Some(tty),
                        env: Some(vec!["W=w"]),
                        user: Some("7"),
                        working_dir: Some("/tmp"),
                        cmd: Some(vec!["sh"]),
                        ..Default::default()
                    },
                )
                .await?;
            let options = StartExecOptions {
                tty,
                ..Default::default()
            };
            let started = docker.start_exec(&exec.id, Some(options)).await?;
            let StartExecResults::Attached {
                output: stream,
                mut input,
            } = started
            else {
                anyhow::bail!("detached");
            };
            let running = docker.inspect_exec(&exec.id).await?;
            ensure!(running.running == Some(true), "{running:?}");
            if tty {
                let size = ResizeExecOptions {
                    height: 33,
                    width: 99,
                };
                docker.resize_exec(&exec.id, size).await?;
            }
            let script =
                "stty size 2>/dev/null; echo said $W $(id -u) $(pwd); echo err >&2; exit 8\n";
            input.write_all(script.as_bytes()).await?;
            let (out, err) = output(stream).await?;
            ensure!(out.contains("said w 7 /tmp"), "{out}");
            ensure!(!tty || out.contains("33 99"), "{out}");
            ensure!(tty || err == "err\n", "{err}");
            let ended = docker.inspect_exec(&exec.id).await?;
            ensure!(ended.exit_code == Some(8), "{ended:?}");
        }
        let once = StatsOptionsBuilder::new().stream(false).build();
        let once = docker
            .stats("pot", Some(once))
            .try_collect::<Vec<_>>()
            .await?;
        ensure!(
            once.len() == 1 && once[0].name.as_deref() == Some("/pot"),
            "{once:?}"
        );
        let stream = StatsOptionsBuilder::new().stream(true).build();
        let seen: Vec<_> = docker
            .stats("pot", Some(stream))
            .take(3)
            .try_collect()
            .await?;
        for pair in seen.windows(2) {
            let used = pair[1]
                .cpu_stats
                .as_ref()
                .and_then(|cpu| cpu.cpu_usage.as_ref());
            ensure!(used.and_then(|used| used.total_usage) > Some(0), "{pair:?}");
            ensure!(pair[1].preread == pair[0].read, "{pair:?}");
        }
        remove(&docker, "pot").await
    })
}

#[test]
fn bollard_hears_events_and_moves_files() -> Result<()> {
    with(|docker| async move {
        let filters = HashMap::from([("type", vec!["container"]), ("label", vec!["heard"])]);
        let options = EventsOptionsBuilder::new()
            .filters(&filters)
            .since("0")
            .build();
        let mut events = pin!(docker.events(Some(options)));
        let mut body = busybox(&["sleep", "1000"]);
        body.labels = Some(HashMap::from([("heard".to_owned(), String::new())]));
        let id = run(&docker, "pot", body).await?;
        let tar = onggi_testkit::Layer::new(&[onggi_testkit::Entry::File(
            "a.txt".to_owned(),
            0o640,
            b"content".to_vec(),
        )])?;
        let to = UploadToContainerOptionsBuilder::new().path("/tmp").build();
        let tar = bollard::body_full(tar.tar().to_vec().into());
        docker.upload_to_container("pot", Some(to), tar).await?;
        let from = DownloadFromContainerOptionsBuilder::new()
            .path("/tmp/a.txt")
            .build();
        let pieces: Vec<_> = docker
            .download_from_container("pot", Some(from))
            .try_collect()
            .await?;
        let found = pieces.concat();
        ensure!(found.windows(7).any(|bytes| bytes == b"content"));
        let changes = docker.container_changes("pot").await?.unwrap_or_default();
        ensure!(
            changes.iter().any(|change| change.path == "/tmp/a.txt"),
            "{changes:?}"
        );
        let exported: Vec<_> = docker.export_container("pot").try_collect().await?;
        ensure!(exported.concat().len() > 512 * 1024);
        let nowhere = DownloadFromContainerOptionsBuilder::new()
            .path("/nothing")
            .build();
        let nothing = docker
            .download_from_container("pot", Some(nowhere))
            .try_collect::<Vec<_>>()
            .await;
        refused(nothing, 404, "")?;
        remove(&docker, "pot").await?;
        let mut heard = Vec::new();
        while heard.last().map(String::as_str) != Some("destroy") {
            let event = events.try_next().await?.context("the stream ended")?;
            ensure!(event.actor.and_then(|actor| actor.id).as_deref() == Some(&*id));
            heard.extend(event.action);
        }
        for action in [
            "create",
            "start",
            "extract-to-dir",
            "archive-path",
            "export",
            "kill",
            "die",
        ] {
            ensure!(
                heard.iter().any(|one| one == action),
                "no {action} in {heard:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn bollard_pulls() -> Result<()> {
    let daemon = Daemon::start()?;
    if !std::path::Path::new("/usr/bin/docker-registry").exists() {
        eprintln!("skipped: no docker-registry is installed");
        return Ok(());
    }
    let registry = Registry::start(daemon.namespace(), 5000)?;
    registry.push(&Image::busybox()?, "library/busybox", "latest")?;
    talk(&daemon, |docker| async move {
        let name = "127.0.0.1:5000/library/busybox";
        let options = CreateImageOptionsBuilder::new()
            .from_image(name)
            .tag("latest");
        let lines: Vec<_> = docker
            .create_image(Some(options.build()), None, None)
            .try_collect()
            .await?;
        let last = lines.last().and_then(|line| line.status.clone());
        ensure!(
            last.is_some_and(|text| text.starts_with("Status: ")),
            "{lines:?}"
        );
        let image = docker.inspect_image(name).await?;
        ensure!(image.os.as_deref() == Some("linux"), "{image:?}");
        docker
            .remove_image(name, None::<RemoveImageOptions>, None)
            .await?;
        refused(docker.inspect_image(name).await, 404, "No such image")?;
        let info = docker.info().await?;
        ensure!(info.images == Some(0) && info.ncpu > Some(0), "{info:?}");
        ensure!(docker.version().await?.os.as_deref() == Some("linux"));
        ensure!(docker.ping().await? == "OK");
        docker.df(None).await?;
        Ok(())
    })?;
    drop(registry);
    daemon.clean()
}
