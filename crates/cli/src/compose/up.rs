//! `compose up`: the project as its files say, with what its containers write unless they are left alone.

use std::collections::BTreeSet;

use onggi_compose::command::{Recreate, Up};
use onggi_compose::plan::{self, Act, Plan};
use onggi_compose::{Application, State};

use super::application::{self, failed, told};
use super::attached::{Abort, Attached, attached};
use super::create::{MAKING, making};
use super::drive::{Manner, drive, last_words};
use super::logs::Screen;
use super::start::{WAIT, limit};
use super::stop::TIMEOUT;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        None,
        "abort-on-container-exit",
        "Stop everything when a container ends",
    ),
    switch(
        None,
        "abort-on-container-failure",
        "Stop everything when a container fails",
    ),
    switch(
        None,
        "always-recreate-deps",
        "Make containers of what the services need anew as well",
    ),
    list(
        None,
        "attach",
        "stringArray",
        "Show only what these services write",
    )
    .completed(Complete::Services),
    switch(
        None,
        "attach-dependencies",
        "Show what those write as well that the services need",
    ),
    switch(
        Some('d'),
        "detach",
        "Leave the containers in the background",
    ),
    value(
        None,
        "exit-code-from",
        "string",
        "End with the exit code of this service's container, and stop everything when one ends",
    )
    .completed(Complete::Services),
    switch(
        None,
        "menu",
        "Shortcuts while attached (refused: there are none, Ctrl-C stops)",
    ),
    list(
        None,
        "no-attach",
        "stringArray",
        "Do not show what these services write",
    )
    .completed(Complete::Services),
    switch(None, "no-color", "Print no colours"),
    switch(None, "no-deps", "Do not start what the services need"),
    switch(
        None,
        "no-log-prefix",
        "Do not print the name of the container before each line",
    ),
    switch(None, "no-start", "Start nothing that was made"),
    switch(
        None,
        "plan",
        "Print what would be done and why, and do nothing",
    ),
    switch(None, "quiet-build", "Do not show the progress of builds"),
    switch(
        Some('V'),
        "renew-anon-volumes",
        "Begin with empty anonymous volumes",
    ),
    TIMEOUT,
    switch(None, "timestamps", "Show the time of each line"),
    switch(
        Some('w'),
        "watch",
        "Follow changes of files as well (refused: use the command watch)",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Make and start the containers of services",
    flags: &[FLAGS, MAKING, WAIT],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose up"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    refuse(matches)?;
    let options = Up {
        recreate_dependencies: match matches.on("always-recreate-deps") {
            true => Recreate::Force,
            false => Recreate::Diverged,
        },
        no_deps: matches.on("no-deps"),
        no_start: matches.on("no-start"),
        renew_anon_volumes: matches.on("renew-anon-volumes"),
        timeout: matches.int("timeout"),
        wait: matches.on("wait"),
        wait_timeout: limit(matches)?,
        ..making(matches)?
    };
    let application = application::load(cli, &matches.args)?;
    let manner = Manner {
        title: "Running",
        quiet_pull: matches.on("quiet-pull"),
        quiet_build: matches.on("quiet-build"),
        quiet: false,
    };
    let dry = cli.group.on("dry-run") || matches.on("plan");
    if dry {
        let plan = drive(cli, manner, async |compose| {
            compose.plan_up(&application, &options).await
        })?;
        for warning in &plan.1.warnings {
            cli.complain(&format!("WARNING: {warning}"))?;
        }
        cli.print(&plan.1.to_string())?;
        return Ok(0);
    }
    if matches.on("detach") || options.wait || options.no_start {
        detached(cli, &application, &options, manner)?;
        return Ok(0);
    }
    let shown = shown(&application, matches)?;
    let wanted: BTreeSet<String> = match matches.args.is_empty() {
        true => application.services.keys().cloned().collect(),
        false => plan::closure(&application, &matches.args),
    };
    let colours = super::show::colours(cli) && !matches.on("no-color");
    let code_from = matches
        .one("exit-code-from")
        .filter(|name| !name.is_empty());
    if let Some(name) = code_from
        && !wanted.contains(name)
    {
        return Err(Error::new(format!("no such service: {name}")));
    }
    let job = Attached {
        application: &application,
        options: &options,
        manner,
        mute: wanted.difference(&shown).cloned().collect(),
        wanted: wanted.into_iter().collect(),
        timestamps: matches.on("timestamps"),
        abort: match () {
            () if matches.on("abort-on-container-failure") => Abort::OnFailure,
            () if matches.on("abort-on-container-exit") || code_from.is_some() => Abort::OnExit,
            () => Abort::Never,
        },
        code_from: code_from.map(str::to_owned),
        screen: Screen::new(!matches.on("no-log-prefix"), colours),
    };
    attached(cli, job)
}

