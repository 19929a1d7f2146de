//! Asking before something is lost.

use std::io::BufRead as _;

use crate::Cli;
use crate::error::Result;

/// Asks `question`; every answer but yes is no.
pub(crate) fn confirm(cli: &mut Cli, question: &str) -> Result<bool> {
    cli.print(&format!("{question} [y/N] "))?;
    cli.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
