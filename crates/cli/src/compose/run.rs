//! `compose run`: a container of a service for one command.

use std::collections::BTreeMap;

use onggi_client::container::Attach;
use onggi_compose::command::{Run, Up};
use onggi_compose::service::Volume;
use onggi_compose::{Application, Options as Loading, Service, Step};
use serde_json::json;

use super::drive::{Manner, drive};
use super::{application, create, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, Positionals, check, list, switch, value};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::container::exec::{USER, WORKDIR};
use crate::container::run::{Options, START, failed, follow};
use crate::container::words::CAPABILITIES;
use crate::error::{Error, Result, path_error};

const FLAGS: &[Flag] = &[
    switch(None, "build", "Build the image though it is there"),
    list(None, "cap-add", "list", "Add a capability").completed(Complete::Words(CAPABILITIES)),
    list(None, "cap-drop", "list", "Drop a capability").completed(Complete::Words(CAPABILITIES)),
    switch(
        Some('d'),
        "detach",
        "Leave the container in the background, and print its ID",
    ),
    value(
        None,
        "entrypoint",
        "string",
        "Entrypoint instead of the service's",
    ),
    list(
        Some('e'),
        "env",
        "stringArray",
        "Set a variable of the environment",
    )
    .checked(check::env),
    list(
        None,
        "env-from-file",
        "stringArray",
        "Read variables of the environment from a file",
    )
    .completed(Complete::Files),
    switch(Some('i'), "interactive", "Pass standard input on").default("true"),
    list(Some('l'), "label", "stringArray", "Set a label").checked(check::label),
    value(None, "name", "string", "Name of the container"),
    switch(None, "no-deps", "Do not start what the service needs"),
    switch(
        Some('T'),
        "no-tty",
        "Give the command no terminal; the default where standard output is none",
    ),
    list(
        Some('p'),
        "publish",
        "stringArray",
        "Publish a port of the container",
    ),
    value(
        None,
        "pull",
        "string",
        "When images are pulled (\"always\", \"missing\", \"never\")",
    )
    .default("\"policy\"")
    .completed(Complete::Words(&["always", "missing", "never"])),
    switch(Some('q'), "quiet", "Say nothing about what is made"),
    switch(None, "quiet-build", "Do not show the progress of builds"),
    switch(None, "quiet-pull", "Do not show the progress of pulls"),
    switch(
        None,
        "remove-orphans",
        "Remove containers of services that the files do not know",
    ),
    switch(None, "rm", "Remove the container when it ends"),
    switch(
        Some('P'),
        "service-ports",
        "Publish the ports of the service",
    ),
    switch(
        None,
        "use-aliases",
        "Answer to the service's names in its networks",
    ),
    USER,
    list(
        Some('v'),
        "volume",
        "stringArray",
        "Mount a volume or a folder",
    ),
    WORKDIR,
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE [COMMAND] [ARGS...]",
    about: "Run a command in a new container of a service",
    flags: &[FLAGS],
    positionals: Positionals::Last,
    arity: Arity::AtLeast(1),
    complete: &[Complete::Services, Complete::Nothing],
    ..command(&["compose run"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    project::not_dry(cli, "run")?;
    if matches.on("service-ports") && matches.given("publish") {
        return Err(Error::new(
            "--service-ports and --publish are incompatible: the ports are the service's, or those that are given",
        ));
    }
    let name = &matches.args[0];
    let mut application = application::load(cli, std::slice::from_ref(name))?;
    let detach = matches.on("detach");
    let no_tty = !is_terminal(std::io::stdout()) || !is_terminal(std::io::stdin());
    let tty = !matches.on_or("no-tty", no_tty);
    let interactive = matches.on_or("interactive", true);
    let extra = extra(cli, matches, &application)?;
    for volume in &extra.volumes {
        let named = volume.kind == "volume" && !volume.source.is_empty();
        if named && !application.volumes.contains_key(&volume.source) {
            // One that the files do not know has the name that was given.
            let volumes = &mut application.volumes;
            volumes.insert(
                volume.source.clone(),
                Volume {
                    name: volume.source.clone(),
                    ..Volume::default()
                },
            );
        }
    }
    let pairs = |flag: &str| -> BTreeMap<String, String> {
        let split = |text: &str| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        };
        matches.all(flag).map(split).collect()
    };
    let one = |flag: &str| matches.one(flag).map(str::to_owned);
    let options = Run {
        service: name.clone(),
        command: matches.args[1..].to_vec(),
        entrypoint: matches
            .given("entrypoint")
            .then(|| extra.entrypoint.unwrap_or_default()),
        environment: environment(cli, matches)?,
        labels: pairs("label"),
        user: one("user"),
        working_dir: one("workdir"),
        volumes: extra.volumes,
        ports: extra.ports,
        service_ports: matches.on("service-ports"),
        use_aliases: matches.on("use-aliases"),
        name: one("name"),
        remove: matches.on("rm"),
        tty,
        interactive: interactive && !detach,
        cap_add: matches.list("cap-add"),
        cap_drop: matches.list("cap-drop"),
        up: Up {
            no_deps: matches.on("no-deps"),
            pull: create::pull_policy(matches.text("pull"))?,
            build: matches.on("build"),
            remove_orphans: matches.on("remove-orphans"),
            ..Up::default()
        },
    };
    let manner = Manner {
        title: "Creating",
        quiet_pull: matches.on("quiet-pull"),
        quiet_build: matches.on("quiet-build"),
        quiet: matches.on("quiet"),
    };
    let id = drive(cli, manner, async |compose| {
        compose.run(&application, &options).await
    })?;
    let client = cli.client()?;
    if detach {
        cli.block_on(client.container_start(&id))??;
        cli.line(&id)?;
        return Ok(0);
    }
    let options = Options {
        tty,
        remove: matches.on("rm"),
        detach: false,
        sig_proxy: true,
        attach: Attach {
            stdin: interactive,
            stdout: true,
            stderr: true,
            detach_keys: cli.detach_keys(""),
        },
    };
    let program = cli.program.clone();
    cli.flush()?;
    cli.block_on(follow(&client, &id, &options))?
        .map_err(|error| match error.code {
            START => Error {
                code: failed(&program, error.clone()).code,
                ..error
            },
            _ => error,
        })
}

/// Variables of files and flags; flags win. One without a value is that of this command's own environment, and is taken
/// away where that has none.
fn environment(cli: &Cli, matches: &Matches) -> Result<BTreeMap<String, Option<String>>> {
    let mut all = BTreeMap::new();
    for path in matches.all("env-from-file") {
        let text =
            std::fs::read_to_string(path).map_err(|error| path_error("open", path, &error))?;
        let outer = |name: &str| cli.environment.get(name).cloned();
        let found = onggi_compose::dotenv::parse(&text, &outer)
            .map_err(|error| Error::new(format!("{path}: {error}")))?;
        all.extend(found.into_iter().map(|one| (one.name, Some(one.value))));
    }
    for text in matches.all("env") {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, cli.environment.get(text).cloned()),
        };
        all.insert(name.to_owned(), value);
    }
    Ok(all)
}

