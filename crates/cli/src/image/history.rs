//! `history`: the steps an image was made by.

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::columns::history::{COLUMNS, DEFAULT, EXACT};
use crate::command::{Arity, Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::Result;
use crate::format::List;
use crate::format::rows::Options;

const FLAGS: &[Flag] = &[
    value(None, "format", "string", FORMAT_HELP),
    switch(Some('H'), "human", "Print sizes and dates for people").default("true"),
    switch(None, "no-trunc", "Show everything at full length"),
    value(
        None,
        "platform",
        "string",
        "Show the history for this platform (linux/amd64)",
    )
    .since(1, 48)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
    switch(Some('q'), "quiet", "Show IDs only"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] IMAGE",
    about: "Show the steps an image was made by",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Images],
    ..command(&["image history", "history"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let platform = super::platform(matches.text("platform"))?;
    let client = cli.client()?;
    let history = cli.block_on(client.image_history(&matches.args[0], &platform))??;
    let options = Options {
        no_trunc: matches.on("no-trunc"),
        human: matches.on_or("human", true),
        ..Options::default()
    };
    let list = List {
        columns: COLUMNS,
        type_name: "*image.historyContext",
        default: if options.human { DEFAULT } else { EXACT }.to_owned(),
        raw: None,
        options: &options,
    };
    let given = matches.text("format");
    let plain = matches!(given, "" | "table");
    let format = if matches.on("quiet") && plain {
        "{{.ID}}"
    } else {
        given
    };
    let text = list.render(format, &history)?;
    cli.print(&text)?;
    Ok(0)
}
