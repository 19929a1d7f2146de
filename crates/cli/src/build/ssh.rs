//! `--ssh default` and `--ssh NAME=SOCKET`: agents that `RUN --mount=type=ssh` speaks with, through the build's session.

use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use crate::args::Matches;
use crate::error::{Error, Result, path_error};
use crate::settings::Environment;

/// An agent and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) id: String,
    /// Its socket.
    pub(super) path: PathBuf,
}

/// All of them; of two with one name the last counts.
///
/// # Errors
/// Agents that are not there, and keys.
pub(super) fn agents(matches: &Matches, environment: &Environment) -> Result<Vec<Agent>> {
    let mut all: Vec<Agent> = Vec::new();
    for text in matches.all("ssh") {
        let agent = agent(text, environment)?;
        all.retain(|other| other.id != agent.id);
        all.push(agent);
    }
    Ok(all)
}

fn agent(text: &str, environment: &Environment) -> Result<Agent> {
    let (id, path) = match text.split_once('=') {
        Some((id, path)) if !path.is_empty() => (id, path.to_owned()),
        _ => {
            let usual = environment.get("SSH_AUTH_SOCK").cloned();
            let usual = usual.filter(|path| !path.is_empty());
            let path = usual.ok_or_else(|| {
                Error::new("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
            })?;
            (text.trim_end_matches('='), path)
        }
    };
    let id = if id.is_empty() { "default" } else { id };
    let status = std::fs::metadata(&path).map_err(|error| path_error("stat", &path, &error))?;
    if !status.file_type().is_socket() {
        return Err(Error::new(format!(
            "--ssh {text}: {path} is no socket of an agent, and keys are not read from files: load them into one with ssh-add, and say --ssh {id}"
        )));
    }
    Ok(Agent {
        id: id.to_owned(),
        path: path.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_sockets() {
        let place = tempfile::tempdir().expect("a directory");
        let socket = place.path().join("agent");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let key = place.path().join("key.pem");
        std::fs::write(&key, "key").expect("a file");
        let shown = socket.display().to_string();
        let environment: Environment = [("SSH_AUTH_SOCK".to_owned(), shown.clone())].into();
        for (text, id) in [
            ("default".to_owned(), "default"),
            ("work".to_owned(), "work"),
            (format!("work={shown}"), "work"),
            (format!("={shown}"), "default"),
        ] {
            let agent = agent(&text, &environment).expect(&text);
            assert_eq!((agent.id.as_str(), &agent.path), (id, &socket), "{text}");
        }
        let refused = |text: String, environment: &Environment| {
            agent(&text, environment).expect_err(&text).message
        };
        let empty = Environment::new();
        assert!(refused("default".to_owned(), &empty).contains("SSH_AUTH_SOCK"));
        let text = refused(format!("k={}", key.display()), &environment);
        assert!(text.contains("ssh-add"), "{text}");
        assert!(refused("k=/no/such".to_owned(), &empty).contains("no such file"));
    }
}
