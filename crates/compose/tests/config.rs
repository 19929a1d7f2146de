//! What `config` prints beside the document: lists, hashes, and the reasons of a variable's value.

#![expect(
    clippy::unwrap_used,
    reason = "tests say what they expect by panicking"
)]

use std::fs;
use std::path::PathBuf;

use onggi_compose::{Options, Project, Step, config, load};
use tempfile::TempDir;

const FILE: &str = r#"
name: shop
services:
  web:
    build: .
    image: ""
    depends_on: [api]
    ports: ["${PORT:-8080}:80"]
    environment: {MODE: "${MODE:-dev}", NAME: web}
  api:
    image: api:${TAG:?which one}
    env_file: api.env
    environment: {MODE: own}
    configs: [c]
    secrets: [s]
    volumes: ["data:/data"]
    networks: [back]
  tool:
    image: tool
    profiles: [debug, ops]
networks: {back: }
volumes: {data: }
configs: {c: {file: ./c.conf}}
secrets: {s: {environment: TOKEN}}
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yaml"), FILE).unwrap();
    fs::write(folder.path().join("api.env"), "MODE=file\nOTHER=1\n").unwrap();
    fs::write(folder.path().join("c.conf"), "one").unwrap();
    fs::write(folder.path().join(".env"), "MODE=dotenv\nTAG=3\n").unwrap();
    folder
}

fn options(folder: &TempDir) -> Options {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Options {
        directory: folder.path().to_owned(),
        environment: vec![variable("MODE", "shell"), variable("TOKEN", "t")],
        ..Options::default()
    }
}

fn project(folder: &TempDir) -> Project {
    load(&options(folder)).unwrap()
}

#[test]
fn parts_are_listed_by_name() {
    let folder = folder();
    let project = project(&folder);
    assert_eq!(config::services(&project), ["api", "web"]);
    assert_eq!(config::networks(&project), ["back", "default"]);
    assert_eq!(config::volumes(&project), ["data"]);
    assert_eq!(config::images(&project), ["api:3", "shop-web"]);
    assert_eq!(project.profiles, ["debug", "ops"]);
    assert!(project.disabled.has("tool"));
    let environment = config::environment(&project);
    assert_eq!(
        environment,
        [
            "COMPOSE_PROJECT_NAME=shop",
            "MODE=shell",
            "TAG=3",
            "TOKEN=t"
        ]
    );
}

#[test]
fn variables_of_files_are_listed_with_what_stands_for_them() {
    let folder = folder();
    let options = Options {
        interpolation: Step::Skipped,
        ..options(&folder)
    };
    let rows = config::variables(&load(&options).unwrap());
    let rows: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row.name, row.required, row.default))
        .collect();
    assert_eq!(rows, ["MODE false dev", "PORT false 8080", "TAG true "]);
}

#[test]
fn a_variable_says_where_its_value_comes_from() {
    let folder = folder();
    let said = config::why(&project(&folder), "MODE").to_string();
    let here = folder.path().display().to_string();
    assert_eq!(
        said.replace(&here, ""),
        "MODE=shell\n  * shell  from shell\n    dotenv  from /.env:1\n  used at /compose.yaml:9:25 (services.web.environment.MODE), default 'dev'\nservice web: MODE=shell\n  * shell  from /compose.yaml:9:25\nservice api: MODE=own\n  * own  from /compose.yaml:13:25\n    file  from /api.env:1:1\n"
    );
    let said = config::why(&project(&folder), "NOPE").to_string();
    assert_eq!(said, "NOPE is not set\n");
}

/// What a hash is of, and what it is not of.
#[test]
fn hashes_change_with_what_containers_are_made_of() {
    let folder = folder();
    let file = folder.path().join("compose.yaml");
    let hash = |service: &str| config::hash(&project(&folder), service).unwrap();
    let before = (hash("web"), hash("api"));
    assert_eq!(before, (hash("web"), hash("api")));
    for (old, new, changes) in [
        ("[api]", "[]", false),
        ("build: .", "build: {context: ., target: t}", false),
        ("volumes: {data: }", "volumes: {data: {name: real}}", true),
        ("MODE: own", "MODE: other", true),
        ("networks: [back]", "networks: {back: {aliases: [x]}}", true),
        ("image: api:", "scale: 3\n    image: api:", false),
        ("image: api:", "pull_policy: always\n    image: api:", false),
        (
            "image: api:",
            "deploy: {replicas: 2, update_config: {order: start-first}}\n    image: api:",
            false,
        ),
        ("image: api:", "image: api2:", true),
        ("image: api:", "restart: always\n    image: api:", true),
    ] {
        fs::write(&file, FILE.replace(old, new)).unwrap();
        let after = (hash("web"), hash("api"));
        assert_eq!(after != before, changes, "{old} -> {new}");
    }
    fs::write(&file, FILE).unwrap();
    assert_eq!((hash("web"), hash("api")), before);
    fs::write(folder.path().join("c.conf"), "two").unwrap();
    assert_ne!(hash("api"), before.1, "the content of a config");
    assert_eq!(hash("web"), before.0);
    assert_eq!(config::hash(&project(&folder), "nope"), None);
}

#[test]
fn yaml_is_printed_as_docker_compose_prints_it() {
    let folder = folder();
    let here = folder.path().to_string_lossy().into_owned();
    let yaml = config::yaml(&project(&folder), Step::Done).replace(&here, "/shop");
    assert_eq!(
        yaml,
        r#"name: shop
services:
  api:
    configs:
      - source: c
    environment:
      MODE: own
      OTHER: "1"
    image: api:3
    networks:
      back: null
    secrets:
      - source: s
        target: /run/secrets/s
    volumes:
      - type: volume
        source: data
        target: /data
        volume: {}
  web:
    build:
      context: /shop
      dockerfile: Dockerfile
    depends_on:
      api:
        condition: service_started
        required: true
    environment:
      MODE: shell
      NAME: web
    networks:
      default: null
    ports:
      - mode: ingress
        target: 80
        published: "8080"
        protocol: tcp
networks:
  back:
    name: shop_back
  default:
    name: shop_default
volumes:
  data:
    name: shop_data
secrets:
  s:
    name: shop_s
    environment: TOKEN
configs:
  c:
    name: shop_c
    file: /shop/c.conf
"#
    );
}

#[test]
fn warnings_say_what_could_be_better() {
    let folder = folder();
    let file =
        format!("version: '3'\n{FILE}").replace("image: tool", "image: tool$GONE\n    tty: yes");
    fs::write(folder.path().join("compose.yaml"), file).unwrap();
    let project = load(&Options {
        files: vec![PathBuf::from("compose.yaml")],
        ..options(&folder)
    });
    let warnings = project.unwrap().warnings.join("\n");
    assert!(warnings.contains("The \"GONE\" variable is not set. Defaulting to a blank string."));
    assert!(warnings.contains("the attribute `version` is obsolete"));
    assert!(
        warnings.contains("\"yes\" for boolean is not supported by YAML 1.2, please use `true`")
    );
}
