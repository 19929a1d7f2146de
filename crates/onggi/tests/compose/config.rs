//! `compose config` and the options before the command.

use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

use crate::{compose_in, refused, write};

const FILE: &str = "name: shop
services:
  web:
    image: web:${TAG:-1}
    depends_on: [api]
    environment: {MODE: '${MODE:-dev}'}
    volumes: ['./html:/html', 'data:/data']
  api:
    image: api
    env_file: api.env
    networks: [back]
  tool:
    image: tool
    profiles: [debug]
    depends_on: [api]
networks: {back: , spare: }
volumes: {data: , unused: }
";

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    write(&daemon, "shop/compose.yaml", FILE)?;
    write(&daemon, "shop/api.env", "FROM=file\n")?;
    write(&daemon, "shop/.env", "TAG=2\n")?;
    Ok(daemon)
}

#[test]
fn lists_of_its_parts() -> Result<()> {
    let daemon = daemon()?;
    let config = |arguments: &[&str]| -> Result<String> {
        let output = compose_in(&daemon, "shop", &[&["config"], arguments].concat())?;
        Ok(output.ok()?.to_owned())
    };
    for (arguments, wanted) in [
        (&["--services"][..], "api\nweb"),
        (&["--services", "api"], "api"),
        // What is named is there with what it needs, whatever its profile.
        (&["--services", "tool"], "api\ntool"),
        (&["--images"], "api\nweb:2"),
        (&["--networks"], "back\ndefault\nspare"),
        (&["--volumes"], "data\nunused"),
        (&["--profiles"], "debug"),
        (&["--quiet"], ""),
        (&["--models"], ""),
    ] {
        ensure!(
            config(arguments)? == wanted,
            "{arguments:?}: {}",
            config(arguments)?
        );
    }
    let hash = config(&["--hash", "*"])?;
    let lines: Vec<&str> = hash.lines().collect();
    ensure!(
        lines.len() == 2 && lines[0].starts_with("api ") && lines[0].len() == 68,
        "{hash}"
    );
    ensure!(config(&["--hash", "web"])? == lines[1], "{hash}");
    let environment = config(&["--environment"])?;
    ensure!(environment.contains("\nTAG=2"), "{environment}");
    let variables = config(&["--variables"])?;
    let said = |name: &str, rest: &str| {
        variables.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.join(" ") == format!("{name} {rest}")
        })
    };
    ensure!(
        said("TAG", "false 1") && said("MODE", "false dev"),
        "{variables}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&config(&["--variables", "--format", "json"])?)?;
    ensure!(json["TAG"]["DefaultValue"] == "1", "{json}");
    let why = config(&["--why", "TAG"])?;
    ensure!(
        why.starts_with("TAG=2\n") && why.contains(".env:1"),
        "{why}"
    );
    refused(
        &compose_in(&daemon, "shop", &["config", "nope"])?,
        "no such service: nope",
    )?;
    refused(
        &compose_in(&daemon, "shop", &["config", "--hash", "nope"])?,
        "no such service: nope",
    )?;
    refused(
        &compose_in(&daemon, "shop", &["config", "--format", "toml"])?,
        "unsupported format",
    )?;
    refused(
        &compose_in(&daemon, "empty", &["config"])?,
        "no configuration file provided",
    )?;
    daemon.clean()
}