/// What flags say in the short forms of the project's files, read as those are.
fn extra(cli: &Cli, matches: &Matches, application: &Application) -> Result<Service> {
    // A dollar is one here, and no variable.
    let plain = |text: &str| text.replace('$', "$$");
    let mut service = json!({
        "image": "none",
        "ports": matches.all("publish").map(plain).collect::<Vec<_>>(),
        "volumes": matches.all("volume").map(plain).collect::<Vec<_>>(),
    });
    if let Some(entrypoint) = matches.one("entrypoint").filter(|text| !text.is_empty()) {
        service["entrypoint"] = plain(entrypoint).into();
    }
    let loading = Loading {
        directory: std::env::current_dir()?,
        environment: cli.environment.clone().into_iter().collect(),
        files: vec!["-".into()],
        stdin: Some(json!({"services": {"run": service}}).to_string()),
        project_name: Some(application.name.clone()),
        project_directory: Some(std::env::current_dir()?),
        consistency: Step::Skipped,
        ..Loading::default()
    };
    let wrong = |error: onggi_compose::Error| {
        let texts = error
            .problems
            .iter()
            .map(|problem| problem.message.as_str());
        Error::new(texts.collect::<Vec<_>>().join("\n"))
    };
    let project = onggi_compose::load(&loading).map_err(wrong)?;
    let mut read = Application::of(&project).map_err(wrong)?;
    Ok(read.services.remove("run").unwrap_or_default())
}
