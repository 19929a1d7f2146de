//! What is sent beside what the real docker CLI sends for the same words: a small server takes its requests.
//! Skipped, with the reason printed, where there is no docker CLI.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use crate::args::{Positionals, parse};
use crate::error::Result;

use super::{connect, create, disconnect};

/// The words after `network`, one case a line; `''` is an empty word.
const CASES: &[&str] = &[
    "create n",
    "create ''",
    "create --attachable --internal --ingress --scope local --config-only --config-from x n",
    "create -d macvlan -o parent=eth0 -o empty -o= --label a=b --label c n",
    "create --driver= --ipam-driver= --config-from= n",
    "create --ipam-driver d --ipam-opt a=b n",
    "create --ipv4=false --ipv6 n",
    "create --ipv4 --ipv6=false n",
    "create --subnet 10.0.0.0/24,10.1.0.0/24 --subnet fd00::/64 --gateway 10.1.0.1 --gateway fd00::1 --ip-range 10.0.0.128/25 --aux-address h=10.0.0.5 --aux-address i=fd00::9 n",
    "create --subnet 10.0.0.0/24 --gateway 10.0.0.1/24 n",
    "create --subnet 10.0.0.9/24 --gateway 10.0.0.1 n",
    "create --subnet '' --subnet 10.0.0.0/24 n",
    "create --subnet foo n",
    "create --subnet foo --subnet 10.0.0.0/24 n",
    "create --subnet 10.0.0.0/24 --subnet foo n",
    "create --subnet 10.0.0.0/24 --subnet foo/8 n",
    "create --subnet 10.0.0.0/8 --subnet 10.1.0.0/16 n",
    "create --subnet ::ffff:1.2.3.0/120 --gateway 1.2.3.4 n",
    "create --gateway 10.0.0.1 n",
    "create --ip-range 10.0.0.1/25 n",
    "create --subnet 10.0.0.0/24 --gateway 10.0.1.1 n",
    "create --subnet 10.0.0.0/24 --gateway foo n",
    "create --subnet 10.0.0.0/24 --subnet 10.0.1.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2 n",
    "create --subnet 10.0.0.0/24 --subnet 10.0.1.0/24 --ip-range 10.0.0.0/25 --ip-range 10.0.0.128/25 n",
    "create --subnet 10.0.0.0/24 --ip-range 10.0.1.0/25 n",
    "create --subnet 10.0.0.0/24 --ip-range foo n",
    "create --subnet 10.0.0.0/24 --ip-range foo/3 n",
    "create --subnet 10.0.0.0/24 --aux-address x n",
    "create --subnet 10.0.0.0/24 --aux-address x=10.0.1.1 n",
    "connect n c",
    "connect --alias a,b --alias c --driver-opt k=v,K2=v2 --gw-priority -3 --ip 10.0.0.1 --ip6 fd00::1 --link x:y --link z --link-local-ip 169.254.1.1,fe80::1 n c",
    "connect --alias \"a,b\",c --alias '' n c",
    "connect --ip foo --link-local-ip bar n c",
    "connect --driver-opt k n c",
    "connect --driver-opt =v n c",
    "connect --driver-opt k= n c",
    "disconnect n c",
    "disconnect -f n c",
    "disconnect --force=false n c",
];

/// What ours would send, or say.
fn ours(words: &[String]) -> Value {
    let (verb, rest) = words.split_first().unwrap();
    let flags = match verb.as_str() {
        "create" => create::FLAGS,
        "connect" => connect::FLAGS,
        _ => disconnect::FLAGS,
    };
    let matches = parse::parse(&[flags], Positionals::Mixed, rest).unwrap();
    let body: Result<Value> = match verb.as_str() {
        "create" => create::request(&matches).map(|r| serde_json::to_value(r).unwrap()),
        "connect" => connect::request(&matches).map(|r| serde_json::to_value(r).unwrap()),
        _ => Ok(serde_json::to_value(disconnect::request(&matches)).unwrap()),
    };
    body.unwrap_or_else(|error| Value::String(error.message.trim().to_owned()))
}

/// Answers one connection, and passes on the bodies of its requests.
fn serve(stream: UnixStream, found: &Sender<Value>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
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
        if line.starts_with("POST") {
            found.send(serde_json::from_slice(&body).unwrap()).unwrap();
        }
        let answer = "{\"Id\":\"aaaa\",\"Warning\":\"\"}";
        let text = if line.starts_with("HEAD") { "" } else { answer };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            answer.len()
        );
    }
}

/// What docker sends, or says.
fn theirs(docker: &str, socket: &str, words: &[String], bodies: &Receiver<Value>) -> Value {
    let output = Command::new(docker)
        .args(["-H", socket, "network"])
        .args(words)
        .env("DOCKER_CONFIG", "/nonexistent")
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_API_VERSION")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // The request was read whole before it was answered.
    match bodies.try_recv() {
        Ok(body) => body,
        Err(_) => Value::String(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The words of a case.
fn words(case: &str) -> Vec<String> {
    let words = case.split(' ').map(|word| match word {
        "''" => String::new(),
        word => word.to_owned(),
    });
    words.collect()
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
    let path = directory.path().join("d.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (sender, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || serve(stream, &sender));
        }
    });
    let socket = format!("unix://{}", path.display());
    let mut differences = Vec::new();
    for case in CASES {
        let words = words(case);
        let theirs = sorted(theirs(&docker, &socket, &words, &bodies));
        let ours = sorted(ours(&words));
        if theirs != ours {
            differences.push(format!("{case}\n  docker {theirs}\n  we     {ours}"));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Subnets go through a map there, which has no order.
fn sorted(mut body: Value) -> Value {
    if let Some(list) = body
        .pointer_mut("/IPAM/Config")
        .and_then(Value::as_array_mut)
    {
        list.sort_by_key(|config| config["Subnet"].to_string());
    }
    body
}
