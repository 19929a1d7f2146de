//! Ways to write `-v`, `--mount`, `--tmpfs` and `--volumes-from`: our command line sends what Docker's sends, or refuses in
//! its words; and the daemon answers what Docker's answers.

use crate::{daemon, is_dockerd};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Output, Process, Subject};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// What is typed between `create` and `busybox`; HERE is a folder that is there.
const SPELLINGS: &[&str] = &[
    "-v /anon",
    "-v /anon/../other//x/.",
    "-v data:/d",
    "-v data:/d:ro",
    "-v data:/d:rw",
    "-v data:/d:nocopy",
    "-v data:/d:ro,nocopy",
    "-v data:/d:z",
    "-v data:/d:Z",
    "-v data:/d:ro,z",
    "-v data:/d:z,Z",
    "-v data:/d:ro,rw",
    "-v data:/d:rshared",
    "-v data:/d:volume-nocopy",
    "-v data:/d:cached",
    "-v data:/d:consistent,delegated",
    "-v data:/d:",
    "-v data:d",
    "-v data:/",
    "-v data:ro",
    "-v :/d",
    "-v a:/d",
    "-v a@b:/d",
    "-v data:/d:ro:x",
    "-v HERE:/b",
    "-v HERE:/b:ro",
    "-v HERE/missing:/b",
    "-v HERE:/b:rslave",
    "-v HERE:/b:rprivate",
    "-v HERE:/b:private,ro",
    "-v HERE:/b:odd",
    "-v HERE:/b:nocopy",
    "-v HERE:b",
    "-v HERE:/",
    "-v HERE:/b -v data:/b",
    "-v HERE/../HERE:/b",
    "-v ./relative:/b",
    "-v ~:/b",
    "-v C:/b",
    "-v /one:/two:/three",
    "--mount type=volume,source=data,target=/d",
    "--mount src=data,dst=/d",
    "--mount type=volume,target=/d",
    "--mount source=data,destination=/d,readonly",
    "--mount source=data,target=/d,ro=true",
    "--mount source=data,target=/d,readonly=0",
    "--mount source=data,target=/d,readonly=maybe",
    "--mount source=data,target=/d,volume-nocopy",
    "--mount source=data,target=/d,volume-nocopy=false",
    "--mount source=data,target=/d,volume-label=a=b,volume-label=c",
    "--mount source=data,target=/d,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs",
    "--mount source=data,target=/d,volume-driver=nope",
    "--mount source=data,target=/d,volume-subpath=../x",
    "--mount source=data,target=/d,volume-subpath=/x",
    "--mount target=/d,readonly",
    "--mount type=volume,source=data",
    "--mount type=volume,source=data,target=d",
    "--mount type=volume,source=data,target=/",
    "--mount type=volume,source=HERE,target=/d",
    "--mount type=bind,source=HERE,target=/b",
    "--mount type=bind,src=HERE,dst=/b,ro",
    "--mount type=bind,source=HERE,target=/b,bind-propagation=rslave",
    "--mount type=bind,source=HERE,target=/b,bind-propagation=odd",
    "--mount type=bind,source=HERE,target=/b,bind-nonrecursive",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=disabled",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=writable,ro",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=writable",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=readonly",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=readonly,ro",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=readonly,ro,bind-propagation=rprivate",
    "--mount type=bind,source=HERE,target=/b,bind-recursive=odd",
    "--mount type=bind,source=HERE/missing,target=/b",
    "--mount type=bind,source=HERE/missing,target=/b,bind-create-src",
    "--mount type=bind,source=./here,target=/b",
    "--mount type=bind,target=/b",
    "--mount type=bind,source=HERE,target=/b,volume-nocopy",
    "--mount type=bind,source=HERE,target=/b,consistency=cached",
    "--mount type=bind,source=HERE,target=/b,tmpfs-size=1m",
    "--mount type=tmpfs,target=/t",
    "--mount type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770",
    "--mount type=tmpfs,target=/t,tmpfs-size=odd",
    "--mount type=tmpfs,target=/t,tmpfs-mode=9",
    "--mount type=tmpfs,source=x,target=/t",
    "--mount type=tmpfs,target=/t,readonly",
    "--mount type=image,source=busybox,target=/i",
    "--mount type=image,source=busybox,target=/i,image-subpath=../x",
    "--mount type=image,target=/i",
    "--mount type=odd,source=x,target=/d",
    "--mount type=cluster,source=x,target=/d",
    "--mount source=data,target=/d,odd=1",
    "--mount source=data,target=/d,odd",
    "--mount target",
    "--mount ''",
    "--mount 'type=volume, source=data,target=/d'",
    "--mount 'type=volume,\"source=data\",target=/d'",
    "--mount TYPE=volume,Source=data,TARGET=/d",
    "--mount source=one,target=/d --mount source=two,target=/d",
    "--tmpfs /t",
    "--tmpfs /t:size=64m,mode=1770,exec",
    "--tmpfs /t:odd",
    "--tmpfs t",
    "--tmpfs /",
    "--tmpfs /t:rw,noexec,nosuid,size=65536k -v /t",
    "--volumes-from holder",
    "--volumes-from holder:ro",
    "--volumes-from holder:ro,z",
    "--volumes-from holder:odd",
    "--volumes-from nobody",
    "--volumes-from ''",
    "--volume-driver local -v data:/d",
    "--volume-driver nope -v data:/d",
];

