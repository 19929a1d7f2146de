//! Requests for containers that cannot be fulfilled.

use crate::{differs, refused};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Request, Subject};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

fn create(daemon: &Daemon, name: &str, body: &Value) -> Result<String> {
    let answer = daemon
        .post(&format!("/containers/create?name={name}"), body)?
        .ok()?
        .json()?;
    Ok(answer["Id"].as_str().context("Id")?.to_owned())
}

#[test]
fn requests_that_make_no_sense() -> Result<()> {
    if differs("answers malformed JSON with 500")? {
        return Ok(());
    }
    let daemon = daemon()?;
    for body in ["{", "[]", "{\"Image\": 5}", "", "{} trailing"] {
        let request = Request::new("POST", "/containers/create").body("application/json", body);
        let answer = daemon.send(&request)?;
        ensure!(
            answer.status == 400,
            "{body:?}: {} {}",
            answer.status,
            answer.text()
        );
        ensure!(
            answer.json()?["message"].is_string(),
            "{body:?}: {}",
            answer.text()
        );
    }
    let unknown = daemon.post("/containers/create", &json!({"Image": "nothing"}))?;
    refused(&unknown, 404, "No such image: nothing:latest")?;
    let name = daemon.post("/containers/create?name=-bad", &json!({"Image": "busybox"}))?;
    refused(&name, 400, "Invalid container name (-bad)")?;
    refused(
        &daemon.get("/containers/nobody/json")?,
        404,
        "No such container: nobody",
    )?;
    refused(&daemon.get("/no/such/path")?, 404, "page not found")?;
    daemon.clean()
}

#[test]
fn names_and_ports_have_one_owner() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
    });
    let id = create(&daemon, "first", &body)?;
    daemon.post("/containers/first/start", &Value::Null)?.ok()?;
    let again = daemon.post("/containers/create?name=first", &body)?;
    let text =
        format!("Conflict. The container name \"/first\" is already in use by container \"{id}\"");
    refused(&again, 409, &text)?;
    create(&daemon, "second", &body)?;
    let taken = daemon.post("/containers/second/start", &Value::Null)?;
    refused(&taken, 500, "port is already allocated")?;
    // The first is not harmed, and the second can have the port when it is free.
    daemon.delete("/containers/first?force=1")?.ok()?;
    daemon
        .post("/containers/second/start", &Value::Null)?
        .ok()?;
    daemon.delete("/containers/second?force=1")?.ok()?;
    // Somebody else's port.
    let listener = daemon
        .namespace()
        .run(|| TcpListener::bind("0.0.0.0:8080"))??;
    create(&daemon, "third", &body)?;
    let taken = daemon.post("/containers/third/start", &Value::Null)?;
    refused(&taken, 500, "address already in use")?;
    drop(listener);
    daemon.post("/containers/third/start", &Value::Null)?.ok()?;
    daemon.clean()
}

#[test]
fn programs_that_cannot_be_run() -> Result<()> {
    let daemon = daemon()?;
    for (code, command, text) in [
        (127, "no-such-program", "executable file not found in $PATH"),
        (127, "/no/such/program", "no such file or directory"),
        (126, "/etc/passwd", "permission denied"),
    ] {
        create(
            &daemon,
            "one",
            &json!({"Image": "busybox", "Cmd": [command]}),
        )?;
        let answer = daemon.post("/containers/one/start", &Value::Null)?;
        refused(&answer, 400, text)?;
        let state = daemon.get("/containers/one/json")?.ok()?.json()?["State"].take();
        ensure!(
            state["ExitCode"] == code && state["Running"] == false,
            "{command}: {state}"
        );
        ensure!(
            state["Error"].as_str().is_some_and(|e| e.contains(text)),
            "{command}: {state}"
        );
        daemon.delete("/containers/one")?.ok()?;
    }
    daemon.clean()
}

#[test]
fn a_mount_whose_source_is_missing() -> Result<()> {
    let daemon = daemon()?;
    let source = daemon.path("missing").display().to_string();
    let mount = json!([{"Type": "bind", "Source": source, "Target": "/in"}]);
    let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Mounts": mount}});
    let answer = daemon.post("/containers/create", &body)?;
    let text = format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {source}"
    );
    refused(&answer, 400, &text)?;
    daemon.clean()
}

