//! What a daemon starts with, and what not: everything is said by name.

use anyhow::{Result, ensure};
use onggi_testkit::{Binaries, Daemon, Namespace, Output, Process, Request, Response, Subject};
use serde_json::{Value, json};
use std::process::Command;

/// What `--validate` says to a file and flags.
fn validate(file: &Value, flags: &[&str]) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("daemon.json");
    std::fs::write(&path, file.to_string())?;
    let mut command = Command::new(Binaries::find()?.path("onggid"));
    command.arg("--validate").arg("--config-file").arg(&path);
    Process::start(&Namespace::current()?, command.args(flags))?.wait()
}

#[test]
fn files_that_people_have_hold() -> Result<()> {
    for file in [
        json!({}),
        json!({
            "exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file",
            "log-opts": {"max-size": "100m"}, "storage-driver": "overlay2",
        }),
        json!({
            "data-root": "/mnt/docker", "live-restore": true, "userland-proxy": false,
            "default-address-pools": [{"base": "172.80.0.0/16", "size": 24}],
            "registry-mirrors": ["https://mirror.example"], "insecure-registries": ["10.0.0.0/8"],
            "features": {"buildkit": true}, "builder": {"gc": {"enabled": true}},
            "iptables": true, "ip6tables": true, "ipv6": false, "experimental": false,
            "default-runtime": "crun", "runtimes": {"crun": {"path": "/usr/bin/crun"}},
            "proxies": {"http-proxy": "http://proxy:3128", "no-proxy": "*.example"},
            "containerd": "/run/containerd/containerd.sock", "swarm-default-advertise-addr": "",
        }),
        json!({"hosts": ["unix:///run/x.sock", "fd://"], "debug": true, "log-level": "warn"}),
    ] {
        let said = validate(&file, &[])?;
        ensure!(
            said.code == 0 && said.stdout == "configuration OK\n",
            "{file}: {said:?}"
        );
    }
    let said = validate(&json!({"userland-proxy": true}), &[])?;
    ensure!(
        said.code == 0 && said.stderr.contains("userland-proxy has no effect"),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_had_is_refused_by_name_with_the_reason() -> Result<()> {
    for (file, flags, words) in [
        (
            json!({"userns-remap": "default"}),
            &[][..],
            &["userns-remap", "not there yet"][..],
        ),
        (json!({"selinux-enabled": true}), &[], &["selinux-enabled"]),
        (
            json!({"iptables": false, "icc": false}),
            &[],
            &["--iptables=false with --icc=false"],
        ),
        (
            json!({"ipv6": true, "bip6": "fd00:1::/64"}),
            &[],
            &["bip6", "must be the address of the bridge"],
        ),
        (
            json!({"ipv6": true, "fixed-cidr-v6": "fe80::/64"}),
            &[],
            &["fixed-cidr-v6", "link-local"],
        ),
        (
            json!({"ipv6": true, "bip6": "fd00:1::1/64", "fixed-cidr-v6": "fd00:2::/80"}),
            &[],
            &["fixed-cidr-v6", "not within the bridge's subnet"],
        ),
        (
            json!({"bip": "10.1.0.1/24", "default-gateway": "10.9.9.9"}),
            &[],
            &["default gateway ip must be part of the network"],
        ),
        (
            json!({"host-gateway-ips": ["10.0.0.1", "10.0.0.2"]}),
            &[],
            &["only one IPv4 address is allowed"],
        ),
        (
            json!({"authorization-plugins": ["opa"]}),
            &[],
            &["authorization-plugins"],
        ),
        (
            json!({"cluster-store": "etcd://x"}),
            &[],
            &["cluster-store", "swarm"],
        ),
        (
            json!({"no-such": 1}),
            &[],
            &["don't match any configuration option: no-such"],
        ),
        (
            json!({"debug": "yes"}),
            &[],
            &["debug: invalid type: yes, expected true or false"],
        ),
        (
            json!({"log-driver": "splunk"}),
            &[],
            &["no log driver named 'splunk'"],
        ),
        (
            json!({"log-opts": {"max-size": "huge"}}),
            &[],
            &["invalid max-size"],
        ),
        (
            json!({"default-runtime": "crun"}),
            &[],
            &["specified default runtime 'crun' does not exist"],
        ),
        (
            json!({"storage-driver": "btrfs"}),
            &[],
            &["storage-driver", "btrfs"],
        ),
        (
            json!({"exec-opts": ["native.cgroupdriver=none"]}),
            &[],
            &["native.cgroupdriver option none"],
        ),
        (
            json!({"seccomp-profile": "/no/such"}),
            &[],
            &["opening seccomp profile (/no/such) failed"],
        ),
        (
            json!({"labels": ["a=b"], "debug": true}),
            &["--label", "c=d", "-D=false"],
            &[
                "the following directives are specified both as a flag and in the configuration file",
                "debug: (from flag: false, from file: true)",
                "labels: (from flag: [c=d], from file: [a=b])",
            ],
        ),
        (
            json!({"hosts": ["fd://"]}),
            &["-H", "fd://"],
            &["hosts: (from flag: [fd://]"],
        ),
        (
            json!({}),
            &["--mtu", "big"],
            &["invalid argument \"big\" for \"--mtu\" flag"],
        ),
        (
            json!({}),
            &["--swarm-default-advertise-addr", "eth0"],
            &["swarm is not there yet"],
        ),
    ] {
        let said = validate(&file, flags)?;
        ensure!(said.code == 1, "{file} {flags:?}: {said:?}");
        for word in words {
            ensure!(
                said.stderr.contains(word),
                "{file} {flags:?}: {word:?} is not in {said:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn metrics_are_served() -> Result<()> {
    if Subject::from_env()? != Subject::Onggi {
        return Ok(());
    }
    let Some(daemon) = super::daemon(&json!({"metrics-addr": "127.0.0.1:9323"}))? else {
        return Ok(());
    };
    let get = |daemon: &Daemon, path: &str| {
        daemon.namespace().run(|| -> Result<Response> {
            let stream = std::net::TcpStream::connect("127.0.0.1:9323")?;
            Request::new("GET", path).send(stream)
        })?
    };
    let answer = get(&daemon, "/metrics")?.ok()?.text();
    ensure!(
        answer.contains("engine_daemon_container_states_containers{state=\"running\"} 0\n"),
        "{answer}"
    );
    ensure!(
        answer.contains("# TYPE process_resident_memory_bytes gauge\n"),
        "{answer}"
    );
    ensure!(get(&daemon, "/")?.status == 404);
    daemon.clean()
}