/// Where the daemon of Docker 20.10 says something else than today's, and what ours says; by the end of the spelling.
const NEWER: &[(&str, &str)] = &[
    (
        "volume-subpath=../x",
        "subpath must be a relative path within the volume",
    ),
    (
        "volume-subpath=/x",
        "subpath must be a relative path within the volume",
    ),
    (
        "type=cluster,source=x,target=/d",
        "cluster volumes need Swarm",
    ),
    ("type=image,source=busybox,target=/i", "\"Type\":\"image\""),
    (
        "image-subpath=../x",
        "subpath must be a relative path within the image",
    ),
    ("type=image,target=/i", "field Source must not be empty"),
    // Docker makes a container that never starts.
    ("--tmpfs /t:odd", "invalid tmpfs option"),
    ("-v C:/b", "mount path must be absolute"),
    ("-v a:/d", "mount path must be absolute"),
];

/// A listener that is asked to make a container and says that it did. It keeps what it was asked.
struct Recorder {
    socket: PathBuf,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Recorder {
    fn start(socket: PathBuf, api: &'static str) -> Result<Self> {
        let listener = UnixListener::bind(&socket)?;
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // Who hangs up early is told of by what is missing.
                std::thread::spawn(move || serve(stream, api, &kept));
            }
        });
        Ok(Self { socket, bodies })
    }

    /// The last body of a request to make a container.
    fn take(&self) -> Option<Value> {
        let mut bodies = self.bodies.lock().ok()?;
        let last = bodies.pop();
        bodies.clear();
        last
    }
}

fn serve(mut stream: UnixStream, api: &str, kept: &Mutex<Vec<Value>>) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let mut body = Vec::new();
    if let Some(length) = field("content-length").and_then(|length| length.parse().ok()) {
        body.resize(length, 0);
        stream.read_exact(&mut body).ok()?;
    } else if field("transfer-encoding").is_some() {
        while !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
            stream.read_exact(&mut byte).ok()?;
            body.push(byte[0]);
        }
        let start = body.windows(2).position(|two| two == b"\r\n")? + 2;
        body = body[start..].to_vec();
        let end = body.windows(5).rposition(|five| five == b"\r\n0\r\n")?;
        body.truncate(end);
    }
    let made = head.contains("/containers/create");
    let answer = match made {
        true => {
            let document = serde_json::from_slice(&body).ok()?;
            kept.lock().ok()?.push(document);
            json!({"Id": "1234", "Warnings": []}).to_string()
        }
        false => "OK".to_owned(),
    };
    let (status, answer) = match head.starts_with("HEAD") {
        true => ("200 OK", String::new()),
        false if made => ("201 Created", answer),
        false => ("200 OK", answer),
    };
    let kind = if made {
        "application/json"
    } else {
        "text/plain"
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nApi-Version: {api}\r\nOstype: linux\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

/// The words of a spelling, as a shell takes them apart.
fn words(spelling: &str, here: &Path) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for letter in spelling
        .replace("HERE", &here.display().to_string())
        .chars()
    {
        match letter {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            letter => {
                word.push(letter);
                begun = true;
            }
        }
    }
    words.push(word);
    words
}

/// What a body says of mounts. Docker's program sends binds in any order: it keeps them in a map.
fn mounts(body: &Value) -> Value {
    let host = &body["HostConfig"];
    let mut binds = host["Binds"].clone();
    if let Some(binds) = binds.as_array_mut() {
        binds.sort_by_key(Value::to_string);
    }
    json!({
        "Volumes": body["Volumes"], "Binds": binds, "Mounts": host["Mounts"], "Tmpfs": host["Tmpfs"],
        "VolumesFrom": host["VolumesFrom"], "VolumeDriver": host["VolumeDriver"],
    })
}

fn typed(
    daemon: &Daemon,
    program: &Path,
    socket: &Path,
    here: &Path,
    words: &[String],
) -> Result<Output> {
    let mut command = Command::new(program);
    command
        .arg("create")
        .args(words)
        .args(["busybox", "true"])
        .current_dir(here)
        .env("HOME", here)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("DOCKER_CONFIG", daemon.path("config"))
        .env_remove("DOCKER_CONTEXT");
    let mut process = Process::start(daemon.namespace(), &mut command)?;
    process.close_stdin();
    process.wait()
}

