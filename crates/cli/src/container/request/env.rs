//! `--env`, `--env-file`, `--label`, `--label-file`.

use std::collections::BTreeMap;

use crate::args::Matches;
use crate::error::{Error, Result, path_error};
use crate::settings::Environment;

/// The container's environment: files first, then flags. A lone `NAME` takes its value from here, and is left out when
/// there is none.
pub(crate) fn environment_of(matches: &Matches, here: &Environment) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for path in matches.all("env-file") {
        for line in lines(path)? {
            if let Some((name, value)) = line.split_once('=') {
                check_name(path, name)?;
                all.push(format!("{name}={value}"));
            } else {
                check_name(path, &line)?;
                if let Some(value) = here.get(&line) {
                    all.push(format!("{line}={value}"));
                }
            }
        }
    }
    for spec in matches.all("env") {
        if spec.contains('=') {
            all.push(spec.to_owned());
        } else {
            // Docker's CLI sends the bare name when it is not set here, which unsets it in the container.
            match here.get(spec) {
                Some(value) => all.push(format!("{spec}={value}")),
                None => all.push(spec.to_owned()),
            }
        }
    }
    Ok(all)
}

/// Pairs from files and flags; flags win.
pub(crate) fn read_pairs(
    matches: &Matches,
    file_flag: &str,
    flag: &str,
) -> Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    let mut add = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        pairs.insert(key.to_owned(), value.to_owned());
    };
    for path in matches.all(file_flag) {
        for line in lines(path)? {
            check_name(path, line.split('=').next().unwrap_or_default())?;
            // A lone name in a file would take its value from somewhere, and labels have nowhere.
            if line.contains('=') {
                add(&line);
            }
        }
    }
    for text in matches.all(flag) {
        add(text);
    }
    Ok(pairs)
}

fn check_name(path: &str, name: &str) -> Result<()> {
    let refuse = |what: String| Err(Error::new(format!("invalid env file ({path}): {what}")));
    if name.is_empty() {
        return refuse("no variable name on line".to_owned());
    }
    if name.contains([' ', '\t']) {
        return refuse(format!("variable '{name}' contains whitespaces"));
    }
    Ok(())
}

/// The lines of a file that say something: no comments, no empty ones, no spaces before.
fn lines(path: &str) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).map_err(|error| path_error("open", path, &error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("invalid env file ({path}): invalid utf8 bytes")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text
        .lines()
        .map(|line| line.trim_start().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect())
}
