//! A recipe as a command for a shell.

use super::{Recipe, Said};
use crate::text::shell_word;

/// The command, one option a line.
pub(crate) fn run(program: &str, recipe: &Recipe) -> String {
    let mut lines = Vec::new();
    for words in options(recipe) {
        lines.push(
            words
                .iter()
                .map(|word| shell_word(word))
                .collect::<Vec<_>>()
                .join(" "),
        );
    }
    let last: Vec<String> = arguments(recipe)
        .iter()
        .map(|word| shell_word(word))
        .collect();
    lines.push(last.join(" "));
    format!("{program} run {}\n", lines.join(" \\\n  "))
}

/// Options, each with its value.
fn options(recipe: &Recipe) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    if recipe.detached {
        all.push(vec!["--detach".to_owned()]);
    }
    for setting in &recipe.settings {
        let flag = format!("--{}", setting.flag);
        match &setting.value {
            Said::Switch(true) => all.push(vec![flag]),
            Said::Switch(false) => all.push(vec![format!("{flag}=false")]),
            Said::Number(number) => all.push(vec![flag, number.to_string()]),
            Said::Text(text) => all.push(vec![flag, text.clone()]),
            Said::List(list) => {
                all.extend(list.iter().map(|item| vec![flag.clone(), item.clone()]));
            }
        }
    }
    if let Some(entrypoint) = &recipe.entrypoint {
        let program = entrypoint.first().cloned().unwrap_or_default();
        all.push(vec!["--entrypoint".to_owned(), program]);
    }
    all
}

/// Image and command. The flag takes the first word of an entrypoint only: the others begin the command.
fn arguments(recipe: &Recipe) -> Vec<String> {
    let rest = recipe.entrypoint.iter().flatten().skip(1);
    std::iter::once(&recipe.image)
        .chain(rest)
        .chain(&recipe.command)
        .cloned()
        .collect()
}

#[cfg(test)]
/// The words after `run`, as a shell would give them.
pub(super) fn words(recipe: &Recipe) -> Vec<String> {
    options(recipe)
        .into_iter()
        .flatten()
        .filter(|word| word != "--detach")
        .chain(arguments(recipe))
        .collect()
}
