//! What services become: keys in, the body of a request out.

use serde_json::{Value, json};

use super::{Known, Making, container, copied, network, refuse, volume};
use crate::options::Options;
use crate::service::Application;
use crate::{Error, Project, load};

fn project(text: &str) -> Project {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), text).unwrap();
    let options = Options {
        directory: folder.path().to_owned(),
        project_name: Some("p".to_owned()),
        project_directory: Some("/work".into()),
        files: vec![folder.path().join("compose.yaml")],
        environment: vec![
            ("HOME".to_owned(), "/root".to_owned()),
            ("TOKEN".to_owned(), "t".to_owned()),
        ],
        ..Options::default()
    };
    load(&options).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A service of these keys, in a project with what they may name.
fn file(keys: &str) -> String {
    let image = if keys.starts_with("image:") {
        ""
    } else {
        "image: i\n    "
    };
    format!(
        "services:
  web:
    {image}{}
  db: {{image: d}}
networks: {{front: {{}}, back: {{name: real}}}}
volumes: {{data: {{}}, named: {{name: real}}}}
configs: {{held: {{file: ./held}}, said: {{content: hello}}, kept: {{external: true}}}}
secrets: {{key: {{file: /key}}, token: {{environment: TOKEN}}, unset: {{environment: UNSET}}}}
",
        keys.replace('\n', "\n    ")
    )
}

fn making() -> Making {
    let db = Known {
        id: "db-id".to_owned(),
        name: "p-db-1".to_owned(),
        number: 1,
    };
    Making {
        name: "p-web-1".to_owned(),
        number: 1,
        image_id: "sha256:1".to_owned(),
        known: [("db".to_owned(), vec![db])].into(),
        aliases: true,
        ..Making::default()
    }
}

fn made(keys: &str) -> Result<Value, Error> {
    let application = Application::of(&project(&file(keys)))?;
    let create = container(&application, &application.services["web"], &making())?;
    let mut body = serde_json::to_value(&create.request).unwrap();
    body["platform"] = json!(create.platform);
    Ok(body)
}

#[test]
fn services_become_requests() {
    let rows = include_str!("table.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    for row in rows {
        let parts: Vec<&str> = row.split(" => ").collect();
        let [keys, pointer, wanted] = parts[..] else {
            panic!("{row}");
        };
        let keys = keys.replace("\\n", "\n");
        let body = made(&keys).unwrap_or_else(|error| panic!("{keys}: {error}"));
        let wanted: Value =
            serde_json::from_str(wanted).unwrap_or_else(|error| panic!("{row}: {error}"));
        let found = body.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(found, wanted, "{keys}: {pointer}");
    }
}

/// What cannot be, and what is said of it.
const REFUSED: &[(&str, &str)] = &[
    (
        "restart: sometimes",
        "services.web.restart: invalid restart policy: unknown policy 'sometimes'",
    ),
    ("restart: 'on-failure:x'", "no whole number of times"),
    (
        "configs: [kept]",
        "services.web.configs: configs.kept is kept by a swarm (give it a file",
    ),
    (
        "secrets: [unset]",
        "environment variable \"UNSET\" is not set",
    ),
    (
        "read_only: true\nconfigs: [said]",
        "cannot be written to a container whose file system is read-only",
    ),
    (
        "configs: [{source: said, uid: me}]",
        "uid \"me\" is no number",
    ),
    (
        "security_opt: [strange]",
        "Invalid security-opt: \"strange\"",
    ),
    (
        "security_opt: ['seccomp:/nowhere.json']",
        "seccomp profile /nowhere.json",
    ),
    (
        "volumes: [{type: cluster, source: data, target: /x}]",
        "volumes of type cluster are a swarm's",
    ),
    (
        "deploy: {restart_policy: {condition: never}}",
        "unknown condition 'never'",
    ),
];

#[test]
fn what_cannot_be_is_refused() {
    for (keys, text) in REFUSED {
        let application = Application::of(&project(&file(keys))).unwrap();
        let service = &application.services["web"];
        let result = container(&application, service, &making())
            .map(drop)
            .and_then(|()| copied(&application, service).map(drop));
        let error = result.expect_err(keys).to_string();
        assert!(error.contains(text), "{keys}: {error}");
    }
}

