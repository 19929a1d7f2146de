//! Deaths, and the pages they give. The pages are in `golden.txt`, one after the other.

use std::collections::BTreeMap;

use onggi_api::event::{Actor, Message};
use serde_json::{Value, json};

use super::{Known, cause, report};

const GOLDEN: &str = include_str!("golden.txt");

/// A container that ran for ten seconds and ended an hour ago, with `changes` over it.
fn container(changes: Value) -> Value {
    let mut container = json!({
        "Id": "f50a9f4458c3",
        "Name": "/web",
        "Path": "server",
        "Args": ["--port", "80"],
        "RestartCount": 0,
        "State": {
            "Status": "exited", "Running": false, "Paused": false, "Restarting": false,
            "OOMKilled": false, "Dead": false, "ExitCode": 0, "Error": "",
            "StartedAt": "2026-11-21T10:59:50Z", "FinishedAt": "2026-11-21T11:00:00Z",
        },
        "HostConfig": {
            "Memory": 0, "MemorySwap": 0,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
        "Config": {"Image": "shop:1", "Tty": false},
    });
    merge(&mut container, changes);
    container
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

fn kill(signal: &str) -> Message {
    event("kill", &[("signal", signal)])
}

fn event(action: &str, attributes: &[(&str, &str)]) -> Message {
    Message {
        kind: "container".to_owned(),
        action: action.to_owned(),
        actor: Actor {
            attributes: attributes
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            ..Actor::default()
        },
        ..Message::default()
    }
}

fn running(more: Value) -> Value {
    let mut changes = json!({"State": {
        "Status": "running", "Running": true, "FinishedAt": "0001-01-01T00:00:00Z",
    }});
    merge(&mut changes, more);
    container(changes)
}

fn health(test: Value, status: &str, exit_code: i64, output: &str) -> Value {
    running(json!({
        "State": {"Health": {"Status": status, "FailingStreak": 3, "Log": [
            {"End": "2026-11-21T11:59:30Z", "ExitCode": exit_code, "Output": output},
        ]}},
        "Config": {"Healthcheck": {"Test": test}},
    }))
}

fn created(code: i64, error: &str) -> Value {
    container(json!({"State": {
        "Status": "created", "ExitCode": code, "Error": error,
        "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z",
    }}))
}

fn exited(code: i64) -> Value {
    container(json!({"State": {"ExitCode": code}}))
}

/// A name, the container, what happened to it, what it wrote.
type Case = (&'static str, Value, Vec<Message>, &'static [&'static str]);

fn cases() -> Vec<Case> {
    let none: fn() -> Vec<Message> = Vec::new;
    vec![
        (
            "out of memory, with a limit",
            container(json!({
                "State": {"ExitCode": 137, "OOMKilled": true},
                "HostConfig": {"Memory": 67_108_864, "MemorySwap": 134_217_728},
            })),
            vec![event("oom", &[])],
            &["loading model ..."],
        ),
        (
            "out of memory, with a victim",
            container(json!({
                "State": {
                    "ExitCode": 137, "OOMKilled": true,
                    "OOM": {"Limit": 67_108_864, "Peak": 67_108_864, "Victim": "worker", "Pid": 4711, "Scope": "container"},
                },
                "HostConfig": {"Memory": 67_108_864},
            })),
            vec![event("oom", &[])],
            &["loading model ..."],
        ),
        (
            "out of memory, the machine's",
            container(json!({"State": {
                "ExitCode": 137, "OOMKilled": true,
                "OOM": {"Peak": 1_073_741_824, "Victim": "worker", "Pid": 4711, "Scope": "machine"},
            }})),
            vec![event("oom", &[])],
            &[],
        ),
        (
            "stopped with the daemon",
            exited(143),
            vec![event("kill", &[("signal", "15"), ("reason", "daemon")])],
            &[],
        ),
        (
            "started again because it is unhealthy",
            {
                let mut container = health(json!(["CMD", "check"]), "unhealthy", 7, "no answer\n");
                merge(
                    &mut container,
                    json!({"State": {
                    "Status": "restarting", "Restarting": true, "ExitCode": 143,
                }, "RestartCount": 2}),
                );
                container
            },
            vec![event("kill", &[("signal", "15"), ("reason", "unhealthy")])],
            &["serving"],
        ),
        (
            "runs again because it was unhealthy",
            health(json!(["CMD", "check"]), "starting", 7, "no answer\n"),
            vec![event("restart", &[("reason", "unhealthy")])],
            &[],
        ),
        (
            "out of memory, without a limit",
            container(json!({"State": {"ExitCode": 137, "OOMKilled": true}})),
            none(),
            &[],
        ),
        (
            "did not react to the stop",
            exited(137),
            vec![
                kill("15"),
                Message {
                    time_nano: 10_000_000_000,
                    ..kill("9")
                },
                event("die", &[]),
                event("stop", &[]),
            ],
            &["serving"],
        ),
        (
            "stopped",
            exited(143),
            vec![kill("15"), event("die", &[]), event("stop", &[])],
            &["serving"],
        ),
        (
            "killed by request",
            exited(137),
            vec![kill("9"), event("die", &[])],
            &[],
        ),
        (
            "killed by somebody else",
            exited(137),
            vec![event("die", &[])],
            &["serving"],
        ),
        (
            "came to its end",
            exited(0),
            vec![event("die", &[])],
            &["done"],
        ),
        (
            "failed, and was started again until nobody would",
            container(json!({
                "State": {"ExitCode": 3},
                "RestartCount": 5,
                "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}},
            })),
            none(),
            &["cannot open /etc/shop.conf"],
        ),
        ("crashed", exited(139), none(), &[]),
        (
            "crashed for want of shared memory",
            exited(135),
            none(),
            &[],
        ),
        (
            "no such command",
            created(
                127,
                "exec: \"sever\": executable file not found in $PATH: unknown",
            ),
            none(),
            &[],
        ),
        (
            "command without permission",
            created(126, "exec: \"/start\": permission denied: unknown"),
            none(),
            &[],
        ),
        (
            "of another machine",
            created(255, "exec /server: exec format error"),
            none(),
            &[],
        ),
        (
            "port taken",
            created(128, "Bind for 0.0.0.0:80 failed: port is already allocated"),
            none(),
            &[],
        ),
        (
            "source of a mount is gone",
            created(
                128,
                "invalid mount config for type \"bind\": bind source path does not exist: /data",
            ),
            none(),
            &[],
        ),
        (
            "the shell did not find it",
            exited(127),
            none(),
            &["sh: nod: not found"],
        ),
        ("never started", created(0, ""), none(), &[]),
        (
            "restarts",
            container(json!({
                "State": {"Status": "restarting", "Restarting": true, "Running": true, "ExitCode": 1},
                "RestartCount": 7,
                "HostConfig": {"RestartPolicy": {"Name": "always"}},
            })),
            none(),
            &["no database"],
        ),
        (
            "unhealthy",
            health(
                json!(["CMD-SHELL", "curl -f localhost"]),
                "unhealthy",
                7,
                "curl: (7) Failed to connect\n",
            ),
            none(),
            &[],
        ),
        (
            "unhealthy without the check's program",
            health(
                json!(["CMD", "curl", "localhost"]),
                "unhealthy",
                -1,
                "exec: \"curl\": executable file not found in $PATH",
            ),
            none(),
            &[],
        ),
        (
            "unhealthy because the check is slow",
            health(
                json!(["CMD", "check"]),
                "unhealthy",
                -1,
                "Health check exceeded timeout (1s)",
            ),
            none(),
            &[],
        ),
        (
            "a child was killed",
            running(json!({})),
            vec![event("oom", &[])],
            &["worker died"],
        ),
        ("fine", running(json!({})), none(), &[]),
        (
            "paused",
            running(json!({"State": {"Paused": true}})),
            none(),
            &[],
        ),
        ("nobody saw it", exited(255), none(), &[]),
    ]
}

#[test]
fn every_death_has_its_page() {
    let now: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut pages = String::new();
    for (name, container, events, log) in cases() {
        let known = Known {
            container,
            events,
            log: Ok(log.iter().map(|line| (*line).to_owned()).collect()),
        };
        let verdict = cause::of(&known, now);
        let page = report::page("onggi", &known, &verdict, now);
        pages.push_str(&format!("=== {name}\n{page}\n"));
    }
    assert!(pages == GOLDEN, "the pages are now:\n{pages}");
}

#[test]
fn lines_cannot_move_the_cursor() {
    assert_eq!(
        super::printable("a\u{1b}[31mred\u{1b}[0m\tb\rc\u{7}"),
        "ared\tbc"
    );
}
