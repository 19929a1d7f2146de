//! One deed on many containers, all at once, with the progress of each.

use std::future::Future;

use onggi_client::Client;
use onggi_compose::Container;
use tokio::sync::mpsc;

use super::show::{Progress, Standing, mode};
use crate::Cli;
use crate::error::{Error, Result};

/// What is said of a container while something is done to it, and afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// `Killing`
    pub(super) working: &'static str,
    /// `Killed`
    pub(super) done: &'static str,
}

/// Does `act` to each container.
pub(super) fn each<F>(
    cli: &mut Cli,
    found: Vec<Container>,
    words: Words,
    act: impl Fn(Client, Container) -> F,
) -> Result<()>
where
    F: Future<Output = onggi_client::Result<()>> + Send + 'static,
{
    let client = cli.client()?;
    let at_once = match cli.group.int("parallel") {
        Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => found.len().max(1),
    };
    if cli.group.on("dry-run") {
        for container in &found {
            cli.line(&format!("Container {}  {}", container.name, words.working))?;
        }
        return Ok(());
    }
    let mut progress = Progress::new(mode(cli), words.working);
    let errors = cli.block_on(async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut waiting = found.into_iter();
        let mut running = 0;
        let mut errors = Vec::new();
        loop {
            while running < at_once
                && let Some(container) = waiting.next()
            {
                let id = format!("Container {}", container.name);
                progress.tell(&id, words.working, Standing::Working)?;
                let (deed, sender) = (act(client.clone(), container), sender.clone());
                tokio::spawn(async move {
                    // The receiver lives as long as the loop.
                    let _ = sender.send((id, deed.await));
                });
                running += 1;
            }
            if running == 0 {
                return Ok::<_, Error>(errors);
            }
            let Some((id, outcome)) = receiver.recv().await else {
                return Ok(errors);
            };
            running -= 1;
            match outcome {
                Ok(()) => progress.tell(&id, words.done, Standing::Done)?,
                // It is gone, which is as well.
                Err(error) if error.is_not_found() => {
                    progress.tell(&id, words.done, Standing::Done)?;
                }
                Err(error) => {
                    progress.tell(&id, &format!("Error {error}"), Standing::Error)?;
                    errors.push(error.to_string());
                }
            }
        }
    })??;
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::new(errors.join("\n"))),
    }
}