#[test]
fn both_command_lines_send_the_same() -> Result<()> {
    let docker = ["/usr/local/bin/docker", "/usr/bin/docker"].map(PathBuf::from);
    let Some(docker) = docker.into_iter().find(|path| path.exists()) else {
        eprintln!("skipped: no docker CLI is installed");
        return Ok(());
    };
    let daemon = Daemon::start_with(DaemonOptions {
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })?;
    let version = Command::new(&docker)
        .args(["version", "--format", "{{.Client.Version}}"])
        .env("DOCKER_HOST", daemon.host())
        .output()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with("28.") {
        eprintln!("skipped: the docker CLI is {version}, the texts are those of 28");
        return daemon.clean();
    }
    let recorder = Recorder::start(daemon.path("recorder.sock"), "1.51")?;
    std::fs::create_dir(daemon.path("bin"))?;
    let ours = daemon.path("bin/docker");
    let program = daemon.cli_command(&[])?.get_program().to_owned();
    std::os::unix::fs::symlink(program, &ours)?;
    let here = daemon.path("here");
    std::fs::create_dir(&here)?;
    let mut differ = Vec::new();
    for spelling in SPELLINGS {
        let words = words(spelling, &here);
        let mut seen = Vec::new();
        for program in [&docker, &ours] {
            let output = typed(&daemon, program, &recorder.socket, &here, &words)?;
            // Help pages are ours.
            let said = output
                .stderr
                .split("\n\n")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            seen.push((output.code, said, recorder.take().as_ref().map(mounts)));
        }
        if seen[0] != seen[1] {
            differ.push(format!(
                "{spelling}\n  docker: {:?}\n  onggi:  {:?}",
                seen[0], seen[1]
            ));
        }
    }
    ensure!(
        differ.is_empty(),
        "{} of {}:\n{}",
        differ.len(),
        SPELLINGS.len(),
        differ.join("\n")
    );
    daemon.clean()
}

/// What a daemon answered to a request, and what became of it; paths and names of its own out.
fn answer(daemon: &Daemon, body: &Value) -> Result<(u16, Value)> {
    let answer = daemon.post("/containers/create", body)?;
    let document = answer.json()?;
    let Some(id) = document["Id"].as_str() else {
        return Ok((answer.status, document["message"].clone()));
    };
    let inspect = daemon
        .get(&format!("/containers/{id}/json"))?
        .ok()?
        .json()?;
    daemon
        .delete(&format!("/containers/{id}?v=1&force=1"))?
        .ok()?;
    let mut points = inspect["Mounts"].as_array().cloned().context("Mounts")?;
    for point in &mut points {
        if point["Name"].as_str().is_some_and(|name| name.len() == 64) {
            point["Name"] = "anonymous".into();
            point["Source"] = "anonymous".into();
        }
        let text = point
            .to_string()
            .replace(&daemon.path("").display().to_string(), "ROOT/");
        *point = serde_json::from_str(
            &text.replace(
                daemon
                    .data_root()
                    .strip_prefix(daemon.path(""))?
                    .to_str()
                    .context("a path")?,
                "DATA",
            ),
        )?;
    }
    points.sort_by_key(|point| point["Destination"].to_string());
    Ok((answer.status, points.into()))
}

#[test]
fn the_daemon_answers_as_dockers() -> Result<()> {
    let onggi = daemon()?;
    if is_dockerd(&onggi, "this is a comparison") {
        return Ok(());
    }
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("dockerd: skipped, it is not installed");
        return onggi.clean();
    }
    let docker = Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Dockerd),
        client: Some(Client::Onggi),
        ..DaemonOptions::default()
    })?;
    docker.load_busybox()?;
    let recorder = Recorder::start(onggi.path("recorder.sock"), "1.41")?;
    let ours = PathBuf::from(onggi.cli_command(&[])?.get_program());
    let here = tempfile::tempdir()?;
    let mut differ = BTreeMap::new();
    for daemon in [&onggi, &docker] {
        let holder = [
            "create", "--name", "holder", "-v", "held:/h", "-v", "/anon", "busybox",
        ];
        daemon.cli(&holder)?.ok()?;
    }
    let mut compared = 0;
    for spelling in SPELLINGS {
        typed(
            &onggi,
            &ours,
            &recorder.socket,
            here.path(),
            &words(spelling, here.path()),
        )?;
        // What the command line refuses itself is the other test's.
        let Some(body) = recorder.take() else {
            continue;
        };
        compared += 1;
        let seen = [answer(&onggi, &body)?, answer(&docker, &body)?];
        // Statuses of texts changed since 20.10: those are told by the text.
        let same = seen[0].1 == seen[1].1;
        let newer = NEWER.iter().find(|(end, _)| spelling.ends_with(end));
        let expected = newer.is_some_and(|(_, text)| seen[0].1.to_string().contains(text));
        if !same && !expected {
            differ.insert(*spelling, format!("{:?}\n  docker: {:?}", seen[0], seen[1]));
        }
        // One that was left by a request that failed would meet the next.
        for daemon in [&onggi, &docker] {
            for made in ["missing", "relative"] {
                let made = here.path().join(made);
                if made.exists() {
                    std::fs::remove_dir(&made)?;
                }
            }
            daemon.delete("/volumes/data?force=1")?;
        }
    }
    let text: Vec<String> = differ
        .iter()
        .map(|(s, d)| format!("{s}\n  onggi:  {d}"))
        .collect();
    ensure!(
        differ.is_empty(),
        "{} of {compared}:\n{}",
        differ.len(),
        text.join("\n")
    );
    ensure!(compared >= 60, "{compared} spellings");
    onggi.clean()
}
