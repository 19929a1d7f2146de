//! `inspect --as run|compose`.

use serde_json::Value;

use super::compose::compose;
use super::run::run;
use super::{Defaults, Recipe};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::container::each;
use crate::error::{Error, Result};

/// The flag.
pub(crate) const AS: Flag = value(
    None,
    "as",
    "string",
    "Show how to make the container again:\n'run':      the command\n'compose':  the Compose file",
)
.completed(Complete::Words(&["compose", "run"]));

/// Prints the recipes of containers.
pub(crate) fn show(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let program = cli.program.clone();
    let write: fn(&str, &Recipe) -> String = match matches.text("as") {
        "run" => run,
        "compose" => |_, recipe| compose(recipe),
        other => {
            return Err(Error::new(format!(
                "invalid value for --as: {}: must be one of \"compose\" or \"run\"",
                crate::quote(other)
            )));
        }
    };
    for flag in ["format", "size"] {
        if matches.given(flag) {
            return Err(Error::new(format!(
                "conflicting options: cannot specify both --as and --{flag}"
            )));
        }
    }
    if !matches!(matches.text("type"), "" | "container") {
        return Err(Error::new("--as is for containers only"));
    }
    let client = cli.client()?;
    let info = cli.block_on(client.info())??;
    let text = |field: &str| info[field].as_str().unwrap_or_default().to_owned();
    let defaults = Defaults {
        log_driver: text("LoggingDriver"),
        runtime: text("DefaultRuntime"),
        cgroupns: if text("CgroupVersion") == "2" {
            "private".to_owned()
        } else {
            "host".to_owned()
        },
    };
    each(cli, &matches.args, |cli, name| {
        let container = cli.block_on(client.container_inspect(name, false))??;
        let image = container["Image"].as_str().unwrap_or_default();
        let image = match cli.block_on(client.image_inspect(image, ""))? {
            Ok(image) => image,
            // An image that is gone leaves more to be said.
            Err(error) if error.is_not_found() => Value::Null,
            Err(error) => return Err(error.into()),
        };
        let recipe = Recipe::new(&container, &image, &defaults);
        cli.print(&write(&program, &recipe))?;
        Ok(None)
    })
}
