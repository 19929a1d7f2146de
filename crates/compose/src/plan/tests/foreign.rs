//! Containers that another program made: compared with what they would be made of, whatever their hash says.

use onggi_api::container::{Inspect, MountPoint};
use serde_json::json;

use super::application;
use crate::plan::differences;
use crate::request::{Making, container};

const FILE: &str = "
services:
  web:
    image: i
    command: [serve]
    environment: {A: '1'}
    ports: ['8080:80']
    volumes: [data:/data, '/src:/src:ro', /anonymous]
    restart: always
    labels: {a: b}
volumes: {data: {}}
";

/// What docker-compose 1.29 makes of it, as dockerd shows it.
fn made_by_another() -> Inspect {
    let mut is: Inspect = serde_json::from_value(json!({
        "Id": "1", "Name": "/p_web_1", "Image": "sha256:1",
        "Config": {
            "Image": "i", "Cmd": ["serve"], "Entrypoint": ["/entry"], "Env": ["A=1", "PATH=/bin"], "User": "", "WorkingDir": "/w",
            "Hostname": "0123456789ab", "Labels": {"a": "b", "com.docker.compose.config-hash": "whatever", "of": "image"},
            "Volumes": {"/anonymous": {}, "/data": {}, "/src": {}}, "ExposedPorts": {"80/tcp": {}},
        },
        "HostConfig": {
            "NetworkMode": "p_default", "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}, "IpcMode": "private",
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, "ShmSize": 67108864, "VolumesFrom": [],
            "Binds": ["p_data:/data:rw", "/src:/src:ro"], "LogConfig": {"Type": "json-file", "Config": {}},
        },
        "NetworkSettings": {"Networks": {"p_default": {"Aliases": ["web", "0123456789ab"]}}},
    }))
    .unwrap();
    let mount = |kind: &str, name: &str, source: &str, target: &str, rw: bool| MountPoint {
        kind: kind.to_owned(),
        name: name.to_owned(),
        source: source.to_owned(),
        destination: target.to_owned(),
        rw,
        ..MountPoint::default()
    };
    is.mounts = vec![
        mount("volume", "p_data", "/var/lib/x", "/data", true),
        mount("bind", "", "/src", "/src", false),
        mount("volume", &"a".repeat(64), "/var/lib/y", "/anonymous", true),
        mount("volume", &"b".repeat(64), "/var/lib/z", "/of/image", true),
    ];
    is
}

fn image() -> onggi_api::image::Config {
    serde_json::from_value(json!({
        "Entrypoint": ["/entry"], "Cmd": ["other"], "Env": ["PATH=/bin"], "WorkingDir": "/w", "Labels": {"of": "image"},
        "Volumes": {"/of/image": {}},
    }))
    .unwrap()
}

fn found(text: &str) -> Vec<String> {
    let application = application(text);
    let making = Making {
        name: "p_web_1".to_owned(),
        number: 1,
        aliases: true,
        ..Making::default()
    };
    let wanted = container(&application, &application.services["web"], &making).unwrap();
    differences(&wanted.request, &made_by_another(), Some(&image()))
}

#[test]
fn what_is_the_same_stays() {
    assert_eq!(found(FILE), Vec::<String>::new());
}

#[test]
fn what_differs_is_named() {
    for (from, to, wanted) in [
        ("image: i", "image: other", "image"),
        ("[serve]", "[serve, fast]", "command"),
        ("command: [serve]", "tty: true\n    command: [serve]", "tty"),
        (
            "command: [serve]",
            "entrypoint: [x]\n    command: [serve]",
            "entrypoint",
        ),
        ("A: '1'", "A: '2'", "environment"),
        ("{A: '1'}", "{A: '1', B: '2'}", "environment"),
        ("8080:80", "8081:80", "ports"),
        ("8080:80", "127.0.0.1:8080:80", "ports"),
        ("data:/data,", "data:/other,", "volumes"),
        ("/src:/src:ro", "/src:/src", "volumes"),
        (", /anonymous", "", "volumes"),
        ("restart: always", "restart: 'no'", "restart"),
        ("a: b", "a: c", "labels"),
        ("labels:", "hostname: h\n    labels:", "hostname"),
        ("labels:", "mem_limit: 64m\n    labels:", "mem_limit"),
        ("labels:", "privileged: true\n    labels:", "privileged"),
        ("labels:", "user: nobody\n    labels:", "user"),
        ("labels:", "cap_add: [NET_ADMIN]\n    labels:", "cap_add"),
        (
            "labels:",
            "healthcheck: {test: 'true'}\n    labels:",
            "healthcheck",
        ),
        ("labels:", "network_mode: host\n    labels:", "network_mode"),
        (
            "labels:",
            "networks: {default: {aliases: [x]}}\n    labels:",
            "networks",
        ),
        (
            "labels:",
            "logging: {driver: local}\n    labels:",
            "logging",
        ),
    ] {
        assert!(FILE.contains(from), "{from}");
        assert_eq!(found(&FILE.replacen(from, to, 1)), [wanted], "{from}: {to}");
    }
}
