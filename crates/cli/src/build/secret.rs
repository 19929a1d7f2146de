//! `--secret id=NAME,src=PATH`: what `RUN --mount=type=secret` shows, and no layer keeps.

use onggi_model::{Secret, csv};

use crate::args::Matches;
use crate::error::{Error, Result, path_error};
use crate::settings::Environment;

/// As BuildKit has it.
const MOST: u64 = 500 << 10;

/// A secret and what it is called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) value: Secret<Vec<u8>>,
}

/// All of them, read.
///
/// # Errors
/// Texts that say something else, and files that cannot be read.
pub(super) fn secrets(matches: &Matches, environment: &Environment) -> Result<Vec<Named>> {
    let mut all: Vec<Named> = Vec::new();
    for text in matches.all("secret") {
        let secret = read(text, environment)?;
        all.retain(|other| other.id != secret.id);
        all.push(secret);
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(all)
}

fn read(text: &str, environment: &Environment) -> Result<Named> {
    let (mut id, mut file, mut variable, mut kind) =
        (String::new(), String::new(), String::new(), String::new());
    for field in csv(text) {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Error::new(format!(
                "invalid field '{field}' must be a key=value pair"
            )));
        };
        let place = match key.to_lowercase().as_str() {
            "type" if !matches!(value, "file" | "env") => {
                return Err(Error::new(format!(
                    "unsupported secret type {}",
                    crate::quote(value)
                )));
            }
            "type" => &mut kind,
            "id" => &mut id,
            "source" | "src" => &mut file,
            "env" => &mut variable,
            _ => return Err(Error::new(format!("unexpected key '{key}' in '{field}'"))),
        };
        *place = value.to_owned();
    }
    if id.is_empty() {
        return Err(Error::new("secret missing ID"));
    }
    // It becomes a name in the archive that carries it.
    if id.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::new(format!(
            "the ID of a secret cannot be {}",
            crate::quote(&id)
        )));
    }
    if kind == "env" && variable.is_empty() {
        variable = std::mem::take(&mut file);
    }
    if file.is_empty() && variable.is_empty() {
        match environment.contains_key(&id) && kind != "file" {
            true => variable.clone_from(&id),
            false => file.clone_from(&id),
        }
    }
    let value = match file.is_empty() {
        true => match environment.get(&variable) {
            Some(value) => value.clone().into_bytes(),
            None => {
                return Err(Error::new(format!(
                    "secret {id}: the environment has no {variable}"
                )));
            }
        },
        false => {
            let status = std::fs::metadata(&file).map_err(|error| {
                let why = path_error("stat", &file, &error).message;
                Error::new(format!("failed to stat {file}: {why}"))
            })?;
            if status.len() > MOST {
                return Err(Error::new(format!("secret {id} too big. max size 500KB")));
            }
            std::fs::read(&file).map_err(|error| path_error("open", &file, &error))?
        }
    };
    let value = Secret::new(value);
    Ok(Named { id, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_files_and_variables() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("token");
        std::fs::write(&file, "from file").expect("a file");
        let file = file.display().to_string();
        let environment: Environment = [("token".to_owned(), "from env".to_owned())]
            .into_iter()
            .collect();
        let value = |text: String| {
            read(&text, &environment).map(|secret| {
                let value = String::from_utf8_lossy(secret.value.expose()).into_owned();
                format!("{}: {value}", secret.id)
            })
        };
        for (text, wanted) in [
            (format!("id=a,src={file}"), "a: from file"),
            (format!("type=file,id=a,source={file}"), "a: from file"),
            ("id=a,env=token".to_owned(), "a: from env"),
            ("id=a,type=env,src=token".to_owned(), "a: from env"),
            ("id=token".to_owned(), "token: from env"),
        ] {
            assert_eq!(value(text.clone()).as_deref(), Ok(wanted), "{text}");
        }
        for (text, wanted) in [
            ("src=x", "secret missing ID"),
            ("id", "invalid field 'id' must be a key=value pair"),
            ("id=a,x=y", "unexpected key 'x' in 'x=y'"),
            ("id=a,type=ssh", "unsupported secret type \"ssh\""),
            ("id=a,env=none", "secret a: the environment has no none"),
            ("id=../a,env=token", "the ID of a secret cannot be \"../a\""),
            (
                "id=a,src=/no/such",
                "failed to stat /no/such: stat /no/such: no such file or directory",
            ),
        ] {
            let error = value(text.to_owned()).expect_err(text);
            assert_eq!(error.message, wanted, "{text}");
        }
    }
}
