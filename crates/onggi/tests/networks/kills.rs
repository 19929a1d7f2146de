//! `kill -9` of the daemon while containers come into networks and leave them, ports are published and networks made: names
//! and published ports answer all through, and nothing is left.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Api, Daemon, LIMIT, Namespace, wait_until};
use serde_json::{Value, json};

use crate::many::{difference, kernel, page, resolve};
use crate::{daemon, finish, is_dockerd, ok, shows};

/// Where the page is published.
const PORT: u16 = 18080;

fn rounds() -> u64 {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => 100,
        None => 4,
    }
}

/// What goes on beside the kills.
#[derive(Default)]
struct Beside {
    over: AtomicBool,
    /// Requests to the daemon, however they went.
    asked: AtomicU64,
    names: AtomicU64,
    pages: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Beside {
    fn repeat(&self, counter: &AtomicU64, mut work: impl FnMut(u64) -> Result<()>) {
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            match work(number) {
                Ok(()) => {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    let mut failures = self
                        .failures
                        .lock()
                        .unwrap_or_else(|lock| lock.into_inner());
                    failures.push(format!("{error:#}"));
                    return;
                }
            }
        }
    }

    fn failed(&self) -> Vec<String> {
        self.failures
            .lock()
            .map(|list| list.clone())
            .unwrap_or_default()
    }

