//! `aliases` of `config.json`. Docker knows one, `builder`: the plugin that builds in the place of `builder` and `build`.

use crate::command::{Found, find};
use crate::error::{Error, Result};
use crate::settings::ConfigFile;

/// The words of a command with aliases replaced, where there are any.
///
/// # Errors
/// For other aliases, and for one that stands for a command of ours, whatever was typed.
pub(crate) fn replace(file: &ConfigFile, words: &[String]) -> Result<Option<Vec<String>>> {
    let Some((name, _)) = file.aliases.first_key_value() else {
        return Ok(None);
    };
    if let Some(other) = file.aliases.keys().find(|name| *name != "builder") {
        return Err(Error::new(format!(
            "not allowed to alias {} (allowed: map[string]struct {{}}{{\"builder\":struct {{}}{{}}}})",
            crate::quote(other)
        )));
    }
    let plugin = &file.aliases[name];
    let target: Vec<String> = plugin.split(' ').map(str::to_owned).collect();
    if !matches!(find(&target), Found::Unknown(_)) {
        return Err(Error::new(format!(
            "not allowed to alias with builtin {} as target",
            crate::quote(plugin)
        )));
    }
    let typed: Vec<&str> = words.iter().take(2).map(String::as_str).collect();
    let (used, with) = match typed[..] {
        ["builder", ..] => (1, vec![plugin.clone()]),
        ["build", ..] => (1, vec![plugin.clone(), "build".to_owned()]),
        ["image", "build"] => (2, vec![plugin.clone(), "build".to_owned()]),
        _ => return Ok(None),
    };
    Ok(Some([&with, &words[used..]].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(alias: (&str, &str), words: &[&str]) -> Result<Option<Vec<String>>> {
        let mut file = ConfigFile::default();
        file.aliases.insert(alias.0.to_owned(), alias.1.to_owned());
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        replace(&file, &words)
    }

    #[test]
    fn the_builder_is_a_plugin() {
        let buildx = ("builder", "buildx");
        let becomes = |words: &[&str]| typed(buildx, words).unwrap().map(|words| words.join(" "));
        assert_eq!(
            becomes(&["builder", "prune", "-x"]).unwrap(),
            "buildx prune -x"
        );
        assert_eq!(becomes(&["build", "."]).unwrap(), "buildx build .");
        assert_eq!(becomes(&["image", "build", "."]).unwrap(), "buildx build .");
        assert_eq!(becomes(&["image", "ls"]), None);
        assert_eq!(becomes(&["ps"]), None);
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(
            typed(("ps", "x"), &["version"]).unwrap_err().message,
            r#"not allowed to alias "ps" (allowed: map[string]struct {}{"builder":struct {}{}})"#
        );
        assert_eq!(
            typed(("builder", "ps"), &["version"]).unwrap_err().message,
            r#"not allowed to alias with builtin "ps" as target"#
        );
    }
}
