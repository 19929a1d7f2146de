//! The names and ways this program is called by: `onggi compose`, on its own as `onggi-compose` or `docker-compose`, and
//! as a plugin of Docker's command line, which asks who we are and then passes its own words on.

use onggi_client::Endpoint;
use serde_json::json;

use crate::Cli;
use crate::args::flag::Kind;
use crate::error::Error;
use crate::plugin::{METADATA, ORIGINAL};
use crate::settings::Environment;

/// Where the daemon of Docker's command line listens, when nobody says otherwise.
const DOCKER_SOCKET: &str = "unix:///var/run/docker.sock";

/// How the program was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The program as help and errors name it.
    pub(crate) program: &'static str,
    /// The words behind it, as if `onggi` or `docker` had been typed.
    pub(crate) words: Vec<String>,
    /// The daemon where nothing else says which, if it is not ours.
    pub(crate) daemon: Option<&'static str>,
    /// The answer to the question who we are, instead of all else.
    pub(crate) answer: Option<String>,
}

/// What is meant by a program's name and the words behind it.
pub(crate) fn call(name: &str, words: Vec<String>, environment: &Environment) -> Call {
    let mut call = Call {
        program: if name.starts_with("docker") {
            "docker"
        } else {
            "onggi"
        },
        words,
        daemon: None,
        answer: None,
    };
    match name {
        "docker" | "onggi" => {}
        "docker-compose" | "onggi-compose" => {
            if call.words.first().is_some_and(|word| word == METADATA) {
                call.answer = Some(metadata());
            } else if environment.contains_key(ORIGINAL) {
                call.daemon = Some(DOCKER_SOCKET);
            } else {
                call.words = alone(&call.words);
            }
        }
        _ => call.program = "onggi",
    }
    call
}

/// Turns to the daemon of the program whose plugin we are, where nothing says which.
pub(crate) fn settle(cli: &mut Cli) {
    let Some(daemon) = cli.default_daemon.filter(|_| cli.settings.on_demand) else {
        return;
    };
    cli.settings.on_demand = false;
    cli.settings.endpoint = Endpoint::parse(daemon).map_err(|error| Error::new(error.to_string()));
}

/// Who the plugin is.
fn metadata() -> String {
    let document = json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "onggi",
        "Version": format!("v{}", crate::VERSION),
        "ShortDescription": super::GROUP.about,
    });
    format!("{document}\n")
}

/// `docker-compose -H x -f y up` is `docker -H x compose -f y up`: options before the command belong to the program or
/// to `compose`, in any order.
fn alone(words: &[String]) -> Vec<String> {
    let (mut before, mut after) = (Vec::new(), vec![super::GROUP.name.to_owned()]);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if matches!(word.as_str(), "__complete" | "completion" | "help") {
            before.push(word.clone());
            // The words to complete come behind `--`.
            if word == "__complete" {
                before.extend(rest.next().cloned());
            }
            break;
        }
        if !word.starts_with('-') {
            after.push(word.clone());
            break;
        }
        let named = |flag: &&crate::args::Flag| {
            *word == format!("--{}", flag.long)
                || word.starts_with(&format!("--{}=", flag.long))
                || flag.short.is_some_and(|short| {
                    word.starts_with(&format!("-{short}")) && !word.starts_with("--")
                })
        };
        let ours = super::GROUP.flags.iter().find(named);
        let flag = ours.or_else(|| crate::program::GLOBALS.iter().find(named));
        let side = match (ours, flag) {
            (None, Some(_)) => &mut before,
            _ => &mut after,
        };
        side.push(word.clone());
        let attached = match word.starts_with("--") {
            true => word.contains('='),
            false => word.len() > 2,
        };
        if flag.is_some_and(|flag| flag.kind != Kind::Bool) && !attached {
            side.extend(rest.next().cloned());
        }
    }
    after.extend(rest.cloned());
    before.extend(after);
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(name: &str, words: &[&str], plugin: bool) -> String {
        let mut environment = Environment::default();
        if plugin {
            environment.insert(ORIGINAL.to_owned(), "docker".to_owned());
        }
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let call = call(name, words, &environment);
        format!("{} {}", call.program, call.words.join(" "))
    }

    #[test]
    fn every_name_leads_to_the_same_command() {
        for (name, typed, meant) in [
            ("onggi", &["compose", "up"][..], "onggi compose up"),
            ("docker", &["compose", "up"], "docker compose up"),
            ("onggi-compose", &["up", "-d"], "onggi compose up -d"),
            (
                "docker-compose",
                &["-f", "x", "up", "-f"],
                "docker compose -f x up -f",
            ),
            (
                "docker-compose",
                &[
                    "-H", "tcp://x", "--file=y", "-p", "z", "--debug", "ps", "-a",
                ],
                "docker -H tcp://x --debug compose --file=y -p z ps -a",
            ),
            ("docker-compose", &["-fx", "ps"], "docker compose -fx ps"),
            ("docker-compose", &["-v"], "docker compose -v"),
            ("docker-compose", &["--help"], "docker compose --help"),
            ("docker-compose", &[], "docker compose"),
            ("docker-compose", &["help", "up"], "docker help compose up"),
            ("other", &["ps"], "onggi ps"),
        ] {
            assert_eq!(words(name, typed, false).trim(), meant);
        }
        assert_eq!(
            words(
                "docker-compose",
                &["-H", "x", "compose", "-p", "y", "ps"],
                true
            ),
            "docker -H x compose -p y ps"
        );
    }

    #[test]
    fn a_plugin_says_who_it_is() {
        let environment = Environment::default();
        let call = call("docker-compose", vec![METADATA.to_owned()], &environment);
        let answer: serde_json::Value = serde_json::from_str(&call.answer.unwrap()).unwrap();
        assert_eq!(answer["SchemaVersion"], "0.1.0");
        assert_ne!(answer["Vendor"], "");
        assert_eq!(answer["Version"], format!("v{}", crate::VERSION));
    }
}
