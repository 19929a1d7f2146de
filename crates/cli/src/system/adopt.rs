//! `system adopt`: what a stopped dockerd left on the disk becomes the daemon's, by reading only. A command of our own.

use onggi_api::stream::Message;
use onggi_api::system::AdoptedItem;

use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "DIR",
    about: "Take over images, volumes and stopped containers of a stopped dockerd, by reading its data root",
    arity: Arity::Exactly(1),
    complete: &[Complete::Files],
    ..command(&["system adopt"], run)
};

/// What was counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    taken: usize,
    present: usize,
    skipped: usize,
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    // The daemon has another working directory.
    let path = std::path::absolute(&matches.args[0])?;
    let path = path.to_string_lossy().into_owned();
    let client = cli.client()?;
    let answer = cli.block_on(client.system_adopt(&path))?;
    let mut messages = match answer {
        Ok(answer) => answer.values(),
        Err(error)
            if error.status() == Some(404) && error.to_string().contains("page not found") =>
        {
            return Err(Error::new(
                "this daemon cannot adopt: it is not onggid, or an older one",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let mut counts = Counts::default();
    while let Some(message) = cli.block_on(messages.next::<Message>())?? {
        if let Some(failure) = message.error {
            return Err(Error::new(failure.message));
        }
        let Some(item) = message.aux else { continue };
        let item: AdoptedItem =
            serde_json::from_value(item).map_err(|error| Error::new(error.to_string()))?;
        if counts == Counts::default() {
            cli.line(&columns("KIND", "ID", "NAME", "RESULT"))?;
        }
        counts.add(&item.outcome);
        cli.line(&line(&item))?;
        cli.flush()?;
    }
    cli.line(&counts.text())?;
    Ok(u8::from(counts.skipped > 0))
}

impl Counts {
    fn add(&mut self, outcome: &str) {
        match outcome {
            "taken" => self.taken += 1,
            "present" => self.present += 1,
            _ => self.skipped += 1,
        }
    }

    fn text(&self) -> String {
        format!(
            "{} taken, {} already here, {} skipped",
            self.taken, self.present, self.skipped
        )
    }
}

fn line(item: &AdoptedItem) -> String {
    let outcome = match item.outcome.as_str() {
        "present" => "already here",
        other => other,
    };
    let result = match item.detail.as_str() {
        "" => outcome.to_owned(),
        detail => format!("{outcome}: {detail}"),
    };
    columns(&item.kind, &item.id, &item.name, &result)
}

/// Lines come one by one: their widths cannot depend on those after them.
fn columns(kind: &str, id: &str, name: &str, result: &str) -> String {
    format!("{kind:<10} {id:<13} {name:<30} {result}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_became_of_things() {
        let item = |outcome: &str, detail: &str| AdoptedItem {
            kind: "volume".to_owned(),
            name: "data".to_owned(),
            outcome: outcome.to_owned(),
            detail: detail.to_owned(),
            ..AdoptedItem::default()
        };
        let start = format!("volume     {:<13} {:<30} ", "", "data");
        assert_eq!(line(&item("taken", "12kB")), format!("{start}taken: 12kB"));
        assert_eq!(line(&item("present", "")), format!("{start}already here"));
        let mut counts = Counts::default();
        for outcome in ["taken", "skipped", "present", "taken"] {
            counts.add(outcome);
        }
        assert_eq!(counts.text(), "2 taken, 1 already here, 1 skipped");
    }
}
