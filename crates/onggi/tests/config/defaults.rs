//! What containers get that say nothing.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Subject};
use serde_json::{Value, json};

fn inspect(daemon: &Daemon, name: &str) -> Result<Value> {
    let path = format!("/containers/{name}/json");
    daemon.get(&path)?.ok()?.json()
}

#[test]
fn they_are_seen_from_inside_and_by_inspect() -> Result<()> {
    let Some(daemon) = super::daemon(&json!({
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 321, "Hard": 654}},
        "default-shm-size": "8M",
        "default-ipc-mode": "shareable",
        "init": true,
        "no-new-privileges": true,
        "cgroup-parent": "/onggi/mine",
        "log-driver": "local",
        "log-opts": {"max-size": "1m", "max-file": "2"},
        "dns": ["192.0.2.53"], "dns-opts": ["ndots:3"], "dns-search": ["example.test"],
        "labels": ["site=kiln"],
        "host-gateway-ips": ["192.0.2.99"],
    }))?
    else {
        return Ok(());
    };
    daemon.load_busybox()?;
    let script = "ulimit -n; ulimit -Hn; df -k /dev/shm | awk 'NR==2{print $2}'; cat /proc/1/comm; \
                  grep NoNewPrivs /proc/self/status | tr -d '\\t'; cat /etc/resolv.conf; grep gw /etc/hosts; true";
    let run = ["run", "--name", "plain", "--add-host", "gw:host-gateway"];
    let said = daemon.cli(&[&run[..], &["busybox", "sh", "-c", script]].concat())?;
    let said = said.ok()?;
    for line in [
        "321",
        "654",
        "8192",
        "onggi-init",
        "NoNewPrivs:1",
        "nameserver 192.0.2.53",
        "search example.test",
        "options ndots:3",
    ] {
        ensure!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    ensure!(said.contains("192.0.2.99"), "{said}");
    let host = inspect(&daemon, "plain")?["HostConfig"].take();
    ensure!(
        host["LogConfig"]
            == json!({"Type": "local", "Config": {"max-file": "2", "max-size": "1m"}}),
        "{host}"
    );
    ensure!(
        host["IpcMode"] == "shareable" && host["ShmSize"] == 8 << 20,
        "{host}"
    );
    ensure!(host["CgroupParent"] == "/onggi/mine", "{host}");
    // A container that says something gets what it says.
    let own = [
        "run",
        "--rm",
        "--ulimit",
        "nofile=99",
        "--shm-size",
        "1m",
        "--init=false",
        "--security-opt",
        "no-new-privileges=false",
    ];
    let said = daemon.cli(&[&own[..], &["busybox", "sh", "-c", script]].concat())?;
    let said = said.ok()?;
    for line in ["99", "1024", "sh", "NoNewPrivs:0"] {
        ensure!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    let info = super::info(&daemon)?;
    ensure!(
        info["LoggingDriver"] == "local" && info["Labels"] == json!(["site=kiln"]),
        "{info}"
    );
    let options = info["SecurityOptions"].to_string();
    ensure!(options.contains("name=no-new-privileges"), "{options}");
    daemon.clean()
}

#[test]
fn a_seccomp_profile_of_ones_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("profile.json");
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    });
    std::fs::write(&path, profile.to_string())?;
    let Some(daemon) = super::daemon(&json!({"seccomp-profile": path}))? else {
        return Ok(());
    };
    daemon.load_busybox()?;
    let mkdir = ["busybox", "mkdir", "/new"];
    let said = daemon.cli(&[&["run", "--rm"][..], &mkdir].concat())?;
    ensure!(
        said.code == 1 && said.stderr.contains("not permitted"),
        "{said:?}"
    );
    let free = ["run", "--rm", "--security-opt", "seccomp=unconfined"];
    daemon.cli(&[&free[..], &mkdir].concat())?.ok()?;
    let options = super::info(&daemon)?["SecurityOptions"].to_string();
    ensure!(options.contains("profile.json"), "{options}");
    daemon.clean()
}

#[test]
fn addresses_come_from_the_pools_and_the_range() -> Result<()> {
    if Subject::from_env()? != Subject::Onggi {
        return Ok(());
    }
    // By flag: a bridge that has had addresses keeps them.
    let pool = "base=10.211.0.0/16,size=24".to_owned();
    let daemon = Daemon::start_with(DaemonOptions {
        arguments: vec!["--default-address-pool".to_owned(), pool],
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    let address = |daemon: &Daemon| -> Result<String> {
        let said = daemon.cli(&["run", "--rm", "busybox", "hostname", "-i"])?;
        Ok(said.ok()?.to_owned())
    };
    ensure!(address(&daemon)? == "10.211.0.2");
    let pools = super::info(&daemon)?["DefaultAddressPools"].take();
    ensure!(
        pools == json!([{"Base": "10.211.0.0/16", "Size": 24}]),
        "{pools}"
    );
    daemon.clean()?;
    drop(daemon);
    let Some(daemon) = super::daemon(
        &json!({"bip": "10.212.0.1/24", "fixed-cidr": "10.212.0.64/26", "mtu": 1400}),
    )?
    else {
        return Ok(());
    };
    daemon.load_busybox()?;
    ensure!(address(&daemon)? == "10.212.0.64");
    let mtu = daemon.cli(&["run", "--rm", "busybox", "cat", "/sys/class/net/eth0/mtu"])?;
    ensure!(mtu.ok()? == "1400");
    daemon.clean()
}