#[test]
fn an_image_for_another_machine() -> Result<()> {
    let daemon = daemon()?;
    let other = if cfg!(target_arch = "aarch64") {
        "amd64"
    } else {
        "arm64"
    };
    let image = onggi_testkit::Image::busybox()?.architecture(other);
    daemon.load(&image, &["foreign:latest"])?;
    let body = json!({"Image": "foreign", "Cmd": ["true"]});
    let answer = daemon.post("/containers/create", &body)?.ok()?.json()?;
    let warning = answer["Warnings"][0].as_str().unwrap_or_default();
    ensure!(
        warning.contains(other) && warning.contains("does not match"),
        "{answer}"
    );
    if daemon.subject() == Subject::Onggi {
        let answer = daemon.post("/containers/create?platform=linux/s390x", &body)?;
        refused(&answer, 404, "does not match the specified platform")?;
    }
    daemon.clean()
}

/// Until it is told to end: does this again and again.
fn meanwhile<T: Send>(
    busy: impl Fn() -> Result<()> + Sync,
    workers: usize,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while !over.load(Ordering::Relaxed) {
                        busy()?;
                    }
                    Ok(())
                })
            })
            .collect();
        let done = work();
        over.store(true, Ordering::Relaxed);
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        done
    })
}

#[test]
fn a_forced_removal_wins_over_those_who_start_it() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"]});
    for round in 0..5 {
        let name = format!("contested{round}");
        create(&daemon, &name, &body)?;
        let restart = || -> Result<()> {
            let answer = daemon.post(&format!("/containers/{name}/restart?t=0"), &Value::Null)?;
            ensure!(
                matches!(answer.status, 204 | 404 | 409),
                "{} {}",
                answer.status,
                answer.text()
            );
            Ok(())
        };
        restart()?;
        meanwhile(restart, 2, || {
            let removed = daemon.delete(&format!("/containers/{name}?force=1"))?;
            ensure!(removed.status == 204, "round {round}: {}", removed.text());
            Ok(())
        })?;
        let gone = daemon.get(&format!("/containers/{name}/json"))?;
        ensure!(gone.status == 404, "{}", gone.text());
    }
    daemon.clean()
}

#[test]
fn what_meets_the_end_of_a_container_is_no_fault_of_the_daemon() -> Result<()> {
    if differs("answers some of these with 500")? {
        return Ok(());
    }
    let daemon = daemon()?;
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"]});
    create(&daemon, "brief", &body)?;
    let short = || -> Result<()> {
        daemon.post("/containers/brief/start", &Value::Null)?;
        daemon.post("/containers/brief/kill", &Value::Null)?;
        Ok(())
    };
    let answered = |what: &str, answer: &onggi_testkit::Response| {
        ensure!(answer.status < 500, "{what}: {}", answer.text());
        Ok(())
    };
    meanwhile(short, 1, || {
        for _ in 0..30 {
            let exec = json!({"Cmd": ["true"]});
            let exec = daemon.post("/containers/brief/exec", &exec)?;
            answered("exec", &exec)?;
            if let Some(id) = exec.json()?["Id"].as_str() {
                let start = json!({"Detach": true});
                answered("exec", &daemon.post(&format!("/exec/{id}/start"), &start)?)?;
            }
            for request in ["pause", "unpause"] {
                let path = format!("/containers/brief/{request}");
                answered(request, &daemon.post(&path, &Value::Null)?)?;
            }
            let limits = json!({"Memory": 50_000_000, "MemorySwap": -1});
            let path = "/containers/brief/update";
            answered("update", &daemon.post(path, &limits)?)?;
            let path = "/commit?container=brief&repo=brief";
            answered("commit", &daemon.post(path, &json!({}))?)?;
        }
        Ok(())
    })?;
    daemon.delete("/containers/brief?force=1")?.ok()?;
    daemon.clean()
}
