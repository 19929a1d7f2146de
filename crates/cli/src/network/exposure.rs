//! What `--exposure` prints: who can reach which port.

use onggi_api::network::Exposure;

use crate::Cli;
use crate::args::{Flag, switch};
use crate::columns::exposure::{COLUMNS, DEFAULT};
use crate::error::Result;
use crate::format::List;
use crate::format::rows::Options;

/// The flag.
pub(crate) const EXPOSURE: Flag = switch(
    None,
    "exposure",
    "Show who can reach each port, by the rules, addresses and routes of this moment",
);

/// Prints the ports; what else is to be said goes to the errors.
pub(crate) fn print(cli: &mut Cli, format: &str, found: &[Exposure]) -> Result<u8> {
    let list = List {
        columns: COLUMNS,
        type_name: "*network.exposureContext",
        default: DEFAULT.to_owned(),
        raw: None,
        options: &Options::default(),
    };
    let ports: Vec<_> = found.iter().flat_map(|one| one.ports.clone()).collect();
    let text = list.render(format, &ports)?;
    cli.print(&text)?;
    for note in found.iter().flat_map(|one| &one.notes) {
        cli.complain(note)?;
    }
    Ok(0)
}