#[test]
fn the_whole_of_it_with_steps_left_out() -> Result<()> {
    let daemon = daemon()?;
    let config = |arguments: &[&str]| -> Result<serde_json::Value> {
        let all = [&["config", "--format", "json"], arguments].concat();
        let output = compose_in(&daemon, "shop", &all)?;
        Ok(serde_json::from_str(output.ok()?)?)
    };
    let whole = config(&[])?;
    let folder = daemon.path("shop").display().to_string();
    ensure!(
        whole["services"]["api"]["environment"]["FROM"] == "file",
        "{whole}"
    );
    ensure!(
        whole["services"]["web"]["volumes"][0]["source"] == format!("{folder}/html"),
        "{whole}"
    );
    ensure!(whole["volumes"]["data"]["name"] == "shop_data", "{whole}");
    ensure!(whole["volumes"].get("unused").is_none(), "{whole}");
    let raw = config(&["--no-interpolate"])?;
    ensure!(raw["services"]["web"]["image"] == "web:${TAG:-1}", "{raw}");
    let plain = config(&["--no-normalize"])?;
    ensure!(plain["networks"].get("default").is_none(), "{plain}");
    let relative = config(&["--no-path-resolution"])?;
    ensure!(
        relative["services"]["web"]["volumes"][0]["source"] == "./html",
        "{relative}"
    );
    let unread = config(&["--no-env-resolution"])?;
    ensure!(
        unread["services"]["api"]["environment"]
            .get("FROM")
            .is_none(),
        "{unread}"
    );
    write(
        &daemon,
        "loose/compose.yaml",
        "services: {a: {image: x, networks: [nope]}}\n",
    )?;
    refused(
        &compose_in(&daemon, "loose", &["config"])?,
        "undefined network nope",
    )?;
    compose_in(&daemon, "loose", &["config", "--no-consistency"])?.ok()?;
    compose_in(&daemon, "shop", &["config", "--output", "out.yaml"])?.ok()?;
    let written = std::fs::read_to_string(daemon.path("shop/out.yaml"))?;
    ensure!(
        written == compose_in(&daemon, "shop", &["config"])?.stdout,
        "{written}"
    );
    refused(
        &compose_in(
            &daemon,
            "shop",
            &["config", "--no-interpolate", "--lock-image-digests"],
        )?,
        "leave --no-interpolate away",
    )?;
    daemon.clean()
}

#[test]
fn options_before_the_command_say_which_project() -> Result<()> {
    let daemon = daemon()?;
    let shown = |folder: &str, arguments: &[&str]| -> Result<String> {
        Ok(compose_in(&daemon, folder, arguments)?.ok()?.to_owned())
    };
    let file = write(
        &daemon,
        "other/extra.yaml",
        "services: {web: {image: extra}}\n",
    )?;
    let variables = write(&daemon, "other/vars", "TAG=9\n")?;
    let main = daemon.path("shop/compose.yaml").display().to_string();
    let images =
        |arguments: &[&str]| shown("elsewhere", &[arguments, &["config", "--images"]].concat());
    ensure!(images(&["-f", &main])? == "api\nweb:2");
    ensure!(images(&["--file", &main, "-f", &file])? == "api\nextra");
    ensure!(images(&["-f", &main, "--env-file", &variables])? == "api\nweb:9");
    ensure!(images(&["-f", &main, "--profile", "debug"])? == "api\ntool\nweb:2");
    let yaml = shown("shop", &["-p", "renamed", "config"])?;
    ensure!(
        yaml.starts_with("name: renamed\n") && yaml.contains("renamed_data"),
        "{yaml}"
    );
    let yaml = shown("shop", &["--project-name=named", "config"])?;
    ensure!(yaml.starts_with("name: named\n"), "{yaml}");
    let other = daemon.path("other").display().to_string();
    let directory = ["-f", &main, "--project-directory", &other];
    let rest = ["config", "web", "--no-env-resolution"];
    let yaml = shown("shop", &[&directory[..], &rest].concat())?;
    ensure!(yaml.contains(&format!("source: {other}/html")), "{yaml}");
    let yaml = shown("shop", &["--all-resources", "config"])?;
    ensure!(
        yaml.contains("shop_unused") && yaml.contains("shop_spare"),
        "{yaml}"
    );
    let piped = daemon.cli_with_input(
        &["compose", "-p", "piped", "-f", "-", "config", "--services"],
        b"services: {stdin: {image: x}}\n",
    )?;
    ensure!(piped.ok()? == "stdin");
    for (arguments, reason) in [
        (&["--ansi", "x", "config"][..], "one of never, always, auto"),
        (
            &["--progress", "x", "config"],
            "one of auto, tty, plain, json, quiet",
        ),
        (&["--parallel", "x", "config"], "invalid syntax"),
        (&["--compatibility", "config"], "leave --compatibility away"),
        (&["--nope", "config"], "unknown flag: --nope"),
        (&["nope"], "unknown command"),
        (&["-p", "UPPER", "config"], "UPPER"),
    ] {
        refused(&compose_in(&daemon, "shop", arguments)?, reason)?;
    }
    let empty = daemon.cli_with_input(&["compose", "-f", "-", "config"], b"")?;
    refused(&empty, "empty compose file")?;
    daemon.clean()
}