    /// Waits for so many more.
    fn more(&self, what: &str, counter: &AtomicU64, count: u64) -> Result<()> {
        let wanted = counter.load(Ordering::Relaxed) + count;
        wait_until(what, LIMIT, || {
            let done = counter.load(Ordering::Relaxed) >= wanted || !self.failed().is_empty();
            done.then_some(())
        })?;
        ensure!(self.failed().is_empty(), "{:#?}", self.failed());
        Ok(())
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One turn of what changes networks. A daemon that is just killed does not answer.
fn change(api: &Api, over: &AtomicBool, worker: usize, number: u64) {
    // While it is away there is nothing to do.
    let is_there = || over.load(Ordering::Relaxed) || api.get("/_ping").is_ok();
    let _ = wait_until("the daemon", LIMIT, || is_there().then_some(()));
    let post = |path: &str, body: &Value| drop(api.post(path, body));
    match worker {
        0 => {
            post("/networks/back/connect", &json!({"Container": "guest"}));
            post("/networks/back/disconnect", &json!({"Container": "guest"}));
        }
        1 => {
            let name = format!("p{number}");
            let port = (18100 + number % 20).to_string();
            let body = json!({
                "Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
                "HostConfig": {
                    "NetworkMode": "front",
                    "PortBindings": {"80/tcp": [{"HostPort": port}], "53/udp": [{"HostPort": port}]},
                },
            });
            post(&format!("/containers/create?name={name}"), &body);
            post(&format!("/containers/{name}/start"), &Value::Null);
            drop(api.delete(&format!("/containers/{name}?force=1")));
        }
        _ => {
            let name = format!("n{number}");
            post(
                "/networks/create",
                &json!({"Name": name, "EnableIPv6": number.is_multiple_of(2)}),
            );
            drop(api.delete(&format!("/networks/{name}")));
        }
    }
}

/// A name that a change gives.
fn is_ours(name: &str, first: char) -> bool {
    name.strip_prefix(first)
        .is_some_and(|rest| rest.parse::<u64>().is_ok())
}

/// Removes what the changes left on record.
fn tidy(daemon: &Daemon) -> Result<()> {
    let containers = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    for container in containers.as_array().context("a list")? {
        let name = container["Names"][0]
            .as_str()
            .context("Names")?
            .trim_start_matches('/');
        if is_ours(name, 'p') {
            daemon
                .delete(&format!("/containers/{name}?force=1"))?
                .ok()?;
        }
    }
    let body = json!({"Container": "guest"});
    let left = daemon.post("/networks/back/disconnect", &body)?;
    ensure!(
        [200, 403].contains(&left.status),
        "{} {}",
        left.status,
        left.text()
    );
    let networks = daemon.get("/networks")?.ok()?.json()?;
    for network in networks.as_array().context("a list")? {
        let name = network["Name"].as_str().context("Name")?;
        if is_ours(name, 'n') {
            daemon.delete(&format!("/networks/{name}"))?.ok()?;
        }
    }
    Ok(())
}

#[test]
fn killed_at_any_point() -> Result<()> {
    let mut daemon = daemon()?;
    if is_dockerd(&daemon, "its containers do not outlive it") {
        return Ok(());
    }
    ok(&daemon, "network create --subnet 10.61.0.0/24 front")?;
    ok(&daemon, "network create --subnet 10.62.0.0/24 back")?;
    // What the first network of IPv6 brings stays as long as there is one.
    ok(&daemon, "network create --ipv6 --subnet fd00:63::/64 six")?;
    let script = "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp";
    daemon.run_container(&json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script], "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"NetworkMode": "front", "PortBindings": {"80/tcp": [{"HostPort": PORT.to_string()}]}},
        "NetworkingConfig": {"EndpointsConfig": {"front": {"Aliases": ["web"]}}},
    }))?;
    for name in ["asker", "guest"] {
        ok(
            &daemon,
            &format!("run -d --name {name} --network front busybox sleep 1000"),
        )?;
    }
    let pid = shows(&daemon, "container", "asker", "{{.State.Pid}}")?;
    let inside = Namespace::from(OwnedFd::from(std::fs::File::open(format!(
        "/proc/{pid}/ns/net"
    ))?));
    let outside = daemon.namespace().try_clone()?;
    let web = inside.run(|| resolve("web"))??.split_off(17);
    wait_until("the page", LIMIT, || {
        outside
            .run(|| page((Ipv4Addr::LOCALHOST, PORT).into()))
            .ok()?
            .ok()
    })?;
    let before = kernel(&daemon)?;
    let beside = &Beside::default();
    let api = &daemon.api();
    std::thread::scope(|scope| -> Result<()> {
        let _over = Over(&beside.over);
        scope.spawn(|| {
            let ask = || {
                beside.repeat(&beside.names, |number| {
                    let said = resolve("web").with_context(|| format!("question {number}"))?;
                    ensure!(
                        said[3] & 15 == 0 && said[17..] == web,
                        "{}",
                        said.escape_ascii()
                    );
                    Ok(())
                });
            };
            inside.run(ask).expect("the container's namespace");
        });
        scope.spawn(|| {
            let ask = || {
                beside.repeat(&beside.pages, |number| {
                    let said = page((Ipv4Addr::LOCALHOST, PORT).into());
                    let said = said.with_context(|| format!("page {number}"))?;
                    ensure!(said == "hello", "{said}");
                    Ok(())
                });
            };
            outside.run(ask).expect("the daemon's namespace");
        });
        for worker in 0..3 {
            scope.spawn(move || {
                beside.repeat(&beside.asked, |number| {
                    change(api, &beside.over, worker, number);
                    Ok(())
                });
            });
        }
        for round in 0..rounds() {
            let failed = || format!("round {round}");
            // Another point each time: three that change things are somewhere.
            beside
                .more("changes", &beside.asked, round % 5)
                .with_context(failed)?;
            daemon.kill()?;
            beside
                .more("names", &beside.names, 3)
                .with_context(failed)?;
            beside
                .more("pages", &beside.pages, 3)
                .with_context(failed)?;
            daemon.run()?;
        }
        Ok(())
    })?;
    ensure!(beside.failed().is_empty(), "{:#?}", beside.failed());
    eprintln!(
        "{} kills, {} changes, {} names, {} pages",
        rounds(),
        beside.asked.load(Ordering::Relaxed),
        beside.names.load(Ordering::Relaxed),
        beside.pages.load(Ordering::Relaxed)
    );
    tidy(&daemon)?;
    let left = || difference(&kernel(&daemon).unwrap_or_default(), &before);
    let same = wait_until("nothing to be left", LIMIT, || {
        left().is_none().then_some(())
    });
    same.with_context(|| left().unwrap_or_default())?;
    // Every port can be had again.
    let all: Vec<String> = (18100..18120)
        .map(|port| format!("-p {port}:80 -p {port}:53/udp"))
        .collect();
    ok(&daemon, &format!("run --rm {} busybox true", all.join(" ")))?;
    // Who has its namespace open keeps its links.
    drop(inside);
    let names = ok(&daemon, "ps -aq")?;
    ok(&daemon, &format!("rm -f {}", names.replace('\n', " ")))?;
    finish(&daemon)
}
