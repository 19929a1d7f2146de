//! `manifest rm`: forgets lists in the making.

use super::reference;
use super::store::{Store, unknown};
use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    about: "Forget lists that were made here",
    arity: Arity::AtLeast(1),
    complete: &[Complete::Images],
    ..command(&["manifest rm"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let store = Store::new(cli);
    let forget = |name: &str| {
        let list = reference(name)?;
        match store.list(&list)? {
            Some(_) => store.remove(&list),
            None => Err(unknown(&list)),
        }
    };
    let failures: Vec<String> = matches
        .args
        .iter()
        .filter_map(|name| forget(name).err())
        .map(|error| error.message)
        .collect();
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Error::new(failures.join("\n"))),
    }
}
