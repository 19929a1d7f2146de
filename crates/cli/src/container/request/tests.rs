//! The create request beside what the real docker CLI sends for the same words: a small server takes its request.
//! Skipped, with the reason printed, where there is no docker CLI.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::args::{Positionals, parse};
use crate::container::flags;

use super::*;

/// The words after `create`, one case a line; `|` separates words that have spaces.
const CASES: &[&str] = &[
    "busybox",
    "busybox echo hi -t --rm",
    "-i busybox",
    "-it busybox sh",
    "-t busybox",
    "-a stdout busybox",
    "-a stdin -a stderr busybox",
    "-i -a stdout busybox",
    "--name x --hostname h --domainname d -u 1:2 -w /tmp busybox",
    "-e A=1 -e HOME -e NOT_SET_ANYWHERE -e B= busybox",
    "--env-file ENVFILE -e Z=1 busybox",
    "-l a=b -l c --label d= --label-file LABELFILE busybox",
    "-p 80 -p 8080:81 -p 127.0.0.1:8082:82/udp -p 83-85:83-85 -p [::1]:86:86 busybox",
    "-p 8000-8010:80 busybox",
    "-p published=80,target=8080,protocol=udp busybox",
    "-P --expose 90 --expose 91-93/udp busybox",
    "-v /a:/b -v /c:/d:ro -v vol:/e -v /anon -v ./rel:/f -v .:/g:ro,z busybox",
    "--tmpfs /t --tmpfs /u:size=1m,mode=700 busybox",
    "--mount type=bind,src=/x,dst=/y busybox",
    "--mount type=bind,source=/x,target=/y,readonly,bind-propagation=rshared,bind-nonrecursive busybox",
    "--mount type=volume,src=v,dst=/z,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=k=v busybox",
    "--mount dst=/z busybox",
    "--mount type=volume,dst=/z,volume-subpath=p,ro=true busybox",
    "--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777 busybox",
    "--mount type=bind,src=/x,dst=/y,ro,bind-recursive=readonly,bind-propagation=rprivate busybox",
    "--mount type=bind,src=/x,dst=/y,ro,bind-recursive=writable busybox",
    "--mount type=image,src=i,dst=/y,image-subpath=s busybox",
    "-m 512m --memory-swap -1 --memory-reservation 256m --memory-swappiness 10 --oom-kill-disable --oom-score-adj -5 busybox",
    "--cpus 1.5 --cpuset-cpus 0-1 --cpuset-mems 0 -c 512 --cpu-period 1 --cpu-quota 2 --cpu-rt-period 3 --cpu-rt-runtime 4 busybox",
    "--pids-limit 100 --ulimit nofile=10:20 --ulimit core=0 --ulimit nofile=30 --shm-size 1g busybox",
    "--blkio-weight 100 --blkio-weight-device /dev/sda:200 --device-read-bps /dev/sda:1mb --device-write-bps /dev/sda:2k --device-read-iops /dev/sda:3 --device-write-iops /dev/sda:4 busybox",
    "--device /dev/null --device /dev/zero:/dev/z:r --device /dev/full:rw --device vendor.com/class=name --device-cgroup-rule|c 1:* rwm busybox",
    "--gpus all busybox",
    "--gpus 2 busybox",
    "--gpus|\"device=0,1\",\"capabilities=compute,utility\",driver=nvidia busybox",
    "--network foo --network-alias a --network-alias b --ip 10.0.0.2 --ip6 fd00::2 --link-local-ip 169.254.1.1 --link x:y busybox",
    "--network name=foo,alias=a,ip=10.0.0.2,driver-opt=k=v,mac-address=02:00:00:00:00:01,gw-priority=3 --network bar busybox",
    "--network host busybox",
    "--network none busybox",
    "--network container:abc busybox",
    "--network bridge --link x:y busybox",
    "--mac-address 02:00:00:00:00:01 busybox",
    "--net foo --net-alias a busybox",
    "--dns 1.1.1.1 --dns-search a.b --dns-option ndots:1 --dns-opt x --add-host a:1.2.3.4 --add-host b=[::1] --add-host c:host-gateway busybox",
    "--restart always busybox",
    "--restart on-failure:3 --stop-signal USR1 --stop-timeout 7 busybox",
    "--rm busybox",
    "--health-cmd|curl x --health-interval 5s --health-timeout 1m --health-retries 3 --health-start-period 100ms --health-start-interval 2s busybox",
    "--no-healthcheck busybox",
    "--log-driver local --log-opt max-size=1m --log-opt max-file=3 busybox",
    "--privileged --cap-add NET_ADMIN --cap-add ALL --cap-drop SYS_ADMIN --group-add 5 --security-opt no-new-privileges --security-opt label=disable --security-opt apparmor:x busybox",
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined busybox",
    "--security-opt seccomp=SECCOMPFILE busybox",
    "--pid host --ipc host --uts host --userns host --cgroupns private --cgroup-parent /x --init --read-only busybox",
    "--pid container:x --ipc container:y --init=false busybox",
    "--sysctl net.ipv4.ip_forward=1 --storage-opt size=1g --runtime r --volume-driver d --volumes-from a --volumes-from b:ro busybox",
    "--entrypoint /bin/x busybox a b",
    "--entrypoint= busybox",
    "--annotation a=b --platform linux/amd64 busybox",
    "--kernel-memory 5m --isolation default busybox",
    "--cap-add x --cap-drop CAP_X --cap-drop y --cap-add all --cap-drop all busybox",
    "--cap-drop ALL --cap-add NET_ADMIN --cap-add cap_net_admin busybox",
    "--cap-add ALL --cap-drop NET_ADMIN busybox",
    "--network foo busybox",
    "--network foo --mac-address 02:00:00:00:00:01 busybox",
    "--network foo --network bar --ip 10.0.0.2 busybox",
    "--network default busybox",
    "-v : busybox",
    "-v /a:/b:/c busybox",
    "-p 80 --expose 80 --expose 81 busybox",
    "--restart unless-stopped busybox",
    "--stop-timeout -1 --pids-limit -1 --memory-swap 1g busybox",
    "--health-cmd= busybox",
    "--health-interval 5s busybox",
    "--log-opt a=b busybox",
];