#[test]
fn keys_that_no_engine_can_do_are_refused_with_the_way_out() {
    for (keys, text) in [
        (
            "provider: {type: model}",
            "provider: services of providers are managed by programs that are not here (",
        ),
        ("models: [m]", "models: there is no runner of models here ("),
        (
            "credential_spec: {file: ./c.json}",
            "credential_spec: credential specs are Windows' own (",
        ),
        (
            "cpu_count: 2",
            "cpu_count: a number of processors is Windows' own (",
        ),
        (
            "cpu_percent: 50",
            "cpu_percent: a percentage of the processors is Windows' own (",
        ),
        (
            "use_api_socket: true",
            "use_api_socket: logins are not handed to containers (",
        ),
        (
            "isolation: hyperv",
            "isolation: kinds of isolation are Windows' own (",
        ),
        (
            "deploy: {mode: replicated-job}",
            "deploy.mode: jobs are a swarm's (",
        ),
    ] {
        let text_of = format!("{}models: {{m: {{model: x}}}}\n", file(keys));
        let refusals = refuse(&project(&text_of), &[]);
        let said = refusals
            .problems
            .first()
            .unwrap_or_else(|| panic!("{keys}"))
            .to_string();
        assert!(said.contains(&format!("services.web.{text}")), "{said}");
    }
    let ignored = refuse(
        &project(&file(
            "deploy: {placement: {max_replicas_per_node: 1}, endpoint_mode: vip}",
        )),
        &[],
    );
    assert!(ignored.problems.is_empty());
    assert_eq!(ignored.warnings.len(), 2);
    assert!(ignored.warnings[0].contains("services.web.deploy.placement: only a swarm heeds it"));
    assert!(
        refuse(&project(&file("cpu_count: 2")), &["db".to_owned()])
            .problems
            .is_empty()
    );
}

#[test]
fn contents_are_copied_with_their_modes() {
    let keys = "configs: [said, {source: said, target: /etc/x, mode: 0400, gid: '5'}]\nsecrets: [token, key]";
    let application = Application::of(&project(&file(keys))).unwrap();
    let files = copied(&application, &application.services["web"]).unwrap();
    let told: Vec<_> = files
        .iter()
        .map(|file| {
            (
                file.target.as_str(),
                file.mode,
                file.gid,
                file.content.as_slice(),
            )
        })
        .collect();
    let wanted = [
        ("/said", 0o444, 0, &b"hello"[..]),
        ("/etc/x", 0o400, 5, b"hello"),
        ("/run/secrets/token", 0o444, 0, b"t"),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn networks_and_volumes_become_requests() {
    let text = "
services: {web: {image: i, networks: [n], volumes: ['v:/v']}}
networks:
  n:
    driver: macvlan
    internal: true
    attachable: true
    enable_ipv6: true
    driver_opts: {a: 1}
    labels: {l: m}
    ipam: {driver: default, config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1, ip_range: 10.0.0.128/25, aux_addresses: {h: 10.0.0.9}}]}
volumes:
  v: {driver: local, driver_opts: {type: tmpfs, device: tmpfs}, labels: [x=y]}
";
    let application = Application::of(&project(text)).unwrap();
    let made = network(&application, "n", &application.networks["n"]);
    let made = serde_json::to_value(made).unwrap();
    assert_eq!(made["Name"], "p_n");
    assert_eq!(made["Driver"], "macvlan");
    assert_eq!(made["EnableIPv6"], true);
    assert_eq!(made["Internal"], true);
    assert_eq!(made["Attachable"], true);
    assert_eq!(made["Options"], json!({"a": "1"}));
    assert_eq!(made["Labels"]["com.docker.compose.network"], "n");
    assert_eq!(made["Labels"]["l"], "m");
    let range = json!({
        "Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25", "Gateway": "10.0.0.1", "AuxiliaryAddresses": {"h": "10.0.0.9"},
    });
    assert_eq!(made["IPAM"]["Config"], json!([range]));
    let made = serde_json::to_value(volume(&application, "v", &application.volumes["v"])).unwrap();
    assert_eq!(made["Name"], "p_v");
    assert_eq!(
        made["DriverOpts"],
        json!({"type": "tmpfs", "device": "tmpfs"})
    );
    assert_eq!(made["Labels"]["com.docker.compose.volume"], "v");
    assert_eq!(made["Labels"]["x"], "y");
}

/// Every key of the schema is a field, so that none is passed over.
#[test]
fn every_key_of_a_service_is_known() {
    let schema = include_str!("../schema/compose-spec.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let keys = schema["definitions"]["service"]["properties"]
        .as_object()
        .unwrap();
    let fields = include_str!("../service/mod.rs");
    // These are carried out while the files are read.
    let read = ["develop", "env_file", "extends", "label_file"];
    for key in keys.keys().filter(|key| !read.contains(&key.as_str())) {
        assert!(fields.contains(&format!("    pub {key}: ")), "{key}");
    }
}
