//! `compose config`: the project as it is understood, whole or in lists.

use onggi_compose::{Options, Project, Step, config};

use super::project::{load_with, options};
use super::{digests, variables};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};

const FLAGS: &[Flag] = &[
    switch(
        None,
        "environment",
        "Print the variables that the files were read with",
    ),
    value(
        None,
        "format",
        "string",
        "How to print (\"yaml\", \"json\"; of variables \"table\", \"json\")",
    )
    .completed(Complete::Words(&["yaml", "json", "table"])),
    value(
        None,
        "hash",
        "string",
        "Print the hashes of services, of all with \"*\"",
    )
    .completed(Complete::Services),
    switch(None, "images", "Print the names of the images"),
    switch(
        None,
        "lock-image-digests",
        "Print a file that fixes the images by their digests",
    ),
    switch(None, "models", "Print the names of the models"),
    switch(None, "networks", "Print the names of the networks"),
    switch(
        None,
        "no-consistency",
        "Do not check that what services name is there",
    ),
    switch(
        None,
        "no-env-resolution",
        "Do not read the services' files of variables",
    ),
    switch(None, "no-interpolate", "Do not replace variables"),
    switch(None, "no-normalize", "Do not fill in what is implied"),
    switch(None, "no-path-resolution", "Do not make paths absolute"),
    value(Some('o'), "output", "string", "Write to a file").completed(Complete::Files),
    switch(None, "profiles", "Print the names of the profiles"),
    switch(Some('q'), "quiet", "Check the files, and print nothing"),
    switch(
        None,
        "resolve-image-digests",
        "Name images by their digests, which the registries are asked for",
    ),
    switch(None, "services", "Print the names of the services"),
    switch(
        None,
        "variables",
        "Print the variables in the files, with their defaults",
    ),
    switch(None, "volumes", "Print the names of the volumes"),
    value(
        None,
        "why",
        "variable",
        "Print every value a variable could have, and which one it has",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Show the project as it is understood",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose config", "compose convert"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let mut options = options(cli)?;
    let skipped = |flag: &str| match matches.on(flag) {
        true => Step::Skipped,
        false => Step::Done,
    };
    options.consistency = skipped("no-consistency");
    options.env_resolution = skipped("no-env-resolution");
    options.interpolation = skipped("no-interpolate");
    options.normalization = skipped("no-normalize");
    options.path_resolution = skipped("no-path-resolution");
    if matches.on("variables") {
        options.interpolation = Step::Skipped;
    }
    if matches.on("networks") || matches.on("volumes") || matches.on("models") {
        options.pruning = Step::Skipped;
    }
    if matches.on("profiles") {
        options.profiles = vec!["*".to_owned()];
    }
    let locking = matches.on("lock-image-digests");
    if (locking || matches.on("resolve-image-digests")) && options.interpolation == Step::Skipped {
        return Err(Error::new(
            "images cannot be asked for while their names have variables: leave --no-interpolate away",
        ));
    }
    let mut project = load_with(cli, &mut options, &matches.args)?;
    if locking || matches.on("resolve-image-digests") {
        digests::resolve(cli, &mut project)?;
    }
    if locking {
        project = project.of_images_only();
    }
    let text = text(&project, matches, &options)?;
    if matches.on("quiet") {
        return Ok(0);
    }
    match matches.text("output") {
        "" => cli.print(&text)?,
        path => std::fs::write(path, text).map_err(|error| path_error("open", path, &error))?,
    }
    Ok(0)
}

/// What is printed.
fn text(project: &Project, matches: &Matches, options: &Options) -> Result<String> {
    let lines = |names: Vec<String>| names.iter().map(|name| format!("{name}\n")).collect();
    let listed = [
        ("services", config::services as fn(&Project) -> Vec<String>),
        ("volumes", config::volumes),
        ("networks", config::networks),
        ("models", config::models),
        ("images", config::images),
        ("environment", config::environment),
        ("profiles", |project| project.profiles.clone()),
    ];
    if let Some(wanted) = matches.one("hash") {
        return hashes(project, wanted);
    }
    if let Some(name) = matches.one("why") {
        return Ok(config::why(project, name).to_string());
    }
    if let Some((_, list)) = listed.iter().find(|(flag, _)| matches.on(flag)) {
        return Ok(lines(list(project)));
    }
    let format = matches.text("format");
    if matches.on("variables") {
        return variables::show(project, format);
    }
    match format {
        "" | "yaml" => Ok(config::yaml(project, options.interpolation)),
        "json" => Ok(config::json(project, options.interpolation)),
        other => Err(Error::new(format!(
            "unsupported format {} (yaml, json)",
            crate::quote(other)
        ))),
    }
}

/// `SERVICE HASH`, one a line.
fn hashes(project: &Project, wanted: &str) -> Result<String> {
    let mut names: Vec<String> = match wanted {
        "*" => project
            .services()
            .map(|(name, _)| name.to_owned())
            .collect(),
        list => list.split(',').map(str::to_owned).collect(),
    };
    names.sort();
    let mut out = String::new();
    for name in names {
        let hash = config::hash(project, &name)
            .ok_or_else(|| Error::new(format!("no such service: {name}")))?;
        out.push_str(&format!("{name} {hash}\n"));
    }
    Ok(out)
}
