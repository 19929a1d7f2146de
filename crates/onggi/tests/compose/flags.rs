//! docs/COMPOSE_FLAGS.md names for each flag the test that sees its effect.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, workspace};

/// The flags that a page of help names.
fn flags(daemon: &Daemon, words: &[&str]) -> Result<Vec<String>> {
    let help = daemon.cli(&[words, &["--help"]].concat())?;
    let lines = help.ok()?.lines().map(str::trim_start);
    let named = lines.filter(|line| line.starts_with('-'));
    let flags =
        named.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    Ok(flags.map(str::to_owned).collect())
}

#[test]
fn every_flag_is_documented_with_its_test() -> Result<()> {
    let path = workspace().join("docs/COMPOSE_FLAGS.md");
    if !path.exists() {
        // A guest has the tests alone.
        eprintln!("skipped: {} is not here", path.display());
        return Ok(());
    }
    let page = std::fs::read_to_string(path)?;
    let daemon = Daemon::start()?;
    let (globals, of_commands) = page
        .split_once("Those of the commands")
        .context("a heading")?;
    let mut missing = Vec::new();
    for flag in flags(&daemon, &["compose"])? {
        if !globals.contains(&format!("\n| `{flag}` |")) {
            missing.push(flag);
        }
    }
    let help = daemon.cli(&["compose", "--help"])?;
    let (_, commands) = help.ok()?.split_once("\nCommands:\n").context("commands")?;
    let commands = commands.lines().take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        for flag in flags(&daemon, &["compose", command])? {
            let named = of_commands.lines().any(|line| {
                let mut cells = line.split('|').skip(1).map(str::trim);
                cells.next() == Some(&format!("`{flag}`"))
                    && cells
                        .next()
                        .is_some_and(|of| of.split(' ').any(|of| of == command))
            });
            if !named {
                missing.push(format!("{command} {flag}"));
            }
        }
    }
    ensure!(
        missing.is_empty(),
        "not in docs/COMPOSE_FLAGS.md: {missing:?}"
    );
    daemon.clean()
}
