//! `system check`: whether everything the daemon keeps is whole and somebody's.

use onggi_api::system::{StoreCheck, StoreChecked};
use onggi_client::system::Check;
use onggi_model::units::human_size;

use crate::Cli;
use crate::args::{Flag, Matches, switch};
use crate::command::{Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(
        None,
        "quick",
        "Look at names, sizes and counts only; read no content",
    ),
    switch(
        None,
        "repair",
        "Put right what is wrong, and say what was done",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Prove that every image, layer and volume on disk is whole",
    flags: &[FLAGS],
    ..command(&["system check"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let check = Check {
        quick: matches.on("quick"),
        repair: matches.on("repair"),
    };
    let answer = match cli.block_on(client.check(check))? {
        Err(error) if error.status() == Some(404) => {
            return Err(Error::new(
                "this daemon cannot check its store: only onggid can",
            ));
        }
        answer => answer?,
    };
    cli.print(&told(&answer))?;
    Ok(u8::from(!answer.defects.is_empty()))
}

/// A line a defect, what was done, and what was looked at.
fn told(answer: &StoreCheck) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    answer.found.iter().for_each(|text| line(text.clone()));
    answer
        .done
        .iter()
        .for_each(|text| line(format!("repaired: {text}")));
    let still = if answer.found.is_empty() {
        ""
    } else {
        "still: "
    };
    answer
        .defects
        .iter()
        .for_each(|text| line(format!("{still}{text}")));
    line(summary(&answer.checked));
    line(match answer.defects.len() {
        0 => "no defects".to_owned(),
        1 => "1 defect".to_owned(),
        count => format!("{count} defects"),
    });
    out
}

fn summary(checked: &StoreChecked) -> String {
    let hashed = if checked.hashed {
        "hashed"
    } else {
        "not hashed"
    };
    let mut text = format!(
        "{} images, {} blobs ({}, {hashed}), {} layers ({} compared with their blobs), {} containers, {} volumes",
        checked.images,
        checked.blobs,
        human_size(checked.blob_bytes as f64),
        checked.layers,
        checked.compared,
        checked.containers,
        checked.volumes,
    );
    if checked.partials > 0 {
        text.push_str(&format!(
            "; {} blobs came in part ({})",
            checked.partials,
            human_size(checked.partial_bytes as f64)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_done_and_left_is_told() {
        let checked = StoreChecked {
            images: 2,
            blobs: 5,
            blob_bytes: 1500,
            hashed: true,
            layers: 3,
            compared: 3,
            volumes: 1,
            ..StoreChecked::default()
        };
        let clean = StoreCheck {
            checked: checked.clone(),
            ..StoreCheck::default()
        };
        let last = "2 images, 5 blobs (1.5kB, hashed), 3 layers (3 compared with their blobs), 0 containers, 1 volumes";
        assert_eq!(told(&clean), format!("{last}\nno defects\n"));
        let repaired = StoreCheck {
            defects: vec!["b".to_owned()],
            found: vec!["a".to_owned(), "b".to_owned()],
            done: vec!["removed a".to_owned()],
            checked: StoreChecked {
                partials: 1,
                partial_bytes: 1000,
                ..checked
            },
        };
        assert_eq!(
            told(&repaired),
            format!(
                "a\nb\nrepaired: removed a\nstill: b\n{last}; 1 blobs came in part (1kB)\n1 defect\n"
            )
        );
    }
}