/// Where the cases find files.
fn files(directory: &Path) -> [(&'static str, String); 3] {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    [
        (
            "ENVFILE",
            write(
                "env",
                "# comment\n\nFOO=bar baz\n  LEADING=1\nHOME\nNOT_SET_ANYWHERE\nE=\n",
            ),
        ),
        (
            "LABELFILE",
            write("labels", "file=1\na=overwritten\nbare\n"),
        ),
        (
            "SECCOMPFILE",
            write(
                "seccomp.json",
                "{ \"defaultAction\": \"SCMP_ACT_ALLOW\",\n \"syscalls\": [] }",
            ),
        ),
    ]
}

fn words(case: &str, files: &[(&str, String)]) -> Vec<String> {
    // A `|` glues the next word on, spaces and all, up to the next word that begins with a dash or ends the line.
    let mut words: Vec<String> = Vec::new();
    let mut parts = case.split(' ').peekable();
    while let Some(part) = parts.next() {
        let mut part = part.to_owned();
        for (name, path) in files {
            part = part.replace(name, path);
        }
        match part.split_once('|') {
            None => words.push(part),
            Some((flag, value)) => {
                words.push(flag.to_owned());
                let mut value = value.to_owned();
                while let Some(next) = parts.peek() {
                    if next.starts_with("--") || *next == "busybox" {
                        break;
                    }
                    value.push(' ');
                    value.push_str(next);
                    parts.next();
                }
                words.push(value);
            }
        }
    }
    words
}