/// What cannot be asked for together, or at all.
fn refuse(matches: &Matches) -> Result<()> {
    if matches.on("menu") {
        return Err(Error::new(
            "--menu: there are no shortcuts here; Ctrl-C stops the containers, a second one kills them: leave --menu away",
        ));
    }
    if matches.on("watch") {
        return Err(Error::new(
            "--watch: following lines and files at once is not supported; run \"compose watch\", which brings the services up itself, and \"compose logs --follow\" beside it",
        ));
    }
    let away = match () {
        () if matches.on("detach") => Some("detach"),
        () if matches.on("wait") => Some("wait"),
        () if matches.on("no-start") => Some("no-start"),
        () => None,
    };
    if let Some(away) = away {
        for flag in [
            "abort-on-container-exit",
            "abort-on-container-failure",
            "attach",
            "attach-dependencies",
            "exit-code-from",
            "no-attach",
        ] {
            if matches.given(flag) {
                return Err(Error::new(format!(
                    "--{away} and --{flag} are incompatible"
                )));
            }
        }
    }
    let given = |one: &str, other: &str| match matches.on(one) && matches.given(other) {
        true => Err(Error::new(format!(
            "--{one} and --{other} are incompatible"
        ))),
        false => Ok(()),
    };
    given("abort-on-container-failure", "abort-on-container-exit")?;
    given("abort-on-container-failure", "exit-code-from")?;
    given("always-recreate-deps", "no-recreate")?;
    given("wait", "no-start")
}

/// The services whose lines are shown.
fn shown(application: &Application, matches: &Matches) -> Result<BTreeSet<String>> {
    let attach: Vec<String> = matches.list("attach");
    for name in attach
        .iter()
        .map(String::as_str)
        .chain(matches.all("no-attach"))
    {
        if !application.services.contains_key(name) {
            return Err(Error::new(format!("no such service: {name}")));
        }
    }
    let named = match (attach.is_empty(), matches.args.is_empty()) {
        (false, _) => attach,
        (true, false) => matches.args.clone(),
        (true, true) => {
            let services = application.services.values();
            let shown = services.filter(|one| one.attach != Some(false));
            shown.map(|one| one.name.clone()).collect()
        }
    };
    let deps = matches.on("attach-dependencies");
    let mut shown = plan::named(application, &named, deps).map_err(failed)?;
    if named.is_empty() {
        shown.clear();
    }
    shown.retain(|name| !matches.all("no-attach").any(|other| other == name));
    Ok(shown)
}

/// Brings a project up and leaves it there; those of its containers that die at once show their last lines.
pub(super) fn detached(
    cli: &mut Cli,
    application: &Application,
    options: &Up,
    manner: Manner,
) -> Result<Plan> {
    let dry = cli.group.on("dry-run");
    let plan = drive(cli, manner, async |compose| match dry {
        true => Ok(compose.plan_up(application, options).await?.1),
        false => compose.up(application, options).await,
    })?;
    told(cli, &plan)?;
    let started: Vec<&str> = plan
        .operations
        .iter()
        .filter_map(|operation| match &operation.act {
            Act::Start { target } | Act::Replace { target, .. } => Some(target.name.as_str()),
            _ => None,
        })
        .collect();
    if !dry && !options.no_start && !started.is_empty() {
        let client = cli.client()?;
        cli.block_on(async {
            let found = onggi_compose::containers(&client, &application.name).await?;
            let dead = found.iter().filter(|one| {
                started.contains(&one.name.as_str())
                    && one.state == State::Exited
                    && one.exit_code.unwrap_or_default() != 0
            });
            let dead: Vec<String> = dead.map(|one| one.name.clone()).collect();
            last_words(&client, &dead).await
        })??;
    }
    Ok(plan)
}
