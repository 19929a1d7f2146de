//! Documents of `POST /containers/create`: the daemon takes them or says what is wrong with them. It never fails inside,
//! and never goes away.

use anyhow::Result;
use onggi_testkit::{Daemon, Fuzz, Request};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

const DOCUMENTS: &[&str] = &[
    r#"{"Image":"busybox","Cmd":["echo","hi"]}"#,
    r#"{"Image":"busybox","Env":["A=1","B","=C"],"ExposedPorts":{"80/tcp":{},"90-92/udp":{}},"Labels":{"a":"b"},
        "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":1000000000,"Retries":3},"StopSignal":"SIGUSR1"}"#,
    r#"{"Image":"busybox","HostConfig":{"Binds":["/tmp:/mnt:ro","vol:/data:nocopy","/x"],
        "PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080-8090"}]},"RestartPolicy":{"Name":"on-failure",
        "MaximumRetryCount":3},"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},"CapAdd":["NET_ADMIN"]}}"#,
    r#"{"Image":"busybox","HostConfig":{"Memory":67108864,"MemorySwap":-1,"NanoCpus":500000000,"CpuShares":2,
        "CpusetCpus":"0-1","PidsLimit":10,"BlkioWeight":100,"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],
        "Devices":[{"PathOnHost":"/dev/null","PathInContainer":"/dev/x","CgroupPermissions":"rwm"}],
        "DeviceCgroupRules":["c 1:3 rwm"],"OomScoreAdj":100,"ShmSize":1048576}}"#,
    r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1024,
        "Mode":511}},{"Type":"volume","Source":"v","Target":"/v","VolumeOptions":{"NoCopy":true,"Labels":{"a":"b"}}}],
        "Tmpfs":{"/u":"size=1m"},"SecurityOpt":["no-new-privileges","seccomp=unconfined"],"Sysctls":{"net.core.somaxconn":"5"},
        "NetworkMode":"none","IpcMode":"private","PidMode":"","UTSMode":"","CgroupnsMode":"private","ExtraHosts":["a:1.2.3.4"],
        "Dns":["1.1.1.1"],"GroupAdd":["5"],"ReadonlyRootfs":true,"Init":true}}"#,
    r#"{"Image":"busybox","User":"1:2","WorkingDir":"/x","Hostname":"h","Domainname":"d","Entrypoint":["sh"],"Tty":true,
        "OpenStdin":true,"Volumes":{"/anon":{}},"NetworkingConfig":{"EndpointsConfig":{"bridge":{"Aliases":["a"],
        "IPAMConfig":{"IPv4Address":"172.17.0.9"}}}},"MacAddress":"02:00:00:00:00:01"}"#,
];

#[test]
fn fuzz_documents_of_create() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let seeds: Vec<&[u8]> = DOCUMENTS.iter().map(|text| text.as_bytes()).collect();
    let fuzz = Fuzz {
        seeds: &seeds,
        words: &[
            "null",
            "{}",
            "[]",
            "[\"\"]",
            "true",
            "\"\"",
            ",",
            ":",
            "host",
            "container:x",
            "/",
            "..",
            "-",
            "default",
            "/proc",
            "/sys",
            "\\u0000",
            "\\ud800",
            "{\"a\":",
            "[[",
            "rshared",
            "unconfined",
            "65535",
            "ALL",
        ],
    };
    // Text that is no JSON says little about the document: most of the time a value is exchanged instead.
    let mend = |rng: &mut StdRng, input: Vec<u8>| {
        if serde_json::from_slice::<Value>(&input).is_ok() || rng.random_range(0..8) == 0 {
            return input;
        }
        let text = DOCUMENTS.choose(rng).copied().unwrap_or_default();
        let mut document = serde_json::from_str(text).expect("a document");
        for _ in 0..rng.random_range(1..4) {
            exchange(rng, &mut document);
        }
        document.to_string().into_bytes()
    };
    fuzz.run_bent(mend, |input| {
        let request = Request::new("POST", "/containers/create");
        let request = request.body("application/json", input.to_vec());
        let answer = daemon.send(&request).expect("the daemon answers");
        let text = answer.text();
        assert_ne!(answer.status, 500, "{text}");
        let document = answer.json().expect("an answer in JSON");
        if let Some(id) = document["Id"].as_str() {
            let gone = daemon.delete(&format!("/containers/{id}?v=1"));
            assert_eq!(gone.expect("the daemon answers").status, 204);
        } else {
            assert!(document["message"].is_string(), "{} {text}", answer.status);
        }
    });
    daemon.clean()
}

/// Puts another value, of any type, into the place of one somewhere in the document.
fn exchange(rng: &mut StdRng, value: &mut Value) {
    let deeper = rng.random_range(0..4) > 0;
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let at = rng.random_range(0..map.len());
            if let Some(inner) = map.values_mut().nth(at) {
                exchange(rng, inner);
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let at = rng.random_range(0..list.len());
            exchange(rng, &mut list[at]);
        }
        _ => {
            let others = [
                json!(null),
                json!(true),
                json!(0),
                json!(-1),
                json!(1.5),
                json!(i64::MAX),
                json!(i64::MIN),
                json!(u64::MAX),
                json!(""),
                json!("/"),
                json!("../.."),
                json!("a:b:c"),
                json!("\u{0}"),
                json!("\n"),
                json!("\u{202e}한글"),
                json!("x".repeat(5000)),
                json!([]),
                json!([null]),
                json!(["", ""]),
                json!({}),
                json!({"": ""}),
                json!({"a": null}),
                json!("container:nobody"),
                json!("host"),
            ];
            if let Some(other) = others.choose(rng) {
                *value = other.clone();
            }
        }
    }
}