/// Answers pings, and gives back the body of the first create request.
fn take_request(listener: &UnixListener) -> serde_json::Value {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        loop {
            let (stream, _) = listener.accept().unwrap();
            let sender = sender.clone();
            let served = scope.spawn(move || serve(stream, &sender));
            if served.join().unwrap() {
                break;
            }
        }
    });
    receiver.recv().unwrap()
}

/// Serves one connection until it closes; tells whether it made the create request.
fn serve(stream: UnixStream, found: &std::sync::mpsc::Sender<serde_json::Value>) -> bool {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut create = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return create;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = if line.contains("/containers/create") {
            create = true;
            found.send(serde_json::from_slice(&body).unwrap()).unwrap();
            "{\"Id\":\"aaaa\",\"Warnings\":[]}"
        } else {
            "OK"
        };
        let text = if line.starts_with("HEAD") { "" } else { answer };
        let status = if create { "201 Created" } else { "200 OK" };
        // One that was only woken up does not read the answer.
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n{text}",
            answer.len(),
            if create { "close" } else { "keep-alive" },
        );
        if create {
            return true;
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
fn requests_are_those_of_the_docker_cli() {
    let docker = std::env::var("ONGGI_TEST_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    let version = Command::new(&docker).arg("--version").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("version 28."))
    {
        eprintln!("skipped: no docker CLI 28 on this machine");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let mut differences = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let words = words(case, &files);
        let socket = directory.path().join(format!("{number}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let mut child = Command::new(&docker)
            .arg("-H")
            .arg(format!("unix://{}", socket.display()))
            .arg("create")
            .args(&words)
            .env("DOCKER_CONFIG", directory.path())
            .env("HOME", "/home/tester")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A docker that refuses its words never comes: look for both.
        listener.set_nonblocking(false).unwrap();
        let waker = socket.clone();
        let pid_done = std::thread::spawn(move || {
            let output = child.wait().unwrap();
            if !output.success() {
                let mut text = String::new();
                child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut text)
                    .unwrap();
                let body = serde_json::json!({"refused": text}).to_string();
                let mut stream = UnixStream::connect(waker).unwrap();
                write!(
                    stream,
                    "POST /containers/create HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
        });
        let theirs = take_request(&listener);
        pid_done.join().unwrap();

        let environment = [("HOME".to_owned(), "/home/tester".to_owned())].into();
        let matches = parse::parse(&[flags::CREATE], Positionals::Last, &words);
        let ours = matches
            .map_err(|error| error.to_string())
            .and_then(|matches| {
                create_request(&matches, &environment, Version(1, 50))
                    .map_err(|error| error.message)
            });
        let ours = match ours {
            Ok(request) => serde_json::to_value(request).unwrap(),
            Err(text) => serde_json::json!({"refused": text}),
        };
        compare("", &theirs, &ours, &mut |path, theirs, ours| {
            differences.push(format!("{case}\n  {path}: docker {theirs}, we {ours}"));
        });
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Tells every place where two values differ.
fn compare(
    path: &str,
    theirs: &serde_json::Value,
    ours: &serde_json::Value,
    tell: &mut impl FnMut(&str, &serde_json::Value, &serde_json::Value),
) {
    use serde_json::Value;
    match (theirs, ours) {
        // Go takes these two through a map, which has no order.
        (Value::Array(a), Value::Array(b)) if path == ".Env" || path == ".HostConfig.Binds" => {
            let sorted = |list: &[Value]| {
                let mut list: Vec<String> = list.iter().map(Value::to_string).collect();
                list.sort();
                list
            };
            if sorted(a) != sorted(b) {
                tell(path, theirs, ours);
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                // The newest API leaves it out when it is empty; older daemons see no difference.
                if path.is_empty() && key == "OnBuild" {
                    continue;
                }
                let missing = Value::String("(left out)".to_owned());
                let (a, b) = (
                    a.get(key).unwrap_or(&missing),
                    b.get(key).unwrap_or(&missing),
                );
                compare(&format!("{path}.{key}"), a, b, tell);
            }
        }
        (a, b) if a == b => {}
        (a, b) => tell(path, a, b),
    }
}
